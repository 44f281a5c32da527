"""Instances: the stored part of one, its state while we lead, and its conditions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mezzo.cluster.model import Attribute, IpAddress, TaskStatus
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import AgentId, TaskId
from mezzo.record import Record
from mezzo.units import Count, Port, WallMillis, WallSeconds

from . import paths
from .app import App, KillSelection, NetworkMode


class Condition(StrEnum):
    """The state of an instance, as events name it (Marathon `core.condition.Condition`)."""

    PROVISIONED = "Provisioned"
    STAGING = "Staging"
    STARTING = "Starting"
    RUNNING = "Running"
    KILLING = "Killing"
    UNREACHABLE = "Unreachable"
    UNREACHABLE_INACTIVE = "UnreachableInactive"
    ERROR = "Error"
    FAILED = "Failed"
    FINISHED = "Finished"
    KILLED = "Killed"
    GONE = "Gone"
    DROPPED = "Dropped"
    UNKNOWN = "Unknown"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL

    @property
    def failure(self) -> bool:
        """Does an end in this condition delay the next launch? An exit with 0 does, too."""
        return self in _FAILURE

    @property
    def starting(self) -> bool:
        return self in _STARTING

    @property
    def unreachable(self) -> bool:
        return self in (Condition.UNREACHABLE, Condition.UNREACHABLE_INACTIVE)


_C = Condition
_TERMINAL: Final = frozenset(
    {_C.ERROR, _C.FAILED, _C.FINISHED, _C.KILLED, _C.GONE, _C.DROPPED, _C.UNKNOWN}
)
_FAILURE: Final = frozenset({_C.DROPPED, _C.ERROR, _C.FAILED, _C.GONE, _C.FINISHED})
_STARTING: Final = frozenset({_C.PROVISIONED, _C.STAGING, _C.STARTING})
_BY_STATE: Final = {
    TaskState.STAGING: _C.STAGING,
    TaskState.STARTING: _C.STARTING,
    TaskState.RUNNING: _C.RUNNING,
    TaskState.KILLING: _C.KILLING,
    TaskState.FINISHED: _C.FINISHED,
    TaskState.FAILED: _C.FAILED,
    TaskState.KILLED: _C.KILLED,
    TaskState.ERROR: _C.ERROR,
    TaskState.GONE: _C.GONE,
    TaskState.GONE_BY_OPERATOR: _C.GONE,
    TaskState.DROPPED: _C.DROPPED,
    TaskState.UNREACHABLE: _C.UNREACHABLE,
    TaskState.UNKNOWN: _C.UNKNOWN,
}
# A master that doesn't tell UNREACHABLE says LOST for tasks that may come back.
_LOST_FOR_NOW: Final = (
    Reason.RECONCILIATION,
    Reason.AGENT_DISCONNECTED,
    Reason.AGENT_REMOVED,
)
_KILL_RANK: Final = {
    _C.UNREACHABLE_INACTIVE: 0,
    _C.UNREACHABLE: 0,
    _C.PROVISIONED: 1,
    _C.STAGING: 1,
    _C.STARTING: 2,
}


def condition_of(status: TaskStatus) -> Condition:
    """An instance's condition after a status update (Marathon `TaskConditionMapping`)."""
    if status.state is not TaskState.LOST:
        return _BY_STATE[status.state]
    if status.reason in _LOST_FOR_NOW:
        return Condition.UNREACHABLE
    return Condition.UNKNOWN if status.reason is Reason.TASK_UNKNOWN else Condition.GONE


def new_instance_id(app_id: str, uuid: str) -> str:
    return f"{paths.underscored(app_id)}.instance-{uuid}"


class Instance(Record):
    """The stored part: written before the launch leaves, deleted when the end was handled.

    version_ms: the app's version at the launch. config_ms: its last change of configuration, which
    tells outdated instances from current ones. host_ports: by port index; None publishes nothing.
    container_ports: by port index, resolved. staged_s: wall time. doomed: it has to end.
    """

    id: str
    app_id: str
    version_ms: WallMillis
    config_ms: WallMillis
    agent_id: AgentId
    host: str
    staged_s: WallSeconds
    incarnation: Count = 1
    role: str = "*"
    region: str | None = None
    zone: str | None = None
    attributes: tuple[Attribute, ...] = ()
    host_ports: tuple[Port | None, ...] = ()
    container_ports: tuple[Port, ...] = ()
    doomed: bool = False

    @property
    def task_id(self) -> TaskId:
        return TaskId(f"{self.id}._app.{self.incarnation}")

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(port for port in self.host_ports if port is not None)


@dataclass(slots=True)
class CheckState:
    """One health check of one instance. Times in wall seconds; alive None: no result yet."""

    alive: bool | None = None
    consecutive_failures: int = 0
    first_success_s: float | None = None
    last_success_s: float | None = None
    last_failure_s: float | None = None
    cause: str | None = None


@dataclass(slots=True)
class Live:
    """An instance of this moment. `MarathonState` owns it and keeps the tallies in step.

    app: the definition that it runs. since_s: wall time of the condition. inherited: launched in
    an earlier term. confirmed: the master has told its state in this term.
    """

    record: Instance
    app: App
    condition: Condition
    state: TaskState
    since_s: float
    inherited: bool = False
    confirmed: bool = False
    started_s: float | None = None
    unreachable_since_s: float | None = None
    message: str = ""
    checks: list[CheckState] = field(default_factory=list)
    checking: bool = False  # Marathon's own checks of it run
    has_token: bool = False  # it holds one of the launch tokens
    ip_addresses: tuple[IpAddress, ...] = ()
    # What the tallies count it as now: (configuration, alive, active, ready).
    counted: tuple[int, bool, bool, bool] | None = None
    doomed: bool = False  # it has to end; stored before the kill leaves

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def addresses(self) -> tuple[IpAddress, ...]:
        """Without a network of its own a task that has run has its host's address."""
        known = tuple(ip for ip in self.ip_addresses if ip.ip_address)
        ran = self.started_s is not None or self.state is TaskState.RUNNING
        if known or not ran or self.app.network_mode is not NetworkMode.HOST:
            return known
        return (IpAddress(self.record.host),)

    @property
    def healthy(self) -> bool | None:
        """Every check is alive; None without checks or while a result is missing."""
        if not self.checks:
            return None
        if any(check.alive is False for check in self.checks):
            return False
        return True if all(check.alive for check in self.checks) else None

    @property
    def alive(self) -> bool:
        """May it be running? One that is unreachable for too long is given up."""
        return self.condition is not Condition.UNREACHABLE_INACTIVE

    @property
    def active(self) -> bool:
        """Does it count towards the target?"""
        return self.alive and not self.doomed

    @property
    def ready(self) -> bool:
        """Does it run, with every health check alive?"""
        return (
            self.condition is Condition.RUNNING
            and self.active
            and (not self.checks or self.healthy is True)
        )

    @property
    def unsure(self) -> bool:
        """May it serve for all we know? A new leader has not heard of it, or of its health, yet."""
        return self.inherited and (
            not self.confirmed
            or (self.condition is Condition.RUNNING and bool(self.checks) and self.healthy is None)
        )

    def classify(self) -> tuple[int, bool, bool, bool]:
        return self.record.config_ms, self.alive, self.active, self.ready


@dataclass(slots=True)
class Tally:
    """Instances of one configuration: alive, of these not doomed, of these running and healthy."""

    alive: int = 0
    active: int = 0
    ready: int = 0


@dataclass(slots=True)
class Fleet:
    """All instances of one app, counted as they change: an app may have ten thousand."""

    instances: dict[str, Live] = field(default_factory=dict)
    tallies: dict[int, Tally] = field(default_factory=dict)
    moves: int = 0  # grows when one comes, goes, or is (not) alive any more

    def count(self, live: Live) -> None:
        """Bring the tallies in step with `live`, which is new or has changed."""
        now, before = live.classify(), live.counted
        if now == before:
            return
        if before is not None:
            self._add(before, -1)
        if before is None or before[:2] != now[:2]:
            self.moves += 1
        live.counted = now
        self._add(now, 1)

    def uncount(self, live: Live) -> None:
        if live.counted is not None:
            self._add(live.counted, -1)
            live.counted = None
            self.moves += 1

    def _add(self, counted: tuple[int, bool, bool, bool], sign: int) -> None:
        config, alive, active, ready = counted
        tally = self.tallies.setdefault(config, Tally())
        tally.alive += sign * alive
        tally.active += sign * active
        tally.ready += sign * ready
        if tally.alive == 0:  # the others can't be more
            del self.tallies[config]

    def of(self, config_ms: int) -> Tally:
        return self.tallies.get(config_ms) or Tally()

    def without(self, config_ms: int) -> Tally:
        """The tally of all other configurations."""
        total, new = self.total, self.of(config_ms)
        return Tally(total.alive - new.alive, total.active - new.active, total.ready - new.ready)

    @property
    def total(self) -> Tally:
        parts = self.tallies.values()
        return Tally(
            sum(t.alive for t in parts), sum(t.active for t in parts), sum(t.ready for t in parts)
        )


def kill_order(candidates: Iterable[Live], selection: KillSelection) -> list[Live]:
    """The order of kills: unreachable, staging, starting, then running instances by age (8.2)."""
    sign = -1 if selection is KillSelection.YOUNGEST_FIRST else 1
    return sorted(
        candidates,
        key=lambda live: (
            _KILL_RANK.get(live.condition, 3),
            sign * (live.started_s or live.record.staged_s),
            live.id,
        ),
    )
