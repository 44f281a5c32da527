"""Versions and times: whole milliseconds since 1970 inside, `2021-07-27T10:11:12.345Z` outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_TEXT_MAX_CHARS: Final = 64
# A date has four digits of year.
_FIRST_MS: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_LAST_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def to_ms(wall_s: float) -> int:
    return round(wall_s * 1000)


def format_ms(ms: int) -> str:
    """The API's form: UTC, always with milliseconds. Beyond all dates it is the first or last."""
    ms = min(max(ms, _FIRST_MS), _LAST_MS)
    text = (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def format_s(wall_s: float) -> str:
    """Any float: some of these times were told by agents, and a reader must not fail for them."""
    if abs(wall_s) < _LAST_MS:
        return format_ms(to_ms(wall_s))
    return format_ms(_FIRST_MS if wall_s < 0 else _LAST_MS)


def parse_ms(text: str) -> int | None:
    """Milliseconds of an ISO 8601 time, with or without a fraction; None if it is none."""
    if len(text) > _TEXT_MAX_CHARS:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round((moment - _EPOCH) / timedelta(milliseconds=1))
