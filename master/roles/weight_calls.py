"""Weights of roles: how large the share of each is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mezzo.errors import BadRequest
from mezzo.messages import operator as m

from .. import rescinding
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.role_names import check_usable
from ..state.step import Step
from ..tables import WEIGHTS
from . import one_call

WEIGHT_MAX: Final = 1e9


def weights(state: MasterState) -> m.Weights:
    """The weights that were set; every other role has 1."""
    return m.Weights(tuple(m.WeightInfo(w, role) for role, w in sorted(state.weights.items())))


def update_weights(state: MasterState, step: Step, call: m.UpdateWeights) -> m.OperatorResponse:
    """Set all weights or none. If somebody is in these roles, all offers are made anew."""
    infos = call.weight_infos
    one_call.check_each_once(info.role for info in infos)
    for info in infos:
        check_weight(state.config.roles, info)
    one_call.check_size(WEIGHTS, infos)
    changed = [info for info in infos if state.weights.get(info.role) != info.weight]
    for info in changed:
        state.weights[info.role] = info.weight
        step.put(WEIGHTS, info)
        state.allocator.set_weight(info.role, info.weight)
    names = [info.role for info in changed]
    if any(_is_in(framework, names) for framework in state.frameworks.values()):
        for offer in list(state.offers.values()):
            rescinding.rescind(state, step, offer)
    return m.Done()


def check_weight(allowed: tuple[str, ...] | None, info: m.WeightInfo) -> None:
    """`allowed`: see `check_usable`. Raises BadRequest."""
    check_usable(allowed, info.role)
    if not 0 < info.weight < WEIGHT_MAX:
        raise BadRequest(
            f"the weight of role {info.role!r} is {info.weight}: give one above 0 and below "
            f"{WEIGHT_MAX:g}"
        )


def _is_in(framework: FrameworkEntry, roles: Iterable[str]) -> bool:
    """Is a framework in one of the roles, or in a role below?"""
    mine = framework.info.all_roles
    return any(own == role or own.startswith(role + "/") for role in roles for own in mine)
