"""From a description to what a containerizer is told, or why it is refused."""

from __future__ import annotations

import pytest

from mezzo.agent.config import AgentConfig
from mezzo.agent.container import Kind
from mezzo.agent.containerizer.docker.body import DockerSettings, create_body
from mezzo.agent.tasks.container_spec import refusal
from mezzo.cluster.model import (
    CommandInfo,
    ContainerInfo,
    ContainerType,
    DockerInfo,
    DockerNetwork,
    EnvironmentVariable,
    ExecutorInfo,
    FrameworkInfo,
    HealthCheck,
    HealthCheckType,
    HttpCheck,
    NetworkInfo,
    Parameter,
    PortMapping,
    TaskInfo,
    TcpCheck,
    Uri,
    Volume,
    VolumeMode,
)
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest
from mezzo.ids import ExecutorId
from mezzo.messages import agent as am
from mezzo.record import replace

from ..fakes import CONFIG, FRAMEWORK, World, docker_task, process_task

SETTINGS = DockerSettings(url="unix:///s", ip="127.0.0.1", publish_ip="127.0.0.1")


def container(docker: DockerInfo | None, **fields: object) -> ContainerInfo:
    return ContainerInfo(ContainerType.DOCKER, docker=docker, **fields)  # type: ignore[arg-type]


def docker(**fields: object) -> TaskInfo:
    return docker_task(container=container(DockerInfo("image", **fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("info", "part"),
    [
        (process_task(executor=ExecutorInfo(ExecutorId("x"))), "custom executors"),
        (process_task(command=None), "task.command.value is missing"),
        (process_task(command=CommandInfo(None)), "task.command.value is missing"),
        (
            process_task(command=CommandInfo(None, shell=True, arguments=("sleep", "1"))),
            "task.command.value is missing",
        ),
        (process_task(command=CommandInfo("x", uris=(Uri("http://x"),))), "task.command.uris"),
        (docker_task(container=container(None)), "docker.image is missing"),
        (docker(port_mappings=(PortMapping(1, 1),)), "network HOST has none"),
        (
            docker(network=DockerNetwork.BRIDGE, port_mappings=(PortMapping(1, 1, "icmp"),)),
            "protocol 'icmp'",
        ),
        (docker(network=DockerNetwork.USER), "needs the name of a network"),
        (
            process_task(
                container=ContainerInfo(
                    ContainerType.MESOS, volumes=(Volume(VolumeMode.RO, "/a", "/b"),)
                )
            ),
            "only Docker tasks have volumes",
        ),
        (
            process_task(
                container=ContainerInfo(
                    ContainerType.MESOS, network_infos=(NetworkInfo(name="net"),)
                )
            ),
            "on the network of its host",
        ),
        (process_task(health_check=HealthCheck(HealthCheckType.HTTP)), "without its http"),
        (process_task(health_check=HealthCheck(HealthCheckType.COMMAND)), "without its command"),
        (
            process_task(
                health_check=HealthCheck(HealthCheckType.HTTP, http=HttpCheck(1, scheme="gopher"))
            ),
            "scheme 'gopher'",
        ),
        (
            process_task(health_check=HealthCheck(HealthCheckType.TCP, tcp=TcpCheck(65536))),
            "port 65536",
        ),
        (
            docker_task(health_check=HealthCheck(HealthCheckType.HTTP, http=HttpCheck(0))),
            "port 0",
        ),
        (process_task(command=CommandInfo("a\0b")), "task.command holds a NUL"),
        (process_task(command=CommandInfo("x", user="a\0b")), "task.command holds a NUL"),
        (
            docker_task(command=CommandInfo(None, shell=False, arguments=("\0",))),
            "task.command holds a NUL",
        ),
        (
            process_task(command=CommandInfo("x", environment=(EnvironmentVariable("A=B", "c"),))),
            "task.command.environment: 'A=B'",
        ),
        (
            process_task(
                health_check=HealthCheck(
                    HealthCheckType.COMMAND,
                    command=CommandInfo("x", environment=(EnvironmentVariable("A", "\0"),)),
                )
            ),
            "task.health_check.command.environment: 'A'",
        ),
    ],
)
def test_a_description_that_cannot_run_is_refused_with_what_to_do(
    info: TaskInfo, part: str
) -> None:
    assert part in (refusal(info, CONFIG) or "")


@pytest.mark.parametrize(
    "info",
    [
        process_task(),
        process_task(command=CommandInfo(None, shell=False, arguments=("/bin/true",))),
        process_task(container=ContainerInfo(ContainerType.MESOS)),
        docker_task(),
        docker_task(command=None),
        docker(network=DockerNetwork.BRIDGE, port_mappings=(PortMapping(1, 1, "UDP"),)),
        process_task(health_check=HealthCheck(HealthCheckType.HTTP, http=HttpCheck(1))),
    ],
)
def test_a_description_that_can_run_is_accepted(info: TaskInfo) -> None:
    assert refusal(info, CONFIG) is None


def test_a_containerizer_that_is_off_is_named_with_the_flag() -> None:
    config: AgentConfig = replace(CONFIG, containerizers=(Kind.PROCESS,))
    assert "--containerizers=docker" in (refusal(docker_task(), config) or "")


def test_the_tasks_own_variables_win_over_those_of_the_agent() -> None:
    world = World().register()
    variables = (EnvironmentVariable("MESOS_TASK_ID", "mine"), EnvironmentVariable("EMPTY"))
    world.hear(
        am.RunTask(FRAMEWORK, process_task(command=CommandInfo("x", environment=variables)), "role")
    )
    env = dict(world.launched().env)
    assert env["MESOS_TASK_ID"] == "mine"
    assert env["EMPTY"] == ""
    assert env["MESOS_ALLOCATION_ROLE"] == "role"
    assert env["MESOS_CHECKPOINT"] == "1"
    assert env["MESOS_SANDBOX"] == env["MESOS_DIRECTORY"] == world.launched().sandbox


@pytest.mark.parametrize(
    ("ip", "endpoint"), [("192.0.2.7", "192.0.2.7:5051"), ("2001:db8::7", "[2001:db8::7]:5051")]
)
def test_a_task_is_told_where_its_agent_is_reached_though_that_listens_everywhere(
    ip: str, endpoint: str
) -> None:
    config = replace(CONFIG, ip="0.0.0.0", info=replace(CONFIG.info, ip=ip))
    world = World(config=config).register()
    world.hear(am.RunTask(FRAMEWORK, process_task(), "role"))
    env = dict(world.launched().env)
    assert env["MESOS_AGENT_ENDPOINT"] == endpoint
    assert env["MESOS_SLAVE_PID"] == f"slave(1)@{endpoint}"


def test_without_checkpointing_the_variable_is_absent() -> None:
    """Executors take any text as true."""
    world = World().register()
    world.run(framework=FrameworkInfo(user="u", name="f", id=FRAMEWORK.id))
    assert "MESOS_CHECKPOINT" not in dict(world.launched().env)


def test_a_process_runs_as_the_user_of_its_framework_unless_it_names_one() -> None:
    world = World().register()
    world.run(process_task("t1"))
    assert world.launched().user == "someone"
    world.run(process_task("t2", command=CommandInfo("x", user="other")))
    assert world.launched().user == "other"
    world.run(docker_task("t3"))
    assert world.launched().user is None


def body(info: TaskInfo, settings: DockerSettings = SETTINGS) -> dict[str, object]:
    world = World().register()
    world.run(info)
    return create_body(world.launched(), settings)


@pytest.mark.parametrize(
    ("command", "entrypoint", "cmd"),
    [
        (CommandInfo("echo a b"), ["/bin/sh", "-c"], ["echo a b"]),
        (CommandInfo("echo", shell=False, arguments=("a", "b")), None, ["echo", "a", "b"]),
        (CommandInfo(None, shell=False, arguments=("a", "b")), None, ["a", "b"]),
        (CommandInfo(None), None, None),
        (None, None, None),
    ],
)
def test_commands_meet_the_entrypoint_of_the_image_as_in_mesos(
    command: CommandInfo | None, entrypoint: list[str] | None, cmd: list[str] | None
) -> None:
    made = body(docker_task(command=command))
    assert (made.get("Entrypoint"), made.get("Cmd")) == (entrypoint, cmd)


def test_limits_are_those_of_the_resources() -> None:
    host = body(docker_task(resources=Resources.of(cpus=0.001, mem=1)))["HostConfig"]
    assert isinstance(host, dict)
    assert (host["CpuShares"], host["CpuQuota"]) == (2, 10_000)  # the least that is possible
    assert host["Memory"] == host["MemorySwap"] == 6 << 20
    weight = body(docker_task(), replace(SETTINGS, cfs=False))["HostConfig"]
    assert isinstance(weight, dict)
    assert weight["CpuShares"] == 1024
    assert "CpuQuota" not in weight


def test_ports_and_volumes_become_bindings() -> None:
    info = docker_task(
        container=container(
            DockerInfo(
                "image",
                network=DockerNetwork.BRIDGE,
                port_mappings=(PortMapping(31000, 80), PortMapping(31001, 80, "udp")),
            ),
            volumes=(
                Volume(VolumeMode.RO, "/in", "/out"),
                Volume(VolumeMode.RW, "inside", "outside"),
                Volume(VolumeMode.RW, "/anonymous"),
            ),
        )
    )
    world = World().register()
    world.run(info)
    spec = world.launched()
    made = create_body(spec, SETTINGS)
    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "31000"}],
        "80/udp": [{"HostIp": "127.0.0.1", "HostPort": "31001"}],
    }
    assert made["ExposedPorts"] == {"80/tcp": {}, "80/udp": {}}
    assert made["HostConfig"]["Binds"] == [
        "/out:/in:ro",
        f"{spec.sandbox}/outside:/mnt/mesos/sandbox/inside:rw",
    ]
    assert made["Volumes"] == {"/anonymous": {}}


def parameters(*pairs: tuple[str, str]) -> dict[str, object]:
    return body(docker(parameters=tuple(Parameter(key, value) for key, value in pairs)))


def test_parameters_change_the_body_as_docker_run_would() -> None:
    made = parameters(
        ("--env", "A=b=c"),
        ("label", "mezzo.task=forged"),
        ("label", "mine=1"),
        ("shm-size", "64m"),
        ("device", "/dev/null:/dev/x:r"),
        ("ulimit", "nofile=10:20"),
        ("sysctl", "net.core.somaxconn=9"),
        ("tmpfs", "/scratch:size=1m"),
        ("log-driver", "journald"),
        ("log-opt", "tag=x"),
        ("read-only", "true"),
        ("init", ""),
        ("expose", "99"),
        ("entrypoint", "/run"),
        ("volume", "/a:/b"),
        ("volume", "/c"),
        ("memory-swap", "-1"),
    )
    host = made["HostConfig"]
    assert isinstance(host, dict)
    assert "A=b=c" in made["Env"]  # type: ignore[operator]
    labels = made["Labels"]
    assert isinstance(labels, dict)
    assert (labels["mezzo.task"], labels["mine"]) == ("t1", "1")
    assert host["ShmSize"] == 64 << 20
    assert host["Devices"][0]["PathInContainer"] == "/dev/x"
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 10, "Hard": 20}]
    assert host["Sysctls"] == {"net.core.somaxconn": "9"}
    assert host["Tmpfs"] == {"/scratch": "size=1m"}
    assert host["LogConfig"] == {"Type": "journald", "Config": {"tag": "x"}}
    assert (host["ReadonlyRootfs"], host["Init"], host["MemorySwap"]) == (True, True, -1)
    assert made["ExposedPorts"] == {"99/tcp": {}}
    assert made["Entrypoint"] == ["/run"]
    assert host["Binds"] == ["/a:/b"]
    assert made["Volumes"] == {"/c": {}}


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("frobnicate", "1", "'frobnicate' is not supported: use one of add-host"),
        ("name", "x", "'name': use"),
        ("publish", "80:80", "use port_mappings instead"),
        ("rm", "", "the agent removes"),
        ("init", "maybe", "init='maybe': write true or false"),
        ("shm-size", "big", "write a size like 64m"),
        ("env", "HOME", "write NAME=value"),
        ("device", "", "write /dev/a"),
        ("cpu-shares", "many", "cpu-shares='many'"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(key: str, value: str, part: str) -> None:
    with pytest.raises(BadRequest, match="docker parameter") as refused:
        parameters((key, value))
    assert part in str(refused.value)
