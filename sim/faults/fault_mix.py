"""Swarm testing: each seed draws its own mix of faults, and how often they come.

A mix matters more than a mass: a fault that is always there hides the findings of others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from mezzo.agent.state.tables import TASKS
from mezzo.cluster.resources import Resources

from ..daemons.agents import VirtualAgent
from ..daemons.candidate import Candidate
from ..daemons.frameworks import Kind, VirtualFramework
from ..daemons.marathons import VirtualMarathon
from ..daemons.master_link import Client
from ..daemons.masters import VirtualMaster
from ..world.disk import Disk, DiskFaults
from ..world.moments import Moments
from ..world.network import Network, NetworkFaults
from ..world.sessions import SESSION_S, Election
from ..world.virtual_process import DRIFT_MAX, Process
from ..world.world import World

MACHINES_MIN: Final = 5
_POINTS_MAX: Final = 40  # writes and effects that a doomed process may still do
_MORE: Final = Resources.of(cpus=0.5, mem=64)  # of a machine that grows
C = TypeVar("C", bound=Candidate)


@dataclass(frozen=True, slots=True)
class Victims:
    """All that faults may hurt. disks: of masters and Marathons; agents and frameworks have one
    each."""

    masters: Sequence[VirtualMaster]
    agents: Sequence[VirtualAgent]
    marathons: Sequence[VirtualMarathon]
    frameworks: Sequence[VirtualFramework]
    disks: Sequence[Disk]

    @property
    def candidates(self) -> list[Candidate]:
        return [*self.masters, *self.marathons]

    @property
    def processes(self) -> list[Process]:
        return [
            *(candidate.process for candidate in self.candidates),
            *(agent.process for agent in self.agents),
            *(framework.process for framework in self.frameworks),
        ]

    @property
    def clients(self) -> list[Client]:
        return [
            *(agent.client for agent in self.agents),
            *(marathon.client for marathon in self.marathons),
            *(framework.client for framework in self.frameworks),
        ]

    @property
    def names(self) -> list[str]:
        return [process.name for process in self.processes]


class Faults:
    """Hurts the cluster at random moments until `stop`; then everything heals."""

    def __init__(
        self, world: World, network: Network, victims: Victims, election: Election
    ) -> None:
        """election: of the masters."""
        self._world = world
        self._network = network
        self._victims = victims
        self._election = election
        self._active = False
        kinds: dict[str, Callable[[], None]] = {
            "crash master": lambda: self._master().crash(self._down_for_s()),
            "crash marathon": lambda: self._marathon().crash(self._down_for_s()),
            "crash agent": lambda: self._agent().crash(self._down_for_s()),
            "crash framework": self._crash_framework,
            "crash in the middle": self._crash_in_the_middle,
            "reboot": lambda: self._agent().crash(self._down_for_s(), reboot=True),
            "lost session": lambda: self._candidate().lose_session(),
            "zombie": self._zombie,
            "pause": lambda: self._agent().process.stop_for(world.between(0.1, 30)),
            "doubt": lambda: self._candidate().doubt(world.between(0.1, SESSION_S)),
            "partition": self._partition,
            "one-way partition": lambda: self._partition(one_way=True),
            "partial partition": self._partial_partition,
            "isolation": self._isolate,
            "cut": self._cut,
            "store outage": self._store_outage,
            "container lost": self._lose_container,
            "machine lost": self._lose_machine,
            "machine renewed": self._renew_machine,
            "machine grows": self._grow_machine,
            "engine restart": lambda: self._agent().machine.engine_stops(world.between(0.1, 30)),
            "clock jump": self._clock_jump,
            "stale word of the leader": self._mislead,
            "suspend": self._suspend,
            "suspended leader": lambda: self._candidate().suspend(world.between(0.1, 30)),
        }
        self._kinds = {name: act for name, act in kinds.items() if world.chance(0.4)}
        self._mean_gap_s = world.between(2, 20)
        self._always: dict[str, Callable[[], None]] = {
            "slow network": self._slow_network,
            "breaking streams": self._breaking_streams,
            "repeating peers": self._repeating_peers,
            "stalls": self._stalls,
            "slow stores": self._slow_stores,
            "failing reads": self._failing_reads,
            "lost answers": self._lost_answers,
            "failing launches": self._failing_launches,
            "crashing tasks": self._crashing_tasks,
            "drifting clocks": self._drifting_clocks,
        }
        self._always = {name: act for name, act in self._always.items() if world.chance(0.4)}
        # After one fault soon another: a victim that has not got over the first meets the second.
        self._chain = world.between(0.1, 0.7) if world.chance(0.4) else 0.0
        self.moments = Moments(world, network, world.rng.choice((0, 0, 1, 2, 4)))
        self.summary = [*sorted(self._kinds), *sorted(self._always)]

    @property
    def last_s(self) -> float:
        """How long it takes at least until all faults had their turn."""
        return 250.0 if {"isolation", "suspend"} & set(self._kinds) else 60.0

    def start(self) -> None:
        self._active = self.moments.active = True
        for process in self._victims.processes:
            process.moments = self.moments if self.moments.summary else None
        for act in self._always.values():
            act()
        self._next()

    def stop(self) -> None:
        """From now on nothing goes wrong, and all faults are mended. Clocks stay as they are."""
        self._active = self.moments.active = False
        self._network.faults = NetworkFaults()
        self._network.heal()
        for disk in self._victims.disks:
            disk.reachable = True
            disk.faults = DiskFaults()
        for process in self._victims.processes:
            process.crash_within(None)
        for agent in self._victims.agents:
            agent.wake()
            agent.machine.faults.launch_fails = agent.machine.faults.crashes = 0.0
        self._world.tell("all faults are over")

    def _next(self) -> None:
        self._world.after(self._world.rng.expovariate(1 / self._mean_gap_s), self._strike)

    def _strike(self) -> None:
        if not self._active:
            return
        if self._kinds:
            name = self._world.rng.choice(list(self._kinds))
            self._world.tell(f"fault: {name}")
            self._kinds[name]()
        if self._world.chance(self._chain):
            self._world.after(self._world.between(0.0, 2.0), self._strike)
        else:
            self._next()

    # ---- what is always there, once drawn

    def _slow_network(self) -> None:
        self._network.faults.delay_max_s = self._world.between(0.01, 0.5)

    def _breaking_streams(self) -> None:
        self._network.faults.break_stream = self._world.between(0.0001, 0.01)
        self._network.faults.late_end = self._world.between(0.0, 0.5)

    def _repeating_peers(self) -> None:
        self._network.faults.duplicate = self._world.between(0.01, 0.3)

    def _stalls(self) -> None:
        self._network.faults.stall = self._world.between(0.0005, 0.01)

    def _slow_stores(self) -> None:
        for disk in self._victims.disks:
            disk.faults.max_s = self._world.between(0.1, 5.0)

    def _failing_reads(self) -> None:
        for disk in self._victims.disks:
            disk.faults.read_fails = self._world.between(0.1, 0.5)

    def _lost_answers(self) -> None:
        for disk in self._victims.disks:
            disk.faults.answer_lost = self._world.between(0.01, 0.2)

    def _failing_launches(self) -> None:
        for agent in self._victims.agents:
            agent.machine.faults.launch_fails = self._world.between(0.0, 0.3)

    def _crashing_tasks(self) -> None:
        for agent in self._victims.agents:
            agent.machine.faults.crashes = self._world.between(0.0, 0.5)

    def _drifting_clocks(self) -> None:
        for process in self._victims.processes:
            process.mono_rate = 1.0 + self._world.between(-DRIFT_MAX, DRIFT_MAX)
            process.wall_rate = 1.0 + self._world.between(-DRIFT_MAX, DRIFT_MAX)

    # ---- whom it hits

    def _master(self) -> VirtualMaster:
        return self._mostly_leader(self._victims.masters)

    def _marathon(self) -> VirtualMarathon:
        return self._mostly_leader(self._victims.marathons)

    def _candidate(self) -> Candidate:
        return self._master() if self._world.chance(0.6) else self._marathon()

    def _mostly_leader(self, candidates: Sequence[C]) -> C:
        """The leader, mostly: that is where it hurts."""
        leaders = [candidate for candidate in candidates if candidate.process.up]
        if leaders and self._world.chance(0.8):
            return self._world.rng.choice(leaders)
        return self._world.rng.choice(candidates)

    def _agent(self) -> VirtualAgent:
        return self._world.rng.choice(self._victims.agents)

    def _down_for_s(self) -> float:
        """How long a daemon is down: mostly short; sometimes so long that an agent is given up."""
        world = self._world
        return world.between(0, 10) if world.chance(0.8) else world.between(10, 150)

    # ---- the kinds

    def _zombie(self) -> None:
        """A leader sleeps for twice the time after which another leads, and some clients that have
        not heard of that yet, or have just been started, are with it when it wakes."""
        world, wakes_s = self._world, 2 * SESSION_S
        self._candidate().sleep(wakes_s)
        agent = self._agent()
        if world.chance(0.5):
            world.after(wakes_s - world.between(0.0, 2.0), agent.crash, 0.0)
            world.after(wakes_s, self._mislead, agent.client)
        for _ in range(world.rng.randint(0, 2)):
            world.after(wakes_s + world.between(0.0, 1.0), self._mislead)

    def _suspend(self) -> None:
        """A machine sleeps: mostly for a moment, sometimes so long that it is given up. Mostly one
        whose tasks count the time; and some don't find their masters when they wake."""
        world, agent = self._world, self._agent()
        leased = [each for each in self._victims.agents if each.machine.keeps_leases()]
        if leased and world.chance(0.7):
            agent = world.rng.choice(leased)
        for_s = world.between(0.1, 40) if world.chance(0.7) else world.between(40, 200)
        agent.suspend(for_s)
        if world.chance(0.6):
            pairs = [(agent.name, master.name) for master in self._victims.masters]
            self._part(pairs, for_s + world.between(10.0, 200.0))

    def _crash_framework(self) -> None:
        up = [framework for framework in self._victims.frameworks if framework.process.up]
        if up:
            self._world.rng.choice(up).crash(self._down_for_s())

    def _crash_in_the_middle(self) -> None:
        """A process dies at some write or effect of its near future, in the middle of a step."""
        victim = self._world.rng.choice(
            [self._master().process, self._marathon().process, self._agent().process]
        )
        victim.crash_within(self._world.rng.randint(1, _POINTS_MAX))

    def _partition(self, *, one_way: bool = False) -> None:
        world = self._world
        a, b = world.rng.sample(self._victims.names, 2)
        if world.chance(0.7):
            a = self._master().name
            b = self._agent().name if world.chance(0.7) else self._marathon().name
        if world.chance(0.5):
            a, b = b, a
        self._part([(a, b)], self._down_for_s() + 1, one_way=one_way)

    def _partial_partition(self) -> None:
        """Some masters lose sight of some agents: whether it shows depends on who leads."""
        rng = self._world.rng
        masters, agents = self._victims.masters, self._victims.agents
        some = rng.sample(masters, rng.randint(1, len(masters)))
        others = rng.sample(agents, rng.randint(1, len(agents)))
        pairs = [(master.name, agent.name) for master in some for agent in others]
        self._part(pairs, self._down_for_s() + 1)

    def _isolate(self) -> None:
        """An agent is out of sight of all masters, so long that it is given up."""
        agent = self._agent()
        pairs = [(agent.name, master.name) for master in self._victims.masters]
        self._part(pairs, self._world.between(80.0, 250.0))

    def _part(
        self, pairs: Sequence[tuple[str, str]], for_s: float, *, one_way: bool = False
    ) -> None:
        for a, b in pairs:
            self._network.partition(a, b, one_way=one_way)
            self._world.after(for_s, self._mend, a, b, one_way)

    def _mend(self, a: str, b: str, one_way: bool) -> None:
        self._network.mend(a, b, one_way=one_way)

    def _cut(self) -> None:
        """All agents, or all clients, lose their streams at once, and come back at once."""
        agents = {agent.name for agent in self._victims.agents}
        everybody = self._world.chance(0.5)
        self._network.cut(lambda name: everybody or name in agents)

    def _store_outage(self) -> None:
        disk = self._world.rng.choice(self._victims.disks)
        disk.reachable = False
        self._world.after(self._world.between(0.1, 5), self._store_back, disk)

    def _store_back(self, disk: Disk) -> None:
        disk.reachable = True

    def _lose_container(self) -> None:
        """Somebody removes a container by hand.

        None that the agent has not noted as running yet: removed with every trace, nobody can tell
        whether it ever ran, and the agent launches it (again).
        """
        agent = self._agent()
        if down := [each for each in self._victims.agents if not each.process.up]:
            agent = self._world.rng.choice([agent, *down])
        stored = [v for k, v in agent.process.disk.data.items() if k.startswith("task/")]
        tasks = [TASKS.decode(value) for value in stored]
        noted = {task.container_id for task in tasks if task.started_s is not None}
        running = [c.spec.container_id for c in agent.machine.running()]
        if candidates := [container_id for container_id in running if container_id in noted]:
            agent.machine.lost(self._world.rng.choice(candidates))

    def _lose_machine(self) -> None:
        """A machine is lost for good: one of several, so that tasks have room on the others."""
        agents = self._victims.agents
        if len(agents) >= MACHINES_MIN and not any(agent.gone for agent in agents):
            self._agent().destroy()

    def _renew_machine(self) -> None:
        """A machine's disk was lost, or it is installed anew: it comes as another agent.

        Not beside a glutton: for a while the master counts on both agents, and gives away
        guaranteed resources that would have to be on the one that is no more.
        """
        agent = self._agent()
        glutton = any(framework.kind is Kind.GLUTTON for framework in self._victims.frameworks)
        if not (agent.gone or glutton):
            agent.renew()

    def _grow_machine(self) -> None:
        agent = self._agent()
        if not agent.gone:
            agent.grow(_MORE)

    def _mislead(self, client: Client | None = None) -> None:
        """A client that is behind connects to a master that was deposed and may not know it."""
        client = client or self._world.rng.choice(self._victims.clients)
        deposed = [
            master.name
            for master in self._victims.masters
            if master.process.up and master.name != self._election.leader_name
        ]
        if deposed:
            client.leader_is(self._world.rng.choice(deposed))
            self._world.after(self._world.between(0.5, 10), self._correct, client)

    def _correct(self, client: Client) -> None:
        client.leader_is(self._election.leader_name)

    def _clock_jump(self) -> None:
        process = self._world.rng.choice(self._victims.processes)
        process.wall_skew_s += self._world.between(-30, 30)
