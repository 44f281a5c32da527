"""Promise 2: a task id runs at most once, ever.

Nor do two of a framework's unique tasks run at the same time: those with a lease. That holds also
where the agent can't be reached, for the keepers of its tasks look at their leases. On a machine
that is suspended nothing runs; when it wakes, tasks that were replaced meanwhile end at once.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Sequence
from typing import Final

from mezzo.ids import FrameworkId

from ...daemons.agents import VirtualAgent
from ...daemons.containers import Container as Running
from ...daemons.containers import Ending, Machine
from ...watch import Watch
from ...world.watched import Broken

_AGENT_LATE_S: Final = 5.0  # it has to recover, and its engine may be slow


class NothingRunsTwice(Watch):
    def __init__(
        self, agents: Sequence[VirtualAgent], careless: Container[FrameworkId] = ()
    ) -> None:
        """careless: frameworks that give an id again. An agent knows the id as long as it knows
        anything; but another one, or its next installation, does not."""
        self._careless = careless
        self._agents = {agent.name: agent for agent in agents}
        self._started: dict[Hashable, str] = {}
        # Of the frameworks that have but one task, and where that is.
        self._unique: dict[FrameworkId, tuple[Machine, Running]] = {}
        # Tasks that were replaced while their machine slept.
        self._frozen: list[tuple[Machine, Running]] = []

    def container_started(self, machine: Machine, container: Running) -> None:
        framework_id, task_id = container.spec.framework_id, container.spec.task_id
        careless = framework_id in self._careless
        key: Hashable = (framework_id, task_id)
        if careless:
            key = (key, machine.name, self._agents[machine.name].installations)
        if key in self._started:
            raise Broken(f"promise 2: {key} ran on {self._started[key]} and on {machine.name}")
        self._started[key] = machine.name
        if container.spec.lease_s is None or careless:
            return
        before = self._unique.get(framework_id)
        if before is not None and before[1].state == "running":
            if not before[0].asleep:
                other = before[1].spec.task_id
                raise Broken(f"promise 2: {task_id} is to be unique, but {other} runs, too")
            self._frozen.append(before)
        self._unique[framework_id] = (machine, container)

    def machine_woke(self, machine: Machine) -> None:
        for where, container in self._frozen:
            if where is machine and container.state == "running":
                raise Broken(
                    f"promise 2: {container.spec.task_id} was replaced while {machine.name} slept, "
                    "and runs on"
                )
        self._frozen = [each for each in self._frozen if each[0] is not machine]

    def container_ended(self, machine: Machine, container: Running, ending: Ending) -> None:
        agent = self._agents[machine.name].process
        able_for_s = min(agent.awake_for_s, machine.engine_up_for_s)
        ordered = container.dies_at_s is not None
        if ending is Ending.LEASE and not ordered and able_for_s > _AGENT_LATE_S:
            raise Broken(
                f"promise 2: {machine.name} let the lease of {container.spec.task_id} run out"
            )
