"""The cluster of `mezzo up`: which processes, how they are started, ended and waited for."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from mezzo.ids import FrameworkId
from mezzo.process.daemon import Sidecar, cli_command

from ..clients.answers import Apps, State
from ..clients.json_http import Server, gateway_server
from ..clients.marathon_api import Marathon
from ..words.errors import Failed
from .handing_on import Handed

HOST: Final = "127.0.0.1"
GIB_MIB: Final = 1024
TASK_PORTS: Final = (31000, 32000)  # Mesos' default range
START_WITHIN_S: Final = 60.0
PORTS_FREE_WITHIN_S: Final = 5.0
TASKS_GONE_WITHIN_S: Final = 30.0
CRASHES_MAX: Final = 3  # until a daemon is given up on before the cluster was ever ready
_POLL_S: Final = 0.05
_AGENT: Final = "agent-"  # begins the names of agents


@dataclass(frozen=True, slots=True)
class Plan:
    """The cluster that was asked for. agent_port: of the first agent, the others follow."""

    directory: Path
    agents: int
    containerizers: str
    docker_host: str | None
    gateway_port: int
    master_port: int
    agent_port: int
    marathon_port: int
    mesos_user: str
    task_ports: tuple[int, int] = TASK_PORTS  # first and last
    log_level: str = "info"
    settings: Handed = field(default_factory=dict)  # of the daemons, as variables

    @property
    def gateway_url(self) -> str:
        return f"http://{HOST}:{self.gateway_port}"

    @property
    def marathon_url(self) -> str:
        return f"http://{HOST}:{self.marathon_port}"

    @property
    def master(self) -> str:
        return f"{HOST}:{self.master_port}"

    def agent_ports(self) -> list[int]:
        """The agents' ports: from `agent_port` on, those that nobody else has."""
        others = {self.gateway_port, self.master_port, self.marathon_port}
        free = (port for port in range(self.agent_port, 65536) if port not in others)
        return list(itertools.islice(free, self.agents))

    def ports(self) -> Iterator[tuple[int, str]]:
        """Every port that is listened on, and the option that chooses it."""
        yield self.gateway_port, "--gateway-port"
        yield self.master_port, "--master-port"
        yield self.marathon_port, "--marathon-port"
        for port in self.agent_ports():
            yield port, "--agent-port"


def shares(agents: int, task_ports: tuple[int, int] = TASK_PORTS) -> list[str]:
    """The `--resources` of each agent: equal parts of this machine, and ports of their own.

    As an agent alone would, 1 GiB of memory and 5 GiB of disk are left to the system, or half if
    that is little. Everybody gets at least one CPU, which may be more than there is: an app asks
    for one unless it says otherwise, and has to fit.
    """
    cpus = max(1.0, (psutil.cpu_count() or 1) / agents)
    mem_mib = _left_mib(psutil.virtual_memory().total / 2**20, GIB_MIB) / agents
    disk_mib = _left_mib(psutil.disk_usage("/").total / 2**20, 5 * GIB_MIB) / agents
    begin, end = task_ports
    width = (end - begin + 1) // agents
    return [
        f"cpus:{cpus:.2f};mem:{int(mem_mib)};disk:{int(disk_mib)};"
        f"ports:[{begin + i * width}-{begin + (i + 1) * width - 1}]"
        for i in range(agents)
    ]


def _left_mib(total_mib: float, kept_mib: float) -> float:
    return total_mib - kept_mib if total_mib >= 2 * kept_mib else total_mib / 2


@dataclass(slots=True)
class LocalCluster:
    """The daemons as children of this process, all in one directory."""

    plan: Plan
    daemons: list[Sidecar] = field(default_factory=list)

    def start(self) -> None:
        """Start all daemons at once: they wait for each other. Raises Failed if a port is taken."""
        _wait_for_ports(self.plan)
        self.daemons = list(self._children())
        for daemon in self.daemons:
            daemon.start()

    def wait_until_ready(self, say: Callable[[str], None]) -> None:
        """Wait until Marathon and every agent that can start are registered.

        Raises Failed, with the culprit's words, if no agent or anything else does not start.
        """
        deadline = time.monotonic() + START_WITHIN_S
        while missing := self._missing():
            say(f"waiting for {missing}")
            failed = self.crashing()
            if failed and not all(name.startswith(_AGENT) for name in failed):
                raise Failed(next(failed[n] for n in failed if not n.startswith(_AGENT)))
            if len(failed) == self.plan.agents:
                raise Failed("; ".join(failed.values()))
            if time.monotonic() > deadline:
                raise Failed(
                    f"not ready after {START_WITHIN_S:g} s, still waiting for {missing}: see "
                    f"{self.plan.directory / 'logs'}"
                )
            time.sleep(_POLL_S)

    def crashing(self) -> dict[str, str]:
        """The daemons that end as often as they are started, and what to do about each."""
        return {
            daemon.name: f"{daemon.name} does not start (it ended with code "
            f"{daemon.exit_codes[-1]}): {self.last_words(daemon.name)}. If its state is damaged, "
            f"move {self.plan.directory / daemon.name} away: it starts with none"
            for daemon in self.daemons
            if len(daemon.exit_codes) >= CRASHES_MAX
        }

    def tear_down(self, say: Callable[[str], None]) -> list[str]:
        """Remove all apps, shut other frameworks down; returns the ids of tasks that are left."""
        say("stopping all apps")
        marathon = Marathon(self.plan.marathon_url)
        for app in marathon.apps():
            marathon.remove(app["id"])
        deadline = time.monotonic() + TASKS_GONE_WITHIN_S
        self._tear_down_frameworks()
        while left := self._live_tasks():
            say(f"waiting for the end of {len(left)} {'tasks' if len(left) > 1 else 'task'}")
            if time.monotonic() > deadline:
                return left
            time.sleep(_POLL_S)
        return []

    def stop(self) -> None:
        """End all daemons at the same time. Tasks that still run go on."""
        for daemon in self.daemons:
            daemon.ask_to_stop()
        for daemon in self.daemons:
            daemon.stop()

    def last_words(self, name: str) -> str:
        """The end of a daemon's log, and where the rest is."""
        path = self._log(name)
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return f"{' / '.join(lines[-3:]) or 'it said nothing'} (see {path})"

    def _children(self) -> Iterator[Sidecar]:
        plan = self.plan
        yield self._child(
            "master",
            *("master", "--port", str(plan.master_port)),
            *("--gateway-port", str(plan.gateway_port)),
        )
        yield self._child(
            "marathon",
            *("marathon", "--master", plan.master, "--http-port", str(plan.marathon_port)),
            *("--mesos-leader-ui-url", f"{plan.gateway_url}/", "--mesos-user", plan.mesos_user),
        )
        for i, (port, share) in enumerate(
            zip(plan.agent_ports(), shares(plan.agents, plan.task_ports), strict=True)
        ):
            docker = ["--docker-host", plan.docker_host] if plan.docker_host else []
            yield self._child(
                f"{_AGENT}{i + 1}",
                *("agent", "--master", plan.master, "--port", str(port), "--resources", share),
                *("--attributes", f"rack:rack-{i + 1}", "--containerizers", plan.containerizers),
                *docker,
            )

    def _child(self, name: str, *args: str) -> Sidecar:
        common = ["--ip", HOST, "--hostname", HOST, "--log-level", self.plan.log_level]
        work_dir = ["--work-dir", str(self.plan.directory / name)]
        return Sidecar(
            name,
            cli_command(*args, *common, *work_dir),
            log_file=self._log(name),
            # All of them, because a master starts the gateway.
            env={k: v for each in self.plan.settings.values() for k, v in each.items()},
        )

    def _log(self, name: str) -> Path:
        return self.plan.directory / "logs" / f"{name}.log"

    def _missing(self) -> str | None:
        """The daemons that are not there yet, in words."""
        try:
            state = self._state()
        except Failed:
            return "the master"
        active = {agent["port"] for agent in state["slaves"] if agent["active"]}
        agents = len(active & set(self.plan.agent_ports()))
        wanted = self.plan.agents - len(self.crashing())
        if agents < wanted:
            return f"agents ({agents} of {wanted} are registered)"
        if not any(
            each["name"] == "marathon" and each["connected"] for each in state["frameworks"]
        ):
            return "Marathon"
        try:
            Server("Marathon", self.plan.marathon_url).get("/v2/apps", Apps)
        except Failed:
            return "Marathon"
        return None

    def _state(self) -> State:
        return gateway_server(self.plan.gateway_url).get("/state", State)

    def _live_tasks(self) -> list[str]:
        return [task["id"] for each in self._state()["frameworks"] for task in each["tasks"]]

    def _tear_down_frameworks(self) -> None:
        """All but Marathon: its apps are gone already, and it shall know its id when it is back."""
        others = [each["id"] for each in self._state()["frameworks"] if each["name"] != "marathon"]
        if not others:
            return
        from mezzo.messages.operator import Teardown
        from mezzo.wire.clients.operator_client import OperatorClient

        client = OperatorClient(self.plan.master)
        for framework_id in others:
            client.call(Teardown(FrameworkId(framework_id)))
        client.close()


def _wait_for_ports(plan: Plan) -> None:
    """Wait: daemons of a run that was killed may take a moment to go."""
    deadline = time.monotonic() + PORTS_FREE_WITHIN_S
    for port, option in plan.ports():
        while not _free(port):
            if time.monotonic() > deadline:
                raise Failed(
                    f"port {port} is taken: stop what listens there or choose another, {option}"
                )
            time.sleep(_POLL_S)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
