"""Unique tasks: never two of them, soon one.

An agent kills a task with `unique_lease` itself when it has heard from no leader for so long. Its
lease counts from the moment at which it sent something that the master is known to have heard, so
the master, which counts from when it heard it, is always the later one. What remains is that their
clocks may run differently (`lease_drift`) and that a kill takes its time (`lease_margin_s`). Only
after all that is the agent called unreachable, and may its tasks be replaced: all of them, also
those without a lease, so that an agent is either reachable or not, for everybody at once.

A new leader can't know what the last one heard. It counts from its election: an agent that it has
not seen since is not called unreachable before `agent_reregister_timeout`, and no lease is longer.
"""

from __future__ import annotations

from mezzo.cluster.model import TaskInfo
from mezzo.errors import BadRequest

from ..config import MasterConfig
from ..state.agent_entry import AgentEntry, Standing
from ..state.master_state import MasterState

PINGS_MIN = 3  # a lease is renewed by every second ping at the latest


def check(config: MasterConfig, task: TaskInfo) -> None:
    """Raise BadRequest for a lease that this cluster can't keep."""
    lease_s = task.unique_lease
    if lease_s is None:
        return
    least_s = PINGS_MIN * config.agent_ping_timeout_s
    if not lease_s >= least_s:  # nor is it if it is no number
        raise BadRequest(
            f"unique_lease is {lease_s:g} s: with a ping every {config.agent_ping_timeout_s:g} s "
            f"it must be at least {least_s:g}"
        )
    if _bound_s(config, lease_s) > config.agent_reregister_timeout_s:
        raise BadRequest(
            f"unique_lease is {lease_s:g} s: with drift and margin it must end within the "
            f"agent_reregister_timeout of {config.agent_reregister_timeout_s:g} s"
        )


def over_s(state: MasterState, agent: AgentEntry) -> float:
    """From then on (mono) no unique task can run on the agent, if it hears nothing."""
    if agent.standing is Standing.RECOVERED:
        return agent.heard_s + state.config.agent_reregister_timeout_s
    leases = [
        entry.info.unique_lease
        for entry in agent.tasks.values()
        if entry.info.unique_lease is not None and entry.holds_resources
    ]
    if not leases:
        return agent.heard_s
    return agent.heard_s + _bound_s(state.config, max(leases))


def _bound_s(config: MasterConfig, lease_s: float) -> float:
    return lease_s * (1 + config.lease_drift) + config.lease_margin_s
