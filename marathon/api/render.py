"""The API's JSON of apps, tasks, deployments, the queue and events (3.1, 3.5, 11, 12).

Whole numbers come out without a fraction. Keys that some clients don't know are left out where they
have nothing to say.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mezzo.cluster.amounts import Items, Ranges, from_milli
from mezzo.cluster.model import Attribute, IpAddress
from mezzo.cluster.resources import Resources
from mezzo.json_types import Json, JsonValue

from ..model.app import (
    App,
    Constraint,
    Container,
    HealthCheck,
    HealthProtocol,
    Network,
    PortDefinition,
    PortMapping,
    UnreachableStrategy,
    UpgradeStrategy,
)
from ..model.deployment import Action, Deployment, Step
from ..model.instance import Condition
from ..model.timestamps import format_ms, format_s
from ..placement.matching import Reason
from ..views import (
    Aside,
    CheckView,
    DeploymentView,
    InstanceView,
    OfferRefused,
    QueueItem,
    TaskFailure,
)
from .record_keys import Shown, number

DISABLED: Final = "disabled"
# Checks by Marathon over HTTP: of others `ignoreHttp1xx` is not told, and so not kept.
KINDS_WITH_1XX: Final = (HealthProtocol.HTTP, HealthProtocol.HTTPS)


@functools.lru_cache(4096)
def _version(ms: int) -> str:
    """As `format_ms`, once for an app, its tasks and its events."""
    return format_ms(ms)


def _given(**fields: JsonValue) -> Json:
    """The fields that are not None."""
    return {key: value for key, value in fields.items() if value is not None}


# ---------------------------------------------------------------------------------- apps


def app_json(app: App) -> Json:
    """The whole definition with its versions."""
    return definition_json(app) | {
        "version": _version(app.version_ms),
        "versionInfo": {
            "lastScalingAt": _version(app.last_scaling_ms),
            "lastConfigChangeAt": _version(app.last_config_change_ms),
        },
    }


def definition_json(app: App) -> Json:
    """The definition that a user could have sent to get this app."""
    return _DEFINITION(app)


def _constraint(constraint: Constraint) -> list[str]:
    value = constraint.value
    return [constraint.field, constraint.operator.value, *([] if value is None else [value])]


def _network(network: Network) -> Json:
    return {
        "mode": network.mode.value,
        **_given(name=network.name, labels=network.labels or None),
    }


def _port_definition(definition: PortDefinition) -> Json:
    return {
        "port": definition.port,
        "protocol": definition.protocol,
        **_given(name=definition.name, labels=definition.labels or None),
    }


def _container(container: Container) -> Json:
    docker = container.docker
    return {
        "type": container.type,
        **_given(
            docker=None
            if docker is None
            else {
                "image": docker.image,
                "forcePullImage": docker.force_pull_image,
                "privileged": docker.privileged,
                "parameters": [{"key": p.key, "value": p.value} for p in docker.parameters],
            }
        ),
        "volumes": [
            {
                "containerPath": volume.container_path,
                "hostPath": volume.host_path,
                "mode": volume.mode,
            }
            for volume in container.volumes
        ],
        **_given(
            portMappings=None
            if container.port_mappings is None
            else [_port_mapping(mapping) for mapping in container.port_mappings],
        ),
    }


def _port_mapping(mapping: PortMapping) -> Json:
    return {
        "containerPort": mapping.container_port,
        **_given(hostPort=mapping.host_port),
        "servicePort": mapping.service_port,
        "protocol": mapping.protocol,
        **_given(
            name=mapping.name,
            labels=mapping.labels or None,
            networkNames=list(mapping.network_names) or None,
        ),
    }


def health_check_json(check: HealthCheck) -> Json:
    return {
        "protocol": check.protocol.value,
        **_given(
            path=check.path,
            portIndex=check.port_index,
            port=check.port,
            command=None if check.command is None else {"value": check.command},
        ),
        **_HEALTH_CHECK(check),
        **({"ignoreHttp1xx": check.ignore_http_1xx} if check.protocol in KINDS_WITH_1XX else {}),
        "ipProtocol": check.ip_protocol,
    }


_UPGRADE: Final = Shown(UpgradeStrategy)
_UNREACHABLE: Final = Shown(UnreachableStrategy)
_HEALTH_CHECK: Final = Shown(HealthCheck)
_DEFINITION: Final = Shown(
    App,
    constraints=lambda constraints: [_constraint(each) for each in constraints],
    container=lambda container: None if container is None else _container(container),
    healthChecks=lambda checks: [health_check_json(check) for check in checks],
    networks=lambda networks: [_network(network) for network in networks],
    portDefinitions=lambda definitions: (
        None
        if definitions is None
        else [_port_definition(definition) for definition in definitions]
    ),
    upgradeStrategy=_UPGRADE,
    unreachableStrategy=lambda strategy: DISABLED if strategy is None else _UNREACHABLE(strategy),
    role=lambda role: None if role == "*" else role,
)


# ---------------------------------------------------------------------------------- tasks


def task_json(view: InstanceView, app: App | None) -> Json:
    """A task. app: its definition, for the service ports, if it exists."""
    return {
        "appId": view.app_id,
        "id": view.task_id,
        "host": view.host,
        "slaveId": view.agent_id,
        "state": view.state.value,
        "stagedAt": format_s(view.staged_s),
        **_given(startedAt=None if view.started_s is None else format_s(view.started_s)),
        "version": _version(view.version_ms),
        "ports": list(view.ports),
        "ipAddresses": [address_json(ip) for ip in view.ip_addresses],
        "servicePorts": list(app.service_ports) if app is not None else [],
        "healthCheckResults": [
            _check_result(check, view) for check in view.checks if check.alive is not None
        ],
        **_given(region=view.region, zone=view.zone, role=None if view.role == "*" else view.role),
    }


def address_json(ip: IpAddress) -> Json:
    return {"ipAddress": ip.ip_address, "protocol": ip.protocol}


def _check_result(check: CheckView, view: InstanceView) -> Json:
    return {
        "alive": check.alive,
        "consecutiveFailures": check.consecutive_failures,
        **_given(
            firstSuccess=_time(check.first_success_s),
            lastSuccess=_time(check.last_success_s),
            lastFailure=_time(check.last_failure_s),
            lastFailureCause=check.cause,
        ),
        "instanceId": view.id,
    }


def _time(at_s: float | None) -> str | None:
    return None if at_s is None else format_s(at_s)


def failure_json(failure: TaskFailure) -> Json:
    return {
        "appId": failure.app_id,
        "host": failure.host,
        "message": failure.message,
        "state": failure.state.value,
        "taskId": failure.task_id,
        "timestamp": format_s(failure.at_s),
        "version": _version(failure.version_ms),
        "slaveId": failure.agent_id,
    }


def task_stats_json(app: App, views: Sequence[InstanceView], now_s: float) -> Json:
    """Counts and lifetimes by group; a group without tasks is left out."""
    groups: dict[str, Callable[[InstanceView], bool]] = {
        "startedAfterLastScaling": lambda v: v.version_ms >= app.last_scaling_ms,
        "withLatestConfig": lambda v: v.config_ms == app.last_config_change_ms,
        "withOutdatedConfig": lambda v: v.config_ms != app.last_config_change_ms,
        "totalSummary": lambda v: True,
    }
    stats = {}
    for name, belongs in groups.items():
        members = [view for view in views if belongs(view)]
        if members:
            stats[name] = {"stats": _stats(members, now_s)}
    return stats


def _stats(views: Sequence[InstanceView], now_s: float) -> Json:
    return {
        "counts": {
            "staged": sum(view.condition.starting for view in views),
            "running": sum(view.condition is Condition.RUNNING for view in views),
            "healthy": sum(_runs(view) and view.healthy is True for view in views),
            "unhealthy": sum(_runs(view) and view.healthy is False for view in views),
        },
        **_life_time([now_s - v.started_s for v in views if v.started_s is not None]),
    }


def _life_time(lives_s: list[float]) -> Json:
    if not lives_s:
        return {}
    average, median = statistics.fmean(lives_s), statistics.median(lives_s)
    return {"lifeTime": {"averageSeconds": round(average, 3), "medianSeconds": round(median, 3)}}


def _runs(view: InstanceView) -> bool:
    return view.condition is Condition.RUNNING


# ---------------------------------------------------------------------------------- deployments


def _action(action: Action) -> Json:
    return {"action": action.kind.value, "app": action.app_id}


def step_json(step: Step) -> Json:
    return {"actions": [_action(action) for action in step.actions]}


def deployment_json(view: DeploymentView) -> Json:
    plan = view.plan
    return {
        "id": plan.id,
        "version": _version(plan.version_ms),
        "affectedApps": list(plan.app_ids),
        "affectedPods": [],
        "steps": [step_json(step) for step in plan.steps],
        "currentActions": [
            _action(action) | {"readinessCheckResults": []} for action in view.current
        ],
        "currentStep": view.step,
        "totalSteps": len(plan.steps),
    }


def plan_json(plan: Deployment) -> Json:
    """A plan as events carry it. The two groups are for clients that insist on them."""
    return {
        "id": plan.id,
        "version": _version(plan.version_ms),
        "original": {"id": "/"},
        "target": {"id": "/"},
        "steps": [step_json(step) for step in plan.steps],
    }


# ---------------------------------------------------------------------------------- the queue


def aside_json(aside: Aside) -> Json:
    return {
        "key": aside.key,
        "kind": aside.kind,
        **_given(appId=aside.app_id),
        "reason": aside.reason,
        "bytes": aside.size_bytes,
    }


def queue_item_json(item: QueueItem, *, with_offers: bool) -> Json:
    # A reason that clients don't know is told where it was one.
    reasons = [r for r in Reason if r is not Reason.FAULT or r in item.refused_in_all]
    last = dict.fromkeys(reasons, 0)
    for refused in item.last_refused:
        last[Reason(refused.reason)] += 1
    in_all = {reason: item.refused_in_all.get(reason, 0) for reason in reasons}
    return {
        "count": item.count,
        **({} if item.app.role == "*" else {"role": item.app.role}),
        "delay": {
            "timeLeftSeconds": round(item.delay_left_s),
            "overdue": item.delay_left_s <= 0,
        },
        "since": format_s(item.since_s),
        **_given(fault=item.fault),
        "app": app_json(item.app),
        "processedOffersSummary": {
            "processedOffersCount": item.processed,
            "unusedOffersCount": item.unused,
            **_given(
                lastUnusedOfferAt=_time(item.last_unused_s),
                lastUsedOfferAt=_time(item.last_used_s),
            ),
            "rejectSummaryLastOffers": _funnel(last, len(item.last_refused)),
            "rejectSummaryLaunchAttempt": _funnel(in_all, item.processed),
        },
        **(
            {"lastUnusedOffers": [_unused_offer(refused) for refused in item.last_refused]}
            if with_offers
            else {}
        ),
    }


def _funnel(declined: dict[Reason, int], processed: int) -> list[Json]:
    """The funnel: each reason sees the offers that those before it let pass."""
    rows = []
    for reason, count in declined.items():
        rows.append({"reason": reason.value, "declined": count, "processed": processed})
        processed -= count
    return rows


def _unused_offer(refused: OfferRefused) -> Json:
    offer = refused.offer
    return {
        "offer": {
            "id": offer.id,
            "hostname": offer.hostname,
            "agentId": offer.agent_id,
            "resources": _resources(offer.resources),
            "attributes": [_attribute(attribute) for attribute in offer.attributes],
        },
        "reason": [refused.reason],
        "timestamp": format_s(refused.at_s),
    }


def _resources(resources: Resources) -> list[Json]:
    rows = []
    for kind, value in resources.sorted_items():
        row: Json = {"name": kind.name, "role": kind.role}
        match value:
            case Ranges(pairs):
                row["ranges"] = _ranges(pairs)
            case Items(members):
                row["set"] = list(members)
            case int():
                row["scalar"] = number(from_milli(value))
        rows.append(row)
    return rows


def _ranges(pairs: Iterable[tuple[int, int]]) -> list[Json]:
    return [{"begin": begin, "end": end} for begin, end in pairs]


def _attribute(attribute: Attribute) -> Json:
    return {
        "name": attribute.name,
        **_given(
            text=attribute.text,
            scalar=None if attribute.scalar is None else number(attribute.scalar),
            ranges=None if attribute.ranges is None else _ranges(attribute.ranges),
            set=None if attribute.set is None else list(attribute.set),
        ),
    }
