"""The allocator alone: shares, order, filters, and an oracle that knows no shortcuts."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.cluster.model import Attribute
from mezzo.cluster.resources import Kind, Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.allocator.cycle import Cycle
from mezzo.master.allocator.terms import AgentTerms, FrameworkTerms, Grant

from ..allocators import ONE, add, allocator, back, cycle, framework, grants

# ---- shares and order


def test_each_new_agent_goes_to_the_smallest_dominant_share() -> None:
    """Behaviour 65."""
    a = allocator("a", "b")
    given_to = []
    for number, resources in enumerate(
        # (cpus, mem): a is given much memory first, so b catches up.
        [(1, 1000), (1, 100), (1, 100), (5, 100), (1, 100)]
    ):
        add(a, f"s{number}", Resources.of(cpus=resources[0], mem=resources[1]))
        ((name, _),) = cycle(a)
        given_to.append(name)
    # a has 1000 of 1000 MiB, then of 1100, ... b is behind until its cpus weigh more.
    assert given_to == ["a", "b", "b", "b", "a"]


def test_the_dominant_share_is_the_largest_part_of_any_resource() -> None:
    a = allocator("a", "b")
    add(a, "s1", Resources.of(cpus=1, mem=300))
    add(a, "s2", Resources.of(cpus=3, mem=100))
    served = dict(cycle(a))
    shares = {a.share((FrameworkId(name), "*")) for name in served}
    assert shares == {0.75}
    assert a.share((FrameworkId("nobody"), "*")) == 0.0


def test_with_equal_shares_who_was_given_less_often_comes_first() -> None:
    """Behaviour 67."""
    a = allocator("a", "b", "c")
    add(a, "s1")
    turns = []
    for _ in range(6):
        ((name, _),) = cycle(a)
        turns.append(name)
        back(a, name, "s1")
    assert turns == ["a", "b", "c", "a", "b", "c"]


def test_what_a_framework_already_runs_counts() -> None:
    a = allocator("a", "b")
    a.add_agent(AgentId("s1"), AgentTerms(ONE + ONE), {(FrameworkId("a"), "*"): ONE})
    assert cycle(a) == [("b", "s1")]


def test_whose_tasks_end_is_served_before_all_who_have_more() -> None:
    """Among many, of whom only one has moved since they were put in order."""
    names = [f"f{number:02}" for number in range(20)]
    a = allocator(*names)
    for number in range(20):
        add(a, f"s{number}")
    served = {name: agent for name, agent in cycle(a)}
    for name, agent in served.items():
        a.use((FrameworkId(name), "*"), AgentId(agent), ONE)
    assert cycle(a) == []
    a.release((FrameworkId("f19"), "*"), AgentId(served["f19"]), ONE)
    assert cycle(a) == [("f19", served["f19"])]


def test_a_weight_counts_from_the_next_cycle_on_among_many_roles() -> None:
    a = allocator()
    for number in range(20):
        name = f"f{number:02}"
        framework(a, name, f"r{number:02}")
        a.add_agent(AgentId(name), AgentTerms(ONE), {(FrameworkId(name), f"r{number:02}"): ONE})
    assert cycle(a) == []
    add(a, "s1")
    ((first, _),) = cycle(a)
    back(a, first, "s1", role=f"r{first[1:]}")
    a.set_weight("r19", 100.0)
    assert cycle(a) == [("f19", "s1")]


def test_a_framework_that_is_removed_is_offered_nothing_though_its_tasks_still_count() -> None:
    a = allocator("a", "b")
    a.add_agent(AgentId("s0"), AgentTerms(ONE + ONE), {(FrameworkId("a"), "*"): ONE})
    a.remove_framework(FrameworkId("a"))
    add(a, "s1")
    assert {name for name, _ in cycle(a)} == {"b"}
    assert a.share((FrameworkId("a"), "*")) > 0
    a.release((FrameworkId("a"), "*"), AgentId("s0"), ONE)
    assert a.share((FrameworkId("a"), "*")) == 0


def test_roles_of_one_framework_have_shares_of_their_own() -> None:
    a = allocator("a", roles=("x", "y"))
    add(a, "s1")
    add(a, "s2")
    assert sorted(grant.role for grant in grants(a, 0.0)) == ["x", "y"]


def test_gpus_count_as_any_other_resource() -> None:
    a = allocator("a", "b", gpus=True)
    add(a, "s1", Resources.of(cpus=1, mem=100, gpus=4))
    add(a, "s2", Resources.of(cpus=1, mem=100))
    add(a, "s3", Resources.of(cpus=1, mem=100))
    with_gpus = next(name for name, agent in cycle(a) if agent == "s1")
    assert a.share((FrameworkId(with_gpus), "*")) == 1.0


# ---- who sees what


def test_a_reservation_is_for_its_role_and_the_roles_below() -> None:
    reserved = Resources.parse("cpus(eng):2;mem(eng):100;cpus(eng/web):1")
    for role, seen in [
        ("*", Resources()),
        ("engine", Resources()),
        ("eng", Resources.parse("cpus(eng):2;mem(eng):100")),
        ("eng/web", reserved),
        ("eng/db", Resources.parse("cpus(eng):2;mem(eng):100")),
    ]:
        a = allocator("a", roles=(role,))
        add(a, "s1", reserved)
        assert Resources.total(grant.resources for grant in grants(a, 0.0)) == seen, role


def test_what_is_left_of_an_agent_goes_to_those_it_is_reserved_to() -> None:
    a = allocator("web", roles=("web",))
    a.set_framework(FrameworkId("ads"), FrameworkTerms("ads", ("ads",)))
    add(a, "s1", Resources.parse("cpus:1;mem:100;cpus(ads):2;cpus(web):3"))
    got = {grant.framework_id: grant.resources for grant in grants(a, 0.0)}
    assert len(got) == 2
    assert Resources.total(got.values()) == Resources.parse(
        "cpus:1;mem:100;cpus(ads):2;cpus(web):3"
    )


def test_revocable_resources_are_for_those_who_can_lose_them() -> None:
    revocable = Resources({Kind("cpus", revocable=True): 2000})
    a = allocator("firm")
    add(a, "s1", ONE + revocable)
    assert [grant.resources for grant in grants(a, 0.0)] == [ONE]
    a.set_framework(FrameworkId("able"), FrameworkTerms("able", ("*",), revocable=True))
    assert [grant.resources for grant in grants(a, 0.0)] == [revocable]


@pytest.mark.parametrize(
    ("resources", "offered"),
    [
        (Resources.of(cpus=0.009, mem=31.999), False),
        (Resources.of(cpus=0.01), True),
        (Resources.of(mem=32), True),
        (Resources.of(disk=1e6, ports=[(1, 9)]), False),
        (Resources.parse("cpus(a):0.005;cpus:0.005"), True),
    ],
)
def test_less_than_a_hundredth_of_a_cpu_and_32_mib_is_no_offer(
    resources: Resources, offered: bool
) -> None:
    a = allocator("a", roles=("a",))
    add(a, "s1", resources)
    assert bool(a.cycle(0.0)) == offered


def test_an_inactive_agent_is_not_offered() -> None:
    a = allocator("a")
    add(a, "s1")
    a.set_agent_active(AgentId("s1"), False)
    assert cycle(a) == []
    a.set_agent_active(AgentId("s1"), True)
    assert cycle(a) == [("a", "s1")]


# ---- refusals


def test_a_refusal_hides_what_is_contained_in_it_and_nothing_more() -> None:
    a = allocator("a")
    add(a, "s1", Resources.of(cpus=4, mem=400))
    cycle(a)
    back(a, "a", "s1", Resources.of(cpus=2, mem=400), refused_until_s=10.0)
    assert cycle(a, 1.0) == []
    back(a, "a", "s1", Resources.of(cpus=1))
    assert [g.resources for g in grants(a, 2.0)] == [Resources.of(cpus=3, mem=400)]


def test_a_refusal_is_of_one_framework_alone() -> None:
    a = allocator("a", "b")
    add(a, "s1")
    assert cycle(a) == [("a", "s1")]
    back(a, "a", "s1", refused_until_s=10.0)
    assert cycle(a) == [("b", "s1")]
    back(a, "b", "s1", refused_until_s=20.0)
    assert cycle(a, 5.0) == []
    assert a.next_due_s == 10.0
    assert cycle(a, 10.0) == [("a", "s1")]
    assert a.next_due_s == 20.0


def test_the_longer_of_two_refusals_counts() -> None:
    a = allocator("a")
    add(a, "s1")
    cycle(a)
    back(a, "a", "s1", Resources.of(cpus=1), refused_until_s=100.0)
    back(a, "a", "s1", Resources.of(mem=100), refused_until_s=50.0)
    assert [g.resources for g in grants(a, 0.0)] == [ONE], "both together were never refused"
    back(a, "a", "s1", refused_until_s=20.0)
    assert cycle(a, 19.0) == []
    assert [g.resources for g in grants(a, 20.0)] == [ONE]
    back(a, "a", "s1", Resources.of(cpus=1))
    assert cycle(a, 99.0) == [], "the cpus alone are refused for longer"
    assert [g.resources for g in grants(a, 100.0)] == [Resources.of(cpus=1)]


def test_a_refusal_says_nothing_to_who_is_disconnected_or_suppressed() -> None:
    a = allocator("a")
    add(a, "s1")
    cycle(a)
    a.deactivate_framework(FrameworkId("a"))
    back(a, "a", "s1", refused_until_s=1e9)
    assert a.next_due_s is None


def test_year_long_refusals_leave_nothing_behind_once_they_are_revived() -> None:
    a = allocator("a")
    add(a, "s1")
    for turn in range(2000):
        assert cycle(a, float(turn))
        back(a, "a", "s1", refused_until_s=turn + 3e7)
        a.revive(FrameworkId("a"), ())
    filters = a._books.filters
    assert len(filters) == 0
    assert len(filters._due) < 200
    assert a.next_due_s is None


def test_a_refusal_of_more_replaces_one_of_less() -> None:
    a = allocator("a")
    add(a, "s1", Resources.of(cpus=100))
    cycle(a)
    for cpus in range(1, 100):
        back(a, "a", "s1", Resources.of(cpus=1), refused_until_s=1e6 + cpus)
        cycle(a)
    for _ in range(3):
        back(a, "a", "s1", Resources.of(cpus=1))
        cycle(a)
    (entries,) = a._books.agents[AgentId("s1")].refusals.values()
    assert len(entries) <= 2


@given(st.floats(min_value=0.001, max_value=1e7))
def test_a_refusal_never_ends_early_and_at_most_50_ms_late(until_s: float) -> None:
    a = allocator("a")
    add(a, "s1")
    cycle(a)
    back(a, "a", "s1", refused_until_s=until_s)
    assert cycle(a, math.nextafter(until_s, 0.0)) == []
    due_s = a.next_due_s
    assert due_s is not None
    assert until_s <= due_s <= until_s + 0.05 + 1e-6
    assert cycle(a, due_s) == [("a", "s1")]


def test_equal_refusals_are_one_object() -> None:
    a = allocator("a")
    for number in range(50):
        add(a, f"s{number}", Resources.of(cpus=1, mem=100))
    for grant in grants(a):
        back(a, "a", grant.agent_id, grant.resources, refused_until_s=1e6)
    agents = a._books.agents.values()
    assert len({id(each) for agent in agents for each in agent.refusals.values()}) == 1


def test_a_change_of_attributes_voids_refusals_and_one_of_resources_does_not() -> None:
    """Behaviour 75."""
    a = allocator("a")
    add(a, "s1")
    cycle(a)
    back(a, "a", "s1", refused_until_s=1e6)
    a.update_agent(AgentId("s1"), AgentTerms(Resources.of(cpus=0.5, mem=100)))
    assert cycle(a) == []
    rack = Attribute("rack", text="r1")
    a.update_agent(AgentId("s1"), AgentTerms(Resources.of(cpus=0.5, mem=100), attributes=(rack,)))
    assert cycle(a) == [("a", "s1")]


def test_an_agent_that_shrinks_keeps_what_runs_and_one_that_grows_is_offered_more() -> None:
    a = allocator("a")
    add(a, "s1", Resources.of(cpus=4, mem=100))
    (grant,) = grants(a)
    running = Resources.of(cpus=3, mem=100)
    a.use((grant.framework_id, grant.role), grant.agent_id, running)
    back(a, "a", "s1", Resources.of(cpus=1))
    a.update_agent(AgentId("s1"), AgentTerms(Resources.of(cpus=2, mem=100)))
    assert cycle(a) == []
    assert a.available(AgentId("s1")) == Resources()
    a.update_agent(AgentId("s1"), AgentTerms(Resources.of(cpus=5, mem=200)))
    assert [each.resources for each in grants(a)] == [Resources.of(cpus=2, mem=100)]
    a.remove_agent(AgentId("s1"))
    assert a.share((FrameworkId("a"), "*")) == 0.0


# ---- what changed, and what did not


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The agents that cycles looked at, in order."""
    seen: list[str] = []
    give = Cycle._give

    def noting(self: Cycle, client: Any, agent: Any, guarantees: bool) -> bool:
        seen.append(agent.id)
        return give(self, client, agent, guarantees)

    monkeypatch.setattr(Cycle, "_give", noting)
    return seen


def test_an_agent_that_nothing_happened_to_is_not_looked_at(looked_at: list[str]) -> None:
    a = allocator("a")
    for number in range(100):
        add(a, f"s{number}")
    cycle(a)
    for number in range(100):
        back(a, "a", f"s{number}", refused_until_s=1e6 + number)
    cycle(a)
    looked_at.clear()
    assert not a.wants_cycle
    cycle(a, 10.0)
    assert looked_at == []
    add(a, "new")
    cycle(a, 11.0)
    assert looked_at == ["new"]
    looked_at.clear()
    cycle(a, 1e6 + 3)
    assert sorted(looked_at) == ["s0", "s1", "s2", "s3"], "whose refusals are over"


def test_reviving_looks_at_what_was_refused(looked_at: list[str]) -> None:
    a = allocator("a")
    for number in range(10):
        add(a, f"s{number}")
    cycle(a)
    back(a, "a", "s3", refused_until_s=1e6)
    cycle(a)
    looked_at.clear()
    a.revive(FrameworkId("a"), ())
    cycle(a)
    assert looked_at == ["s3"]
    a.revive(FrameworkId("a"), ())
    assert not a.wants_cycle, "there was nothing to revive"


def test_nothing_is_kept_of_frameworks_and_agents_that_are_gone() -> None:
    a = allocator("a")
    for turn in range(50):
        name = FrameworkId(f"f{turn}")
        a.set_framework(name, FrameworkTerms("f", (f"role{turn}",)))
        add(a, f"s{turn}")
        for grant in grants(a, 0.0):
            a.decline((grant.framework_id, grant.role), grant.agent_id, grant.resources, 1e6)
        a.remove_framework(name)
        a.remove_agent(AgentId(f"s{turn}"))
    books = a._books
    assert list(books.tree.clients) == [("a", "*")]
    assert list(books.tree.root.children) == ["*"]
    assert list(a._of_framework) == ["a"]
    assert books.agents == {}
    assert a._leftover == {}
    assert a._agents == {}
    assert books.quotas._roles == {}
    assert {name: amount for name, amount in books.tree.totals.items() if amount} == {}


def test_roles_that_come_and_go_are_not_kept() -> None:
    a = allocator("a")
    for turn in range(50):
        a.set_framework(FrameworkId("a"), FrameworkTerms("a", (f"role{turn}",)))
    assert list(a._books.tree.clients) == [("a", "role49")]


def test_a_former_role_is_not_revived_and_counts_while_something_runs_in_it() -> None:
    a = allocator("a", roles=("old",))
    add(a, "s1")
    cycle(a)
    a.set_framework(FrameworkId("a"), FrameworkTerms("a", ("new",)))
    a.revive(FrameworkId("a"), ())
    assert a.share((FrameworkId("a"), "old")) == 1.0
    a.decline((FrameworkId("a"), "old"), AgentId("s1"), ONE)
    assert [(g.role, g.agent_id) for g in grants(a, 0.0)] == [("new", "s1")]


# ---- more taken than there is


def test_what_runs_beyond_the_total_is_paid_back_first() -> None:
    a = allocator("a")
    client = (FrameworkId("b"), "*")
    ports = Resources.of(cpus=3, mem=300, ports=[(1, 6)])
    total = Resources.of(cpus=2, mem=400, ports=[(4, 9)])
    a.add_agent(AgentId("s1"), AgentTerms(total), {client: ports})
    assert [g.resources for g in grants(a, 0.0)] == [Resources.of(mem=100, ports=[(7, 9)])]
    a.release(client, AgentId("s1"), Resources.of(cpus=1))
    assert cycle(a) == []
    a.release(client, AgentId("s1"), Resources.of(cpus=2, mem=300, ports=[(1, 6)]))
    assert [g.resources for g in grants(a, 0.0)] == [Resources.of(cpus=2, mem=300, ports=[(4, 6)])]


# ---- an oracle


class Oracle:
    """Dominant-resource fairness, computed from scratch over all agents at each grant."""

    def __init__(self) -> None:
        self.totals: dict[str, Resources] = {}
        self.free: dict[str, Resources] = {}
        self.allocated: dict[str, Resources] = {}
        self.grants: dict[str, int] = {}
        self.closed: set[str] = set()
        self.refused: list[tuple[str, str, Resources, float]] = []

    def share(self, name: str) -> float:
        total = Resources.total(self.totals.values())
        mine = self.allocated[name]
        return max(
            (mine.milli(r) / total.milli(r) for r in ("cpus", "mem") if total.milli(r)), default=0.0
        )

    def hidden(self, name: str, agent: str, now_s: float) -> bool:
        return any(
            (who, where) == (name, agent) and until_s > now_s and self.free[agent] <= what
            for who, where, what, until_s in self.refused
        )

    def worth(self, agent: str) -> bool:
        free = self.free[agent]
        return free.milli("cpus") >= 10 or free.milli("mem") >= 32_000

    def takers(self, agent: str, now_s: float) -> list[str]:
        """Who may have the agent, the neediest first."""
        able = [n for n in self.allocated if n not in self.closed]
        able = [n for n in able if self.worth(agent) and not self.hidden(n, agent, now_s)]
        return sorted(able, key=lambda name: (self.share(name), self.grants[name], name))

    def grant(self, name: str, agent: str) -> None:
        self.allocated[name] += self.free[agent]
        self.free[agent] = Resources()
        self.grants[name] += 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("agent"), st.integers(0, 4), st.integers(0, 5)),
        st.tuples(st.just("framework"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("recover"), st.integers(0, 9), st.integers(1, 4)),
        st.tuples(st.just("refuse"), st.integers(0, 9), st.sampled_from([1, 5, 100])),
        st.tuples(st.just("suppress"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("revive"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("cycle"), st.just(0), st.integers(0, 6)),
    ),
    max_size=40,
)


@given(steps)
def test_grants_are_those_of_an_oracle_that_looks_at_everything(
    script: list[tuple[str, int, int]],
) -> None:
    a, oracle, now_s = allocator(), Oracle(), 0.0
    held: list[Grant] = []
    for action, number, amount in [*script, ("cycle", 0, 0)]:
        name = FrameworkId(f"f{number}")
        if action == "agent":
            agent_id = AgentId(f"s{len(oracle.totals)}")
            resources = Resources.of(cpus=number, mem=amount * 16)
            a.add_agent(agent_id, AgentTerms(resources), {})
            oracle.totals[agent_id] = oracle.free[agent_id] = resources
        elif action == "framework":
            if name in oracle.allocated:
                continue
            a.set_framework(name, FrameworkTerms(name, ("*",)))
            oracle.allocated[name], oracle.grants[name] = Resources(), 0
        elif action in ("recover", "refuse"):
            if not held:
                continue
            grant = held.pop(number % len(held))
            until_s = now_s + amount if action == "refuse" else None
            who, where = grant.framework_id, grant.agent_id
            a.decline((who, "*"), where, grant.resources, until_s)
            oracle.allocated[who] -= grant.resources
            oracle.free[where] += grant.resources
            if until_s is not None and who not in oracle.closed:
                oracle.refused.append((who, where, grant.resources, until_s))
        elif name in oracle.allocated and action == "suppress":
            a.suppress(name, ())
            oracle.closed.add(name)
        elif name in oracle.allocated and action == "revive":
            a.revive(name, ())
            oracle.closed.discard(name)
            oracle.refused = [each for each in oracle.refused if each[0] != name]
        elif action == "cycle":
            now_s += amount
            for grant in grants(a, now_s):
                takers = oracle.takers(grant.agent_id, now_s)
                assert takers[0] == grant.framework_id
                assert grant.resources == oracle.free[grant.agent_id]
                oracle.grant(grant.framework_id, grant.agent_id)
                held.append(grant)
            # And nothing was left that somebody may have.
            assert [each for each in oracle.free if oracle.takers(each, now_s)] == []
        for each in oracle.allocated:
            assert a.share((FrameworkId(each), "*")) == pytest.approx(oracle.share(each))
