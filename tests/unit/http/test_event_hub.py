"""Open streams: each gets its first frames before any other, and goes when its client does."""

from __future__ import annotations

from mezzo.http.event_hub import EventHub

HEARTBEAT = b": here\n\n"


def test_a_listener_gets_its_first_frames_before_all_that_is_pushed() -> None:
    hub: EventHub[str] = EventHub(HEARTBEAT)
    stream = hub.attach("all", first=[b"1", b"2"])
    assert stream is not None
    for each, wants in hub.streams.items():
        each.push(wants.encode())
    assert stream.take() == (b"12all", False)
    assert stream.heartbeat == HEARTBEAT


def test_who_has_gone_is_forgotten_and_told_of_once() -> None:
    hub: EventHub[None] = EventHub(HEARTBEAT)
    gone: list[str] = []
    stream = hub.attach(None, on_gone=lambda: gone.append("one"))
    stays = hub.attach(None, on_gone=lambda: gone.append("other"))
    assert stream is not None
    stream.ended()
    stream.ended()
    assert (list(hub.streams), gone) == ([stays], ["one"])


def test_there_are_no_more_listeners_than_the_limit() -> None:
    hub: EventHub[None] = EventHub(HEARTBEAT, limit=1)
    stream = hub.attach(None)
    assert stream is not None
    assert hub.attach(None) is None
    stream.ended()
    assert hub.attach(None) is not None


def test_the_end_closes_all_and_nobody_comes_after_it() -> None:
    hub: EventHub[None] = EventHub(HEARTBEAT)
    stream = hub.attach(None)
    assert stream is not None
    hub.close()
    assert stream.take() == (b"", True)
    assert (hub.attach(None), dict(hub.streams)) == (None, {})
