"""How checkers of reads look: all is read in one moment, and compared."""

from __future__ import annotations

from typing import Any

from mezzo.master.operators.calls import ANSWERS
from mezzo.master.state.agent_entry import Standing
from mezzo.master.state.master_state import MasterState
from mezzo.master.state.step import Step

from ...daemons.masters import VirtualMaster
from ...world.watched import Broken
from ..allocator.sums import taken
from .heard import Heard


class Look:
    """One moment of a leader, of which everything is read.

    taken: as of `sums.taken`. back: agents that are there, and known to be so by this leader.
    """

    def __init__(self, master: VirtualMaster, term: Heard) -> None:
        self.master = master
        self.term = term
        self.state: MasterState = term.core.state
        self.now = master.process.now()
        self.frameworks = [*self.state.frameworks.values(), *self.state.completed.values()]
        self.back = [
            agent
            for agent in self.state.agents.values()
            if agent.standing is not Standing.RECOVERED
        ]
        self.taken = taken(self.state)

    def read(self, call: Any) -> Any:
        """As an operator is answered; a read changes nothing."""
        step = Step(self.state, self.now)
        answer = ANSWERS.handle(self.state, step, call)
        if step.writes or step.effects:
            raise Broken(f"promise 8: {call} changes something")
        return answer

    def same(self, what: str, shown: Any, expected: Any) -> None:
        if shown != expected:
            raise Broken(
                f"promise 8: operators of {self.master.name} are told that {what} is {shown}, "
                f"but it is {expected}"
            )

    def bound(self, what: str, count: int, most: int) -> None:
        if count > most:
            raise Broken(f"promise 8: {count} {what} are kept, at most {most} are to be")
