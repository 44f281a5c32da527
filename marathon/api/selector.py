"""Label selectors: `a`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x,y)`, joined by commas."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from .errors import message

Selector = Callable[[Mapping[str, str]], bool]

_TOKEN: Final = re.compile(r"\s*(==|!=|[(),]|(?:[-A-Za-z0-9_]|\\.)+)")


def parse_selector(text: str) -> Selector:
    """What tells whether labels are selected. Raises ApiError (422)."""
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
    return message(422, f"Can not parse label selector {text}: write e.g. tier==web, env in (a,b)")


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
            if operator == "==":
                return (lambda labels: labels.get(key) == value), position + 2
            return (lambda labels: labels.get(key) != value), position + 2
        case "in" | "notin":
            values, position = _set(tokens, position + 1, text)
            if operator == "in":
                return (lambda labels: labels.get(key) in values), position
            return (lambda labels: labels.get(key) not in values), position
        case _:
            return (lambda labels: key in labels), position


def _set(tokens: list[str], position: int, text: str) -> tuple[list[str], int]:
    if position >= len(tokens) or tokens[position] != "(":
        raise _wrong(text)
    values: list[str] = []
    while True:
        values.append(_word(tokens, position + 1, text))
        position += 2
        end = tokens[position] if position < len(tokens) else ""
        if end == ")":
            return values, position + 1
        if end != ",":
            raise _wrong(text)
