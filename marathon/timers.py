"""The timers of Marathon's core: what comes back as `TimerFired(key)`."""

from __future__ import annotations

from mezzo.record import Record


class ReconcileDue(Record):
    """The master is asked from time to time which tasks run."""


class AskAgainDue(Record):
    """Some questions to the master may not have been answered."""


class ScaleCheckDue(Record):
    """Any app may have more instances than it should."""


class ExpungeDue(Record):
    """Instances may have been unreachable for too long."""


class InactiveDue(Record):
    """The instance has been unreachable for long: it is given up, unless it is back."""

    instance_id: str


class OverdueCheckDue(Record):
    """Instances may not have come up in time."""


class KillRetryDue(Record):
    """Kills may not have been answered for long."""


class MoreKillsDue(Record):
    """More had to end than a step can store: settling goes on where the last step was full."""


class ReviveDue(Record):
    """Offers were asked for so lately that asking again had to wait."""


class TokensRefilled(Record):
    """There are as many launch tokens as at first."""


class LaunchDelayOver(Record):
    """The app, whose instances have failed, may be launched again."""

    app_id: str


class BackoffSweepDue(Record):
    """Delays may have been quiet for long enough to be forgotten."""


MarathonTimer = (
    ReconcileDue
    | AskAgainDue
    | ScaleCheckDue
    | ExpungeDue
    | InactiveDue
    | OverdueCheckDue
    | KillRetryDue
    | MoreKillsDue
    | ReviveDue
    | TokensRefilled
    | LaunchDelayOver
    | BackoffSweepDue
)
