"""Roles: their weights and quota, and the pause after a failover that quota calls for.

Rules: Mesos `roles.cpp`, `weights_handler.cpp`, `quota_handler.cpp`, and
`HierarchicalAllocatorProcess::recover` for the pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mezzo.cluster.amounts import Thousandths, from_milli
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest
from mezzo.messages import operator as m

from .. import rescinding
from ..allocator.terms import Quota
from ..state.master_state import MasterState
from ..state.role_names import check_usable
from ..state.step import Step
from ..tables import QUOTAS
from . import one_call


def quotas(state: MasterState) -> m.Quotas:
    return m.Quotas(m.QuotaStatus(tuple(config for _, config in sorted(state.quotas.items()))))


def update_quota(state: MasterState, step: Step, call: m.UpdateQuota) -> m.OperatorResponse:
    """Set all quotas or none. A role without guarantees and limits has no quota any more."""
    configs = call.quota_configs
    one_call.check_each_once(config.role for config in configs)
    for config in configs:
        check_config(state.config.roles, config)
    one_call.check_size(QUOTAS, configs)
    if not call.force:
        for config in configs:
            _check_consumption(state, config)
        _check_capacity(state, configs)
    for config in configs:
        _set_quota(state, step, config)
    _make_room(state, step)
    return m.Done()


def set_quota(state: MasterState, step: Step, call: m.SetQuota) -> m.OperatorResponse:
    """The old form: the guarantee is the limit as well. Once for a role."""
    request = call.quota_request
    if request.role is None:
        raise BadRequest("quota_request.role is missing: name a role")
    if request.role in state.quotas:
        raise BadRequest(f"role {request.role!r} has quota already: `mezzo quota set` replaces it")
    amounts = _amounts(request.guarantee)
    config = m.QuotaConfig(request.role, amounts, amounts)
    return update_quota(state, step, m.UpdateQuota((config,), request.force))


def remove_quota(state: MasterState, step: Step, call: m.RemoveQuota) -> m.OperatorResponse:
    if call.role not in state.quotas:
        have = ", ".join(sorted(state.quotas)) or "none"
        raise BadRequest(f"role {call.role!r} has no quota; these have: {have}")
    _set_quota(state, step, m.QuotaConfig(call.role))
    return m.Done()


def _set_quota(state: MasterState, step: Step, config: m.QuotaConfig) -> None:
    role = config.role
    if config.guarantees or config.limits:
        state.quotas[role] = config
        step.put(QUOTAS, config)
        # A tighter limit takes offers back in the next cycle.
        state.allocator.set_quota(role, Quota(config.guarantees, config.limits))
    elif role in state.quotas:
        del state.quotas[role]
        step.delete(QUOTAS, role)
        state.allocator.set_quota(role, None)


def _make_room(state: MasterState, step: Step) -> None:
    """Guaranteed resources have to be free: offers to roles without a guarantee are taken back, the
    latest first, until it is."""
    for offer in reversed(list(state.offers.values())):
        lacking = state.allocator.lacking()
        if not lacking:
            return
        config = state.quotas.get(offer.role.split("/", 1)[0])
        plain = offer.resources.filter(role="*", revocable=False)
        if (config is None or not config.guarantees) and any(plain.milli(n) for n in lacking):
            rescinding.rescind(state, step, offer)


def _amounts(guarantee: Resources) -> dict[str, Thousandths]:
    """Raises BadRequest for resources that can't be guaranteed."""
    out: dict[str, Thousandths] = {}
    for kind, value in guarantee.items():
        if type(value) is not int:
            raise BadRequest(f"quota_request.guarantee: {kind.name} is no scalar: leave it out")
        if kind.reservations or kind.disk is not None or kind.revocable or kind.shared:
            raise BadRequest(
                f"quota_request.guarantee: {kind.name} must be plain: without reservation, disk "
                "info, and neither revocable nor shared"
            )
        out[kind.name] = value
    if not out:
        raise BadRequest("quota_request.guarantee is empty: name what is guaranteed")
    return out


def check_config(allowed: tuple[str, ...] | None, config: m.QuotaConfig) -> None:
    """The rules for a quota by itself (Mesos `quota::validate`). `allowed`: see `check_usable`.
    Raises BadRequest."""
    role = config.role
    check_usable(allowed, role)
    if role == "*":
        raise BadRequest("quota can't be set for role '*': name another")
    if "/" in role:
        raise BadRequest(
            f"quota of role {role!r}: only top-level roles have quota, which counts for the roles "
            f"below as well: set it for {role.split('/')[0]!r}"
        )
    for what, amounts in (("guarantee", config.guarantees), ("limit", config.limits)):
        for name, amount in amounts.items():
            _check_amount(f"the {what} of role {role!r}", name, amount)
    for name, amount in config.guarantees.items():
        limit = config.limits.get(name)
        if limit is not None and amount > limit:
            raise BadRequest(
                f"role {role!r} is guaranteed {from_milli(amount):g} {name}, more than its limit "
                f"of {from_milli(limit):g}: raise the limit or lower the guarantee"
            )


def _check_amount(where: str, name: str, amount: Thousandths) -> None:
    if not name or len(name) > 255 or any(ch.isspace() or ord(ch) < 32 for ch in name):
        raise BadRequest(f"{where}: {name!r} is no name of a resource")
    if name == "ports":
        raise BadRequest(f"{where}: ports are ranges, and quota is for scalars: leave them out")
    if amount < 0:
        raise BadRequest(f"{where}: {from_milli(amount):g} {name} is negative: give 0 or more")


def _check_consumption(state: MasterState, config: m.QuotaConfig) -> None:
    if not config.limits:
        return
    consumed = state.allocator.consumed(config.role)
    for name, limit in config.limits.items():
        if consumed.get(name, 0) > limit:
            raise BadRequest(
                f"role {config.role!r} consumes {from_milli(consumed[name]):g} {name} already, "
                f"more than the limit of {from_milli(limit):g}: set it by force (--force) to let "
                "it stand and take no more"
            )


def _check_capacity(state: MasterState, configs: Iterable[m.QuotaConfig]) -> None:
    """All guarantees together have to fit the cluster. A call that lowers them is never refused."""
    after = state.quotas | {config.role: config for config in configs}
    before_sums = _guaranteed(state.quotas)
    capacity = capacity_of(state)
    for name, amount in _guaranteed(after).items():
        if amount > capacity.get(name, 0) and amount > before_sums.get(name, 0):
            raise BadRequest(
                f"guarantees of {from_milli(amount):g} {name} in all exceed the cluster's "
                f"{from_milli(capacity.get(name, 0)):g}: lower them, or set them by force "
                "(--force)"
            )


def _guaranteed(configs: Mapping[str, m.QuotaConfig]) -> dict[str, Thousandths]:
    out: dict[str, Thousandths] = {}
    for config in configs.values():
        for name, amount in config.guarantees.items():
            out[name] = out.get(name, 0) + amount
    return out


def capacity_of(state: MasterState) -> dict[str, Thousandths]:
    """What all admitted agents have, those away included: most often they are back soon."""
    out: dict[str, Thousandths] = {}
    for agent in state.agents.values():
        for kind, value in agent.info.resources.items():
            if type(value) is int and not kind.revocable:
                out[kind.name] = out.get(kind.name, 0) + value
    return out
