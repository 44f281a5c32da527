"""The errors that mezzo raises on purpose. Each one's text says what, where and what to do.

MezzoError
├── BadRequest             the caller sent something wrong; nothing was changed
│   ├── BadConfig          a flag, an environment variable or a configuration file is wrong
│   ├── BadPattern         a regular expression of a user can't be used
│   └── NotNow             what is there now does not allow it; later it may
├── Corrupt                stored bytes are not what this version writes
├── LeadershipLost         this process leads no longer: a fresh one replaces it
├── NotForwarded           a proxy has no answer to hand back
├── NotLeader              this process is a standby
├── StoreError
│   ├── Fenced             another leader has taken over: this process must end
│   ├── StoreUnavailable   the store does not answer; it may come back
│   └── ValueTooLarge      one value exceeds what the store takes
└── Unencodable            a message that the wire can't carry; it was not sent
OSError
└── NotHttp                what a server answered is no HTTP
ValueError
└── NotContained           resources are subtracted that are not there: a bug, no situation

An error that never leaves its package or room stands in the `errors.py` there, below one of these.
An exception of one file has a `_` before its name. Verdicts of the simulator are AssertionErrors.
"""

from __future__ import annotations


class MezzoError(Exception):
    """The root: catch it to tell a user what went wrong."""


class BadRequest(MezzoError):
    """The input is refused and no state was changed."""


class BadConfig(BadRequest):
    """A setting is wrong; names the flag, the variable or the file's key."""


class BadPattern(BadRequest):
    """A pattern can't be compiled, or is too large. The text says why, to follow its name."""


class NotNow(BadRequest):
    """The cluster's present state does not allow it; later it may."""


class Corrupt(MezzoError):
    """Stored bytes are not what this version writes."""


class LeadershipLost(MezzoError):
    """The term is over: this process is replaced by a fresh one (`daemon.restart`)."""


class NotForwarded(MezzoError):
    """There is no answer to hand back; `status` says whose fault that is: 502 or 504, or 400."""

    def __init__(self, status: int, text: str, *, refused: bool = False) -> None:
        """refused: nobody listens there."""
        super().__init__(text)
        self.status = status
        self.refused = refused


class NotLeader(MezzoError):
    """A write reached a standby."""

    def __init__(self, leader: str | None) -> None:
        hint = f"send it to {leader}" if leader else "no leader yet, retry in a few seconds"
        super().__init__(f"this process is a standby and takes no writes: {hint}")
        self.leader = leader


class StoreError(MezzoError):
    """The state store refused or failed."""


class Fenced(StoreError):
    """A later epoch owns the store. Crash-only: end the process, the new leader recovers."""

    def __init__(self, mine: int, theirs: int | None = None) -> None:
        newer = f"epoch {theirs} has taken over" if theirs is not None else "another has taken over"
        super().__init__(f"the writes of epoch {mine} are refused: {newer}")


class StoreUnavailable(StoreError):
    """The store does not answer. Nothing is known to be lost; retry or give up leadership."""


class ValueTooLarge(StoreError):
    """One value is larger than the store takes."""

    def __init__(self, key: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"the value of {key} has {size_bytes} bytes, more than the {limit_bytes} that the "
            "store takes: make it smaller"
        )


class Unencodable(MezzoError):
    """A record holds what its message can't: nothing of it was sent. `path`: the fields that lead
    there, beginning with the record's type."""

    def __init__(self, why: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(f"{'.'.join(path) or 'it'} {why}")
        self.why = why
        self.path = path


class NotHttp(OSError):
    """What was answered is no HTTP."""


class NotContained(ValueError):
    """Something was subtracted that is not there."""

    def __init__(self, wanted: object, have: object) -> None:
        super().__init__(f"{wanted} is not contained in {have}")
