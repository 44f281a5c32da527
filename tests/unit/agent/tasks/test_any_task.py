"""Whatever a framework describes: it is launched, or told of once, and hurts nothing else."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.container import ContainerExited, ContainerSpec, ContainerStarted, Kind
from mezzo.agent.containerizer.docker.body import DockerSettings, create_body
from mezzo.agent.containerizer.native.containerizer import ProcessRuntime
from mezzo.cluster.model import FrameworkInfo, TaskInfo
from mezzo.cluster.states import TaskState
from mezzo.errors import BadRequest, Corrupt
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.record import decode, encode, replace
from mezzo.wire.agent import agent_batches_to_wire
from tests.unit.kernel.strategies import records

from ..fakes import FRAMEWORK, S1, World, docker_task, messages_in, process_task

HOSTILE = [
    *(
        "",
        "\0",
        "a\nb",
        "\r\nX: y",
        "/",
        "..",
        ".",
        "../../x",
        "x" * 300,
        "é" * 200,
        ":",
        "=",
        "a=b",
    ),
    *(
        "%s",
        "{}",
        "-1",
        "0" * 5000,
        " ",
        "a b",
        "\x7f",
        "\u202e",
        "latest",
        "null",
        "1e999",
        "$(id)",
    ),
]
PLAIN = st.sampled_from([process_task(), docker_task()])


@st.composite
def tasks(draw: st.DrawFn) -> TaskInfo:
    """Any that decodes, with some of its texts replaced."""
    base = draw(st.one_of(PLAIN, records(TaskInfo)))
    info = replace(base, agent_id=draw(st.sampled_from([S1, S1, S1, base.agent_id])), executor=None)
    plain = json.loads(encode(info))
    chosen = random.Random(draw(st.integers(0, 1 << 30)))
    share = draw(st.sampled_from([0.0, 0.1, 0.5]))
    try:
        return decode(TaskInfo, json.dumps(soiled(plain, chosen, share)).encode())
    except Corrupt:
        return info


def soiled(value: Any, chosen: random.Random, share: float) -> Any:
    match value:
        case dict():
            return {
                key: each if key in ("agent_id", "type") else soiled(each, chosen, share)
                for key, each in value.items()
            }
        case list():
            return [soiled(each, chosen, share) for each in value]
        case str() if chosen.random() < share:
            return chosen.choice(HOSTILE)
        case _:
            return value


ids = st.sampled_from([FRAMEWORK.id, *map(FrameworkId, HOSTILE), None])


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(info=tasks(), framework_id=st.just(FRAMEWORK.id) | ids, grouped=st.booleans())
def test_any_task_is_launched_or_told_once(
    info: TaskInfo, framework_id: FrameworkId | None, grouped: bool
) -> None:
    world = World().register()
    framework = replace(FRAMEWORK, id=framework_id)
    said: am.MasterMessage = am.RunTask(framework, info)
    if grouped and info.task_id != "neighbour":
        said = am.RunGroup(framework, process_task().executor or executor(), (info,))
    sendable(world.hear(said))
    launches = world.of(do.LaunchContainer)
    if launches:
        (launch,) = launches
        described(launch.spec)
        live(world, launch.spec)
    elif framework_id is not None:
        (update,) = [m for m in world.sent() if isinstance(m, am.StatusUpdate)]
        assert update.latest_state.terminal
        assert update.status.message
        assert (update.framework_id, update.status.task_id) == (framework_id, info.task_id)
    world.hear(am.RunTask(FRAMEWORK, process_task("neighbour")))
    assert world.state("neighbour") is TaskState.STARTING
    world.crash()


def executor() -> Any:
    from mezzo.cluster.model import ExecutorInfo

    return ExecutorInfo(executor_id="x")  # type: ignore[arg-type]


def sendable(effects: list[do.AgentEffect]) -> None:
    list(agent_batches_to_wire(messages_in(effects)))


def described(spec: ContainerSpec) -> None:
    """To the engine or to the keeper; or refused in words."""
    if spec.kind is Kind.DOCKER:
        try:
            body = create_body(spec, DockerSettings("unix:///s", "127.0.0.1", "127.0.0.1"))
        except BadRequest:
            return
        json.dumps(body, allow_nan=False).encode()
    else:
        runtime = ProcessRuntime(print, print, Path("/w/run"), {}, lambda _: True, None)
        try:
            task = runtime._task(spec)
        except (KeyError, ValueError):
            return  # of its user, as `_launch` says
        json.dumps(task).encode()


def live(world: World, spec: ContainerSpec) -> None:
    """As long as it may: started, checked, killed, ended, acknowledged."""
    sendable(world.step(ContainerStarted(spec.container_id)))
    for effect in world.wait(1):
        if isinstance(effect, do.ProbeHealth):
            sendable(world.step(e.HealthObserved(spec.container_id, False, "x" * 100_000)))
    sendable(world.hear(am.KillTask(spec.framework_id, spec.task_id)))
    sendable(world.step(ContainerExited(spec.container_id, exit_code=1)))


FRAMEWORKS = records(FrameworkInfo)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(framework=FRAMEWORKS, user=st.sampled_from(HOSTILE))
def test_any_framework_runs_its_task_or_is_told(framework: FrameworkInfo, user: str) -> None:
    world = World().register()
    sendable(world.hear(am.RunTask(replace(framework, user=user), process_task())))
    for launch in world.of(do.LaunchContainer):
        described(launch.spec)
    world.crash()


def test_a_task_that_cannot_be_kept_is_told_once_and_not_stored() -> None:
    world = World().register()
    before = dict(world.disk)
    world.hear(am.RunTask(FRAMEWORK, replace(process_task(), task_id=TaskId("../../../etc"))))
    (update,) = world.updates()
    assert update.state is TaskState.ERROR
    assert "task.task_id" in (update.message or "")
    assert world.disk == before
