"""Dominant-resource fairness (Ghodsi et al., NSDI 2011) with declared demand.

The oracle is progressive filling as the paper has it, task by task and slow. The four properties of
the paper hold up to rounding: tasks can't be split, so each bound is in tasks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.terms import AgentTerms, AllocatorConfig, Demand

from ..allocators import framework, grants

NAMES = ("cpus", "mem")
SEED = 1


class Amounts(NamedTuple):
    """Thousandths."""

    cpus: int
    mem: int

    def fits(self, room: Amounts) -> bool:
        return self.cpus <= room.cpus and self.mem <= room.mem

    def less(self, other: Amounts) -> Amounts:
        return Amounts(self.cpus - other.cpus, self.mem - other.mem)

    def times(self, count: int) -> Amounts:
        return Amounts(self.cpus * count, self.mem * count)

    def tasks_in(self, room: Amounts) -> int:
        return min(room.cpus // self.cpus, room.mem // self.mem)

    @property
    def bag(self) -> Resources:
        return Resources.of(cpus=self.cpus / 1000, mem=self.mem / 1000)


class Wants(NamedTuple):
    """Endless demand for tasks of a shape, in a role of this weight."""

    shape: Amounts
    weight: int = 1


class Cluster:
    def __init__(self, agents: list[Amounts], wants: list[Wants]) -> None:
        self.agents = agents
        self.wants = {f"f{number:03d}": each for number, each in enumerate(wants)}
        self.total = Amounts(sum(a.cpus for a in agents), sum(a.mem for a in agents))

    def share(self, shape: Amounts, tasks: int) -> float:
        return max(shape.cpus * tasks / self.total.cpus, shape.mem * tasks / self.total.mem)

    def step(self, name: str) -> float:
        """The dominant share of one task."""
        return self.share(self.wants[name].shape, 1)

    def allocate(self) -> dict[str, int]:
        """How many tasks the allocator gives each, in one cycle; what is left is in `left`."""
        a = Allocator(random.Random(SEED), AllocatorConfig(patience_s=None, min_allocatable=()))
        for name, (shape, weight) in self.wants.items():
            a.set_weight(name, weight)
            framework(a, name, name)
            demand = Demand(name, dict(zip(NAMES, shape, strict=True)), 10**6)
            a.set_demand(FrameworkId(name), (demand,))
        for number, agent in enumerate(self.agents):
            a.add_agent(AgentId(str(number)), AgentTerms(agent.bag), {})
        got = dict.fromkeys(self.wants, 0)
        for grant in grants(a):
            shape = self.wants[grant.framework_id].shape
            tasks = grant.resources.milli("cpus") // shape.cpus
            assert grant.resources == shape.times(tasks).bag
            got[grant.framework_id] += tasks
        free = [a.available(AgentId(str(number))) for number in range(len(self.agents))]
        self.left = [Amounts(each.milli("cpus"), each.milli("mem")) for each in free]
        return got

    def progressive_filling(self) -> Iterator[tuple[dict[str, int], list[Amounts]]]:
        """Task by task to the smallest weighted dominant share; on the first agent with room, in
        the order that the allocator draws. Yields the tasks so far, and what is free."""
        room = list(self.agents)
        random.Random(SEED).shuffle(room)
        got = dict.fromkeys(self.wants, 0)
        filling = list(self.wants)
        while filling:
            # The allocator breaks ties so: who was served less often, then by name.
            name = min(filling, key=lambda n: (self.weighted(n, got[n]), got[n], n))
            shape = self.wants[name].shape
            at = next((at for at, each in enumerate(room) if shape.fits(each)), None)
            if at is None:
                filling.remove(name)
                continue
            room[at] = room[at].less(shape)
            got[name] += 1
            yield got, room

    def weighted(self, name: str, tasks: int) -> float:
        return self.share(self.wants[name].shape, tasks) / self.wants[name].weight


amounts = st.builds(lambda c, m: Amounts(c * 100, m * 100), st.integers(1, 20), st.integers(1, 20))
machines = st.lists(amounts.map(lambda each: each.times(4)), min_size=1, max_size=6)
weighted = st.builds(Wants, amounts, st.sampled_from([1, 1, 2, 5]))
clusters = st.builds(Cluster, machines, st.lists(weighted, min_size=1, max_size=25))
crowded = st.builds(Cluster, machines, st.lists(weighted, min_size=80, max_size=100))
# One machine, and nobody has a weight: what the paper's theorems are about.
machine = st.builds(
    Cluster,
    st.lists(amounts.map(lambda each: each.times(20)), min_size=1, max_size=1),
    st.lists(amounts.map(Wants), min_size=2, max_size=12),
)
sometimes = settings(deadline=None, max_examples=50)


@given(clusters | crowded)
@sometimes
def test_the_cluster_is_divided_as_by_progressive_filling(cluster: Cluster) -> None:
    expected = dict.fromkeys(cluster.wants, 0)
    for got, _ in cluster.progressive_filling():
        expected = got
    assert cluster.allocate() == expected


@given(clusters)
@sometimes
def test_weighted_shares_of_who_finds_room_differ_by_one_task_at_the_most(
    cluster: Cluster,
) -> None:
    """At every moment; that the moments of the oracle are the allocator's is tested above."""
    for got, room in cluster.progressive_filling():
        finding = [n for n, w in cluster.wants.items() if any(w.shape.fits(r) for r in room)]
        behind = min((cluster.weighted(n, got[n]) for n in finding), default=math.inf)
        for name, tasks in got.items():
            # Without its last task it was not ahead of any of them.
            assert tasks == 0 or cluster.weighted(name, tasks - 1) <= behind + 1e-12


@given(clusters)
@sometimes
def test_nothing_is_left_that_anybody_could_use(cluster: Cluster) -> None:
    """Pareto efficiency."""
    cluster.allocate()
    for wants in cluster.wants.values():
        assert not any(wants.shape.fits(left) for left in cluster.left)


@given(machine)
@sometimes
def test_each_has_what_an_equal_part_of_the_cluster_would_give_it(cluster: Cluster) -> None:
    """Sharing incentive, up to one of the largest tasks for each."""
    got = cluster.allocate()
    number = len(got)
    largest = max(cluster.step(name) for name in got)
    for name, tasks in got.items():
        mine = cluster.share(cluster.wants[name].shape, tasks)
        assert mine >= 1 / number - (1 + 1 / number) * largest - 1e-9


@given(machine)
@sometimes
def test_nobody_would_rather_have_what_another_has(cluster: Cluster) -> None:
    """Envy-freeness, up to one task of either."""
    got = cluster.allocate()
    for mine, tasks in got.items():
        for theirs, their_tasks in got.items():
            bundle = cluster.wants[theirs].shape.times(their_tasks)
            rounding = cluster.step(theirs) / cluster.step(mine) + 1
            assert cluster.wants[mine].shape.tasks_in(bundle) <= tasks + rounding + 1e-9


@given(machine, st.integers(1, 4), st.integers(1, 4))
@sometimes
def test_who_lies_about_its_shape_runs_no_more_tasks(
    cluster: Cluster, cpus_factor: int, mem_factor: int
) -> None:
    """Strategy-proofness, up to two of the largest tasks."""
    honest = cluster.allocate()
    liar = "f000"
    shape = cluster.wants[liar].shape
    lie = Amounts(shape.cpus * cpus_factor, shape.mem * mem_factor)
    others: Mapping[str, Wants] = {n: w for n, w in cluster.wants.items() if n != liar}
    lying = Cluster(cluster.agents, [Wants(lie), *others.values()])
    useful = shape.tasks_in(lie.times(lying.allocate()[liar]))
    largest = max(cluster.step(name) for name in honest)
    largest = max(largest, lying.step(liar))
    assert useful <= honest[liar] + 2 * largest / cluster.step(liar) + 1e-9
