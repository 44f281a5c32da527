"""Output that can only be waited for, read by those who must not wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from mezzo.agent.sandbox.output_following import Followers

WITHIN_S = 10.0


class Source:
    """Blocks until there is a chunk, as an engine's stream does."""

    def __init__(self) -> None:
        self.chunks: SimpleQueue[bytes | None] = SimpleQueue()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks.get, None)

    def stop(self) -> None:
        self.chunks.put(None)


def eventually(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.005)


def next_chunk(read: Iterator[bytes]) -> bytes:
    ends_s = time.monotonic() + WITHIN_S
    while not (chunk := next(read)):
        assert time.monotonic() < ends_s
        time.sleep(0.005)
    return chunk


def test_nothing_now_is_an_empty_chunk_and_never_a_wait() -> None:
    followers, source = Followers(1), Source()
    read = followers.follow(iter(source), source.stop)
    assert not followers.full, "nobody reads yet"
    assert [next(read) for _ in range(5)] == [b""] * 5
    assert followers.full
    source.chunks.put(b"one")
    assert next_chunk(read) == b"one"
    source.stop()
    assert not any(read)
    eventually(lambda: not followers.full)


def test_a_reader_that_goes_away_frees_its_thread() -> None:
    followers, source = Followers(1), Source()
    read = followers.follow(iter(source), source.stop)
    assert next(read) == b""
    read.close()  # type: ignore[attr-defined]
    eventually(lambda: not followers.full)


def test_a_slow_reader_stops_the_source_and_loses_nothing() -> None:
    followers, source = Followers(1), Source()
    for number in range(100):
        source.chunks.put(b"<%d>" % number)
    source.stop()
    read = followers.follow(iter(source), source.stop)
    assert next_chunk(read) == b"<0>"
    eventually(lambda: source.chunks.qsize() < 100 - 10)
    assert source.chunks.qsize() > 50
    assert b"".join(read) == b"".join(b"<%d>" % number for number in range(1, 100))


def test_threads_end_with_what_they_read() -> None:
    followers = Followers(10)
    before = threading.active_count()
    assert [b"".join(followers.follow(iter([b"x"]), lambda: None)) for _ in range(20)] == [
        b"x"
    ] * 20
    eventually(lambda: threading.active_count() <= before)


def test_a_lack_of_threads_takes_no_place_for_good() -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    followers, source = Followers(1), Source()
    with pytest.MonkeyPatch.context() as system:
        system.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            next(followers.follow(iter(source), source.stop))
    assert not followers.full
