"""The JSON that clients of Mesos read, of things that more than one daemon shows. Pure.

Names and shapes are those of Mesos' old endpoints (`/state` and its kin), which say slave where the
v1 API says agent. What those endpoints are about (resources, attributes, tasks, statuses) has a
short form of its own there. What they only pass on (a domain, a drain's configuration, discovery)
stands there as the JSON of its message, which is the same in the v1 API.

What is not set is left out. Amounts are numbers (cpus in cores, mem and disk in MiB), times seconds
since 1970; inside a message, times and durations are whole nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mezzo import BUILD, MESOS_VERSION
from mezzo.cluster.amounts import Items, Ranges, from_milli, ranges_text, set_text
from mezzo.cluster.model import (
    Attribute,
    ContainerStatus,
    DiscoveryInfo,
    DrainConfig,
    DrainInfo,
    FaultDomain,
    Label,
    MachineId,
    NetworkInfo,
    Port,
    Task,
    TaskStatus,
    Unavailability,
)
from mezzo.cluster.resources import SCALARS, Resources
from mezzo.json_types import Json
from mezzo.units import to_nanos


def given(**fields: object) -> Json:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def version_json() -> Json:
    """`/version`: the number is Mesos', whose clients compare it; the tag says what answers."""
    return {"version": MESOS_VERSION, "git_tag": BUILD}


# ---------------------------------------------------------------------------------- values


# Mesos writes ranges and sets with a blank that its flags need not have.
_COMMA: Final = ", "


def resources_json(resources: Resources) -> Json:
    """Amounts by name, over all roles and reservations: numbers, of which the four of Mesos are
    always there, and texts (`[31000-32000, 33000-33000]`, `{a, b}`). See `Kind.summed_as`."""
    scalars = dict.fromkeys(SCALARS, 0)
    ranges: dict[str, Ranges] = {}
    sets: dict[str, Items] = {}
    for kind, value in resources.sorted_items():
        name = kind.summed_as
        if isinstance(value, Ranges):
            ranges[name] = value.union(ranges[name]) if name in ranges else value
        elif isinstance(value, Items):
            sets[name] = value.union(sets[name]) if name in sets else value
        else:
            scalars[name] = scalars.get(name, 0) + value
    return {
        **{name: from_milli(milli) for name, milli in scalars.items()},
        **{name: ranges_text(each.pairs, _COMMA) for name, each in ranges.items()},
        **{name: set_text(each.members, _COMMA) for name, each in sets.items()},
    }


def attributes_json(attributes: Iterable[Attribute]) -> Json:
    """Attributes by name: scalars as numbers, all others as text."""
    return {each.name: _attribute(each) for each in attributes}


def _attribute(attribute: Attribute) -> float | str:
    if attribute.scalar is not None:
        return attribute.scalar
    if attribute.ranges is not None:
        return ranges_text(attribute.ranges, _COMMA)
    if attribute.set is not None:
        return set_text(attribute.set, _COMMA)
    return attribute.text or ""


def labels_json(labels: Iterable[Label]) -> list[Json]:
    """Labels as a bare list. In a message it stands in another object: `{"labels": [...]}`."""
    return [{"key": label.key, **given(value=label.value)} for label in labels]


# ---------------------------------------------------------------------------------- messages


def nanoseconds_json(seconds: float) -> Json:
    """A TimeInfo or a DurationInfo."""
    return {"nanoseconds": to_nanos(seconds)}


def domain_json(domain: FaultDomain) -> Json:
    return {"fault_domain": {"region": {"name": domain.region}, "zone": {"name": domain.zone}}}


def unavailability_json(away: Unavailability) -> Json:
    return {
        "start": nanoseconds_json(away.start),
        **given(duration=None if away.duration is None else nanoseconds_json(away.duration)),
    }


def machine_json(machine: MachineId) -> Json:
    return given(hostname=machine.hostname or None, ip=machine.ip or None)


def drain_config_json(config: DrainConfig) -> Json:
    grace_s = config.max_grace_period
    return {
        **given(max_grace_period=None if grace_s is None else nanoseconds_json(grace_s)),
        "mark_gone": config.mark_gone,
    }


def drain_info_json(info: DrainInfo) -> Json:
    return {"state": info.state, "config": drain_config_json(info.config)}


def discovery_json(discovery: DiscoveryInfo) -> Json:
    return {
        "visibility": discovery.visibility,
        "ports": {"ports": [_port(port) for port in discovery.ports]},
        "labels": {"labels": labels_json(discovery.labels)},
        **given(
            name=discovery.name,
            version=discovery.version,
            location=discovery.location,
            environment=discovery.environment,
        ),
    }


def _port(port: Port) -> Json:
    return {"number": port.number, **given(name=port.name, protocol=port.protocol)}


# ---------------------------------------------------------------------------------- tasks


def task_json(task: Task) -> Json:
    return {
        "id": task.task_id,
        "name": task.name,
        "framework_id": task.framework_id,
        "executor_id": task.executor_id or "",
        "slave_id": task.agent_id,
        "state": task.state,
        "resources": resources_json(task.resources),
        "role": task.role,
        "statuses": [status_json(status) for status in task.statuses],
        "labels": labels_json(task.labels),
        **given(
            user=task.user,
            discovery=None if task.discovery is None else discovery_json(task.discovery),
            container=None if task.container is None else {"type": task.container.type},
        ),
    }


def status_json(status: TaskStatus) -> Json:
    """A status without its data, and always with a time: 0 if nobody knows it (Mesos)."""
    container = status.container_status
    return {
        "state": status.state,
        "timestamp": status.timestamp or 0.0,
        "labels": labels_json(status.labels),
        **given(
            healthy=status.healthy,
            message=status.message,
            reason=status.reason,
            source=status.source,
            container_status=None if container is None else _container_status(container),
        ),
    }


def _container_status(status: ContainerStatus) -> Json:
    id_ = status.container_id
    return {
        "network_infos": [_network(network) for network in status.network_infos],
        **given(container_id=None if id_ is None else {"value": id_}),
    }


def _network(network: NetworkInfo) -> Json:
    return {
        "ip_addresses": [
            {**given(ip_address=ip.ip_address), "protocol": ip.protocol}
            for ip in network.ip_addresses
        ]
    }
