"""Guards against agents that speak for others, each left out by itself."""

from __future__ import annotations

from typing import Any

from mezzo.master import claims

from ..mutant import mutant, never


@mutant(claims, "check_pong")
def a_pong_that_nobody_asked_for_counts(original: Any) -> Any:
    return never


@mutant(claims, "check_update")
def an_agent_may_tell_of_the_tasks_of_others(original: Any) -> Any:
    return lambda framework, agent, message: agent.tasks.get((framework.id, message.status.task_id))


@mutant(claims, "_check_agent")
def what_is_reported_may_name_another_agent(original: Any) -> Any:
    return never


@mutant(claims, "check_has_executor")
def an_agent_may_speak_for_executors_that_it_has_not(original: Any) -> Any:
    return never


@mutant(claims, "check_operation")
def an_operation_may_be_anybodys(original: Any) -> Any:
    return never


@mutant(claims, "deny")
def who_lies_fills_the_log(original: Any) -> Any:
    def deny(step: Any, peer: Any, what: str, why: Any) -> None:
        step.state.denials.left_amount = step.state.denials.most
        original(step, peer, what, why)

    return deny


@mutant(claims.Holders, "take")
def an_agent_may_have_twice_what_only_one_can_have(original: Any) -> Any:
    return never
