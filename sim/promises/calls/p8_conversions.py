"""The conversions of a valid ACCEPT, done or not: see `p8_calls`.

Each operation is either done, and then its agent is told, or refused, and then its framework is, if
it gave the operation an id.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.cluster.model import Offer
from mezzo.cluster.operations import Launch, LaunchGroup, OperationState
from mezzo.cluster.resources import Resources
from mezzo.core import Output
from mezzo.messages import agent as am
from mezzo.messages import scheduler as sm

from .p8_case import Case, is_id, orders_of
from .p8_exchange import (
    agent_can,
    exchange,
    framework_may,
    is_judged,
    is_used,
    repeats_a_volume,
)

_LAUNCHES: Final = (Launch, LaunchGroup)


class Conversions:
    def __init__(self, case: Case, offers: list[Offer]) -> None:
        self._case = case
        self._framework = case.framework
        self._agent = case.state.agents[offers[0].agent_id]
        self._role = offers[0].role
        # The rest of the offers, as long as that can be told.
        self._left: Resources | None = Resources.total(offer.resources for offer in offers)
        self._total: Resources | None = self._agent.info.resources
        self._ids = set(self._framework.operations)
        # By operation: must it be done? None: both may be right.
        self._right = [
            (operation, self._judge(operation))
            for operation in case.call.operations
            if not isinstance(operation, _LAUNCHES) or self._launched()
        ]

    def _launched(self) -> bool:
        self._left = None
        return False

    # ---- the rules

    def _judge(self, operation: Any) -> bool | None:
        id_ = operation.id
        if id_ is not None and (not is_id(id_) or id_ in self._ids):
            return False
        right = self._decide(operation)
        if right is not False:
            self._ids |= {id_} - {None}
        return right

    def _decide(self, operation: Any) -> bool | None:
        if not is_judged(operation):
            self._left = self._total = None
            return None
        change = exchange(operation)
        if (
            change is None
            or not agent_can(self._agent, operation, change)
            or not framework_may(self._framework, self._role, operation)
        ):
            return False
        if self._left is None or self._total is None:
            self._left = self._total = None
            return None
        if (
            not change.before <= self._left
            or repeats_a_volume(self._total, operation)
            or is_used(self._agent, operation)
        ):
            return False
        self._left = self._left - change.before + change.after
        self._total = self._total - change.before + change.after
        return True

    # ---- afterwards

    def wrong(self, output: Output[Any]) -> str:
        done = [
            message
            for conn, message in orders_of(output)
            if isinstance(message, am.ApplyOperation) and conn == self._agent.conn
        ]
        unread = [each.operation_id for each in self._case.call.unreadable if each.task_id is None]
        refused = [each for each in unread if each is not None]
        place = 0
        for operation, right in self._right:
            applied = place < len(done) and done[place].conversion == operation
            place += applied
            if right is not None and applied is not right:
                return f"{operation} is {'done' if applied else 'refused'}, which is wrong"
            if applied and (why := self._not_kept(done[place - 1])):
                return why
            if not applied and operation.id is not None:
                refused.append(operation.id)
        if place != len(done):
            return f"its agent is told {done[place:]}, which nobody asked for"
        told = [each.status for each in self._case.told(output, sm.UpdateOperationStatus)]
        if [each.operation_id for each in told] != refused:
            return f"of operations it is told {told}, refused are {refused}"
        if any(each.state is not OperationState.ERROR or each.uuid is not None for each in told):
            return f"of operations it is told {told}, and they were refused"
        if self._total is not None and self._agent.info.resources != self._total:
            return f"its agent has {self._agent.info.resources} now, right were {self._total}"
        return ""

    def _not_kept(self, message: am.ApplyOperation) -> str:
        """It is waited for until the agent says how it went."""
        record = self._agent.operations.get(message.uuid)
        if record is None or record.latest_status.state is not OperationState.PENDING:
            return f"{message} is on its way, and known as {record}"
        if record.info != message.conversion or record.framework_id != self._framework.id:
            return f"{message} is on its way, and known as {record}"
        id_, place = message.conversion.id, (self._agent.id, message.uuid)
        if id_ is not None and self._framework.operations.get(id_) != place:
            return f"{message} is on its way, and nobody would find it by its id"
        return "" if message.framework_id == self._framework.id else f"{message} is another's"
