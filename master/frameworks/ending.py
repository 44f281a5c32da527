"""A framework ends: torn down, or given up."""

from __future__ import annotations

from mezzo.cluster.states import Reason, TaskState
from mezzo.messages.agent import ShutdownFramework
from mezzo.messages.operator import FrameworkRemoved, FrameworkUpdated

from .. import registry, views
from ..effects import CloseStream
from ..offers import declining
from ..operations import pending_operations
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..tables import FRAMEWORKS
from ..tasks import losing
from ..timers import AdmissionDue, FailoverTimeout


def complete(state: MasterState, step: Step, framework: FrameworkEntry, why: str) -> None:
    """The end: executors and tasks are shut down, the id is used up."""
    withdraw(state, step, framework)
    on_agents = dict.fromkeys(entry.info.agent_id for entry in framework.tasks.values())
    on_agents |= dict.fromkeys(agent_id for agent_id, _ in framework.executors)
    on_agents |= dict.fromkeys(pending_operations.forget_all_of(state, framework))
    for agent_id in on_agents:
        agent = state.agents.get(agent_id)
        if agent is None:
            continue
        # The agent ends the tasks; an agent that is away is told when it re-registers.
        step.to_agent(agent, ShutdownFramework(framework.id))
        losing.lose_on_agent(
            state,
            step,
            agent,
            TaskState.KILLED,
            Reason.FRAMEWORK_REMOVED,
            f"the framework was removed: {why}",
            only=framework.id,
        )
    framework.unreachable.clear()
    if framework.conn is not None:
        del state.framework_of[framework.conn]
        step.do(CloseStream(framework.conn))
        framework.conn = None
    state.allocator.remove_framework(framework.id)
    framework.unregistered_s = step.now.wall_s
    framework.deadline_s = None
    del state.frameworks[framework.id]
    state.away.remove(framework.id)
    state.completed[framework.id] = framework
    registry.keep_framework(step, framework)
    while len(state.completed) > state.config.max_completed_frameworks:
        oldest = next(iter(state.completed))
        del state.completed[oldest]
        step.delete(FRAMEWORKS, oldest)
    step.cancel(FailoverTimeout(framework.id))
    step.publish(FrameworkUpdated(views.framework(state, framework)))  # as it is remembered
    step.publish(FrameworkRemoved(framework.info))


def withdraw(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """The framework gets no offers any more."""
    declining.take_back_all(state, step, framework)
    state.allocator.deactivate_framework(framework.id)
    if framework.admission is not None:
        framework.admission = None
        step.cancel(AdmissionDue(framework.id))
