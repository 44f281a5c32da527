"""Promise 8 for operators: the metrics, counted and summed up anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from mezzo.cluster.states import TaskState
from mezzo.messages import operator as om

from ..allocator.sums import by_firmness, scalars
from . import tally
from .heard import CALLED, CAME, SENT
from .look import Look

_ROUNDING: Final = 1e-9
_SCALARS: Final = ("cpus", "mem", "disk", "gpus")


def check_metrics(look: Look) -> None:
    found = {metric.name: metric.value for metric in look.read(om.GetMetrics()).metrics}
    for name, value in (_gauges(look) | _counters(look) | _resources(look)).items():
        shown = found.get(f"master/{name}")
        if shown is None or abs(shown - value) > _ROUNDING * max(1.0, abs(value)):
            look.same(f"master/{name}", shown, value)
    _allocator_metrics(look, found)
    _ends(look, found)
    _framework_metrics(look, found)


def _gauges(look: Look) -> dict[str, float]:
    state = look.state
    active = sum(agent.conn is not None and not agent.record.deactivated for agent in look.back)
    connected = sum(agent.conn is not None for agent in look.back)
    here, known = len(state.framework_of), len(state.frameworks)
    now = Counter(entry.state for f in state.frameworks.values() for entry in f.tasks.values())
    now[TaskState.UNREACHABLE] += sum(len(f.unreachable) for f in state.frameworks.values())
    return {
        "slaves_connected": connected,
        "slaves_disconnected": len(look.back) - connected,
        "slaves_active": active,
        "slaves_inactive": len(look.back) - active,
        "slaves_unreachable": len(state.unreachable),
        "slaves_recovered": len(state.agents) - len(look.back),
        "frameworks_connected": here,
        "frameworks_active": here,
        "frameworks_disconnected": known - here,
        "frameworks_inactive": known - here,
        "outstanding_offers": len(state.offers),
        "set_aside_records": len(look.read(om.GetSetAside()).records),
        "operator_event_stream_subscribers": len(state.operators),
        "elected": 1,
        "uptime_secs": look.now.wall_s - state.elected_s,
    } | {
        f"tasks_{each.removeprefix('TASK_').lower()}": now[each]
        for each in TaskState
        if not each.terminal
    }


def _counters(look: Look) -> dict[str, float]:
    names = (*CAME.values(), *CALLED.values(), *SENT.values())
    return {name: look.term.counters[name] for name in names}


def _resources(look: Look) -> dict[str, float]:
    total = by_firmness(agent.info.resources for agent in look.back)
    back = {agent.id: None for agent in look.back}
    used = by_firmness(of for at, _, _, of in look.taken if at in back)
    expected = {}
    for name in (*_SCALARS, *(f"{name}_revocable" for name in _SCALARS)):
        have, has = total[name], used[name]
        expected[f"{name}_total"] = have / 1000
        expected[f"{name}_used"] = has / 1000
        expected[f"{name}_percent"] = has / have if have else 0.0
    return expected


def _framework_metrics(look: Look, found: Mapping[str, float]) -> None:
    for framework in look.state.frameworks.values():
        name = framework.info.name
        if not name.isalnum():
            continue  # it is escaped
        counters = look.term.of(framework.id)
        head = f"master/frameworks/{name}/{framework.id}"
        look.same(f"{head}/subscribed", found.get(f"{head}/subscribed"), framework.conn is not None)
        for each in ("events", "offers/sent", "offers/rescinded"):
            look.same(f"{head}/{each}", found.get(f"{head}/{each}", 0), counters[each])
        for task_state, count in Counter(t.state for t in framework.tasks.values()).items():
            key = f"{head}/tasks/active/{task_state.lower()}"
            look.same(key, found.get(key), count)


def _allocator_metrics(look: Look, found: Mapping[str, float]) -> None:
    """Of agents that are back since a failover, whatever has become of them since then."""
    state = look.state
    total = scalars((agent.info.resources for agent in look.back), shared=True)
    back = {agent.id: None for agent in look.back}
    held = [of for at, _, _, of in look.taken if at in back]
    held += [offer.resources for offer in state.offers.values()]
    taken_of = scalars(held)
    for name in _SCALARS:
        head = f"allocator/mesos/resources/{name}"
        if total[name]:
            look.same(f"{head}/total", found.get(f"{head}/total"), total[name] / 1000)
            shown = found.get(f"{head}/offered_or_allocated")
            look.same(f"{head}/offered_or_allocated", shown, taken_of[name] / 1000)
    head = "allocator/mesos/quota/roles"
    right = {
        f"{head}/{role}/resources/{name}/{what}": amount / 1000
        for role, config in state.quotas.items()
        for what, amounts in (("guarantee", config.guarantees), ("limit", config.limits))
        for name, amount in amounts.items()
    }
    kinds = ("/guarantee", "/limit")
    shown_of = {k: n for k, n in found.items() if k.startswith(head) and k.endswith(kinds)}
    look.same("what metrics have of quotas", shown_of, right)
    runs = found.get("allocator/mesos/allocation_runs")
    look.same("allocation_runs", runs, look.term.counters["allocation_runs"])


def _ends(look: Look, found: Mapping[str, float]) -> None:
    """Each end was told once, to operators as to frameworks."""
    counted = look.term.tally
    if counted is None:
        return
    ends = counted.counters
    for name in (*tally.ENDS, *tally.UPDATES, "slave_removals"):
        look.same(f"master/{name}", found.get(f"master/{name}"), ends[name])
    right = {name: count for name, count in ends.items() if name.startswith("task_")}
    look.same("why tasks have ended", _below("master/task_", found, "task_"), right)
    for framework in look.state.frameworks.values():
        if framework.info.name.isalnum():
            head = f"master/frameworks/{framework.info.name}/{framework.id}/tasks/terminal/"
            own = counted.by_framework.get(framework.id, Counter())
            right = {k: n for k, n in own.items() if k.startswith("tasks/terminal/")}
            look.same(f"{head}*", _below(head, found, "tasks/terminal/"), right)


def _below(head: str, found: Mapping[str, float], name: str) -> dict[str, float]:
    """Those whose names begin so, with the rest behind `name`."""
    return {name + k.removeprefix(head): n for k, n in found.items() if k.startswith(head)}
