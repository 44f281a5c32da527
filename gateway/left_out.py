"""What can't be shown is left out alone: the rest of the cluster is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import orjson
from prometheus_client import Counter

from mezzo.json_types import Json
from mezzo.process.log import get_logger
from mezzo.process.prometheus import REGISTRY

T = TypeVar("T")

_LEFT_OUT: Final = Counter(
    "mezzo_gateway_left_out",
    "Objects that could not be shown, each time",
    ["kind"],
    registry=REGISTRY,
)
_NAMED_MAX: Final = 1000
_named: dict[tuple[str, str], None] = {}  # those that the log has named: once is enough


def shown(
    kind: str, things: Mapping[Any, T], show: Callable[[T], Json], *, careful: bool = False
) -> list[Json]:
    """The documents of things by their ids, of which `show` makes each one.

    A value that `show` trips over (only a fault of ours, or a newer master, brings one here) takes
    no other with it; if `careful`, neither does one that can't be written as JSON.
    """

    def checked(thing: T) -> Json:
        document = show(thing)
        orjson.dumps(document)
        return document

    make = checked if careful else show
    tries = (tried(kind, str(id_), make, thing) for id_, thing in things.items())
    return [document for document in tries if document is not None]


def tried(kind: str, id_: str, show: Callable[[T], Json], thing: T) -> Json | None:
    """The document that `show` makes of the thing; None if that fails, which is noted."""
    try:
        return show(thing)
    except Exception as error:  # noqa: BLE001 - one object's data hurts only that object
        note(kind, id_, error)
        return None


def to_json(make: Callable[[bool], Json]) -> bytes:
    """The JSON of the document that `make(careful)` gives. It is made carefully only if need be."""
    try:
        return orjson.dumps(make(False))
    except TypeError:  # a number beyond 64 bits, half a surrogate pair
        return orjson.dumps(make(True))


def note(kind: str, id_: str, error: Exception) -> None:
    """Count an object that is left out, and have the log name it."""
    _LEFT_OUT.labels(kind).inc()
    if (kind, id_) not in _named:
        if len(_named) >= _NAMED_MAX:
            del _named[next(iter(_named))]
        _named[(kind, id_)] = None
        get_logger("gateway").warning("object.left_out", kind=kind, id=id_, error=repr(error))
