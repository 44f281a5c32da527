"""A new leader that allocated too early could break guarantees: it waits for agents."""

from __future__ import annotations

from math import ceil

from ..allocator.terms import Quota
from ..state.master_state import MasterState
from ..state.step import Step
from ..timers import QuotaRecoveryOver


def recover(state: MasterState, step: Step) -> None:
    """A new leader that would allocate before most agents are back could not tell what is left for
    the guarantees: it waits, if there are any quotas."""
    for role, weight in state.weights.items():
        state.allocator.set_weight(role, weight)
    for role, config in state.quotas.items():
        state.allocator.set_quota(role, Quota(config.guarantees, config.limits))
    awaited = ceil(len(state.agents) * state.config.allocator_agent_recovery_factor)
    if state.quotas and awaited:
        state.agents_awaited = awaited
        state.allocator.pause()
        step.timer(QuotaRecoveryOver(), state.config.allocator_recovery_timeout_s)


def agents_came_back(state: MasterState, step: Step) -> None:
    """Are enough agents back? Asked while allocation is paused."""
    if len(state.agent_of) >= state.agents_awaited:
        step.cancel(QuotaRecoveryOver())
        recovery_over(state, step)


def recovery_over(state: MasterState, step: Step) -> None:
    """Allocation begins: enough agents are back, or it has waited long enough."""
    state.agents_awaited = 0
    state.allocator.resume()
