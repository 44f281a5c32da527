"""One virtual cluster under faults, then healed: safety at every step, progress at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .daemons.containers import Container, Machine
from .daemons.frameworks import Kind
from .faults.drill import Drill
from .faults.fault_mix import Faults, Victims
from .making.fleet import Fleet
from .making.ground import Ground
from .making.population import Population
from .making.shape import AS_DRAWN, Shape, draw
from .making.staff import Staff
from .making.watching import Promises
from .watch import Watch
from .world.watched import Broken
from .world.world import World

# After the last fault: ping timeouts, Marathon's reconciliation (600 s) and its unreachable job
# must have had their turn.
HEAL_S: Final = 1500.0
# Once everybody is there: an app that takes longer was forgotten, and is found by a timer that
# is there for the worst. The rarest that is not: the master is asked for what it could not tell.
FORGOTTEN_S: Final = 100.0
_LOOK_S: Final = 5.0
_STABLE_LOOKS: Final = 4
_STEPS_MAX: Final = 1_000_000  # a hundred times what a seed takes


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did. `faults` are the kinds that the seed drew."""

    seed: int
    steps: int
    containers: int
    changes: int
    healed_in_s: float
    faults: tuple[str, ...]


class Cluster(Watch):
    """A run is a pure function of the seed and the shape."""

    def __init__(self, seed: int, shape: Shape = AS_DRAWN) -> None:
        """The generator of the world is drawn from in the order of these lines."""
        world = self.world = World(seed, steps_max=_STEPS_MAX)
        drawn = self._drawn = draw(world, shape)
        ground = self.ground = Ground(world, drawn)
        fleet = self.fleet = Fleet(ground, drawn)
        population = self.population = Population(ground, drawn, fleet)
        victims = Victims(
            fleet.masters, fleet.agents, fleet.marathons, population.frameworks, ground.disks
        )
        self.faults = Faults(world, ground.network, victims, ground.masters_elect)
        self.staff = Staff(ground, drawn, fleet, population)
        self._promises = Promises(ground, drawn, fleet, population, self.staff)
        self._drill = Drill(world, ground.network, victims, self._promises.survival)
        self._containers = 0
        self._victims = victims
        self._connect()

    def _connect(self) -> None:
        """Everybody hears who leads, and is heard by those who watch."""
        ground = self.ground
        for client in (*self._victims.clients, *self.population.clients):
            ground.masters_elect.watch(client.leader_is)
        for process in self._victims.processes:
            process.on_commit = ground.watch.committed
        ground.watch.begin(
            (
                self.staff.admin,
                self.staff.listing,
                ground.ailments,
                self,
                *self._promises.watchers,
            )
        )

    def container_started(self, machine: Machine, container: Container) -> None:
        self._containers += 1

    def start(self) -> None:
        """Everything is switched on."""
        for candidate in self._victims.candidates:
            candidate.stand()
        for agent in self.fleet.agents:
            agent.start()
        for framework in self.population.frameworks:
            if framework not in self.staff.guarantees.wait:
                framework.start()
        self.staff.guarantees.start()

    def run(self) -> Report:
        """Raises Broken, or a core's error: then `world.story()` tells what came before."""
        world, owner = self.world, self.staff.owner
        self.faults.start()
        self.start()
        self._liven_up()
        world.run(until_s=self.faults.last_s + world.between(0, 180))
        self._quieten()
        healed_in_s = self.heal()
        # More than a small task leaves behind; but a glutton leaves only such pieces.
        owner.surge(cpus=0.5 if Kind.GLUTTON in self._drawn.kinds else 1.5)
        self.heal()
        self._drill.run()
        self.heal()
        return Report(
            world.seed,
            world.steps,
            self._containers,
            owner.answered,
            healed_in_s,
            self._summary(),
        )

    def _liven_up(self) -> None:
        """From now on all actors change what they can."""
        staff, population = self.staff, self.population
        staff.owner.start()
        staff.admin.start()
        population.cast.start()
        staff.listing.start()
        for stray in population.strays:
            stray.start()
        for steward in population.stewards:
            steward.start()

    def _quieten(self) -> None:
        """No faults any more, and no changes."""
        staff, population = self.staff, self.population
        staff.owner.stop()
        self.faults.stop()
        self.ground.ailments.stop()
        staff.admin.stop()
        population.cast.stop()
        staff.listing.stop()
        for keeper in population.keepers:
            keeper.tire()
        for framework in population.frameworks:
            if framework.asker is not None:
                framework.asker.over = True
        for steward in population.stewards:
            steward.stop()

    def _summary(self) -> tuple[str, ...]:
        return (
            *self.faults.summary,
            *self.faults.moments.summary,
            *self.ground.ailments.summary,
            *self.staff.admin.summary,
            *self.population.cast.summary,
            *(["a vault"] if self._drawn.vault else []),
            *(["regions"] if self.ground.places.domain is not None else []),
            *(["a list of hosts"] if self.staff.listing.kept else []),
        )

    def heal(self) -> float:
        """Promise 6: without faults every app reaches its target, with nobody's help.

        Returns how many seconds that took.
        """
        targets, admin = self._promises.targets, self.staff.admin
        forgotten_s = self._forgotten_s()
        began_s = able_since_s = self.world.now_s
        stable = 0
        while stable < _STABLE_LOOKS:
            self.world.run(self.world.now_s + _LOOK_S)
            wrong = self.ground.watch.wrong()
            if not (late := targets.wrong()) or targets.excuse() or admin.wrong():
                able_since_s = self.world.now_s
            elif self.world.now_s - able_since_s > forgotten_s:
                raise Broken(
                    f"promise 6: for {forgotten_s:.0f} s nothing has been in the way, and "
                    f"still {late}"
                )
            stable = 0 if wrong else stable + 1
            if self.world.now_s - began_s > HEAL_S:
                raise Broken(f"promise 6: {HEAL_S:.0f} s after the last fault: {wrong}")
        return self.world.now_s - began_s - _STABLE_LOOKS * _LOOK_S

    def _forgotten_s(self) -> float:
        """A hoarder keeps its last offer until that times out. If that is all there is it may have
        the next turn as well: others had more grants meanwhile, of small pieces."""
        if not self._drawn.hoarders:
            return FORGOTTEN_S
        turns = 2 if self._drawn.all_is_hoarded else 1
        return FORGOTTEN_S + turns * self._drawn.offer_timeout_s
