"""A process that runs a core: what `mezzo.runtime` is in production, on virtual time.

It keeps the contract (writes durable before effects, effects in order, group commit) and can be
crashed anywhere: before a commit, between a commit and its effects, between two effects.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from mezzo.core import CancelTimer, Core, Instant, Output, SetTimer, TimerFired, Write
from mezzo.errors import Fenced, StoreUnavailable
from mezzo.store.memory import MemoryDisk, MemoryStore

from .world import START_WALL_S, World


class Process:
    """One daemon. `build(epoch, stored, rng)` makes the core of a term; `perform` its effects.

    `observe(event, output)` is told of every step. `on_end(why)` is called when it ends, by itself
    (fenced, store gone) or by a crash.
    """

    def __init__(
        self,
        world: World,
        name: str,
        disk: MemoryDisk,
        *,
        build: Callable[[int, Mapping[str, bytes], random.Random], Core[Any]],
        perform: Callable[[Any], None],
        on_end: Callable[[str], None],
        observe: Callable[[Any, Output[Any]], None] | None = None,
    ) -> None:
        self.world = world
        self.name = name
        self.disk = disk
        self.epoch = 0
        self.core: Any = None
        self._build = build
        self._perform = perform
        self._on_end = on_end
        self._observe = observe
        self._life = 0  # counts starts: what an earlier life had scheduled is void
        self._mono_offset_s = 0.0
        self.wall_skew_s = 0.0
        self._paused = False
        self._inbox: deque[Any] = deque()
        self._timers: dict[Hashable, tuple[int, float]] = {}
        self._timer_number = 0
        self._writes: list[Write] = []
        self._written = 0  # how many groups of writes were begun
        self._durable = 0
        self._committing = False
        self._effects: deque[tuple[int, Any]] = deque()
        self._store = MemoryStore(disk)

    @property
    def up(self) -> bool:
        return self.core is not None

    # ---- life

    def start(self, first: Any, token: str | None = None) -> None:  # noqa: ANN401
        """A fresh life out of what the disk holds. Raises Fenced, StoreUnavailable."""
        self._store = MemoryStore(self.disk)
        self.epoch = self._store.open_term(token)
        self._life += 1
        self._mono_offset_s = self.world.between(0, 1e6)
        self.core = self._build(
            self.epoch, self._store.load(), random.Random(self.world.rng.getrandbits(64))
        )
        self.world.tell(f"{self.name} starts, epoch {self.epoch}")
        self.post(first)

    def crash(self, why: str) -> None:
        """Everything that is not on the disk is gone."""
        if self.core is None:
            return
        self.world.tell(f"{self.name} ends: {why}")
        self.core = None
        self._life += 1
        self._paused = False
        self._inbox.clear()
        self._timers.clear()
        self._writes = []
        self._written = self._durable = 0
        self._committing = False
        self._effects.clear()
        self._on_end(why)

    def pause(self, for_s: float) -> None:
        """SIGSTOP, a long garbage collection, a migrated VM: it wakes and believes it is before."""
        if self.up and not self._paused:
            self.world.tell(f"{self.name} sleeps for {for_s:.1f} s")
            self._paused = True
            self._later(for_s, self._resume)

    def _resume(self) -> None:
        self._paused = False
        waiting, self._inbox = self._inbox, deque()
        for event in waiting:
            self._later(0.0, self._step, event)
        self._release()

    # ---- stepping

    def post(self, event: Any) -> None:  # noqa: ANN401
        if self.up:
            self._later(0.0, self._step, event)

    def now(self) -> Instant:
        t = self.world.now_s
        return Instant(START_WALL_S + t + self.wall_skew_s, t + self._mono_offset_s)

    def _later(self, delay_s: float, action: Callable[..., None], *args: Any) -> None:  # noqa: ANN401
        self.world.after(delay_s, self._if_alive, self._life, action, args)

    def _if_alive(self, life: int, action: Callable[..., None], args: tuple[Any, ...]) -> None:
        if life == self._life:
            action(*args)

    def _step(self, event: Any) -> None:  # noqa: ANN401
        if self._paused:
            self._inbox.append(event)
            return
        self.world.steps += 1
        output = self.core.step(event, self.now())
        self._writes.extend(output.writes)
        mark = self._written + 1 if self._writes else self._written
        for effect in output.effects:
            self._effects.append((mark, effect))
        if self._observe is not None:
            self._observe(event, output)
        self._release()
        if self._writes and not self._committing:
            self._begin_commit()

    def _begin_commit(self) -> None:
        group, self._writes = self._writes, []
        self._written += 1
        self._committing = True
        latency_s = self.world.between(0.0005, 0.02)
        self._later(latency_s, self._commit, group, self._written)

    def _commit(self, group: list[Write], number: int) -> None:
        try:
            self._store.commit(group)
        except Fenced as error:
            self.crash(str(error))
            return
        except StoreUnavailable:
            self._later(0.5, self._commit, group, number)  # it is asked again, as in production
            return
        # A crash may come between the commit and what it lets out.
        self._later(self.world.between(0.0, 0.001), self._committed, number)

    def _committed(self, number: int) -> None:
        self._committing = False
        self._durable = number
        self._release()
        if self.up and self._writes:
            self._begin_commit()

    def _release(self) -> None:
        if self._paused:
            return
        life = self._life
        while life == self._life and self._effects and self._effects[0][0] <= self._durable:
            effect = self._effects.popleft()[1]
            if isinstance(effect, SetTimer):
                self._set_timer(effect.key, effect.at_s)
            elif isinstance(effect, CancelTimer):
                self._timers.pop(effect.key, None)
            else:
                self._perform(effect)

    # ---- timers

    def _set_timer(self, key: Hashable, at_s: float) -> None:
        self._timer_number += 1
        self._timers[key] = (self._timer_number, at_s)
        delay_s = max(0.0, at_s - self.now().mono_s)
        self._later(delay_s, self._fire, key, self._timer_number)

    def _fire(self, key: Hashable, number: int) -> None:
        if self._timers.get(key, (0, 0.0))[0] == number:
            del self._timers[key]
            self._step(TimerFired(key))
