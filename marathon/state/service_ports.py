"""Service ports: which are taken, unique in the whole tree."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from itertools import filterfalse
from typing import Self

from mezzo.record import replace

from ..errors import NoPortsLeft
from ..model.app import App, NetworkMode


class HeldPorts:
    """How often each number is held."""

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts = counts if counts is not None else {}  # nothing is held zero times

    @classmethod
    def of(cls, held: Iterable[Iterable[int]]) -> Self:
        found = cls()
        for ports in held:
            found.add(ports)
        return found

    def copy(self) -> HeldPorts:
        return HeldPorts(dict(self.counts))

    def add(self, ports: Iterable[int]) -> None:
        for port in ports:
            self.counts[port] = self.counts.get(port, 0) + 1

    def drop(self, ports: Iterable[int]) -> None:
        for port in ports:
            self.counts[port] -= 1
            if not self.counts[port]:
                del self.counts[port]


def assign_service_ports(
    app: App, before: App | None, taken: Container[int], low: int, high: int
) -> App:
    """Replace each service port 0: by the number it had before, else by a free one of [low, high].

    taken: the service ports of all other apps. Raises NoPortsLeft.
    """
    wanted = app.service_ports
    if 0 not in wanted:
        return app
    had = before.service_ports if before is not None else ()
    used = {*wanted}
    chosen: list[int] = []
    free = filterfalse(taken.__contains__, range(low, high + 1))
    for index, port in enumerate(wanted):
        if port == 0 and index < len(had) and had[index] not in wanted and had[index] != 0:
            port = had[index]
        elif port == 0:
            port = next((n for n in free if n not in used), 0)
            if port == 0:
                raise NoPortsLeft
        used.add(port)
        chosen.append(port)
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
