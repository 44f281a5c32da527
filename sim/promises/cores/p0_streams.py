"""What all promises stand on: a master hangs up on a peer that it forgets.

A stream that it has taken for a peer and serves no more is closed by it, unless its other end has
closed it: else that end waits for ever, and the master has one open stream more each time.
"""

from __future__ import annotations

from typing import Any

from mezzo.core import Output
from mezzo.ids import ConnId
from mezzo.master.core import MasterCore
from mezzo.master.effects import CloseStream
from mezzo.master.events import StreamClosed

from ...daemons.masters import VirtualMaster
from ...world.watched import Broken


class Served:
    """The streams of one core.

    They are added at the end, and their numbers grow: so what has as many members and the same last
    one was not changed.
    """

    __slots__ = ("_conns", "_marks", "_tables")

    def __init__(self, core: MasterCore) -> None:
        state = core.state
        self._tables = state.agent_of, state.framework_of, state.operators
        self._marks = self._now()
        self._conns = set[ConnId]().union(*self._tables)

    def _now(self) -> tuple[object, ...]:
        a, b, c = self._tables
        last = next(reversed(a), None), next(reversed(b), None), next(reversed(c), None)
        return len(a), len(b), len(c), last

    def look(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        """After each step that does anything, or is told that one was closed."""
        now = self._now()
        if now == self._marks:
            return
        self._marks = now
        before, self._conns = self._conns, set[ConnId]().union(*self._tables)
        forgotten = before - self._conns
        if not forgotten:
            return
        closed = {each.conn for each in output.effects if isinstance(each, CloseStream)}
        if isinstance(event, StreamClosed):
            closed.add(event.conn)
        for conn in forgotten:
            if conn not in closed:
                raise Broken(
                    f"durability: {master.name} serves stream {conn} no more, that of "
                    f"{master.peer(conn)}, and leaves it open"
                )
