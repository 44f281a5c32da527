"""Ports: service ports, unique in the whole tree, and host ports out of an offer."""

from __future__ import annotations

import random
from collections.abc import Sequence

from mezzo.cluster.amounts import Ranges
from mezzo.cluster.resources import Kind

from ..model.app import App, NetworkMode


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
