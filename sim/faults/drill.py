"""The rest of promise 3: in quiet times everything is restarted, and no container notices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ..actors.app_owner import JOB, app_of
from ..daemons.candidate import Candidate
from ..promises import WhatRunsRunsOn
from ..world.network import Network
from ..world.watched import Broken
from ..world.world import World
from .fault_mix import Victims

_CALM_S: Final = 100.0  # longer than any timer that is set again and again


class Drill:
    """For a healed cluster that nobody changes. No agent is away for so long as to be given up."""

    def __init__(
        self, world: World, network: Network, victims: Victims, survival: WhatRunsRunsOn
    ) -> None:
        self._world = world
        self._network = network
        self._victims = victims
        self._survival = survival

    def run(self) -> None:
        """Raises Broken if anything ends, or anything new is started, that should not."""
        world, victims = self._world, self._victims
        before = self._services()
        self._survival.quiet = self._survival.calm = True
        world.run(world.now_s + _CALM_S)
        self._survival.calm = False
        kinds: tuple[Callable[[], None], ...] = (
            lambda: self._agents(crash=True),
            lambda: self._agents(crash=False),
            lambda: self._leaders(victims.masters),
            lambda: self._leaders(victims.marathons),
            self._stores,
            lambda: self._network.cut(lambda name: True),
        )
        for act in world.rng.sample(kinds, world.rng.randint(2, len(kinds))):
            act()
            if world.chance(0.7):  # else the next one comes at the same time
                world.run(world.now_s + world.between(0.1, 30))
        world.run(world.now_s + 40)
        self._survival.quiet = False
        after = self._services()
        if before != after:
            gone, new = sorted(before - after), sorted(after - before)
            raise Broken(f"promise 3: restarts have ended {gone} and started {new}")

    def _services(self) -> frozenset[str]:
        return frozenset(
            container.spec.task_id
            for agent in self._victims.agents
            for container in agent.machine.running()
            if app_of(container.spec) not in (None, JOB)
        )

    def _agents(self, *, crash: bool) -> None:
        for agent in self._victims.agents:
            if not agent.gone and self._world.chance(0.7):
                for_s = self._world.between(0.0, 25.0)
                if crash:
                    agent.crash(for_s)
                else:
                    agent.machine.engine_stops(for_s)

    def _leaders(self, candidates: Sequence[Candidate]) -> None:
        for candidate in candidates:
            if candidate.process.up:
                candidate.crash(self._world.between(0.0, 8.0))

    def _stores(self) -> None:
        for disk in self._victims.disks:
            disk.reachable = False
        self._world.after(self._world.between(0.1, 5.0), self._stores_back)

    def _stores_back(self) -> None:
        for disk in self._victims.disks:
            disk.reachable = True
