"""Promise 11, what Marathon shows is so.

Its pictures are what the API's answers are made of. After each step they are compared with the
books: each that was renewed at once; all of them, and what waits for offers, whenever somebody
looks at the queue. A look changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mezzo.cluster.model import IpAddress
from mezzo.cluster.states import TaskState
from mezzo.ids import TaskId
from mezzo.marathon.api.event_json import event_of
from mezzo.marathon.commands import QueueRead, ReadQueue
from mezzo.marathon.effects import Call, Publish, Reply, ShowApp, ShowInstance, StartHealthCheck
from mezzo.marathon.events import ApiRequest, MasterEvent
from mezzo.marathon.model.app import App
from mezzo.marathon.news import StatusUpdated
from mezzo.marathon.views import CheckView, InstanceView, QueueItem
from mezzo.messages.scheduler import Acknowledge, Update

from ...world.watched import Broken
from .marathon_books import INACTIVE, STARTING, Reader, Seen, Step, Term, given_up
from .p11_tasks import utc


class WhatIsShownIsSo(Reader):
    def after(self, step: Step) -> None:
        for effect in step.output.effects:
            if isinstance(effect, ShowInstance) and effect.view is not None:
                _is_so(step, effect.instance_id, effect.view)
            elif isinstance(effect, ShowApp):
                _app_is_so(step.term, effect.app_id)
        event = step.event
        if isinstance(event, MasterEvent) and isinstance(event.event, Update):
            _is_told(step)
        elif isinstance(event, ApiRequest) and isinstance(event.command, ReadQueue):
            _all_is_so(step)


# ---------------------------------------------------------------------------------- pictures


def _is_so(step: Step, id_: str, view: InstanceView) -> None:
    seen = step.term.instances.get(id_)
    if seen is None:
        raise Broken(f"promise 11: {id_} is shown, and is not stored")
    if not step.term.knows(seen.record.app_id):
        return
    right = _picture(step, seen, str(view.condition))
    for name, value in right.items():
        if name == "doomed" and step.hurried:
            continue
        if (have := getattr(view, name)) != value:
            raise Broken(f"promise 11: {id_} is shown with {name} {have!r}, and has {value!r}")


def _picture(step: Step, seen: Seen, condition: str) -> dict[str, Any]:
    record = seen.record
    conditions = {False: (seen.condition,), None: (seen.condition, INACTIVE)}
    allowed = conditions.get(given_up(seen, step.now), (INACTIVE,))
    return {
        "id": record.id,
        "task_id": f"{record.id}._app.{record.incarnation}",
        "app_id": record.app_id,
        "version_ms": record.version_ms,
        "config_ms": record.config_ms,
        "agent_id": record.agent_id,
        "host": record.host,
        "condition": condition if condition in allowed else allowed[0],
        "state": seen.state,
        "staged_s": record.staged_s,
        "healthy": seen.healthy,
        "doomed": record.doomed,
        "started_s": seen.started_s,
        "ports": tuple(port for port in record.host_ports if port is not None),
        "ip_addresses": _addresses(seen),
        "checks": tuple(
            CheckView(
                check.alive,
                check.failures,
                check.first_success_s,
                check.last_success_s,
                check.last_failure_s,
                check.cause,
            )
            for check in seen.checks
        ),
        "region": record.region,
        "zone": record.zone,
        "role": record.role,
    }


def _addresses(seen: Seen) -> tuple[IpAddress, ...]:
    """An instance that ran on the network of its host has the address of that."""
    own = tuple(ip for ip in seen.addresses if ip.ip_address)
    ran = seen.started_s is not None or seen.state is TaskState.RUNNING
    if own or not ran or seen.app.networks[0].mode.value != "host":
        return own
    return (IpAddress(seen.record.host),)


def _app_is_so(term: Term, app_id: str) -> None:
    if not term.knows(app_id):
        return
    view, app = term.shown.app(app_id), term.apps.get(app_id)
    if (view is None) is not (app is None):
        raise Broken(f"promise 11: {app_id} is shown as {view}, stored is {app}")
    if view is None:
        return
    if view.app != app:
        raise Broken(f"promise 11: {app_id} is shown as {view.app}, it is {app}")
    shown, failure = view.last_failure, term.failures.get(app_id)
    have = None if shown is None else (shown.task_id, shown.state, shown.version_ms, shown.at_s)
    right = (
        None
        if failure is None
        else (failure.task_id, failure.state, failure.version_ms, failure.at_s)
    )
    if have != right and not term.in_small_steps:  # it may have been about to be ended
        raise Broken(f"promise 11: the last failure of {app_id} is shown as {have}, it was {right}")
    kept = sorted(term.versions.get(app_id, {}))
    if sorted(version.version_ms for version in view.versions) != kept:
        raise Broken(f"promise 11: {app_id} is shown with {view.versions}, it has {kept}")
    for version in view.versions:
        if version != term.version(app_id, version.version_ms):
            raise Broken(f"promise 11: {version.version_ms} of {app_id} is shown as {version}")


def _all_is_so(step: Step) -> None:
    term = step.term
    if step.output.writes and not step.hurried:
        raise Broken(f"promise 11: who looks at the queue changes {step.output.writes}")
    shown = term.shown
    known = [app_id for app_id in term.apps if term.knows(app_id)]
    _same("apps", [view.app.id for view in shown.apps()], term.apps)
    _same("instances", [view.id for view in shown.all_tasks()], term.instances)
    _same("deployments", [view.plan.id for view in shown.deployments()], term.deployments)
    for app_id in known:
        _app_is_so(term, app_id)
        _counts_are_so(term, app_id)
        plan = term.plan_of(app_id)
        if shown.lock(app_id) != (None if plan is None else plan.id):
            raise Broken(f"promise 11: {app_id} is shown as held by {shown.lock(app_id)}")
    for instance in shown.all_tasks():
        _is_so(step, instance.id, instance)
    for deployment in shown.deployments():
        plan = deployment.plan
        if plan != term.deployments[plan.id] and not term.vague:
            raise Broken(f"promise 11: {plan} is shown, stored is {term.deployments[plan.id]}")
        at = deployment.step
        if not 1 <= at <= len(plan.steps) or deployment.current != plan.steps[at - 1].actions:
            raise Broken(f"promise 11: {plan.id} is shown in step {at} with {deployment.current}")
    for effect in step.output.effects:
        if isinstance(effect, Reply) and isinstance(effect.result, QueueRead):
            _queue_is_so(step, effect.result.items)


def _same(what: str, shown: list[str], stored: Mapping[str, object]) -> None:
    if sorted(shown) != sorted(stored):
        raise Broken(f"promise 11: the {what} {sorted(shown)} are shown, it has {sorted(stored)}")


def _counts_are_so(term: Term, app_id: str) -> None:
    there, counts = term.of(app_id), term.shown.counts(app_id)
    running = [seen for seen in there if seen.condition == "Running"]
    right = (
        sum(seen.condition in STARTING for seen in there),
        len(running),
        sum(seen.healthy is True for seen in running),
        sum(seen.healthy is False for seen in running),
    )
    have = (counts.staged, counts.running, counts.healthy, counts.unhealthy)
    if have != right:
        raise Broken(
            f"promise 11: of {app_id} staged, running, healthy, unhealthy are shown as {have}, "
            f"and are {right}"
        )


# ---------------------------------------------------------------------------------- the queue


def _queue_is_so(step: Step, items: tuple[QueueItem, ...]) -> None:
    """So many wait as are missing, as far as an upgrade has room for them (spec 6.3, 11)."""
    term = step.term
    by_app = {item.app.id: item for item in items}
    for app_id in {**term.apps, **by_app}:
        if not term.knows(app_id):
            continue
        app, item = term.wanted(app_id), by_app.get(app_id)
        count = 0 if app is None else missing(term, app)
        if (0 if item is None else item.count) != count:
            raise Broken(f"promise 11: {item} waits for offers, missing of {app_id} are {count}")
        if item is None:
            continue
        if item.app != app:
            raise Broken(f"promise 11: {item.app} waits, wanted is {app}")
        if item.unused != sum(item.refused_in_all.values()) or item.unused > item.processed:
            raise Broken(f"promise 11: the queue counts wrongly: {item}")
        if not 0.0 <= item.delay_left_s <= max(app.max_launch_delay_s, 0.0):
            raise Broken(f"promise 11: {app_id} waits for {item.delay_left_s} s")
        if (item.last_unused_s is None) is not (item.unused == 0):
            raise Broken(f"promise 11: the queue does not know when an offer was unused: {item}")
        if (item.last_used_s is None) is not (item.processed == item.unused):
            raise Broken(f"promise 11: the queue does not know when an offer was used: {item}")


def missing(term: Term, app: App) -> int:
    """How many more are to be launched now.

    Whether one is given up is as it is shown, which is looked at elsewhere.
    """
    given = {v.id for v in term.shown.tasks(app.id) if str(v.condition) == INACTIVE}
    alive = [seen for seen in term.of(app.id) if seen.record.id not in given]
    active = [seen for seen in alive if not seen.record.doomed]
    single = app.labels.get("MARATHON_SINGLE_INSTANCE_APP") == "true"
    if not term.restarts(app.id):
        return max(0, app.instances - len(alive if single else active))
    n, strategy = app.instances, app.upgrade_strategy
    most = math.floor(n * (1 + strategy.maximum_over_capacity))
    if most == math.ceil(n * strategy.minimum_health_capacity):
        most += 1
    new = [
        seen
        for seen in (alive if single else active)
        if seen.record.config_ms == app.last_config_change_ms
    ]
    return max(0, min(n - len(new), most - len(alive)))


# ---------------------------------------------------------------------------------- updates


def _is_told(step: Step) -> None:
    """Each update is acknowledged; whoever listens is told of what is new in it."""
    event, term = step.event, step.term
    status = event.event.status
    if not term.hears(event):
        return
    acks = [
        effect.call
        for effect in step.output.effects
        if isinstance(effect, Call) and isinstance(effect.call, Acknowledge)
    ]
    right = []
    if status.uuid is not None and status.agent_id is not None:
        right = [Acknowledge(status.agent_id, status.task_id, status.uuid)]
    if acks != right:
        raise Broken(f"promise 11: {status} is answered with {acks}")
    told = [
        event_of(effect.news).fields()
        for effect in step.output.effects
        if isinstance(effect, Publish) and isinstance(effect.news, StatusUpdated)
    ]
    if len(told) != (step.told is not None and step.news):
        raise Broken(f"promise 11: of {status} is told {told}")
    if told and step.told is not None:
        _event_is_so(step.told[0], told[0], status)
    if step.told is not None:
        _is_probed(step, step.told[0])


def _event_is_so(seen: Seen, fields: Mapping[str, Any], status: Any) -> None:
    record = seen.record
    right = {
        "slaveId": record.agent_id,
        "taskId": TaskId(status.task_id),
        "taskStatus": status.state.value,
        "message": status.message or "",
        "appId": record.app_id,
        "host": record.host,
        "ports": [port for port in record.host_ports if port is not None],
        "version": utc(record.version_ms),
        "ipAddresses": [
            {"ipAddress": ip.ip_address, "protocol": ip.protocol} for ip in _addresses(seen)
        ],
    }
    for name, value in right.items():
        if fields.get(name) != value:
            raise Broken(f"promise 11: an event tells {name} {fields.get(name)!r}, it is {value!r}")


def _is_probed(step: Step, seen: Seen) -> None:
    """Who runs is asked how it is, where it listens (spec 10)."""
    started = {
        effect.index: (effect.check, effect.host, effect.port)
        for effect in step.output.effects
        if isinstance(effect, StartHealthCheck)
    }
    record = seen.record
    for index, check in enumerate(seen.app.health_checks if started else ()):
        if index not in started:
            continue
        place = check.port_index or 0
        outside = record.host_ports[place] if place < len(record.host_ports) else None
        own = next((ip.ip_address for ip in seen.addresses if ip.ip_address), None)
        if check.port:
            right = (check, record.host, check.port)
        elif outside is not None:
            right = (check, record.host, outside)
        else:
            right = (check, own or record.host, record.container_ports[place])
        if started[index] != right:
            raise Broken(f"promise 11: {record.id} is asked at {started[index]}, not {right}")
    asked = [check for check in seen.app.health_checks if not check.protocol.by_agent]
    # Of an app that was set aside nobody knows how it is to be asked.
    kept = record.doomed or step.ends or not step.term.knows(record.app_id)
    if asked and seen.running and not kept and not seen.checking:
        raise Broken(f"promise 11: {record.id} runs, and nobody asks how it is")
