"""The launch queue: which apps wait for how many instances, what offers become, what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mezzo.cluster.model import Filters, Offer, TaskInfo
from mezzo.cluster.operations import Launch
from mezzo.cluster.resources import Resources
from mezzo.core import SetTimer
from mezzo.ids import ConnId, OfferId
from mezzo.messages.scheduler import Accept, Decline, Revive, Suppress
from mezzo.record import decode, encode

from ..effects import Call, Launched
from ..model.app import App
from ..model.instance import Instance, Live, new_instance_id
from ..state.term_state import DATA_ERRORS, State
from ..views import QueueItem, Refused
from .backoff import Backoffs
from .constraints import Census
from .matching import Match, OfferedPlace, Reason, match
from .task_info import make_task, resolve_container_ports

REVIVE_TIMER: Final = "revive"
TOKENS_TIMER: Final = "launch-tokens"
DELAY_TIMER: Final = "launch-delay"
# Demand that is new has its revive at once, unless the last one is still without an answer: then it
# waits so long. The long gap (`min_revive_offers_s`) is for demand that had its revive: a user who
# posts a second app must not wait for it.
FRESH_REVIVE_GAP_S: Final = 0.1
_RECORD_MAX_BYTES: Final = 64 * 1024  # of an instance; far from what a store takes
# Come back at the next allocation: what was refused could have been used but for a limit of ours.
_AT_ONCE: Final = Filters(refuse_seconds=0.0)


@dataclass(slots=True)
class Demand:
    """One app that waits, and how offers fared. Times in wall seconds."""

    app: App
    count: int
    since: float
    processed: int = 0
    unused: int = 0
    last_used_at: float | None = None
    last_unused_at: float | None = None
    refused_in_all: dict[str, int] = field(default_factory=dict)
    last_refused: dict[str, Refused] = field(default_factory=dict)  # by agent
    census: Census | None = None
    census_at: tuple[int, int] | None = None  # configuration, and `Fleet.moves` then

    def used(self, at: float) -> None:
        self.processed += 1
        self.last_used_at = at

    def refused(self, offer: Offer, reason: Reason, at: float) -> None:
        self.processed += 1
        self.unused += 1
        self.last_unused_at = at
        self.refused_in_all[reason] = self.refused_in_all.get(reason, 0) + 1
        self.last_refused[offer.agent_id] = Refused(offer, reason, at)


_UNASKED: Final = Census(())


class _Fit(NamedTuple):
    """An instance that could be launched. data: its record as it is stored."""

    record: Instance
    data: bytes
    task: TaskInfo


class Launcher:
    """Turns offers into launches. Holds no offer: each is accepted or declined in its own step."""

    def __init__(self, state: State, backoffs: Backoffs) -> None:
        self._state = state
        self._backoffs = backoffs
        self._demands: dict[str, Demand] = {}
        self._tokens = state.config.launch_tokens
        self._tokens_timer_set = False
        self._suppressed = False
        self._revive_wanted_at: float | None = None  # monotonic seconds
        self._revived_at = float("-inf")
        self._answered = True  # offers have come since the last revive
        self._revive_timer_at: float | None = None
        self._delay_timers: dict[str, float] = {}  # by app; monotonic seconds

    # ---- what is wanted

    def want(self, app: App, count: int) -> None:
        """From now on `app` waits for `count` instances; 0: for none."""
        demand = self._demands.get(app.id)
        if count <= 0:
            self._demands.pop(app.id, None)
            return
        grown = demand is None or count > demand.count
        if demand is None:
            self._demands[app.id] = Demand(app, count, self._state.now.wall_s)
        else:
            grown = grown or demand.app.last_config_change_ms != app.last_config_change_ms
            demand.app, demand.count = app, count
        self._set_delay_timer(app)
        if grown and self._backoffs.until_s(app) is None:  # else the delay's timer asks
            self._ask_for_offers(FRESH_REVIVE_GAP_S)

    def want_none(self, app_id: str) -> None:
        self._demands.pop(app_id, None)

    def delay_reset(self, app_id: str) -> bool:
        """Launch without waiting. False if the app does not wait for offers."""
        if app_id not in self._demands:
            return False
        self._backoffs.reset(app_id)
        self._ask_for_offers(FRESH_REVIVE_GAP_S)
        return True

    def token_back(self, live: Live) -> None:
        """It runs, or has ended: another launch may begin in its place."""
        if live.has_token:
            live.has_token = False
            self._tokens = min(self._tokens + 1, self._state.config.launch_tokens)

    def queue(self) -> tuple[QueueItem, ...]:
        now_s = self._state.now.mono_s
        return tuple(
            QueueItem(
                demand.app,
                demand.count,
                max(0.0, (self._backoffs.until_s(demand.app) or now_s) - now_s),
                demand.since,
                demand.processed,
                demand.unused,
                demand.last_used_at,
                demand.last_unused_at,
                dict(demand.refused_in_all),
                tuple(demand.last_refused.values()),
                self._state.faults.get(demand.app.id),
            )
            for demand in self._demands.values()
        )

    def agent_lost(self, agent_id: str) -> None:
        for demand in self._demands.values():
            demand.last_refused.pop(agent_id, None)

    # ---- offers

    def on_offers(self, conn: ConnId, offers: Iterable[Offer]) -> None:
        self._answered = True
        ready = {
            id_: demand
            for id_, demand in self._demands.items()
            if self._backoffs.until_s(demand.app) is None
        }
        unused: list[OfferId] = []
        held: list[OfferId] = []
        for offer in offers:
            tasks, held_back = self._use(offer, ready)
            if tasks:
                accept = Accept((offer.id,), (Launch(tuple(tasks)),), _AT_ONCE)
                self._state.do(Call(conn, accept))
            else:
                (held if held_back else unused).append(offer.id)
        if unused:
            self._state.do(Call(conn, Decline(tuple(unused), Filters(self._refuse_s()))))
        if held:
            self._state.do(Call(conn, Decline(tuple(held), _AT_ONCE)))

    def _refuse_s(self) -> float:
        """Until when an offer that nobody can use now is of no use: the next delay may end before
        the filter does.
        """
        ends = [self._backoffs.until_s(demand.app) for demand in self._demands.values()]
        left_s = [end_s - self._state.now.mono_s for end_s in ends if end_s is not None]
        return min([self._state.config.decline_offer_s, *left_s])

    def _use(self, offer: Offer, ready: dict[str, Demand]) -> tuple[list[TaskInfo], bool]:
        """Launch what fits, up to the limits, of those that need not wait for their delay. Also:
        was something held back by a limit alone?"""
        state, limit = self._state, self._state.config.max_instances_per_offer
        place, left = OfferedPlace.of(offer), offer.resources
        tasks: list[TaskInfo] = []
        held_back = False
        for demand in list(ready.values()):
            app = demand.app
            before = len(tasks)
            while demand.count > 0:
                if self._tokens <= 0 or len(tasks) >= limit or state.full:
                    held_back = True
                    break
                fit = self._fit(demand, offer, place, left)
                if isinstance(fit, Reason):
                    if len(tasks) == before:
                        demand.refused(offer, fit, state.now.wall_s)
                    break
                tasks.append(self._launch(demand, fit))
                left = left - fit.task.resources
            if len(tasks) > before:
                demand.used(state.now.wall_s)
                state.absolve(app.id)
                # Whoever got something goes behind those who wait.
                del ready[app.id], self._demands[app.id]
                if demand.count > 0:
                    ready[app.id] = self._demands[app.id] = demand
            if held_back:
                break
        return tasks, held_back

    def _census(self, demand: Demand) -> Census:
        """Counted anew only when instances have come or gone by other ways than a launch."""
        app = demand.app
        if not app.constraints:
            return _UNASKED
        fleet = self._state.fleet(app.id)
        at = (app.last_config_change_ms, fleet.moves)
        if demand.census is None or demand.census_at != at:
            demand.census_at = at
            demand.census = Census(
                app.constraints,
                (
                    live.record
                    for live in fleet.instances.values()
                    if live.alive and live.record.config_ms == app.last_config_change_ms
                ),
            )
        return demand.census

    def _fit(
        self, demand: Demand, offer: Offer, place: OfferedPlace, left: Resources
    ) -> _Fit | Reason:
        """One more instance of the app on what is left of an offer. Changes nothing."""
        app = demand.app
        try:
            found = match(app, place, left, self._census(demand), self._state.rng)
            return found if isinstance(found, Reason) else self._made(app, offer, place, found)
        except DATA_ERRORS as error:
            self._state.blame(app.id, "placing it", error)
            return Reason.FAULT

    def _made(self, app: App, offer: Offer, place: OfferedPlace, found: Match) -> _Fit:
        state = self._state
        record = Instance(
            id=new_instance_id(app.id, state.ids.uuid()),
            app_id=app.id,
            version_ms=app.version_ms,
            config_ms=app.last_config_change_ms,
            agent_id=offer.agent_id,
            host=offer.hostname,
            staged_at=state.now.wall_s,
            role=offer.role,
            region=place.region,
            zone=place.zone,
            attributes=offer.attributes,
            host_ports=found.host_ports,
            container_ports=resolve_container_ports(app, found.host_ports),
        )
        data = encode(record)
        if len(data) > _RECORD_MAX_BYTES:
            raise ValueError(
                f"the record of an instance has {len(data)} bytes, more than {_RECORD_MAX_BYTES}: "
                f"the attributes of agent {offer.agent_id} are too large"
            )
        decode(Instance, data)  # what could not be loaded again is not launched
        task = make_task(app, record, found.resources, state.config.env_vars_prefix)
        return _Fit(record, data, task)

    def _launch(self, demand: Demand, fit: _Fit) -> TaskInfo:
        app, record = demand.app, fit.record
        live = self._state.launch(record, app, fit.data)
        if demand.census is not None:
            demand.census.add(record)
            demand.census_at = (app.last_config_change_ms, self._state.fleet(app.id).moves)
        live.has_token = True
        self._tokens -= 1
        demand.count -= 1
        self._state.do(Launched(app.id, record.task_id, record.agent_id))
        return fit.task

    # ---- timers

    def tokens_refilled(self) -> None:
        self._tokens_timer_set = False
        self._tokens = self._state.config.launch_tokens

    def delay_over(self, app_id: str) -> None:
        self._delay_timers.pop(app_id, None)
        if (demand := self._demands.get(app_id)) is None:
            return
        self._set_delay_timer(demand.app)  # it may have grown meanwhile
        if app_id not in self._delay_timers:
            self._ask_for_offers(self._state.config.min_revive_offers_s)

    def _set_delay_timer(self, app: App) -> None:
        until_s = self._backoffs.until_s(app)
        if until_s is not None and self._delay_timers.get(app.id) != until_s:
            self._delay_timers[app.id] = until_s
            self._state.do(SetTimer((DELAY_TIMER, app.id), until_s))

    def revive_due(self) -> None:
        self._revive_timer_at = None

    # ---- asking for offers, and for none

    def suppress(self) -> bool:
        """A new subscription begins: is it to be one without offers?"""
        self._suppressed = not self._demands
        self._revive_wanted_at = None
        return self._suppressed

    def subscribed(self) -> None:
        """It stands. No filter does; offers come by themselves, unless there was no need then."""
        if self._suppressed and self._demands:
            self._ask_for_offers(0.0)

    def _ask_for_offers(self, gap_s: float) -> None:
        if self._answered and gap_s <= FRESH_REVIVE_GAP_S:
            gap_s = 0.0  # the master keeps up
        at_s = max(self._state.now.mono_s, self._revived_at + gap_s)
        if self._revive_wanted_at is None or at_s < self._revive_wanted_at:
            self._revive_wanted_at = at_s

    def settle(self, conn: ConnId | None) -> None:
        """At the end of a step: suppress or revive, and set the timers that are needed."""
        state, now_s = self._state, self._state.now.mono_s
        if self._tokens < state.config.launch_tokens and not self._tokens_timer_set:
            self._tokens_timer_set = True
            state.do(SetTimer(TOKENS_TIMER, now_s + state.config.launch_token_refresh_s))
        if conn is None:
            return
        if not self._demands:
            self._revive_wanted_at = None
            if not self._suppressed:
                self._suppressed = True
                state.do(Call(conn, Suppress()))
        elif self._revive_wanted_at is not None:
            self._revive(conn, now_s, self._revive_wanted_at)

    def _revive(self, conn: ConnId, now_s: float, at_s: float) -> None:
        if at_s > now_s:
            if self._revive_timer_at != at_s:
                self._revive_timer_at = at_s
                self._state.do(SetTimer(REVIVE_TIMER, at_s))
            return
        self._revive_wanted_at = None
        if all(self._backoffs.until_s(demand.app) for demand in self._demands.values()):
            return  # the delay's timer asks again
        self._revived_at = now_s
        self._answered = False
        self._suppressed = False
        self._state.do(Call(conn, Revive()))
