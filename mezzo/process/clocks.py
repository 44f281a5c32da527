"""Clocks, each with the alarm that goes by it.

A timer is right only if what wakes us runs by the clock on which the timer was set. Linux has two
that never jump: one stands still while the machine is suspended, one goes on. The clock of a core
brings its alarm along, so the two can't differ.

    ProcessClock   stands still with the machine: nobody is given up for what was slept through
    MachineClock   goes on: promises to others (the leases of unique tasks) end on time
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Final, Protocol

from mezzo.core import Instant

_TFD_FLAGS: Final = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)  # those of timerfd_create(2)
_TFD_TIMER_ABSTIME: Final = 1
_NEVER_S: Final = float("inf")


class Alarm(Protocol):
    """Calls back on the loop once its clock has reached a moment. It may be a little early."""

    def set(self, at_s: float) -> None:
        """`at_s` of the clock's `mono_s`. Replaces what was set before."""
        ...

    def close(self) -> None:
        """Never call back again. May be called twice."""
        ...


class Clock(Protocol):
    def now(self) -> Instant: ...

    def alarm(self, ring: Callable[[], None]) -> Alarm:
        """One alarm on the running loop."""
        ...


class ProcessClock:
    """The clock of a daemon that keeps no promise to others by it."""

    def now(self) -> Instant:
        return Instant(time.time(), time.monotonic())

    def alarm(self, ring: Callable[[], None]) -> Alarm:
        return _LoopAlarm(ring)


class MachineClock:
    """`mono_s` is the age of the machine with all that it slept, as the keepers of unique tasks
    count."""

    def now(self) -> Instant:
        return Instant(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))

    def alarm(self, ring: Callable[[], None]) -> Alarm:
        return _MachineAlarm(ring)


class _LoopAlarm:
    """An alarm by the loop's own clock, which is `time.monotonic`."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at_s: float) -> None:
        self.close()
        self._handle = self._loop.call_later(max(0.0, at_s - time.monotonic()), self._ring)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class _Timespec(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class _MachineAlarm:
    """A timerfd: the kernel makes it readable at once when the machine wakes up too late for it.

    Python has none before 3.13, hence ctypes.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        assert sys.platform == "linux", "agents run on Linux"
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.timerfd_create(time.CLOCK_BOOTTIME, _TFD_FLAGS))
        self._loop.add_reader(self._fd, self._due)

    def set(self, at_s: float) -> None:
        # No time at all would disarm it; and beyond what a long holds nobody waits.
        at_ns = min(max(int(at_s * 1e9), 1), 2**62)
        spec = _Itimerspec(_Timespec(0, 0), _Timespec(*divmod(at_ns, 1_000_000_000)))
        self._checked(
            self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None)
        )

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _due(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # the alarm was set again since
        self._ring()

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd: {os.strerror(number)}")
        return result
