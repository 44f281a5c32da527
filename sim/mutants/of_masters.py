"""Bugs in the master, except its allocator."""

from __future__ import annotations

from typing import Any

from mezzo import core as kernel
from mezzo.master import core, registry, rescinding
from mezzo.master.agents import merging_reports, pings, registration, unreachable
from mezzo.master.frameworks import subscribing
from mezzo.master.offers import accepting, declining, offering
from mezzo.master.offers.launching import _Launcher
from mezzo.master.tables import AGENTS
from mezzo.master.tasks import killing, reconciliation, status_updates
from mezzo.master.tasks import unique_leases as leases_of_the_master
from mezzo.master.timers import CycleDue
from mezzo.messages.agent import AgentReregistered, UpdateAcknowledged

from .mutant import mutant, never


@mutant("master", rescinding, "rescind_all_of_agent")
def offers_of_an_agent_that_left_stay(original: Any) -> Any:
    return never


@mutant("master", declining, "take_back_all")
def offers_of_a_framework_that_left_stay(original: Any) -> Any:
    return never


@mutant("master", declining, "give_back")
def what_was_declined_is_lost(original: Any) -> Any:
    return never


@mutant("master", offering, "schedule_cycle")
def nothing_is_offered_as_time_goes_by(original: Any) -> Any:
    def schedule(state: Any, step: Any) -> None:
        original(state, step)
        step.effects = [each for each in step.effects if getattr(each, "key", None) != CycleDue()]

    return schedule


@mutant("master", _Launcher, "_charge")
def a_launch_takes_nothing_from_its_offer(original: Any) -> Any:
    return never


@mutant("master", accepting, "_refuse")
def tasks_of_an_invalid_offer_are_not_answered(original: Any) -> Any:
    return never


@mutant("master", merging_reports, "_merge_task")
def what_runs_on_a_returning_agent_is_not_adopted(original: Any) -> Any:
    def merge(
        state: Any, step: Any, agent: Any, framework: Any, task: Any, *, resend: bool
    ) -> None:
        if (framework.id, task.task_id) in agent.tasks:
            original(state, step, agent, framework, task, resend=resend)

    return merge


@mutant("master", merging_reports, "merge_tasks")
def launches_that_never_arrived_are_not_asked_for(original: Any) -> Any:
    def merge(*args: Any, **kwargs: Any) -> tuple[()]:
        original(*args, **kwargs)
        return ()

    return merge


@mutant("master", registration, "disconnected")
def a_disconnected_agent_counts_as_connected(original: Any) -> Any:
    return never


@mutant("master", pings, "heard")
def missed_pings_are_never_forgiven(original: Any) -> Any:
    return never


@mutant("master", unreachable, "_lose")
def a_lost_agent_takes_its_tasks_along(original: Any) -> Any:
    def lose(state: Any, step: Any, agent: Any, why: str) -> None:
        for key in list(agent.tasks):
            status_updates.free(state, step, agent.tasks[key].info)
            del state.frameworks[key[0]].tasks[key[1]], agent.tasks[key]
        original(state, step, agent, why)

    return lose


@mutant("master", leases_of_the_master, "over_s")
def leases_are_not_waited_for(original: Any) -> Any:
    return lambda state, agent: agent.heard_s


@mutant("master", kernel.Step, "put")
def an_agent_is_admitted_but_not_stored(original: Any) -> Any:
    def put(self: Any, table: Any, record: Any) -> None:
        if table is not AGENTS or record.condition != "ADMITTED":
            original(self, table, record)

    return put


@mutant("master", registry, "keep_framework")
def a_framework_is_subscribed_but_not_stored(original: Any) -> Any:
    return never


@mutant("master", subscribing, "_take_over")
def two_processes_of_a_framework_are_connected(original: Any) -> Any:
    def take_over(state: Any, step: Any, framework: Any, conn: Any, info: Any) -> None:
        framework.info = info

    return take_over


@mutant("master", status_updates, "acknowledge")
def acknowledgements_stay_at_the_master(original: Any) -> Any:
    def acknowledge(state: Any, step: Any, framework: Any, call: Any) -> None:
        known = len(step.effects)
        original(state, step, framework, call)
        del step.effects[known:]

    return acknowledge


@mutant("master", status_updates, "update")
def the_master_acknowledges_for_the_framework(original: Any) -> Any:
    def update(state: Any, step: Any, agent: Any, message: Any) -> None:
        original(state, step, agent, message)
        status = message.status
        ack = UpdateAcknowledged(message.framework_id, status.task_id, status.uuid)
        step.to_agent(agent, ack)

    return update


@mutant("master", status_updates, "set_state")
def the_end_of_a_task_frees_nothing(original: Any) -> Any:
    def set_state(*args: Any) -> None:
        *_, entry, new = args
        entry.state = new

    return set_state


@mutant("master", reconciliation, "reconcile_one")
def reconciliation_by_name_is_not_answered(original: Any) -> Any:
    return never


@mutant("master", killing, "kill")
def kills_never_reach_the_agent(original: Any) -> Any:
    return never


@mutant("master", core, "_stream_closed")
def closed_streams_are_not_noticed(original: Any) -> Any:
    return never


@mutant("master", registration, "reregister")
def an_agent_that_comes_back_is_not_welcomed(original: Any) -> Any:
    def reregister(state: Any, step: Any, conn: Any, message: Any) -> None:
        original(state, step, conn, message)
        step.effects = [
            each
            for each in step.effects
            if not isinstance(getattr(each, "message", None), AgentReregistered)
        ]

    return reregister


@mutant("master", pings, "answered")
def pongs_are_not_counted(original: Any) -> Any:
    return never
