"""Small parts of the API: label selectors, event streams, times."""

from __future__ import annotations

import json
import math

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mezzo.http.endless_answer import Stream
from mezzo.http.limits import STREAM_MAX_FRAMES
from mezzo.marathon.api import render
from mezzo.marathon.api.errors import ApiError
from mezzo.marathon.api.event_stream import EventStream, StreamEvent
from mezzo.marathon.api.render import task_stats_json
from mezzo.marathon.api.selector import parse_selector
from mezzo.marathon.model import timestamps
from mezzo.marathon.model.paths import absolute, below

from ..apps import app
from ..world import World

LABELS = {"tier": "web", "env": "prod", "a-b": "x", "com.example.tier": "v1.2", "!!!": "a b"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("tier", True),
        ("nope", False),
        ("tier==web", True),
        ("tier==db", False),
        ("tier!=db", True),
        ("nope!=x", False),  # a label that is not there has no value to compare
        ("tier==web,env!=dev", True),
        ("tier==web, env!=prod", False),
        ("env in (prod, dev)", True),
        ("env notin (prod,dev)", False),
        ("nope notin (x)", False),
        ("com.example.tier", True),
        ("com.example.tier==v1.2", True),
        (r"com\.example\.tier == v1.2", True),
        ("comXexample.tier", False),
        ("tier in ()", False),
        ("tier notin ()", True),
        ("nope notin ()", False),
        ("env in(prod),tier!=db", True),
        (r"\!\!\! in (x, a\ b)", True),
        ("in", False),
        (r"a\-b==x", True),
    ],
)
def test_label_selectors(text: str, selected: bool) -> None:
    """Behaviour 18."""
    assert parse_selector(text)(LABELS) is selected


@pytest.mark.parametrize(
    "text",
    [
        *("a=", "a=b", "", "a in x", "a in (x", "a==", "==b", "a,,b", "a b"),
        *("a in", "a in (", "a in (,)", "a in (x,)", "a in (x))"),
        *("a some (x)", "a\\", "!a", "ä==b"),
    ],
)
def test_a_bad_selector_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as raised:
        parse_selector(text)
    assert raised.value.status == 422
    assert raised.value.body["message"].startswith("Can not parse label selector")


def test_a_selector_takes_linear_time_and_is_shown_in_part() -> None:
    many = ",".join(["tier==web"] * 50_000)
    assert parse_selector(many)(LABELS)
    with pytest.raises(ApiError) as raised:
        parse_selector("-" * 1_000_000 + "=")
    assert len(raised.value.body["message"]) < 400


def attached(hub: EventStream, *types: str) -> Stream:
    """A stream that has read of its own coming."""
    stream = hub.attach(frozenset(types), "1.2.3.4")
    assert stream is not None
    stream.take()
    return stream


def of_kind(kind: str, **fields: object) -> StreamEvent:
    return StreamEvent(kind, lambda: fields)


def received(stream: Stream) -> list[dict[str, object]]:
    data = stream.take()[0].decode().split("\r\n")
    return [json.loads(line.removeprefix("data: ")) for line in data if line.startswith("data: ")]


def test_a_stream_gets_what_it_names() -> None:
    """Behaviour 108."""
    hub = EventStream(10)
    named, every = attached(hub, "b_event", "scheduler_registered_event"), attached(hub)
    for kind in ("a_event", "b_event", "scheduler_registered_event"):
        hub.publish(of_kind(kind, x=1), 1_700_000_000.0)
    assert [event["eventType"] for event in received(named)] == [
        "b_event",
        "scheduler_registered_event",
    ]
    # Some clients end at a type that they don't know.
    assert [event["eventType"] for event in received(every)] == ["a_event", "b_event"]


def test_a_frame_is_one_line_of_json_with_type_and_time() -> None:
    hub = EventStream(10)
    stream = attached(hub)
    hub.publish(of_kind("a_event", x="a\nb"), 1_700_000_000.5)
    assert stream.take()[0] == (
        b"event: a_event\r\n"
        b'data: {"eventType":"a_event","timestamp":"2023-11-14T22:13:20.500Z","x":"a\\nb"}\r\n\r\n'
    )


def test_others_hear_of_a_stream_that_comes_and_goes() -> None:
    """Behaviour 107."""
    hub = EventStream(10)
    first = attached(hub)
    attached(hub).ended()
    kinds = [(event["eventType"], event["remoteAddress"]) for event in received(first)]
    assert kinds == [
        ("event_stream_attached", "1.2.3.4"),
        ("event_stream_detached", "1.2.3.4"),
    ]


def test_a_new_stream_hears_of_its_own_coming_before_anything_else() -> None:
    hub = EventStream(10)
    every = hub.attach(frozenset(), "1.2.3.4")
    named = hub.attach(frozenset({"a_event"}), "1.2.3.5")
    assert every is not None
    assert named is not None
    hub.publish(of_kind("a_event"), 0.0)
    assert [(event["eventType"], event.get("remoteAddress")) for event in received(every)] == [
        ("event_stream_attached", "1.2.3.4"),
        ("event_stream_attached", "1.2.3.5"),
        ("a_event", None),
    ]
    assert [event["eventType"] for event in received(named)] == ["a_event"]


def test_a_reader_that_stops_reading_is_cut_off() -> None:
    """Behaviour 110."""
    hub = EventStream(10)
    stream, other = attached(hub), attached(hub)
    stream.stalled = True
    for number in range(STREAM_MAX_FRAMES + 10):
        hub.publish(of_kind("a_event", n=number), 0.0)
    assert stream.cut
    assert stream.take() == (b"", True)
    assert not other.cut


def test_the_end_of_a_term_closes_all_streams_and_takes_no_more() -> None:
    """Behaviour 111."""
    hub = EventStream(1)
    stream = attached(hub)
    assert hub.attach(frozenset(), "x") is None  # too many
    hub.close()
    assert stream.take() == (b"", True)
    assert hub.attach(frozenset(), "x") is None


def test_times() -> None:
    assert timestamps.format_s(1_700_000_000.1234) == "2023-11-14T22:13:20.123Z"
    assert timestamps.parse_ms("2023-11-14T22:13:20.123Z") == 1_700_000_000_123
    assert timestamps.parse_ms("2023-11-14T22:13:20Z") == 1_700_000_000_000
    assert timestamps.parse_ms("yesterday") is None


@given(st.floats())
@example(math.nan)
@example(-math.inf)
@example(253_402_300_799.9999)  # rounds into the year 10000
def test_any_time_and_any_number_can_be_written(value: float) -> None:
    """Agents tell some of them; a list must not fail for one row."""
    text = timestamps.format_s(value)
    assert len(text) == 24
    assert timestamps.parse_ms(text) is not None
    read = orjson.loads(orjson.dumps(render.number(value)))
    assert read == (value if math.isfinite(value) else None)


@given(st.text() | st.datetimes().map(str) | st.integers().map(str))
@example("9999-12-31T23:59:59-23:59")
@example("0001-01-01T00:00:00+23:59")
@example("2021-01-01T00:00:00" + "0" * 100_000)
def test_any_text_is_a_version_or_none(text: str) -> None:
    moment = timestamps.parse_ms(text)
    assert moment is None or timestamps.format_ms(moment)


@pytest.mark.parametrize(
    ("path", "base", "result"),
    [
        ("b", "/g", "/g/b"),
        ("../b", "/g/h", "/g/b"),
        ("/x//y/", "/g", "/x/y"),
        ("./b", "/g", "/g/b"),
        ("..", "/", "/"),
    ],
)
def test_paths_resolve_against_their_group(path: str, base: str, result: str) -> None:
    """Behaviour 6."""
    assert absolute(path, base) == result


def test_below_means_inside() -> None:
    assert below("/g/a", "/g")
    assert below("/g", "/")
    assert not below("/g", "/g")
    assert not below("/ga", "/g")


def test_statistics_of_tasks_that_have_not_started() -> None:
    world = World.of("a", auto_run=False)
    world.put(app("/a"))
    world.run()
    shown = world.shown_apps["/a"].app
    stats = task_stats_json(shown, list(world.shown_instances.values()), world.wall_s)
    counts = {"staged": 1, "running": 0, "healthy": 0, "unhealthy": 0}
    assert stats["totalSummary"] == {"stats": {"counts": counts}}
    assert "withOutdatedConfig" not in stats
