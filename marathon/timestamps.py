"""Versions and times: whole milliseconds since 1970 inside, `2021-07-27T10:11:12.345Z` outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(wall_s: float) -> int:
    return round(wall_s * 1000)


def format_ms(ms: int) -> str:
    """The API's form: UTC, always with milliseconds."""
    text = (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def format_s(wall_s: float) -> str:
    return format_ms(to_ms(wall_s))


def parse_ms(text: str) -> int | None:
    """Milliseconds of an ISO 8601 time, with or without a fraction; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round((moment - _EPOCH) / timedelta(milliseconds=1))
