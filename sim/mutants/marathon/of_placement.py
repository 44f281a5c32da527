"""Bugs in which offers Marathon wants, what it makes of them, and how long it waits."""

from __future__ import annotations

import random
from typing import Any

from mezzo.marathon.placement import backoff, environment, launcher, matching, reviving, task_info
from mezzo.marathon.state.census import Census
from mezzo.marathon.state.launch_queue import Demand
from mezzo.record import replace

from ..mutant import mutant, never


@mutant(backoff, "until_s")
def a_delay_never_ends(original: Any) -> Any:
    def until_s(state: Any, step: Any, app: Any) -> float | None:
        known = (app.id, app.last_config_change_ms) in state.queue.delays
        return step.now.mono_s + 3600.0 if known else None

    return until_s


@mutant(backoff, "failed")
def who_is_ill_delays_nothing(original: Any) -> Any:
    def failed(state: Any, step: Any, app: Any) -> None:
        original(state, step, replace(app, backoff_s=0.0))

    return failed


@mutant(backoff, "failed")
def a_delay_does_not_grow(original: Any) -> Any:
    def failed(state: Any, step: Any, app: Any) -> None:
        original(state, step, app)
        state.queue.delays[(app.id, app.last_config_change_ms)].delay_s = app.backoff_s

    return failed


@mutant(backoff, "progressed")
def a_delay_counts_from_the_failure(original: Any) -> Any:
    return never


@mutant(backoff, "reset")
def a_restarted_app_waits_all_the_same(original: Any) -> Any:
    return never


@mutant(backoff, "until_s")
def a_delay_is_over_half_a_second_too_early(original: Any) -> Any:
    def until_s(state: Any, step: Any, app: Any) -> float | None:
        end_s: float | None = original(state, step, app)
        return None if end_s is None or end_s - 0.5 <= step.now.mono_s else end_s - 0.5

    return until_s


@mutant(environment, "task_environment")
def the_ports_of_a_task_have_no_prefix(original: Any) -> Any:
    return lambda app, instance, prefix: original(app, instance, None)


@mutant(launcher, "offered")
def offers_that_are_of_no_use_are_kept(original: Any) -> Any:
    def offered(state: Any, step: Any, event: Any) -> None:
        if state.queue.demands:
            original(state, step, event)

    return offered


@mutant(launcher, "resolve_container_ports")
def ports_in_a_container_are_those_on_its_host(original: Any) -> Any:
    return lambda app, host_ports: tuple(port or 0 for port in host_ports)


@mutant(launcher, "_census")
def constraints_see_nobody(original: Any) -> Any:
    return lambda state, demand: Census(demand.app.constraints)


@mutant(launcher, "_refuse_s")
def offers_are_declined_beyond_the_next_delay(original: Any) -> Any:
    return lambda state, step: state.config.decline_offer_s


@mutant(launcher, "token_back")
def launch_tokens_come_back_only_with_time(original: Any) -> Any:
    return never


@mutant(matching, "pick_host_ports")
def ports_are_used_but_not_taken(original: Any) -> Any:
    def pick(wanted: Any, offered: Any, rng: Any) -> Any:
        found = original(wanted, offered, random.Random(1))
        return None if found is None else (found[0], {})

    return pick


@mutant(reviving, "settle")
def nothing_is_ever_revived(original: Any) -> Any:
    return never


@mutant(reviving, "delay_reset")
def a_delay_that_is_reset_goes_on(original: Any) -> Any:
    return lambda state, step, app_id: app_id in state.queue.demands


@mutant(reviving, "delay_over")
def nobody_asks_for_offers_when_a_delay_is_over(original: Any) -> Any:
    return never


@mutant(reviving, "settle")
def offers_are_wanted_by_nobody(original: Any) -> Any:
    def settle(state: Any, step: Any) -> None:
        if state.queue.demands:
            original(state, step)

    return settle


@mutant(task_info, "_labels")
def a_task_has_none_of_its_labels(original: Any) -> Any:
    return lambda labels: ()


@mutant(Demand, "refused")
def nobody_notes_why_an_offer_was_not_used(original: Any) -> Any:
    def refused(self: Any, offer: Any, reason: Any, at: float) -> None:
        self.processed += 1
        self.unused += 1

    return refused
