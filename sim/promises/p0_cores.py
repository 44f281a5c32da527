"""What all promises stand on: a core is in order, all of it.

Looks at everything that it consists of are dear: at its first step, and then every so many steps.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.core import Output
from mezzo.master.events import StreamClosed

from ..agents import VirtualAgent
from ..marathons import VirtualMarathon
from ..masters import VirtualMaster
from ..process import Process
from ..watch import Watch
from . import p0_indexes as indexes
from .p0_gone import Gone
from .p0_memory import Stored

_MASTER_EVERY: Final = 500  # steps
_AGENT_EVERY: Final = 100
_MARATHON_EVERY: Final = 80


class _Life:
    """Of one core."""

    __slots__ = ("books", "core", "gone", "moves", "size", "steps", "stored")

    def __init__(self, process: Process) -> None:
        self.core = process.core
        self.steps = 0
        self.books: Any = None  # of a master's allocator
        self.size = 0  # how many are in them
        self.gone = Gone(process.name)
        self.stored = Stored(process.name, process.disk.data)
        self.moves = indexes.Moves()


class CoresAreInOrder(Watch):
    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        life = self._life(master.process, output)
        core = life.core
        books = life.books
        if books is None:
            books = life.books = core.state.allocator._books
        size = len(books.tree.clients) + len(books.agents)
        if size != life.size:
            fewer, life.size = size < life.size, size
            if fewer:  # the next cycle would forget some things that it has looked at
                life.gone.look_at_allocator(core)
        if type(event) is StreamClosed:
            indexes.who_leaves_waits_no_more(core.state)
        at = life.steps % _MASTER_EVERY
        if at == 1:
            life.gone.look_at_master(core)
            indexes.look_at_master(core)
        elif at == 2 and life.steps // _MASTER_EVERY % 2:
            life.stored.look_at_master(core)

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        life = self._life(agent.process, output)
        at = life.steps % _AGENT_EVERY
        if at == 1:
            life.gone.look_at_agent(life.core)
            indexes.look_at_agent(life.core)
        elif at == 2 and life.steps // _AGENT_EVERY % 2:
            life.stored.look_at_agent(life.core)

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,  # noqa: ANN401
        output: Output[Any],
    ) -> None:
        life = self._life(marathon.process, output)
        at = life.steps % _MARATHON_EVERY
        if at == 1:
            life.gone.look_at_marathon(life.core)
            indexes.look_at_marathon(life.core)
            life.moves.look(life.core)
        elif at == 2 and life.steps // _MARATHON_EVERY % 2:
            life.stored.look_at_marathon(life.core)

    def _life(self, process: Process, output: Output[Any]) -> _Life:
        life = self._lives.get(process.name)
        if life is None or life.core is not process.core:
            life = self._lives[process.name] = _Life(process)
        life.steps += 1
        if output.writes:
            life.stored.wrote(output.writes)
        return life
