"""A real agent with a real Docker engine."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import psutil
import pytest

from mezzo.cluster.model import (
    CommandInfo,
    ContainerInfo,
    ContainerType,
    DockerInfo,
    DockerNetwork,
    DrainConfig,
    EnvironmentVariable,
    HealthCheck,
    HealthCheckType,
    HttpCheck,
    KillPolicy,
    Parameter,
    PortMapping,
    TaskInfo,
    Volume,
    VolumeMode,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.record import replace
from tests.parts.agent_harness import AGENT_ID, Agent, Master, agent_world, unique, wait_until
from tests.parts.docker_engine import BUSYBOX, DockerEngine
from tests.parts.docker_proxy import Proxy

S = TaskState
World = tuple[Master, Agent]


@pytest.fixture
def world(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[World]:
    options = {
        "containerizers": "docker,process",
        "docker_host": docker_engine.url,
        "container_remove_delay_s": 3600,
    }
    yield from agent_world(tmp_path / "agent", **options)


@pytest.fixture
def engine(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker_engine.client()) as client:
        yield client


@pytest.fixture
def task_id(engine: docker.DockerClient) -> Iterator[str]:
    """One that is unique on the engine; its containers are removed afterwards."""
    name = unique("task")
    yield name
    for container in engine.containers.list(
        all=True, ignore_removed=True, filters={"label": f"mezzo.task={name}"}
    ):
        container.remove(force=True, v=True)


def task(
    task_id: str,
    line: str | None,
    *,
    mem: float = 64,
    network: DockerNetwork = DockerNetwork.HOST,
    image: str = BUSYBOX,
    port_mappings: tuple[PortMapping, ...] = (),
    parameters: tuple[Parameter, ...] = (),
    volumes: tuple[Volume, ...] = (),
    command: CommandInfo | None = None,
    health_check: HealthCheck | None = None,
    kill_policy: KillPolicy | None = None,
) -> TaskInfo:
    variables = (EnvironmentVariable("PASSWORD", "hunter2"),)
    return TaskInfo(
        name=task_id,
        task_id=TaskId(task_id),
        agent_id=AGENT_ID,
        resources=Resources.of(cpus=0.1, mem=mem),
        command=command or CommandInfo(line, environment=variables),
        container=ContainerInfo(
            ContainerType.DOCKER,
            docker=DockerInfo(
                image, network=network, port_mappings=port_mappings, parameters=parameters
            ),
            volumes=volumes,
        ),
        health_check=health_check,
        kill_policy=kill_policy or KillPolicy(0.2),
    )


def container_of(engine: docker.DockerClient, task_id: str) -> docker.models.containers.Container:
    (found,) = engine.containers.list(all=True, filters={"label": f"mezzo.task={task_id}"})
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_container_runs_with_labels_limits_and_environment_and_finishes(
    world: World, engine: docker.DockerClient, task_id: str
) -> None:
    master, agent = world
    line = "echo out; echo err >&2; env > $MESOS_SANDBOX/env"
    master.run(task(task_id, line))
    running = master.wait_state(task_id, S.RUNNING)
    master.wait_state(task_id, S.FINISHED)
    assert master.heard.states(task_id) == [S.STARTING, S.RUNNING, S.FINISHED]
    container = container_of(engine, task_id)
    assert running.container_status is not None
    cid = running.container_status.container_id
    assert container.name == f"mezzo-{cid}"
    assert running.data is not None
    assert json.loads(running.data)[0]["Id"] == container.id
    address = running.container_status.network_infos[0].ip_addresses[0].ip_address
    assert address == "127.0.0.1"  # of the agent: the task is on its network
    assert container.labels["mezzo.container"] == cid
    assert container.labels["mezzo.agent"] == "S1"
    assert container.labels["mezzo.framework"] == "F1"
    limits = container.attrs["HostConfig"]
    assert (limits["CpuShares"], limits["CpuQuota"]) == (102, 10_000)
    assert limits["Memory"] == limits["MemorySwap"] == 64 << 20
    sandbox = agent.work_dir / f"slaves/S1/frameworks/F1/executors/{task_id}/runs/latest"
    env = dict(line.split("=", 1) for line in (sandbox / "env").read_text().splitlines())
    assert env["PASSWORD"] == "hunter2"
    assert env["MESOS_CONTAINER_NAME"] == container.name
    assert env["MESOS_SANDBOX"] == "/mnt/mesos/sandbox"
    assert Path(env["MESOS_DIRECTORY"]) == sandbox.resolve()
    assert agent.get(f"/containers/{task_id}/logs") == b"out\n"
    assert agent.get(f"/containers/{cid}/logs?stream=stderr&offset=1") == b"rr\n"
    assert "hunter2" not in agent.log_text()


def test_a_command_without_shell_is_given_to_the_entrypoint(world: World, task_id: str) -> None:
    master, agent = world
    command = CommandInfo("echo", shell=False, arguments=("$HOME", "b"))
    master.run(task(task_id, None, command=command))
    master.wait_state(task_id, S.FINISHED)
    assert agent.get(f"/containers/{task_id}/logs") == b"$HOME b\n"


def test_parameters_and_volumes_reach_the_container(
    world: World, task_id: str, tmp_path: Path
) -> None:
    master, agent = world
    (tmp_path / "given").mkdir()
    (tmp_path / "given/file").write_text("hello")
    line = "cat /data/file; hostname; touch /data/x || echo read only; id -u; pwd"
    parameters = (
        Parameter("hostname", "named"),
        Parameter("user", "65534"),
        Parameter("workdir", "/tmp"),
        Parameter("add-host", "somewhere:127.0.0.7"),
    )
    volumes = (Volume(VolumeMode.RO, "/data", str(tmp_path / "given")),)
    network = DockerNetwork.BRIDGE
    master.run(task(task_id, line, network=network, parameters=parameters, volumes=volumes))
    master.wait_state(task_id, S.FINISHED)
    said = agent.get(f"/containers/{task_id}/logs")
    assert said == b"hellonamed\nread only\n65534\n/tmp\n"


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("no-such-option", "1", "'no-such-option' is not supported"),
        ("memory", "1g", "'memory': use the task's resources"),
        ("ulimit", "nofile=many", "nofile=many"),
    ],
)
def test_a_wrong_parameter_fails_the_launch_by_name(
    world: World, task_id: str, key: str, value: str, part: str
) -> None:
    master, _ = world
    master.run(task(task_id, "true", parameters=(Parameter(key, value),)))
    failed = master.wait_state(task_id, S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert part in (failed.message or "")


def test_an_unknown_image_fails_the_launch_with_the_words_of_the_engine(
    world: World, task_id: str
) -> None:
    master, _ = world
    image = "127.0.0.1:1/mezzo/no-such-image:1"
    master.run(task(task_id, "true", image=image))
    failed = master.wait_state(task_id, S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert f"image {image} can't be pulled" in (failed.message or "")
    assert "connection refused" in (failed.message or "")


def test_an_image_that_can_have_no_such_name_fails_the_launch(world: World, task_id: str) -> None:
    """The engine's client refuses it by itself, without asking the engine."""
    master, agent = world
    image = DockerInfo("http://mezzo/no-such-image", force_pull_image=True)
    info = task(task_id, "true")
    master.run(replace(info, container=ContainerInfo(ContainerType.DOCKER, docker=image)))
    failed = master.wait_state(task_id, S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert "http://mezzo/no-such-image can't be pulled" in (failed.message or "")
    assert "docker.unavailable" not in agent.log_text()


def test_a_program_that_is_not_in_the_image_fails_the_launch(world: World, task_id: str) -> None:
    master, _ = world
    command = CommandInfo("/no/such/program", shell=False)
    master.run(task(task_id, None, command=command))
    failed = master.wait_state(task_id, S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert "/no/such/program" in (failed.message or "")


def test_published_ports_are_reached_on_the_agents_address(world: World, task_id: str) -> None:
    """With a health check that names the port as the container has it."""
    master, _ = world
    port = free_port()
    check = HealthCheck(
        HealthCheckType.HTTP,
        http=HttpCheck(8080, path="/index.html"),
        delay_seconds=0,
        interval_seconds=0.1,
    )
    line = "mkdir /www; echo served > /www/index.html; exec httpd -f -p 8080 -h /www"
    mapping = PortMapping(port, 8080)
    bridge = DockerNetwork.BRIDGE
    master.run(task(task_id, line, network=bridge, port_mappings=(mapping,), health_check=check))
    master.wait("healthy", lambda heard: any(s.healthy for s in heard.updates(task_id)))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=10) as answer:
        assert answer.read() == b"served\n"
    running = master.heard.updates(task_id)[1]
    assert running.container_status is not None
    (network,) = running.container_status.network_infos
    assert network.ip_addresses[0].ip_address
    master.kill(task_id)
    master.wait_state(task_id, S.KILLED)


def test_a_port_that_is_taken_fails_the_launch(world: World, task_id: str) -> None:
    master, _ = world
    with socket.create_server(("127.0.0.1", 0)) as server:
        mapping = PortMapping(server.getsockname()[1], 80)
        bridge = DockerNetwork.BRIDGE
        master.run(task(task_id, "sleep 1000", network=bridge, port_mappings=(mapping,)))
        failed = master.wait_state(task_id, S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert "address already in use" in (failed.message or "")


def test_memory_above_the_limit_fails_with_its_reason(world: World, task_id: str) -> None:
    """Behaviour 42."""
    master, _ = world
    line = "x=12345678; while true; do x=$x$x; done"
    master.run(task(task_id, f"exec sh -c '{line}'", mem=16))
    failed = master.wait_state(task_id, S.FAILED)
    assert failed.reason is Reason.CONTAINER_LIMITATION_MEMORY
    assert failed.message == "Memory limit exceeded: the task may use 16 MiB"


def test_a_kill_ends_a_container_that_ignores_the_signal(world: World, task_id: str) -> None:
    master, _ = world
    master.run(task(task_id, "trap '' TERM; while true; do sleep 1; done"))
    master.wait_state(task_id, S.RUNNING)
    master.kill(task_id)
    master.wait_state(task_id, S.KILLED)
    assert master.heard.states(task_id) == [S.STARTING, S.RUNNING, S.KILLING, S.KILLED]


def test_a_drain_ends_a_container_with_no_more_grace_than_it_allows(
    world: World, task_id: str
) -> None:
    """Behaviour 102."""
    master, _ = world
    line = "trap '' TERM; while true; do sleep 1; done"
    master.run(task(task_id, line, kill_policy=KillPolicy(600)))
    master.wait_state(task_id, S.RUNNING)
    master.say(am.DrainAgent(DrainConfig(max_grace_period=0.2)))
    assert master.wait_state(task_id, S.KILLED).reason is Reason.AGENT_DRAINING
    assert master.heard.states(task_id) == [S.STARTING, S.RUNNING, S.KILLING, S.KILLED]


def test_a_kill_right_behind_the_launch_wins(
    world: World, engine: docker.DockerClient, task_id: str
) -> None:
    master, _ = world
    master.run(task(task_id, "sleep 1000"))
    master.kill(task_id)
    master.wait("the end", lambda heard: S.KILLED in heard.states(task_id))
    found = engine.containers.list(filters={"label": f"mezzo.task={task_id}"})
    assert found == []


def test_a_command_check_runs_in_the_container(world: World, task_id: str) -> None:
    master, _ = world
    check = HealthCheck(
        HealthCheckType.COMMAND,
        command=CommandInfo("test -d /mnt/mesos/sandbox && ! test -e /sick"),
        delay_seconds=0,
        interval_seconds=0.1,
        grace_period_seconds=0,
        consecutive_failures=1,
    )
    master.run(task(task_id, "sleep 2; touch /sick; sleep 1000", health_check=check))
    master.wait("healthy", lambda heard: any(s.healthy for s in heard.updates(task_id)))
    killed = master.wait_state(task_id, S.KILLED)
    assert killed.healthy is False


def test_a_hanging_check_does_not_stay_in_the_container(
    world: World, engine: docker.DockerClient, task_id: str
) -> None:
    """Behaviour 108."""
    master, _ = world
    check = HealthCheck(
        HealthCheckType.COMMAND,
        command=CommandInfo("exec sleep 12345"),
        delay_seconds=0,
        timeout_seconds=0.5,
        interval_seconds=100,
        grace_period_seconds=0,
    )
    master.run(task(task_id, "sleep 1000", health_check=check))
    master.wait("unhealthy", lambda h: any(s.healthy is False for s in h.updates(task_id)))
    container = container_of(engine, task_id)

    def hanging() -> bool:
        return any("12345" in " ".join(row) for row in container.top()["Processes"])

    wait_until("the check has gone", lambda: not hanging())
    assert container.status == "running"


def test_containers_survive_the_crash_of_their_agent(
    world: World, engine: docker.DockerClient
) -> None:
    """Promise 3: one runs on, one ends meanwhile; neither is started or reported twice."""
    master, agent = world
    stays, ends = unique("stays"), unique("ends")
    try:
        master.run(task(stays, "sleep 1000"))
        master.run(task(ends, "while [ ! -e $MESOS_SANDBOX/gate ]; do sleep 0.1; done; exit 4"))
        master.wait_state(stays, S.RUNNING)
        master.wait_state(ends, S.RUNNING)
        before = container_of(engine, stays).attrs
        agent.crash()
        (agent.work_dir / f"slaves/S1/frameworks/F1/executors/{ends}/runs/latest/gate").touch()
        container_of(engine, ends).wait(timeout=30)
        agent.start()
        failed = master.wait_state(ends, S.FAILED)
        assert failed.message == "Command exited with status 4"
        after = container_of(engine, stays).attrs
        assert after["Id"] == before["Id"]
        assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
        agent.crash()
        agent.start()
        master.wait_registration(times=3)
        master.kill(stays)
        master.wait_state(stays, S.KILLED)
        assert master.heard.states(ends) == [S.STARTING, S.RUNNING, S.FAILED]
        assert master.heard.states(stays) == [S.STARTING, S.RUNNING, S.KILLING, S.KILLED]
    finally:
        for name in (stays, ends):
            with contextlib.suppress(ValueError):
                container_of(engine, name).remove(force=True)


def test_a_container_that_is_created_but_not_started_is_launched_after_a_crash(
    world: World, engine: docker.DockerClient, docker_engine: DockerEngine, task_id: str
) -> None:
    """The agent may die at any moment of a launch; here the engine is away, so it can't finish."""
    master, agent = world
    agent.stop()
    agent.start(docker_host="unix:///no/such/docker.sock")
    master.wait_registration(times=2)
    master.run(task(task_id, "sleep 1000"))
    starting = master.wait_state(task_id, S.STARTING)
    agent.crash()
    assert starting.container_status is not None
    cid = starting.container_status.container_id
    made = engine.containers.create(
        BUSYBOX,
        "sleep 1000",
        name=f"mezzo-{cid}",
        labels={"mezzo.container": str(cid), "mezzo.task": task_id},
    )
    agent.start()
    master.wait_state(task_id, S.RUNNING)
    # Its start may have been asked for, and be under way: so it is not asked to start again.
    assert container_of(engine, task_id).id != made.id


def test_an_engine_that_is_away_is_waited_for_and_said_so(
    docker_engine: DockerEngine, engine: docker.DockerClient, tmp_path: Path, task_id: str
) -> None:
    link = tmp_path / "docker.sock"
    options = {"containerizers": "docker", "docker_host": f"unix://{link}"}
    for master, agent in agent_world(tmp_path / "agent", **options):
        master.run(task(task_id, "sleep 1000"))
        master.wait_state(task_id, S.STARTING)
        # Once at its start, and once when it had a container to launch.
        wait_until("no engine", lambda agent=agent: agent.log_text().count("docker.unav") == 2)  # type: ignore[misc]
        link.symlink_to(docker_engine.socket)
        master.wait_state(task_id, S.RUNNING)
        events = [line["event"] for line in agent.logged()]
        assert events.index("docker.unavailable") < events.index("docker.available")
        master.kill(task_id)
        master.wait_state(task_id, S.KILLED)


class Gate:
    """Between an agent and its engine: while closed, no request to start a container gets through,
    and its connection breaks."""

    def __init__(self, path: Path, engine: Path) -> None:
        self.closed = True
        self.stopped = threading.Event()  # a start
        self._engine = engine
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            agent, _ = self._server.accept()
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(str(self._engine))
            for pair in ((agent, engine), (engine, agent)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := source.recv(65536):
                if self.closed and said.startswith(b"POST ") and b"/start HTTP" in said:
                    self.stopped.set()
                    break
                target.sendall(said)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def test_what_is_killed_while_the_engine_is_away_is_not_started_when_it_is_back(
    docker_engine: DockerEngine, engine: docker.DockerClient, tmp_path: Path, task_id: str
) -> None:
    """A unique task above all: it may run elsewhere by then."""
    gate = Gate(tmp_path / "gate", docker_engine.socket)
    options = {"containerizers": "docker", "docker_host": f"unix://{tmp_path}/gate"}
    for master, _ in agent_world(tmp_path / "agent", **options):
        master.run(task(task_id, "sleep 1000"))
        assert gate.stopped.wait(30)
        master.kill(task_id)
        # Its answer comes after the kill.
        master.run(task("refused", "true", port_mappings=(PortMapping(1, 1),)))
        master.wait_state("refused", S.ERROR)
        gate.closed = False
        master.wait_state(task_id, S.KILLED)
        assert S.RUNNING not in master.heard.states(task_id)
        assert listed(engine, task_id) == []  # it was made, and is gone: no late request starts it


def test_a_container_that_somebody_removes_is_reported(
    world: World, engine: docker.DockerClient, task_id: str
) -> None:
    master, _ = world
    master.run(task(task_id, "sleep 1000"))
    master.wait_state(task_id, S.RUNNING)
    container_of(engine, task_id).remove(force=True)
    failed = master.wait_state(task_id, S.FAILED)
    assert failed.message in (
        "Command exited with status 137",
        "its container was removed from the engine",
    )


def test_containers_live_through_a_crash_of_their_engine(
    world: World, docker_engine_alone: DockerEngine, engine: docker.DockerClient
) -> None:
    """Promise 3 with live-restore; what ends while the engine is down is noticed afterwards."""
    master, _ = world
    stays, ends = unique("stays"), unique("ends")
    try:
        master.run(task(stays, "sleep 1000"))
        master.run(task(ends, "sleep 1000"))
        master.wait_state(stays, S.RUNNING)
        running = master.wait_state(ends, S.RUNNING)
        assert running.container_status is not None
        pid = running.container_status.executor_pid
        assert pid is not None
        docker_engine_alone.restart(crash=True)
        psutil.Process(pid).kill()
        master.wait_state(ends, S.FAILED)
        master.kill(stays)
        master.wait_state(stays, S.KILLED)
        assert master.heard.states(stays) == [S.STARTING, S.RUNNING, S.KILLING, S.KILLED]
    finally:
        for name in (stays, ends):
            with contextlib.suppress(ValueError):
                container_of(engine, name).remove(force=True)


def test_a_removed_container_leaves_its_output_in_the_sandbox(
    docker_engine: DockerEngine, engine: docker.DockerClient, tmp_path: Path, task_id: str
) -> None:
    options = {
        "containerizers": "docker",
        "docker_host": docker_engine.url,
        "container_remove_delay_s": 0.1,
    }
    for master, agent in agent_world(tmp_path / "agent", **options):
        master.run(task(task_id, "echo out; echo err >&2"))
        master.wait_state(task_id, S.FINISHED)
        label = f"mezzo.task={task_id}"

        def left(label: str = label) -> bool:
            return bool(
                engine.containers.list(all=True, filters={"label": label}, ignore_removed=True)
            )

        wait_until("no container", lambda left=left: not left())  # type: ignore[misc]
        sandbox = agent.work_dir / f"slaves/S1/frameworks/F1/executors/{task_id}/runs/latest"
        assert (sandbox / "stderr").read_text() == "err\n"
        assert agent.get(f"/containers/{task_id}/logs?offset=1") == b"ut\n"


@pytest.mark.parametrize("trouble", ["no sandbox", "no file"])
def test_a_container_whose_output_cannot_be_saved_holds_nothing_up(
    docker_engine: DockerEngine,
    engine: docker.DockerClient,
    tmp_path: Path,
    task_id: str,
    trouble: str,
) -> None:
    """Somebody has removed its sandbox, or the disk takes no file."""
    options = {
        "containerizers": "docker",
        "docker_host": docker_engine.url,
        "container_remove_delay_s": 0.5,
    }
    for master, agent in agent_world(tmp_path / "agent", **options):
        sandbox = agent.work_dir / f"slaves/S1/frameworks/F1/executors/{task_id}/runs/latest"
        master.run(task(task_id, "trap 'exit 0' TERM; sleep 1000 & wait"))
        master.wait_state(task_id, S.RUNNING)
        if trouble == "no sandbox":
            shutil.rmtree(sandbox.resolve())
        else:
            real = sandbox.resolve()
            shutil.rmtree(real)
            real.symlink_to(tmp_path)
        master.kill(task_id)
        master.wait_state(task_id, S.KILLED)
        if trouble == "no sandbox":
            filters = {"label": f"mezzo.task={task_id}"}
            wait_until(
                "no container",
                lambda filters=filters: (
                    not engine.containers.list(all=True, filters=filters, ignore_removed=True)
                ),  # type: ignore[misc]
            )
        else:
            wait_until(
                "a word of it",
                lambda agent=agent: "container.not_removed" in agent.log_text(),  # type: ignore[misc]
            )
        assert "docker.unavailable" not in agent.log_text()


def test_logs_of_a_container_can_be_followed_to_the_end(world: World, task_id: str) -> None:
    master, agent = world
    master.run(task(task_id, "echo one; sleep 1; echo two"))
    master.wait_state(task_id, S.RUNNING)
    with ThreadPoolExecutor(20) as readers:  # more than the agent has threads for answers
        path = f"/containers/{task_id}/logs?follow=true"
        read = [readers.submit(agent.get, path) for _ in range(20)]
        assert agent.get("/health") == b""
        assert agent.get("/version")
        assert [each.result(30) for each in read] == [b"one\ntwo\n"] * 20


def test_a_framework_that_is_torn_down_loses_its_containers_silently(
    world: World, engine: docker.DockerClient, task_id: str
) -> None:
    """Behaviour 54."""
    master, agent = world
    master.run(task(task_id, "sleep 1000"))
    master.wait_state(task_id, S.RUNNING)
    master.say(am.ShutdownFramework(FrameworkId("F1")))
    assert container_of(engine, task_id).wait(timeout=30)["StatusCode"] == 137
    wait_until("forgotten", lambda: not json.loads(agent.get("/state"))["frameworks"])
    assert master.heard.states(task_id) == [S.STARTING, S.RUNNING, S.KILLING]


def test_an_idle_agent_with_docker_takes_little_memory(world: World) -> None:
    _, agent = world
    assert agent.process is not None
    used = psutil.Process(agent.process.pid).memory_info().rss / 2**20
    assert used < 60, f"{used:.0f} MiB"


# ---------------------------------------------------------------------------------- spoilt answers

CALLS = [
    ("POST", "/containers/create"),
    ("POST", "/start"),
    ("GET", "/json"),
    ("POST", "/kill"),
    ("GET", "/logs"),
    ("DELETE", "/containers/"),
]


@pytest.mark.parametrize("fault", ["lose", "cut", "delay", "refuse", "garble"])
def test_a_task_starts_once_and_ends_once_whatever_answers_are_spoilt(
    docker_engine: DockerEngine,
    engine: docker.DockerClient,
    tmp_path: Path,
    task_id: str,
    fault: str,
) -> None:
    """Each call of two lives, a short and a killed one, is spoilt once; the file counts starts."""
    with Proxy(docker_engine.socket, tmp_path / "s") as proxy:
        options = {
            "containerizers": "docker",
            "docker_host": proxy.url,
            "container_remove_delay_s": 1,
        }
        for master, agent in agent_world(tmp_path / "agent", **options):
            proxy.faults += [(fault, method, path) for method, path in CALLS]
            counted = Volume(VolumeMode.RW, "/count", host_path=str(tmp_path))
            for number, line in enumerate(["exit 3", "trap '' TERM; sleep 1000 & wait; wait"]):
                count = f"echo $$ >> /count/{number}; {line}"
                master.run(task(f"{task_id}.{number}", count, volumes=(counted,)))
            failed = master.wait_state(f"{task_id}.0", S.FAILED)
            assert failed.message == "Command exited with status 3"
            master.wait_state(f"{task_id}.1", S.RUNNING)
            master.kill(f"{task_id}.1")
            master.wait_state(f"{task_id}.1", S.KILLED)
            for number in (0, 1):
                wait_until("it is removed", lambda n=number: not listed(engine, f"{task_id}.{n}"))  # type: ignore[misc]
                assert (tmp_path / str(number)).read_text().count("\n") == 1
            assert proxy.faults == []
            assert agent.process is not None
            assert agent.process.poll() is None


def test_containers_of_an_agent_that_has_lost_its_store_are_ended_and_others_left(
    world: World, engine: docker.DockerClient, task_id: str
) -> None:
    master, agent = world
    master.run(task(task_id, "sleep 1000"))
    master.wait_state(task_id, S.RUNNING)
    labels = {"mezzo.container": "other", "mezzo.owner": "another", "mezzo.task": f"{task_id}.o"}
    other = engine.containers.run(BUSYBOX, "sleep 1000", detach=True, labels=labels)
    try:
        agent.crash()
        shutil.rmtree(agent.work_dir / "meta")
        agent.start()
        wait_until("it is ended", lambda: not listed(engine, task_id))
        assert [line for line in agent.logged() if line["event"] == "docker.unknown"]
        assert listed(engine, f"{task_id}.o")
    finally:
        other.remove(force=True)


def listed(engine: docker.DockerClient, task_id: str) -> list[docker.models.containers.Container]:
    return engine.containers.list(
        all=True, ignore_removed=True, filters={"label": f"mezzo.task={task_id}"}
    )


def test_an_output_of_its_own_is_no_way_out_of_a_containers_sandbox(
    world: World, engine: docker.DockerClient, task_id: str, tmp_path: Path
) -> None:
    """The agent saves what the engine has, as root, into a folder of the task's."""
    master, agent = world
    victim = tmp_path / "victim"
    victim.write_text("precious")
    line = (
        f"cd $MESOS_SANDBOX; ln -s {victim} stdout; ln -s {victim} .stdout; mkfifo stderr; "
        "mkdir .stderr; echo said"
    )
    agent.stop()
    agent.start(container_remove_delay_s=0.2)
    master.wait_registration(times=2)
    master.run(task(task_id, line))
    master.wait_state(task_id, S.FINISHED)
    wait_until("it is removed", lambda: not listed(engine, task_id))
    wait_until("it is saved", lambda: agent.get(f"/containers/{task_id}/logs") == b"said\n")
    assert agent.get(f"/containers/{task_id}/logs?stream=stderr") == b""
    assert victim.read_text() == "precious"
