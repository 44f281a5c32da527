"""What is told of the cluster, and is not so; calls that are answered wrongly."""

from __future__ import annotations

from typing import Any

from mezzo.agent.state.agent_task import AgentTask
from mezzo.agent.tasks import outgoing_updates
from mezzo.master import metrics, views
from mezzo.master.allocator import role_views as views_of_roles
from mezzo.master.allocator.filters import Filters
from mezzo.master.offers import launching
from mezzo.master.offers.launching import _Launcher
from mezzo.master.operators import event_stream
from mezzo.master.state.event_history import Journal
from mezzo.master.tasks import reconciliation, status_updates
from mezzo.record import replace

from .mutant import mutant, never

# ---------------------------------------------------------------------------------- reads


@mutant("reads", views, "used_on")
def what_runs_on_an_agent_is_not_shown(original: Any) -> Any:
    return lambda entry: {}


@mutant("reads", views_of_roles, "consumed")
def what_is_reserved_is_not_shown_as_consumed(original: Any) -> Any:
    return lambda books, role: {}


@mutant("reads", metrics, "_of")
def what_frameworks_say_is_not_counted(original: Any) -> Any:
    return lambda state, conn: None


@mutant("reads", event_stream, "publish_views")
def who_has_what_is_never_published(original: Any) -> Any:
    def publish_views(state: Any, step: Any) -> None:
        state.views_due = False
        state.changed_agents, state.changed_frameworks = {}, {}

    return publish_views


@mutant("reads", metrics, "end_told")
def why_a_task_has_ended_is_not_counted(original: Any) -> Any:
    return never


@mutant("reads", metrics, "task_over")
def a_task_counts_as_over_for_the_master_only(original: Any) -> Any:
    def over(step: Any, framework: Any, state: Any) -> None:
        step.count(f"tasks_{state.removeprefix('TASK_').lower()}")

    return over


@mutant("reads", metrics, "status_came")
def each_repetition_of_an_end_is_counted(original: Any) -> Any:
    def came(step: Any, entry: Any, status: Any) -> None:
        step.count("invalid_status_updates" if entry is None else "valid_status_updates")
        if entry is not None and status.state.terminal:
            metrics.end_told(step, status)

    return came


@mutant("reads", reconciliation, "_last_sent")
def who_asks_is_not_told_how_a_task_is(original: Any) -> Any:
    return lambda *args: replace(original(*args), healthy=None)


@mutant("reads", status_updates, "as_its_agent_tells")
def a_new_leader_forgets_where_tasks_are(original: Any) -> Any:
    return lambda status, told: status


@mutant("reads", status_updates, "as_its_agent_tells")
def a_new_leader_tells_the_health_of_another_state(original: Any) -> Any:
    return lambda status, told: replace(
        original(status, told), healthy=any(s.healthy for s in told)
    )


@mutant("reads", Journal, "close")
def what_nobody_has_listened_to_is_taken_for_what_was_before(original: Any) -> Any:
    def close(self: Any) -> None:
        self.open = False

    return close


@mutant("reads", launching, "task_of")
def a_task_is_shown_with_the_user_of_its_framework(original: Any) -> Any:
    def task_of(info: Any, framework_id: Any, role: str, user: Any) -> Any:
        return replace(original(info, framework_id, role, user), user=user)

    return task_of


@mutant("reads", metrics, "_of_the_allocator")
def agents_that_are_not_back_count_as_there(original: Any) -> Any:
    def of_the_allocator(state: Any) -> Any:
        for name, value in original(state):
            if name == "allocator/mesos/resources/cpus/total":
                agents = state.agents.values()
                yield name, sum(a.info.resources.milli("cpus") for a in agents) / 1000
            else:
                yield name, value

    return of_the_allocator


# ---------------------------------------------------------------------------------- calls


@mutant("reads", reconciliation, "_may_still_appear")
def who_asks_too_early_is_told_that_the_task_is_gone(original: Any) -> Any:
    return lambda state, step, framework, agent_id: False


@mutant("reads", _Launcher, "refuse")
def of_tasks_that_are_not_valid_only_the_first_is_answered(original: Any) -> Any:
    def refuse(self: Any, refused: Any, reason: Any, why: Any) -> None:
        original(self, refused[:1], reason, why)

    return refuse


@mutant("reads", Filters, "hiding")
def what_was_refused_is_offered_again(original: Any) -> Any:
    return staticmethod(lambda client, agent, offered: None)


# ---------------------------------------------------------------------------------- agents


@mutant("reads", AgentTask, "shown")
def an_agent_reports_no_update_as_told(original: Any) -> Any:
    return lambda self: replace(original(self), status_update_uuid=None)


@mutant("reads", outgoing_updates, "overdue")
def an_update_is_told_once(original: Any) -> Any:
    return never
