"""The agent as a deterministic state machine. Here is who is told of what; the rules are beside:

membership.py   registration, epochs, pings
tasks/          a task from launch to what it leaves behind; how long unique ones may run
health/         what a health check's results mean
resources/      reservations and volumes
resending.py    what is sent again until it is acknowledged
state/          all that is durable
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mezzo.cluster.model import DrainConfig, FrameworkInfo, TaskInfo, TaskStatus
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.core import Instant, Output, TimerFired
from mezzo.ids import ContainerId, FrameworkId, IdSource, TaskId
from mezzo.messages.agent import (
    AgentRegistered,
    AgentReregistered,
    ApplyOperation,
    DrainAgent,
    FrameworkMessage,
    KillTask,
    KnownTask,
    OperationAcknowledged,
    Ping,
    ReactivateAgent,
    RunGroup,
    RunTask,
    ShutdownAgent,
    ShutdownExecutor,
    ShutdownFramework,
    StatusUpdate,
    UnregisterAgent,
    UpdateAcknowledged,
)
from mezzo.record import replace
from mezzo.units import shown

from . import container as c
from . import effects as do
from . import events as e
from . import timers as t
from .config import AgentConfig
from .membership import Membership
from .resources.applying import Operations
from .state.agent_state import AgentState, Out
from .state.agent_task import AgentTask, KillCause
from .tasks.container_spec import refusal, unknown_resources, wrong_ids
from .tasks.kill_grace import grace_when_drained
from .tasks.lifecycle import Lifecycle
from .tasks.outgoing_updates import Updates
from .tasks.sandbox_gc import Cleaner
from .tasks.unique_leases import Leases
from .tasks.verdicts import Verdict, not_launched, not_running
from .views import AgentView


class AgentCore:
    """`stored`: what its writes of earlier lives have left in the store. Raises Corrupt."""

    def __init__(self, config: AgentConfig, stored: Mapping[str, bytes], ids: IdSource) -> None:
        self._config = config
        self._state = AgentState(stored)
        self._updates = Updates()
        self._operations = Operations(config, self._state, ids)
        self._leases = Leases(self._state)
        self._membership = Membership(
            config, self._state, self._updates, self._operations, self._leases
        )
        self._cleaner = Cleaner(config, self._state)
        self._life = Lifecycle(config, self._state, ids, self._updates, self._cleaner, self._leases)
        # Not stored: the master remembers, and says it again after each registration.
        self._drain: DrainConfig | None = None
        self._exit: do.Exit | None = None  # wanted as soon as no container runs any more
        self._handlers: dict[type[Any], Callable[[Any, Instant, Out], None]] = {
            e.Started: self._started,
            e.MasterUp: self._membership.up,
            e.MasterDown: self._membership.down,
            e.MasterSaid: self._master_said,
            c.ContainerStarted: self._life.started,
            c.ContainerExited: self._life.exited,
            c.LaunchFailed: self._life.launch_failed,
            c.ContainerLost: self._life.lost,
            c.ContainerAbsent: self._life.absent,
            c.ContainerRemoved: self._cleaner.container_removed,
            e.SandboxRemoved: self._cleaner.sandbox_removed,
            e.SandboxFound: self._cleaner.found,
            e.DiskMeasured: self._cleaner.disk_measured,
            e.VolumeMade: self._operations.volume_made,
            e.VolumeRemoved: self._operations.volume_removed,
            e.HealthObserved: self._life.health_observed,
            e.ShutdownRequested: self._shutdown_requested,
            TimerFired: self._timer_fired,
        }

    def step(self, event: e.AgentEvent, now: Instant) -> Out:
        out: Out = Output()
        self._handlers[type(event)](event, now, out)
        if self._exit is not None:
            self._exit_if_empty(self._exit, out)
        return out

    def view(self) -> AgentView:
        identity = self._state.identity
        return AgentView(
            config=self._config,
            resources=self._operations.total,
            drain=self._drain,
            registered=self._membership.registered,
            epoch=self._state.epoch,
            agent_id=None if identity is None else identity.agent_id,
            tasks=tuple(self._state.tasks.values()),
            remains=tuple(self._state.remains.values()),
            aside=tuple(self._state.aside.items()),
        )

    def knows(self, container_id: ContainerId) -> bool:
        """Is it a task's, or of one that ended and is still to be removed? Others are nobody's."""
        remains = self._state.remains.get(container_id)
        to_be_removed = remains is not None and not remains.container_removed
        return to_be_removed or self._state.task_of(container_id) is not None

    def knows_sandbox(self, container_id: ContainerId) -> bool:
        """As `knows`, of what is kept for longer."""
        return self._state.task_of(container_id) is not None or container_id in self._state.remains

    def has_forgotten(self, framework_id: FrameworkId, task_id: TaskId) -> bool:
        """True if the task's end was acknowledged: it must never be heard of again."""
        key = (framework_id, task_id)
        return key not in self._state.tasks and self._state.has_ended(key)

    # ---- life of the agent

    def _started(self, event: e.Started, now: Instant, out: Out) -> None:
        rebooted = self._membership.recall(event.boot_id, out)
        self._leases.recall(event.boot_id, event.up_s, now)
        self._cleaner.started(now, out)
        self._operations.started(out)
        if rebooted:
            for task in self._live_tasks():
                verdict = Verdict(
                    TaskState.FAILED,
                    "the machine was rebooted",
                    Source.AGENT,
                    Reason.EXECUTOR_TERMINATED,
                )
                self._life.end(task, verdict, now, out)
        else:
            for task in self._live_tasks():
                if not self._state.frameworks[task.framework_id].checkpoint:
                    self._life.want_dead(task, KillCause.NOT_CHECKPOINTED, now, out)
                if task.info.unique_lease is not None:
                    self._life.recall_lease(self._state.tasks[task.key], now, out)
            if live := self._live_tasks():
                specs = tuple(self._life.spec(task) for task in live)
                out.effects.append(do.RecoverContainers(specs))
        if event.cleanup:
            self._leave(do.Exit("recovered for cleanup: all tasks have ended", True), now, out)

    def _shutdown_requested(self, event: e.ShutdownRequested, now: Instant, out: Out) -> None:
        self._leave(do.Exit("shut down by its operator: all tasks have ended", True), now, out)

    def _leave(self, exit_: do.Exit, now: Instant, out: Out) -> None:
        """Kill all tasks and exit when none is left. Later launches are refused."""
        self._exit = exit_
        for task in self._live_tasks():
            self._life.kill(task, KillCause.AGENT_SHUTDOWN, now, out)

    def _exit_if_empty(self, exit_: do.Exit, out: Out) -> None:
        if self._live_tasks():
            return
        if exit_.wanted and self._membership.conn is not None:
            out.effects.append(do.Send(self._membership.conn, UnregisterAgent()))
        out.effects.append(exit_)

    def _live_tasks(self) -> list[AgentTask]:
        return [task for task in self._state.tasks.values() if task.live]

    # ---- what the master says

    def _master_said(self, event: e.MasterSaid, now: Instant, out: Out) -> None:
        if not self._membership.obeys(event, out):
            return
        match event.message:
            case AgentRegistered() as message:
                self._membership.registered_as(message.agent_id, now, out)
            case AgentReregistered() as message:
                self._drain = None
                self._membership.welcomed_back(now, out)
                for known in message.reconcile:
                    self._reconcile(known, now, out)
            case Ping() as message:
                self._membership.pinged(message, now, out)
            case RunTask() as message:
                self._run_task(message, now, out)
            case KillTask() as message:
                self._kill_task(message, now, out)
            case UpdateAcknowledged() as message:
                self._acknowledged(message, now, out)
            case RunGroup() as message:
                self._refuse_group(message, now, out)
            case ApplyOperation() as message:
                self._operations.apply(message, now, out)
            case OperationAcknowledged() as message:
                self._operations.acknowledged(message, out)
            case DrainAgent() as message:
                self._drain_agent(message.config, now, out)
            case ReactivateAgent():
                self._drain = None
            case ShutdownFramework() as message:
                self._shutdown_framework(message.framework_id, now, out)
            case ShutdownAgent() as message:
                reason = f"the master refuses this agent: {message.message}"
                self._leave(do.Exit(reason, False), now, out)
            case ShutdownExecutor() | FrameworkMessage():
                pass  # of an executor that is not here: both are best effort

    def _reconcile(self, known: KnownTask, now: Instant, out: Out) -> None:
        """The master waits for a task whose launch has never arrived here, or whose end was told to
        a master that was deposed, and has been forgotten: say so, reliably."""
        key = (known.framework_id, known.task_id)
        identity = self._state.identity
        if key in self._state.tasks or identity is None or wrong_ids(*key) is not None:
            return
        task = AgentTask(known.framework_id, TaskInfo("", known.task_id, identity.agent_id))
        framework = self._state.frameworks.get(known.framework_id)
        if self._state.is_settled(key):
            state, why = not_running(framework), "it has ended here, as was acknowledged before"
        else:
            state, why = not_launched(framework), "the launch never reached the agent"
        verdict = Verdict(state, why, Source.AGENT, Reason.AGENT_RESTARTED)
        self._life.end(task, verdict, now, out)

    def _run_task(self, message: RunTask, now: Instant, out: Out) -> None:
        task = self._new_task(message.framework, message.task, message.role, now, out)
        if task is None:
            return
        refused = self._refused(message.framework, message.task, now)
        if refused is None:
            self._life.launch(task, now, out)
        else:
            self._life.end(task, refused, now, out)

    def _refuse_group(self, message: RunGroup, now: Instant, out: Out) -> None:
        """A group needs an executor, and this agent has none."""
        for info in message.tasks:
            task = self._new_task(message.framework, info, message.role, now, out)
            if task is not None:
                refused = self._not_now(message.framework) or Verdict(
                    TaskState.ERROR,
                    "this agent runs no executors, and so no task groups: launch each task by "
                    "itself, described by `command` or by `container`",
                    Source.AGENT,
                    Reason.TASK_GROUP_INVALID,
                )
                self._life.end(task, refused, now, out)

    def _new_task(
        self, framework: FrameworkInfo, info: TaskInfo, role: str, now: Instant, out: Out
    ) -> AgentTask | None:
        """None for a repeated launch (a task id runs at most once), and for what can't be kept."""
        if framework.id is None:
            return None  # nobody could be told
        if (wrong := wrong_ids(framework.id, info.task_id)) is not None:
            self._tell_once(framework.id, info, wrong, now, out)
            return None
        key = (framework.id, info.task_id)
        if key in self._state.tasks or self._state.has_ended(key):
            return None
        self._state.put_framework(framework.id, framework, out)
        return AgentTask(framework.id, info, role)

    def _tell_once(
        self, framework_id: FrameworkId, info: TaskInfo, wrong: str, now: Instant, out: Out
    ) -> None:
        """Of a task that can't even be stored. A master that is asked about it knows it no more."""
        if self._membership.conn is None:
            return
        status = TaskStatus(
            task_id=info.task_id,
            state=TaskState.ERROR,
            message=wrong,
            source=Source.AGENT,
            reason=Reason.TASK_INVALID,
            agent_id=info.agent_id,
            timestamp=now.wall_s,
        )
        update = StatusUpdate(framework_id, status, TaskState.ERROR)
        out.effects.append(do.Send(self._membership.conn, update))

    def _refused(self, framework: FrameworkInfo, info: TaskInfo, now: Instant) -> Verdict | None:
        if (refused := self._not_now(framework)) is not None:
            return refused
        identity = self._state.identity
        if identity is None or info.agent_id != identity.agent_id:
            wrong: str | None = f"task.agent_id {shown(info.agent_id)} is another agent"
        else:
            wrong = refusal(info, self._config)
        if wrong is not None:
            return Verdict(TaskState.ERROR, wrong, Source.AGENT, Reason.TASK_INVALID)
        if unknown_resources(info, self._operations.total):
            return Verdict(
                not_launched(framework),
                "the agent does not have the reservations or volumes that the task is to use",
                Source.AGENT,
                Reason.RESOURCES_UNKNOWN,
            )
        if info.unique_lease is not None and now.mono_s >= self._leases.kill_at(info):
            # This process was frozen, say, and the launch has waited for it.
            return Verdict(
                not_launched(framework),
                f"its unique_lease of {info.unique_lease:g} s was over before it could be launched",
                Source.AGENT,
                Reason.MASTER_DISCONNECTED,
            )
        return None

    def _not_now(self, framework: FrameworkInfo) -> Verdict | None:
        """What becomes of any launch while the agent takes none."""
        if self._exit is not None:
            why, reason = "the agent is shutting down", Reason.AGENT_REMOVED
        elif self._drain is not None:
            why, reason = "the agent is draining", Reason.AGENT_DRAINING
        else:
            return None
        return Verdict(not_launched(framework), why, Source.AGENT, reason)

    def _drain_agent(self, config: DrainConfig, now: Instant, out: Out) -> None:
        self._drain = config
        cause = KillCause.DRAINING_FOR_GOOD if config.mark_gone else KillCause.DRAINING
        for task in self._live_tasks():
            grace_s = grace_when_drained(task.info, config)
            self._life.kill(task, cause, now, out, grace_s=grace_s)

    def _kill_task(self, message: KillTask, now: Instant, out: Out) -> None:
        task = self._state.tasks.get((message.framework_id, message.task_id))
        if task is None or not task.live:
            return  # it has ended meanwhile; its update is on the way or was acknowledged
        policy = message.kill_policy
        grace_s = policy.grace_period if policy is not None else None
        self._life.kill(task, KillCause.REQUESTED, now, out, grace_s=grace_s)

    def _acknowledged(self, message: UpdateAcknowledged, now: Instant, out: Out) -> None:
        task = self._state.tasks.get((message.framework_id, message.task_id))
        if task is None or not task.pending or task.pending[0].uuid != message.uuid:
            return  # a late or repeated one
        self._updates.settled(task.key, out)
        if task.pending[0].state.terminal:
            self._state.forget_task(task, out)
            return
        task = replace(task, pending=task.pending[1:])
        self._state.put_task(task, out)
        self._updates.push(task, now, out)

    def _shutdown_framework(self, framework_id: FrameworkId, now: Instant, out: Out) -> None:
        for task in list(self._state.tasks.values()):
            if task.framework_id != framework_id:
                continue
            if task.live:
                self._life.kill(task, KillCause.FRAMEWORK_REMOVED, now, out)
            else:
                self._life.forget_unheard(task, out)
        self._operations.framework_removed(framework_id, out)

    # ---- timers

    def _timer_fired(self, event: TimerFired, now: Instant, out: Out) -> None:
        match event.key:
            case t.UpdateOverdue(framework_id, task_id):
                if (task := self._state.tasks.get((framework_id, task_id))) is not None:
                    self._updates.repeat(task, now, out)
            case t.OperationOverdue(uuid):
                self._operations.repeat(uuid, now, out)
            case t.LeaseDue(container_id):
                self._life.lease_due(container_id, now, out)
            case t.HealthDue(container_id):
                self._life.health_due(container_id, out)
            case t.OutOfTime(container_id):
                self._life.out_of_time(container_id, now, out)
            case t.RemovalDue(container_id):
                self._cleaner.removal_due(container_id, out)
            case t.DiskDue():
                self._cleaner.disk_due(out)
            case t.AskAgain():
                self._membership.ask_again(now, out)
            case t.PingOverdue():
                self._membership.ping_overdue(now, out)
