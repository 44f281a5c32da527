"""Inverse offers, whatever has happened before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mezzo.cluster.model import InverseOffer
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import OfferId
from mezzo.messages import scheduler as sm

from ..planned import LATER, SOON, accept, decline, down, plan, schedule, up, window
from ..world import BIG, Framework, World, task


class Story:
    """Random things happen to three agents and two frameworks; each framework keeps its own books
    of what it was asked, from the events alone."""

    def __init__(self) -> None:
        self.world = World(agent_reregister_timeout_s=50.0)
        self.agents = [self.world.agent(BIG, hostname=name) for name in "abc"]
        self.frameworks = [self.world.framework(failover_timeout=1e6) for _ in range(2)]
        self.books: list[dict[OfferId, InverseOffer]] = [{}, {}]
        self.tasks = 0

    def happen(self, what: str, number: int) -> None:
        agent, framework = self.agents[number % 3], self.frameworks[number % 2]
        name = agent.info.hostname
        match what:
            case "schedule":
                when = (SOON, LATER)[number % 2]
                kept = [w for w in schedule(self.world) if w.machine_ids[0].hostname != name]
                plan(self.world, *kept, window(name, when=when))
            case "unschedule":
                plan(self.world, *schedule(self.world)[1:])
            case "down":
                down(self.world, name)
            case "up":
                up(self.world, name)
            case "agent":
                if agent.conn is None:
                    agent.reregister()
                else:
                    agent.disconnect()
            case "framework":
                if framework.conn is None:
                    framework.subscribe()
                else:
                    framework.disconnect()
            case "time":
                self.world.advance((1, 5, 120)[number % 3])
            case "restart":
                self.world.restart()
        if framework.conn is not None:
            self._act(what, number, framework)
        if what == "end" and agent.conn is not None and agent.tasks:
            key, held = next(iter(agent.tasks.items()))
            agent.update(held, key[0], TaskState.FINISHED)

    def _act(self, what: str, number: int, framework: Framework) -> None:
        book = self.books[number % 2]
        match what:
            case "launch" if framework.offers:
                offer = next(iter(framework.offers.values()))
                self.tasks += 1
                info = task(f"t{self.tasks}", offer.agent_id, Resources.of(cpus=0.1, mem=32))
                framework.accept([offer], info, refuse_s=number)
            case "decline":
                framework.decline(number)
            case "revive":
                framework.say(sm.Revive())
            case "answer" if book:
                (decline, accept)[number % 2](framework, book.pop(next(iter(book))), number)

    def check(self) -> None:
        """Who is asked is who can be, uses the machine and has not just answered."""
        state = self.world.core.state
        for framework, book in zip(self.frameworks, self.books, strict=True):
            self._read(framework, book)
            entry = state.frameworks[framework.id]
            if framework.conn is None:
                assert not entry.inverse_offers
                continue
            assert book == {offer.id: offer for offer in entry.inverse_offers.values()}
            wanted = {}
            for agent in state.agents.values():
                planned = state.machines.of(agent.info.hostname)
                answer = agent.inverse_answers.get(framework.id)
                hidden = answer is not None and answer.hides_until_s > self.world.now.mono_s
                uses = any(key[0] == framework.id for key in agent.executors)
                uses |= any(t.holds_resources for k, t in agent.tasks.items() if k[0] == entry.id)
                uses |= any(state.offers[o].framework_id == framework.id for o in agent.offers)
                if planned is not None and uses and not hidden:
                    wanted[agent.id] = planned.unavailability
            assert {o.agent_id: o.unavailability for o in book.values()} == wanted
        planned = [state.machines.of(agent.info.hostname) for agent in state.agents.values()]
        assert not any(each is not None and each.down for each in planned)

    @staticmethod
    def _read(framework: Framework, book: dict[OfferId, InverseOffer]) -> None:
        for event in framework.inbox:
            match event:
                case sm.Subscribed():
                    book.clear()
                case sm.InverseOffers(inverse_offers=offers):
                    book.update((offer.id, offer) for offer in offers)
                case sm.RescindInverseOffer(inverse_offer_id=offer_id):
                    del book[offer_id]
                case _:
                    pass
        framework.inbox.clear()


_THINGS = (
    *("schedule", "schedule", "unschedule", "down", "up", "agent", "framework", "time"),
    *("restart", "launch", "launch", "launch", "decline", "revive", "answer", "answer", "end"),
)


@given(st.lists(st.tuples(st.sampled_from(_THINGS), st.integers(0, 11)), min_size=20, max_size=50))
def test_exactly_who_uses_a_scheduled_machine_is_asked(things: list[tuple[str, int]]) -> None:
    """Behaviour 98. Behaviour 101."""
    story = Story()
    for what, number in things:
        story.happen(what, number)
        story.check()
