"""The types and the JSON of events, as clients of Marathon know them (section 12)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from mezzo.handlers import Handlers, Row, on
from mezzo.json_types import Json

from ..model.timestamps import format_ms
from ..news import (
    AppPosted,
    AppTerminated,
    DeploymentFailed,
    DeploymentStepBegan,
    DeploymentStepSucceeded,
    DeploymentSucceeded,
    ExecutorSaid,
    GroupChanged,
    HealthCheckFailed,
    HealthStatusChanged,
    InstanceChanged,
    InstanceHealthChanged,
    News,
    SchedulerDisconnected,
    SchedulerRegistered,
    SchedulerReregistered,
    StatusUpdated,
    UnhealthyInstanceKilled,
    UnknownInstanceTerminated,
)
from .event_stream import StreamEvent
from .render import address_json, app_json, health_check_json, plan_json, step_json

N = TypeVar("N")


def event_of(news: News) -> StreamEvent:
    return _EVENTS.handle(news)


# ---- the framework at its master


def _registered(news: SchedulerRegistered | SchedulerReregistered) -> Json:
    return {"frameworkId": news.framework_id, "master": news.master}


def _disconnected(_news: SchedulerDisconnected) -> Json:
    return {}


def _executor_said(news: ExecutorSaid) -> Json:
    return {
        "slaveId": news.agent_id,
        "executorId": news.executor_id,
        "message": news.data.decode(errors="replace"),
    }


# ---- what users ask for, and how it goes


def _app_posted(news: AppPosted) -> Json:
    return {
        "clientIp": news.origin.client_ip,
        "uri": news.origin.uri,
        "appDefinition": app_json(news.app),
    }


def _group_changed(news: GroupChanged) -> Json:
    return {"groupId": news.group_id, "version": format_ms(news.version_ms)}


def _of_step(news: DeploymentStepBegan | DeploymentStepSucceeded) -> Json:
    return {"plan": plan_json(news.plan), "currentStep": step_json(news.step)}


def _deployment_succeeded(news: DeploymentSucceeded) -> Json:
    return {"id": news.plan.id, "plan": plan_json(news.plan)}


def _deployment_failed(news: DeploymentFailed) -> Json:
    return {"id": news.plan.id, "plan": plan_json(news.plan), "reason": news.reason}


# ---- apps and their instances


def _app_terminated(news: AppTerminated) -> Json:
    return {"appId": news.app_id}


def _instance_changed(news: InstanceChanged) -> Json:
    return {
        "instanceId": news.instance_id,
        "condition": news.condition.value,
        "runSpecId": news.app_id,
        "agentId": news.agent_id,
        "host": news.host,
        "runSpecVersion": format_ms(news.version_ms),
    }


def _unknown_terminated(news: UnknownInstanceTerminated) -> Json:
    return {
        "instanceId": news.instance_id,
        "runSpecId": news.app_id,
        "condition": news.condition.value,
    }


def _status_updated(news: StatusUpdated) -> Json:
    return {
        "slaveId": news.agent_id,
        "taskId": news.task_id,
        "taskStatus": news.state.value,
        "message": news.message,
        "appId": news.app_id,
        "host": news.host,
        "ipAddresses": [address_json(ip) for ip in news.addresses],
        "ports": list(news.ports),
        "version": format_ms(news.version_ms),
    }


# ---- their health


def _health_check_failed(news: HealthCheckFailed) -> Json:
    return {
        "appId": news.app_id,
        "taskId": news.task_id,
        "instanceId": news.instance_id,
        "healthCheck": health_check_json(news.check),
    }


def _health_status_changed(news: HealthStatusChanged) -> Json:
    return {
        "appId": news.app_id,
        "instanceId": news.instance_id,
        "taskId": news.instance_id,  # here both keys have the instance's
        "version": format_ms(news.version_ms),
        "alive": news.alive,
    }


def _instance_health_changed(news: InstanceHealthChanged) -> Json:
    return {
        "instanceId": news.instance_id,
        "runSpecId": news.app_id,
        **({} if news.healthy is None else {"healthy": news.healthy}),
        "runSpecVersion": format_ms(news.version_ms),
    }


def _unhealthy_killed(news: UnhealthyInstanceKilled) -> Json:
    return {
        "appId": news.app_id,
        "taskId": news.task_id,
        "instanceId": news.instance_id,
        "version": format_ms(news.version_ms),
        "reason": news.reason,
        "host": news.host,
        "slaveId": news.agent_id,
    }


def _row(kind: type[N], name: str, fields: Callable[[N], Json]) -> Row[StreamEvent]:
    return on(kind, lambda news: StreamEvent(name, partial(fields, news)))


_EVENTS: Final = Handlers(
    News,
    _row(SchedulerRegistered, "scheduler_registered_event", _registered),
    _row(SchedulerReregistered, "scheduler_reregistered_event", _registered),
    _row(SchedulerDisconnected, "scheduler_disconnected_event", _disconnected),
    _row(ExecutorSaid, "framework_message_event", _executor_said),
    _row(AppPosted, "api_post_event", _app_posted),
    _row(GroupChanged, "group_change_success", _group_changed),
    _row(DeploymentStepBegan, "deployment_info", _of_step),
    _row(DeploymentStepSucceeded, "deployment_step_success", _of_step),
    _row(DeploymentSucceeded, "deployment_success", _deployment_succeeded),
    _row(DeploymentFailed, "deployment_failed", _deployment_failed),
    _row(AppTerminated, "app_terminated_event", _app_terminated),
    _row(InstanceChanged, "instance_changed_event", _instance_changed),
    _row(UnknownInstanceTerminated, "unknown_instance_terminated_event", _unknown_terminated),
    _row(StatusUpdated, "status_update_event", _status_updated),
    _row(HealthCheckFailed, "failed_health_check_event", _health_check_failed),
    _row(HealthStatusChanged, "health_status_changed_event", _health_status_changed),
    _row(InstanceHealthChanged, "instance_health_changed_event", _instance_health_changed),
    _row(UnhealthyInstanceKilled, "unhealthy_instance_kill_event", _unhealthy_killed),
)
