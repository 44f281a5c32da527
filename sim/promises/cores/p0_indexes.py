"""What all promises stand on: an index holds what a look at everything finds.

Each index and count of a core is made anew from its source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from mezzo.agent.core import AgentCore
from mezzo.ids import FrameworkId
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.model.instance import Fleet, Tally
from mezzo.marathon.state.census import Census
from mezzo.master.core import MasterCore
from mezzo.master.state.agent_entry import Standing
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.master.state.master_state import MasterState

from ...world.watched import Broken


def _same(what: str, kept: object, anew: object) -> None:
    if kept != anew:
        raise Broken(f"durability: {what} is kept as {kept}, and made anew it is {anew}")


# ---------------------------------------------------------------------------------- masters


def look_at_master(core: MasterCore) -> None:
    state = core.state
    agents, frameworks = state.agents, state.frameworks
    back = {a.id for a in agents.values() if a.standing is not Standing.RECOVERED}
    streams = {a.conn: a.id for a in agents.values() if a.conn is not None}
    _same("which agent a stream is of", state.agent_of, streams)
    open_ = {f.conn: f.id for f in frameworks.values() if f.conn is not None}
    _same("which framework a stream is of", state.framework_of, open_)
    away = {f.id: f.info.name for f in frameworks.values() if f.conn is None}
    _same("who is away", set(state.away.oldest()), set(away))
    for name in {f.info.name for f in frameworks.values()}:
        named = {id_ for id_, own in away.items() if own == name}
        _same(f"who of {name} is away", set(state.away.oldest(name)), named)
    at: dict[tuple[str, int], set[str]] = {}
    for agent in agents.values():
        at.setdefault(agent.place, set()).add(agent.id)
    _same("who answers where", {place: set(ids) for place, ids in state.agents_at.items()}, at)
    _same("who is pinged", state.pings.agents, back)
    _same("who can be offered", set(state.allocator._books.agents), back)
    names = Counter(
        n for a in agents.values() for n in {k.name for k, _ in a.info.resources.items()}
    )
    _same("how many have a resource", state.types._agents, dict(names))
    _same("whether offers wait", state.allocator.paused, state.agents_awaited > 0)
    who_leaves_waits_no_more(state)
    _offers(state)
    for gone in state.completed.values():
        held = [gone.tasks, gone.unreachable, gone.executors, gone.operations, gone.offers]
        rest = any([*held, gone.inverse_offers, gone.conn, gone.admission])
        _same(f"whether framework {gone.id}, which is gone, has anything", rest, False)
    for framework in frameworks.values():
        _framework(state, framework)


def who_leaves_waits_no_more(state: MasterState) -> None:
    for framework in state.frameworks.values():
        if framework.conn is None and framework.admission is not None:
            raise Broken(f"durability: {framework.id} is away, and waits to be admitted")


def _offers(state: MasterState) -> None:
    by_agent = {id_: a.id for a in state.agents.values() for id_ in a.offers}
    _same("offers by agent", by_agent, {o.id: o.agent_id for o in state.offers.values()})
    by_framework = {id_: f.id for f in state.frameworks.values() for id_ in f.offers}
    _same(
        "offers by framework", by_framework, {o.id: o.framework_id for o in state.offers.values()}
    )
    inverse = {
        each.id: (each.agent_id, framework.id)
        for framework in state.frameworks.values()
        for each in framework.inverse_offers.values()
    }
    all_ = {each.id: (each.agent_id, each.framework_id) for each in state.inverse_offers.values()}
    _same("inverse offers by framework", inverse, all_)


def _framework(state: MasterState, framework: FrameworkEntry) -> None:
    own = framework.id
    agents = state.agents.values()
    tasks = {id_: entry for a in agents for (of, id_), entry in a.tasks.items() if of == own}
    _same(f"the tasks of {own}", set(framework.tasks), set(tasks))
    _same(
        f"the tasks of {own} that have ended",
        set(framework.ended),
        {id_ for id_, entry in tasks.items() if entry.state.terminal},
    )
    executors = {(a.id, id_) for a in agents for of, id_ in a.executors if of == own}
    _same(f"the executors of {own}", set(framework.executors), executors)
    for agent_id, executor_id in executors:
        executor = framework.executors[(agent_id, executor_id)]
        live = {id_ for id_ in executor.launched if not _over(state, own, id_)}
        _same(f"what executor {executor_id} of {own} waits for", executor.launched, live)
    operations = {
        (record.info.id, a.id, record.uuid)
        for a in agents
        for record in a.operations.values()
        if record.framework_id == own and record.info.id is not None
    }
    # Of two with one id the newer one is known.
    known = {(id_, *place) for id_, place in framework.operations.items()}
    _same(f"the operations of {own} that nobody does", known - operations, set())
    _same(
        f"the ids of the operations of {own}",
        {id_ for id_, _, _ in known},
        {id_ for id_, _, _ in operations},
    )


def _over(state: MasterState, framework_id: FrameworkId, task_id: Any) -> bool:
    entry = state.frameworks[framework_id].tasks.get(task_id)
    return entry is None or entry.state.terminal


# ---------------------------------------------------------------------------------- agents


def look_at_agent(core: AgentCore) -> None:
    checkpoint = core.state.checkpoint
    containers = {
        task.container_id: key
        for key, task in checkpoint.tasks.items()
        if task.container_id is not None
    }
    _same("which task a container is of", checkpoint.by_container, containers)
    known = {key[0] for key in checkpoint.tasks}
    _same("frameworks without a task", set(checkpoint.frameworks) - known, set())


# ---------------------------------------------------------------------------------- Marathons


def look_at_marathon(core: MarathonCore) -> None:
    state = core.state
    lives = list(state.by_id.values())
    _same("instances by task", state.by_task, {live.record.task_id: live for live in lives})
    fleets = {live.id: live for fleet in state.fleets.values() for live in fleet.instances.values()}
    _same("instances by app", fleets.keys(), state.by_id.keys())
    for app_id, fleet in state.fleets.items():
        _fleet(app_id, fleet)
    ports = Counter(port for app in state.apps.values() for port in app.service_ports)
    _same("service ports", state.service_ports.counts, dict(ports))
    locks = {app_id: each for each in state.running.values() for app_id in each.changes}
    _same("which deployment an app is in", state.locks.keys(), locks.keys())
    for running in state.running.values():
        left = sum(not work.done for work in running.work.values())
        _same(f"how much deployment {running.plan.id} has to do", running.left, left)
    kills = state.kills
    sent = [live for live, _ in kills.sent.values()]
    ending = [*kills.new.values(), *kills.waiting.values(), *sent]
    doomed = {live.id for live in lives if live.doomed}
    _same("who is to end", {live.id for live in ending}, doomed)
    for demand in state.queue.demands.values():
        _census(state.fleets.get(demand.app.id), demand)


def _fleet(app_id: str, fleet: Fleet) -> None:
    tallies: dict[int, Tally] = {}
    for live in fleet.instances.values():
        config, alive, active, ready = live.classify()
        tally = tallies.setdefault(config, Tally())
        tally.alive += alive
        tally.active += active
        tally.ready += ready
    some = {config: tally for config, tally in tallies.items() if tally.alive}
    _same(f"how many of {app_id} there are", fleet.tallies, some)


def _census(fleet: Fleet | None, demand: Any) -> None:
    """Where the others are, if that was counted and is still thought to be so."""
    app, census = demand.app, demand.census
    if fleet is None or demand.census_at != (app.last_config_change_ms, fleet.moves):
        return
    anew = Census(app.constraints, _counted(fleet, app.last_config_change_ms))
    _same(f"where the instances of {app.id} are", census._counts, anew._counts)


def _counted(fleet: Fleet, config_ms: int) -> Iterable[Any]:
    return (
        live.record
        for live in fleet.instances.values()
        if live.alive and live.record.config_ms == config_ms
    )


class Moves:
    """`Fleet.moves` tells whether anybody came, went, or is (not) alive any more."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[Fleet, int, dict[str, tuple[int, bool]]]] = {}

    def look(self, core: MarathonCore) -> None:
        for app_id, fleet in core.state.fleets.items():
            now = {id_: live.classify()[:2] for id_, live in fleet.instances.items()}
            before = self._before.get(app_id)
            if before is not None and before[0] is fleet and before[1] == fleet.moves:
                _same(f"without a move of {app_id} who is alive", before[2], now)
            self._before[app_id] = (fleet, fleet.moves, now)
