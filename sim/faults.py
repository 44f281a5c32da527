"""Swarm testing: each seed draws its own mix of faults, and how often they come."""

from __future__ import annotations

from collections.abc import Callable

from mezzo.store.memory import MemoryDisk

from .agents import VirtualAgent
from .client import Client
from .election import SESSION_S, Election
from .marathons import VirtualMarathon
from .masters import VirtualMaster
from .network import Network, NetworkFaults
from .world import World


class Faults:
    """Hurts the cluster at random moments until `stop`; then everything heals."""

    def __init__(
        self,
        world: World,
        network: Network,
        masters: list[VirtualMaster],
        agents: list[VirtualAgent],
        marathons: list[VirtualMarathon],
        disks: list[MemoryDisk],
        election: Election,
    ) -> None:
        self._world = world
        self._network = network
        self._masters = masters
        self._agents = agents
        self._marathons = marathons
        self._disks = disks
        self._election = election
        self._active = False
        kinds: dict[str, Callable[[], None]] = {
            "crash master": self._crash_master,
            "crash agent": self._crash_agent,
            "reboot agent": self._reboot_agent,
            "crash marathon": self._crash_marathon,
            "master's session": lambda: self._master().lose_session(),
            "zombie master": lambda: self._master().sleep(world.between(1, 3 * SESSION_S)),
            "zombie marathon": lambda: self._marathon().sleep(world.between(1, 3 * SESSION_S)),
            "partition": self._partition,
            "one-way partition": lambda: self._partition(one_way=True),
            "store outage": self._store_outage,
            "container lost": self._lose_container,
            "clock jump": self._clock_jump,
            "stale word of the leader": self._mislead,
        }
        # Half of the kinds, on the average: a fault that is always there hides what others find.
        self._kinds = {name: act for name, act in kinds.items() if world.chance(0.5)}
        self._mean_gap_s = world.between(2, 20)
        self.summary = sorted(self._kinds)

    def start(self) -> None:
        self._active = True
        world = self._world
        faults = NetworkFaults()
        if world.chance(0.5):
            faults.delay_max_s = world.between(0.01, 0.5)
        if world.chance(0.5):
            faults.break_stream = world.between(0.0001, 0.01)
        if world.chance(0.5):
            faults.duplicate = world.between(0.01, 0.3)
        self._network.faults = faults
        for agent in self._agents:
            if world.chance(0.3):
                agent.machine.faults.launch_fails = world.between(0.0, 0.3)
            if world.chance(0.3):
                agent.machine.faults.crashes = world.between(0.0, 0.5)
        self._next()

    def stop(self) -> None:
        """From now on nothing goes wrong, and what was wrong is mended."""
        self._active = False
        self._network.faults = NetworkFaults()
        self._network.heal()
        for disk in self._disks:
            disk.reachable = True
        for agent in self._agents:
            agent.machine.faults.launch_fails = agent.machine.faults.crashes = 0.0
        self._world.tell("all faults are over")

    def _next(self) -> None:
        self._world.after(self._world.rng.expovariate(1 / self._mean_gap_s), self._strike)

    def _strike(self) -> None:
        if not self._active:
            return
        if self._kinds:
            name = self._world.rng.choice(self.summary)
            self._world.tell(f"fault: {name}")
            self._kinds[name]()
        self._next()

    # ---- the kinds

    def _master(self) -> VirtualMaster:
        """The leader, mostly: that is where it hurts."""
        leaders = [master for master in self._masters if master.process.up]
        if leaders and self._world.chance(0.8):
            return self._world.rng.choice(leaders)
        return self._world.rng.choice(self._masters)

    def _marathon(self) -> VirtualMarathon:
        leaders = [marathon for marathon in self._marathons if marathon.process.up]
        if leaders and self._world.chance(0.8):
            return self._world.rng.choice(leaders)
        return self._world.rng.choice(self._marathons)

    def _agent(self) -> VirtualAgent:
        return self._world.rng.choice(self._agents)

    def _down_for_s(self) -> float:
        return (
            self._world.between(0, 10) if self._world.chance(0.8) else self._world.between(10, 150)
        )

    def _crash_master(self) -> None:
        self._master().crash(self._down_for_s())

    def _crash_agent(self) -> None:
        self._agent().crash(self._down_for_s())

    def _reboot_agent(self) -> None:
        self._agent().crash(self._down_for_s(), reboot=True)

    def _crash_marathon(self) -> None:
        self._marathon().crash(self._down_for_s())

    def _partition(self, *, one_way: bool = False) -> None:
        names = [
            *(master.name for master in self._masters),
            *(agent.name for agent in self._agents),
            *(marathon.name for marathon in self._marathons),
        ]
        a, b = self._world.rng.sample(names, 2)
        if self._world.chance(0.7):
            a = self._master().name
            b = self._agent().name if self._world.chance(0.7) else self._marathon().name
        self._network.partition(a, b, one_way=one_way)
        self._world.after(self._down_for_s() + 1, self._network.heal)

    def _store_outage(self) -> None:
        disk = self._world.rng.choice(self._disks)
        disk.reachable = False
        self._world.after(self._world.between(0.1, 5), self._store_back, disk)

    def _store_back(self, disk: MemoryDisk) -> None:
        disk.reachable = True

    def _lose_container(self) -> None:
        """Somebody removes a container by hand, under the agent's eyes.

        Not while the agent is down: of a container that it has not seen running yet, removed with
        every trace, nobody can tell whether it ever ran, and the agent launches it (again).
        """
        agent = self._agent()
        machine = agent.machine
        running = machine.running()
        if running and agent.process.up:
            machine.lost(self._world.rng.choice(running).spec.container_id)

    def _mislead(self) -> None:
        """A client that is behind connects to a master that was deposed and may not know it."""
        client = (self._agent() if self._world.chance(0.7) else self._marathon()).client
        deposed = [
            master.name
            for master in self._masters
            if master.process.up and master.name != self._election.leader_name
        ]
        if deposed:
            client.leader_is(self._world.rng.choice(deposed))
            self._world.after(self._world.between(0.5, 10), self._correct, client)

    def _correct(self, client: Client) -> None:
        client.leader_is(self._election.leader_name)

    def _clock_jump(self) -> None:
        processes = [
            *(master.process for master in self._masters),
            *(agent.process for agent in self._agents),
            *(marathon.process for marathon in self._marathons),
        ]
        process = self._world.rng.choice(processes)
        process.wall_skew_s += self._world.between(-30, 30)
