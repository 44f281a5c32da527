"""Threads that answer: as many as are needed, no more than allowed, and a queue with an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from mezzo.http.workers import Workers

WITHIN_S = 10.0


def eventually(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.005)


def test_threads_are_bounded_and_what_exceeds_them_waits_its_turn() -> None:
    workers = Workers("test", 3, 100)
    go_on, inside, done = threading.Semaphore(0), [], []
    for number in range(10):

        def job(number: int = number) -> None:
            inside.append(number)
            go_on.acquire(timeout=WITHIN_S)
            done.append(number)

        assert workers.submit(job)
    eventually(lambda: len(inside) == 3)
    go_on.release(10)
    eventually(lambda: len(done) == 10)
    assert sorted(inside) == list(range(10))
    workers.stop()


def test_too_many_that_wait_are_refused_but_what_was_begun_goes_on() -> None:
    workers = Workers("test", 1, 2)
    go_on, done = threading.Event(), []

    def job() -> None:
        go_on.wait(WITHIN_S)
        done.append(1)

    assert workers.submit(job)
    eventually(lambda: workers.submit(job) is False)
    assert workers.submit(job, anyway=True)
    assert not workers.submit(job)
    count = 4
    go_on.set()
    eventually(lambda: len(done) >= count - 1)
    assert workers.submit(job), "there is room again"
    workers.stop()


def test_a_lack_of_threads_is_over_once_there_are_some_again() -> None:
    workers, done = Workers("test", 2, 100), []

    def job() -> None:
        done.append(1)

    with pytest.MonkeyPatch.context() as system:
        system.setattr(threading.Thread, "start", no_thread)
        # Oftener than there may be threads: a try that failed takes nobody's place.
        assert [workers.submit(job) for _ in range(5)] == [False] * 5
        assert workers.submit(job, anyway=True), "it waits"
    assert workers.submit(job)
    eventually(lambda: len(done) == 2)
    with pytest.MonkeyPatch.context() as system:
        system.setattr(threading.Thread, "start", no_thread)
        assert all(workers.submit(job) for _ in range(5)), "who is there does it"
        eventually(lambda: len(done) == 7)
    workers.stop()


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_thread_that_is_free_is_used_again() -> None:
    workers = Workers("test", 8, 100)
    threads = set()
    done = threading.Event()
    for _ in range(50):
        done.clear()

        def job() -> None:
            threads.add(threading.current_thread().name)
            done.set()

        workers.submit(job)
        assert done.wait(WITHIN_S)
    assert len(threads) < 8
    workers.stop()


def test_the_second_line_waits_for_the_first_but_not_for_ever() -> None:
    workers = Workers("test", 1, 100)
    begin, done = threading.Event(), []
    workers.submit(lambda: begin.wait(WITHIN_S) and None)
    for number in range(30):
        assert workers.submit(lambda number=number: done.append(f"second {number}"), second=True)
    for number in range(30):
        assert workers.submit(lambda number=number: done.append(f"first {number}"))
    begin.set()
    eventually(lambda: len(done) == 60)
    assert [job for job in done if job.startswith("first")] == [f"first {n}" for n in range(30)]
    assert [job for job in done if job.startswith("second")] == [f"second {n}" for n in range(30)]
    early = [job for job in done[: done.index("first 29")] if job.startswith("second")]
    assert 1 <= len(early) <= 5
    workers.stop()


def test_the_second_line_leaves_places_to_the_first() -> None:
    workers = Workers("test", 1, 10)
    end = threading.Event()
    workers.submit(lambda: end.wait(WITHIN_S) and None)
    taken = [workers.submit(lambda: None, second=True) for _ in range(20)]
    assert taken.count(True) in (4, 5, 6)
    assert workers.submit(lambda: None)
    end.set()
    workers.stop()
