"""A stream's frames: in order, bounded, and told of once."""

from __future__ import annotations

from mezzo.http import limits
from mezzo.http.endless_answer import Stream


def test_frames_are_taken_in_order_and_in_pieces() -> None:
    stream = Stream(b"", 1.0)
    for number in range(5):
        stream.push(b"%d" % number * (limits.PIECE_BYTES // 2))
    taken = []
    while (frames := stream.take()[0]) != b"":
        assert len(frames) <= limits.PIECE_BYTES
        taken.append(frames)
    assert b"".join(taken) == b"".join(b"%d" % n * (limits.PIECE_BYTES // 2) for n in range(5))


def test_what_was_pushed_before_the_end_is_still_taken() -> None:
    stream = Stream(b"", 1.0)
    stream.push(b"a")
    stream.close()
    stream.push(b"late")
    assert stream.take() == (b"a", True)


def test_who_serves_it_is_woken_when_there_is_something_new_and_not_for_each_frame() -> None:
    woken: list[int] = []
    stream = Stream(b"", 1.0)
    stream.push(b"before")
    stream.attach(lambda: woken.append(1))
    assert len(woken) == 1
    for _ in range(10):
        stream.push(b"x")
    assert len(woken) == 1, "it is awake"
    stream.take()
    stream.push(b"x")
    stream.close()
    assert len(woken) == 3


def test_a_client_that_does_not_read_is_cut_and_a_burst_is_not() -> None:
    slow, quick = Stream(b"", 1.0), Stream(b"", 1.0)
    slow.stalled = True
    for _ in range(limits.STREAM_MAX_FRAMES):
        slow.push(b"x")
    assert not slow.cut
    slow.push(b"x")
    assert slow.cut
    assert slow.take() == (b"", True)
    for _ in range(limits.BURST_MAX_FRAMES):
        quick.push(b"x")
    assert not quick.cut
    quick.push(b"x")
    assert quick.cut


def test_bytes_are_bounded_but_one_frame_may_be_of_any_size() -> None:
    stream = Stream(b"", 1.0)
    stream.push(b"x" * (limits.STREAM_MAX_BYTES + 1))
    assert not stream.cut
    stream.push(b"x")
    assert stream.cut


def test_the_end_is_told_once() -> None:
    told: list[int] = []
    stream = Stream(b"", 1.0, lambda: told.append(1))
    stream.push(b"x")
    stream.ended()
    stream.ended()
    assert told == [1]
    assert stream.take() == (b"", True)
