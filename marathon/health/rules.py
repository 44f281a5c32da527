"""Health of instances (section 10): the meaning of probes, and when an instance is to be killed.

The probes themselves are made elsewhere: by the agents, or by `probe`. Their results are kept in
memory only: a new leader knows nothing until the next one.
"""

from __future__ import annotations

from mezzo.cluster.model import TaskStatus
from mezzo.cluster.states import TaskState

from ..effects import StartHealthCheck
from ..events import HealthResult
from ..killing import killer
from ..model.app import HealthCheck
from ..model.instance import CheckState, Condition, Live
from ..news import (
    HealthCheckFailed,
    HealthStatusChanged,
    InstanceHealthChanged,
    UnhealthyInstanceKilled,
)
from ..placement import backoff
from ..state import instance_changes
from ..state.marathon_state import MarathonState
from ..state.step import Step


def start_checks(step: Step, live: Live) -> None:
    """The instance runs: have Marathon's own checks of it made from now on."""
    if live.checking or live.doomed:
        return
    for index, check in enumerate(live.app.health_checks):
        if check.protocol.by_agent:
            continue
        address = _address(live, check)
        if address is None:
            continue
        live.checking = True
        host, port = address
        step.do(StartHealthCheck(live.id, index, check, host, port, live.record.app_id))


def agent_said(state: MarathonState, step: Step, live: Live, status: TaskStatus) -> None:
    """The agent's own check came with a status update."""
    if status.healthy is None:
        return
    for index, check in enumerate(live.app.health_checks):
        if check.protocol.by_agent:
            _observe(state, step, live, index, status.healthy, status.message)


def probed(state: MarathonState, step: Step, result: HealthResult) -> None:
    live = state.by_id.get(result.instance_id)
    if live is None or not live.checking or result.alive is None:
        return
    _observe(state, step, live, result.index, result.alive, result.cause)


def _observe(
    state: MarathonState, step: Step, live: Live, index: int, alive: bool, cause: str | None
) -> None:
    check, seen = live.app.health_checks[index], live.checks[index]
    before = live.healthy
    now_s = step.now.wall_s
    if alive:
        seen.alive = True
        seen.consecutive_failures = 0
        seen.first_success_s = seen.first_success_s or now_s
        seen.last_success_s = now_s
        seen.cause = None
    else:
        _failed(step, live, check, seen, cause)
    state.changed(live)
    if live.healthy is not before:
        _publish_change(step, live)
    limit = check.max_consecutive_failures
    # The agent kills by itself a task that its own checks find dead.
    if limit and seen.consecutive_failures >= limit and not check.protocol.by_agent:
        _kill(state, step, live, cause)


def _failed(
    step: Step, live: Live, check: HealthCheck, seen: CheckState, cause: str | None
) -> None:
    started = live.started_s or live.record.staged_s
    if seen.first_success_s is None and step.now.is_within_s(started, check.grace_s):
        return  # the instance may still be coming up
    seen.alive = False
    seen.consecutive_failures += 1
    seen.last_failure_s = step.now.wall_s
    seen.cause = cause
    step.publish(HealthCheckFailed(live.record.app_id, live.record.task_id, live.id, check))


def _publish_change(step: Step, live: Live) -> None:
    app_id, version = live.record.app_id, live.record.version_ms
    healthy = live.healthy
    step.publish(HealthStatusChanged(app_id, live.id, version, alive=healthy is True))
    step.publish(InstanceHealthChanged(app_id, live.id, version, healthy))


def _kill(state: MarathonState, step: Step, live: Live, cause: str | None) -> None:
    if live.doomed or live.condition is not Condition.RUNNING:
        return
    record = live.record
    step.publish(
        UnhealthyInstanceKilled(
            record.app_id,
            task_id=record.task_id,
            instance_id=record.id,
            agent_id=record.agent_id,
            host=record.host,
            version_ms=record.version_ms,
            reason=cause or "health check failed",
        )
    )
    instance_changes.stop_checks(step, live)
    # A failure of the app, as an exit would be. Counted now and not at the end of the instance:
    # its replacement is wanted from now on.
    backoff.failed(state, step, live.app)
    message = unhealthy_message(live)
    instance_changes.remember_failure(state, step, live, TaskState.KILLED, message)
    killer.doom(state, live)


def unhealthy_message(live: Live) -> str:
    """Why an instance was killed for its health: the last words of its checks."""
    causes = [check.cause for check in live.checks if check.alive is False and check.cause]
    return ": ".join(["killed because its health check failed", *causes[:1]])


def _address(live: Live, check: HealthCheck) -> tuple[str, int] | None:
    """The address to probe: the host's port if there is one, else the container's own address."""
    record = live.record
    if check.port:
        return record.host, check.port
    index = check.port_index or 0
    if index >= len(record.host_ports):
        return None
    host_port = record.host_ports[index]
    if host_port is not None:
        return record.host, host_port
    ip = next((a.ip_address for a in live.ip_addresses if a.ip_address), record.host)
    return ip, record.container_ports[index]
