"""Reservations and volumes: done once, kept, and told of until somebody acknowledges."""

from __future__ import annotations

import itertools

import pytest

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.api.render import shown_state
from mezzo.agent.container import ContainerExited, Mount
from mezzo.agent.containerizer.docker.body import DockerSettings, create_body
from mezzo.agent.options import AgentOptions
from mezzo.agent.process.shell import check_comeback
from mezzo.agent.resources.detect import check_reconfiguration
from mezzo.agent.state.checkpoint import APPLIED_MAX, Checkpoint
from mezzo.agent.state.loading import load
from mezzo.agent.state.step import Step
from mezzo.agent.timers import OperationOverdue
from mezzo.agent.views import AgentView
from mezzo.cluster.operations import (
    Conversion,
    Create,
    Destroy,
    GrowVolume,
    OperationState,
    OperationStatus,
    Reserve,
    Unreserve,
)
from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.core import Instant, TimerFired
from mezzo.errors import BadConfig
from mezzo.ids import FrameworkId
from mezzo.messages import agent as am
from mezzo.record import replace

from .fakes import CONFIG, F1, FRAMEWORK, World, apply, docker_task, process_task

S = TaskState
OWN = Reservation("DYNAMIC", "ads", "me")
GIVEN = Resources.of(cpus=4, mem=4096, disk=1000)
AGENT = replace(CONFIG, info=replace(CONFIG.info, resources=GIVEN))
_uuids = itertools.count(1)


def of(name: str, amount: float, disk: Disk | None = None) -> Resources:
    """Reserved to the role `ads`."""
    return Resources({Kind(name, (OWN,), disk): round(amount * 1000)})


def volume(
    mib: float = 100, id_: str = "data", path: str = "data", source: DiskSource | None = None
) -> Resources:
    return of("disk", mib, Disk(source, id_, "me", path))


@pytest.fixture
def world() -> World:
    return World(config=AGENT).register()


def order(
    world: World, conversion: Conversion, *, framework_id: FrameworkId | None = F1
) -> OperationStatus:
    """Have it done; what the master hears of it."""
    uuid = next(_uuids).to_bytes(16, "big")
    world.hear(am.ApplyOperation(uuid, conversion, framework_id))
    (told,) = [m for m in world.sent() if isinstance(m, am.OperationUpdate)]
    assert told.operation.uuid == uuid
    assert told.operation.latest_status == told.status
    return told.status


def given(world: World, *conversions: Conversion) -> None:
    """Done without a word, and the folders made."""
    for conversion in conversions:
        status = order(world, conversion)
        assert status.state is OperationState.FINISHED, status.message
        for made in world.of(do.MakeVolume):
            world.step(e.VolumeMade(made.path))


def total(world: World) -> Resources:
    return world.core.view().resources


def comes_back(world: World) -> am.ReregisterAgent:
    world.connect()
    (message,) = [m for m in world.sent() if isinstance(m, am.ReregisterAgent)]
    return message


# ---- conversions


def test_a_reservation_changes_the_total_which_survives_a_crash(world: World) -> None:
    """Behaviour 84."""
    status = order(world, Reserve(of("cpus", 1)))
    assert (status.state, status.uuid) == (OperationState.FINISHED, None)
    assert status.converted_resources == of("cpus", 1)
    now = Resources.of(cpus=3, mem=4096, disk=1000) + of("cpus", 1)
    assert total(world) == now
    again = world.crash(config=AGENT)
    assert total(again) == now
    assert comes_back(again).info.resources == now


def test_fixed_point_amounts_come_back_whole(world: World) -> None:
    """Behaviour 86."""
    given(world, Reserve(of("cpus", 0.1)), Reserve(of("cpus", 0.2)), Unreserve(of("cpus", 0.3)))
    assert total(world) == GIVEN


def test_an_operation_that_cannot_be_done_is_an_error_and_changes_nothing(world: World) -> None:
    """Behaviour 85."""
    status = order(world, Reserve(of("cpus", 5), id="o1"))
    assert (status.state, status.operation_id) == (OperationState.ERROR, "o1")
    assert status.message
    assert total(world) == GIVEN
    assert not status.converted_resources


def test_a_repeated_operation_is_done_once(world: World) -> None:
    message = am.ApplyOperation(b"u" * 16, Reserve(of("cpus", 1)), F1)
    world.hear(message)
    world.hear(message)
    assert world.effects == []
    again = world.crash(config=AGENT).register()
    again.hear(message)
    assert again.effects == []
    assert total(again).filter(role="ads") == of("cpus", 1)


def test_only_the_last_operations_are_remembered_also_by_the_store() -> None:
    disk: dict[str, bytes] = {}
    checkpoint = Checkpoint()
    uuids = [number.to_bytes(16, "big") for number in range(APPLIED_MAX + 3)]
    for uuid in uuids:
        step = Step(Instant(0.0, 0.0))
        checkpoint.remember_applied(step, uuid)
        apply(disk, step.writes)
    for known in (checkpoint, load(disk)):
        assert [known.has_applied(u) for u in uuids] == [False] * 3 + [True] * APPLIED_MAX


def test_resources_that_a_task_uses_are_not_taken_from_it(world: World) -> None:
    given(world, Reserve(of("cpus", 2)))
    cid = world.start(process_task(resources=of("cpus", 1.5)))
    status = order(world, Unreserve(of("cpus", 1)))
    assert status.state is OperationState.ERROR
    assert "end them first" in (status.message or "")
    given(world, Unreserve(of("cpus", 0.5)))
    world.step(ContainerExited(cid, exit_code=0))
    given(world, Unreserve(of("cpus", 1.5)))
    assert total(world) == GIVEN


# ---- telling


def test_an_operation_with_an_id_is_told_until_it_is_acknowledged(world: World) -> None:
    status = order(world, Reserve(of("cpus", 1), id="o1"))
    assert status.uuid is not None
    key = next(key for key in world.timers if isinstance(key, OperationOverdue))
    gaps = []
    for _ in range(3):
        before_s = world.now_s
        world.now_s = world.timers.pop(key) + 999_000.0
        world.step(TimerFired(key))
        assert [m.status for m in world.sent() if isinstance(m, am.OperationUpdate)] == [status]
        gaps.append(world.now_s - before_s)
    assert gaps == [10, 20, 40]
    again = world.crash(config=AGENT)
    back = comes_back(again)
    assert [(o.uuid, o.latest_status) for o in back.operations] == [(key.uuid, status)]
    again.hear(am.AgentReregistered(back.info.id or world.core.view().tasks[0].info.agent_id))
    assert [m.status for m in again.sent() if isinstance(m, am.OperationUpdate)] == [status]
    again.hear(am.OperationAcknowledged(key.uuid, b"x" * 16))  # of another update
    assert key in again.timers
    again.hear(am.OperationAcknowledged(key.uuid, status.uuid))
    assert key not in again.timers
    again.hear(am.OperationAcknowledged(key.uuid, status.uuid))
    assert again.effects == []
    assert comes_back(again).operations == ()
    assert not any(k.startswith("operation/") for k in again.disk)


def test_an_operation_without_an_id_is_told_once_and_not_kept(world: World) -> None:
    order(world, Reserve(of("cpus", 1)))
    assert not any(isinstance(key, OperationOverdue) for key in world.timers)
    assert comes_back(world).operations == ()


def test_operations_of_a_framework_that_is_shut_down_are_told_no_more(world: World) -> None:
    order(world, Reserve(of("cpus", 1), id="o1"))
    order(world, Reserve(of("cpus", 1), id="o2"), framework_id=FrameworkId("F2"))
    world.hear(am.ShutdownFramework(F1))
    assert [o.info.id for o in comes_back(world).operations] == ["o2"]


# ---- volumes


def folder_of(world: World) -> str:
    (made,) = world.of(do.MakeVolume)
    return made.path


def test_a_volume_gets_a_folder_of_its_own_by_role_and_id(world: World) -> None:
    given(world, Reserve(of("disk", 300)))
    status = order(world, Create(volume()))
    assert status.converted_resources == volume()
    first = folder_of(world)
    assert first.startswith("/w/volumes/roles/ads/data/")
    world.step(e.VolumeMade(first))
    status = order(world, Destroy(volume()))
    assert status.state is OperationState.FINISHED
    assert world.of(do.RemoveVolume) == [do.RemoveVolume(first, whole=True)]
    order(world, Create(volume()))
    second = folder_of(world)
    assert second != first  # whose data may still be there
    world.step(e.VolumeRemoved(first))
    assert [k for k in world.disk if k.startswith("volume/")] == [f"volume/{second}"]


def test_what_a_crash_has_interrupted_is_done_again(world: World) -> None:
    given(world, Reserve(of("disk", 300)), Create(volume(id_="gone")))
    order(world, Destroy(volume(id_="gone")))
    (removal,) = world.of(do.RemoveVolume)
    order(world, Create(volume(id_="new")))
    new = folder_of(world)
    given(world, Create(volume(id_="there")))
    again = world.crash(config=AGENT)
    assert again.of(do.RemoveVolume) == [removal]
    assert folder_of(again) == new
    again.step(e.VolumeMade(new))
    again.step(e.VolumeRemoved(removal.path))
    for event in (e.VolumeMade(new), e.VolumeRemoved(removal.path), e.VolumeRemoved(new)):
        again.step(event)
        assert again.effects == []
    last = again.crash(config=AGENT)
    assert not last.of(do.RemoveVolume)
    assert not last.of(do.MakeVolume)


def test_a_task_sees_its_volume_and_the_next_one_sees_the_same(world: World) -> None:
    """Behaviour 87."""
    given(world, Reserve(of("disk", 100)))
    order(world, Create(volume()))
    folder = folder_of(world)
    world.step(e.VolumeMade(folder))
    cid = world.start(process_task("t1", resources=volume()))
    world.step(ContainerExited(cid, exit_code=0))
    again = world.crash(config=AGENT).register()
    again.hear(am.RunTask(FRAMEWORK, docker_task("t2", resources=volume())))
    spec = again.launched()
    assert spec.volumes == (Mount(folder, "data"),)
    body = create_body(spec, DockerSettings(url="unix:///s", ip="", publish_ip=""))
    assert body["HostConfig"]["Mounts"][1] == {
        "Type": "bind",
        "Source": folder,
        "Target": "/mnt/mesos/sandbox/data",
    }


def test_an_absolute_container_path_is_for_images_only(world: World) -> None:
    wanted = volume(path="/var/lib/data")
    given(world, Reserve(of("disk", 100)), Create(wanted))
    world.hear(am.RunTask(FRAMEWORK, process_task("t1", resources=wanted)))
    (refused,) = world.updates()
    assert (refused.state, refused.reason) == (S.ERROR, Reason.TASK_INVALID)
    assert "relative container_path" in (refused.message or "")
    world.hear(am.RunTask(FRAMEWORK, docker_task("t2", resources=wanted)))
    body = create_body(world.launched(), DockerSettings(url="unix:///s", ip="", publish_ip=""))
    assert body["HostConfig"]["Mounts"][1]["Target"] == "/var/lib/data"


def test_a_volume_in_use_is_not_destroyed(world: World) -> None:
    given(world, Reserve(of("disk", 100)), Create(volume()))
    cid = world.start(process_task(resources=volume()))
    status = order(world, Destroy(volume()))
    assert status.state is OperationState.ERROR
    assert world.of(do.RemoveVolume) == []
    world.step(ContainerExited(cid, exit_code=0))
    given(world, Destroy(volume()))


def test_a_volume_keeps_its_folder_when_it_grows(world: World) -> None:
    given(world, Reserve(of("disk", 300)), Create(volume(100)))
    given(world, GrowVolume(volume(100), of("disk", 50)))
    assert not world.of(do.MakeVolume)
    assert not world.of(do.RemoveVolume)
    assert total(world).get(next(iter(volume().items()))[0]) == 150_000


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        (volume(id_="../up"), "persistence id"),
        (volume(path=""), "container_path"),
        (volume(path="a/../../b"), "'..'"),
        (volume(path="a\nb"), "control character"),
    ],
)
def test_a_volume_that_could_escape_is_refused(world: World, wanted: Resources, part: str) -> None:
    given(world, Reserve(of("disk", 300)))
    status = order(world, Create(wanted))
    assert status.state is OperationState.ERROR
    assert part in (status.message or "")
    assert world.of(do.MakeVolume) == []


def test_an_id_is_used_once_per_role(world: World) -> None:
    given(world, Reserve(of("disk", 300)), Create(volume(100, "data", "one")))
    status = order(world, Create(volume(100, "data", "two")))
    assert status.state is OperationState.ERROR


def test_a_task_whose_volume_or_reservation_is_not_there_is_dropped(world: World) -> None:
    """The conversion before it failed, say."""
    static = Kind("disk", (Reservation("STATIC", "ads"),), Disk(None, "id", None, "data"))
    on_static = Resources({static: 1000})
    for task_id, wanted in (("t1", volume()), ("t2", of("cpus", 1)), ("t3", on_static)):
        world.hear(am.RunTask(FRAMEWORK, process_task(task_id, resources=wanted)))
        (dropped,) = world.updates()
        assert (dropped.state, dropped.reason) == (S.DROPPED, Reason.RESOURCES_UNKNOWN)


def test_what_else_a_task_asks_for_is_for_the_master_to_judge(world: World) -> None:
    """It may know more than the agent does by now: of what nobody has to make here."""
    static = Resources({Kind("cpus", (Reservation("STATIC", "ads"),)): 1000})
    for task_id, wanted in (("t1", Resources.of(cpus=4096)), ("t2", static)):
        world.hear(am.RunTask(FRAMEWORK, process_task(task_id, resources=wanted)))
        assert world.launched().task_id == task_id


def disk_agent(source: DiskSource) -> tuple[World, Resources]:
    """One whose flags give a disk of its own, and that disk."""
    disk = Resources({Kind("disk", (Reservation("STATIC", "ads"),), Disk(source)): 1_000_000})
    info = replace(CONFIG.info, resources=Resources.of(cpus=4, mem=4096) + disk)
    return World(config=replace(CONFIG, info=info)).register(), disk


def volume_on(source: DiskSource) -> Resources:
    kind = Kind("disk", (Reservation("STATIC", "ads"),), Disk(source, "data", "me", "data"))
    return Resources({kind: 1_000_000})


def test_a_volume_on_a_mounted_disk_is_its_root_which_stays() -> None:
    source = DiskSource("MOUNT", "/mnt/one")
    world, _ = disk_agent(source)
    order(world, Create(volume_on(source)))
    assert folder_of(world) == "/mnt/one"
    order(world, Destroy(volume_on(source)))
    assert world.of(do.RemoveVolume) == [do.RemoveVolume("/mnt/one", whole=False)]
    status = order(world, Create(volume_on(source)))
    assert status.state is OperationState.ERROR
    assert "try again" in (status.message or "")
    world.step(e.VolumeRemoved("/mnt/one"))
    order(world, Create(volume_on(source)))
    assert folder_of(world) == "/mnt/one"


@pytest.mark.parametrize(("root", "base"), [("/mnt/two", "/mnt/two"), ("two", "/w/two")])
def test_a_volume_on_a_path_disk_is_below_its_root(root: str, base: str) -> None:
    source = DiskSource("PATH", root)
    world, _ = disk_agent(source)
    order(world, Create(volume_on(source)))
    assert folder_of(world).startswith(f"{base}/volumes/roles/ads/data/")


@pytest.mark.parametrize("source", [DiskSource("BLOCK", "/dev/x"), DiskSource("PATH")])
def test_a_disk_without_files_takes_no_volume(source: DiskSource) -> None:
    world, _ = disk_agent(source)
    assert order(world, Create(volume_on(source))).state is OperationState.ERROR


# ---- restarts with other flags


def test_more_resources_are_added_to_what_conversions_have_made(world: World) -> None:
    """Behaviour 51."""
    given(world, Reserve(of("cpus", 3)))
    more = replace(AGENT.info, resources=Resources.of(cpus=8, mem=4096, disk=1000))
    check_reconfiguration(AGENT.info, more, "additive")
    for _ in range(2):  # it is no surplus any more the second time
        world = world.crash(config=replace(AGENT, info=more))
        assert total(world).filter(role="*").cpus == 5
        assert total(world).filter(role="ads") == of("cpus", 3)
    world.register()
    given(world, Unreserve(of("cpus", 3)))
    assert total(world) == more.resources


def test_fewer_resources_than_are_reserved_keep_the_agent_from_starting(world: World) -> None:
    """Behaviour 89."""
    given(world, Reserve(of("cpus", 3)))
    fewer = replace(AGENT, info=replace(AGENT.info, resources=Resources.of(cpus=2, mem=4096)))
    for policy in ("equal", "additive"):
        options = AgentOptions("127.0.0.1:1", reconfiguration_policy=policy)
        with pytest.raises(BadConfig, match="resources must be the same"):
            check_comeback(load(world.disk), fewer, options)


def test_people_see_all_that_the_agent_has(world: World) -> None:
    given(world, Reserve(of("cpus", 1)))
    view: AgentView = world.core.view()
    assert shown_state(view)["resources"]["cpus"] == 4
