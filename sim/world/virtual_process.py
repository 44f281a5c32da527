"""A process of a daemon in virtual time: the real runtime around a real core, and its death.

It can be killed anywhere: between a step and its commit, between a commit and its effects, between
two effects. It has clocks of its own, which drift and jump, and it can be stopped for a
while and wake up believing that no time has passed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from mezzo.core import Core, Instant, Output, Write
from mezzo.errors import Fenced, StoreError, StoreUnavailable
from mezzo.runtime import Runtime
from mezzo.store.memory import MemoryDisk, MemoryStore

from .disk import Disk, DiskFaults
from .loop import VirtualClock, VirtualLoop
from .moments import Moments, kind_of
from .watched import Broken
from .world import START_WALL_S, World

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

# How much faster or slower than the world a clock may go: some ten times what a computer's does.
DRIFT_MAX: Final = 0.001
_SOUND: Final = DiskFaults()


class _Killed(BaseException):
    """Unwinds the stack of a process that was killed in the middle of what it did."""


class Process:
    """One daemon. `build(epoch, stored, rng)` makes the core of a term; `perform` its effects.

    on_start: its core is about to get its first event. on_end(why): it ended, by itself (fenced,
    store gone) or by a crash; it may be started again. observe(event, output): every step;
    about_to(event): before it, if somebody sets that.
    on_commit(process, epoch): writes of that term have become durable.
    """

    def __init__(
        self,
        world: World,
        name: str,
        disk: MemoryDisk,
        *,
        build: Callable[[int, Mapping[str, bytes], random.Random], Core[Any]],
        perform: Callable[[Any], None],
        on_start: Callable[[], None],
        on_end: Callable[[str], None],
        observe: Callable[[Any, Output[Any]], None],
        counts_sleep: bool = False,
    ) -> None:
        """`counts_sleep`: whether its monotonic clock goes on while its machine is suspended."""
        self.world = world
        self.name = name
        self.disk = disk
        self.epoch = 0
        self.core: Any = None
        self.on_commit: Callable[[Process, int], None] = _unheard
        self.wall_skew_s = 0.0
        self.mono_rate = 1.0
        self.wall_rate = 1.0
        self._build = build
        self._perform = perform
        self._on_start = on_start
        self._on_end = on_end
        self._observe = observe
        self.about_to: Callable[[Any], None] | None = None
        self._counts_sleep = counts_sleep
        self._life = 0  # counts starts: what an earlier life had scheduled is void
        self._mono_offset_s = 0.0
        self._store = _Store(disk)
        self._loop: VirtualLoop | None = None
        self._runtime: Runtime[Any] | None = None
        self._run: Coroutine[Any, Any, None] | None = None
        self._in_doubt = False
        self._fenced = False
        self._awake_since_s = 0.0
        self._held_in: int | None = None
        self._doomed_in: int | None = None  # at so many more writes and effects it is killed
        self.moments: Moments | None = None

    @property
    def up(self) -> bool:
        return self.core is not None

    @property
    def leads(self) -> bool:
        """Is it up, with nobody after it?"""
        return self.up and self.epoch == self.disk.epoch

    @property
    def in_doubt(self) -> bool:
        """Is it unsure whether it leads? Then its effects are held."""
        return self._in_doubt

    @property
    def awake_for_s(self) -> float:
        """How long it has been up without a break; 0 or less: it is not."""
        return self.world.now_s - self._awake_since_s if self.up else 0.0

    @property
    def alive(self) -> bool:
        """Is it up, or about to be?"""
        return self._loop is not None

    # ---- life

    def start(self, first: Any, token: str | None = None) -> None:
        """A fresh life out of what the disk holds. It takes a while, and may end at once."""
        world = self.world
        self._life += 1
        # The disk may be moved to another computer: no two lives have the same clock.
        self._mono_offset_s = world.between(0, 1e6)
        self._loop = VirtualLoop(world, self.mono_rate, self._job)
        self._doomed_in = self._held_in = None
        self._in_doubt = self._fenced = False
        self._awake_since_s = world.now_s
        self._store = _Store(self.disk)
        self._later(self._latency_s(), self._open_term, first, token)

    def _open_term(self, first: Any, token: str | None) -> None:
        try:
            self._read_may_fail()
            at_least = int(self.now().wall_s * 1000)  # as mezzo.process.term has it
            self.epoch = self._store.open_term(token, at_least=at_least)
        except StoreError as error:
            self.crash(str(error))
            return
        self._later(self._latency_s(), self._load, first)

    def _load(self, first: Any) -> None:
        world = self.world
        try:
            self._read_may_fail()
            stored = self._store.load()
        except StoreError as error:
            self.crash(str(error))
            return
        assert self._loop is not None
        core = self._build(self.epoch, stored, random.Random(world.rng.getrandbits(64)))
        self.core = core
        with self._loop.running():
            runtime: Runtime[Any] = Runtime(
                _Observed(self, core),
                self._store,
                self._let_out,
                clock=VirtualClock(self._loop, self.now, counts_sleep=self._counts_sleep),
            )
        runtime._log = cast("FilteringBoundLogger", _Story(world, self.name))
        self._runtime = runtime
        self._run = runtime.run()
        done: asyncio.Future[None] = self._run.send(None)
        done.add_done_callback(lambda _: self._over())
        world.tell(f"{self.name} starts, epoch {self.epoch}")
        self._on_start()
        self.post(first)

    @property
    def _faults(self) -> DiskFaults:
        return self.disk.faults if isinstance(self.disk, Disk) else _SOUND

    def _read_may_fail(self) -> None:
        if self.world.chance(self._faults.read_fails):
            raise StoreUnavailable("the simulated store does not answer")

    def crash(self, why: str) -> None:
        """Die: everything that is not on the disk is gone."""
        if self._loop is None:
            return
        self.world.tell(f"{self.name} ends: {why}")
        self._loop.kill()
        self._loop = None
        self._life += 1
        self.core = None
        self._runtime = None
        run, self._run = self._run, None
        if run is not None:
            run.close()
        self._on_end(why)

    def crash_within(self, points: int | None) -> None:
        """Be killed right before the write or effect of that number, counted from now; None: not
        any more."""
        self._doomed_in = points

    def stop_for(self, for_s: float) -> None:
        """SIGSTOP, a long garbage collection, a migrated VM: it wakes and believes it is before."""
        if self._loop is not None:
            self.world.tell(f"{self.name} is stopped for {for_s:.1f} s")
            self._awake_since_s = max(self._awake_since_s, self.world.now_s + for_s)
            self._loop.stop_for(for_s)

    def sleep_for(self, for_s: float) -> bool:
        """The machine is suspended: as `stop_for`, and one of the clocks stands still meanwhile.
        False: the process is stopped already, or does not live."""
        if self._loop is None or self._loop.stopped:
            return False
        self.world.tell(f"{self.name} and its machine sleep for {for_s:.1f} s")
        self._awake_since_s = max(self._awake_since_s, self.world.now_s + for_s)
        self._loop.sleep_for(for_s)
        return True

    def wake(self) -> None:
        """Wake sooner than planned."""
        if self._loop is not None and self._loop.stopped:
            self._awake_since_s = min(self._awake_since_s, self.world.now_s)
            self._loop.go_on()

    def hold_within(self, effects: int) -> None:
        """Be held right after the effect of that number, counted from now, if there are so many."""
        self._held_in = effects

    def hold(self) -> None:
        if self._runtime is not None:
            self._in_doubt = True
            self._runtime.hold()

    def release(self) -> None:
        self._held_in = None
        if self._runtime is not None:
            self._in_doubt = False
            self._runtime.release()

    def _over(self) -> None:
        """The runtime has ended by itself."""
        run, self._run = self._run, None
        assert run is not None
        try:
            run.send(None)
        except StoreError as error:
            self.crash(str(error))
        # Any other error is a finding: a broken promise, or a core with a bug.

    # ---- stepping

    def post(self, event: Any) -> None:
        if self._runtime is not None:
            self._runtime.post(event)

    def now(self) -> Instant:
        t = self.world.now_s
        slept_s = 0.0 if self._counts_sleep or self._loop is None else self._loop.slept_s
        return Instant(
            START_WALL_S + t * self.wall_rate + self.wall_skew_s,
            (t - slept_s) * self.mono_rate + self._mono_offset_s,
        )

    def _let_out(self, effect: Any) -> None:
        if self._in_doubt:
            raise Broken(f"promise 5: {self.name} is not sure that it leads, but does {effect}")
        if self._fenced:
            raise Broken(f"promise 5: {self.name} knows that it is deposed, but does {effect}")
        life = self._life
        self._point()
        if self.moments is None:
            self._perform(effect)
        else:
            kind = kind_of(effect)
            self.moments.met(self, kind, before=True)
            if life == self._life:
                self._perform(effect)
            if life == self._life:
                self.moments.met(self, kind, before=False)
        if life != self._life:
            raise _Killed
        if self._held_in is not None:
            self._held_in -= 1
            if self._held_in <= 0:
                self._held_in = None
                self.hold()

    def _point(self) -> None:
        if self._doomed_in is None:
            return
        self._doomed_in -= 1
        if self._doomed_in <= 0:
            self.crash("killed in the middle of something")
            raise _Killed

    # ---- the store

    def _latency_s(self) -> float:
        faults = self._faults
        return self.world.between(faults.min_s, faults.max_s)

    def _job(self, commit: Callable[[], object], answer: asyncio.Future[Any]) -> None:
        """A commit travels to the store; its answer travels back, if anybody is there still."""
        try:
            self._point()
        except _Killed:
            return
        term = (self._life, self.epoch, self.disk)
        self.world.after(self._latency_s(), self._commit, *term, commit, answer)

    def _commit(
        self,
        life: int,
        epoch: int,
        disk: MemoryDisk,
        commit: Callable[[], object],
        answer: asyncio.Future[Any],
    ) -> None:
        dead = life != self._life
        if dead and not self.world.chance(self._faults.late):
            return
        error: Exception | None = None
        try:
            commit()
        except StoreError as refused:
            error = refused
        else:
            if disk is self.disk:  # else that one was thrown away
                self.on_commit(self, epoch)
            if self.moments is not None and not dead:
                for kind in self._store.kinds:
                    self.moments.met(self, f"write {kind}", before=False)
                dead = life != self._life
            if self.world.chance(self._faults.answer_lost):
                error = StoreUnavailable("the answer of the simulated store was lost")
        if not dead:
            self._later(self.world.between(0.0, 0.001), self._answered, answer, error)

    def _answered(self, answer: asyncio.Future[Any], error: Exception | None) -> None:
        self._fenced = isinstance(error, Fenced)
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)

    def _later(self, delay_s: float, action: Callable[..., None], *args: Any) -> None:
        self.world.after(delay_s, self._if_alive, self._life, action, args)

    def _if_alive(self, life: int, action: Callable[..., None], args: tuple[Any, ...]) -> None:
        if life == self._life:
            action(*args)


class _Store(MemoryStore):
    """Knows the kinds of the keys that it was given last."""

    def __init__(self, disk: MemoryDisk) -> None:
        super().__init__(disk)
        self.kinds: tuple[str, ...] = ()

    def commit(self, writes: Sequence[Write]) -> None:
        super().commit(writes)
        self.kinds = tuple(dict.fromkeys(write.key.partition("/")[0] for write in writes))


def _unheard(process: Process, epoch: int) -> None:
    """Nobody wants to know."""


class _Observed:
    """The core as the runtime sees it."""

    __slots__ = ("_core", "_process")

    def __init__(self, process: Process, core: Core[Any]) -> None:
        self._process = process
        self._core = core

    def step(self, event: Any, now: Instant) -> Output[Any]:
        process = self._process
        process.world.steps += 1
        if process.about_to is not None:
            process.about_to(event)
        output = self._core.step(event, now)
        process._observe(event, output)
        return output


class _Story:
    """What a runtime logs is part of the story."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    def warning(self, event: str, **facts: object) -> None:
        self._world.tell(f"{self._name} warns: {event} {facts}")
