"""Ports: service ports, unique in the whole tree, and host ports out of an offer."""

from __future__ import annotations

import random
from collections.abc import Container, Iterable, Sequence
from itertools import filterfalse
from typing import Self

from mezzo.amounts import Ranges
from mezzo.record import replace
from mezzo.resources import Kind

from .app import App, NetworkMode


class NoPortsLeft(Exception):
    """The range of service ports is used up."""


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


def wanted_host_ports(app: App) -> tuple[int | None, ...]:
    """By port index: a number that it must be, 0 for any, None for no host port."""
    if app.network_mode is NetworkMode.HOST:
        definitions = app.port_definitions or ()
        return tuple(definition.port if app.require_ports else 0 for definition in definitions)
    return tuple(mapping.host_port for mapping in app.port_mappings)


def pick_host_ports(
    wanted: Sequence[int | None], offered: Sequence[tuple[Kind, Ranges]], rng: random.Random
) -> tuple[tuple[int | None, ...], dict[Kind, Ranges]] | None:
    """Choose host ports out of `offered`, which is in the order of preference.

    Returns the ports by index and what they take, or None if the offer lacks some. A number that is
    wanted twice (for tcp and for udp) is taken once. Random ones start anywhere and go on one by
    one, so that a port that was just let go of is not met at once.
    """
    needed = [port for port in wanted if port is not None]
    if not needed:
        return tuple(wanted), {}
    taken: dict[int, Kind] = {}
    for port in filter(None, needed):
        kind = next((k for k, r in offered if r.covers(Ranges(((port, port),)))), None)
        if kind is None:
            return None
        taken[port] = kind
    any_count = needed.count(0)
    free = _Consecutive(offered, rng)
    chosen: list[int] = []
    while len(chosen) < any_count:
        found = free.next_not_in(taken)
        if found is None:
            return None
        port, kind = found
        taken[port] = kind
        chosen.append(port)
    picks = iter(chosen)
    ports = tuple(next(picks) if port == 0 else port for port in wanted)
    used: dict[Kind, Ranges] = {}
    for kind, _ in offered:
        own = [(port, port) for port, of in taken.items() if of == kind]
        if own:
            used[kind] = Ranges.of(own)
    return ports, used


class _Consecutive:
    """All offered ports once, from a random one on and around."""

    def __init__(self, offered: Sequence[tuple[Kind, Ranges]], rng: random.Random) -> None:
        self._spans = [(b, e, kind) for kind, ranges in offered for b, e in ranges.pairs]
        self._total = sum(end - begin + 1 for begin, end, _ in self._spans)
        self._at = rng.randrange(self._total) if self._total else 0
        self._left = self._total

    def next_not_in(self, taken: dict[int, Kind]) -> tuple[int, Kind] | None:
        while self._left:
            self._left -= 1
            port, kind = self._number(self._at)
            self._at = (self._at + 1) % self._total
            if port not in taken:
                return port, kind
        return None

    def _number(self, offset: int) -> tuple[int, Kind]:
        for begin, end, kind in self._spans:
            if offset <= end - begin:
                return begin + offset, kind
            offset -= end - begin + 1
        raise AssertionError("offset beyond the offered ports")
