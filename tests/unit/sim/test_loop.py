"""The virtual process: the real runtime, killed at any point, with clocks of its own."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from mezzo.core import Instant, Output, Put, SetTimer, TimerFired
from mezzo.sim.world.disk import Disk
from mezzo.sim.world.virtual_process import Process
from mezzo.sim.world.world import World


class Echo:
    """Writes each event, then says it twice. `at`: when the events came, by its own clocks."""

    def __init__(self) -> None:
        self.at: list[tuple[Any, Instant]] = []

    def step(self, event: Any, now: Instant) -> Output[Any]:
        self.at.append((event, now))
        match event:
            case ("timer", seconds):
                return Output([], [SetTimer("t", now.mono_s + seconds)])
            case TimerFired():
                return Output([], ["fired"])
        return Output([Put(f"said/{event}", b"")], [f"{event} 1", f"{event} 2"])


class Harness:
    def __init__(self, seed: int = 1, *, counts_sleep: bool = False) -> None:
        self.world = World(seed)
        self.disk = Disk()
        self.said: list[str] = []
        self.ended: list[str] = []
        self.process = Process(
            self.world,
            "p",
            self.disk,
            build=self._build,
            perform=self.said.append,
            on_start=lambda: None,
            on_end=self.ended.append,
            observe=lambda event, output: None,
            counts_sleep=counts_sleep,
        )

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> Echo:
        return Echo()

    def start(self) -> None:
        self.process.start("first")
        self.world.run(self.world.now_s + 1)


def test_effects_leave_after_their_writes_are_on_the_disk() -> None:
    harness = Harness()
    harness.disk.faults.min_s = harness.disk.faults.max_s = 0.2
    harness.process.start("first")
    harness.world.run(0.55)  # open the term, load; the commit is on its way
    assert harness.process.up
    assert harness.said == []
    assert harness.disk.data == {}
    harness.world.run(1.0)
    assert list(harness.disk.data) == ["said/first"]
    assert harness.said == ["first 1", "first 2"]


@pytest.mark.parametrize(
    ("point", "stored", "said"),
    [
        (1, ["said/first"], ["first 1", "first 2"]),  # before the commit of b
        (2, ["said/b", "said/first"], ["first 1", "first 2"]),  # after it, before its effects
        (3, ["said/b", "said/first"], ["first 1", "first 2", "b 1"]),  # between two effects
    ],
)
def test_a_process_is_killed_between_any_two_writes_and_effects(
    point: int, stored: list[str], said: list[str]
) -> None:
    harness = Harness()
    harness.start()
    harness.process.crash_within(point)
    harness.process.post("b")
    harness.world.run(5)
    assert sorted(harness.disk.data) == stored
    assert harness.said == said
    assert harness.ended == ["killed in the middle of something"]


def test_nothing_of_an_earlier_life_happens_in_the_next() -> None:
    harness = Harness()
    harness.start()
    harness.process.post(("timer", 2.0))
    harness.world.run(2)
    epoch = harness.process.epoch
    harness.process.crash("killed")
    harness.start()
    harness.world.run(10)
    assert "fired" not in harness.said
    assert harness.process.epoch > epoch


def test_a_process_that_sleeps_wakes_with_its_time_gone_by() -> None:
    harness = Harness()
    harness.start()
    before = harness.process.now()
    harness.process.stop_for(8.0)
    harness.process.post("b")
    harness.world.run(5)
    assert harness.said == ["first 1", "first 2"]
    harness.world.run(20)
    assert harness.said == ["first 1", "first 2", "b 1", "b 2"]
    event, now = harness.process.core.at[-1]
    assert event == "b"
    assert now.mono_s - before.mono_s == pytest.approx(8.0)


@pytest.mark.parametrize(("counts_sleep", "fires_s"), [(False, 20.0), (True, 12.0)])
def test_a_machine_that_sleeps_stops_one_of_its_clocks(counts_sleep: bool, fires_s: float) -> None:
    """And a timer is late only if it goes by that one."""
    harness = Harness(counts_sleep=counts_sleep)
    harness.start()
    began_s = harness.world.now_s
    before = harness.process.now()
    harness.process.post(("timer", 10.0))
    harness.world.run(began_s + 2.0)
    harness.process.sleep_for(10.0)
    harness.world.run(began_s + fires_s - 0.1)
    assert "fired" not in harness.said
    harness.world.run(began_s + fires_s + 0.1)
    assert "fired" in harness.said
    event, now = harness.process.core.at[-1]
    assert event == TimerFired("t")
    assert now.mono_s - before.mono_s == pytest.approx(fires_s if counts_sleep else 10.0)
    assert now.wall_s - before.wall_s == pytest.approx(fires_s)


def test_clocks_drift_and_timers_with_them() -> None:
    harness = Harness()
    harness.process.mono_rate = 1.25
    harness.start()
    began_s = harness.world.now_s
    harness.process.post(("timer", 10.0))
    harness.world.run(began_s + 7.9)
    assert "fired" not in harness.said
    harness.world.run(began_s + 8.1)
    assert "fired" in harness.said


def test_a_lost_answer_of_the_store_makes_it_be_asked_again() -> None:
    harness = Harness()
    harness.disk.faults.answer_lost = 1.0
    harness.start()
    assert list(harness.disk.data) == ["said/first"]
    assert harness.said == []
    harness.disk.faults.answer_lost = 0.0
    harness.world.run(5)
    assert harness.said == ["first 1", "first 2"]


def test_a_term_that_can_not_be_read_ends_at_once() -> None:
    harness = Harness()
    harness.disk.faults.read_fails = 1.0
    harness.start()
    assert not harness.process.alive
    assert harness.ended == ["the simulated store does not answer"]


def test_a_bug_of_a_core_ends_the_simulation() -> None:
    harness = Harness()
    harness.start()
    harness.process.post([])  # a list as key of a write: no such thing

    class Bug(Exception):
        pass

    def step(event: Any, now: Instant) -> Output[Any]:
        raise Bug

    harness.process.core.step = step
    with pytest.raises(Bug):
        harness.world.run(5)
