"""Bugs in what an agent knows and stores."""

from __future__ import annotations

from typing import Any

from mezzo.agent.state.agent_task import AgentTask
from mezzo.agent.state.checkpoint import Checkpoint
from mezzo.record import replace

from ..mutant import mutant


@mutant(AgentTask, "container_status")
def an_address_is_told_once(original: Any) -> Any:
    return property(lambda self: None)


@mutant(AgentTask, "shown")
def an_agent_reports_no_update_as_told(original: Any) -> Any:
    return lambda self: replace(original(self), status_update_uuid=None)


@mutant(Checkpoint, "has_ended")
def an_agent_forgets_what_has_ended(original: Any) -> Any:
    return lambda self, key: False


@mutant(Checkpoint, "forget_task")
def an_acknowledged_end_is_not_durable(original: Any) -> Any:
    def forget(self: Any, step: Any, task: Any) -> None:
        known = len(step.writes)
        original(self, step, task)
        del step.writes[known:]

    return forget


@mutant(Checkpoint, "put_task")
def a_task_is_not_stored(original: Any) -> Any:
    def put(self: Any, step: Any, task: Any) -> None:
        original(self, step, task)
        step.writes.pop()

    return put


@mutant(Checkpoint, "set_epoch")
def the_newest_epoch_is_not_stored(original: Any) -> Any:
    def set_epoch(self: Any, step: Any, epoch: int) -> None:
        self.epoch = epoch

    return set_epoch


@mutant(Checkpoint, "set_identity")
def an_agent_forgets_its_id(original: Any) -> Any:
    def set_identity(self: Any, step: Any, identity: Any) -> None:
        self.identity = identity

    return set_identity


@mutant(Checkpoint, "has_applied")
def an_operation_that_comes_twice_is_done_twice(original: Any) -> Any:
    return lambda self, uuid: False


@mutant(Checkpoint, "set_converted")
def what_an_operation_made_is_not_stored(original: Any) -> Any:
    def set_converted(self: Any, step: Any, converted: Any) -> None:
        known = len(step.writes)
        original(self, step, converted)
        del step.writes[known:]

    return set_converted


@mutant(Checkpoint, "forget_remains")
def an_agent_forgets_to_store_what_it_has_removed(original: Any) -> Any:
    def forget(self: Any, step: Any, container_id: Any) -> None:
        original(self, step, container_id)
        step.writes.pop()

    return forget
