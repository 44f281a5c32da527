"""Promise 3: running tasks survive the restart of agent, master, Marathon, store and engine.

A container ends only for a reason that somebody outside has given: its framework asked for it, it
ended by itself, its machine was rebooted, somebody removed it by hand, its framework was removed,
its agent was drained or sent away (that somebody wanted that is looked at by `p0_operators`), its
health check failed (see `p11_health`).
And Marathon asks only for what it was told to end, or what it counts as too much: while nobody
changes an app and nothing is lost, no restart of anything ends any of its containers. `Drill` says
when that is so.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from mezzo.agent.container import ContainerStarted
from mezzo.agent.effects import KillContainer
from mezzo.agent.events import HealthObserved, MasterDown, MasterSaid
from mezzo.core import Output
from mezzo.ids import ContainerId, FrameworkId, TaskId
from mezzo.messages.agent import DrainAgent, ShutdownAgent, ShutdownFramework
from mezzo.messages.scheduler import Kill

from ...actors.app_owner import JOB, app_of
from ...daemons.agents import VirtualAgent
from ...daemons.containers import Container as Running
from ...daemons.containers import Ending, Machine
from ...daemons.frameworks import VirtualFramework
from ...daemons.marathons import VirtualMarathon
from ...watch import Watch
from ...world.watched import Broken

_INACCURATE_S: Final = 1.0  # clocks drift, and a renewal takes a moment


class WhatRunsRunsOn(Watch):
    def __init__(self, careless: Container[FrameworkId] = ()) -> None:
        """careless: frameworks whose tasks may be bound to end early, by whatever they hold."""
        self._careless = careless
        self._asked: dict[TaskId, None] = {}  # their frameworks want them dead
        self.quiet = False  # nothing may end now but what ends by itself
        self.calm = False  # nor may any stream

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        if isinstance(event, MasterSaid):
            self._excuse(agent, event.message)
        for effect in output.effects:
            # A task that is found to run after a restart is killed for what was stored before.
            if isinstance(effect, KillContainer) and not isinstance(event, ContainerStarted):
                self._killed_early(agent, effect.container_id)
                if isinstance(event, HealthObserved) and not event.passed:
                    self._asked[agent.machine.containers[event.container_id].spec.task_id] = None
        if self.calm and isinstance(event, MasterDown):
            raise Broken(f"promise 3: {agent.name} lost its master, though nothing was wrong")

    def _excuse(self, agent: VirtualAgent, message: Any) -> None:
        """Excuse tasks that the agent is to end, not by their frameworks' wish."""
        if not isinstance(message, (DrainAgent, ShutdownAgent, ShutdownFramework)):
            return
        core = agent.core
        assert core is not None
        for task in core.view().tasks:
            if not isinstance(message, ShutdownFramework) or (
                task.framework_id == message.framework_id
            ):
                self._asked[task.info.task_id] = None

    def _killed_early(self, agent: VirtualAgent, container_id: ContainerId) -> None:
        """A unique task may be killed without being asked, but only as its lease runs out."""
        container = agent.machine.containers.get(container_id)
        if container is None or container.spec.lease_s is None:
            return
        task_id, lease_s = container.spec.task_id, container.spec.lease_s
        left_s = agent.machine.lease_left_s(lease_s)
        if task_id not in self._asked and left_s > lease_s / 4 + _INACCURATE_S:
            raise Broken(
                f"promise 3: {agent.name} kills {task_id}, whose lease lasts {left_s:.0f} s more"
            )

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:
        if isinstance(call, Kill):
            self._asked[call.task_id] = None

    def container_ended(self, machine: Machine, container: Running, ending: Ending) -> None:
        task_id = container.spec.task_id
        if ending is Ending.REMOVAL:
            raise Broken(f"promise 3: {task_id} was removed from {machine.name} while it ran")
        leased = container.spec.lease_s is not None
        if ending is Ending.LEASE and not leased:
            raise Broken(f"promise 3: {task_id} has no lease, but ended for it")
        bound = leased or container.spec.framework_id in self._careless
        if ending is Ending.KILL and task_id not in self._asked and not bound:
            raise Broken(f"promise 3: {machine.name} killed {task_id}, which nobody asked for")
        forgotten = ending is Ending.KILL and container.spec.framework_id in self._careless
        ended = ending is Ending.EXIT or forgotten
        if self.quiet and not ended and app_of(container.spec) != JOB:
            raise Broken(f"promise 3: {task_id} on {machine.name}: {ending}, in a quiet time")
