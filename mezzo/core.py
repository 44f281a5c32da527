"""The contract between a pure core and its shell.

A core is a deterministic state machine: ``core.step(event, now) -> Output``. It reads no clock,
does no I/O, draws randomness only from a generator that it was given, and emits its decisions as
data.
The shell (`mezzo.runtime`) makes ``Output.writes`` durable first and only then performs
``Output.effects``, in order: nothing that the outside has seen can be forgotten by a crash.

The simulator is another shell around the same cores.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from mezzo.record import Record
from mezzo.tables import Table

Effect = TypeVar("Effect")
Event_contra = TypeVar("Event_contra", contravariant=True)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment. Both clocks, because each is right for another purpose.

    wall_s: seconds since 1970, UTC: for deadlines that are stored and for what people read.
    mono_s: seconds of a clock that never jumps, of this process only: for timers and leases.
    """

    wall_s: float
    mono_s: float

    def left_s(self, since_wall_s: float, lasts_s: float) -> float:
        """What is left of a time that began then. Somebody may have set the clock, by years: so
        never more than the whole time, nor less than nothing."""
        return min(lasts_s, max(0.0, since_wall_s + lasts_s - self.wall_s))

    def is_within_s(self, since_wall_s: float, lasts_s: float) -> bool:
        """Whether a time began less than `lasts_s` ago. One in the future was stored before the
        clock was set back: by less than `lasts_s` is borne, by more is no time to wait for."""
        return abs(self.wall_s - since_wall_s) < lasts_s


@dataclass(frozen=True, slots=True)
class Put:
    """Store `value` under `key`, replacing what was there.

    A key is ``kind/id``: the kind is a word, the id any text without control characters (stores
    escape it). The values of one step are stored all or none.
    """

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget `key`. No error if it is not there."""

    key: str


Write = Put | Delete

# Of each write besides its key and value: a store's own path, headers and permissions.
_WRITE_OVERHEAD_BYTES: Final = 256
# Every store takes these: one value, and the sum of `write_bytes` over one commit. They are
# ZooKeeper's, whose packets end at a megabyte.
VALUE_BYTES_MAX: Final = 1_000_000
COMMIT_BYTES_MAX: Final = 1_040_000
# So much one request may make a core write, all in one step, with room for what follows from it.
REQUEST_BYTES_MAX: Final = 800_000
# A step that has written so much leaves what can wait to another.
STEP_BYTES: Final = 400_000
# What somebody else describes, and is stored for each of many: an agent, a framework, an instance.
RECORD_BYTES_MAX: Final = 64 * 1024


def write_bytes(write: Write) -> int:
    """What one write takes of a commit, in bytes: an upper bound for every store."""
    value = len(write.value) if isinstance(write, Put) else 0
    # Escaping may take three bytes for each byte of the key.
    return value + 3 * len(write.key.encode()) + _WRITE_OVERHEAD_BYTES


def put_of(table: Table[R], record: R) -> Put:
    """The write that stores the record."""
    return Put(table.key_of(record), table.encode(record))


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Effect: send `TimerFired(key)` once `now.mono_s >= at_s`. Setting a key again replaces it."""

    key: Hashable
    at_s: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Effect: forget the timer `key`. No error if it is not set."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Event: the timer `key` is due. The timer is gone; set it again to repeat."""

    key: Hashable


@dataclass(slots=True)
class Output(Generic[Effect]):
    """What one step decided: first make the writes durable, then let the effects out, in order."""

    writes: list[Write] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)


class Step(Output[Effect]):
    """The output of one step under construction, with the words that all handlers use.

    now: the moment of the whole step. bytes: of all writes as a store takes them, with their keys.
    """

    __slots__ = ("bytes", "now")

    def __init__(self, now: Instant) -> None:
        # One is made for each event, so nothing is called for it.
        self.writes, self.effects = [], []
        self.now, self.bytes = now, 0

    def put(self, table: Table[R], record: R) -> None:
        self.write(put_of(table, record))

    def delete(self, table: Table[Any], id_: str) -> None:
        self.write(Delete(table.key(id_)))

    def write(self, write: Write) -> None:
        self.bytes += write_bytes(write)
        self.writes.append(write)

    def do(self, effect: Effect) -> None:
        self.effects.append(effect)

    def timer(self, key: Record, after_s: float) -> None:
        """`TimerFired(key)` comes `after_s` seconds from now; a timer that is set already moves."""
        self.timer_at(key, self.now.mono_s + after_s)

    def timer_at(self, key: Record, mono_s: float) -> None:
        """As `timer`, at a moment of the monotonic clock."""
        self.do(SetTimer(key, mono_s))  # type: ignore[arg-type] # each core's effects have it

    def cancel(self, key: Record) -> None:
        self.do(CancelTimer(key))  # type: ignore[arg-type] # as above


class Core(Protocol[Event_contra]):
    """A deterministic state machine: the same events give the same outputs in every process.

    So: no iteration over sets, no `hash()` of strings, ids and choices from the injected generator.
    """

    def step(self, event: Event_contra, now: Instant) -> Output[Any]: ...
