"""Random histories of an allocator: looking at what changed finds what looking at all finds."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from mezzo.cluster.model import FaultDomain
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.terms import (
    AgentTerms,
    AllocatorConfig,
    Client,
    Demand,
    FrameworkTerms,
    Grant,
    Quota,
    Withdraw,
)

ROLES = ["*", "a", "a/x", "a/x/y", "b", "c"]
TOPS = ["*", "a", "b", "c"]

resources = st.builds(
    lambda cpus, mem, a, x, gpus, spot: (
        Resources.parse(
            f"cpus:{cpus};mem:{mem * 16};gpus:{gpus};ports:[1-{cpus + 1}];"
            f"cpus(a):{a};mem(a/x):{x * 32}"
        )
        + (Resources.of(disk=spot) if spot else Resources())
    ),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 1),
    st.integers(0, 1),
    st.sampled_from([0, 0, 0, 1]),
    st.integers(0, 2),
)
amounts = st.fixed_dictionaries(
    {},
    optional={
        "cpus": st.integers(0, 8).map(lambda n: n * 1000),
        "mem": st.integers(0, 8).map(lambda n: n * 32_000),
    },
)
some = st.integers(0, 7)


def event(**strategies: Any) -> Any:
    """A rule after which the cycle follows that it calls for, unless more events come first."""

    def decorate(act: Any) -> Any:
        @functools.wraps(act)
        def acting(self: AllocatorMachine, **drawn: Any) -> None:
            act(self, **drawn)
            if self.more_events:
                self.more_events -= 1
            else:
                self.settle()

        return rule(**strategies)(acting)

    return decorate


class AllocatorMachine(RuleBasedStateMachine):
    """`offered` and `allocated` are what the core would know."""

    def __init__(self) -> None:
        super().__init__()
        config = AllocatorConfig(patience_s=None, region="here")
        self.a = Allocator(random.Random(1), config)
        self.now_s = 0.0
        self.more_events = 0  # before the next cycle
        self.agents: dict[AgentId, AgentTerms] = {}
        self.terms: dict[FrameworkId, FrameworkTerms] = {}
        self.offered: dict[tuple[Client, AgentId], Resources] = {}
        self.allocated: dict[tuple[Client, AgentId], Resources] = {}
        self.quotas: dict[str, Quota] = {}
        self.numbers = iter(range(10**9))

    def pick(self, choices: Mapping[Any, Any], number: int) -> Any:
        return list(choices)[number % len(choices)]

    @initialize()
    def a_small_cluster(self) -> None:
        self.framework_subscribes(number=0, roles=["a"], gpus=True, far=False, low=False)
        self.framework_subscribes(number=1, roles=["b", "a/x"], gpus=False, far=True, low=False)
        self.framework_subscribes(number=2, roles=["c"], gpus=False, far=True, low=False)
        for cpus in (2, 5):
            total = Resources.of(cpus=cpus, mem=cpus * 32)
            self.agent_comes(total=total, region=None, used=7)

    # ---- agents

    @event(total=resources, region=st.sampled_from([None, "here", "there"]), used=some)
    @precondition(lambda self: len(self.agents) < 5)
    def agent_comes(self, total: Resources, region: str | None, used: int) -> None:
        agent_id = AgentId(f"s{next(self.numbers)}")
        domain = FaultDomain(region, "z") if region else None
        terms = AgentTerms(total, f"host-{agent_id}", (), domain)
        running = {}
        if used < 3:  # perhaps of a framework that is not known yet
            running[(FrameworkId(f"f{used}"), "a")] = total.common(Resources.of(cpus=1, mem=32))
        self.a.add_agent(agent_id, terms, running)
        self.agents[agent_id] = terms
        for client, taken in running.items():
            if taken:
                self.allocated[(client, agent_id)] = taken

    @event(number=some, total=resources)
    @precondition(lambda self: self.agents)
    def agent_changes(self, number: int, total: Resources) -> None:
        """As the core does it: what is offered there is rescinded first."""
        agent_id = self.pick(self.agents, number)
        for client, where in [key for key in self.offered if key[1] == agent_id]:
            self.a.decline(client, where, self.offered.pop((client, where)))
        self.agents[agent_id] = self.agents[agent_id]._replace(total=total)
        self.a.update_agent(agent_id, self.agents[agent_id])

    @event(number=some)
    @precondition(lambda self: self.agents)
    def agent_goes(self, number: int) -> None:
        agent_id = self.pick(self.agents, number)
        self.a.remove_agent(agent_id)
        del self.agents[agent_id]
        for held in (self.offered, self.allocated):
            for key in [key for key in held if key[1] == agent_id]:
                del held[key]

    @event(number=some, active=st.booleans())
    @precondition(lambda self: self.agents)
    def agent_is_switched(self, number: int, active: bool) -> None:
        self.a.set_agent_active(self.pick(self.agents, number), active)

    @event(numbers=st.none() | st.lists(some, max_size=3))
    def whitelist_is_read(self, numbers: list[int] | None) -> None:
        listed = None if numbers is None else [f"host-s{number}" for number in numbers]
        self.a.set_whitelist(listed)

    # ---- frameworks

    @event(
        number=st.integers(0, 4),
        roles=st.lists(st.sampled_from(ROLES), min_size=1, max_size=2, unique=True),
        gpus=st.booleans(),
        far=st.booleans(),
        low=st.booleans(),
    )
    def framework_subscribes(
        self, number: int, roles: list[str], gpus: bool, far: bool, low: bool
    ) -> None:
        name = FrameworkId(f"f{number}")
        self.give_back_offers(name)
        terms = FrameworkTerms(
            name,
            tuple(roles),
            gpus=gpus,
            region_aware=far,
            min_allocatable={roles[0]: ({"mem": 1},)} if low else {},
        )
        self.terms[name] = terms
        self.a.set_framework(name, terms)

    def give_back_offers(self, name: FrameworkId) -> None:
        for client, where in [key for key in self.offered if key[0][0] == name]:
            self.a.decline(client, where, self.offered.pop((client, where)))

    @event(number=some)
    @precondition(lambda self: self.terms)
    def framework_disconnects(self, number: int) -> None:
        name = self.pick(self.terms, number)
        self.give_back_offers(name)
        self.a.deactivate_framework(name)

    @event(number=some)
    @precondition(lambda self: self.terms)
    def framework_ends(self, number: int) -> None:
        name = self.pick(self.terms, number)
        self.give_back_offers(name)
        del self.terms[name]
        self.a.remove_framework(name)

    @event(number=some, roles=st.lists(st.sampled_from(ROLES), max_size=1), revives=st.booleans())
    @precondition(lambda self: self.terms)
    def framework_suppresses_or_revives(self, number: int, roles: list[str], revives: bool) -> None:
        act = self.a.revive if revives else self.a.suppress
        act(self.pick(self.terms, number), tuple(roles))

    @event(
        number=some, role=st.sampled_from(ROLES), cpus=st.integers(1, 2), count=st.integers(0, 3)
    )
    @precondition(lambda self: self.terms)
    def framework_declares(self, number: int, role: str, cpus: int, count: int) -> None:
        shape = {"cpus": cpus * 1000, "mem": 32_000}
        demands = (Demand(role, shape, count),) if count else ()
        self.a.set_demand(self.pick(self.terms, number), demands)

    # ---- roles

    @event(role=st.sampled_from(ROLES), weight=st.sampled_from([0.5, 1.0, 3.0]))
    def weight_is_set(self, role: str, weight: float) -> None:
        self.a.set_weight(role, weight)

    @event(role=st.sampled_from(TOPS), guarantees=amounts, more=amounts, limited=st.booleans())
    def quota_is_set(
        self, role: str, guarantees: dict[str, int], more: dict[str, int], limited: bool
    ) -> None:
        limits = {n: guarantees.get(n, 0) + amount for n, amount in more.items()} if limited else {}
        self.quotas[role] = Quota(guarantees, limits)
        self.a.set_quota(role, self.quotas[role])

    @event(number=some)
    @precondition(lambda self: self.quotas)
    def quota_is_removed(self, number: int) -> None:
        role = self.pick(self.quotas, number)
        del self.quotas[role]
        self.a.set_quota(role, None)

    # ---- the life of a grant

    @event(number=some, until_s=st.sampled_from([None, 1, 5, 1000]))
    @precondition(lambda self: self.offered)
    def offer_is_declined(self, number: int, until_s: float | None) -> None:
        client, agent_id = key = self.pick(self.offered, number)
        until = None if until_s is None else self.now_s + until_s
        self.a.decline(client, agent_id, self.offered.pop(key), until)

    @event(number=some, cpus=st.integers(0, 2), until_s=st.sampled_from([None, 5]))
    @precondition(lambda self: self.offered)
    def offer_is_used(self, number: int, cpus: int, until_s: float | None) -> None:
        client, agent_id = key = self.pick(self.offered, number)
        offered = self.offered.pop(key)
        taken = offered.common(Resources.parse(f"cpus:{cpus};mem:32;cpus(a):1;ports:[2-2]"))
        until = None if until_s is None else self.now_s + until_s
        if taken:
            self.a.use(client, agent_id, taken)
            self.allocated[key] = self.allocated.get(key, Resources()) + taken
        self.a.decline(client, agent_id, offered - taken, until)

    @event(number=some)
    @precondition(lambda self: self.allocated)
    def task_ends(self, number: int) -> None:
        client, agent_id = key = self.pick(self.allocated, number)
        self.a.release(client, agent_id, self.allocated.pop(key))

    @event(number=some, reserve=st.booleans())
    @precondition(lambda self: self.offered)
    def offer_is_converted(self, number: int, reserve: bool) -> None:
        client, agent_id = key = self.pick(self.offered, number)
        before, after = Resources.of(cpus=1), Resources.parse("cpus(a):1")
        if not reserve:
            before, after = after, before
        if before <= self.offered[key]:
            self.a.convert(client, agent_id, before, after)
            self.offered[key] = self.offered[key] - before + after
            self.converted(agent_id, before, after)

    @event(number=some)
    @precondition(lambda self: self.agents)
    def operator_reserves(self, number: int) -> None:
        agent_id = self.pick(self.agents, number)
        before, after = Resources.of(cpus=1), Resources.parse("cpus(b):1")
        if before <= self.a.available(agent_id) and before <= self.agents[agent_id].total:
            self.a.convert(None, agent_id, before, after)
            self.converted(agent_id, before, after)

    def converted(self, agent_id: AgentId, before: Resources, after: Resources) -> None:
        terms = self.agents[agent_id]
        self.agents[agent_id] = terms._replace(total=terms.total - before + after)

    # ---- cycles

    @event(seconds=st.sampled_from([1.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(number=st.integers(1, 3))
    def events_come_close_together(self, number: int) -> None:
        self.more_events = number

    def settle(self) -> None:
        due_s = self.a.next_due_s
        while self.a.wants_cycle or (due_s is not None and due_s <= self.now_s):
            self.cycle()
            due_s = self.a.next_due_s
        self.nothing_was_overlooked()

    def cycle(self) -> None:
        quotas = self.a._books.quotas
        quotas.note_idle(self.a._agents)  # as the cycle will begin
        short = {name: min(0, quotas.surplus(name)) for name in quotas.required()}
        granted: dict[str, dict[str, int]] = {}
        for each in self.a.cycle(self.now_s):
            key = ((each.framework_id, each.role), each.agent_id)
            if isinstance(each, Withdraw):
                self.a.decline(*key, self.offered.pop(key))
                continue
            self.check(each)
            self.offered[key] = self.offered.get(key, Resources()) + each.resources
            names = granted.setdefault(each.role.split("/")[0], {})
            for kind, value in each.resources.items():
                if isinstance(value, int) and not kind.reservations:
                    names[kind.name] = names.get(kind.name, 0) + value
        # Limits hold, also where nothing was offered because of them.
        for role, names in granted.items():
            assert not set(names) & set(quotas.over_limit(role)), role
        # Nobody was offered what is still kept for guarantees.
        required = quotas.required()
        assert all(quotas.surplus(n) >= low for n, low in short.items() if n in required)

    def check(self, grant: Grant) -> None:
        terms = self.terms[grant.framework_id]
        agent = self.agents[grant.agent_id]
        assert grant.role in terms.roles
        assert grant.resources
        for kind, _ in grant.resources.items():
            owner = kind.role
            assert owner in ("*", grant.role) or grant.role.startswith(owner + "/")
        assert terms.gpus or not agent.total.milli("gpus")
        assert terms.region_aware or agent.domain is None or agent.domain.region == "here"

    def nothing_was_overlooked(self) -> None:
        """A cycle that looks at everything finds nothing to give."""
        books = self.a._books
        self.a._agents.update(dict.fromkeys(books.agents.values()))
        self.a._clients.update(dict.fromkeys(books.tree.clients.values()))
        assert self.a.cycle(self.now_s) == []

    # ---- what always holds

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        for agent_id, terms in self.agents.items():
            offered = [r for (_, where), r in self.offered.items() if where == agent_id]
            running = [r for (_, where), r in self.allocated.items() if where == agent_id]
            free = self.a.available(agent_id)
            for name in ("cpus", "mem", "disk", "gpus"):
                taken = sum(each.milli(name) for each in [*offered, *running])
                debt = self.a._books.agents[agent_id].debt.milli(name)
                assert taken + free.milli(name) - debt == terms.total.milli(name)
            assert Resources.total([*offered, free]) <= terms.total

    @invariant()
    def the_books_are_those_of_an_allocator_made_anew(self) -> None:
        new = Allocator(random.Random(1), self.a._books.config)
        for role, weight in self.a._books.tree.weights.items():
            new.set_weight(role, weight)
        for role, quota in self.quotas.items():
            new.set_quota(role, quota)
        for agent_id, terms in self.agents.items():
            held: dict[Client, Resources] = {}
            for books in (self.allocated, self.offered):
                for (client, where), taken in books.items():
                    if where == agent_id:
                        held[client] = held.get(client, Resources()) + taken
            new.add_agent(agent_id, terms, held)
            new.set_agent_active(agent_id, self.a._books.agents[agent_id].active)
        new.set_whitelist(self.a._whitelist)
        for name, framework in self.terms.items():
            new.set_framework(name, framework)
        old_books, new_books = self.a._books, new._books
        for allocator in (self.a, new):
            allocator._books.quotas.note_idle(allocator._agents)
        assert _nonzero(old_books.tree.totals) == _nonzero(new_books.tree.totals)
        assert old_books.quotas.required() == new_books.quotas.required()
        assert old_books.quotas.reserved == new_books.quotas.reserved
        assert old_books.tree.clients.keys() == new_books.tree.clients.keys()
        for role in [*ROLES, "a/nobody"]:
            node, anew = old_books.tree.role(role), new_books.tree.role(role)
            assert (node is None) == (anew is None)
            if node is not None and anew is not None:
                assert _nonzero(node.held) == _nonzero(anew.held)
        for name in ("cpus", "mem"):
            assert old_books.quotas.surplus(name) == new_books.quotas.surplus(name)
        for agent_id in self.agents:
            # Which of the pieces is owed may differ, how much is free may not.
            assert _sizes(self.a.available(agent_id)) == _sizes(new.available(agent_id))
        assert len(old_books.offered_s) == len(self.offered)
        for client in old_books.tree.clients.values():
            assert client.offers == sum(key[0] == client.key for key in self.offered)

    @invariant()
    def demand_is_never_exceeded(self) -> None:
        for client in self.a._books.tree.clients.values():
            for wish in client.wishes.wishes if client.wishes is not None else ():
                assert wish.pending == sum(wish.on.values())
                for agent, units in wish.on.items():
                    assert 0 < units <= wish.units_in(agent.offered[client])
                assert wish.pending <= wish.left or wish.left == 0

    @invariant()
    def refusals_are_counted(self) -> None:
        books = self.a._books
        live = [r for s in books.agents.values() for each in s.refusals.values() for r in each]
        assert len(books.filters) == len(live)
        assert sum(client.refusals for client in books.tree.clients.values()) == len(live)
        assert (books.filters.next_expiry_s is None) == (not live)

    def teardown(self) -> None:
        for agent_id in list(self.agents):
            self.a.remove_agent(agent_id)
        for name in list(self.terms):
            self.a.remove_framework(name)
        books = self.a._books
        assert books.tree.clients == {}
        assert books.tree.root.children == {}
        assert books.offered_s == {}
        assert len(books.filters) == 0


def _nonzero(ledger: Mapping[str, int]) -> dict[str, int]:
    return {name: amount for name, amount in ledger.items() if amount}


def _sizes(resources: Resources) -> dict[str, int]:
    return resources.quantities()


AllocatorMachine.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestWhatChangedIsEnough = AllocatorMachine.TestCase
