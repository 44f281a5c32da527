"""Promise 8 for frameworks that are asked to leave: they know which machines will be away.

As long as a machine is, each connected framework that has something on it (tasks that are not over,
executors, offers) has one inverse offer of the agent there, with the planned time; without a plan,
or with nothing there, it has none. It was told of each, and of the end of each that it has not
answered. An answer takes the offer away, and no other comes before the answer's filter ends, the
framework revives or subscribes anew, or the plan changes; then one comes. Operators read the
answers to the plan of now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mezzo.cluster.model import InverseOffer, Unavailability
from mezzo.core import Output
from mezzo.ids import AgentId, ConnId, OfferId
from mezzo.master.core import MasterCore
from mezzo.master.effects import ToFramework
from mezzo.master.events import FrameworkSaid
from mezzo.master.state.agent_entry import AgentEntry
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.master.state.master_state import MasterState
from mezzo.messages import scheduler as sm
from mezzo.messages.operator import MaintenanceSchedule

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..allocator.p7_refusals import lasts_s
from ..terms import Terms

_Answers: Final = (sm.AcceptInverseOffers, sm.DeclineInverseOffers)
_LOOK_EVERY: Final = 4  # of steps that do nothing
_LATE_S: Final = 5.0  # so much later than it is due a timer may fire


class _Answer:
    """To the inverse offer of an agent. until_s, mono: no other comes before."""

    def __init__(self, agent: AgentEntry, status: str, until_s: float) -> None:
        self.agent = agent
        self.status = status
        self.until_s = until_s


class _Term:
    """What one leader has told of a plan, and was told. The streams: of frameworks."""

    def __init__(self, core: MasterCore) -> None:
        self.core = core
        self.schedule = MaintenanceSchedule()
        self.plan: dict[str, Unavailability] = {}  # by the name of a machine
        self.told: dict[ConnId, dict[OfferId, InverseOffer]] = {}
        self.answers: dict[ConnId, dict[AgentId, _Answer]] = {}
        self.said: list[InverseOffer] = []  # that the call of this step answers
        self.steps = 0

    @property
    def busy(self) -> bool:
        return bool(self.told or self.schedule.windows)


class AbsencesAreAnnounced(Watch):
    def __init__(self) -> None:
        self._terms = Terms(_Term)

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        if type(event) is FrameworkSaid and isinstance(event.call, _Answers):
            term = self._terms.of(master)
            if _is_heard(term.core, event):
                told = term.told.get(event.conn, {})
                term.said = [told[id_] for id_ in event.call.inverse_offer_ids if id_ in told]

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        core = master.core
        assert core is not None
        state = core.state
        schedule = state.machines.record.schedule
        known = self._terms.latest(master)
        if not (schedule.windows or state.inverse_offers or (known is not None and known.busy)):
            return
        term = self._terms.of(master)
        if schedule is not term.schedule:
            _plan(term, state, schedule)
        now_s = master.process.now().mono_s
        if type(event) is FrameworkSaid:
            self._called(term, event, output, now_s)
        for effect in output.effects:
            if type(effect) is ToFramework and (wrong := _tell(term, state, effect, now_s)):
                raise Broken(f"promise 8: {master.name} {wrong}")
        term.said = []
        term.steps += 1
        if output.effects or term.steps % _LOOK_EVERY == 0:
            late_s = _LATE_S if master.process.awake_for_s > _LATE_S else float("inf")
            if wrong := _look(term, now_s - late_s):
                raise Broken(f"promise 8: {master.name}: {wrong}")

    def _called(self, term: _Term, event: FrameworkSaid, output: Output[Any], now_s: float) -> None:
        conn, call = event.conn, event.call
        for offer in term.said:
            assert offer.agent_id is not None
            term.told[conn].pop(offer.id, None)
            assert isinstance(call, _Answers)
            agent = term.core.state.agents[offer.agent_id]
            status = "ACCEPT" if isinstance(call, sm.AcceptInverseOffers) else "DECLINE"
            answer = _Answer(agent, status, now_s + lasts_s(call.filters))
            term.answers.setdefault(conn, {})[offer.agent_id] = answer
        if isinstance(call, sm.Revive) and _is_heard(term.core, event):
            told = [each.event for each in output.effects if type(each) is ToFramework]
            if not any(isinstance(each, sm.Answered) for each in told):
                for answer in term.answers.get(conn, {}).values():
                    answer.until_s = 0.0


def _is_heard(core: MasterCore, event: FrameworkSaid) -> bool:
    """Or is it said by a stranger, or in the name of another?"""
    bound = core.state.framework_of.get(event.conn)
    return bound is not None and event.framework_id in (None, bound)


def _plan(term: _Term, state: MasterState, schedule: MaintenanceSchedule) -> None:
    """It changed: for whom it did, what was answered before counts no more."""
    before, term.schedule, term.plan = term.plan, schedule, {}
    for window in schedule.windows:  # an ip finds who has no other name
        for machine in window.machine_ids:
            if machine.ip:
                term.plan.setdefault(machine.ip.lower(), window.unavailability)
    for window in schedule.windows:
        for machine in window.machine_ids:
            name = machine.hostname or machine.ip or ""
            term.plan[name.lower()] = window.unavailability
    for agent in state.agents.values():
        name = agent.info.hostname.lower()
        if before.get(name) != term.plan.get(name):
            for answers in term.answers.values():
                answers.pop(agent.id, None)


def _tell(term: _Term, state: MasterState, effect: ToFramework, now_s: float) -> str:
    conn, event = effect.conn, effect.event
    if isinstance(event, sm.Subscribed):  # it starts anew
        term.told.pop(conn, None)
        term.answers.pop(conn, None)
    elif isinstance(event, sm.RescindInverseOffer):
        if term.told.get(conn, {}).pop(event.inverse_offer_id, None) is None:
            return f"takes back {event.inverse_offer_id}, which is none of {conn}'s"
    elif isinstance(event, sm.InverseOffers):
        known = term.told.setdefault(conn, {})
        framework_id = state.framework_of.get(conn)
        for offer in event.inverse_offers:
            agent = state.agents.get(offer.agent_id or AgentId(""))
            if agent is None or offer.framework_id != framework_id or offer.url != agent.url:
                return f"asks {framework_id} for what is nobody's: {offer}"
            answer = term.answers.get(conn, {}).get(agent.id)
            if answer is not None and answer.agent is agent:
                if now_s < answer.until_s:
                    left_s = answer.until_s - now_s
                    return f"asks {framework_id} again, {left_s:.1f} s too soon: {offer}"
                answer.until_s = 0.0
            if offer.id in known:
                return f"asks {framework_id} twice: {offer}"
            known[offer.id] = offer
    return ""


def _look(term: _Term, late_s: float) -> str:
    """late_s, mono: a filter that ended before that has to show."""
    state = term.core.state
    for conn in [conn for conn in term.told if conn not in state.framework_of]:
        term.told.pop(conn)
    for conn in [conn for conn in term.answers if conn not in state.framework_of]:
        term.answers.pop(conn)
    planned = {
        agent.id: agent
        for agent in state.agents.values()
        if agent.info.hostname.lower() in term.plan
    }
    count = 0
    for conn, framework_id in state.framework_of.items():
        told = term.told.get(conn, {})
        count += len(told)
        if told or planned:
            framework = state.frameworks[framework_id]
            answers = term.answers.get(conn, {})
            wrong = _of_one(term, framework, planned, told.values(), answers, late_s)
            if wrong:
                return f"framework {framework_id}, {framework.info.name}: {wrong}"
            if unknown := [id_ for id_ in told if id_ not in state.inverse_offers]:
                return f"{framework_id} has {unknown}, of which nobody else can read"
    if count != len(state.inverse_offers):
        return f"of {list(state.inverse_offers)} only {count} are known to those who are asked"
    return ""


def _of_one(
    term: _Term,
    framework: FrameworkEntry,
    planned: dict[AgentId, AgentEntry],
    told: Iterable[InverseOffer],
    answers: dict[AgentId, _Answer],
    late_s: float,
) -> str:
    used = _used_by(framework, term.core.state) if planned else {}
    asked: dict[AgentId | None, InverseOffer] = {}
    for offer in told:
        if offer.agent_id in asked:
            return f"it is asked twice to leave {offer.agent_id}"
        asked[offer.agent_id] = offer
        agent = planned.get(offer.agent_id or AgentId(""))
        if agent is None or agent.id not in used:
            return f"it has nothing to leave any more: {offer}"
        if offer.unavailability != term.plan[agent.info.hostname.lower()]:
            return f"what is planned is another time: {offer}"
    for agent_id, agent in planned.items():
        answer = answers.get(agent_id)
        if answer is not None and answer.agent is not agent:
            answer = None
        if answer is not None:
            noted = agent.inverse_answers.get(framework.id)
            if noted is None or noted.status.status != answer.status:
                return f"of {agent_id} it has answered {answer.status}, and noted is {noted}"
        hidden = answer is not None and answer.until_s > late_s and answer.until_s > 0.0
        if agent_id in used and agent_id not in asked and not hidden:
            return f"it has {used[agent_id]} on {agent_id}, which will be away, and is not asked"
    return ""


def _used_by(framework: FrameworkEntry, state: MasterState) -> dict[AgentId, str]:
    """The agents on which a framework has something, and what."""
    used = {
        entry.info.agent_id: "tasks"
        for entry in framework.tasks.values()
        if not entry.state.terminal
    }
    used |= {agent_id: "executors" for agent_id, _ in framework.executors}
    return used | {state.offers[id_].agent_id: "offers" for id_ in framework.offers}
