"""One term of leadership, with an election that does as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mezzo.core import Instant, Output, Put
from mezzo.election.base import Confirmed, Doubt, Elected, ElectionEvent, Lost
from mezzo.errors import Fenced, LeadershipLost
from mezzo.process.term import lead
from mezzo.runtime import Runtime
from mezzo.store.memory import MemoryDisk, MemoryStore


class ScriptedElection:
    def __init__(self) -> None:
        self.say: Callable[[ElectionEvent], None] | None = None
        self.stopped = False

    def start(self, listener: Callable[[ElectionEvent], None]) -> None:
        self.say = listener

    def stop(self) -> None:
        self.stopped = True


class Echo:
    """Stores and reports every event."""

    def step(self, event: Any, now: Instant) -> Output[str]:
        return Output([Put(f"seen/{event}", b"")], [event])


class Term:
    """A candidate whose term is under the test's control."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._store = MemoryStore(disk)
        self.election = ScriptedElection()
        self.began: list[tuple[int, Mapping[str, bytes]]] = []
        self.done: asyncio.Queue[str] = asyncio.Queue()
        self._leading = asyncio.Event()
        self.runtime: Runtime[Any] | None = None
        self.task = asyncio.create_task(lead(self.election, self._store, self._begin, name="test"))

    def _begin(self, epoch: int, stored: Mapping[str, bytes]) -> Runtime[Any]:
        self.began.append((epoch, stored))
        self.runtime = Runtime(Echo(), self._store, self.done.put_nowait)
        self._leading.set()
        return self.runtime

    async def say(self, event: ElectionEvent) -> None:
        while self.election.say is None:
            await asyncio.sleep(0)
        self.election.say(event)
        for _ in range(3):
            await asyncio.sleep(0)

    async def elected(self, token: str | None = None) -> Runtime[Any]:
        await self.say(Elected(token))
        async with asyncio.timeout(10):
            await self._leading.wait()
        assert self.runtime is not None
        return self.runtime


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def test_a_candidate_touches_nothing_until_it_is_elected() -> None:
    async def test() -> None:
        disk = MemoryDisk(data={"k/a": b"1"})
        term = Term(disk)
        while term.election.say is None:
            await asyncio.sleep(0)
        assert disk.epoch == 0
        assert term.began == []
        await term.elected()
        ((epoch, stored),) = term.began
        assert epoch == disk.epoch
        assert stored == {"k/a": b"1"}
        term.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await term.task
        assert term.election.stopped, "cancelling resigns"

    run(test)


def test_a_term_fences_the_one_before() -> None:
    async def test() -> None:
        disk = MemoryDisk()
        first, second = Term(disk), Term(disk)
        (await first.elected()).post("one")
        assert await first.done.get() == "one"
        await second.elected()
        ((epoch, stored),) = second.began
        assert epoch > first.began[0][0]
        assert stored == {"seen/one": b""}
        assert first.runtime is not None
        first.runtime.post("late")
        with pytest.raises(Fenced):
            await first.task
        assert first.done.empty()
        assert first.election.stopped
        second.task.cancel()

    run(test)


def test_a_candidate_that_is_gone_cannot_begin_a_term() -> None:
    async def test() -> None:
        disk = MemoryDisk(candidates={"alive"}, epoch=7)
        term = Term(disk)
        await term.say(Elected("dead"))
        with pytest.raises(Fenced):
            await term.task
        assert disk.epoch == 7
        assert term.began == []

    run(test)


def test_an_epoch_is_newer_than_all_before_also_where_the_store_was_lost() -> None:
    """Wiped, or brought back from a copy: agents and frameworks would refuse an older one."""

    async def test() -> None:
        disk = MemoryDisk()
        first = Term(disk)
        (await first.elected()).post("one")
        assert await first.done.get() == "one"
        await asyncio.sleep(0.002)
        disk.data.clear()
        disk.epoch = 0
        second = Term(disk)
        await second.elected()
        assert second.began[0][0] > first.began[0][0]
        for term in (first, second):
            term.task.cancel()

    run(test)


def test_a_store_that_does_not_answer_is_waited_for_by_who_is_elected() -> None:
    async def test() -> None:
        disk = MemoryDisk(reachable=False)
        term = Term(disk)
        await term.say(Elected(None))
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) < 2:
                await asyncio.sleep(0)
        assert not term.task.done()
        disk.reachable = True
        async with asyncio.timeout(10):
            await term._leading.wait()
        term.task.cancel()

    run(test)


def test_who_is_deposed_while_the_store_does_not_answer_ends() -> None:
    async def test() -> None:
        term = Term(MemoryDisk(reachable=False))
        await term.say(Elected(None))
        await term.say(Lost())
        with pytest.raises(LeadershipLost):
            await term.task
        assert term.began == []

    run(test)


def test_a_doubt_that_comes_while_another_is_cleared_holds() -> None:
    async def test() -> None:
        term = Term(MemoryDisk())
        runtime = await term.elected()
        await term.say(Doubt())
        runtime.post("held")
        say = term.election.say
        assert say is not None
        releasing = runtime.release

        def release() -> None:
            say(Doubt())  # from the election's thread, at the worst moment
            releasing()

        runtime.release = release  # type: ignore[method-assign]
        say(Confirmed())
        for _ in range(10):
            await asyncio.sleep(0)
        assert (runtime.held, term.done.empty()) == (True, True)
        runtime.release = releasing  # type: ignore[method-assign]
        say(Confirmed())
        assert await term.done.get() == "held"
        term.task.cancel()

    run(test)


def test_nothing_leaves_while_leadership_is_in_doubt() -> None:
    async def test() -> None:
        term = Term(MemoryDisk())
        runtime = await term.elected()
        await term.say(Doubt())
        runtime.post("held")
        await asyncio.sleep(0)
        assert (runtime.held, term.done.empty()) == (True, True)
        await term.say(Confirmed())
        async with asyncio.timeout(10):
            assert await term.done.get() == "held"
        term.task.cancel()

    run(test)


def test_lost_leadership_ends_the_term() -> None:
    async def test() -> None:
        term = Term(MemoryDisk())
        runtime = await term.elected()
        await term.say(Doubt())
        runtime.post("never")
        await term.say(Lost())
        with pytest.raises(LeadershipLost):
            await term.task
        assert term.done.empty()

    run(test)


def test_a_standby_whose_session_is_over_ends_as_well() -> None:
    async def test() -> None:
        term = Term(MemoryDisk())
        await term.say(Lost())
        with pytest.raises(LeadershipLost, match="session is over"):
            await term.task
        assert term.began == []
        assert term.election.stopped

    run(test)
