"""The 112 behaviours of Mesos that its users rely on: each has a named test, or a part that brings
it.

A test that shows one says so in its docstring: `Behaviour 78.`
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
ALL: Final = range(1, 113)
_SAID: Final = re.compile(r"Behaviours? ((?:\d+(?:, | and )?)+)")

# Only HTTP can show these: status codes, content types, redirects.
WITH_HTTP: Final = frozenset({1, 2, 3, 4, 5, 9, 10, 63})
# Only an agent that runs custom executors can show these.
WITH_EXECUTORS: Final = frozenset({31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 46, 109})


def shown() -> dict[int, list[str]]:
    """The tests that say which behaviour they show, by its number."""
    found: dict[int, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if path == Path(__file__) or "marathon" in str(path.relative_to(TESTS)):
            continue  # Marathon's have a list of their own
        for said in _SAID.finditer(path.read_text()):
            for number in re.findall(r"\d+", said[1]):
                found.setdefault(int(number), []).append(path.name)
    return found


def test_every_behaviour_is_shown_by_a_test_or_comes_with_a_later_part() -> None:
    known = shown()
    missing = [n for n in ALL if n not in known and n not in WITH_HTTP | WITH_EXECUTORS]
    assert missing == []


def test_no_test_names_a_behaviour_that_does_not_exist() -> None:
    assert [number for number in shown() if number not in ALL] == []
