"""Promise 6 in small: offers, kills and ends are not forgotten, not even for a while.

- An offer that a framework was told of ends with a word: the framework uses or declines it, or is
  told that it is over. And it does end, in the time that it was given.
- A kill that a master has taken is repeated to the agent of the task each time it comes back.
- An end is waited for until the framework has acknowledged this end, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Hashable, Mapping
from typing import Any, Final

from mezzo.core import Output, TimerFired
from mezzo.ids import ConnId, FrameworkId, OfferId, TaskId
from mezzo.master.core import MasterCore
from mezzo.master.effects import ToAgent, ToFramework
from mezzo.master.events import AgentSaid, FrameworkSaid, StreamClosed
from mezzo.master.timers import OfferTimeout
from mezzo.messages.agent import (
    AgentReregistered,
    KillTask,
    RegisterAgent,
    ReregisterAgent,
    UnregisterAgent,
)
from mezzo.messages.scheduler import (
    Accept,
    Acknowledge,
    Decline,
    Kill,
    Offers,
    Rescind,
    Subscribe,
    Update,
)

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World
from ..terms import Terms

_LATE_S: Final = 5.0  # a leader that was stopped, or waits for its store, is behind by so much
_LOOK_EVERY: Final = 20  # steps
Key = tuple[FrameworkId, TaskId]


class _Term:
    """The duties that one leader has taken upon itself."""

    def __init__(self, core: MasterCore) -> None:
        self.core = core
        self.told: dict[OfferId, tuple[ConnId, float]] = {}  # to whom, and when it was made
        self.kills: dict[Key, None] = {}
        self.awaited: bytes | None = None  # what a framework has to acknowledge in this step
        self.steps = 0
        # At the last looks: a timer that is due with much else may come after all of it.
        self.offers: deque[dict[OfferId, None]] = deque(maxlen=5)


class NothingIsForgotten(Watch):
    def __init__(self, world: World, offer_timeout_s: float) -> None:
        self._world = world
        self._offer_timeout_s = offer_timeout_s
        self._terms = Terms(_Term)

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        term = self._terms.of(master)
        term.awaited = None
        if isinstance(event, TimerFired):
            _look_at_timer(master, term, event.key)
        if isinstance(event, FrameworkSaid) and isinstance(event.call, Acknowledge | Kill):
            state = term.core.state
            framework = state.frameworks.get(state.framework_of.get(event.conn, FrameworkId("")))
            if framework is None or event.framework_id not in (None, framework.id):
                return  # nobody's, or said in the name of another: it is not listened to
            entry = framework.tasks.get(event.call.task_id)
            lost = framework.unreachable.get(event.call.task_id)
            if isinstance(event.call, Acknowledge):
                if entry is not None and entry.forwarded is not None:
                    term.awaited = entry.forwarded.uuid
                return
            known = entry or lost
            mine = known is not None and event.call.agent_id in (None, known.info.agent_id)
            if mine and known is not None and known.holds_resources:
                term.kills[(framework.id, event.call.task_id)] = None

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        term = self._terms.of(master)
        used = _used(event)
        for effect in output.effects:
            if not isinstance(effect, ToFramework):
                continue
            if isinstance(effect.event, Offers):
                for offer in effect.event.offers:
                    term.told[offer.id] = effect.conn, self._world.now_s
            elif isinstance(effect.event, Rescind):
                term.told.pop(effect.event.offer_id, None)
            elif isinstance(effect.event, Update) and effect.event.status.state.terminal:
                # Back all the same it is news, and its framework has to kill it once more.
                framework_id = term.core.state.framework_of.get(effect.conn, FrameworkId(""))
                term.kills.pop((framework_id, effect.event.status.task_id), None)
        if isinstance(event, FrameworkSaid) and isinstance(event.call, Subscribe):
            # It begins anew, perhaps on the stream that it has: nothing is offered to it.
            for offer_id in [i for i, (conn, _) in term.told.items() if conn == event.conn]:
                del term.told[offer_id]
        self._look_at_offers(master, term, used)
        if isinstance(event, FrameworkSaid) and isinstance(event.call, Acknowledge):
            self._look_at_the_end(master, term, event)
        if isinstance(event, StreamClosed) and term.kills:
            self._forget_ended(term)  # those that do not outlive it, of who does not checkpoint
        if isinstance(event, AgentSaid) and term.kills:
            self._look_at_kills(master, term, output)
            if isinstance(event.message, (RegisterAgent, ReregisterAgent, UnregisterAgent)):
                self._forget_ended(term)

    # ---- offers

    def _look_at_offers(
        self, master: VirtualMaster, term: _Term, used: Mapping[OfferId, None]
    ) -> None:
        """At every one seldom, as there may be many, for what is not right stays so."""
        for offer_id in used:
            term.told.pop(offer_id, None)
        term.steps += 1
        if term.steps % _LOOK_EVERY:
            return
        state, now_s = term.core.state, self._world.now_s
        term.offers.append(dict.fromkeys(state.offers))
        for offer_id, (conn, since_s) in list(term.told.items()):
            if conn not in state.framework_of:
                del term.told[offer_id]  # its stream is over, and all that was offered on it
            elif offer_id not in state.offers:
                raise Broken(
                    f"promise 6: offer {offer_id} is over, and {master.peer(conn)} was not told"
                )
            elif now_s - since_s > self._offer_timeout_s + _LATE_S < master.process.awake_for_s:
                raise Broken(
                    f"promise 6: {master.peer(conn)} holds offer {offer_id} for "
                    f"{now_s - since_s:.0f} s, and it was to end after {self._offer_timeout_s:.0f}"
                )

    # ---- ends and kills

    def _look_at_the_end(self, master: VirtualMaster, term: _Term, event: FrameworkSaid) -> None:
        state, call = term.core.state, event.call
        framework = state.frameworks.get(state.framework_of.get(event.conn, FrameworkId("")))
        assert isinstance(call, Acknowledge)
        if framework is None or term.awaited is None or call.task_id in framework.tasks:
            return
        if term.awaited != call.uuid:
            raise Broken(
                f"promise 4: {master.name} forgets {call.task_id}, of whose end nothing was "
                "acknowledged but an update of before"
            )

    def _look_at_kills(self, master: VirtualMaster, term: _Term, output: Output[Any]) -> None:
        back = [each for each in output.effects if _says(each, AgentReregistered)]
        told = {
            (each.message.framework_id, each.message.task_id): None
            for each in output.effects
            if _says(each, KillTask)
        }
        for effect in back:
            agent = term.core.state.agents.get(effect.message.agent_id)
            for key, entry in agent.tasks.items() if agent is not None else ():
                if key in term.kills and key not in told and entry.holds_resources:
                    assert agent is not None
                    raise Broken(
                        f"promise 6: {agent.info.hostname} is back with {key[1]}, which was to be "
                        f"killed, and {master.name} says nothing of it"
                    )

    @staticmethod
    def _forget_ended(term: _Term) -> None:
        """An agent tells of ends in a report, or leaves; what runs there all the same is news, and
        has to be killed anew."""
        for framework_id, task_id in list(term.kills):
            framework = term.core.state.frameworks.get(framework_id)
            known = None if framework is None else (
                framework.tasks.get(task_id) or framework.unreachable.get(task_id)
            )  # fmt: skip
            if known is None or not known.holds_resources:
                del term.kills[(framework_id, task_id)]


def _says(effect: Any, kind: type) -> bool:
    return isinstance(effect, ToAgent) and isinstance(effect.message, kind)


def _used(event: Any) -> dict[OfferId, None]:
    """The offers that a framework gives back or takes in this step."""
    if isinstance(event, FrameworkSaid) and isinstance(event.call, Accept | Decline):
        return dict.fromkeys(event.call.offer_ids)
    return {}


def _look_at_timer(master: VirtualMaster, term: _Term, key: Hashable) -> None:
    """The timer of an offer goes with the offer: else there are ever more of them."""
    if not isinstance(key, OfferTimeout) or len(term.offers) < 5:
        return
    if master.process.awake_for_s < _LATE_S:
        return  # of what was due meanwhile some is over by now
    known: tuple[Container[object], ...] = (term.core.state.offers, *term.offers)
    if not any(key.offer_id in offers for offers in known):
        raise Broken(
            f"promise 6: {master.name} still has a timer of offer {key.offer_id}, long over"
        )
