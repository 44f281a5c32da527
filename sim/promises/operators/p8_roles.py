"""Promise 8 for operators: what roles have, are offered, keep and consume, summed up anew."""

from __future__ import annotations

from typing import Final

from mezzo.messages import operator as om

from ...world.watched import Broken
from ..allocator.sums import consumed, nonzero, of_role, reserved, scalars
from .look import Look

_ROUNDING: Final = 1e-9


def check_roles(look: Look) -> None:
    state, read = look.state, look.read(om.GetRoles())
    weights = {info.role: info.weight for info in look.read(om.GetWeights()).weight_infos}
    look.same("the weights", weights, state.weights)
    configs = {config.role: config for config in look.read(om.GetQuota()).status.configs}
    look.same("the quotas", configs, state.quotas)
    offered = [(offer.role, offer.resources) for offer in state.offers.values()]
    back = {agent.id: None for agent in look.back}
    running = [(role, of) for at, _, role, of in look.taken if at in back and of]
    total = scalars(agent.info.resources for agent in look.back)
    held = reserved(state)
    members = {
        role: [f.id for f in state.frameworks.values() if role in f.info.all_roles]
        for f in state.frameworks.values()
        for role in f.info.all_roles
    }
    here = [f for f in state.frameworks.values() if f.conn is not None and f.admission is None]
    must = {role: None for framework in here for role in framework.info.all_roles}
    weighty = [role for role, weight in weights.items() if weight != 1.0]
    must |= dict.fromkeys((*weighty, *configs, *(role for role, _ in (*held, *running))))
    shown = [view.name for view in read.roles]
    if missing := [role for role in must if role not in shown]:
        raise Broken(f"promise 8: operators of {look.master.name} miss roles {missing}")
    if shown != sorted(set(shown)):
        raise Broken(f"promise 8: the roles are {shown}: each once, in order")
    for view in read.roles:
        role = view.name
        has, gets = scalars(of_role(role, running)), scalars(of_role(role, offered))
        for what, amounts, expected in (
            ("allocated", view.allocated, has), ("offered", view.offered, gets),
            ("reserved", view.reserved, scalars(of_role(role, held), shared=True)),
            ("allocated or offered", view.resources, has + gets),
        ):  # fmt: skip
            found = {kind.name: value for kind, value in amounts.items()}
            look.same(f"what is {what} in {role!r}", found, nonzero(expected))
        look.same(f"what {role!r} consumes", view.consumed, consumed(state, role))
        look.same(f"the weight of {role!r}", view.weight, state.weights.get(role, 1.0))
        look.same(f"the quota of {role!r}", view.quota, state.quotas.get(role))
        look.same(f"who is in {role!r}", list(view.frameworks), members.get(role, []))
        both = has + gets
        share = max((both[name] / n for name, n in total.items() if n), default=0.0)
        if abs(view.share - share) > _ROUNDING:
            look.same(f"the share of {role!r}", view.share, share)
