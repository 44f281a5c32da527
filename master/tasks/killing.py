"""Kills of frameworks, on their way to agents."""

from __future__ import annotations

from mezzo.errors import BadRequest
from mezzo.messages.agent import (
    KillTask,
)
from mezzo.messages.scheduler import Kill, ReconcileTask

from .. import claims
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from . import reconciliation


def kill(state: MasterState, step: Step, framework: FrameworkEntry, call: Kill) -> None:
    """A kill is sent to the agent each time; for a task that is unknown or out of reach the answer
    is that of reconciliation."""
    entry = framework.tasks.get(call.task_id) or framework.unreachable.get(call.task_id)
    if entry is None:
        reconciliation.reconcile_one(
            state, step, framework, ReconcileTask(call.task_id, call.agent_id)
        )
        return
    agent_id = entry.info.agent_id
    if call.agent_id is not None and call.agent_id != agent_id:
        why = BadRequest(f"it names agent {call.agent_id}, and the task is one of {agent_id}")
        claims.deny(step, framework, f"KILL of task {call.task_id}", why)
        return
    order = KillTask(framework.id, call.task_id, call.kill_policy)
    entry.pending_kill = order  # repeated when the agent re-registers
    if call.task_id in framework.tasks:
        step.to_agent(state.agents[agent_id], order)
    else:
        reconciliation.reconcile_one(state, step, framework, ReconcileTask(call.task_id))
