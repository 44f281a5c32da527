"""Promise 8 for operators: what they read is so.

Now and then all reads are answered and compared with sums made anew, from who is there and what
each task, executor and offer takes: what roles have and consume, what agents and frameworks use,
who is away or over, the metrics. Counters are compared with what came and left, and a gateway's
replica, made of a snapshot and all events since, with what the next snapshot would say.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.core import Output
from mezzo.gateway.replica.cluster_replica import Replica, View
from mezzo.master.effects import ToOperator
from mezzo.master.events import OperatorJoined, StreamClosed
from mezzo.messages import operator as om
from mezzo.record import replace

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..terms import Terms
from .heard import GATEWAY, Heard
from .look import Look
from .p8_members import check_members
from .p8_metrics import check_metrics
from .p8_reasons import check_reasons
from .p8_roles import check_roles

_LOOK_EVERY: Final = 600  # steps of a master
_MISSED: Final = 4
_JOINS_AT: Final = 50
_ONE_OF: Final = 2  # so many leaders one has a gateway
_LEAVES: Final = 3  # one of so many leaves for long


class ReadsAreTrue(Watch):
    def __init__(self) -> None:
        self._terms = Terms(Heard)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        term = self._terms.of(master)
        term.steps += 1
        term.note_event(event)
        if term.tally is not None:
            term.tally.note(term.core.state, event, output)
        if term.away and type(event) is OperatorJoined and event.conn == GATEWAY:
            _look_at_a_return(master, term, output)
        for effect in output.effects:
            term.note_effect(master, effect)
        if type(event) is OperatorJoined and event.conn == GATEWAY:
            _look_at_what_was_missed(master, term, event, output)
        if term.steps % _LOOK_EVERY == 0:
            _look(Look(master, term))
            if term.published and master.process.epoch % _LEAVES == 0:
                term.leave()
                master.process.post(StreamClosed(GATEWAY))
            elif term.published:  # its stream breaks, and it has missed few events, or none
                at = max(0, term.core.state.sequence - (term.steps // _LOOK_EVERY - 1) % _MISSED)
                resume = om.Resume(master.process.epoch, at)
                master.process.post(OperatorJoined(GATEWAY, resume))
        elif term.steps == term.returns_at:
            resume = om.Resume(master.process.epoch, max(0, term.left_at - 1))
            master.process.post(OperatorJoined(GATEWAY, resume))
        elif term.steps == _JOINS_AT and master.process.epoch % _ONE_OF == 0:
            master.process.post(OperatorJoined(GATEWAY))


def _look_at_a_return(master: VirtualMaster, term: Heard, output: Output[Any]) -> None:
    """What nobody listened to is not remembered: who has missed any of it is told everything."""
    term.away = False
    told = [type(each.event).__name__ for each in output.effects if type(each) is ToOperator]
    if told != [om.OperatorSubscribed.__name__]:
        raise Broken(
            f"promise 8: {master.name} is at {term.core.state.sequence}, and tells who was at "
            f"{term.left_at}, and away for long, of {told[:9]}"
        )


def _look_at_what_was_missed(
    master: VirtualMaster, term: Heard, event: OperatorJoined, output: Output[Any]
) -> None:
    """Who resumes is told exactly that, after the number that it has."""
    resume = event.resume
    if resume is None or not term.published or term.published[0][0] > resume.sequence:
        return
    told = [(e.sequence, e.event) for e in output.effects if type(e) is ToOperator]
    missed = {
        number: each
        for number, each in term.published
        if number > resume.sequence and type(each) is not om.OperatorHeartbeat
    }
    expected = [(resume.sequence, om.OperatorHeartbeat()), *missed.items()]
    if told != expected:
        raise Broken(
            f"promise 8: {master.name} tells who was at {resume.sequence} of {told}, missed were "
            f"{expected}"
        )


def _look(look: Look) -> None:
    check_members(look)
    check_roles(look)
    check_metrics(look)
    check_reasons(look)
    _replica(look)


def _replica(look: Look) -> None:
    term, state = look.term, look.state
    # Views of who has what follow in a moment.
    if term.replica is None or state.changed_agents or state.changed_frameworks:
        return
    snapshot = Replica()
    everything = look.read(om.GetState())
    frameworks = everything.get_frameworks
    bare = tuple(replace(v, offers=(), inverse_offers=()) for v in frameworks.frameworks)
    everything = replace(everything, get_frameworks=replace(frameworks, frameworks=bare))
    snapshot.apply(state.sequence, look.master.process.epoch, om.OperatorSubscribed(everything))
    ours, theirs = term.replica.view(), snapshot.view()
    if ours.sequence != theirs.sequence:
        raise Broken(f"promise 8: event {state.sequence} was never published")
    _compare(look, ours, theirs)


def _compare(look: Look, ours: View, theirs: View) -> None:
    for name in ("agents", "recovered_agents", "frameworks", "tasks"):
        one, two = getattr(ours, name), getattr(theirs, name)
        if one == two:
            continue
        for key in dict.fromkeys((*one, *two)):
            if one.get(key) != two.get(key):
                raise Broken(
                    f"promise 8: by the events of {look.master.name} {name} {key} is "
                    f"{one.get(key)}, but it is {two.get(key)}"
                )
