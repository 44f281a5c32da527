"""Status updates: what the master tells of tasks, and what follows for instances (7.2, 8.3)."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import TaskStatus
from mezzo.cluster.states import Reason, may_move
from mezzo.core import Delete
from mezzo.messages.scheduler import Acknowledge, Kill, Update

from . import unreachable_instances
from .deployments import balancing
from .effects import UpdateDenied
from .health import rules
from .killing import killer
from .model.instance import Condition, Live, condition_of
from .news import StatusUpdated, UnknownInstanceTerminated
from .placement import backoff, launcher
from .state import instance_changes
from .state.marathon_state import MarathonState
from .state.step import Step
from .state.tables import INSTANCES

# What `lastTaskFailure` tells. An exit with 0 delays the next launch, but it is no failure.
_REMEMBERED: Final = frozenset(
    {Condition.FAILED, Condition.ERROR, Condition.GONE, Condition.DROPPED, Condition.UNKNOWN}
)

# ---- one update


def updated(state: MarathonState, step: Step, event: Update) -> None:
    status = event.status
    condition = condition_of(status)
    live = state.by_task.get(status.task_id)
    if live is None:
        _on_unknown(state, step, status, condition)
    elif status.agent_id is not None and status.agent_id != live.record.agent_id:
        # A new master may not know yet which agent has the task, and let another one speak of it.
        step.do(UpdateDenied(status.task_id, status.agent_id, status.state))
    else:
        state.unanswered.pop(status.task_id, None)
        if condition.terminal:
            _ended(state, step, live, condition, status)
        else:
            _lives(state, step, live, condition, status)
    if status.uuid is not None and status.agent_id is not None:
        # Effects leave once the step's writes are durable: an end is never forgotten.
        step.call(Acknowledge(status.agent_id, status.task_id, status.uuid))


def _on_unknown(state: MarathonState, step: Step, status: TaskStatus, condition: Condition) -> None:
    """A task that is none of ours any more (or never was) must not run.

    Unless its record was set aside: then the task goes on until that is deleted, or to its end.
    """
    instance_id = status.task_id.rpartition("._app.")[0] or str(status.task_id)
    key = INSTANCES.key(instance_id)
    if condition.terminal:
        if status.uuid is not None:
            if key in state.aside:
                step.write(Delete(key))
            app_id = "/" + instance_id.partition(".")[0].replace("_", "/")
            step.publish(UnknownInstanceTerminated(app_id, instance_id, condition))
    elif not condition.unreachable and key not in state.aside:
        step.call(Kill(status.task_id, status.agent_id))


def _ended(
    state: MarathonState, step: Step, live: Live, condition: Condition, status: TaskStatus
) -> None:
    _publish_update(step, live, status)
    live.state = status.state
    if not live.doomed:
        _note_failure(state, step, live, condition, status)
    killer.forget(state, step, live, condition)


def _note_failure(
    state: MarathonState, step: Step, live: Live, condition: Condition, status: TaskStatus
) -> None:
    """Note an end that nobody ordered."""
    unhealthy = condition is Condition.KILLED and status.healthy is False
    if unhealthy or condition.failure:
        backoff.failed(state, step, live.app)
    if unhealthy:
        message = rules.unhealthy_message(live)
        instance_changes.remember_failure(state, step, live, status.state, message)
    elif condition in _REMEMBERED:
        message = status.message or ""
        instance_changes.remember_failure(state, step, live, status.state, message)


def _lives(
    state: MarathonState, step: Step, live: Live, condition: Condition, status: TaskStatus
) -> None:
    if status.state is not live.state and not may_move(live.state, status.state):
        return  # an old update: we know better
    news = status.state is not live.state or not live.confirmed
    live.confirmed = True
    live.state = status.state
    live.message = status.message or ""
    if status.container_status is not None:
        infos = status.container_status.network_infos
        addresses = tuple(ip for info in infos for ip in info.ip_addresses)
        live.ip_addresses = addresses or live.ip_addresses
    if news:
        _publish_update(step, live, status)
    if condition is Condition.UNREACHABLE:
        unreachable_instances.lost_sight_of(state, step, live, status)
        return
    was_unreachable = live.condition.unreachable
    live.unreachable_since_s = None
    if condition is Condition.RUNNING:
        _runs(state, step, live, status)
    elif condition.starting:
        backoff.progressed(state, step, live.app)
    instance_changes.set_condition(state, step, live, condition)
    state.changed(live)
    if condition is Condition.RUNNING:
        rules.agent_said(state, step, live, status)
        rules.start_checks(step, live)
    if was_unreachable:
        # A replacement may run meanwhile.
        balancing.kill_surplus(state, live.record.app_id)


def _runs(state: MarathonState, step: Step, live: Live, status: TaskStatus) -> None:
    launcher.token_back(state, live)
    if live.condition.starting:
        backoff.progressed(state, step, live.app)
    if live.started_s is None:
        known = status.timestamp or step.now.wall_s
        # An answer of reconciliation carries its own time, not that of the start.
        reconciled = live.inherited and status.reason is Reason.RECONCILIATION
        live.started_s = live.record.staged_s if reconciled else known


def _publish_update(step: Step, live: Live, status: TaskStatus) -> None:
    record = live.record
    step.publish(
        StatusUpdated(
            record.app_id,
            task_id=record.task_id,
            agent_id=record.agent_id,
            host=record.host,
            version_ms=record.version_ms,
            state=status.state,
            message=status.message or "",
            addresses=live.addresses,
            ports=record.ports,
        )
    )
