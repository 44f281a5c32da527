"""What all promises stand on: whom a master forgets it hangs up on.

A stream that it has taken for somebody and serves no more is closed by it, unless its other end has
closed it: else that end waits for ever, and the master has one open stream more each time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mezzo.core import Output
from mezzo.ids import ConnId
from mezzo.master.core import MasterCore
from mezzo.master.events import CloseStream, StreamClosed

from ..masters import VirtualMaster
from ..watch import Broken, Watch


class StreamsAreClosed(Watch):
    def __init__(self) -> None:
        self._served: dict[str, _Served] = {}

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        if not output.effects and type(event) is not StreamClosed:
            return  # what was closed was so before, or will be noticed next
        before = self._served.get(master.name)
        if before is None or before.core is not master.core:
            assert master.core is not None
            self._served[master.name] = _Served(master.core)
        elif before.changed() and (forgotten := before.renew()):
            self._are_closed(master, forgotten, event, output)

    @staticmethod
    def _are_closed(
        master: VirtualMaster,
        forgotten: Collection[ConnId],
        event: Any,  # noqa: ANN401
        output: Output[Any],
    ) -> None:
        closed = {each.conn for each in output.effects if isinstance(each, CloseStream)}
        if isinstance(event, StreamClosed):
            closed.add(event.conn)
        for conn in forgotten:
            if conn not in closed:
                raise Broken(
                    f"durability: {master.name} serves stream {conn} no more, that of "
                    f"{master.peer(conn)}, and leaves it open"
                )


class _Served:
    """The streams of one core's term.

    They are added at the end, and their numbers grow: so what has as many members and the same last
    one was not changed.
    """

    __slots__ = ("_marks", "_tables", "conns", "core")

    def __init__(self, core: MasterCore) -> None:
        self.core = core
        state = core.state
        self._tables = state.agent_of, state.framework_of, state.operators
        self.conns: set[ConnId] = set()
        self.renew()

    def changed(self) -> bool:
        return self._marks != self._now()

    def _now(self) -> tuple[object, ...]:
        a, b, c = self._tables
        last = next(reversed(a), None), next(reversed(b), None), next(reversed(c), None)
        return len(a), len(b), len(c), last

    def renew(self) -> set[ConnId]:
        """Returns those that are served no more."""
        before, self._marks = self.conns, self._now()
        self.conns = set[ConnId]().union(*self._tables)
        return before - self.conns
