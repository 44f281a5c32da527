"""Guards against peers that speak for others, each left out by itself."""

from __future__ import annotations

from typing import Any

from mezzo.master import claims, core, rescinding
from mezzo.master.agents import admission
from mezzo.master.frameworks import subscribing
from mezzo.master.offers import accepting, declining
from mezzo.master.offers.task_validation import TaskValidation
from mezzo.master.tasks import executors, killing, reconciliation, status_updates
from mezzo.messages.agent import UpdateAcknowledged
from mezzo.messages.scheduler import Kill, Update
from mezzo.record import replace

from .mutant import mutant, never

# ---------------------------------------------------------------------------------- agents


@mutant("peers", claims, "check_update")
def an_agent_may_tell_of_the_tasks_of_others(original: Any) -> Any:
    return lambda framework, agent, message: agent.tasks.get((framework.id, message.status.task_id))


@mutant("peers", claims, "_check_agent")
def what_is_reported_may_name_another_agent(original: Any) -> Any:
    return never


@mutant("peers", claims, "check_has_executor")
def an_agent_may_speak_for_executors_that_it_has_not(original: Any) -> Any:
    return never


@mutant("peers", claims, "check_operation")
def an_operation_may_be_anybodys(original: Any) -> Any:
    return never


@mutant("peers", admission, "check_return")
def a_stream_may_be_that_of_many_agents(original: Any) -> Any:
    def check_return(state: Any, conn: Any, message: Any) -> Any:
        bound = state.agent_of.pop(conn, None)
        try:
            return original(state, conn, message)
        finally:
            if bound is not None:
                state.agent_of[conn] = bound

    return check_return


@mutant("peers", executors, "said")
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


# ---------------------------------------------------------------------------------- frameworks


@mutant("peers", accepting, "_check_offers")
def an_offer_may_be_named_twice(original: Any) -> Any:
    def check(state: Any, framework: Any, call: Any) -> Any:
        found = original(
            state, framework, replace(call, offer_ids=tuple(dict.fromkeys(call.offer_ids)))
        )
        by_id = {offer.id: offer for offer in found}
        return [by_id[offer_id] for offer_id in call.offer_ids]

    return check


@mutant("peers", accepting, "_check_offers")
def offers_of_two_agents_are_one(original: Any) -> Any:
    def check(state: Any, framework: Any, call: Any) -> Any:
        found: list[Any] = []
        for offer_id in call.offer_ids:
            found += original(state, framework, replace(call, offer_ids=(offer_id,)))
        return found if found else original(state, framework, call)

    return check


@mutant("peers", accepting, "_refuse")
def an_invalid_acceptance_takes_the_offers_of_others_back(original: Any) -> Any:
    def refuse(state: Any, step: Any, framework: Any, call: Any, why: str) -> None:
        for offer_id in dict.fromkeys(call.offer_ids):
            offer = state.offers.get(offer_id)
            if offer is not None:
                rescinding.take_back(state, step, offer)
        original(state, step, framework, call, why)

    return refuse


@mutant("peers", declining, "decline")
def the_offers_of_others_may_be_declined(original: Any) -> Any:
    def decline(state: Any, step: Any, framework: Any, call: Any) -> None:
        for offer_id in call.offer_ids:
            offer = state.offers.get(offer_id)
            owner = framework if offer is None else state.frameworks[offer.framework_id]
            original(state, step, owner, replace(call, offer_ids=(offer_id,)))

    return decline


@mutant("peers", subscribing, "_check_stream")
def a_stream_may_be_that_of_many_frameworks(original: Any) -> Any:
    return lambda state, conn, framework_id: framework_id


@mutant("peers", subscribing, "check_subscription")
def a_removed_framework_may_come_back(original: Any) -> Any:
    def check(state: Any, named_id: Any, call: Any) -> None:
        completed, state.completed = state.completed, {}
        try:
            original(state, named_id, call)
        finally:
            state.completed = completed

    return check


@mutant("peers", core, "_framework_said")
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


@mutant("peers", status_updates, "acknowledge")
def an_acknowledgement_may_name_any_agent(original: Any) -> Any:
    def acknowledge(state: Any, step: Any, framework: Any, call: Any) -> None:
        agent = state.agents.get(call.agent_id)
        if agent is not None and (framework.id, call.task_id) not in agent.tasks:
            step.to_agent(agent, UpdateAcknowledged(framework.id, call.task_id, call.uuid))
        else:
            original(state, step, framework, call)

    return acknowledge


@mutant("peers", status_updates, "acknowledge")
def an_end_is_settled_by_any_acknowledgement(original: Any) -> Any:
    def acknowledge(state: Any, step: Any, framework: Any, call: Any) -> None:
        entry = framework.tasks.get(call.task_id)
        sent = None if entry is None else entry.forwarded
        if sent is not None and sent.uuid is not None and sent.state.terminal:
            call = replace(call, uuid=sent.uuid)
        original(state, step, framework, call)

    return acknowledge


@mutant("peers", killing, "kill")
def a_framework_may_kill_the_tasks_of_others(original: Any) -> Any:
    def kill(state: Any, step: Any, framework: Any, call: Any) -> None:
        owners = [each for each in state.frameworks.values() if call.task_id in each.tasks]
        original(state, step, owners[0] if owners else framework, call)

    return kill


@mutant("peers", reconciliation, "reconcile_one")
def who_asks_is_told_of_the_tasks_of_others(original: Any) -> Any:
    def reconcile_one(state: Any, step: Any, framework: Any, task: Any) -> None:
        for owner in state.frameworks.values():
            entry = owner.tasks.get(task.task_id)
            if entry is not None:
                step.to_framework(framework, Update(reconciliation._last_sent(step, owner, entry)))
                return
        original(state, step, framework, task)

    return reconcile_one


@mutant("peers", TaskValidation, "_check_identity")
def a_task_id_may_be_used_again(original: Any) -> Any:
    return never


@mutant("peers", TaskValidation, "_check_resources")
def a_task_may_use_more_than_was_offered(original: Any) -> Any:
    return never


@mutant("peers", claims, "deny")
def who_lies_fills_the_log(original: Any) -> Any:
    def deny(step: Any, peer: Any, what: str, why: Any) -> None:
        step.state.denials.left_amount = step.state.denials.most
        original(step, peer, what, why)

    return deny


@mutant("peers", status_updates, "_deny")
def who_lies_has_its_task_killed_at_all_agents(original: Any) -> Any:
    def deny(step: Any, agent: Any, message: Any, why: Any) -> None:
        original(step, agent, message, why)
        framework = step.state.frameworks.get(message.framework_id)
        entry = None if framework is None else framework.tasks.get(message.status.task_id)
        if entry is not None:
            killing.kill(step.state, step, framework, Kill(entry.info.task_id))

    return deny


@mutant("peers", subscribing, "_check_roles")
def a_role_may_be_named_twice_or_be_no_role(original: Any) -> Any:
    return never
