"""SUBSCRIBE and UPDATE_FRAMEWORK: taken or refused by the rules. See `p8_calls`."""

from __future__ import annotations

from typing import Any

from mezzo.cluster.model import Capability, FrameworkInfo, OfferConstraints, Predicate
from mezzo.core import Output
from mezzo.ids import ConnId
from mezzo.master.effects import CloseStream, ToFramework
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ...actors.odd_patterns import NO_PATTERNS
from .p8_case import Case, Check, is_id, is_role

_MATCHES = (Predicate.TEXT_MATCHES, Predicate.TEXT_NOT_MATCHES)


class Subscriptions(Case):
    def update(self) -> Check:
        info, own = self.call.framework_info, self.framework.info
        kept = all(
            getattr(info, name) == getattr(own, name)
            for name in ("user", "principal", "checkpoint")
        )
        wrong = info.id != self.framework.id or not kept or self._is_wrong(info)
        roles = info.all_roles

        def check(output: Output[Any]) -> str:
            told = self.told(output, sm.Answered)
            done = told == [sm.Answered("UPDATE_FRAMEWORK")]
            if not done:
                if not wrong and self.call.offer_constraints is None and not _is_large(info):
                    return f"nothing is wrong with it, and it is told {told}"
                return self.refused(output, "UPDATE_FRAMEWORK")
            if wrong:
                return "it has to be refused, and is not"
            if self.framework.info != info:
                return f"it is {self.framework.info} afterwards"
            left = [self.state.offers[id_].role for id_ in self.framework.offers]
            return "" if all(role in roles for role in left) else f"it keeps offers of {left}"

        return check

    def subscribe(self) -> Check:
        state, info = self.state, self.call.framework_info
        bound = state.framework_of.get(self.conn)
        known = None if info.id is None else state.frameworks.get(info.id)
        wrong = (
            info.id != self.named_id
            or info.id in state.completed
            or (bound is not None and info.id not in (None, bound))
            or (known is not None and known.info.principal != info.principal)
            or self._is_wrong(info)
        )
        before = known or (None if bound is None else state.frameworks[bound])
        old = None if before is None else before.conn
        was = None if before is None else before.info

        def check(output: Output[Any]) -> str:
            told = self.told(output)
            if told and type(told[0]) is sm.Error:
                if not wrong and self.call.offer_constraints is None and not _is_large(info):
                    return f"nothing is wrong with it, and it is told {told}"
                if output.writes or len(told) > 1 or CloseStream(self.conn) not in output.effects:
                    return f"it is refused, and told {told}"
                return ""
            if wrong:
                return f"it has to be refused, and is told {told}"
            return self._subscribed(output, told, old, was)

        return check

    def _subscribed(
        self,
        output: Output[Any],
        told: list[Any],
        old: ConnId | None,
        was: FrameworkInfo | None,
    ) -> str:
        state = self.state
        kinds = [type(each) for each in told]
        if kinds[:2] != [sm.Subscribed, sm.Heartbeat]:
            return f"it is told {told}"
        id_ = told[0].framework_id
        framework, asked = state.frameworks[id_], self.call.framework_info
        expected = replace(asked, id=id_)
        if was is not None:
            if was.id != id_:
                return f"it was {was.id}, and is {id_} now"
            expected = replace(expected, user=was.user, checkpoint=was.checkpoint)
        if framework.info != expected or (asked.id is not None and asked.id != id_):
            return f"it is {framework.info} afterwards, not {expected}"
        if framework.conn != self.conn or state.framework_of.get(self.conn) != id_:
            return "it is not connected afterwards"
        if old is not None and old != self.conn:
            ends = [e for e in output.effects if getattr(e, "conn", None) == old]
            if [type(each) for each in ends] != [ToFramework, CloseStream]:
                return f"the process that it was before is told {ends}"
            if old in state.framework_of:
                return "the process that it was before still counts"
        if told[0].master_info != state.config.info:
            return f"it is told of another master: {told[0]}"
        return "" if framework.deadline_s is None else "it is connected, and waited for"

    def _is_wrong(self, info: FrameworkInfo) -> bool:
        """By the rules of what a framework may be, but for its size and most of its constraints."""
        if self.call.offer_constraints is not None and _have_no_pattern(
            self.call.offer_constraints
        ):
            return True
        multi = Capability.MULTI_ROLE in info.capabilities
        roles = info.roles if multi else (info.role,)
        return (
            (info.id is not None and not is_id(info.id))
            or not info.name
            or not 0 <= info.failover_timeout < 1e10
            or (info.role != "*" if multi else bool(info.roles))
            or len(set(roles)) != len(roles)
            or not all(is_role(role) for role in roles)
            or any(role not in roles for role in self.call.suppressed_roles)
            or any(
                each.role not in roles
                or not all(any(amounts.values()) for amounts in each.min_allocatable)
                for each in info.offer_filters
            )
        )


def _is_large(info: FrameworkInfo) -> bool:
    """So that it may be too large."""
    return len(repr(info)) > 30_000


def _have_no_pattern(constraints: OfferConstraints) -> bool:
    """Is a regular expression of the constraints none, or too complex?"""
    return any(
        condition.predicate in _MATCHES and condition.text in NO_PATTERNS
        for role in constraints.roles
        for group in role.groups
        for condition in group
    )
