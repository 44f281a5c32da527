"""Offers become launches: fitting ones are accepted, others declined, each in its own step."""

from __future__ import annotations

from typing import Final, NamedTuple

from mezzo.cluster.model import Filters, Offer, TaskInfo
from mezzo.cluster.operations import Launch
from mezzo.cluster.resources import Resources
from mezzo.core import RECORD_BYTES_MAX
from mezzo.ids import AgentId, OfferId
from mezzo.messages.scheduler import Accept, Decline, Offers

from ..effects import Launched
from ..model.app import App
from ..model.instance import Instance, Live, new_instance_id
from ..state import faults, instance_changes
from ..state.census import Census
from ..state.launch_queue import Demand
from ..state.marathon_state import MarathonState
from ..state.step import Step
from ..state.tables import INSTANCES
from ..timers import TokensRefilled
from ..views import QueueItem
from . import backoff
from .matching import Match, OfferedPlace, Reason, match
from .task_info import make_task, resolve_container_ports

# Come back at the next allocation: the refused offer was of use but for a limit of ours.
_AT_ONCE: Final = Filters(refuse_seconds=0.0)
_UNASKED: Final = Census(())


class _Fit(NamedTuple):
    """An instance that could be launched. data: its record as it is stored."""

    record: Instance
    data: bytes
    task: TaskInfo


# ---- offers


def offered(state: MarathonState, step: Step, event: Offers) -> None:
    queue = state.queue
    queue.answered = True
    ready = {
        id_: demand
        for id_, demand in queue.demands.items()
        if backoff.until_s(state, step, demand.app) is None
    }
    unused: list[OfferId] = []
    held: list[OfferId] = []
    for offer in event.offers:
        tasks, held_back = _use(state, step, offer, ready)
        if tasks:
            step.call(Accept((offer.id,), (Launch(tuple(tasks)),), _AT_ONCE))
        else:
            (held if held_back else unused).append(offer.id)
    if unused:
        step.call(Decline(tuple(unused), Filters(_refuse_s(state, step))))
    if held:
        step.call(Decline(tuple(held), _AT_ONCE))


def _refuse_s(state: MarathonState, step: Step) -> float:
    """Until when an offer that nobody can use now is of no use: the next delay may end before
    the filter does.
    """
    ends = [backoff.until_s(state, step, demand.app) for demand in state.queue.demands.values()]
    left_s = [end_s - step.now.mono_s for end_s in ends if end_s is not None]
    return min([state.config.decline_offer_s, *left_s])


def _use(
    state: MarathonState, step: Step, offer: Offer, ready: dict[str, Demand]
) -> tuple[list[TaskInfo], bool]:
    """Launch what fits, up to the limits, for apps that need not wait for their delay. Also returns
    whether a limit alone has held something back."""
    queue, limit, now = state.queue, state.config.max_instances_per_offer, step.now
    place, left = OfferedPlace.of(offer), offer.resources
    tasks: list[TaskInfo] = []
    held_back = False
    for demand in list(ready.values()):
        app = demand.app
        before = len(tasks)
        while demand.count > 0:
            if queue.tokens <= 0 or len(tasks) >= limit or step.full:
                held_back = True
                break
            fit = _fit(state, step, demand, offer, place, left)
            if isinstance(fit, Reason):
                if len(tasks) == before:
                    demand.refused(offer, fit, now.wall_s)
                break
            tasks.append(_launch(state, step, demand, fit))
            left = left - fit.task.resources
        if len(tasks) > before:
            demand.used(now.wall_s)
            faults.absolve(state, app.id)
            # An app that got something goes behind those that wait.
            del ready[app.id], queue.demands[app.id]
            if demand.count > 0:
                ready[app.id] = queue.demands[app.id] = demand
        if held_back:
            break
    return tasks, held_back


def _census(state: MarathonState, demand: Demand) -> Census:
    """Counted anew only when instances have come or gone by other ways than a launch."""
    app = demand.app
    if not app.constraints:
        return _UNASKED
    fleet = state.fleet(app.id)
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
    state: MarathonState,
    step: Step,
    demand: Demand,
    offer: Offer,
    place: OfferedPlace,
    left: Resources,
) -> _Fit | Reason:
    """One more instance of the app on what is left of an offer. Changes nothing."""
    app = demand.app
    try:
        found = match(app, place, left, _census(state, demand), state.rng)
        return found if isinstance(found, Reason) else _made(state, step, app, offer, place, found)
    except faults.DATA_ERRORS as error:
        faults.blame(state, step, app.id, "placing it", error)
        return Reason.FAULT


def _made(
    state: MarathonState, step: Step, app: App, offer: Offer, place: OfferedPlace, found: Match
) -> _Fit:
    record = Instance(
        id=new_instance_id(app.id, state.ids.uuid()),
        app_id=app.id,
        version_ms=app.version_ms,
        config_ms=app.last_config_change_ms,
        agent_id=offer.agent_id,
        host=offer.hostname,
        staged_s=step.now.wall_s,
        role=offer.role,
        region=place.region,
        zone=place.zone,
        attributes=offer.attributes,
        host_ports=found.host_ports,
        container_ports=resolve_container_ports(app, found.host_ports),
    )
    data = INSTANCES.encode(record)
    if len(data) > RECORD_BYTES_MAX:
        raise ValueError(
            f"the record of an instance has {len(data)} bytes, more than {RECORD_BYTES_MAX}: "
            f"the attributes of agent {offer.agent_id} are too large"
        )
    INSTANCES.decode(data)  # an instance that could not be loaded again is not launched
    task = make_task(app, record, found.resources, state.config.env_vars_prefix)
    return _Fit(record, data, task)


def _launch(state: MarathonState, step: Step, demand: Demand, fit: _Fit) -> TaskInfo:
    app, record = demand.app, fit.record
    live = instance_changes.launch(state, step, record, app, fit.data)
    if demand.census is not None:
        demand.census.add(record)
        demand.census_at = (app.last_config_change_ms, state.fleet(app.id).moves)
    live.has_token = True
    state.queue.tokens -= 1
    demand.count -= 1
    step.do(Launched(app.id, record.task_id, record.agent_id))
    return fit.task


# ---- tokens: so many may be on their way at once


def token_back(state: MarathonState, live: Live) -> None:
    """The instance runs, or has ended: another launch may begin in its place."""
    if live.has_token:
        live.has_token = False
        state.queue.tokens = min(state.queue.tokens + 1, state.config.launch_tokens)


def tokens_refilled(state: MarathonState, _step: Step) -> None:
    state.queue.tokens_timer_set = False
    state.queue.tokens = state.config.launch_tokens


def settle(state: MarathonState, step: Step) -> None:
    """At the end of a step: tokens that were taken come back in time."""
    queue, config = state.queue, state.config
    if queue.tokens < config.launch_tokens and not queue.tokens_timer_set:
        queue.tokens_timer_set = True
        step.timer(TokensRefilled(), config.launch_token_refresh_s)


# ---- the queue, for those who ask


def waiting(state: MarathonState, step: Step) -> tuple[QueueItem, ...]:
    now_s = step.now.mono_s
    return tuple(
        QueueItem(
            demand.app,
            demand.count,
            max(0.0, (backoff.until_s(state, step, demand.app) or now_s) - now_s),
            demand.since_s,
            demand.processed,
            demand.unused,
            demand.last_used_s,
            demand.last_unused_s,
            dict(demand.refused_in_all),
            tuple(demand.last_refused.values()),
            state.faults.get(demand.app.id),
        )
        for demand in state.queue.demands.values()
    )


def agent_lost(state: MarathonState, agent_id: AgentId) -> None:
    for demand in state.queue.demands.values():
        demand.last_refused.pop(agent_id, None)
