"""Metrics by Mesos' names: counters grow where things happen, gauges are computed when asked.

Counters live as long as this master leads. Those of a framework go with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote

from mezzo.cluster.amounts import from_milli
from mezzo.cluster.model import TaskStatus
from mezzo.cluster.resources import SCALARS, Resources
from mezzo.cluster.states import TaskState
from mezzo.core import TimerFired
from mezzo.ids import ConnId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import Record

from .effects import ToAgent, ToFramework
from .events import AgentSaid, FrameworkSaid, MasterEvent
from .state.agent_entry import Standing
from .state.framework_entry import FrameworkEntry
from .state.master_state import MasterState
from .state.step import Step
from .state.task_entry import TaskEntry
from .timers import AllocationDue, CycleDue

RUN_TIMERS: Final = (AllocationDue, CycleDue)  # what runs an allocation

_FROM_AGENTS: Final[Mapping[type[Record], str]] = {
    am.RegisterAgent: "messages_register_slave",
    am.ReregisterAgent: "messages_reregister_slave",
    am.UnregisterAgent: "messages_unregister_slave",
    am.StatusUpdate: "messages_status_update",
    am.OperationUpdate: "messages_operation_status_update",
    am.ExecutorMessage: "messages_executor_to_framework",
    am.ExecutorExited: "messages_exited_executor",
}
_FROM_FRAMEWORKS: Final[Mapping[type[Record], str]] = {
    sm.Subscribe: "messages_register_framework",
    sm.UpdateFramework: "messages_update_framework",
    sm.Teardown: "messages_unregister_framework",
    sm.Accept: "messages_launch_tasks",
    sm.Decline: "messages_decline_offers",
    sm.AcceptInverseOffers: "messages_accept_inverse_offers",
    sm.DeclineInverseOffers: "messages_decline_inverse_offers",
    sm.Revive: "messages_revive_offers",
    sm.Suppress: "messages_suppress_offers",
    sm.Kill: "messages_kill_task",
    sm.Shutdown: "messages_shutdown_executor",
    sm.Acknowledge: "messages_status_update_acknowledgement",
    sm.AcknowledgeOperationStatus: "messages_operation_status_update_acknowledgement",
    sm.Reconcile: "messages_reconcile_tasks",
    sm.ReconcileOperations: "messages_reconcile_operations",
    sm.Message: "messages_framework_to_executor",
    sm.Request: "messages_resource_request",
}
_TO_AGENTS: Final[Mapping[type[Record], str]] = {
    am.AgentRegistered: "slave_registrations",
    am.AgentReregistered: "slave_reregistrations",
}
_ENDS: Final = tuple(state for state in TaskState if state.terminal)
_LIVE: Final = tuple(state for state in TaskState if not state.terminal)
# Shown from the beginning: an operator who watches a counter wants to see its zero.
_COUNTERS: Final = (
    *_FROM_AGENTS.values(),
    *_FROM_FRAMEWORKS.values(),
    *(f"tasks_{state.removeprefix('TASK_').lower()}" for state in _ENDS),
    *_TO_AGENTS.values(),
    "slave_removals",
    "slave_unreachable_scheduled",
    "slave_unreachable_completed",
    "slave_unreachable_canceled",
    "valid_status_updates",
    "invalid_status_updates",
    "dropped_messages",
)
NAME_MAX_CHARS: Final = 100  # of a framework's name in those of its metrics
_SAFE: Final = " !\"#$&'()*+,:;<=>?@[\\]^`{|}"  # readable, whatever it is for URLs


# ---------------------------------------------------------------------------------- counting


def observe(state: MasterState, event: MasterEvent, step: Step) -> None:
    """Count what came in and what goes out. Called after each step."""
    # `type() is` and not isinstance: this is done for everything, all the time.
    if type(event) is AgentSaid:
        if name := _FROM_AGENTS.get(type(event.message)):
            step.count(name)
    elif type(event) is FrameworkSaid:
        if (framework := _of(state, event.conn)) is not None:
            step.count("calls", framework)
            step.count(_FROM_FRAMEWORKS[type(event.call)])
        else:
            step.count("dropped_messages")
    elif type(event) is TimerFired and type(event.key) in RUN_TIMERS:
        step.count("allocation_runs")
    for effect in step.effects:
        if type(effect) is ToFramework:
            if (framework := _of(state, effect.conn)) is not None:
                _count_event(step, framework, effect.event)
        elif type(effect) is ToAgent and (name := _TO_AGENTS.get(type(effect.message))):
            step.count(name)


def _count_event(step: Step, framework: FrameworkEntry, event: sm.Event) -> None:
    step.count("events", framework)
    if type(event) is sm.Offers:
        step.count("offers/sent", framework, len(event.offers))
    elif type(event) is sm.Rescind:
        step.count("offers/rescinded", framework)


def _of(state: MasterState, conn: ConnId) -> FrameworkEntry | None:
    framework_id = state.framework_of.get(conn)
    return None if framework_id is None else state.frameworks.get(framework_id)


def task_over(step: Step, framework: FrameworkEntry, state: TaskState) -> None:
    """The task's latest state has become terminal; for a task that never was, its only one."""
    short = state.removeprefix("TASK_").lower()
    step.count(f"tasks_{short}")
    step.count(f"tasks/terminal/{state.lower()}", framework)


def status_came(step: Step, entry: TaskEntry | None, status: TaskStatus) -> None:
    """An agent's update came. A repeated one counts as valid, not as a new end."""
    step.count("invalid_status_updates" if entry is None else "valid_status_updates")
    if entry is not None and status.state.terminal:
        told = entry.forwarded
        if told is None or told.uuid != status.uuid:
            end_told(step, status)


def end_told(step: Step, status: TaskStatus) -> None:
    """The end of a task, with who says so and why."""
    state, source, reason = status.state, status.source, status.reason
    if source is not None and reason is not None:
        step.count(f"{state}/{source}/{reason}".lower())


# ---------------------------------------------------------------------------------- telling


def view(state: MasterState, step: Step, _: om.GetMetrics) -> om.Metrics:
    """All metrics, sorted by name."""
    found = {
        **dict(_of_the_master(state, step.now.wall_s)),
        **dict(_of_the_allocator(state)),
        **{
            f"master/frameworks/{_escaped(entry.info.name)}/{entry.id}/{name}": value
            for entry in state.frameworks.values()
            for name, value in _of_a_framework(entry)
        },
    }
    return om.Metrics(tuple(om.Metric(name, float(found[name])) for name in sorted(found)))


def _of_the_master(state: MasterState, now_s: float) -> Iterator[tuple[str, float]]:
    counters = dict.fromkeys(_COUNTERS, 0) | state.counters
    runs = counters.pop("allocation_runs", 0)
    yield "allocator/mesos/allocation_runs", runs
    for name, count in counters.items():
        yield f"master/{name}", count
    yield "master/elected", 1
    yield "master/uptime_secs", now_s - state.elected_s
    yield "master/set_aside_records", len(state.set_aside)
    yield "master/outstanding_offers", len(state.offers)
    yield "master/operator_event_stream_subscribers", len(state.operators)
    yield from _of_agents(state)
    entries = state.frameworks.values()
    connected = sum(entry.conn is not None for entry in entries)
    for word in ("active", "connected"):
        yield f"master/frameworks_{word}", connected
    for word in ("inactive", "disconnected"):
        yield f"master/frameworks_{word}", len(entries) - connected
    states = Counter(task.state for entry in entries for task in entry.tasks.values())
    states[TaskState.UNREACHABLE] += sum(len(entry.unreachable) for entry in entries)
    for each in _LIVE:
        yield f"master/tasks_{each.removeprefix('TASK_').lower()}", states[each]


def _of_agents(state: MasterState) -> Iterator[tuple[str, float]]:
    back = [a for a in state.agents.values() if a.standing is not Standing.RECOVERED]
    connected = sum(agent.connected for agent in back)
    active = sum(agent.active for agent in back)
    yield "master/slaves_connected", connected
    yield "master/slaves_disconnected", len(back) - connected
    yield "master/slaves_active", active
    yield "master/slaves_inactive", len(back) - active
    yield "master/slaves_unreachable", len(state.unreachable)
    yield "master/slaves_recovered", len(state.agents) - len(back)
    total, used = _sums(state)
    for kind in ("", "_revocable"):
        for name in SCALARS:
            have, taken = total[f"{name}{kind}"], used[f"{name}{kind}"]
            yield f"master/{name}{kind}_total", from_milli(have)
            yield f"master/{name}{kind}_used", from_milli(taken)
            yield f"master/{name}{kind}_percent", taken / have if have else 0.0


def _sums(state: MasterState) -> tuple[Counter[str], Counter[str]]:
    """Thousandths by `Kind.summed_as`: all, and what tasks and executors have."""
    total: Counter[str] = Counter()
    used: Counter[str] = Counter()
    for agent in state.agents.values():
        if agent.standing is not Standing.RECOVERED:
            _add(total, [agent.info.resources])
            _add(used, (t.info.resources for t in agent.tasks.values() if t.holds_resources))
            _add(used, (executor.info.resources for executor in agent.executors.values()))
    return total, used


def _add(sums: Counter[str], parts: Iterable[Resources]) -> None:
    for part in parts:
        for kind, value in part.items():
            if type(value) is int:
                sums[kind.summed_as] += value


def _of_the_allocator(state: MasterState) -> Iterator[tuple[str, float]]:
    total: Counter[str] = Counter()
    for agent in state.agents.values():
        if agent.standing is not Standing.RECOVERED:
            total.update(agent.info.resources.quantities())
    taken: Counter[str] = Counter()
    for books in state.allocator.roles():
        role = books.role
        held = Counter(books.allocated) + Counter(books.offered)
        if "/" not in role:  # what is below a role counts for it
            taken.update(held)
        yield f"allocator/mesos/roles/{role}/shares/dominant", books.share
        yield f"allocator/mesos/offer_filters/roles/{role}/active", books.refusals
        if books.quota is None:
            continue
        amounts = {
            "guarantee": books.quota.guarantees,
            "limit": books.quota.limits,
            "consumed": books.consumed,
            "offered_or_allocated": held,
        }
        for name in (*books.quota.guarantees, *books.quota.limits):
            for what, of in amounts.items():
                if name in of or what not in ("guarantee", "limit"):
                    key = f"allocator/mesos/quota/roles/{role}/resources/{name}/{what}"
                    yield key, from_milli(of.get(name, 0))
    for name in total:
        yield f"allocator/mesos/resources/{name}/total", from_milli(total[name])
        yield f"allocator/mesos/resources/{name}/offered_or_allocated", from_milli(taken[name])


def _of_a_framework(entry: FrameworkEntry) -> Iterator[tuple[str, float]]:
    yield "subscribed", entry.conn is not None
    yield from entry.counters.items()
    for state, count in Counter(task.state for task in entry.tasks.values()).items():
        yield f"tasks/active/{state.lower()}", count


def _escaped(name: str) -> str:
    """A slash would look like the next part of the metric's name. What is long is cut: there are
    many metrics of each framework, told apart by its id."""
    return quote(name[:NAME_MAX_CHARS], safe=_SAFE)
