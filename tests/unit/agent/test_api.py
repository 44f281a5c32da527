"""What the agent answers over HTTP, asked without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mezzo.agent.api.routes import AgentApi
from mezzo.agent.container import ContainerExited, Kind, Stream
from mezzo.cluster.model import Attribute
from mezzo.cluster.resources import Kind as ResourceKind
from mezzo.cluster.resources import Resources
from mezzo.ids import ContainerId, FrameworkId
from mezzo.mesos_json import version_json
from mezzo.messages import agent as am
from mezzo.record import replace

from .fakes import CONFIG, FRAMEWORK, World, process_task


def get(world: World, path: str, query: str = "") -> tuple[str, bytes]:
    """Status and body. The logs of a container are its id and the offset."""

    def logs(
        kind: Kind, cid: ContainerId, sandbox: str, stream: Stream, offset: int, follow: bool
    ) -> Iterator[bytes]:
        return iter((f"{cid} {offset}".encode(),))

    statuses: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query}
    body = AgentApi(world.core.view, logs)(environ, lambda status, _: statuses.append(status))
    return statuses[0], b"".join(body)


@pytest.fixture
def world() -> World:
    return World().register()


def test_the_head_of_logs_that_are_followed_ends(world: World) -> None:
    cid = world.start()

    def endless(*_: object) -> Iterator[bytes]:
        while True:
            yield b""

    environ = {
        "REQUEST_METHOD": "HEAD",
        "PATH_INFO": f"/containers/{cid}/logs",
        "QUERY_STRING": "follow=true",
    }
    assert list(AgentApi(world.core.view, endless)(environ, lambda *_: None)) == []


def samples(world: World) -> dict[str, dict[str, float]]:
    """What `/metrics` tells of the agent, by name and by the one label that a metric has."""
    status, body = get(world, "/metrics")
    assert status == "200 OK"
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(body.decode()):
        if family.name.startswith("mezzo_agent_"):
            assert family.type == "gauge"
            for each in family.samples:
                (label,) = each.labels.values() or ("",)
                found.setdefault(each.name, {})[label] = each.value
    return found


def test_metrics_tell_what_runs_and_what_it_takes(world: World) -> None:
    world.step(ContainerExited(world.start(), exit_code=0))
    world.start(process_task("t2", resources=Resources.of(cpus=0.5, mem=64, ports=[(1, 3)])))
    waiting = sum(len(task.pending) for task in world.core.view().tasks)
    assert samples(world) == {
        "mezzo_agent_registered": {"": 1},
        "mezzo_agent_tasks": {"TASK_FINISHED": 1, "TASK_RUNNING": 1},
        "mezzo_agent_unacknowledged_updates": {"": waiting},
        "mezzo_agent_resources_total": {"cpus": 4, "mem": 4096},
        "mezzo_agent_resources_used": {"cpus": 0.5, "mem": 64, "ports": 3},
    }


def test_an_amount_is_told_with_all_its_digits() -> None:
    large = Resources.of(cpus=4, disk=12_345_678.5)
    world = World(config=replace(CONFIG, info=replace(CONFIG.info, resources=large)))
    assert samples(world)["mezzo_agent_resources_total"]["disk"] == 12_345_678.5


@pytest.mark.parametrize(("name", "told"), [('a"b\\c\nd', 'a"b\\c\nd'), ("a\udcff", "a?")])
def test_any_name_of_a_resource_is_told_in_metrics(name: str, told: str) -> None:
    odd = Resources({ResourceKind(name): 1000})
    config = replace(CONFIG, info=replace(CONFIG.info, resources=odd))
    assert samples(World(config=config))["mezzo_agent_resources_total"] == {told: 1}


@given(
    path=st.text(st.characters(max_codepoint=255)), query=st.text(st.characters(max_codepoint=255))
)
def test_no_path_and_no_query_is_a_fault_of_the_server(path: str, query: str) -> None:
    world = World().register()
    cid = world.start()
    for each in (path, f"/{path}", f"/containers/{path}/logs", f"/containers/{cid}/logs{path}"):
        status, _ = get(world, each, query)
        assert status[0] in "24"


def test_the_state_has_mesos_shapes() -> None:
    attributes = (Attribute("level", scalar=2.5), Attribute("keys", ranges=((1, 2), (7, 7))))
    owned = Resources.parse("cpus:4;cpus(ads):1;ports:[1-2,7-7];sort:{a,b}")
    info = replace(CONFIG.info, ip="10.0.0.7", resources=owned, attributes=attributes)
    state = json.loads(get(World(config=replace(CONFIG, info=info)), "/state")[1])
    assert state["attributes"] == {"level": 2.5, "keys": "[1-2, 7-7]"}
    assert state["resources"]["cpus"] == 5
    assert state["resources"]["ports"] == "[1-2, 7-7]"
    assert state["resources"]["sort"] == "{a, b}"
    assert state["pid"] == "slave(1)@10.0.0.7:5051"


def test_the_version_names_what_answers(world: World) -> None:
    assert json.loads(get(world, "/version")[1]) == version_json()


def test_a_path_that_is_no_text_is_not_found(world: World) -> None:
    assert get(world, "/containers/\xff/logs")[0] == "404 Not Found"


@pytest.mark.parametrize("offset", ["-1", "x", "%C2%B2", "1e3", "9" * 5000])
def test_an_offset_that_is_none_is_refused(world: World, offset: str) -> None:
    world.start()
    status, body = get(world, "/containers/t1/logs", f"offset={offset}")
    assert status == "400 Bad Request"
    assert "offset=" in json.loads(body)["message"]


def test_of_several_tasks_of_one_id_the_logs_are_of_the_one_that_runs(world: World) -> None:
    world.step(ContainerExited(world.start(), exit_code=0))
    other = replace(FRAMEWORK, id=FrameworkId("F2"))
    cid = world.start(process_task(), other)
    assert get(world, "/containers/t1/logs", "offset=7") == ("200 OK", f"{cid} 7".encode())


def test_without_one_that_runs_the_logs_are_of_the_last(world: World) -> None:
    world.step(ContainerExited(world.start(), exit_code=0))
    other = replace(FRAMEWORK, id=FrameworkId("F2"))
    cid = world.start(process_task(), other)
    world.step(ContainerExited(cid, exit_code=0))
    assert get(world, "/containers/t1/logs")[1].startswith(cid.encode())


def test_a_task_without_a_container_has_no_logs(world: World) -> None:
    world.hear(am.RunTask(FRAMEWORK, process_task(command=None)))
    assert get(world, "/containers/t1/logs")[0] == "404 Not Found"
