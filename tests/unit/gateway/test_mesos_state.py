"""The shapes of `/state` that clients of Mesos read."""

from __future__ import annotations

import json
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.cluster.model import (
    Attribute,
    DiscoveryInfo,
    Label,
    Port,
)
from mezzo.cluster.states import TaskState
from mezzo.gateway.mesos.state_endpoint import agent_json, state_bytes, state_json
from mezzo.gateway.page.live import EMPTY, change, documents
from mezzo.gateway.replica.cluster_replica import Replica
from mezzo.json_types import Json
from mezzo.messages.operator import TaskAdded
from mezzo.record import replace

from .clusters import A1, A2, F1, MASTER, agent, drained, framework, snapshot, task, update


def state() -> Json:
    replica = Replica()
    replica.apply(
        0,
        1,
        snapshot(
            agents=(agent(used_cpus=1),),
            frameworks=(framework(),),
            tasks=(task(),),
            completed=(task("old", TaskState.FINISHED),),
        ),
    )
    replica.apply(1, 1, TaskAdded(task("away", TaskState.RUNNING)))
    replica.apply(2, 1, update("away", TaskState.UNREACHABLE))
    return state_json(replica.view(), MASTER)


def test_the_version_is_numbers_joined_by_dots() -> None:
    assert [int(part) for part in state()["version"].split(".")] == [1, 11, 0]


def test_the_leader_is_named_as_mesos_dns_wants_it() -> None:
    assert state()["leader"] == "master@127.0.0.1:5050"
    assert state()["leader_info"]["port"] == 5050


def test_what_an_agent_has_is_shown_by_name() -> None:
    (slave,) = state()["slaves"]
    assert slave["resources"]["ports"] == "[31000-31099, 31200-31299]"
    assert slave["resources"]["cpus"] == 5
    assert slave["used_resources"]["cpus"] == 1


def test_an_agent_shows_what_an_operator_did_to_it() -> None:
    (slave,) = state()["slaves"]
    assert (slave["active"], slave["deactivated"]) == (True, False)
    assert "drain_info" not in slave
    slave = agent_json(drained())
    assert (slave["active"], slave["deactivated"]) == (False, True)
    config = {"mark_gone": True, "max_grace_period": {"nanoseconds": 5_000_000_000}}
    assert slave["drain_info"] == {"state": "DRAINED", "config": config}


def test_reserved_resources_are_shown_by_role() -> None:
    (slave,) = state()["slaves"]
    assert slave["reserved_resources"]["ads"]["cpus"] == 1
    assert slave["unreserved_resources"]["cpus"] == 4


def test_scalar_attributes_are_numbers() -> None:
    (slave,) = state()["slaves"]
    assert slave["attributes"] == {"rack": "a", "level": 2.5}


def test_tasks_are_listed_by_what_became_of_them() -> None:
    (shown,) = state()["frameworks"]
    assert shown["id"] == F1
    for kind, name in (("tasks", "t1"), ("unreachable_tasks", "away"), ("completed_tasks", "old")):
        assert [each["id"] for each in shown[kind]] == [name]


def test_a_framework_has_either_role_or_roles() -> None:
    (shown,) = state()["frameworks"]
    assert shown["role"] == "*"
    assert "roles" not in shown


# As Mesos-DNS splits it; what it can't read makes it drop the whole document.
PID = re.compile(r"(?P<id>[^@]+)@(?P<host>\[[^\]]+\]|[^:@]+):(?P<port>\d+)")


@pytest.mark.parametrize(
    ("ip", "pid"),
    [
        ("10.0.0.7", "slave(1)@10.0.0.7:5051"),
        ("fd00::7", "slave(1)@[fd00::7]:5051"),
        (None, "slave(1)@host1:5051"),
    ],
)
def test_an_agent_is_found_by_its_pid(ip: str | None, pid: str) -> None:
    view = agent()
    shown = agent_json(replace(view, pid=None, agent_info=replace(view.agent_info, ip=ip)))
    assert shown["pid"] == pid
    assert PID.fullmatch(pid)


def test_times_of_the_master_are_numbers() -> None:
    shown = state()
    assert isinstance(shown["start_time"], float)
    assert isinstance(shown["elected_time"], float)
    assert PID.fullmatch(shown["leader"])
    assert all(PID.fullmatch(each["pid"]) for each in shown["slaves"])


# ---- one bad object


BEYOND = 2**70  # no JSON of ours holds it


def test_what_can_not_be_written_is_left_out_alone() -> None:
    good, bad = agent(A1), agent(A2)
    bad = replace(bad, agent_info=replace(bad.agent_info, port=BEYOND))
    port = DiscoveryInfo("FRAMEWORK", ports=(Port(BEYOND),))
    replica = Replica()
    tasks = (task("fine"), replace(task("broken"), discovery=port))
    replica.apply(0, 1, snapshot(agents=(good, bad), frameworks=(framework(),), tasks=tasks))
    shown = json.loads(state_bytes(replica.view(), MASTER))
    assert [each["id"] for each in shown["slaves"]] == [A1]
    (of_framework,) = shown["frameworks"]
    assert [each["id"] for each in of_framework["tasks"]] == ["fine"]


def test_what_trips_over_itself_is_left_out_alone() -> None:
    replica = Replica()
    broken = replace(agent(A2), total_resources=None)
    replica.apply(0, 1, snapshot(agents=(agent(A1), broken), tasks=(task(),)))
    shown = json.loads(state_bytes(replica.view(), MASTER))
    assert [each["id"] for each in shown["slaves"]] == [A1]
    page = change(EMPTY, documents(replica.view()))
    assert page["agents"][A1]
    assert page["agents"][A2] is None
    assert len(page["tasks"]) == 1


@given(st.text(min_size=1), st.floats(), st.text())
def test_any_text_and_number_is_shown(name: str, number: float, value: str) -> None:
    attributes = (Attribute(name, text=value), Attribute(f"{name}2", scalar=number))
    view = agent(A1)
    view = replace(view, agent_info=replace(view.agent_info, hostname=name, attributes=attributes))
    info = replace(framework().framework_info, name=name, labels=(Label(name, value),))
    odd = replace(task(), name=name, labels=(Label(name, value),))
    replica = Replica()
    frameworks = (replace(framework(), framework_info=info),)
    replica.apply(0, 1, snapshot(agents=(view,), frameworks=frameworks, tasks=(odd,)))
    shown = json.loads(state_bytes(replica.view(), MASTER))
    assert shown["slaves"][0]["attributes"][name] == value
    assert shown["frameworks"][0]["name"] == name
    assert json.loads(orjson.dumps(change(EMPTY, documents(replica.view()))))
