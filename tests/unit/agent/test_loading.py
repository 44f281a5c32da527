"""A store that is damaged: one record hurts what it describes, and nothing else."""

from __future__ import annotations

import functools
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.api.render import shown_state
from mezzo.agent.container import ContainerAbsent, ContainerExited, ContainerStarted
from mezzo.agent.core import AgentCore
from mezzo.agent.process.shell import forget_set_aside, only_agent_in, owner_of
from mezzo.cluster.operations import Create, Reserve
from mezzo.cluster.resources import Disk, Kind, Reservation, Resources
from mezzo.cluster.states import TaskState
from mezzo.core import Put
from mezzo.errors import BadConfig, Corrupt
from mezzo.ids import FrameworkId, IdSource
from mezzo.messages import agent as am
from mezzo.record import replace
from mezzo.store.memory import MemoryStore

from .fakes import CONFIG, F1, FRAMEWORK, World, docker_task, process_task

OTHER = replace(FRAMEWORK, id=FrameworkId("F2"))
GIVEN = Resources.of(cpus=4, mem=4096, disk=1000)
AGENT = replace(CONFIG, info=replace(CONFIG.info, resources=GIVEN))
OWN = Reservation("DYNAMIC", "ads", "me")
DISK = Resources({Kind("disk", (OWN,)): 100_000})
VOLUME = Resources({Kind("disk", (OWN,), Disk(None, "data", "me", "data")): 100_000})
VITAL = ("identity/agent", "obeyed/agent", "resources/agent")


def full_world() -> World:
    """A record of each kind."""
    world = World(config=AGENT).register()
    for number, conversion in enumerate((Reserve(DISK), Create(VOLUME, id="o1"))):
        world.hear(am.ApplyOperation(number.to_bytes(16, "big"), conversion, F1))
    for made in world.of(do.MakeVolume):
        world.step(e.VolumeMade(made.path))
    world.start(process_task("t1", resources=VOLUME))
    world.start(docker_task("t2"), OTHER)
    world.start(process_task("t3", unique_lease=60.0))
    world.step(ContainerExited(world.start(process_task("t4")), exit_code=0))
    world.acknowledge_all()
    for _ in range(3):
        if status := world.head("t4"):
            world.acknowledge(status)
    return world


@functools.cache
def disk_of_all() -> dict[str, bytes]:
    return full_world().disk


def test_there_is_a_record_of_each_kind() -> None:
    assert {
        *("identity", "obeyed", "resources", "proof"),
        *("framework", "task", "ended", "remains", "operation", "applied", "volume"),
    } == {key.partition("/")[0] for key in disk_of_all()}
    assert set(VITAL) < set(disk_of_all())


keys = st.deferred(lambda: st.sampled_from(sorted(disk_of_all())))
damage = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([b"", b"null", b"[]", b"{}", b"0", b'""', b"[" * 100_000, b'{"a":1}', b"\xff"]),
    keys.map(lambda key: disk_of_all()[key]),  # another's
)


def problem_of(disk: dict[str, bytes]) -> str | None:
    """Why no agent can start with this."""
    try:
        AgentCore(AGENT, disk, IdSource(random.Random(1)))
    except Corrupt as error:
        return str(error)
    return None


@settings(max_examples=400, deadline=None)
@given(key=keys, value=damage, cut=st.integers(0, 400))
def test_one_damaged_record_is_set_aside_and_the_rest_goes_on(
    key: str, value: bytes, cut: int
) -> None:
    if cut < len(disk_of_all()[key]) and cut % 2:
        value = disk_of_all()[key][:cut]
    disk = disk_of_all() | {key: value}
    if (problem := problem_of(disk)) is not None:
        assert key in VITAL
        assert "bring back a copy" in problem
        return
    core = AgentCore(AGENT, disk, IdSource(random.Random(1)))
    aside = dict(core.view().aside)
    # With a framework go its tasks, whatever reads as another record is not that one.
    assert set(aside) <= {key, *(k for k in disk if k.startswith("task/"))}
    shown_state(core.view())
    world = World(config=AGENT, disk=disk)
    before = {task.info.task_id: task.container_id for task in world.core.view().tasks}
    for recovered in world.of(do.RecoverContainers):
        for number, spec in enumerate(recovered.specs):
            world.step((ContainerStarted, ContainerAbsent)[number % 2](spec.container_id))
    world.register()
    world.hear(am.RunTask(FRAMEWORK, process_task("new")))
    assert world.state("new") is TaskState.STARTING
    if "task/F1/t1" in aside:
        world.hear(am.RunTask(FRAMEWORK, process_task("t1")))
        assert world.of(do.LaunchContainer) == []  # it has been launched
    for task_id in before:
        world.hear(am.KillTask(F1, process_task(task_id).task_id))
    world.wait(1)


def test_a_task_whose_record_is_damaged_is_nobodys_and_the_others_are_found_again() -> None:
    cid = full_world().core.view().tasks[0].container_id
    assert cid is not None
    world = World(config=AGENT, disk=disk_of_all() | {"task/F1/t1": b"garbage"})
    (recovered,) = world.of(do.RecoverContainers)
    assert [spec.task_id for spec in recovered.specs] == ["t3", "t2"]
    ((key, why),) = world.core.view().aside
    assert key == "task/F1/t1"
    assert why
    assert shown_state(world.core.view())["set_aside"] == [{"key": key, "why": why}]
    assert world.disk["task/F1/t1"] == b"garbage"
    assert not world.core.state.checkpoint.knows(cid)  # so what runs of it is ended


def test_a_volume_whose_record_is_damaged_is_given_to_no_task() -> None:
    key = next(key for key in disk_of_all() if key.startswith("volume/"))
    world = World(config=AGENT, disk=disk_of_all() | {key: b"garbage"}).register()
    world.hear(am.RunTask(FRAMEWORK, process_task("new", resources=VOLUME)))
    (mount,) = world.launched().volumes
    assert not mount.path.startswith("/")


def test_the_master_is_told_of_a_task_that_was_set_aside() -> None:
    world = World(config=AGENT, disk=disk_of_all() | {"task/F1/t1": b"garbage"})
    world.connect()
    known = am.KnownTask(F1, process_task("t1").task_id)
    world.hear(am.AgentReregistered(world.core.view().agent_id or FRAMEWORK.id, (known,)))  # type: ignore[arg-type]
    assert [s.state for s in world.updates() if s.task_id == "t1"] == [TaskState.DROPPED]
    assert world.core.view().aside == ()


def test_what_was_set_aside_can_be_deleted() -> None:
    store = MemoryStore()
    store.open_term()
    store.commit([Put(key, value) for key, value in disk_of_all().items()])
    store.commit([Put("task/F1/t1", b"garbage"), Put("ended/00000", b"garbage")])
    left = forget_set_aside(store, store.load())
    assert left == store.load()
    assert set(disk_of_all()) - set(left) == {"task/F1/t1", "ended/00000"}


@pytest.mark.parametrize("key", VITAL)
def test_an_agent_that_does_not_know_who_it_is_says_what_to_do(key: str) -> None:
    with pytest.raises(Corrupt, match="remove the folder meta"):
        World(config=AGENT, disk=disk_of_all() | {key: b"garbage"})


def leave(path: Path, kind: str) -> None:
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "bytes":
            path.write_bytes(b"\xff\xfe\x00" * 1_000_000)
        case "loop":
            path.symlink_to(path.name)


@pytest.mark.parametrize("kind", ["pipe", "bytes", "folder", "loop"])
def test_junk_in_the_place_of_the_owners_name_neither_blocks_nor_breaks(
    tmp_path: Path, kind: str
) -> None:
    leave(tmp_path / "owner", kind)
    if kind in ("folder", "loop"):
        with pytest.raises(BadConfig, match=r"/owner can't be written .*--work-dir"):
            owner_of(tmp_path)
    else:
        assert owner_of(tmp_path) == owner_of(tmp_path) != ""


@pytest.mark.parametrize("kind", ["pipe", "bytes", "folder", "loop"])
def test_junk_in_the_place_of_the_lock_neither_blocks_nor_breaks(tmp_path: Path, kind: str) -> None:
    leave(tmp_path / "agent.lock", kind)
    if kind in ("folder", "loop"):
        with (
            pytest.raises(BadConfig, match=r"agent.lock can't be written .*--work-dir"),
            only_agent_in(tmp_path),
        ):
            pass
        return
    with (
        only_agent_in(tmp_path),
        pytest.raises(BadConfig, match="is used by another agent"),
        only_agent_in(tmp_path),
    ):
        pass
