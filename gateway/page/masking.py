"""Secrets in what Marathon tells stay with Marathon.

Marathon's own API gives back an app as it was put, passwords in `env` included: its users read it
there first. The page only shows, and is open to more people, so it never gets these values.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from mezzo.json_types import JsonValue
from mezzo.units import json_depth_problem

MASK: Final = "***"
_SECRET: Final = re.compile(r"passw|secret|token|credential|api.?key|private", re.IGNORECASE)


def masked(document: bytes) -> bytes:
    """The JSON document with every value of an `env`, and every text whose key tells of a secret,
    masked. Raises ValueError if it is no JSON, or too deep."""
    problem = json_depth_problem(document)
    if problem is not None:
        raise ValueError(problem)
    return orjson.dumps(_masked(orjson.loads(document)))


def _masked(value: JsonValue, key: str = "") -> JsonValue:
    if isinstance(value, dict):
        if key == "env":
            return dict.fromkeys(value, MASK)
        return {name: _masked(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, key) for each in value]
    return MASK if isinstance(value, str) and value and _SECRET.search(key) else value
