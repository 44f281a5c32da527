"""Bugs in what the master knows of tasks, and who hears of it."""

from __future__ import annotations

from typing import Any

from mezzo.master.tasks import (
    executors,
    killing,
    reconciliation,
    status_updates,
    unheard,
    unique_leases,
)
from mezzo.messages.agent import UpdateAcknowledged
from mezzo.messages.scheduler import Kill, Update
from mezzo.record import replace

from ..mutant import mutant, never


@mutant(executors, "said")
def a_message_of_an_executor_is_passed_on_unseen(original: Any) -> Any:
    def said(state: Any, step: Any, agent: Any, message: Any) -> None:
        key = (message.framework_id, message.executor_id)
        known = key in agent.executors
        agent.executors.setdefault(key, None)
        try:
            original(state, step, agent, message)
        finally:
            if not known:
                del agent.executors[key]

    return said


@mutant(killing, "kill")
def a_kill_is_not_noted(original: Any) -> Any:
    def kill(state: Any, step: Any, framework: Any, call: Any) -> None:
        original(state, step, framework, call)
        entry = framework.tasks.get(call.task_id) or framework.unreachable.get(call.task_id)
        if entry is not None:
            entry.pending_kill = None

    return kill


@mutant(killing, "kill")
def kills_never_reach_the_agent(original: Any) -> Any:
    return never


@mutant(killing, "kill")
def a_framework_may_kill_the_tasks_of_others(original: Any) -> Any:
    def kill(state: Any, step: Any, framework: Any, call: Any) -> None:
        owners = [each for each in state.frameworks.values() if call.task_id in each.tasks]
        original(state, step, owners[0] if owners else framework, call)

    return kill


@mutant(reconciliation, "reconcile_one")
def reconciliation_by_name_is_not_answered(original: Any) -> Any:
    return never


@mutant(reconciliation, "reconcile_one")
def who_asks_is_told_of_the_tasks_of_others(original: Any) -> Any:
    def reconcile_one(state: Any, step: Any, framework: Any, task: Any) -> None:
        for owner in state.frameworks.values():
            entry = owner.tasks.get(task.task_id)
            if entry is not None:
                step.to_framework(framework, Update(reconciliation._last_sent(step, owner, entry)))
                return
        original(state, step, framework, task)

    return reconcile_one


@mutant(reconciliation, "_last_sent")
def who_asks_is_not_told_how_a_task_is(original: Any) -> Any:
    return lambda *args: replace(original(*args), healthy=None)


@mutant(reconciliation, "_may_still_appear")
def who_asks_too_early_is_told_that_the_task_is_gone(original: Any) -> Any:
    return lambda state, step, framework, agent_id: False


@mutant(status_updates, "acknowledge")
def acknowledgements_stay_at_the_master(original: Any) -> Any:
    def acknowledge(state: Any, step: Any, framework: Any, call: Any) -> None:
        known = len(step.effects)
        original(state, step, framework, call)
        del step.effects[known:]

    return acknowledge


@mutant(status_updates, "update")
def the_master_acknowledges_for_the_framework(original: Any) -> Any:
    def update(state: Any, step: Any, agent: Any, message: Any) -> None:
        original(state, step, agent, message)
        status = message.status
        ack = UpdateAcknowledged(message.framework_id, status.task_id, status.uuid)
        step.to_agent(agent, ack)

    return update


@mutant(status_updates, "set_state")
def the_end_of_a_task_frees_nothing(original: Any) -> Any:
    def set_state(*args: Any) -> None:
        *_, entry, new = args
        entry.state = new

    return set_state


@mutant(status_updates, "acknowledge")
def an_acknowledgement_may_name_any_agent(original: Any) -> Any:
    def acknowledge(state: Any, step: Any, framework: Any, call: Any) -> None:
        agent = state.agents.get(call.agent_id)
        if agent is not None and (framework.id, call.task_id) not in agent.tasks:
            step.to_agent(agent, UpdateAcknowledged(framework.id, call.task_id, call.uuid))
        else:
            original(state, step, framework, call)

    return acknowledge


@mutant(status_updates, "acknowledge")
def an_end_is_settled_by_any_acknowledgement(original: Any) -> Any:
    def acknowledge(state: Any, step: Any, framework: Any, call: Any) -> None:
        entry = framework.tasks.get(call.task_id)
        sent = None if entry is None else entry.forwarded
        if sent is not None and sent.uuid is not None and sent.state.terminal:
            call = replace(call, uuid=sent.uuid)
        original(state, step, framework, call)

    return acknowledge


@mutant(status_updates, "_deny")
def who_lies_has_its_task_killed_at_all_agents(original: Any) -> Any:
    def deny(step: Any, agent: Any, message: Any, why: Any) -> None:
        original(step, agent, message, why)
        framework = step.state.frameworks.get(message.framework_id)
        entry = None if framework is None else framework.tasks.get(message.status.task_id)
        if entry is not None:
            killing.kill(step.state, step, framework, Kill(entry.info.task_id))

    return deny


@mutant(status_updates, "as_its_agent_tells")
def a_new_leader_forgets_where_tasks_are(original: Any) -> Any:
    return lambda status, told: status


@mutant(status_updates, "as_its_agent_tells")
def a_new_leader_tells_the_health_of_another_state(original: Any) -> Any:
    return lambda status, told: replace(
        original(status, told), healthy=any(s.healthy for s in told)
    )


@mutant(unheard, "launch_unsent")
def a_launch_that_could_not_be_sent_is_forgotten(original: Any) -> Any:
    return never


@mutant(unique_leases, "over_s")
def leases_are_not_waited_for(original: Any) -> Any:
    return lambda state, agent: agent.heard_s
