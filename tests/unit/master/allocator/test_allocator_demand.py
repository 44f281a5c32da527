"""Declared demand: where a shape fits, no more than is wanted, one unit a turn."""

from __future__ import annotations

from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, FrameworkId

from ..allocators import ONE, add, allocator, back, client, cycle, demand, framework, grants

F = FrameworkId("a")
BIG = Resources.of(cpus=8, mem=800, ports=[(1, 100)])


def test_an_offer_is_so_many_times_the_shape_as_is_wanted() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=3, cpus=1, mem=100),))
    add(a, "s1", BIG)
    assert [grant.resources for grant in grants(a)] == [Resources.of(cpus=3, mem=300)]
    assert not a.wants_cycle


def test_an_offer_holds_nothing_that_is_not_in_the_shape() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=1, cpus=1, mem=100),))
    add(a, "s1", Resources.of(cpus=8, mem=800, disk=100))
    assert [grant.resources for grant in grants(a)] == [ONE]


def test_agents_on_which_the_shape_does_not_fit_are_not_offered() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=9, cpus=4, mem=100),))
    add(a, "small", Resources.of(cpus=3, mem=1000))
    add(a, "large", Resources.of(cpus=9, mem=1000))
    assert [(g.agent_id, g.resources.cpus) for g in grants(a)] == [("large", 8.0)]


def test_what_is_used_counts_down_and_what_is_declined_does_not() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=3, cpus=1, mem=100),))
    add(a, "s1", BIG)
    (grant,) = grants(a)
    a.use(client(grant), AgentId("s1"), ONE)
    a.decline(client(grant), AgentId("s1"), ONE + ONE)
    (grant,) = grants(a)
    assert grant.resources == ONE + ONE
    a.use(client(grant), AgentId("s1"), ONE)
    a.use(client(grant), AgentId("s1"), ONE)
    assert grants(a) == []
    a.release(client(grant), AgentId("s1"), ONE)
    assert grants(a) == [], "the demand is met, whatever ends"


def test_a_smaller_task_is_a_unit_and_a_larger_one_is_several() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=5, cpus=1, mem=100),))
    add(a, "s1", BIG)
    (grant,) = grants(a)
    a.use(client(grant), AgentId("s1"), Resources.of(cpus=0.5, mem=10))
    a.use(client(grant), AgentId("s1"), Resources.of(cpus=2.5, mem=100))
    left = grant.resources - Resources.of(cpus=3, mem=110)
    a.decline(client(grant), AgentId("s1"), left)
    assert [each.resources for each in grants(a)] == [ONE]


def test_an_executor_is_no_task_of_the_demand() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=2, cpus=1, mem=100),))
    add(a, "s1", BIG)
    (grant,) = grants(a)
    a.use(client(grant), AgentId("s1"), Resources.of(cpus=0.1, mem=10), task=False)
    a.use(client(grant), AgentId("s1"), Resources.of(cpus=0.9, mem=90))
    a.decline(client(grant), AgentId("s1"), ONE)
    assert [each.resources for each in grants(a)] == [ONE]


def test_a_task_that_is_larger_than_the_shape_leaves_nothing_pending_behind() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=2, cpus=1, mem=100), demand(count=1, cpus=2, mem=200)))
    add(a, "s1", Resources.of(cpus=4, mem=400))
    (grant,) = grants(a)
    a.use(client(grant), AgentId("s1"), grant.resources)
    add(a, "s2", BIG)
    assert [each.resources for each in grants(a)] == [Resources.of(cpus=2, mem=200)]


def test_several_shapes_are_served_in_the_order_in_which_they_are_declared() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=1, cpus=5, mem=10), demand(count=9, cpus=2, mem=10)))
    add(a, "s1", BIG)
    assert [grant.resources for grant in grants(a)] == [Resources.of(cpus=7, mem=20)]


def test_ports_are_demanded_by_number() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=2, cpus=1, mem=100, ports=3),))
    add(a, "s1", Resources.of(cpus=8, mem=800, ports=[(1, 2), (10, 13)]))
    assert [grant.resources for grant in grants(a)] == [
        Resources.of(cpus=2, mem=200, ports=[(1, 2), (10, 13)])
    ]


def test_reserved_resources_are_taken_first() -> None:
    a = allocator("a", roles=("r",))
    a.set_demand(F, (demand("r", count=1, cpus=2, mem=100),))
    add(a, "s1", Resources.parse("cpus:4;mem:400;cpus(r):1;mem(r):500"))
    assert [grant.resources for grant in grants(a)] == [
        Resources.parse("cpus:1;cpus(r):1;mem(r):100")
    ]


def test_units_go_round_in_turn_and_are_merged() -> None:
    a = allocator("a", "b")
    a.set_demand(F, (demand(count=99, cpus=1, mem=100),))
    a.set_demand(FrameworkId("b"), (demand(count=99, cpus=2, mem=100),))
    add(a, "s1", Resources.of(cpus=9, mem=1000))
    got = {grant.framework_id: grant.resources.cpus for grant in grants(a)}
    assert got == {"a": 5.0, "b": 4.0}


def test_who_does_not_declare_gets_whole_agents_beside_who_does() -> None:
    a = allocator("a", "b")
    a.set_demand(F, (demand(count=1, cpus=1, mem=100),))
    add(a, "s1", BIG)
    got = {grant.framework_id: grant.resources for grant in grants(a)}
    assert got == {"a": ONE, "b": BIG - ONE}


def test_a_refused_shape_stays_away_for_its_time() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=2, cpus=1, mem=100),))
    add(a, "s1", BIG)
    (grant,) = grants(a)
    back(a, "a", "s1", grant.resources, refused_until_s=5.0)
    assert grants(a, 1.0) == []
    assert [each.resources for each in grants(a, 5.0)] == [ONE + ONE]


def test_a_role_that_is_not_named_wants_nothing_and_declaring_ends_with_none() -> None:
    a = allocator("a", roles=("x", "y"))
    a.set_demand(F, (demand("x", count=1, cpus=1, mem=100),))
    add(a, "s1", BIG)
    assert [(g.role, g.resources) for g in grants(a)] == [("x", ONE)]
    a.set_demand(F, ())
    assert [g.resources for g in grants(a)] == [BIG - ONE]


def test_a_new_declaration_counts_what_is_offered_already() -> None:
    a = allocator("a")
    add(a, "s1", Resources.of(cpus=2, mem=200))
    cycle(a)
    a.set_demand(F, (demand(count=3, cpus=1, mem=100),))
    add(a, "s2", BIG)
    assert [(g.agent_id, g.resources) for g in grants(a)] == [("s2", ONE)]


def test_of_several_shapes_that_are_offered_together_each_counts() -> None:
    a = allocator("a")
    add(a, "s1", Resources.of(cpus=3, mem=200))
    assert cycle(a) == [("a", "s1")]
    a.set_demand(F, (demand(count=1, cpus=2, mem=100), demand(count=1, cpus=1, mem=100)))
    add(a, "s2", BIG)
    assert cycle(a) == []


def test_an_agent_that_goes_leaves_the_demand_open() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=2, cpus=1, mem=100),))
    add(a, "s1", BIG)
    assert cycle(a) == [("a", "s1")]
    a.remove_agent(AgentId("s1"))
    add(a, "s2", BIG)
    assert [g.resources for g in grants(a)] == [ONE + ONE]


def test_a_shape_of_nothing_is_no_demand() -> None:
    a = allocator("a")
    a.set_demand(F, (demand(count=2, cpus=0),))
    framework(a, "b")
    add(a, "s1", BIG)
    assert cycle(a) == [("b", "s1")]
