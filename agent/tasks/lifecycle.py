"""What becomes of a task from its launch to its end, and when its framework is told. Pure."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import (
    Capability,
    ContainerStatus,
    FrameworkInfo,
    IpAddress,
    NetworkInfo,
    TaskStatus,
)
from mezzo.cluster.states import Reason, Source, TaskState, may_move
from mezzo.core import CancelTimer, Instant, SetTimer
from mezzo.ids import ContainerId, IdSource
from mezzo.record import replace

from ..config import AgentConfig
from ..container import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerSpec,
    ContainerStarted,
    Kind,
    LaunchFailed,
)
from ..effects import KillContainer, LaunchContainer, ProbeHealth
from ..events import HealthObserved
from ..health.rules import judge
from ..state.agent_state import AgentState, Out
from ..state.agent_task import AgentTask, Kill, KillCause
from ..timers import HealthDue, LeaseDue, OutOfTime
from .container_spec import kind_of, mounts_of, probe_address, spec_of
from .kill_grace import grace_of
from .outgoing_updates import Updates
from .sandbox_gc import Cleaner
from .unique_leases import Leases
from .verdicts import Verdict, killing_of, verdict_of_exit, verdict_of_kill

_MESSAGE_MAX: Final = 4096  # characters; what a program or an engine says may have no end
_INTERVAL_MIN_S: Final = 0.05  # between two health checks, whatever is asked for
_TICK_S: Final = 0.001  # two clocks may differ by what a float rounds


class Lifecycle:
    """Every change of a task's state goes through `_report`; every end through `end`."""

    def __init__(
        self,
        config: AgentConfig,
        state: AgentState,
        ids: IdSource,
        updates: Updates,
        cleaner: Cleaner,
        leases: Leases,
    ) -> None:
        self._config = config
        self._state = state
        self._ids = ids
        self._updates = updates
        self._cleaner = cleaner
        self._leases = leases
        self._failures: dict[ContainerId, int] = {}  # consecutive failed health checks

    # ---- launch

    def launch(self, task: AgentTask, now: Instant, out: Out) -> None:
        """Store the task with its container's id, then have it started."""
        task = replace(task, container_id=ContainerId(self._ids.uuid()))
        self._report(task, TaskState.STARTING, now, out)
        if task.info.unique_lease is not None:
            self._leases.begin(task.info, out)
            self._watch_lease(task, now, out)
        out.effects.append(LaunchContainer(self.spec(task)))

    def spec(self, task: AgentTask) -> ContainerSpec:
        mounts = mounts_of(task.info.resources, self._state.volumes())
        return spec_of(task, self._state.frameworks[task.framework_id], self._config, mounts)

    def started(self, event: ContainerStarted, now: Instant, out: Out) -> None:
        task = self._live(event.container_id)
        if task is None:
            return
        if task.kill is not None:  # asked for while it was launched, or before a restart
            self._order_kill(task, now, out)
            return
        if task.started_s is None:  # else it was found again after a restart: no news
            networks = event.network_infos or self._host_network(task)
            status = ContainerStatus(event.container_id, networks, event.pid)
            task = replace(task, started_s=now.wall_s)
            task = self._report(
                task, TaskState.RUNNING, now, out, container=status, data=event.data
            )
        self._start_watching(task, event.container_id, now, out)

    def _host_network(self, task: AgentTask) -> tuple[NetworkInfo, ...]:
        """A process has the address of its host. Of containers the engine tells."""
        ip = self._config.info.ip
        if ip is None or kind_of(task.info) is not Kind.PROCESS:
            return ()
        return (NetworkInfo((IpAddress(ip, "IPv6" if ":" in ip else "IPv4"),)),)

    # ---- ends

    def exited(self, event: ContainerExited, now: Instant, out: Out) -> None:
        task = self._live(event.container_id)
        if task is None:
            return
        if task.kill is None and task.started_s is None:
            # Over before anybody saw it run. But it ran, and frameworks count on hearing so.
            task = self._report(
                replace(task, started_s=now.wall_s),
                TaskState.RUNNING,
                now,
                out,
                container=ContainerStatus(event.container_id, self._host_network(task)),
            )
        self.end(task, verdict_of_exit(task, self._framework(task), event), now, out)

    def launch_failed(self, event: LaunchFailed, now: Instant, out: Out) -> None:
        task = self._live(event.container_id)
        if task is not None:
            reason = Reason.CONTAINER_LAUNCH_FAILED
            self._end_without_exit(task, event.message, reason, now, out)

    def lost(self, event: ContainerLost, now: Instant, out: Out) -> None:
        task = self._live(event.container_id)
        if task is not None:
            reason = Reason.EXECUTOR_TERMINATED
            self._end_without_exit(task, event.message, reason, now, out)

    def absent(self, event: ContainerAbsent, now: Instant, out: Out) -> None:
        task = self._live(event.container_id)
        if task is None:
            return
        if task.kill is None and task.started_s is None:
            # We stopped between storing the task and launching it, or the launch got nowhere.
            out.effects.append(LaunchContainer(self.spec(task)))
        else:
            message = "its container is gone: somebody removed it while the agent was away"
            self._end_without_exit(task, message, Reason.EXECUTOR_TERMINATED, now, out)

    def _end_without_exit(
        self, task: AgentTask, message: str, reason: Reason, now: Instant, out: Out
    ) -> None:
        if task.kill is not None:
            verdict = verdict_of_kill(task, self._framework(task), task.kill.cause)
        else:
            verdict = Verdict(TaskState.FAILED, message, Source.AGENT, reason)
        self.end(task, verdict, now, out)

    def end(self, task: AgentTask, verdict: Verdict, now: Instant, out: Out) -> None:
        """The task is over. What its container has left is kept for a while."""
        if task.container_id is not None:
            self._stop_watching(task.container_id, out)
            self._cleaner.ended(task, now, out)
        if task.kill is not None and task.kill.cause is KillCause.FRAMEWORK_REMOVED:
            self.forget_unheard(task, out)
            return
        self._report(
            task,
            verdict.state,
            now,
            out,
            message=verdict.message,
            source=verdict.source,
            reason=verdict.reason,
            healthy=verdict.healthy,
        )

    def forget_unheard(self, task: AgentTask, out: Out) -> None:
        """Nobody is left who would acknowledge: drop an ended task with its updates."""
        self._updates.settled(task.key, out)
        self._state.forget_task(task, out)

    # ---- kills

    def kill(
        self,
        task: AgentTask,
        cause: KillCause,
        now: Instant,
        out: Out,
        *,
        grace_s: float | None = None,
    ) -> None:
        """Have a live task killed, and tell its framework if it wants to know.

        grace_s between SIGTERM and SIGKILL; None: the task's own.
        """
        first = task.kill is None
        task = self.want_dead(task, cause, now, out, grace_s=grace_s)
        self._order_kill(task, now, out)
        framework = self._framework(task)
        wants = framework is not None and framework.can(Capability.TASK_KILLING_STATE)
        if first and wants and task.state is TaskState.RUNNING:
            why = killing_of(task, framework, cause)
            self._report(
                task,
                TaskState.KILLING,
                now,
                out,
                message=why.message,
                source=why.source,
                reason=why.reason,
            )

    def want_dead(
        self,
        task: AgentTask,
        cause: KillCause,
        now: Instant,
        out: Out,
        *,
        grace_s: float | None = None,
    ) -> AgentTask:
        """Store that the task is to be killed. The first cause stays, the earlier time wins.

        Unless its framework is removed: then nobody is to be told of its end.
        """
        grace_s = grace_of(task.info) if grace_s is None else grace_s
        kill_at_s = now.wall_s + grace_s
        if task.kill is not None:
            if cause is not KillCause.FRAMEWORK_REMOVED:
                cause = task.kill.cause
            if task.kill.kill_at_s < kill_at_s:
                kill_at_s, grace_s = task.kill.kill_at_s, task.kill.grace_s
        task = replace(task, kill=Kill(cause, kill_at_s, grace_s))
        self._state.put_task(task, out)
        return task

    def _order_kill(self, task: AgentTask, now: Instant, out: Out) -> None:
        assert task.container_id is not None
        assert task.kill is not None
        lasts_s = grace_of(task.info) if task.kill.grace_s is None else task.kill.grace_s
        grace_s = now.left_s(task.kill.kill_at_s - lasts_s, lasts_s)
        if task.info.unique_lease is not None and self._lease_ends(task, now):
            grace_s = min(grace_s, self._left_s(task, now))  # whatever was done to the wall clock
        out.effects.append(KillContainer(task.container_id, kind_of(task.info), grace_s))

    # ---- watching: the health check and the time limit of a running task

    def _start_watching(
        self, task: AgentTask, container_id: ContainerId, now: Instant, out: Out
    ) -> None:
        assert task.started_s is not None
        limit_s = task.info.max_completion_time
        if limit_s is not None:
            left_s = now.left_s(task.started_s, limit_s)
            out.effects.append(SetTimer(OutOfTime(container_id), now.mono_s + left_s))
        check = task.info.health_check
        if check is not None:
            out.effects.append(SetTimer(HealthDue(container_id), now.mono_s + check.delay_seconds))

    def _stop_watching(self, container_id: ContainerId, out: Out) -> None:
        self._failures.pop(container_id, None)
        out.effects += [
            CancelTimer(HealthDue(container_id)),
            CancelTimer(OutOfTime(container_id)),
            CancelTimer(LeaseDue(container_id)),
        ]

    def health_due(self, container_id: ContainerId, out: Out) -> None:
        task = self._live(container_id)
        if task is None or task.kill is not None or task.info.health_check is None:
            return
        host, port = probe_address(task, self._config)
        out.effects.append(
            ProbeHealth(
                task.framework_id,
                task.info.task_id,
                container_id,
                kind_of(task.info),
                task.info.health_check,
                host,
                port,
            )
        )

    def health_observed(self, event: HealthObserved, now: Instant, out: Out) -> None:
        task = self._live(event.container_id)
        if task is None or task.kill is not None:
            return
        check = task.info.health_check
        assert check is not None
        assert task.started_s is not None
        verdict = judge(
            check,
            passed=event.passed,
            failures=self._failures.get(event.container_id, 0),
            reported=task.healthy,
            running_for_s=abs(now.wall_s - task.started_s),  # see Instant.is_within_s
        )
        self._failures[event.container_id] = verdict.failures
        if verdict.report:
            task = self._report(
                task,
                TaskState.RUNNING,
                now,
                out,
                healthy=event.passed,
                message=event.message or None,
                reason=Reason.TASK_HEALTH_CHECK_STATUS_UPDATED,
            )
        if verdict.kill:
            self.kill(task, KillCause.UNHEALTHY, now, out)
        else:
            next_s = now.mono_s + max(_INTERVAL_MIN_S, check.interval_seconds)
            out.effects.append(SetTimer(HealthDue(event.container_id), next_s))

    def out_of_time(self, container_id: ContainerId, now: Instant, out: Out) -> None:
        task = self._live(container_id)
        if task is not None and task.kill is None:
            self.kill(task, KillCause.MAX_COMPLETION_TIME, now, out)

    # ---- unique tasks

    def recall_lease(self, task: AgentTask, now: Instant, out: Out) -> None:
        """After a restart: a lease that has run out meanwhile ends the task, whatever is found."""
        if self._lease_ends(task, now):
            self.want_dead(task, KillCause.LEASE_OVER, now, out, grace_s=self._left_s(task, now))
        else:
            self._watch_lease(task, now, out)

    def lease_due(self, container_id: ContainerId, now: Instant, out: Out) -> None:
        task = self._live(container_id)
        if task is None:
            return
        if self._lease_ends(task, now):
            # Also of a task that is being killed: perhaps with more grace than the lease allows.
            self.kill(task, KillCause.LEASE_OVER, now, out, grace_s=self._left_s(task, now))
        else:
            self._watch_lease(task, now, out)

    def _watch_lease(self, task: AgentTask, now: Instant, out: Out) -> None:
        assert task.container_id is not None
        at_s = max(now.mono_s, self._leases.kill_at(task.info))
        out.effects.append(SetTimer(LeaseDue(task.container_id), at_s))

    def _lease_ends(self, task: AgentTask, now: Instant) -> bool:
        """Is it time to kill it?"""
        return now.mono_s + _TICK_S >= self._leases.kill_at(task.info)

    def _left_s(self, task: AgentTask, now: Instant) -> float:
        return max(0.0, self._leases.over_at(task.info) - now.mono_s)

    # ---- reports

    def _report(
        self,
        task: AgentTask,
        state: TaskState,
        now: Instant,
        out: Out,
        *,
        message: str | None = None,
        source: Source = Source.EXECUTOR,
        reason: Reason | None = None,
        healthy: bool | None = None,
        container: ContainerStatus | None = None,
        data: bytes | None = None,
    ) -> AgentTask:
        """Give the task its next state, stored, and its framework a reliable update of it."""
        assert may_move(task.state, state), f"{task.key}: {task.state} -> {state}"
        if container is None and task.container_id is not None:
            container = task.container_status or ContainerStatus(task.container_id)
        status = TaskStatus(
            task_id=task.info.task_id,
            state=state,
            message=None if message is None else message[:_MESSAGE_MAX],
            source=source,
            reason=reason,
            data=data,
            agent_id=task.info.agent_id,
            timestamp=now.wall_s,
            uuid=self._ids.uuid_bytes(),
            healthy=healthy,
            container_status=container,
        )
        task = task.with_status(status)
        self._state.put_task(task, out)
        self._updates.push(task, now, out)
        return task

    # ---- looking up

    def _live(self, container_id: ContainerId) -> AgentTask | None:
        """The task of a container, unless it is over: late and repeated reports are no news."""
        task = self._state.task_of(container_id)
        return task if task is not None and task.live else None

    def _framework(self, task: AgentTask) -> FrameworkInfo | None:
        return self._state.frameworks.get(task.framework_id)
