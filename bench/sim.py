"""How much faster than real time the simulator runs a cluster, on one core.

3 masters, 2 Marathons, 50 agents and 36 apps of 3 instances; measured once all instances run, over
an hour of virtual time: left alone, and with an app scaled every 5 s. One JSON line each;
`--profile CASE` prints instead what the time went into.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import time
from collections.abc import Callable

from mezzo.cluster.resources import Resources
from mezzo.marathon.commands import ChangeApps, Origin, Result, Target
from mezzo.marathon.model.app import App
from mezzo.record import replace
from mezzo.sim.actors.app_owner import apps_on
from mezzo.sim.daemons.agents import VirtualAgent
from mezzo.sim.daemons.containers import Machine
from mezzo.sim.daemons.marathons import VirtualMarathon
from mezzo.sim.daemons.masters import VirtualMaster
from mezzo.sim.watch import Watch
from mezzo.sim.world.disk import Disk
from mezzo.sim.world.network import Network
from mezzo.sim.world.sessions import Election
from mezzo.sim.world.world import World

AGENTS = 50
APPS = 36
INSTANCES = 3
_SETTLES_S = 120.0
_SCALES_S = 5.0
_ORIGIN = Origin("127.0.0.1", "/v2/apps")


class Cluster:
    """All real cores, no faults."""

    def __init__(self, seed: int) -> None:
        world = self.world = World(seed)
        network = Network(world)
        disk, self._marathon_disk = Disk(), Disk()
        elections = Election(world, disk), Election(world, self._marathon_disk)
        masters = [
            VirtualMaster(network, f"master{i}", disk, elections[0], lambda *_: None)
            for i in range(3)
        ]
        find = {master.name: master for master in masters}.get
        self.machines = [Machine(world, f"agent{i}", lambda *_: None) for i in range(AGENTS)]
        resources = Resources.of(cpus=4, mem=8192, disk=10_000, ports=[(31000, 32000)])
        agents = [
            VirtualAgent(network, machine.name, resources, machine, find, lambda *_: None)
            for machine in self.machines
        ]
        self.marathons = [
            VirtualMarathon(
                network, f"marathon{i}", self._marathon_disk, elections[1], find, Watch()
            )
            for i in range(2)
        ]
        for master in masters:
            master.stand()
        for marathon in self.marathons:
            elections[0].watch(marathon.client.leader_is)
            marathon.stand()
        for agent in agents:
            elections[0].watch(agent.client.leader_is)
            agent.start()

    def settle(self) -> None:
        """Until all instances run."""
        self.world.run(10.0)
        marathon = next(each for each in self.marathons if each.process.up)
        results: list[Result] = []
        targets = tuple(
            Target(App(f"/app{i}", cmd="serve", instances=INSTANCES, cpus=0.5, mem=64.0), None)
            for i in range(APPS)
        )
        marathon.ask(ChangeApps(targets, _ORIGIN), results.append)
        self.world.run(_SETTLES_S)
        running = sum(len(machine.running()) for machine in self.machines)
        assert running == APPS * INSTANCES, f"{running} instances run: {results}"

    def scale_now_and_then(self) -> None:
        marathon = next((each for each in self.marathons if each.process.up), None)
        if marathon is not None:
            app = self.world.rng.choice(list(apps_on(self._marathon_disk).values()))
            other = replace(app, instances=self.world.rng.randint(1, 2 * INSTANCES))
            marathon.ask(ChangeApps((Target(other, app.version_ms),), _ORIGIN), lambda _: None)
        self.world.after(_SCALES_S, self.scale_now_and_then)


CASES: dict[str, Callable[[Cluster], None]] = {
    "quiet": lambda cluster: None,
    "an app scaled every 5 s": Cluster.scale_now_and_then,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="of virtual time")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", choices=list(CASES), metavar="CASE")
    options = parser.parse_args()
    virtual_s = 3600 * options.hours
    for case, begin in CASES.items():
        if options.profile is None:
            runs = [measure(begin, seed, virtual_s) for seed in range(1, options.runs + 1)]
            rate, steps = sorted(runs)[len(runs) // 2]
            line = {
                "bench": "sim",
                "case": f"{AGENTS} agents, 3 masters, 2 Marathons, {APPS} apps, {case}",
                "value": round(rate),
                "unit": "times real time",
                "steps": steps,
            }
            print(json.dumps(line), flush=True)
        elif options.profile == case:
            profile = cProfile.Profile()
            profile.runcall(measure, begin, 1, virtual_s)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def measure(begin: Callable[[Cluster], None], seed: int, virtual_s: float) -> tuple[float, int]:
    """How many virtual seconds a second of the processor makes, and in how many steps of cores."""
    cluster = Cluster(seed)
    cluster.settle()
    begin(cluster)
    before = cluster.world.steps
    began_s = time.process_time()
    cluster.world.run(_SETTLES_S + virtual_s)
    return virtual_s / (time.process_time() - began_s), cluster.world.steps - before


if __name__ == "__main__":
    main()
