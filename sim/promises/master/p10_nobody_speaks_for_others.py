"""Promise 10, as far as messages go: nobody acts who may not.

The words of a lying framework or agent change nothing of others': no task of theirs, no agent, no
framework, and take no offer of theirs away; and they make the master tell others only of things
that the liar itself has. Nor is the liar told of others' things, and however much it lies, few
lines of the log are about that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mezzo.cluster.states import Reason
from mezzo.core import Output
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.effects import NoteDenied, ToAgent, ToFramework
from mezzo.master.events import AgentSaid, FrameworkSaid
from mezzo.master.state.master_state import MasterState
from mezzo.messages.agent import (
    AgentReregistered,
    DrainAgent,
    Ping,
    ShutdownAgent,
    UpdateAcknowledged,
)
from mezzo.messages.scheduler import (
    Acknowledge,
    Failure,
    Offers,
    Update,
    UpdateOperationStatus,
)

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World

# That an agent was drained to be gone may show in what a liar acknowledges.
_OF_NOBODY: Final = (Ping, AgentReregistered, DrainAgent, ShutdownAgent)

# Of lies in a log: so many at once, and in the long run so many a second; clocks go at other rates.
_LINES_AT_ONCE: Final = 20
_LINES_PER_S: Final = 1.01


class NobodySpeaksForOthers(Watch):
    def __init__(self, world: World, liars: Sequence[str]) -> None:
        """liars: names of processes."""
        self._world = world
        self._liars = frozenset(liars)
        self._before: dict[str, Any] | None = None
        self._were: list[AgentId] = []  # that liars were, before the step
        self._place: str | None = None  # the host of the task that is acknowledged
        self._leader: MasterState | None = None
        self._lines_left = 0.0  # of its log, as of `_told_s`
        self._told_s = 0.0

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        self._before = None
        if isinstance(event, AgentSaid | FrameworkSaid):
            core = master.core
            if core is not None and master.peer(event.conn) in self._liars:
                self._before = self._picture(core.state)
                self._were = self._agents(core.state)
                self._place = _place_of(core.state, event)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        before, self._before = self._before, None
        if before is None:
            return
        core = master.core
        assert core is not None
        liar = master.peer(event.conn)
        said = event.call if isinstance(event, FrameworkSaid) else event.message
        after = self._picture(core.state)
        for what, known in before.items():
            for key, value in known.items():
                if after[what].get(key) != value:
                    raise Broken(
                        f"promise 10: {liar} says {type(said).__name__}, and of others' {what} "
                        f"{key} is {after[what].get(key)} instead of {value}: {said}"
                    )
        self._look_at_books(core.state, event)
        for effect in output.effects:
            if isinstance(effect, NoteDenied):
                self._note_denial(core.state)
            if isinstance(effect, ToFramework) and effect.conn == event.conn:
                self._look_at_answer(core.state, liar, effect.event)
            if not isinstance(effect, ToAgent | ToFramework) or effect.conn == event.conn:
                continue
            to = master.peer(effect.conn)
            if to is None or to in self._liars:  # None: the stream was over already
                continue
            if self._is_wrong(core.state, to, effect):
                raise Broken(
                    f"promise 10: {liar} says {type(said).__name__}, and the master says to {to}: "
                    f"{effect}"
                )

    def _note_denial(self, state: MasterState) -> None:
        now_s = self._world.now_s
        if state is not self._leader:
            self._leader, self._lines_left, self._told_s = state, _LINES_AT_ONCE, now_s
        more = (now_s - self._told_s) * _LINES_PER_S
        self._lines_left = min(_LINES_AT_ONCE, self._lines_left + more) - 1
        self._told_s = now_s
        if self._lines_left < -1:  # the last one may be more than there was left
            raise Broken(f"promise 10: lies fill the log, {-self._lines_left:.1f} lines too fast")

    def _look_at_books(self, state: MasterState, event: Any) -> None:
        """Streams and their owners know each other, and nobody who was removed comes back."""
        framework_id = state.framework_of.get(event.conn)
        if framework_id is not None and state.frameworks[framework_id].conn != event.conn:
            raise Broken(f"promise 10: framework {framework_id} does not know its stream")
        for framework in state.frameworks.values():
            if framework.conn == event.conn and framework.id != framework_id:
                raise Broken(f"promise 10: {framework_id} and {framework.id} are of one stream")
            if framework.id in state.completed:
                raise Broken(f"promise 10: {framework.id} was removed, and is there again")

    def _look_at_answer(self, state: MasterState, liar: str | None, told: Any) -> None:
        if not isinstance(told, Update) or told.status.reason is not Reason.RECONCILIATION:
            return
        task_id, agent_id = told.status.task_id, told.status.agent_id
        mine = [f for f in state.frameworks.values() if f.info.name == liar]
        if any(task_id in framework.tasks for framework in mine):
            return  # it has launched one of that id itself
        for framework in state.frameworks.values():
            entry = framework.tasks.get(task_id)
            if entry is None or framework.info.name in self._liars or entry.state.terminal:
                continue
            if told.status.state is entry.state and agent_id == entry.info.agent_id:
                raise Broken(f"promise 10: {liar} is told of {framework.info.name}'s {task_id}")

    def _is_wrong(self, state: MasterState, to: str, effect: ToAgent | ToFramework) -> bool:
        if isinstance(effect, ToFramework):
            event = effect.event
            if isinstance(event, Update | UpdateOperationStatus):
                # One that leaves takes along what it claimed of tasks that nobody knew.
                return event.status.agent_id not in (*self._agents(state), *self._were)
            if isinstance(event, Failure) and event.executor_id is None:
                return event.agent_id not in self._agents(state) and event.agent_id in state.agents
            return not isinstance(event, Offers)
        told = effect.message
        if isinstance(told, UpdateAcknowledged) and self._place is not None:
            return to != self._place
        of = getattr(told, "framework_id", None)
        if (framework := getattr(told, "framework", None)) is not None:
            of = framework.id
        if of is None:
            return not isinstance(told, _OF_NOBODY)
        return of not in self._frameworks(state)

    def _agents(self, state: MasterState) -> list[AgentId]:
        """The agents that are liars."""
        return [id_ for id_, agent in state.agents.items() if agent.info.hostname in self._liars]

    def _frameworks(self, state: MasterState) -> list[FrameworkId]:
        live = [f.id for f in state.frameworks.values() if f.info.name in self._liars]
        return live + [f.id for f in state.completed.values() if f.info.name in self._liars]

    def _picture(self, state: MasterState) -> dict[str, dict[Any, Any]]:
        """All state that is not the liars'."""
        # One that drains may be waiting for a liar's last word.
        agents = [
            a
            for a in state.agents.values()
            if a.info.hostname not in self._liars and a.drain is None
        ]
        frameworks = [f for f in state.frameworks.values() if f.info.name not in self._liars]
        honest = {framework.id: None for framework in frameworks}
        return {
            "tasks": {
                (agent.id, *key): entry.state
                for agent in agents
                for key, entry in agent.tasks.items()
                if key[0] in honest
            },
            "agents": {
                agent.id: (agent.standing, agent.info, agent.record.deactivated) for agent in agents
            },
            "frameworks": {
                framework.id: (framework.conn, framework.info) for framework in frameworks
            },
            "offers": {
                offer.id: offer.framework_id
                for offer in state.offers.values()
                if offer.framework_id in honest and offer.hostname not in self._liars
            },
            "unreachable": {
                id_: lost
                for id_, lost in state.unreachable.items()
                if lost.record.info.hostname not in self._liars
            },
            "gone": dict(state.gone_since_s),
        }


def _place_of(state: MasterState, event: AgentSaid | FrameworkSaid) -> str | None:
    """The host of the task of which a framework acknowledges something, if it is known."""
    if not isinstance(event, FrameworkSaid) or not isinstance(event.call, Acknowledge):
        return None
    framework = state.frameworks.get(state.framework_of.get(event.conn, FrameworkId("")))
    entry = None if framework is None else framework.tasks.get(event.call.task_id)
    return None if entry is None else state.agents[entry.info.agent_id].info.hostname
