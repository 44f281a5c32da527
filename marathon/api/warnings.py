"""Remarks beside an answer: keys that were dropped, in a `Warning` header.

Marathon takes keys that it does not know without a word, so that a typo is found only by what does
not happen. `Warning: 299` is the code for such remarks (RFC 7234, 5.5), which no client stumbles
over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flask import Response, g, request

from mezzo.process.log import get_logger

from .app_definition import AppDocument
from .json_shape import UNKNOWN_MAX

_SPECIAL: Final = ('"', "\\")
_KEY_MAX_CHARS: Final = 160  # of one path that is shown
_HEADER_MAX_CHARS: Final = 1_000  # intermediaries bound what they take


def hint_unknown(documents: Iterable[AppDocument], *, in_list: bool = False) -> None:
    """Remember the keys of apps' documents that nobody knows, for the answer and the log."""
    found: list[str] = []
    for index, document in enumerate(documents):
        keys = document.unknown_keys
        found += [f"/({index}){key}" for key in keys] if in_list else keys
        if len(found) > UNKNOWN_MAX:
            break
    if found:
        g.unknown = [_printable(key) for key in found[:UNKNOWN_MAX]]
        get_logger("marathon.http").warning(
            "request.unknown_keys", path=request.path, keys=", ".join(g.unknown)
        )


def warned(response: Response) -> Response:
    """The answer with the remarks beside it."""
    unknown: list[str] = g.get("unknown", [])
    if unknown:
        text = "unknown keys were dropped: "
        for number, key in enumerate(unknown):
            if len(text) + len(key) > _HEADER_MAX_CHARS:
                text += f"and {len(unknown) - number} more, "
                break
            text += f"{key}, "
        response.headers["Warning"] = f'299 marathon "{text.removesuffix(", ")}"'
    return response


def _printable(key: str) -> str:
    """The text in ASCII, without characters that would end a quoted string."""
    key = key if len(key) <= _KEY_MAX_CHARS else f"{key[:_KEY_MAX_CHARS]}..."
    return "".join(c if " " <= c <= "~" and c not in _SPECIAL else "?" for c in key)
