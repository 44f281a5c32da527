"""Names that somebody may have meant by one that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

_NAMES_SHOWN: Final = 5
_GUESSES: Final = 2
_COMPARED_CHARS: Final = 1000  # comparing letters takes its time


def near(wanted: str, known: Iterable[str]) -> str:
    """The end of a sentence: `: did you mean instances?`, else `: known are a, b, ...`.

    Empty if nothing is known. Case is no matter.
    """
    names = list(dict.fromkeys(known))
    low = wanted.lower()
    found = list(islice((name for name in names if low and low in name.lower()), _NAMES_SHOWN))
    if not found:
        by_lower = {name.lower(): name for name in names[:_COMPARED_CHARS]}
        found = [by_lower[name] for name in get_close_matches(low, by_lower, _GUESSES)]
    if found:
        return f": did you mean {' or '.join(found)}?"
    some = ", ".join(names[:_NAMES_SHOWN])
    return f": known are {some}{', ...' if len(names) > _NAMES_SHOWN else ''}" if names else ""
