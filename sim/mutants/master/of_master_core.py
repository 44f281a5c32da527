"""Bugs in what the master stores, loads and sets timers for."""

from __future__ import annotations

from typing import Any

from mezzo import core
from mezzo.errors import Corrupt
from mezzo.master import core as master_core
from mezzo.master import loading, registry
from mezzo.master.state.budget import Budget
from mezzo.master.state.master_state import MasterState
from mezzo.master.state.step import Step
from mezzo.master.tables import AGENTS, MAINTENANCE, QUOTAS, WEIGHTS

from ..mutant import all_but, mutant, never


@mutant(core.Step, "timer")
def timers_of_the_master_go_by_the_wall(original: Any) -> Any:
    def timer(self: Any, key: Any, after_s: float) -> None:
        if isinstance(self, Step) and after_s:
            self.timer_at(key, self.now.wall_s + after_s)
        else:
            original(self, key, after_s)

    return timer


@mutant(core.Step, "cancel")
def timers_outlive_what_they_are_for(original: Any) -> Any:
    def cancel(self: Any, key: Any) -> None:
        if not isinstance(self, Step):
            original(self, key)

    return cancel


@mutant(core.Step, "put")
def an_agent_is_admitted_but_not_stored(original: Any) -> Any:
    def put(self: Any, table: Any, record: Any) -> None:
        if table is not AGENTS or record.condition != "ADMITTED":
            original(self, table, record)

    return put


@mutant(core.Step, "put")
def maintenance_is_not_stored(original: Any) -> Any:
    return all_but(MAINTENANCE, original)


@mutant(core.Step, "put")
def a_quota_is_not_stored(original: Any) -> Any:
    return all_but(QUOTAS, original)


@mutant(core.Step, "put")
def a_weight_is_not_stored(original: Any) -> Any:
    return all_but(WEIGHTS, original)


@mutant(master_core, "_stream_closed")
def closed_streams_are_not_noticed(original: Any) -> Any:
    return never


@mutant(master_core, "_framework_said")
def a_call_is_that_of_whom_it_names(original: Any) -> Any:
    def said(state: Any, step: Any, event: Any) -> None:
        conn, named_id = event.conn, event.framework_id
        own = state.framework_of.get(conn)
        if own is not None and named_id in state.frameworks:
            state.framework_of[conn] = named_id
        try:
            original(state, step, event)
        finally:
            if own is not None and conn in state.framework_of:
                state.framework_of[conn] = own

    return said


@mutant(loading, "load")
def what_the_master_can_not_read_is_dropped(original: Any) -> Any:
    def load(state: Any, stored: Any) -> None:
        original(state, stored)
        state.set_aside.clear()

    return load


@mutant(loading, "load")
def what_the_master_can_not_read_ends_it(original: Any) -> Any:
    def load(state: Any, stored: Any) -> None:
        original(state, stored)
        if state.set_aside:
            raise Corrupt(str(state.set_aside))

    return load


@mutant(registry, "keep_framework")
def a_framework_is_subscribed_but_not_stored(original: Any) -> Any:
    return never


@mutant(MasterState, "dismiss")
def of_an_agent_that_is_gone_its_address_is_kept(original: Any) -> Any:
    def dismiss(self: Any, agent: Any) -> None:
        original(self, agent)
        self.agents_at.setdefault(agent.place, {})

    return dismiss


@mutant(Step, "full")
def portions_are_one_too_large(original: Any) -> Any:
    def full(self: Any) -> Any:
        config = self.state.config
        return len(self.writes) > config.step_writes or self.bytes >= config.step_bytes

    return property(full)


@mutant(Budget, "take")
def budgets_fill_too_fast(original: Any) -> Any:
    def take(self: Any, amount: float, now_s: float) -> Any:
        self.left_amount += (now_s - self.since_s) * self.per_s
        return original(self, amount, now_s)

    return take
