"""Promise 3: running tasks survive the restart of agent, master, Marathon, store and engine.

A container ends only for a reason that somebody outside has given: its framework asked for it, it
ended by itself, its machine was rebooted, somebody removed it by hand, its framework was removed.
And Marathon asks only for what it was told to end, or what it counts as too much: while nobody
changes an app and nothing is lost, no restart of anything ends any of its containers. `Drill` says
when that is so.
"""

from __future__ import annotations

from typing import Any

from mezzo.agent.events import MasterDown
from mezzo.core import Output
from mezzo.ids import TaskId
from mezzo.messages.scheduler import Kill

from ..agents import VirtualAgent
from ..containers import Container, Ending, Machine
from ..frameworks import VirtualFramework
from ..marathons import VirtualMarathon
from ..operator import JOB, app_of
from ..watch import Broken, Watch


class WhatRunsRunsOn(Watch):
    def __init__(self) -> None:
        self._asked: dict[TaskId, None] = {}  # their frameworks want them dead
        self.quiet = False  # nothing may end now but what ends by itself
        self.calm = False  # nor may any stream

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        if self.calm and isinstance(event, MasterDown):
            raise Broken(f"promise 3: {agent.name} lost its master, though nothing was wrong")

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:  # noqa: ANN401
        if isinstance(call, Kill):
            self._asked[call.task_id] = None

    def container_ended(self, machine: Machine, container: Container, ending: Ending) -> None:
        task_id = container.spec.task_id
        if ending is Ending.REMOVAL:
            raise Broken(f"promise 3: {task_id} was removed from {machine.name} while it ran")
        leased = container.spec.lease_s is not None
        if ending is Ending.LEASE and not leased:
            raise Broken(f"promise 3: {task_id} has no lease, but ended for it")
        if ending is Ending.KILL and task_id not in self._asked and not leased:
            raise Broken(f"promise 3: {machine.name} killed {task_id}, which nobody asked for")
        if self.quiet and ending is not Ending.EXIT and app_of(task_id) != JOB:
            raise Broken(f"promise 3: {task_id} on {machine.name}: {ending}, in a quiet time")
