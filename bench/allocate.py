"""The allocator under load, timed inside one process. JSON lines, one a case; medians.

cycle AxF            every one of A agents is offered to one of F frameworks in one role. All offers
                     were declined for a year; then every agent grew, so that no refusal holds.
cycle own role AxF   the same, each framework in a role of its own.
idle ...             200 frameworks refuse each of 10,000 agents: 2,000,000 live refusals. A cycle
                     with nothing to do; after one agent changed; a framework revives (it is offered
                     all agents); every agent changed and everybody refuses it again.
change 10000x200     a task ends on one of 10,000 agents, until its new offer is decided.
quota N              N agents of 2 cpus, 2 GiB, 2 GiB; N * 5/6 roles with a quota of 1 cpu, 1 GiB,
                     1 GiB and N / 6 with one of 4 each, guarantees = limits (Mesos' benchmark
                     LargeAndSmallQuota): the first cycle, and one that looks at all in vain.
placements A         tasks a second that a framework places on A agents through the master's core:
                     allocation, offers, ACCEPT, launch; over all and over the last tenth.

    python bench/allocate.py [--full] [--runs N] [--case WORDS]
"""

import argparse
import gc
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from mezzo.cluster.model import (
    AgentInfo,
    CommandInfo,
    Filters,
    FrameworkInfo,
    MasterInfo,
    Offer,
    TaskInfo,
)
from mezzo.cluster.operations import Launch
from mezzo.cluster.resources import Resources
from mezzo.core import Instant, TimerFired
from mezzo.ids import AgentId, ConnId, FrameworkId, TaskId
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.terms import AgentTerms, AllocatorConfig, FrameworkTerms, Grant, Quota
from mezzo.master.config import MasterConfig
from mezzo.master.core import MasterCore
from mezzo.master.effects import ToFramework
from mezzo.master.events import AgentSaid, FrameworkSaid, Started
from mezzo.master.offers.refuse_seconds import REFUSE_S_MAX
from mezzo.master.timers import AllocationDue
from mezzo.messages.agent import RegisterAgent
from mezzo.messages.scheduler import Accept, Offers, Subscribe, Subscribed
from mezzo.runtime import GC_THRESHOLDS

TOTAL = Resources.of(cpus=24, mem=4096, disk=4096, ports=[(31000, 32000)])
USED = Resources.of(
    cpus=16, mem=2014, disk=1024, ports=[(31000 + 20 * i, 31009 + 20 * i) for i in range(16)]
)
GROWN = TOTAL + Resources.of(cpus=1)
Case = Callable[[int], Iterator[tuple[str, float, str]]]


def agent_id(number: int) -> AgentId:
    return AgentId(f"agent-{number:05d}")


def framework_id(number: int) -> FrameworkId:
    return FrameworkId(f"framework-{number:04d}")


def cluster(agents: int, frameworks: int, *, own_role: bool = False) -> Allocator:
    """Every agent has tasks of some framework."""
    # Nothing is withdrawn from those who think: here nobody answers.
    allocator = Allocator(random.Random(1), AllocatorConfig(patience_s=None))
    clients = [(framework_id(i), f"role-{i:04d}" if own_role else "*") for i in range(frameworks)]
    for name, role in clients:
        allocator.set_framework(name, FrameworkTerms(name, (role,)))
    for i in range(agents):
        used = {clients[i % frameworks]: Resources() + USED}
        allocator.add_agent(agent_id(i), AgentTerms(Resources() + TOTAL), used)
    return allocator


def decline(allocator: Allocator, grants: list[Grant]) -> None:
    for grant in grants:
        client = (grant.framework_id, grant.role)
        allocator.decline(client, grant.agent_id, grant.resources, REFUSE_S_MAX)


def cycle(allocator: Allocator, now_s: float) -> tuple[list[Grant], float]:
    """What was granted, and the milliseconds that it took."""
    began = time.perf_counter()
    decided = allocator.cycle(now_s)
    took = time.perf_counter() - began
    return [each for each in decided if isinstance(each, Grant)], took * 1000


def rss_mib() -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


# ---------------------------------------------------------------------------------- cases


def all_agents(agents: int, frameworks: int, *, own_role: bool = False) -> Case:
    def case(runs: int) -> Iterator[tuple[str, float, str]]:
        times = []
        for _ in range(runs):
            allocator = cluster(agents, frameworks, own_role=own_role)
            decline(allocator, cycle(allocator, 0.0)[0])
            for i in range(agents):
                allocator.update_agent(agent_id(i), AgentTerms(GROWN))
            grants, took = cycle(allocator, 1.0)
            assert len(grants) == agents, f"{len(grants)} of {agents} agents were offered"
            times.append(took)
        yield "", statistics.median(times), "ms"

    return case


def idle(agents: int, frameworks: int) -> Case:
    def case(runs: int) -> Iterator[tuple[str, float, str]]:
        allocator = cluster(agents, frameworks)
        books = allocator._books
        for i in range(frameworks):
            # As if declined in turn: through cycles it would take minutes.
            client = books.tree.clients[(framework_id(i), "*")]
            for agent in books.agents.values():
                books.filters.add(client, agent, agent.free, REFUSE_S_MAX + i)
        grants, took = cycle(allocator, 0.0)
        assert not grants
        yield "as if all agents had changed", took, "ms"
        yield "", statistics.median(cycle(allocator, 1.0)[1] for _ in range(runs)), "ms"
        yield "rss", rss_mib(), "MiB"
        times = []
        for run in range(runs):
            allocator.set_agent_active(agent_id(run), True)
            grants, took = cycle(allocator, 2.0)
            assert not grants
            times.append(took)
        yield "one agent changed", statistics.median(times), "ms"
        times, again = [], []
        for run in range(runs):
            began = time.perf_counter()
            allocator.revive(framework_id(run), ())
            grants, _ = cycle(allocator, 3.0)
            times.append((time.perf_counter() - began) * 1000)
            assert len(grants) == agents
            decline(allocator, grants)
            grants, took = cycle(allocator, 4.0)
            assert not grants
            again.append(took)
        yield "one framework revives", statistics.median(times), "ms"
        yield "it refuses all again", statistics.median(again), "ms"
        yield "rss after", rss_mib(), "MiB"

    return case


def change(agents: int, frameworks: int) -> Case:
    def case(runs: int) -> Iterator[tuple[str, float, str]]:
        allocator = cluster(agents, frameworks)
        decline(allocator, cycle(allocator, 0.0)[0])
        while grants := cycle(allocator, 0.0)[0]:
            for grant in grants:
                allocator.use((grant.framework_id, "*"), grant.agent_id, grant.resources)
        times = []
        for run in range(10 * runs):
            owner = (framework_id(run % frameworks), "*")
            began = time.perf_counter()
            allocator.release(owner, agent_id(run), USED)
            grants, _ = cycle(allocator, 1.0)
            times.append((time.perf_counter() - began) * 1000)
            assert [grant.agent_id for grant in grants] == [agent_id(run)]
        yield "", statistics.median(times), "ms"
        times = []
        for run in range(10 * runs):
            began = time.perf_counter()
            allocator.add_agent(agent_id(agents + run), AgentTerms(TOTAL), {})
            grants, _ = cycle(allocator, 1.0)
            times.append((time.perf_counter() - began) * 1000)
            assert len(grants) == 1
        yield "new agent", statistics.median(times), "ms"

    return case


def quota(number: int) -> Case:
    sizes = {1: number * 5 // 6, 4: number // 6}
    each = {
        size: {"cpus": size * 1000, "mem": size * 1024_000, "disk": size * 1024_000}
        for size in sizes
    }

    def build() -> Allocator:
        allocator = Allocator(random.Random(1), AllocatorConfig(patience_s=None))
        roles = [(f"{n:04d}-{size}", size) for size, count in sizes.items() for n in range(count)]
        for role, size in roles:
            allocator.set_quota(role, Quota(each[size], each[size]))
            allocator.set_framework(FrameworkId(role), FrameworkTerms(role, (role,)))
        total = Resources.of(cpus=2, mem=2048, disk=2048)
        for i in range(number):
            allocator.add_agent(agent_id(i), AgentTerms(Resources() + total), {})
        return allocator

    def case(runs: int) -> Iterator[tuple[str, float, str]]:
        first, vain = [], []
        for _ in range(runs):
            allocator = build()
            grants, took = cycle(allocator, 0.0)
            first.append(took)
            cpus = sum(grant.resources.milli("cpus") for grant in grants)
            assert cpus == sum(size * count * 1000 for size, count in sizes.items())
            for i in range(number):
                allocator.set_agent_active(agent_id(i), True)
            grants, took = cycle(allocator, 1.0)
            assert not grants
            vain.append(took)
        yield "first cycle", statistics.median(first), "ms"
        yield "offers nothing", statistics.median(vain), "ms"

    return case


def placements(agents: int, tasks_each: int) -> Case:
    total = Resources.of(cpus=24, mem=4096, disk=4096)
    wanted = Resources.of(cpus=1, mem=128)

    class Placing:
        """A framework that launches one task on every offer, by hand."""

        def __init__(self) -> None:
            config = MasterConfig(MasterInfo("m", 0, 5050), offer_timeout_s=None)
            self.core = MasterCore(config, 1, {}, random.Random(1))
            self.now = Instant(0.0, 0.0)
            self.offers: list[Offer] = []
            self.id = FrameworkId("")
            self.step(Started())
            for number in range(agents):
                info = AgentInfo(f"host-{number}", resources=Resources() + total)
                self.step(AgentSaid(ConnId(number + 1), RegisterAgent(info, "1.0", "boot")))
            self.step(FrameworkSaid(ConnId(0), None, Subscribe(FrameworkInfo("root", "bench"))))

        def step(self, event: object) -> None:
            for effect in self.core.step(event, self.now).effects:  # type: ignore[arg-type]
                if isinstance(effect, ToFramework):
                    if isinstance(effect.event, Offers):
                        self.offers += effect.event.offers
                    elif isinstance(effect.event, Subscribed):
                        self.id = effect.event.framework_id

        def place(self, number: int, offer: Offer) -> None:
            task_id = TaskId(f"task-{number}")
            task = TaskInfo(task_id, task_id, offer.agent_id, wanted, command=CommandInfo("true"))
            call = Accept((offer.id,), (Launch((task,)),), Filters(0.0))
            self.step(FrameworkSaid(ConnId(0), self.id, call))

    def case(runs: int) -> Iterator[tuple[str, float, str]]:
        whole, last = [], []
        for _ in range(runs):
            placing = Placing()
            ends = [time.perf_counter()]
            number = 0
            for _ in range(tasks_each):
                placing.step(TimerFired(AllocationDue()))
                offers, placing.offers = placing.offers, []
                assert len(offers) == agents
                for offer in offers:
                    placing.place(number, offer)
                    number += 1
                ends.append(time.perf_counter())
            whole.append(number / (ends[-1] - ends[0]))
            last.append(agents / (ends[-1] - ends[-2]))
        yield "", statistics.median(whole), "tasks/s"
        yield "last tenth", statistics.median(last), "tasks/s"

    return case


CASES: dict[str, Case] = {
    "cycle 1000x50": all_agents(1_000, 50),
    "cycle 10000x200": all_agents(10_000, 200),
    "cycle 10000x1000": all_agents(10_000, 1_000),
    "cycle own role 10000x200": all_agents(10_000, 200, own_role=True),
    "idle cycle 10000x200": idle(10_000, 200),
    "one agent 10000": change(10_000, 200),
    "quota 1200": quota(1_200),
    "quota 3000": quota(3_000),
    "placements 5000": placements(5_000, 10),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="more runs")
    parser.add_argument("--case", choices=list(CASES), help="only this one, in this process")
    options = parser.parse_args()
    runs = 15 if options.full else options.runs
    gc.set_threshold(*GC_THRESHOLDS)  # as a master's process does
    if options.case is None:
        # Each case in a process of its own: none meets the memory that another has left behind.
        for name in CASES:
            command = [sys.executable, __file__, "--runs", str(runs), "--case", name]
            subprocess.run(command, check=True)
        return
    for detail, value, unit in CASES[options.case](runs):
        case = f"{options.case} {detail}".strip()
        line = {"bench": "allocate", "case": case, "value": round(value, 2), "unit": unit}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
