"""Where a core still holds an id that is gone: in any of its tables, whatever that is for.

A walk over all parts of a core. It looks at the keys, members and values of tables, which is where
memory grows, but not inside of values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Hashable, Mapping
from enum import Enum
from typing import Any, Final

from mezzo.record import Record

# Of these a core is made. The rest of mezzo's are values, or are not the core's.
_PACKAGES: Final = ("mezzo.master.", "mezzo.agent.", "mezzo.marathon.")

_Path = tuple[Any, object] | None  # the way to where it is within, and its name there


# What there is of each value to look at.
_NOTHING: Final = 0
_ID: Final = 1
_TABLE: Final = 2
_ROW: Final = 3
_THING: Final = 4


class _Sorts(dict[type, int]):
    """Of each type, found out once."""

    def __missing__(self, kind: type) -> int:
        self[kind] = sort = _sort(kind)
        return sort


_SORTS: Final = _Sorts()


def _sort(kind: type) -> int:
    if issubclass(kind, (Record, Enum)):
        return _NOTHING
    if issubclass(kind, (str, bytes)):
        return _ID
    if issubclass(kind, dict):
        return _TABLE
    if kind in (tuple, list, set, frozenset, deque):
        return _ROW
    own = kind.__module__.startswith(_PACKAGES) and not issubclass(kind, tuple)
    return _THING if own else _NOTHING


def _slots(kind: type) -> tuple[str, ...]:
    found: list[str] = []
    for each in kind.__mro__:
        slots = each.__dict__.get("__slots__", ())
        found += (slots,) if isinstance(slots, str) else slots
    return tuple(found)


def trace(
    core: object,
    gone: Mapping[Hashable, str],
    here: Mapping[type, Container[Any]],
    remembers: Mapping[tuple[type, str], object],
) -> str:
    """The way to an id that is gone; "" if there is none.

    gone: ids, and what they were. here: of things that are known by themselves all that are there.
    remembers: attributes that may know who is gone, by their class.
    """
    # To know the way to everything is dear: so it is looked for once there is one.
    if not _walk(core, gone, here, remembers, None):
        return ""
    return _walk(core, gone, here, remembers, [None])


def _walk(
    core: object,
    gone: Mapping[Hashable, str],
    here: Mapping[type, Container[Any]],
    remembers: Mapping[tuple[type, str], object],
    ways: list[_Path] | None,
) -> str:
    """ways: of those that wait, if they are wanted."""
    waiting: list[Any] = [core]
    met: set[int] = set()
    slots: dict[type, tuple[str, ...]] = {}
    while waiting:
        each = waiting.pop()
        way = ways.pop() if ways is not None else None
        kind = type(each)
        sort = _SORTS[kind]
        if sort == _THING:
            if id(each) in met:
                continue
            met.add(id(each))
            if kind in here and each not in here[kind]:
                return f"{kind.__name__} {getattr(each, 'key', None) or each.id} by {_shown(way)}"
            if kind not in slots:
                slots[kind] = tuple(n for n in _slots(kind) if (kind, n) not in remembers)
            for name in (*slots[kind], *getattr(each, "__dict__", ())):
                value = getattr(each, name, None)
                # An attribute may name anybody; what it holds may not.
                if _SORTS[type(value)] > _ID and (kind, name) not in remembers:
                    waiting.append(value)
                    if ways is not None:
                        ways.append((way, name))
        elif sort == _TABLE:
            for key, value in each.items():
                of_key, of_value = _SORTS[type(key)], _SORTS[type(value)]
                if of_key and of_key != _THING and key in gone:
                    return f"{gone[key]} {key} by {_shown(way)}"
                if of_key > _ID:
                    waiting.append(key)
                    if ways is not None:
                        ways.append((way, "keys"))
                if of_value == _ID and value in gone:
                    return f"{gone[value]} {value} by {_shown((way, key))}"
                if of_value > _ID:
                    waiting.append(value)
                    if ways is not None:
                        ways.append((way, key))
        elif sort == _ROW:
            for member in each:
                of_member = _SORTS[type(member)]
                if of_member == _ID and member in gone:
                    return f"{gone[member]} {member} by {_shown(way)}"
                if of_member > _ID:
                    waiting.append(member)
                    if ways is not None:
                        ways.append(way)
    return ""


def _shown(way: _Path) -> str:
    names = []
    while way is not None:
        way, name = way
        names.append(str(name))
    return ".".join(reversed(names)) or "itself"
