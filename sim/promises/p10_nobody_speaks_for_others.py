"""Promise 10, as far as messages go: nobody acts who may not.

What a lying framework or agent says changes nothing of others': no task of theirs, no agent, no
framework, and takes no offer of theirs away; and nobody else is told anything because of it that is
not about what the liar itself has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mezzo.core import Output
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.events import AgentSaid, FrameworkSaid, ToAgent, ToFramework
from mezzo.master.state import MasterState
from mezzo.messages.agent import AgentReregistered, DrainAgent, Ping, ShutdownAgent
from mezzo.messages.scheduler import Failure, Offers, Update, UpdateOperationStatus

from ..masters import VirtualMaster
from ..watch import Broken, Watch

# That an agent was drained to be gone may show in what a liar acknowledges.
_OF_NOBODY: Final = (Ping, AgentReregistered, DrainAgent, ShutdownAgent)


class NobodySpeaksForOthers(Watch):
    def __init__(self, liars: Sequence[str]) -> None:
        """liars: names of processes."""
        self._liars = frozenset(liars)
        self._before: dict[str, Any] | None = None

    def master_steps(self, master: VirtualMaster, event: Any) -> None:  # noqa: ANN401
        self._before = None
        if isinstance(event, AgentSaid | FrameworkSaid):
            core = master.core
            if core is not None and master.peer(event.conn) in self._liars:
                self._before = self._picture(core.state)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
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
        for effect in output.effects:
            if not isinstance(effect, ToAgent | ToFramework) or effect.conn == event.conn:
                continue
            to = master.peer(effect.conn)
            if to is None or to in self._liars:
                continue  # nobody hears it, or its own
            if self._is_wrong(core.state, effect):
                raise Broken(
                    f"promise 10: {liar} says {type(said).__name__}, and the master says to {to}: "
                    f"{effect}"
                )

    def _is_wrong(self, state: MasterState, effect: ToAgent | ToFramework) -> bool:
        if isinstance(effect, ToFramework):
            event = effect.event
            if isinstance(event, Update | UpdateOperationStatus):
                return event.status.agent_id not in self._agents(state)
            if isinstance(event, Failure) and event.executor_id is None:
                return event.agent_id not in self._agents(state) and event.agent_id in state.agents
            return not isinstance(event, Offers)
        told = effect.message
        of = getattr(told, "framework_id", None)
        if (framework := getattr(told, "framework", None)) is not None:
            of = framework.id
        if of is None:
            return not isinstance(told, _OF_NOBODY)
        return of not in self._frameworks(state)

    def _agents(self, state: MasterState) -> list[AgentId]:
        """Those that liars are."""
        return [id_ for id_, agent in state.agents.items() if agent.info.hostname in self._liars]

    def _frameworks(self, state: MasterState) -> list[FrameworkId]:
        live = [f.id for f in state.frameworks.values() if f.info.name in self._liars]
        return live + [f.id for f in state.completed.values() if f.info.name in self._liars]

    def _picture(self, state: MasterState) -> dict[str, dict[Any, Any]]:
        """All that is not the liars'."""
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
                agent.id: (agent.standing, agent.info, agent.deactivated) for agent in agents
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
            "gone": dict(state.gone),
        }
