"""The promises of design.md section 5, each as a small checker that looks at every step.

A broken promise raises `Broken`; what it says names the promise, the place and the numbers.
"""

from __future__ import annotations

from typing import Any

from mezzo.agent.events import MasterSaid, Send
from mezzo.core import CancelTimer, Output, SetTimer
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.master.core import MasterCore
from mezzo.master.state import Standing
from mezzo.messages.agent import StatusUpdate
from mezzo.resources import Resources

from .agents import VirtualAgent
from .containers import Container, Machine
from .masters import VirtualMaster


class Broken(AssertionError):
    """A promise was not kept."""


class NothingPromisedTwice:
    """Promise 1: offered + allocated <= total, per agent and resource, at every step; and what
    really runs on a machine fits it."""

    def after_master_step(self, master: VirtualMaster) -> None:
        core = master.core
        if core is None:
            return
        for agent_id in core.state.agents:
            self._check(core, agent_id)

    def _check(self, core: MasterCore, agent_id: AgentId) -> None:
        state = core.state
        agent = state.agents[agent_id]
        if agent.standing is Standing.RECOVERED:
            if agent.offers:
                raise Broken(f"promise 1: {agent_id} is not back but offered")
            return
        offered = Resources.total(state.offers[offer].resources for offer in agent.offers)
        allocated = Resources.total(
            entry.info.resources for entry in agent.tasks.values() if entry.holds_resources
        )
        total = agent.info.resources
        if not offered + allocated <= total or offered.overlaps(allocated):
            raise Broken(
                f"promise 1: {agent_id} has {total}, offered {offered}, allocated {allocated}"
            )
        if state.allocator.available(agent_id) != total - (offered + allocated):
            raise Broken(
                f"promise 1: the allocator takes {state.allocator.available(agent_id)} of "
                f"{agent_id} for free, but free is {total - (offered + allocated)}"
            )

    def after_start(self, machine: Machine, total: Resources) -> None:
        cpus = sum(container.spec.cpus for container in machine.running())
        if cpus > total.cpus + 1e-6:
            raise Broken(f"promise 1: {machine.name} has {total.cpus} cpus, {cpus} are in use")


class NothingRunsTwice:
    """Promise 2: a task id runs at most once, ever."""

    def __init__(self) -> None:
        self._started: dict[tuple[FrameworkId, TaskId], str] = {}

    def after_start(self, machine: Machine, container: Container) -> None:
        key = (container.spec.framework_id, container.spec.task_id)
        if key in self._started:
            raise Broken(f"promise 2: {key} ran on {self._started[key]} and on {machine.name}")
        self._started[key] = machine.name


class EndsAreToldOnce:
    """Promise 4, the part that holds at every step: an end that the agent has forgotten, because it
    was acknowledged, is never told again."""

    def after_agent_step(self, agent: VirtualAgent, output: Output[Any]) -> None:
        core = agent.core
        if core is None:
            return
        for effect in output.effects:
            message = effect.message if isinstance(effect, Send) else None
            if isinstance(message, StatusUpdate) and core.has_forgotten(
                message.framework_id, message.status.task_id
            ):
                task_id = message.status.task_id
                raise Broken(f"promise 4: {task_id} was acknowledged, but is told again")


class TheDeposedAreDeaf:
    """Promise 5: a message of an older epoch than the newest seen changes nothing at an agent."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def after_agent_step(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        if not isinstance(event, MasterSaid):
            return
        newest = self._newest.get(agent.name, 0)
        if event.epoch < newest:
            acted = [e for e in output.effects if not isinstance(e, (SetTimer, CancelTimer))]
            told = [e for e in acted if isinstance(e, Send)]
            if output.writes or told:
                raise Broken(
                    f"promise 5: {agent.name} has heard epoch {newest} and obeys {event.epoch}"
                )
        self._newest[agent.name] = max(newest, event.epoch)
