"""The shapes that clients of Mesos read, wherever they stand."""

from __future__ import annotations

import json
from collections.abc import Iterator

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzo.cluster.amounts import Items, from_milli
from mezzo.cluster.model import (
    Attribute,
    ContainerStatus,
    DiscoveryInfo,
    DrainConfig,
    DrainInfo,
    DrainState,
    FaultDomain,
    IpAddress,
    Label,
    MachineId,
    NetworkInfo,
    Port,
    Task,
    TaskStatus,
    Unavailability,
)
from mezzo.cluster.resources import SCALARS, Kind, Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import AgentId, ContainerId, FrameworkId, TaskId
from mezzo.json_types import Json
from mezzo.mesos_json import (
    attributes_json,
    discovery_json,
    domain_json,
    drain_config_json,
    drain_info_json,
    labels_json,
    machine_json,
    nanoseconds_json,
    resources_json,
    status_json,
    task_json,
    unavailability_json,
    version_json,
)
from mezzo.units import NANOS, SECONDS_MAX

from .strategies import attributes, records, resources

TASK = Task(
    "n", TaskId("t1"), AgentId("S1"), framework_id=FrameworkId("F1"), state=TaskState.RUNNING
)


def test_a_version_is_numbers_joined_by_dots_and_a_tag() -> None:
    shown = version_json()
    assert [int(part) for part in shown["version"].split(".")] == [1, 11, 0]
    assert shown["git_tag"].startswith("mezzo-")


# ---- values


def test_the_four_scalars_are_always_there() -> None:
    assert resources_json(Resources()) == {"cpus": 0, "mem": 0, "disk": 0, "gpus": 0}


def test_amounts_of_one_name_add_up_over_roles_whatever_their_type() -> None:
    shown = resources_json(
        Resources.parse(
            "cpus:1;cpus(ads):0.5;bugs(ads):2;bugs:1.5;"
            "ports:[1-2];ports(ads):[3-4,8-9];mice:[1-1];mice(ads):[5-6];"
            "sort(ads):{b};sort:{a}"
        )
    )
    assert shown["cpus"] == 1.5
    assert shown["bugs"] == 3.5
    assert shown["ports"] == "[1-4, 8-9]"
    assert shown["mice"] == "[1-1, 5-6]"
    assert shown["sort"] == "{a, b}"


def test_what_is_revocable_is_told_apart_by_its_name() -> None:
    lent = Resources({Kind("cpus", revocable=True): 1500, Kind("x", revocable=True): Items(("a",))})
    shown = resources_json(Resources.parse("cpus:4;x:{b}") + lent)
    assert (shown["cpus"], shown["cpus_revocable"]) == (4, 1.5)
    assert (shown["x"], shown["x_revocable"]) == ("{b}", "{a}")


@given(resources)
def test_each_name_is_shown_once_and_each_scalar_with_its_sum(held: Resources) -> None:
    kept, lent = (held.filter(revocable=revocable) for revocable in (False, True))
    shown = resources_json(held)
    assert shown.keys() == {
        *SCALARS,
        *kept.quantities(),
        *(f"{name}_revocable" for name in lent.quantities()),
    }
    for name, amount in shown.items():
        of, base = (lent if "_" in name else kept), name.removesuffix("_revocable")
        assert isinstance(amount, str) or amount == from_milli(of.milli(base))


def test_attributes_are_numbers_or_texts() -> None:
    attributes = (
        Attribute("rack", text="a"),
        Attribute("level", scalar=2.5),
        Attribute("keys", ranges=((1, 2), (7, 7))),
        Attribute("zones", set=("x", "y")),
        Attribute("empty"),
    )
    assert attributes_json(attributes) == {
        "rack": "a",
        "level": 2.5,
        "keys": "[1-2, 7-7]",
        "zones": "{x, y}",
        "empty": "",
    }


def test_a_label_without_a_value_has_none() -> None:
    assert labels_json([Label("a"), Label("b", "")]) == [{"key": "a"}, {"key": "b", "value": ""}]


# ---- messages


@given(st.integers(min_value=0, max_value=SECONDS_MAX * NANOS))
def test_a_time_in_nanoseconds_gives_back_the_seconds(nanoseconds: int) -> None:
    seconds = nanoseconds / NANOS
    assert nanoseconds_json(seconds)["nanoseconds"] / NANOS == seconds


def test_a_domain_has_named_region_and_zone() -> None:
    names = {"region": {"name": "r"}, "zone": {"name": "z"}}
    assert domain_json(FaultDomain("r", "z")) == {"fault_domain": names}


def test_what_is_away_for_ever_has_no_duration() -> None:
    start = {"nanoseconds": 2_000_000_000}
    assert unavailability_json(Unavailability(2.0)) == {"start": start}
    assert unavailability_json(Unavailability(2.0, 0.0)) == {
        "start": start,
        "duration": {"nanoseconds": 0},
    }


def test_a_machine_has_what_names_it() -> None:
    assert machine_json(MachineId(hostname="h")) == {"hostname": "h"}
    assert machine_json(MachineId("", "10.0.0.1")) == {"ip": "10.0.0.1"}


def test_a_drain_without_a_bound_has_none() -> None:
    assert drain_config_json(DrainConfig()) == {"mark_gone": False}
    bound = {"max_grace_period": {"nanoseconds": 1_500_000_000}, "mark_gone": True}
    info = DrainInfo(DrainState.DRAINED, DrainConfig(1.5, mark_gone=True))
    assert drain_info_json(info) == {"state": "DRAINED", "config": bound}


# ---- tasks


def test_a_task_of_no_executor_has_an_empty_id_of_one() -> None:
    shown = task_json(TASK)
    assert shown["executor_id"] == ""
    assert shown["labels"] == shown["statuses"] == []
    assert not {"user", "discovery", "container"} & shown.keys()


def test_a_task_tells_discovery_what_it_needs() -> None:
    status = TaskStatus(
        TASK.task_id,
        TaskState.RUNNING,
        timestamp=3.0,
        reason=Reason.RECONCILIATION,
        data=b"secret",
        container_status=ContainerStatus(
            ContainerId("c"), (NetworkInfo((IpAddress("10.0.0.9"),), name="n"),)
        ),
    )
    port = Port(80, "http", "tcp")
    shown = task_json(
        Task(
            "n",
            TaskId("t1"),
            AgentId("S1"),
            framework_id=FrameworkId("F1"),
            state=TaskState.RUNNING,
            statuses=(status,),
            labels=(Label("env", "prod"),),
            discovery=DiscoveryInfo("FRAMEWORK", "web", ports=(port,), labels=(Label("a", "b"),)),
        )
    )
    assert shown["statuses"] == [status_json(status)]
    assert json.loads(json.dumps(shown["statuses"])) == [
        {
            "state": "TASK_RUNNING",
            "timestamp": 3.0,
            "labels": [],
            "reason": "REASON_RECONCILIATION",
            "container_status": {
                "network_infos": [
                    {"ip_addresses": [{"ip_address": "10.0.0.9", "protocol": "IPv4"}]}
                ],
                "container_id": {"value": "c"},
            },
        }
    ]
    assert shown["labels"] == [{"key": "env", "value": "prod"}]
    assert shown["discovery"] == {
        "visibility": "FRAMEWORK",
        "name": "web",
        "ports": {"ports": [{"number": 80, "name": "http", "protocol": "tcp"}]},
        "labels": {"labels": [{"key": "a", "value": "b"}]},
    }


# ---- whatever they hold

RENDERED = st.one_of(
    st.lists(attributes, max_size=3).map(attributes_json),
    records(Task).map(task_json),
    records(TaskStatus).map(status_json),
    records(DiscoveryInfo).map(discovery_json),
    records(FaultDomain).map(domain_json),
    records(DrainInfo).map(drain_info_json),
    records(MachineId).map(machine_json),
    records(Unavailability).map(unavailability_json),
)


@given(RENDERED)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_every_record_is_json_that_can_be_written_and_says_nothing_of_what_is_not_set(
    shown: Json,
) -> None:
    for value in _values(orjson.loads(orjson.dumps(shown))):
        assert value is not None


def test_a_status_has_a_time_also_if_nobody_knows_it() -> None:
    assert status_json(TaskStatus(TaskId("t"), TaskState.LOST))["timestamp"] == 0.0


def _values(plain: object) -> Iterator[object]:
    match plain:
        case dict():
            for each in plain.values():
                yield from _values(each)
        case list():
            for each in plain:
                yield from _values(each)
        case _:
            yield plain
