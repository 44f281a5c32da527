"""Events as clients have always read them: `events.jsonl` has one of each, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NoReturn, get_args

import orjson
import pytest

from mezzo.marathon.api.event_json import event_of
from mezzo.marathon.api.event_stream import EventStream, StreamEvent
from mezzo.marathon.news import News

from ..news import ONE_OF_EACH

LINES: Final = (Path(__file__).parent / "events.jsonl").read_bytes().splitlines()


def test_there_is_one_of_each() -> None:
    assert {type(news) for news in ONE_OF_EACH} == {*get_args(News)}
    assert len(LINES) == len(ONE_OF_EACH)


@pytest.mark.parametrize(
    ("news", "line"),
    list(zip(ONE_OF_EACH, LINES, strict=True)),
    ids=[type(news).__name__ for news in ONE_OF_EACH],
)
def test_an_event_is_told_as_it_always_was(news: News, line: bytes) -> None:
    kind = orjson.loads(line)["eventType"]
    hub = EventStream(1)
    stream = hub.attach(frozenset({kind}), "1.2.3.4")
    assert stream is not None
    hub.publish(event_of(news), 1_700_000_000.5)
    assert stream.take()[0] == b"event: %s\r\ndata: %s\r\n\r\n" % (kind.encode(), line)


def test_what_nobody_wants_is_not_rendered() -> None:
    hub = EventStream(1)
    assert hub.attach(frozenset({"b_event"}), "1.2.3.4") is not None

    def fields() -> NoReturn:
        raise AssertionError

    hub.publish(StreamEvent("a_event", fields), 0.0)
    with pytest.raises(AssertionError):
        hub.publish(StreamEvent("b_event", fields), 0.0)
