"""Persistent volumes: real folders, seen by real processes and containers."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from mezzo.cluster.model import CommandInfo, ContainerInfo, ContainerType, DockerInfo, TaskInfo
from mezzo.cluster.operations import Conversion, Create, Destroy, OperationState, Reserve
from mezzo.cluster.resources import Disk, Kind, Reservation, Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages import agent as am
from tests.parts.agent_harness import (
    AGENT_ID,
    WITHIN_S,
    Agent,
    Master,
    agent_world,
    unique,
    wait_until,
)
from tests.parts.docker_engine import BUSYBOX, DockerEngine
from tests.parts.folders import open_the_way_to

S = TaskState
World = tuple[Master, Agent]
OWN = Reservation("DYNAMIC", "ads", "me")
_uuids = itertools.count(1)


def volume(path: str) -> Resources:
    return Resources({Kind("disk", (OWN,), Disk(None, "data", "me", path)): 64_000})


def order(master: Master, conversion: Conversion) -> None:
    """Have it done."""
    uuid = next(_uuids).to_bytes(16, "big")
    master.say(am.ApplyOperation(uuid, conversion, FrameworkId("F1")))

    def done() -> list[am.OperationUpdate]:
        told = [m for m in master.heard.messages if isinstance(m, am.OperationUpdate)]
        return [message for message in told if message.operation.uuid == uuid]

    master.wait("operation", lambda _: bool(done()))
    assert done()[0].status.state is OperationState.FINISHED, done()[0].status.message


def given_volume(master: Master, path: str) -> Resources:
    order(master, Reserve(Resources({Kind("disk", (OWN,)): 64_000})))
    order(master, Create(volume(path)))
    return volume(path)


def folders(agent: Agent) -> list[Path]:
    return list(agent.work_dir.glob("volumes/roles/ads/data/*"))


def process(task_id: str, line: str, resources: Resources, user: str | None = None) -> TaskInfo:
    command = CommandInfo(line, user=user)
    return TaskInfo(task_id, TaskId(task_id), AGENT_ID, resources=resources, command=command)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from agent_world(tmp_path / "agent")


def test_data_outlive_the_task_its_sandbox_and_the_agents_crash(world: World) -> None:
    """Behaviour 87; and a destroyed volume takes its data along."""
    master, agent = world
    data = given_volume(master, "store/data")
    (folder,) = folders(agent)
    master.run(process("t1", "echo kept > store/data/file", data))
    master.wait_state("t1", S.FINISHED)
    agent.crash()
    agent.start(gc_delay_s=0, container_remove_delay_s=0)
    back = master.wait_registration(times=2)
    assert data <= back.info.resources
    run = agent.work_dir / "slaves/S1/frameworks/F1/executors/t1/runs/latest"
    wait_until("the sandbox is removed", lambda: not run.exists())
    master.run(process("t2", "cat store/data/file >> store/data/again", data))
    master.wait_state("t2", S.FINISHED)
    assert (folder / "again").read_text() == "kept\n"
    order(master, Destroy(data))
    wait_until("the data are removed", lambda: not folder.exists())
    order(master, Create(data))
    master.run(process("t3", 'test -z "$(ls store/data)"', data))
    master.wait_state("t3", S.FINISHED)


def test_how_an_operation_went_is_told_again_until_somebody_acknowledges(world: World) -> None:
    master, agent = world
    data = Resources({Kind("disk", (OWN,)): 64_000})
    order(master, Reserve(data, id="o1"))
    agent.crash()
    agent.start()
    back = master.wait_registration(times=2)
    assert isinstance(back, am.ReregisterAgent)
    (operation,) = back.operations
    assert operation.info == Reserve(data, id="o1")

    def told() -> int:
        updates = [m for m in master.heard.messages if isinstance(m, am.OperationUpdate)]
        return sum(update.status == operation.latest_status for update in updates)

    master.wait("it is told again", lambda _: told() == 2)
    assert operation.latest_status.uuid is not None
    master.say(am.OperationAcknowledged(operation.uuid, operation.latest_status.uuid))
    master.run(process("t1", "true", Resources.of(cpus=0.1)))
    master.wait_state("t1", S.FINISHED)  # so the acknowledgement has arrived
    agent.crash()
    agent.start()
    last = master.wait_registration(times=3)
    assert isinstance(last, am.ReregisterAgent)
    assert not last.operations
    assert data <= last.info.resources


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can run tasks as other users")
def test_a_volume_belongs_to_the_user_of_its_task(world: World) -> None:
    master, agent = world
    open_the_way_to(agent.work_dir)
    data = given_volume(master, "data")
    master.run(process("t1", "touch data/file", data, user="nobody"))
    master.wait_state("t1", S.FINISHED)


def test_a_volume_whose_folder_is_gone_fails_the_launch_and_is_not_made_empty(
    world: World,
) -> None:
    master, agent = world
    data = given_volume(master, "data")
    (folder,) = folders(agent)
    master.run(process("t0", "true", data))
    master.wait_state("t0", S.FINISHED)
    folder.rename(folder.with_name("away"))
    agent.crash()
    agent.start()
    master.wait_registration(times=2)
    master.run(process("t1", "true", data))
    failed = master.wait_state("t1", S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert f"{folder} of the persistent volume at data is missing" in (failed.message or "")
    assert not folder.exists()


def test_an_agent_with_fewer_resources_than_are_reserved_refuses_to_start(world: World) -> None:
    """Behaviour 89."""
    master, agent = world
    given_volume(master, "data")
    agent.stop()
    agent.start(resources="cpus:4;mem:4096;disk:32;ports:[31000-32000]")
    assert agent.process is not None
    assert agent.process.wait(WITHIN_S) != 0
    assert "resources must be the same" in agent.log_text()


@pytest.mark.docker
@pytest.mark.parametrize("path", ["data", "/var/data"])
def test_a_container_sees_its_volume_where_it_wants_it(
    docker_engine: DockerEngine, tmp_path: Path, path: str
) -> None:
    options = {"containerizers": "docker", "docker_host": docker_engine.url}
    first, second = unique("writes"), unique("reads")
    with contextlib.closing(docker_engine.client()) as engine:
        try:
            for master, agent in agent_world(tmp_path / "agent", **options):
                data = given_volume(master, path)
                master.run(container(first, f"echo kept > {path}/file", data))
                master.wait_state(first, S.FINISHED)
                master.run(container(second, f"cat {path}/file", data))
                master.wait_state(second, S.FINISHED)
                assert agent.get(f"/containers/{second}/logs") == b"kept\n"
                (folder,) = folders(agent)
                order(master, Destroy(data))
                wait_until("the data are removed", lambda folder=folder: not folder.exists())  # type: ignore[misc]
        finally:
            remove(engine, first, second)


def container(task_id: str, line: str, resources: Resources) -> TaskInfo:
    return TaskInfo(
        task_id,
        TaskId(task_id),
        AGENT_ID,
        resources=resources,
        command=CommandInfo(f"cd $MESOS_SANDBOX; {line}"),
        container=ContainerInfo(ContainerType.DOCKER, docker=DockerInfo(BUSYBOX)),
    )


def remove(engine: docker.DockerClient, *task_ids: str) -> None:
    for task_id in task_ids:
        for found in engine.containers.list(
            all=True, ignore_removed=True, filters={"label": f"mezzo.task={task_id}"}
        ):
            found.remove(force=True, v=True)
