"""Status updates: what the master tells of tasks, and what becomes of it (7.2, 8.3)."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import TaskStatus
from mezzo.cluster.states import Reason, may_move
from mezzo.core import SetTimer
from mezzo.ids import AgentId, ConnId, TaskId
from mezzo.messages.scheduler import Acknowledge, Kill, Reconcile, ReconcileTask

from .deployments.deployer import Deployer
from .effects import Call, UpdateDenied
from .health.rules import Health, unhealthy_message
from .killing.killer import Killer
from .model import timestamps
from .model.app import UnreachableStrategy
from .model.instance import Condition, Live, condition_of
from .placement.backoff import Backoffs
from .placement.launcher import Launcher
from .state.loading import INSTANCE
from .state.term_state import State

OVERDUE_TIMER: Final = "overdue"
INACTIVE_TIMER: Final = "inactive"
ASK_AGAIN_TIMER: Final = "ask-again"
_OVERDUE_S: Final = 5.0
_ASK_AGAIN_MIN_S: Final = 10.0
_ASK_AGAIN_MAX_S: Final = 60.0
# What `lastTaskFailure` tells. An exit with 0 delays the next launch, but it is no failure.
_REMEMBERED: Final = frozenset(
    {Condition.FAILED, Condition.ERROR, Condition.GONE, Condition.DROPPED, Condition.UNKNOWN}
)


class Updates:
    """Follows each instance from launch to end."""

    def __init__(
        self,
        state: State,
        killer: Killer,
        launcher: Launcher,
        backoffs: Backoffs,
        deployer: Deployer,
        health: Health,
    ) -> None:
        self._state = state
        self._killer = killer
        self._launcher = launcher
        self._backoffs = backoffs
        self._deployer = deployer
        self._health = health
        self._asked_after_s = _ASK_AGAIN_MIN_S
        self._unanswered: dict[TaskId, None] = {}  # asked for on this stream, and not heard of

    # ---- one update

    def on_update(self, conn: ConnId, status: TaskStatus) -> None:
        condition = condition_of(status)
        live = self._state.by_task.get(status.task_id)
        if live is None:
            self._on_unknown(conn, status, condition)
        elif status.agent_id is not None and status.agent_id != live.record.agent_id:
            # A new leader may not know yet whose the task is, and let another agent speak of it.
            self._state.do(UpdateDenied(status.task_id, status.agent_id, status.state))
        else:
            self._unanswered.pop(status.task_id, None)
            if condition.terminal:
                self._ended(live, condition, status)
            else:
                self._lives(live, condition, status)
        if status.uuid is not None and status.agent_id is not None:
            # Effects leave once the step's writes are durable: an end is never forgotten.
            ack = Acknowledge(status.agent_id, status.task_id, status.uuid)
            self._state.do(Call(conn, ack))

    def _on_unknown(self, conn: ConnId, status: TaskStatus, condition: Condition) -> None:
        """A task that is none of ours any more (or never was) must not run.

        Unless its record was set aside: then it goes on until that is deleted, or to its end.
        """
        instance_id = status.task_id.rpartition("._app.")[0] or str(status.task_id)
        key = f"{INSTANCE}/{instance_id}"
        if condition.terminal:
            if status.uuid is not None:
                if key in self._state.aside:
                    self._state.delete(key)
                self._state.publish(
                    "unknown_instance_terminated_event",
                    instanceId=instance_id,
                    runSpecId="/" + instance_id.partition(".")[0].replace("_", "/"),
                    condition=condition.value,
                )
        elif not condition.unreachable and key not in self._state.aside:
            self._state.do(Call(conn, Kill(status.task_id, status.agent_id)))

    def _ended(self, live: Live, condition: Condition, status: TaskStatus) -> None:
        self._publish_update(live, status)
        live.state = status.state
        if not live.doomed:
            self._note_failure(live, condition, status)
        self._launcher.token_back(live)
        self._killer.ended(live)
        self._state.forget(live, condition)

    def _note_failure(self, live: Live, condition: Condition, status: TaskStatus) -> None:
        """Of an end that nobody ordered."""
        unhealthy = condition is Condition.KILLED and status.healthy is False
        if unhealthy or condition.failure:
            self._backoffs.failed(live.app)
        if unhealthy:
            self._state.remember_failure(live, status.state, unhealthy_message(live))
        elif condition in _REMEMBERED:
            self._state.remember_failure(live, status.state, status.message or "")

    def _lives(self, live: Live, condition: Condition, status: TaskStatus) -> None:
        if status.state is not live.state and not may_move(live.state, status.state):
            return  # an old one: we know better
        news = status.state is not live.state or not live.confirmed
        live.confirmed = True
        live.state = status.state
        live.message = status.message or ""
        if status.container_status is not None:
            infos = status.container_status.network_infos
            addresses = tuple(ip for info in infos for ip in info.ip_addresses)
            live.ip_addresses = addresses or live.ip_addresses
        if news:
            self._publish_update(live, status)
        if condition is Condition.UNREACHABLE:
            self._unreachable(live, status)
            return
        was_unreachable = live.condition.unreachable
        live.unreachable_since = None
        if condition is Condition.RUNNING:
            self._runs(live, status)
        elif condition.starting:
            self._backoffs.progressed(live.app)
        self._state.set_condition(live, condition)
        self._state.changed(live)
        if condition is Condition.RUNNING:
            self._health.agent_said(live, status)
            self._health.start_checks(live)
        if was_unreachable:
            # A replacement may run meanwhile.
            self._deployer.kill_surplus(live.record.app_id)

    def _runs(self, live: Live, status: TaskStatus) -> None:
        self._launcher.token_back(live)
        if live.condition.starting:
            self._backoffs.progressed(live.app)
        if live.started_at is None:
            known = status.timestamp or self._state.now.wall_s
            # An answer of reconciliation carries its own time, not that of the start.
            reconciled = live.inherited and status.reason is Reason.RECONCILIATION
            live.started_at = live.record.staged_at if reconciled else known

    def _publish_update(self, live: Live, status: TaskStatus) -> None:
        record = live.record
        self._state.publish(
            "status_update_event",
            slaveId=record.agent_id,
            taskId=record.task_id,
            taskStatus=status.state.value,
            message=status.message or "",
            appId=record.app_id,
            host=record.host,
            ipAddresses=[
                {"ipAddress": ip.ip_address, "protocol": ip.protocol} for ip in live.addresses
            ],
            ports=list(record.ports),
            version=timestamps.format_ms(record.version_ms),
        )

    # ---- unreachable instances

    def _unreachable(self, live: Live, status: TaskStatus) -> None:
        if live.doomed:
            # It can't be told to end. If it comes back it is unknown, and killed as such.
            self._launcher.token_back(live)
            self._killer.ended(live)
            self._state.forget(live, Condition.KILLED)
            return
        if live.condition.unreachable:
            return
        self._state.stop_checks(live)
        since = status.unreachable_time or self._state.now.wall_s
        live.unreachable_since = since
        self._state.set_condition(live, Condition.UNREACHABLE)
        strategy = live.app.unreachable
        if strategy is None:
            return
        left_s = self._state.now.left_s(since, strategy.inactive_after_s)
        if left_s <= 0:
            self._state.set_condition(live, Condition.UNREACHABLE_INACTIVE)
        else:
            at_s = self._state.now.mono_s + left_s
            self._state.do(SetTimer((INACTIVE_TIMER, live.id), at_s))

    def inactive_due(self, instance_id: str) -> None:
        live = self._state.by_id.get(instance_id)
        if live is not None and live.condition is Condition.UNREACHABLE:
            self._state.set_condition(live, Condition.UNREACHABLE_INACTIVE)

    def expunge(self) -> None:
        """Forget the instances that have been unreachable for too long."""
        now = self._state.now
        for live in list(self._state.by_id.values()):
            if self._state.full:
                return  # the rest next time
            strategy: UnreachableStrategy | None = live.app.unreachable
            since = live.unreachable_since
            if strategy is None or since is None:
                continue
            if since > now.wall_s:  # the clock was set back: count anew
                live.unreachable_since = since = now.wall_s
            if live.condition.unreachable and now.wall_s - since >= strategy.expunge_after_s:
                self._launcher.token_back(live)
                self._state.forget(live, Condition.GONE)

    # ---- instances that don't come up

    def kill_overdue(self) -> None:
        """Launched, but nothing heard of it, or not running, for too long: start another."""
        config, now = self._state.config, self._state.now
        for live in list(self._state.by_id.values()):
            if not live.condition.starting or live.unsure:
                continue
            if self._state.is_aside(live.record.app_id):
                continue
            if live.condition is Condition.PROVISIONED:
                limit_s = config.task_launch_confirm_timeout_s
            else:
                limit_s = config.task_launch_timeout_s
            if not now.is_within_s(live.record.staged_at, limit_s):
                self._killer.doom(live)
        self._state.do(SetTimer(OVERDUE_TIMER, self._state.now.mono_s + _OVERDUE_S))

    # ---- reconciliation

    def ask_for_launches(self, conn: ConnId) -> None:
        """A launch may never have come to the master: ask for all that nothing was heard of."""
        tasks = tuple(
            ReconcileTask(live.record.task_id, live.record.agent_id)
            for live in self._state.by_id.values()
            if live.condition is Condition.PROVISIONED
        )
        if tasks:
            self._state.do(Call(conn, Reconcile(tasks)))

    def agent_lost(self, conn: ConnId, agent_id: AgentId) -> None:
        """The master gives an agent up, and has told of the tasks there that it knew. It knew none
        if the agent was never back since the master leads: ask for what we think runs there.
        """
        tasks = tuple(
            ReconcileTask(live.record.task_id, agent_id)
            for live in self._state.by_id.values()
            if live.record.agent_id == agent_id and not live.condition.unreachable
        )
        if tasks:
            self._state.do(Call(conn, Reconcile(tasks)))

    def reconcile(self, conn: ConnId) -> None:
        """Ask for what we know of, and then for whatever else the master knows of us."""
        tasks = tuple(
            ReconcileTask(live.record.task_id, AgentId(live.record.agent_id))
            for live in self._state.by_id.values()
        )
        if tasks:
            self._state.do(Call(conn, Reconcile(tasks)))
        self._state.do(Call(conn, Reconcile()))
        self._unanswered = {task.task_id: None for task in tasks}
        self._ask_again_in(_ASK_AGAIN_MIN_S)

    def ask_again(self, conn: ConnId | None) -> None:
        """Ask for those of which nothing was heard since: a master answers nothing of a task whose
        agent may still return. Less and less often, as Mesos advises who reconciles.
        """
        asked = (self._state.by_task.get(task_id) for task_id in self._unanswered)
        tasks = tuple(
            ReconcileTask(live.record.task_id, live.record.agent_id)
            for live in asked
            if live is not None
        )
        if conn is not None and tasks:
            self._state.do(Call(conn, Reconcile(tasks)))
            self._ask_again_in(min(self._asked_after_s * 2, _ASK_AGAIN_MAX_S))

    def _ask_again_in(self, seconds: float) -> None:
        self._asked_after_s = seconds
        self._state.do(SetTimer(ASK_AGAIN_TIMER, self._state.now.mono_s + seconds))
