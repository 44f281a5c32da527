"""What all promises stand on: a core is in order, all of it.

Looks at all parts of a core are dear: so at its first step, and then every so many steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mezzo.core import Output
from mezzo.master.core import MasterCore
from mezzo.master.events import StreamClosed

from ...daemons.agents import VirtualAgent
from ...daemons.marathons import VirtualMarathon
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.virtual_process import Process
from . import p0_indexes as indexes
from . import p0_portions as portions
from .p0_gone import Gone
from .p0_memory import Stored
from .p0_streams import Served

_MASTER_EVERY: Final = 800  # steps
_AGENT_EVERY: Final = 150
_MARATHON_EVERY: Final = 100
_STORED_EVERY: Final = 3  # of these looks


class _Life:
    """Of one core."""

    __slots__ = ("core", "gone", "moves", "steps", "stored")

    def __init__(self, process: Process) -> None:
        self.core = process.core
        self.steps = 0
        self.gone = Gone(process.name)
        self.stored = Stored(process.name, process.disk.data)
        self.moves = indexes.Moves()

    def is_stored_due(self, every: int) -> bool:
        """Is the stored part due? In the step after a look: not both at once."""
        return self.steps // every % _STORED_EVERY == 1


class _MastersLife(_Life):
    __slots__ = ("agents", "clients", "served", "size")

    def __init__(self, process: Process, core: MasterCore) -> None:
        super().__init__(process)
        books = core.state.allocator._books
        self.clients: Mapping[Any, Any] = books.tree.clients
        self.agents: Mapping[Any, Any] = books.agents
        self.size = 0  # of both
        self.served = Served(core)


class CoresAreInOrder(Watch):
    def __init__(self) -> None:
        self._masters: dict[str, _MastersLife] = {}
        self._lives: dict[str, _Life] = {}

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        core = master.process.core
        life = self._masters.get(master.name)
        if life is None or life.core is not core:
            life = self._masters[master.name] = _MastersLife(master.process, core)
        life.steps += 1
        if output.writes:
            life.stored.wrote(output.writes)
            portions.look(master, event, output)
        closed = type(event) is StreamClosed
        if closed:
            indexes.who_leaves_waits_no_more(core.state)
        if closed or output.effects:
            life.served.look(master, event, output)
        size = len(life.clients) + len(life.agents)
        if size != life.size:
            fewer, life.size = size < life.size, size
            if fewer:  # the next cycle would forget some things that it has looked at
                life.gone.look_at_allocator(core)
        if life.steps % _MASTER_EVERY == 1:
            life.gone.look_at_master(core)
            indexes.look_at_master(core)
        elif life.steps % _MASTER_EVERY == 2 and life.is_stored_due(_MASTER_EVERY):
            life.stored.look_at_master(core)

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        life = self._life(agent.process, output)
        if life.steps % _AGENT_EVERY == 1:
            life.gone.look_at_agent(life.core)
            indexes.look_at_agent(life.core)
        elif life.steps % _AGENT_EVERY == 2 and life.is_stored_due(_AGENT_EVERY):
            life.stored.look_at_agent(life.core)

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,
        output: Output[Any],
    ) -> None:
        life = self._life(marathon.process, output)
        if life.steps % _MARATHON_EVERY == 1:
            life.gone.look_at_marathon(life.core)
            indexes.look_at_marathon(life.core)
            life.moves.look(life.core)
        elif life.steps % _MARATHON_EVERY == 2 and life.is_stored_due(_MARATHON_EVERY):
            life.stored.look_at_marathon(life.core)

    def _life(self, process: Process, output: Output[Any]) -> _Life:
        life = self._lives.get(process.name)
        if life is None or life.core is not process.core:
            life = self._lives[process.name] = _Life(process)
        life.steps += 1
        if output.writes:
            life.stored.wrote(output.writes)
        return life
