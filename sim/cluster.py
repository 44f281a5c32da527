"""One virtual cluster under faults, then healed: safety at every step, progress at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mezzo.core import Output
from mezzo.resources import Resources
from mezzo.store.memory import MemoryDisk

from .agents import VirtualAgent
from .containers import Container, Machine
from .election import Election
from .faults import Faults
from .invariants import (
    Broken,
    EndsAreToldOnce,
    NothingPromisedTwice,
    NothingRunsTwice,
    TheDeposedAreDeaf,
)
from .marathons import VirtualMarathon
from .masters import VirtualMaster
from .network import Network
from .operator import Operator, apps_on
from .world import World

# After the last fault: ping timeouts, Marathon's reconciliation (600 s) and its unreachable job
# must have had their turn.
HEAL_S: Final = 1500.0
_LOOK_S: Final = 5.0
_STABLE_LOOKS: Final = 4


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did. `faults` are the kinds that the seed drew."""

    seed: int
    steps: int
    containers: int
    changes: int
    healed_in_s: float
    faults: tuple[str, ...]


class Cluster:
    """3 masters, 2 Marathons and a few agents. A run is a pure function of the seed."""

    def __init__(self, seed: int) -> None:
        world = self.world = World(seed)
        self.network = Network(world)
        self._promise_1 = NothingPromisedTwice()
        self._promise_2 = NothingRunsTwice()
        self._promise_4 = EndsAreToldOnce()
        self._promise_5 = TheDeposedAreDeaf()
        self.containers = 0
        master_disk, self.marathon_disk = MemoryDisk(), MemoryDisk()
        masters_elect = Election(world, master_disk)
        marathons_elect = Election(world, self.marathon_disk)
        self.masters = [
            VirtualMaster(self.network, f"master{i}", master_disk, masters_elect, self._master_step)
            for i in range(3)
        ]
        servers = {master.name: master for master in self.masters}
        count = world.rng.randint(1, 5)
        self.agents = [
            VirtualAgent(
                self.network,
                f"agent{i}",
                Resources.of(cpus=4, mem=2048, disk=1000, ports=[(31000, 31100)]),
                Machine(world, f"agent{i}", self._container_started),
                servers.get,
                self._agent_step,
            )
            for i in range(count)
        ]
        self.marathons = [
            VirtualMarathon(
                self.network,
                f"marathon{i}",
                self.marathon_disk,
                marathons_elect,
                servers.get,
            )
            for i in range(2)
        ]
        for agent in self.agents:
            masters_elect.watch(agent.client.leader_is)
        for marathon in self.marathons:
            masters_elect.watch(marathon.client.leader_is)
        self.faults = Faults(
            world,
            self.network,
            self.masters,
            self.agents,
            self.marathons,
            [master_disk, self.marathon_disk],
            masters_elect,
        )
        machines = [agent.machine for agent in self.agents]
        # 4 apps at up to twice their size during an upgrade, half a cpu each, must fit.
        self.operator = Operator(world, self.marathons, self.marathon_disk, machines, max(1, count))

    def run(self) -> Report:
        """Raises Broken, or what a core raised: then `world.story()` tells what came before."""
        world = self.world
        for master in self.masters:
            master.stand()
        for marathon in self.marathons:
            marathon.stand()
        for agent in self.agents:
            agent.start()
        self.operator.start()
        self.faults.start()
        world.run(until_s=world.between(60, 240))
        self.operator.stop()
        self.faults.stop()
        healed_in_s = self._heal()
        return Report(
            world.seed,
            world.steps,
            self.containers,
            self.operator.answered,
            healed_in_s,
            tuple(self.faults.summary),
        )

    def _heal(self) -> float:
        """Promise 6: without faults every app reaches its target, with nobody's help."""
        began_s = self.world.now_s
        stable = 0
        while stable < _STABLE_LOOKS:
            self.world.run(self.world.now_s + _LOOK_S)
            wrong = self._wrong()
            stable = 0 if wrong else stable + 1
            if self.world.now_s - began_s > HEAL_S:
                raise Broken(f"promise 6: {HEAL_S:.0f} s after the last fault: {wrong}")
        return self.world.now_s - began_s - _STABLE_LOOKS * _LOOK_S

    def _wrong(self) -> str:
        apps = apps_on(self.marathon_disk)
        running: dict[str, int] = {}
        for agent in self.agents:
            for container in agent.machine.running():
                # web.instance-<uuid>._app.1 is a task of /web
                app_id = "/" + container.spec.task_id.split(".")[0].replace("_", "/")
                running[app_id] = running.get(app_id, 0) + 1
        for app_id, app in apps.items():
            count = running.pop(app_id, 0)
            restarting = app.cmd is not None and app.cmd.startswith("sleep ")
            if count > app.instances or (count < app.instances and not restarting):
                return f"{app_id} has {count} containers, its target is {app.instances}"
        if running:
            return f"containers run that belong to no app: {running}"
        pending = [key for key in self.marathon_disk.data if key.startswith("deployment/")]
        jobs_only = all(app.cmd != "serve" for app in apps.values())
        if pending and not jobs_only and "/job" not in apps:
            return f"deployments do not end: {pending}"
        return ""

    # ---- observers

    def _master_step(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        del event, output
        self._promise_1.after_master_step(master)

    def _agent_step(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        self._promise_4.after_agent_step(agent, output)
        self._promise_5.after_agent_step(agent, event, output)

    def _container_started(self, machine: str, container: Container) -> None:
        self.containers += 1
        self.world.tell(f"{machine} runs {container.spec.task_id}")
        agent = next(agent for agent in self.agents if agent.name == machine)
        self._promise_1.after_start(agent.machine, agent.resources)
        self._promise_2.after_start(agent.machine, container)
