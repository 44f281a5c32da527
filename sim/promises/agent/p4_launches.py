"""Promise 4 before a launch: an agent runs all tasks that it can, refuses others, and says why.

Masters let little that is wrong through, and frameworks describe what they need. So now and then a
copy of an agent, made of what the agent has stored, is told to launch what was launched just now,
changed in one thing each time: some of these it has to run, the others to refuse. Nobody else hears
of it.
"""

from __future__ import annotations

import random
from typing import Any, Final, NamedTuple

from mezzo.agent.core import AgentCore
from mezzo.agent.effects import LaunchContainer, Send
from mezzo.agent.events import MasterSaid, MasterUp, Started
from mezzo.cluster.model import (
    Capability,
    CommandInfo,
    ContainerInfo,
    ContainerType,
    DockerInfo,
    DockerNetwork,
    EnvironmentVariable,
    ExecutorInfo,
    HealthCheck,
    HealthCheckType,
    HttpCheck,
    NetworkInfo,
    PortMapping,
    TaskInfo,
    TcpCheck,
    Uri,
    Volume,
    VolumeMode,
)
from mezzo.cluster.resources import Disk, Kind, Reservation, Resources
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.core import Output
from mezzo.ids import AgentId, ConnId, ExecutorId, IdSource, TaskId
from mezzo.messages import agent as m
from mezzo.record import replace

from ...daemons.agents import VirtualAgent
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World

_TIMES: Final = 3  # in one run
_SELDOM: Final = 0.05
_CONN: Final = ConnId(1)
_PROGRAM: Final = ("/bin/serve", "--port", "80")
_LINE: Final = CommandInfo("serve")
_MUCH: Final = 10**9  # thousandths
_OWN: Final = Reservation("DYNAMIC", "nobody")
_WRONG_IDS: Final = ("", ".", "..", "a/b", "a\\b", "a\nb", "a\x7f", "x" * 256)


def _docker(network: DockerNetwork = DockerNetwork.HOST, **more: Any) -> ContainerInfo:
    ports = more.pop("port_mappings", ())
    return ContainerInfo(ContainerType.DOCKER, docker=DockerInfo("busybox", network, ports), **more)


def _process(**more: Any) -> ContainerInfo:
    return ContainerInfo(ContainerType.MESOS, **more)


_HERE: Final = (Volume(VolumeMode.RW, "data", "/var/data"),)
_NAMED: Final = (NetworkInfo(name="overlay"),)
_MAPPED: Final = (PortMapping(31000, 80, "tcp"),)
_CHECKS: Final = (
    HealthCheck(HealthCheckType.COMMAND, command=CommandInfo("true")),
    HealthCheck(HealthCheckType.HTTP, http=HttpCheck(1, "HTTPS", "/health?deep=1")),
    HealthCheck(HealthCheckType.TCP, tcp=TcpCheck(65535)),
)
_WRONG_CHECKS: Final = (
    HealthCheck(HealthCheckType.COMMAND),
    HealthCheck(HealthCheckType.COMMAND, command=CommandInfo("")),
    HealthCheck(HealthCheckType.HTTP, tcp=TcpCheck(80)),
    HealthCheck(HealthCheckType.TCP, command=CommandInfo("true")),
    HealthCheck(HealthCheckType.HTTP, http=HttpCheck(80, "ftp")),
    HealthCheck(HealthCheckType.HTTP, http=HttpCheck(80, None, "/a b")),
    HealthCheck(HealthCheckType.HTTP, http=HttpCheck(0)),
    HealthCheck(HealthCheckType.TCP, tcp=TcpCheck(65536)),
    HealthCheck(HealthCheckType.COMMAND, command=CommandInfo("tr\0ue")),
)

# Fields of a task, of which an agent with both containerizers runs the task.
_RIGHT: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"command": CommandInfo("/bin/serve", shell=False, arguments=_PROGRAM)},
    {"command": CommandInfo(None, shell=False, arguments=_PROGRAM)},
    {"command": CommandInfo("serve", arguments=_PROGRAM)},
    {"command": CommandInfo("serve", environment=(EnvironmentVariable("A", "b=c"),))},
    {"container": _process()},
    {"container": _docker()},
    {"container": _docker(), "command": None},
    {"container": _docker(volumes=_HERE)},
    {"container": _docker(DockerNetwork.BRIDGE, port_mappings=_MAPPED)},
    {"container": _docker(DockerNetwork.USER, network_infos=_NAMED)},
    {"resources": Resources({Kind("cpus"): _MUCH, Kind("mem"): _MUCH})},  # the master counts
    *({"health_check": check} for check in _CHECKS),
)
# And fields with which nobody could.
_WRONG: Final[tuple[dict[str, Any], ...]] = (
    {"agent_id": AgentId("another")},
    {"command": None},
    {"command": CommandInfo()},
    {"command": CommandInfo("")},
    {"command": CommandInfo(None, arguments=_PROGRAM)},
    {"command": CommandInfo("serve", uris=(Uri("http://host/file"),))},
    {"command": CommandInfo("ser\0ve")},
    {"command": CommandInfo("serve", shell=False, arguments=("a\0b",))},
    {"command": CommandInfo("serve", user="ro\0ot")},
    {"command": CommandInfo("serve", environment=(EnvironmentVariable("A=", "b"),))},
    {"command": CommandInfo("serve", environment=(EnvironmentVariable("A", "b\0"),))},
    {"container": _process(volumes=_HERE)},
    {"container": _process(network_infos=_NAMED)},
    {"container": ContainerInfo(ContainerType.DOCKER)},
    {"container": ContainerInfo(ContainerType.DOCKER, docker=DockerInfo(""))},
    {"container": _docker(DockerNetwork.HOST, port_mappings=_MAPPED)},
    {"container": _docker(DockerNetwork.USER)},
    {"container": _docker(DockerNetwork.BRIDGE, port_mappings=(PortMapping(1, 1, "icmp"),))},
    {"executor": ExecutorInfo(ExecutorId("custom"), command=_LINE)},
    *({"health_check": check} for check in _WRONG_CHECKS),
)
# What it has not got: a conversion has failed, and the master did not hear of it in time.
_MISSING: Final = (
    Resources({Kind("cpus", (_OWN,)): 100}),
    Resources({Kind("mem", (Reservation("STATIC", "nobody"), _OWN)): 100}),
    Resources({Kind("disk", (_OWN,), Disk(None, "nobodys", None, "data")): 100}),
    Resources(
        {Kind("disk", (Reservation("STATIC", "nobody"),), Disk(None, "nobodys", None, "data")): 100}
    ),
)


class _Refusal(NamedTuple):
    state: TaskState
    reason: Reason
    kept: bool = True  # it is told until it is acknowledged


class AgentsRunWhatTheyCan(Watch):
    def __init__(self, world: World) -> None:
        self._rng = random.Random(f"rehearsals of {world.seed}")
        self._left = _TIMES

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        if not self._left or type(event) is not MasterSaid or type(event.message) is not m.RunTask:
            return
        first = self._left == _TIMES
        if (first or self._rng.random() < _SELDOM) and agent.id is not None:
            self._left -= 1
            wrong = _Rehearsal(agent, event.message).wrong()
            if wrong:
                raise Broken(f"promise 4: {agent.name} {wrong}")


class _Rehearsal:
    def __init__(self, agent: VirtualAgent, launch: m.RunTask) -> None:
        core = agent.core
        assert core is not None
        self._launch = launch
        self._agent_id = agent.id
        self._now = agent.process.now()
        view = core.view()
        ids = IdSource(random.Random(launch.task.task_id))
        self._core = AgentCore(view.config, dict(agent.process.disk.data), ids)
        self._epoch = view.epoch

    def wrong(self) -> str:
        agent_id, framework = self._agent_id, self._launch.framework
        assert agent_id is not None
        self._core.step(Started("rehearsal"), self._now)
        self._core.step(MasterUp(_CONN), self._now)
        self._said(m.AgentReregistered(agent_id))
        base = TaskInfo(
            "rehearsed",
            TaskId("rehearsed"),
            agent_id,
            resources=Resources.of(cpus=0.1),
            command=_LINE,
        )
        aware = Capability.PARTITION_AWARE in framework.capabilities
        invalid = _Refusal(TaskState.ERROR, Reason.TASK_INVALID)
        lacks = _Refusal(TaskState.DROPPED if aware else TaskState.LOST, Reason.RESOURCES_UNKNOWN)
        cases: list[tuple[dict[str, Any], _Refusal | None]] = [
            *((change, None) for change in _RIGHT),
            *((change, invalid) for change in _WRONG),
            *(({"resources": resources}, lacks) for resources in _MISSING),
        ]
        for number, (change, refusal) in enumerate(cases):
            info = replace(base, task_id=TaskId(f"rehearsed-{number}"), **change)
            if wrong := self._try(info, refusal):
                return f"{wrong}: {change}"
        for id_ in _WRONG_IDS:
            info = replace(base, task_id=TaskId(id_))
            if wrong := self._try(info, invalid._replace(kept=False)):
                return f"{wrong}: {info.task_id!r}"
        return ""

    def _said(self, message: m.MasterMessage) -> Output[Any]:
        return self._core.step(MasterSaid(_CONN, self._epoch, message), self._now)

    def _try(self, info: TaskInfo, refusal: _Refusal | None) -> str:
        output = self._said(replace(self._launch, task=info))
        launched = [each.spec for each in output.effects if type(each) is LaunchContainer]
        told = [each.message for each in output.effects if type(each) is Send]
        statuses = [each.status for each in told if type(each) is m.StatusUpdate]
        if refusal is None:
            if len(launched) != 1 or [each.state for each in statuses] != [TaskState.STARTING]:
                return f"would not run what it can, and says {statuses}"
            return "" if launched[0].command == info.command else "would run something else"
        if launched:
            return "would launch what can't be run"
        right = (refusal.state, Source.AGENT, refusal.reason)
        if [(each.state, each.source, each.reason) for each in statuses] != [right]:
            return f"says {statuses}, right were {right}"
        if not statuses[0].message or refusal.kept is not (statuses[0].uuid is not None):
            return f"says {statuses}, from which nobody learns why"
        if refusal.kept is not any(write.key.startswith("task/") for write in output.writes):
            return f"does {output.writes}"
        return ""
