"""The agent's core: a deterministic state machine. See `mezzo.core` for the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mezzo.core import Instant, Output, TimerFired
from mezzo.handlers import Handlers, on, when
from mezzo.ids import IdSource
from mezzo.messages.agent import (
    MASTER_MESSAGES,
    AgentRegistered,
    AgentReregistered,
    ApplyOperation,
    DrainAgent,
    FrameworkMessage,
    KillTask,
    OperationAcknowledged,
    Ping,
    ReactivateAgent,
    RunGroup,
    RunTask,
    ShutdownAgent,
    ShutdownExecutor,
    ShutdownFramework,
    UpdateAcknowledged,
)

from . import leaving, membership, recovering, views
from .config import AgentConfig
from .container import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerRemoved,
    ContainerStarted,
    LaunchFailed,
)
from .effects import AgentEffect
from .events import (
    AgentEvent,
    DiskMeasured,
    HealthObserved,
    MasterDown,
    MasterSaid,
    MasterUp,
    SandboxFound,
    SandboxRemoved,
    ShutdownRequested,
    Started,
    VolumeMade,
    VolumeRemoved,
)
from .resources import applying
from .state import loading
from .state.agent_state import AgentState
from .state.step import Step
from .tasks import (
    launches,
    lifecycle,
    outgoing_updates,
    sandbox_gc,
    task_kills,
    watching,
)
from .timers import (
    AgentTimer,
    AskAgain,
    DiskDue,
    HealthDue,
    LeaseDue,
    OperationOverdue,
    OutOfTime,
    PingOverdue,
    RemovalDue,
    UpdateOverdue,
)
from .views import AgentView


class AgentCore:
    """`stored`: what earlier lives of the agent have written. Raises Corrupt.

    The first event is `Started`.
    """

    def __init__(self, config: AgentConfig, stored: Mapping[str, bytes], ids: IdSource) -> None:
        self.state = AgentState(config, ids, loading.load(stored))

    def step(self, event: AgentEvent, now: Instant) -> Output[AgentEffect]:
        state = self.state
        step = Step(now)
        _EVENTS.handle(state, step, event)
        if state.leaving is not None:
            leaving.exit_if_empty(state, step, state.leaving)
        return step

    def view(self) -> AgentView:
        return views.view_of(self.state)


def _master_said(state: AgentState, step: Step, event: MasterSaid) -> None:
    if membership.obeys(state, step, event):
        _MESSAGES.handle(state, step, event.message)


def _no_executor(_state: AgentState, _step: Step) -> None:
    """The executor is not here. Messages to one are best effort: nobody waits for an answer."""


def _timer_fired(state: AgentState, step: Step, event: TimerFired) -> None:
    _TIMERS.handle(state, step, event.key)


_EVENTS: Final = Handlers(
    AgentEvent,
    on(Started, recovering.started),
    on(MasterUp, membership.up),
    on(MasterDown, membership.down),
    on(MasterSaid, _master_said),
    on(ContainerStarted, lifecycle.started),
    on(ContainerExited, lifecycle.exited),
    on(LaunchFailed, lifecycle.launch_failed),
    on(ContainerLost, lifecycle.lost),
    on(ContainerAbsent, lifecycle.absent),
    on(ContainerRemoved, sandbox_gc.container_removed),
    on(SandboxRemoved, sandbox_gc.sandbox_removed),
    on(SandboxFound, sandbox_gc.found),
    on(DiskMeasured, sandbox_gc.disk_measured),
    on(VolumeMade, applying.volume_made),
    on(VolumeRemoved, applying.volume_removed),
    on(HealthObserved, watching.health_observed),
    when(ShutdownRequested, leaving.shutdown_requested),
    on(TimerFired, _timer_fired),
)
# Of a master that this agent obeys.
_MESSAGES: Final = Handlers(
    MASTER_MESSAGES,
    on(AgentRegistered, membership.registered),
    on(AgentReregistered, membership.reregistered),
    on(Ping, membership.pinged),
    on(RunTask, launches.run_task),
    on(RunGroup, launches.refuse_group),
    on(KillTask, task_kills.kill_task),
    on(UpdateAcknowledged, outgoing_updates.acknowledged),
    on(ApplyOperation, applying.apply),
    on(OperationAcknowledged, applying.acknowledged),
    on(DrainAgent, leaving.drain),
    when(ReactivateAgent, leaving.reactivate),
    on(ShutdownFramework, task_kills.shutdown_framework),
    on(ShutdownAgent, leaving.refused),
    when(ShutdownExecutor, _no_executor),
    when(FrameworkMessage, _no_executor),
)
_TIMERS: Final = Handlers(
    AgentTimer,
    on(UpdateOverdue, outgoing_updates.overdue),
    on(OperationOverdue, applying.overdue),
    on(LeaseDue, watching.lease_due),
    on(HealthDue, watching.health_due),
    on(OutOfTime, watching.out_of_time),
    on(RemovalDue, sandbox_gc.removal_due),
    when(DiskDue, sandbox_gc.disk_due),
    when(AskAgain, membership.ask_again),
    when(PingOverdue, membership.ping_overdue),
)
