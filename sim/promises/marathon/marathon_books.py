"""Books beside each Marathon: what its term has read and stored, and what it was told since.

They are kept from what goes into its core and comes out, never from what is inside: checkers
compare Marathon's deeds with these. See `promises.p11_launches`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from mezzo.cluster.model import IpAddress, TaskStatus
from mezzo.cluster.states import Reason, TaskState, may_move
from mezzo.core import Delete, Instant, Output, Put, SetTimer
from mezzo.errors import Corrupt
from mezzo.ids import ConnId
from mezzo.marathon.api.read_model import ReadModel
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.effects import (
    Publish,
    ShowApp,
    ShowAside,
    ShowDeployment,
    ShowInstance,
    StartHealthCheck,
    StopHealthChecks,
)
from mezzo.marathon.events import HealthResult, LinkDown, LinkUp, MasterEvent, Started
from mezzo.marathon.model.app import App
from mezzo.marathon.model.deployment import ActionKind, Change, Deployment
from mezzo.marathon.model.instance import Condition, Instance
from mezzo.marathon.news import PlanNews
from mezzo.marathon.state.tables import APPS, DEPLOYMENTS, INSTANCES, VERSIONS
from mezzo.marathon.timers import MoreKillsDue
from mezzo.messages.scheduler import Update

from ...daemons.marathons import VirtualMarathon
from ...watch import Watch

# Of a task that may come back, LOST for one of these reasons says the same (spec 7.2).
_MAY_RETURN: Final = (Reason.RECONCILIATION, Reason.AGENT_DISCONNECTED, Reason.AGENT_REMOVED)
_CONDITIONS: Final = {
    "TASK_STAGING": "Staging",
    "TASK_STARTING": "Starting",
    "TASK_RUNNING": "Running",
    "TASK_KILLING": "Killing",
    "TASK_FINISHED": "Finished",
    "TASK_KILLED": "Killed",
    "TASK_FAILED": "Failed",
    "TASK_ERROR": "Error",
    "TASK_GONE": "Gone",
    "TASK_GONE_BY_OPERATOR": "Gone",
    "TASK_DROPPED": "Dropped",
    "TASK_UNREACHABLE": "Unreachable",
    "TASK_UNKNOWN": "Unknown",
}
ENDS: Final = frozenset({"Finished", "Killed", "Failed", "Error", "Gone", "Dropped", "Unknown"})
_FAILURES: Final = frozenset({"Failed", "Error", "Gone", "Dropped", "Unknown"})
UNREACHABLE: Final = "Unreachable"
INACTIVE: Final = "UnreachableInactive"
STARTING: Final = frozenset({"Provisioned", "Staging", "Starting"})
_FEW_BYTES: Final = 10_000  # so few are drawn, to have them used up


def condition_of(status: TaskStatus) -> str:
    if status.state is not TaskState.LOST:
        return _CONDITIONS[status.state.value]
    if status.reason in _MAY_RETURN:
        return UNREACHABLE
    return "Unknown" if status.reason is Reason.TASK_UNKNOWN else "Gone"


@lru_cache(maxsize=2048)
def _app(value: bytes) -> App:
    return VERSIONS.decode(value)


@dataclass(slots=True)
class Check:
    """A health check of one instance. Times in wall seconds."""

    alive: bool | None = None
    failures: int = 0
    first_success_s: float | None = None
    last_success_s: float | None = None
    last_failure_s: float | None = None
    cause: str | None = None


@dataclass(slots=True)
class Seen:
    """An instance as its term has to see it. app: the definition that it runs.

    inactive_at_s: monotonic seconds at which it is given up, once it is unreachable; None: never.
    """

    record: Instance
    app: App
    inherited: bool
    state: TaskState = TaskState.STAGING
    condition: str = "Provisioned"
    confirmed: bool = False
    checks: list[Check] = field(default_factory=list)
    checking: bool = False
    started_s: float | None = None
    addresses: tuple[IpAddress, ...] = ()
    unreachable_since_s: float | None = None
    inactive_at_s: float | None = None

    @property
    def healthy(self) -> bool | None:
        said = [check.alive for check in self.checks]
        if not said or (None in said and False not in said):
            return None
        return False not in said

    @property
    def ready(self) -> bool:
        return (
            self.condition == "Running"
            and not self.record.doomed
            and (not self.checks or self.healthy is True)
        )

    @property
    def unsure(self) -> bool:
        """Is it unknown whether it serves? A new leader can't tell yet."""
        unheard = self.running and bool(self.checks) and self.healthy is None
        return self.inherited and (not self.confirmed or unheard)

    @property
    def running(self) -> bool:
        return self.condition == "Running"


@dataclass(frozen=True, slots=True)
class Failure:
    """The last failure of an app. at_s: wall time."""

    task_id: str
    state: TaskState
    version_ms: int
    at_s: float
    unhealthy: bool


@dataclass(slots=True)
class Term:
    """One life of a Marathon that leads, or believes so."""

    config: MarathonConfig
    apps: dict[str, App] = field(default_factory=dict)
    is_now: dict[str, int] = field(default_factory=dict)  # which of its versions each is
    versions: dict[str, dict[int, bytes]] = field(default_factory=dict)
    instances: dict[str, Seen] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    changes: dict[str, dict[str, Change]] = field(default_factory=dict)  # theirs, by app
    vague: dict[str | None, None] = field(default_factory=dict)  # apps of which a record is damaged
    failures: dict[str, Failure] = field(default_factory=dict)  # by app
    shown: ReadModel = field(default_factory=ReadModel)
    conn: ConnId | None = None
    epoch: int = 0
    hurried: bool = False  # of who is to end not all could be stored yet
    # Of whom something was heard since then: that they end may have been decided before.
    heard_late: dict[str, None] = field(default_factory=dict)

    @property
    def in_small_steps(self) -> bool:
        """So little is stored at once that what it has decided shows here a few steps later."""
        return self.config.step_bytes < _FEW_BYTES

    def hears(self, said: MasterEvent) -> bool:
        """Not what a stream says that is over, nor a deposed master."""
        return said.conn == self.conn and said.epoch >= self.epoch

    def of(self, app_id: str) -> list[Seen]:
        return [seen for seen in self.instances.values() if seen.record.app_id == app_id]

    def by_task(self, task_id: str) -> Seen | None:
        seen = self.instances.get(task_id.rpartition("._app.")[0])
        return seen if seen is not None and seen.record.task_id == task_id else None

    def version(self, app_id: str, version_ms: int) -> App | None:
        value = self.versions.get(app_id, {}).get(version_ms)
        return None if value is None else _app(value)

    def known(self, app_id: str, version_ms: int) -> App | None:
        """None also of one that is damaged."""
        try:
            return self.version(app_id, version_ms)
        except Corrupt:
            return None

    def plan_of(self, app_id: str) -> Deployment | None:
        """The deployment that holds the app."""
        return next((p for p in self.deployments.values() if app_id in p.app_ids), None)

    def knows(self, app_id: str) -> bool:
        """Is the app known? Not if its record, or one that is changed with it, is damaged."""
        if not self.vague:
            return True
        plan = self.plan_of(app_id)
        together = (app_id,) if plan is None else plan.app_ids
        return not any(each in self.vague for each in together)

    def wanted(self, app_id: str) -> App | None:
        """The app's target now: that of its deployment, else the app as it is stored."""
        plan = self.plan_of(app_id)
        if plan is None:
            return self.apps.get(app_id)
        return self.changes[plan.id][app_id].target

    def restarts(self, app_id: str) -> bool:
        """Does the app's deployment replace its instances?"""
        plan = self.plan_of(app_id)
        return plan is not None and any(
            action.app_id == app_id and action.kind is ActionKind.RESTART
            for step in plan.steps
            for action in step.actions
        )

    # ---- what is stored

    def put(self, key: str, value: bytes, *, inherited: bool = False) -> None:
        kind, _, id_ = key.partition("/")
        try:
            if kind == "app":
                self.is_now[id_] = APPS.decode(value).version_ms
                self._find_app(id_)
            elif kind == "appversion":
                app_id, _, version = id_.rpartition("@")
                self.versions.setdefault(app_id, {})[int(version)] = value
                self._find_app(app_id)
            elif kind == "deployment":
                self._put_deployment(DEPLOYMENTS.decode(value))
            elif kind == "instance":
                self._put_instance(INSTANCES.decode(value), inherited=inherited)
        except Corrupt:
            pass  # it will be set aside, and its app is vague then

    def _find_app(self, app_id: str) -> None:
        """Its version may be read before it or after it."""
        self.apps.pop(app_id, None)
        if (app := self.known(app_id, self.is_now.get(app_id, 0))) is not None:
            self.apps[app_id] = app

    def _put_deployment(self, plan: Deployment) -> None:
        self.deployments[plan.id] = plan
        self.changes[plan.id] = {
            each.app_id: Change(
                each.app_id,
                self._was(each.app_id, each.original_ms),
                self._was(each.app_id, each.target_ms),
            )
            for each in plan.changes
        }

    def _was(self, app_id: str, version_ms: int | None) -> App | None:
        return None if version_ms is None else self.known(app_id, version_ms) or App(app_id)

    def _put_instance(self, record: Instance, *, inherited: bool) -> None:
        if (seen := self.instances.get(record.id)) is not None:
            seen.record = record
            return
        app = self.apps.get(record.app_id) or App(record.app_id)
        self.instances[record.id] = Seen(record, app, inherited)

    def settle_definitions(self, seen: Sequence[Seen]) -> None:
        """Find the definitions of new instances, once all of the store is read."""
        for each in seen:
            each.app = self.known(each.record.app_id, each.record.version_ms) or each.app
            each.checks = [Check() for _ in each.app.health_checks]

    def delete(self, key: str) -> None:
        kind, _, id_ = key.partition("/")
        if kind == "app":
            self.apps.pop(id_, None)
            self.is_now.pop(id_, None)
        elif kind == "appversion":
            app_id, _, version = id_.rpartition("@")
            kept = self.versions.get(app_id, {})
            kept.pop(int(version), None)
            if not kept:
                self.versions.pop(app_id, None)
                self.failures.pop(app_id, None)  # nothing of the app is left
        elif kind == "deployment":
            self.deployments.pop(id_, None)
            self.changes.pop(id_, None)
        elif kind == "instance":
            self.instances.pop(id_, None)


@dataclass(slots=True)
class Step:
    """One step of a Marathon. told: of whom a status update that counts has told, and that one.

    doomed: to be killed from now on. gone: no more stored, and what they were just before.
    touched: the apps of which is changed what they are, are to be, or have. hurried: who is to end
    was chosen in part in the step before, or is not stored in this one.
    """

    marathon: VirtualMarathon
    term: Term
    event: Any
    output: Output[Any]
    now: Instant
    told: tuple[Seen, TaskStatus] | None = None
    ends: bool = False  # what was told is its end
    news: bool = False  # it is in another state than before
    new: list[Seen] = field(default_factory=list)
    doomed: list[Seen] = field(default_factory=list)
    gone: list[Seen] = field(default_factory=list)
    touched: dict[str, None] = field(default_factory=dict)
    hurried: bool = False


class Reader:
    """Looks at every step, before and after the books are brought up to it. Raises Broken."""

    def before(self, step: Step) -> None:
        pass

    def after(self, step: Step) -> None:
        pass


class Books(Watch):
    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers
        self._terms: dict[str, Term] = {}

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,
        output: Output[Any],
    ) -> None:
        if isinstance(event, Started):
            self._terms[marathon.name] = _opened(marathon.config, marathon.loaded)
        term = self._terms[marathon.name]
        step = Step(marathon, term, event, output, marathon.process.now())
        hurried = any(type(e) is SetTimer and e.key == MoreKillsDue() for e in output.effects)
        step.hurried, term.hurried = hurried or term.hurried, hurried
        if not step.hurried:
            term.heard_late.clear()
        elif (about := _about(event)) is not None:
            term.heard_late[about] = None
        for reader in self._readers:
            reader.before(step)
        self._heard(step)
        self._failed(step)
        self._stored(step)
        self._shown(step)
        for reader in self._readers:
            reader.after(step)

    # ---- what came in

    def _heard(self, step: Step) -> None:
        term, event = step.term, step.event
        match event:
            case LinkUp(conn):
                term.conn = conn
            case LinkDown(conn) if conn == term.conn:
                term.conn = None
            case MasterEvent(epoch=epoch, event=said) if term.hears(event):
                term.epoch = epoch
                if isinstance(said, Update):
                    _told(step, said.status)
            case HealthResult():
                _probed(step, event)

    def _failed(self, step: Step) -> None:
        """Note the failure of an end that nobody ordered, unless it was well; or of a check."""
        if step.told is not None and step.ends:
            seen, status = step.told
            condition = condition_of(status)
            unhealthy = condition == "Killed" and status.healthy is False
            if not seen.record.doomed and (unhealthy or condition in _FAILURES):
                _fails(step, seen, status.state, unhealthy=unhealthy)
        elif isinstance(step.event, HealthResult):
            probed = step.term.instances.get(step.event.instance_id)
            if probed is not None and not probed.record.doomed and probed.running:
                most = probed.app.health_checks[step.event.index].max_consecutive_failures
                failed = probed.checks[step.event.index].failures
                if step.event.alive is False and probed.checking and 0 < most <= failed:
                    _fails(step, probed, TaskState.KILLED, unhealthy=True)

    # ---- what came out

    def _stored(self, step: Step) -> None:
        term = step.term
        for write in step.output.writes:
            id_ = write.key.removeprefix("instance/")
            before = term.instances.get(id_) if id_ is not write.key else None
            was_doomed = before is not None and before.record.doomed
            if isinstance(write, Delete):
                if before is not None:
                    step.gone.append(before)
                term.delete(write.key)
                continue
            assert isinstance(write, Put)
            term.put(write.key, write.value)
            after = term.instances.get(id_) if id_ is not write.key else None
            if after is not None and before is None:
                step.new.append(after)
            elif after is not None and after.record.doomed and not was_doomed:
                step.doomed.append(after)
                step.touched[after.record.app_id] = None  # it may have been shown in a step before
        term.settle_definitions(step.new)

    def _shown(self, step: Step) -> None:
        term = step.term
        for effect in step.output.effects:
            match effect:
                case ShowApp(app_id=app_id) | ShowInstance(app_id=app_id):
                    term.shown.apply(effect)
                    step.touched[app_id] = None
                case ShowDeployment():
                    term.shown.apply(effect)
                case Publish(news=PlanNews(plan=plan)):
                    step.touched |= dict.fromkeys(plan.app_ids)
                case ShowAside(aside=aside):
                    term.shown.apply(effect)
                    if aside is not None:
                        term.delete(aside.key)
                        term.vague[aside.app_id] = None
                case StartHealthCheck(instance_id=id_) if id_ in term.instances:
                    term.instances[id_].checking = True
                case StopHealthChecks(instance_id=id_) if id_ in term.instances:
                    term.instances[id_].checking = False


def _about(event: Any) -> str | None:
    """The instance of which the event tells how it is."""
    if isinstance(event, HealthResult):
        return event.instance_id
    if isinstance(event, MasterEvent) and isinstance(event.event, Update):
        return event.event.status.task_id.rpartition("._app.")[0]
    return None


def _opened(config: MarathonConfig, stored: Mapping[str, bytes]) -> Term:
    term = Term(config)
    for key, value in stored.items():
        term.put(key, value, inherited=True)
    term.settle_definitions(list(term.instances.values()))
    return term


def _told(step: Step, status: TaskStatus) -> None:
    """Take over a status update of an instance (spec 7.2, 8.3)."""
    term, now = step.term, step.now
    seen = term.by_task(status.task_id)
    if seen is None or status.agent_id not in (None, seen.record.agent_id):
        return
    condition = condition_of(status)
    step.ends = condition in ENDS
    if not step.ends and status.state is not seen.state and not may_move(seen.state, status.state):
        return  # an old one
    step.told = seen, status
    step.news = step.ends or status.state is not seen.state or not seen.confirmed
    if step.ends:
        return
    seen.confirmed, seen.state = True, status.state
    if status.container_status is not None:
        infos = status.container_status.network_infos
        told = tuple(ip for info in infos for ip in info.ip_addresses)
        seen.addresses = told or seen.addresses
    if condition == UNREACHABLE:
        if seen.unreachable_since_s is None:
            seen.condition = UNREACHABLE
            seen.unreachable_since_s = status.unreachable_time or now.wall_s
            if (strategy := seen.app.unreachable) is not None:
                left_s = now.left_s(seen.unreachable_since_s, strategy.inactive_after_s)
                seen.inactive_at_s = now.mono_s + left_s
        return
    seen.unreachable_since_s = seen.inactive_at_s = None
    seen.condition = condition
    if condition == "Running":
        if seen.started_s is None:
            reconciled = seen.inherited and status.reason is Reason.RECONCILIATION
            told_at = status.timestamp or now.wall_s
            seen.started_s = seen.record.staged_s if reconciled else told_at
        for check, asked in zip(seen.checks, seen.app.health_checks, strict=True):
            if asked.protocol.by_agent and status.healthy is not None:
                _observed(step, seen, check, asked.grace_s, status.healthy, status.message)


def _fails(step: Step, seen: Seen, state: TaskState, *, unhealthy: bool) -> None:
    record = seen.record
    step.term.failures[record.app_id] = Failure(
        record.task_id, state, record.version_ms, step.now.wall_s, unhealthy
    )


def _probed(step: Step, result: HealthResult) -> None:
    seen = step.term.instances.get(result.instance_id)
    if seen is not None and seen.checking and result.alive is not None:
        check, asked = seen.checks[result.index], seen.app.health_checks[result.index]
        _observed(step, seen, check, asked.grace_s, result.alive, result.cause)


def _observed(
    step: Step, seen: Seen, check: Check, grace_s: float, alive: bool, cause: str | None
) -> None:
    """Failures before the first success and within the grace are none (spec 10)."""
    wall_s = step.now.wall_s
    if alive:
        check.alive, check.failures, check.cause = True, 0, None
        check.last_success_s = wall_s
        if check.first_success_s is None:
            check.first_success_s = wall_s
        return
    began = seen.record.staged_s if seen.started_s is None else seen.started_s
    if check.first_success_s is None and abs(wall_s - began) < grace_s:
        return
    check.alive, check.cause, check.last_failure_s = False, cause, wall_s
    check.failures += 1


def given_up(seen: Seen, now: Instant) -> bool | None:
    """Is it unreachable for so long that another has to run in its place? None: at this moment."""
    if seen.condition != UNREACHABLE or seen.inactive_at_s is None:
        return False
    if now.mono_s < seen.inactive_at_s:
        return False
    return None


assert {*_CONDITIONS.values(), INACTIVE, "Provisioned"} == {str(each) for each in Condition}
