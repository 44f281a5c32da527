"""Nobody starves behind a framework that thinks about its offers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.terms import AgentTerms, Withdraw

from ..allocators import ONE, add, allocator, back, client, demand, framework


def run(a: Allocator, now_s: float) -> list[tuple[str, str]]:
    """All cycles that are due, withdrawn offers being rescinded; who was granted what."""
    got = []
    while True:
        decided = a.cycle(now_s)
        for each in decided:
            if isinstance(each, Withdraw):
                there = a._books.agents[each.agent_id].offered
                a.decline(client(each), each.agent_id, there[a._books.tree.clients[client(each)]])
            else:
                got.append((str(each.framework_id), str(each.agent_id)))
        if not a.wants_cycle and (a.next_due_s is None or a.next_due_s > now_s):
            return sorted(got)


def thinking(agents: int, **config: object) -> Allocator:
    """`thinker` has been offered all agents, at 0 s."""
    a = allocator("thinker", config={"patience_s": 1.0, **config})
    for at in range(agents):
        add(a, f"s{at}")
    assert len(run(a, 0.0)) == agents
    return a


def held(a: Allocator, name: str) -> int:
    return a._books.tree.clients[(FrameworkId(name), "*")].offers


def test_the_hungry_get_what_is_beyond_a_fair_part_once_patience_is_over() -> None:
    a = thinking(8)
    framework(a, "hungry")
    assert run(a, 0.5) == []
    assert a.next_due_s == 1.0
    assert [name for name, _ in run(a, 1.0)] == ["hungry"] * 4
    assert (held(a, "thinker"), held(a, "hungry")) == (4, 4)


def test_who_comes_when_patience_is_over_is_served_at_once() -> None:
    a = thinking(4)
    framework(a, "late")
    assert len(run(a, 100.0)) == 2


def test_the_thinker_keeps_its_part_however_long_it_thinks() -> None:
    a = thinking(8)
    framework(a, "hungry")
    first = run(a, 1.0)
    for turn in range(5):
        for _, agent in first:  # used up, and hungry again
            a.use((FrameworkId("hungry"), "*"), AgentId(agent), ONE)
        first = run(a, 2.0 + turn)
        assert first == []
        assert held(a, "thinker") == 4


def test_what_the_hungry_has_had_of_the_thinker_counts_when_another_leaves() -> None:
    a = thinking(8)
    framework(a, "hungry")
    for _, agent in run(a, 1.0):
        a.use((FrameworkId("hungry"), "*"), AgentId(agent), ONE)
    framework(a, "another")
    a.remove_framework(FrameworkId("another"))
    assert run(a, 2.0) == []
    assert held(a, "thinker") == 4


def test_what_the_thinker_gets_anew_is_shared_anew() -> None:
    a = thinking(4)
    framework(a, "hungry")
    for _, agent in run(a, 1.0):
        a.use((FrameworkId("hungry"), "*"), AgentId(agent), ONE)
    for at in [str(g) for g in list(a._books.agents)]:
        if a._books.agents[AgentId(at)].offered:
            a.use((FrameworkId("thinker"), "*"), AgentId(at), ONE)
    a.suppress(FrameworkId("hungry"))
    for at in range(4):
        add(a, f"new{at}")
    run(a, 5.0)
    a.revive(FrameworkId("hungry"))
    assert len(run(a, 6.0)) == 2


def test_with_more_hungry_each_gets_its_part() -> None:
    a = thinking(9)
    framework(a, "h1")
    framework(a, "h2")
    run(a, 1.0)
    assert (held(a, "thinker"), held(a, "h1"), held(a, "h2")) == (3, 3, 3)


def test_parts_go_by_weight_level_by_level() -> None:
    a = allocator(config={"patience_s": 1.0})
    framework(a, "thinker", "t")
    for at in range(12):
        add(a, f"s{at}")
    run(a, 0.0)
    a.set_weight("h", 2.0)
    framework(a, "h1", "h/x")
    framework(a, "h2", "h/y")
    run(a, 1.0)
    offers = {key[0]: node.offers for key, node in a._books.tree.clients.items()}
    assert offers == {"thinker": 4, "h1": 4, "h2": 4}


def test_the_last_offer_of_a_thinker_stays_with_it() -> None:
    a = thinking(1)
    framework(a, "hungry")
    assert run(a, 1.0) == []
    assert held(a, "thinker") == 1


@pytest.mark.parametrize(("keeps", "left"), [(1.0, 4), (0.5, 2), (0.0, 0)])
def test_how_much_the_thinker_keeps_is_configured(keeps: float, left: int) -> None:
    a = thinking(8, thinker_keeps_part=keeps)
    framework(a, "h1")
    run(a, 1.0)
    assert held(a, "thinker") >= left
    assert held(a, "thinker") == max(left, 4)


def test_without_patience_nothing_is_withdrawn() -> None:
    a = thinking(8, patience_s=None)
    framework(a, "hungry")
    assert run(a, 1e6) == []
    assert a.next_due_s is None


def test_who_refuses_what_the_thinker_has_is_not_hungry() -> None:
    a = allocator("picky", config={"patience_s": 1.0})
    for at in range(4):
        add(a, f"s{at}")
    for name, agent in run(a, 0.0):
        back(a, name, agent, refused_until_s=1000.0)
    framework(a, "thinker")
    assert len(run(a, 0.0)) == 4
    assert run(a, 5.0) == []
    assert held(a, "thinker") == 4
    assert a.next_due_s == 1000.0, "it is looked at once, and never again"
    a.revive(FrameworkId("picky"))
    assert len(run(a, 6.0)) == 2


def test_what_is_withdrawn_is_the_hungry_ones_whatever_the_shares_are() -> None:
    a = thinking(4)
    running = {(FrameworkId("hungry"), "*"): Resources.of(cpus=50, mem=50)}
    a.add_agent(AgentId("full"), AgentTerms(Resources.of(cpus=50, mem=50)), running)
    framework(a, "hungry")
    assert a.share((FrameworkId("hungry"), "*")) > a.share((FrameworkId("thinker"), "*"))
    assert [name for name, _ in run(a, 1.0)] == ["hungry"] * 2
    assert (held(a, "thinker"), held(a, "hungry")) == (2, 2)


def test_declared_demand_takes_no_more_than_it_wants() -> None:
    a = thinking(8)
    framework(a, "modest")
    a.set_demand(FrameworkId("modest"), (demand(count=1, cpus=1, mem=100),))
    assert [name for name, _ in run(a, 1.0)] == ["modest"]
    assert held(a, "thinker") == 7


def test_newest_offers_are_withdrawn_first() -> None:
    """What it has thought about for longest stays with it."""
    a = allocator("thinker", config={"patience_s": 1.0})
    for at in range(4):
        add(a, f"s{at}")
        run(a, 0.1 * at)
    framework(a, "hungry")
    assert sorted(run(a, 2.0)) == [("hungry", "s2"), ("hungry", "s3")]


def test_an_offer_younger_than_the_patience_is_left_alone() -> None:
    a = thinking(2)
    for at in range(2):
        add(a, f"young{at}")
    run(a, 0.9)
    framework(a, "hungry")
    assert {agent for _, agent in run(a, 1.0)} == {"s0", "s1"}
    assert held(a, "thinker") == 2


def test_what_the_hungry_gives_back_it_has_not_had() -> None:
    a = thinking(4)
    framework(a, "hungry")
    refused = [agent for _, agent in run(a, 1.0)]
    for agent in refused:
        back(a, "hungry", agent, refused_until_s=1000.0)
    got = run(a, 1.1)
    assert [agent for name, agent in got if name == "thinker"] == refused
    assert [name for name, agent in got if agent not in refused] == ["hungry"] * 2


def test_a_promise_of_an_agent_that_has_left_is_forgotten() -> None:
    a = thinking(2)
    framework(a, "hungry")
    (withdrawn,) = [each for each in a.cycle(1.0) if isinstance(each, Withdraw)]
    a.decline(client(withdrawn), withdrawn.agent_id, ONE)
    a.remove_agent(withdrawn.agent_id)
    assert a.cycle(1.0) == []


def test_a_promise_to_one_who_has_left_is_forgotten() -> None:
    a = thinking(4)
    framework(a, "hungry")
    withdrawn = [each for each in a.cycle(1.0) if isinstance(each, Withdraw)]
    a.remove_framework(FrameworkId("hungry"))
    for each in withdrawn:
        a.decline(client(each), each.agent_id, ONE)
    assert [name for name, _ in run(a, 1.0)] == ["thinker"] * 2


def test_the_reason_is_told() -> None:
    a = thinking(2)
    framework(a, "hungry")
    (withdrawn,) = [each for each in a.cycle(1.0) if isinstance(each, Withdraw)]
    assert withdrawn.why == "hungry has no offer, and this one is beyond a fair part"


@given(
    agents=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    arrivals=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=6),
    answers=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=6),
)
@settings(deadline=None)
def test_it_comes_to_rest_and_whom_it_could_serve_it_has_served(
    agents: list[int], arrivals: list[tuple[int, int]], answers: list[tuple[int, bool]]
) -> None:
    """Nobody answers any more: no offer goes round for ever, and who has nothing could be given
    nothing without leaving a holder less than its part."""
    a = allocator("f0", config={"patience_s": 1.0})
    for number, size in enumerate(agents):
        add(a, f"s{number}", Resources.of(cpus=size, mem=32 * size))
    now_s = 0.0
    run(a, now_s)
    for number, wait in arrivals:
        now_s += wait
        run(a, now_s)
        framework(a, f"f{number}")
    for number, uses in answers:
        node = a._books.tree.clients.get((FrameworkId(f"f{number}"), "*"))
        held_there = [x for x in a._books.agents.values() if node in x.offered]
        if node is not None and held_there:
            agent = held_there[0]
            act = a.use if uses else a.decline
            act(node.key, agent.id, agent.offered[node])
            run(a, now_s)
    for _ in range(20):
        now_s += 1.0
        run(a, now_s)
    for _ in range(5):
        now_s += 1.0
        assert run(a, now_s) == []
    offers: dict[str, list[float]] = {key[0]: [] for key in a._books.tree.clients}
    for agent in a._books.agents.values():
        for node, resources in agent.offered.items():
            offers[node.key[0]].append(resources.cpus)
    part = sum(map(sum, offers.values())) / len(offers)
    if [] in offers.values() and not any(uses for _, uses in answers):
        assert all(sum(each) - min(each, default=0) < part + 1e-6 for each in offers.values())
