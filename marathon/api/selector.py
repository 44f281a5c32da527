"""Label selectors: `a`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x,y)`, joined by commas.

Words are letters, digits and `-_.`; other characters follow a backslash. A test is about the value
of a label, so an app without the label passes none, not even `!=` and `notin`: scripts delete what
they select. Rule: Marathon `LabelSelector`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from .errors import message

Selector = Callable[[Mapping[str, str]], bool]

# Each character begins at most one of the alternatives, so this takes linear time.
_TOKEN: Final = re.compile(r"\s*(==|!=|[(),]|(?:[-A-Za-z0-9_.]|\\.)+)")
_SHOWN_MAX_CHARS: Final = 200


def parse_selector(text: str) -> Selector:
    """A test whether labels are selected. Raises ApiError (422)."""
    tests: list[Selector] = []
    tokens = _tokens(text)
    position = 0
    while True:
        test, position = _test(tokens, position, text)
        tests.append(test)
        if position == len(tokens):
            return lambda labels: all(test(labels) for test in tests)
        if tokens[position] != ",":
            raise _wrong(text)
        position += 1


def _wrong(text: str) -> Exception:
    shown = text if len(text) <= _SHOWN_MAX_CHARS else f"{text[:_SHOWN_MAX_CHARS]}…"
    return message(422, f"Can not parse label selector {shown}: write e.g. tier==web, env in (a,b)")


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _wrong(text)
        tokens.append(found[1])
        position = found.end()
    return tokens


def _word(tokens: list[str], position: int, text: str) -> str:
    if position >= len(tokens) or tokens[position] in ("==", "!=", "(", ")", ","):
        raise _wrong(text)
    return re.sub(r"\\(.)", r"\1", tokens[position])


def _test(tokens: list[str], position: int, text: str) -> tuple[Selector, int]:
    key = _word(tokens, position, text)
    position += 1
    operator = tokens[position] if position < len(tokens) else ","
    match operator:
        case "==" | "!=":
            value = _word(tokens, position + 1, text)
            return _among(key, frozenset({value}), wanted=operator == "=="), position + 2
        case "in" | "notin":
            values, position = _set(tokens, position + 1, text)
            return _among(key, values, wanted=operator == "in"), position
        case _:
            return (lambda labels: key in labels), position


def _among(key: str, values: frozenset[str], *, wanted: bool) -> Selector:
    return lambda labels: key in labels and (labels[key] in values) is wanted


def _set(tokens: list[str], position: int, text: str) -> tuple[frozenset[str], int]:
    """The words between `(` and `)`, of which there may be none."""
    if tokens[position : position + 1] != ["("]:
        raise _wrong(text)
    if tokens[position + 1 : position + 2] == [")"]:
        return frozenset(), position + 2
    values: set[str] = set()
    while True:
        values.add(_word(tokens, position + 1, text))
        position += 2
        end = tokens[position] if position < len(tokens) else ""
        if end == ")":
            return frozenset(values), position + 1
        if end != ",":
            raise _wrong(text)
