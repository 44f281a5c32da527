"""The agent takes nothing new: it is drained, or it ends all tasks and exits. Pure."""

from __future__ import annotations

from mezzo.messages.agent import DrainAgent, ShutdownAgent, UnregisterAgent

from .effects import Exit
from .state.agent_state import AgentState
from .state.agent_task import KillCause
from .state.step import Step
from .tasks import task_kills
from .tasks.kill_grace import drained_grace_s

# ---- for a while


def drain(state: AgentState, step: Step, message: DrainAgent) -> None:
    config = message.config
    state.drain = config
    cause = KillCause.DRAINING_FOR_GOOD if config.mark_gone else KillCause.DRAINING
    for task in state.checkpoint.live_tasks():
        grace_s = drained_grace_s(task.info, config)
        task_kills.kill(state, step, task, cause, grace_s=grace_s)


def reactivate(state: AgentState, _step: Step) -> None:
    state.drain = None


# ---- for good


def shutdown_requested(state: AgentState, step: Step) -> None:
    leave(state, step, Exit("shut down by its operator: all tasks have ended", True))


def refused(state: AgentState, step: Step, message: ShutdownAgent) -> None:
    leave(state, step, Exit(f"the master refuses this agent: {message.message}", False))


def leave(state: AgentState, step: Step, exit_: Exit) -> None:
    """Kill all tasks and exit when none is left. Later launches are refused."""
    state.leaving = exit_
    for task in state.checkpoint.live_tasks():
        task_kills.kill(state, step, task, KillCause.AGENT_SHUTDOWN)


def exit_if_empty(state: AgentState, step: Step, exit_: Exit) -> None:
    if state.checkpoint.live_tasks():
        return
    if exit_.wanted:
        step.send(state.conn, UnregisterAgent())
    step.do(exit_)
