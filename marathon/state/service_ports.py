"""Service ports: which are taken, unique in the whole tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import filterfalse
from typing import Self

from mezzo.record import replace

from ..errors import NoPortsLeft
from ..model.app import App, NetworkMode


class HeldPorts:
    """How often each number is held. 0 asks for one, and holds none."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}  # nothing is held zero times
        self._free_from = 0  # all from the least that was asked for up to here are held
        self._tried: list[tuple[int, int]] | None = None

    @classmethod
    def of(cls, held: Iterable[Iterable[int]]) -> Self:
        found = cls()
        for ports in held:
            found.add(ports)
        return found

    def add(self, ports: Iterable[int]) -> None:
        for port in ports:
            self._count(port, 1)

    def drop(self, ports: Iterable[int]) -> None:
        for port in ports:
            self._count(port, -1)

    def _count(self, port: int, more: int) -> None:
        if port == 0:
            return
        if self._tried is not None:
            self._tried.append((port, more))
        left = self.counts.get(port, 0) + more
        if left:
            self.counts[port] = left
        else:
            del self.counts[port]
            self._free_from = min(self._free_from, port)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """What is added and dropped until its end is taken back then."""
        self._tried = tried = list[tuple[int, int]]()
        try:
            yield
        finally:
            self._tried = None
            for port, count in reversed(tried):
                self._count(port, -count)

    def free(self, low: int, high: int) -> Iterator[int]:
        """The ports of [low, high] that nobody holds, ascending. low: always the same."""
        port = max(low, self._free_from)
        while port in self.counts:
            port += 1
        self._free_from = port
        return filterfalse(self.counts.__contains__, range(port, high + 1))


def assign_service_ports(
    app: App, before: App | None, others: HeldPorts, low: int, high: int
) -> App:
    """Replace each service port 0: by the number it had before, else by a free one of [low, high].

    others: the service ports of all other apps. Raises NoPortsLeft.
    """
    wanted = app.service_ports
    if 0 not in wanted:
        return app
    had = before.service_ports if before is not None else ()
    kept = tuple(
        had[index] if port == 0 and index < len(had) and had[index] not in wanted else port
        for index, port in enumerate(wanted)
    )
    free = (port for port in others.free(low, high) if port not in kept)
    chosen = [port or next(free, 0) for port in kept]
    if 0 in chosen:
        raise NoPortsLeft
    return _with_service_ports(app, chosen)


def _with_service_ports(app: App, ports: Sequence[int]) -> App:
    if app.network_mode is NetworkMode.HOST:
        definitions = app.port_definitions or ()
        return replace(
            app,
            port_definitions=tuple(
                replace(definition, port=port)
                for definition, port in zip(definitions, ports, strict=True)
            ),
        )
    if app.container is None:
        return app
    mappings = tuple(
        replace(mapping, service_port=port)
        for mapping, port in zip(app.port_mappings, ports, strict=True)
    )
    return replace(app, container=replace(app.container, port_mappings=mappings))
