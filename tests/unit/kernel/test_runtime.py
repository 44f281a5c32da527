"""The shell around a core, on a real event loop with stores that do as the test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mezzo.core import CancelTimer, Delete, Instant, Output, Put, SetTimer, TimerFired, Write
from mezzo.errors import Fenced, StoreUnavailable, ValueTooLarge
from mezzo.process.clocks import MachineClock, ProcessClock
from mezzo.runtime import Runtime
from mezzo.store.memory import MemoryDisk, MemoryStore

Decide = Callable[[Any], Output[Any]]


class Core:
    """Does what `decide` says, and remembers what it was told."""

    def __init__(self, decide: Decide) -> None:
        self.decide = decide
        self.seen: list[Any] = []

    def step(self, event: Any, now: Instant) -> Output[Any]:
        self.seen.append(event)
        return self.decide(event)


class SlowStore(MemoryStore):
    """Commits when it may, and remembers what was committed together."""

    def __init__(self, disk: MemoryDisk) -> None:
        super().__init__(disk)
        self.open_term()
        self.may_commit = threading.Event()
        self.groups: list[list[Write]] = []
        self.asked = threading.Semaphore(0)

    def commit(self, writes: Sequence[Write]) -> None:
        self.asked.release()
        assert self.may_commit.wait(30), "the test has ended without letting it go on"
        super().commit(writes)
        self.groups.append(list(writes))


def echo(event: Any) -> Output[Any]:
    """`("w", x)` is stored and reported, anything else is reported."""
    writes: list[Write] = [Put(f"k/{event[1]}", b"v")] if event[0] == "w" else []
    return Output(writes, [event])


class Run:
    """One runtime within a running loop."""

    def __init__(self, decide: Decide = echo, *, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or MemoryDisk()
        self.store = SlowStore(self.disk)
        self.core = Core(decide)
        self.done: list[Any] = []
        self.expected = 0
        self._enough = asyncio.Event()
        self.runtime: Runtime[Any] = Runtime(self.core, self.store, self._perform)
        self.task = asyncio.create_task(self.runtime.run())

    def _perform(self, effect: Any) -> None:
        self.done.append(effect)
        if len(self.done) >= self.expected:
            self._enough.set()

    async def until(self, effects: int) -> None:
        """Until so many effects were performed, in all."""
        self.expected = effects
        self._enough.clear()
        if len(self.done) < effects:
            async with asyncio.timeout(10):
                await self._enough.wait()

    async def until_commit_is_asked(self) -> None:
        await asyncio.to_thread(self.store.asked.acquire)

    async def turns(self, count: int = 5) -> None:
        """Let the loop do what it has to do."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def stop(self) -> None:
        self.store.may_commit.set()
        self.runtime.stop()
        await self.task


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


# ---- writes and effects


def test_an_effect_waits_until_its_write_is_durable() -> None:
    async def test() -> None:
        r = Run()
        r.runtime.post(("w", 1))
        await r.until_commit_is_asked()
        await r.turns()
        assert r.core.seen == [("w", 1)]
        assert r.done == []
        assert r.disk.data == {}
        r.store.may_commit.set()
        await r.until(1)
        assert r.disk.data == {"k/1": b"v"}
        await r.stop()

    run(test)


def test_effects_without_writes_do_not_overtake_those_with() -> None:
    async def test() -> None:
        r = Run()
        r.runtime.post(("e", 0))
        await r.until(1)  # nothing to wait for
        for event in [("w", 1), ("e", 2), ("w", 3), ("e", 4)]:
            r.runtime.post(event)
        await r.until_commit_is_asked()
        await r.turns()
        assert r.done == [("e", 0)]
        r.store.may_commit.set()
        await r.until(5)
        assert r.done == [("e", 0), ("w", 1), ("e", 2), ("w", 3), ("e", 4)]
        await r.stop()

    run(test)


def test_steps_that_come_during_a_commit_are_committed_together() -> None:
    async def test() -> None:
        r = Run()
        r.runtime.post(("w", 0))
        await r.until_commit_is_asked()
        for number in range(1, 20):
            r.runtime.post(("w", number))
        await r.turns()
        assert len(r.core.seen) == 20, "the core steps on while a commit is in flight"
        r.store.may_commit.set()
        await r.until(20)
        assert [len(group) for group in r.store.groups] == [1, 19]
        await r.stop()

    run(test)


def test_a_group_is_no_larger_than_what_the_store_takes() -> None:
    async def test() -> None:
        r = Run(disk=MemoryDisk(max_commit_bytes=2000))
        r.runtime.post(("w", 0))
        await r.until_commit_is_asked()
        for number in range(1, 50):
            r.runtime.post(("w", number))
        r.store.may_commit.set()
        await r.until(50)
        assert len(r.disk.data) == 50
        assert len(r.store.groups) > 2
        await r.stop()

    run(test)


def test_writes_of_one_key_are_applied_in_the_order_of_the_steps() -> None:
    async def test() -> None:
        def decide(event: bytes) -> Output[Any]:
            return Output([Delete("k/a") if event == b"" else Put("k/a", event)], [event])

        r = Run(decide)
        r.store.may_commit.set()
        for value in [b"1", b"", b"2", b"3"]:
            r.runtime.post(value)
        await r.until(4)
        assert r.disk.data == {"k/a": b"3"}
        await r.stop()

    run(test)


# ---- leadership


def test_hold_counts_from_the_next_effect_on() -> None:
    """Whether another thread calls it or an effect does."""

    async def test() -> None:
        r = Run()
        r.store.may_commit.set()

        def perform(effect: Any) -> None:
            r._perform(effect)
            if effect == ("e", 1):
                r.runtime.hold()

        r.runtime._perform = perform
        for event in [("e", 0), ("e", 1), ("e", 2), ("w", 3)]:
            r.runtime.post(event)
        await r.until(2)
        await r.turns()
        assert r.done == [("e", 0), ("e", 1)]
        assert r.disk.data == {}
        r.runtime.release()
        await r.until(4)
        assert r.done == [("e", 0), ("e", 1), ("e", 2), ("w", 3)]
        await r.stop()

    run(test)


def test_nothing_leaves_while_held_and_all_of_it_leaves_after() -> None:
    async def test() -> None:
        r = Run()
        r.store.may_commit.set()
        r.runtime.hold()
        assert r.runtime.held
        r.runtime.post(("e", 1))
        r.runtime.post(("w", 2))
        await r.turns()
        assert r.core.seen == [("e", 1), ("w", 2)]
        assert r.done == []
        assert r.disk.data == {}
        r.runtime.release()
        await r.until(2)
        assert r.done == [("e", 1), ("w", 2)]
        await r.stop()

    run(test)


def test_a_fenced_commit_ends_the_run_and_its_effects_never_leave() -> None:
    async def test() -> None:
        r = Run()
        MemoryStore(r.disk).open_term()  # another leads
        r.store.may_commit.set()
        r.runtime.post(("w", 1))
        r.runtime.post(("e", 2))
        with pytest.raises(Fenced):
            await r.task
        assert r.done == []
        r.runtime.post(("e", 3))  # and it is too late for anything
        await r.turns()
        assert r.core.seen == [("w", 1), ("e", 2)]

    run(test)


def test_a_store_that_does_not_answer_is_asked_again_and_nothing_leaves_before() -> None:
    async def test() -> None:
        r = Run()
        r.store.may_commit.set()
        r.disk.reachable = False
        r.runtime.post(("w", 1))
        await asyncio.sleep(0.1)
        assert r.done == []
        assert not r.task.done()
        r.disk.reachable = True
        async with asyncio.timeout(10):
            while not r.done:
                await asyncio.sleep(0.01)
        assert len(r.done) == 1
        assert r.disk.data

    run(test)


def test_what_the_store_did_not_answer_is_not_sent_again_while_held() -> None:
    async def test() -> None:
        r = Run()
        r.store.may_commit.set()
        r.disk.reachable = False
        r.runtime.post(("w", 1))
        r.runtime.post(("w", 2))
        await r.until_commit_is_asked()
        r.runtime.hold()
        r.disk.reachable = True
        async with asyncio.timeout(10):
            while r.runtime._unsent is None:
                await asyncio.sleep(0.01)
        assert r.disk.data == {}
        r.runtime.release()
        await r.until(2)
        assert r.done == [("w", 1), ("w", 2)]
        assert sorted(r.disk.data) == ["k/1", "k/2"]
        await r.stop()

    run(test)


def test_a_value_that_the_store_does_not_take_ends_the_run() -> None:
    async def test() -> None:
        r = Run(disk=MemoryDisk(max_value_bytes=0))
        r.store.may_commit.set()
        r.runtime.post(("w", 1))
        with pytest.raises(ValueTooLarge):
            await r.task

    run(test)


def test_a_key_that_no_store_takes_ends_the_run_also_behind_a_commit() -> None:
    async def test() -> None:
        r = Run()
        r.runtime.post(("w", 1))
        await r.until_commit_is_asked()
        r.runtime.post(("w", "\ud800"))
        await r.turns()
        r.store.may_commit.set()
        with pytest.raises(UnicodeEncodeError):
            async with asyncio.timeout(10):
                await r.task

    run(test)


def test_an_exception_in_a_step_ends_the_run() -> None:
    async def test() -> None:
        def decide(event: str) -> Output[Any]:
            raise AssertionError(event)

        r = Run(decide)
        r.runtime.post("boom")
        r.runtime.post("never")
        with pytest.raises(AssertionError, match="boom"):
            await r.task
        assert r.core.seen == ["boom"]

    run(test)


def test_an_exception_in_an_effect_ends_the_run_before_the_next_effect() -> None:
    async def test() -> None:
        performed = []

        def perform(effect: str) -> None:
            performed.append(effect)
            raise OSError(effect)

        core = Core(lambda event: Output([], [event, "never"]))
        runtime: Runtime[Any] = Runtime(core, MemoryStore(), perform)
        runtime.post("boom")
        with pytest.raises(OSError, match="boom"):
            await runtime.run()
        assert performed == ["boom"]

    run(test)


def test_stop_ends_the_run_with_the_error_that_it_is_given() -> None:
    async def test() -> None:
        r = Run()
        r.runtime.stop(KeyError("why"))
        r.runtime.stop()  # the first one counts
        with pytest.raises(KeyError, match="why"):
            await r.task

    run(test)


# ---- timers


def timing(event: Any) -> Output[Any]:
    """Lists of effects are carried out, timers are reported."""
    return Output([], list(event) if isinstance(event, list) else [event])


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def test() -> None:
        r = Run(timing)
        now_s = ProcessClock().now().mono_s
        r.runtime.post([SetTimer("b", now_s + 0.02), SetTimer("a", now_s + 0.01)])
        r.runtime.post([SetTimer("past", now_s - 100)])
        await r.until(3)
        assert r.done == [TimerFired("past"), TimerFired("a"), TimerFired("b")]
        await r.stop()

    run(test)


def test_a_timer_that_is_set_again_fires_once_at_its_last_time() -> None:
    async def test() -> None:
        r = Run(timing)
        now_s = ProcessClock().now().mono_s
        r.runtime.post([SetTimer("x", now_s - 1), SetTimer("x", now_s + 0.02)])
        r.runtime.post([SetTimer("y", now_s + 0.01), SetTimer("end", now_s + 0.03)])
        await r.until(3)
        assert r.done == [TimerFired("y"), TimerFired("x"), TimerFired("end")]
        await r.stop()

    run(test)


def test_a_cancelled_timer_does_not_fire() -> None:
    async def test() -> None:
        r = Run(timing)
        now_s = ProcessClock().now().mono_s
        r.runtime.post([SetTimer("x", now_s), CancelTimer("x"), CancelTimer("unknown")])
        r.runtime.post([SetTimer("end", now_s + 0.01)])
        await r.until(1)
        assert r.done == [TimerFired("end")]
        await r.stop()

    run(test)


def test_a_timer_may_be_set_again_by_the_step_that_it_caused() -> None:
    async def test() -> None:
        fired = 0

        def decide(event: Any) -> Output[Any]:
            nonlocal fired
            fired += isinstance(event, TimerFired)
            again = [SetTimer("tick", 0.0)] if fired < 5 else ["enough"]
            return Output([], again)

        r = Run(decide)
        r.runtime.post("go")
        await r.until(1)
        assert fired == 5
        await r.stop()

    run(test)


def test_thousands_of_replaced_timers_leave_nothing_behind() -> None:
    async def test() -> None:
        r = Run(timing)
        now_s = ProcessClock().now().mono_s
        r.runtime.post([SetTimer("x", now_s + 1000 + each) for each in range(10_000)])
        r.runtime.post([SetTimer("y", now_s)])
        await r.until(1)
        assert len(r.runtime._timers._heap) < 200
        await r.stop()

    run(test)


def test_timers_are_set_only_once_the_writes_before_them_are_durable() -> None:
    async def test() -> None:
        r = Run(lambda e: Output([Put("k/a", b"")], [SetTimer("x", 0.0)]) if e == "go" else echo(e))
        r.runtime.post("go")
        await r.until_commit_is_asked()
        await r.turns()
        assert r.core.seen == ["go"]
        r.core.decide = timing
        r.store.may_commit.set()
        await r.until(1)
        assert r.done == [TimerFired("x")]
        await r.stop()

    run(test)


class TwoClocks:
    """A clock that goes on while the loop's stands still: the test moves it and rings."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.set_for: list[float] = []
        self.ring: Callable[[], None] = lambda: None

    def now(self) -> Instant:
        return Instant(0.0, self.now_s)

    def alarm(self, ring: Callable[[], None]) -> TwoClocks:
        self.ring = ring
        return self

    def set(self, at_s: float) -> None:
        self.set_for.append(at_s)

    def close(self) -> None:
        self.set_for.clear()


def test_timers_go_by_the_clock_of_the_core_and_by_no_other() -> None:
    async def test() -> None:
        clock = TwoClocks()
        core = Core(timing)
        done: list[Any] = []
        runtime: Runtime[Any] = Runtime(core, MemoryStore(), done.append, clock=clock)
        running = asyncio.create_task(runtime.run())
        runtime.post([SetTimer("early", 150.0), SetTimer("late", 900.0)])
        while not clock.set_for:
            await asyncio.sleep(0)
        clock.now_s = 1000.0  # the machine has slept
        clock.ring()
        async with asyncio.timeout(10):
            while len(done) < 2:
                await asyncio.sleep(0)
        assert done == [TimerFired("early"), TimerFired("late")]
        runtime.stop()
        await running

    run(test)


@pytest.mark.parametrize("clock", [ProcessClock(), MachineClock()], ids=["process", "machine"])
def test_an_alarm_rings_at_its_time_at_once_for_the_past_and_once(
    clock: ProcessClock | MachineClock,
) -> None:
    async def test() -> None:
        rung: list[float] = []
        heard = asyncio.Event()

        def ring() -> None:
            rung.append(clock.now().mono_s)
            heard.set()

        alarm = clock.alarm(ring)
        for at_s in (-5.0, 0.0, clock.now().mono_s + 0.05):
            heard.clear()
            alarm.set(1e18)
            alarm.set(at_s)  # it replaces what was set
            async with asyncio.timeout(10):
                await heard.wait()
            assert rung[-1] >= at_s - 0.01
        alarm.set(clock.now().mono_s + 0.01)
        alarm.close()
        alarm.close()
        await asyncio.sleep(0.03)
        assert len(rung) == 3

    run(test)


# ---- the inbox


def test_any_thread_may_post_and_the_order_of_each_is_kept() -> None:
    async def test() -> None:
        r = Run()

        def post(name: int) -> None:
            for number in range(500):
                r.runtime.post((name, number))

        threads = [threading.Thread(target=post, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        await r.until(2000)
        for name in range(4):
            assert [number for who, number in r.done if who == name] == list(range(500))
        await r.stop()

    run(test)


def test_a_flood_of_events_leaves_turns_to_the_loop() -> None:
    async def test() -> None:
        r = Run()
        for number in range(5000):
            r.runtime.post(("e", number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert 0 < len(r.core.seen) < 5000
        await r.until(5000)
        await r.stop()

    run(test)


def test_cancelling_ends_the_run_at_once_and_the_commit_in_flight_is_left_to_its_store() -> None:
    async def test() -> None:
        r = Run()
        r.runtime.post(("w", 1))
        await r.until_commit_is_asked()
        r.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await r.task
        assert r.disk.data == {}
        r.store.may_commit.set()
        async with asyncio.timeout(10):
            while not r.store.groups:
                await asyncio.sleep(0.01)
        assert r.disk.data == {"k/1": b"v"}
        assert r.done == []

    run(test)


def test_too_much_that_waits_for_a_store_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh start as a standby takes no streams: the peers wait outside, not in memory."""
    monkeypatch.setattr("mezzo.runtime._WAITING_MAX", 100)

    async def test() -> None:
        r = Run()
        r.store.may_commit.set()
        r.disk.reachable = False
        r.runtime.post(("w", 1))
        for number in range(200):
            r.runtime.post(("e", number))
        with pytest.raises(StoreUnavailable, match="effects wait"):
            await r.task
        assert r.done == []
        assert r.disk.data == {}

    run(test)
