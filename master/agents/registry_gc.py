"""Agents that are unreachable or gone are remembered for so long, and so many."""

from __future__ import annotations

from collections.abc import Mapping

from mezzo.ids import AgentId

from ..state.master_state import MasterState
from ..state.step import Step
from ..tables import AGENTS
from ..timers import RegistryGcDue


def collect_garbage(state: MasterState, step: Step) -> None:
    """Forget agents that are unreachable or gone for too long, the oldest first, and those beyond
    the bound of each kind. Their tasks then reconcile to UNKNOWN.

    As in Mesos: a gone agent that is forgotten would be admitted if it came back after all.
    """
    lost = {entry.id: entry.since_s for entry in state.unreachable.values()}
    for agent_id in [*_too_many(state, step, lost), *_too_many(state, step, state.gone_since_s)]:
        if step.full:
            step.timer(RegistryGcDue(), 0.0)
            return
        step.delete(AGENTS, agent_id)
        state.gone_since_s.pop(agent_id, None)
        entry = state.unreachable.pop(agent_id, None)
        for framework_id, task_id in entry.tasks if entry is not None else ():
            if framework_id in state.frameworks:
                state.frameworks[framework_id].unreachable.pop(task_id, None)
    step.timer(RegistryGcDue(), state.config.registry_gc_interval_s)


def _too_many(state: MasterState, step: Step, since_s: Mapping[AgentId, float]) -> list[AgentId]:
    """`since_s`: wall. The oldest first."""
    surplus = len(since_s) - state.config.registry_max_agent_count
    too_old_s = step.now.wall_s - state.config.registry_max_agent_age_s
    by_age = sorted(since_s, key=lambda agent_id: (since_s[agent_id], agent_id))
    return [id_ for at, id_ in enumerate(by_age) if at < surplus or since_s[id_] < too_old_s]
