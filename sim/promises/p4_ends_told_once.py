"""Promise 4: every terminal state reaches its framework exactly once after acknowledgement.

- An end that its framework has acknowledged is never told again.
- It is told of nothing that still runs.
- A framework acknowledges an end only once it has made it durable.
- An agent forgets an end only after its framework has acknowledged it; in the end all ends are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mezzo.agent.core import AgentCore
from mezzo.agent.events import Send
from mezzo.core import Output
from mezzo.ids import FrameworkId, TaskId
from mezzo.marathon.messages import MasterEvent
from mezzo.messages.agent import ReregisterAgent, StatusUpdate
from mezzo.messages.scheduler import Acknowledge, Update

from ..agents import VirtualAgent
from ..frameworks import VirtualFramework
from ..marathons import VirtualMarathon
from ..watch import Broken, Watch

Key = tuple[FrameworkId, TaskId]


class EndsAreToldOnce(Watch):
    def __init__(self, agents: Sequence[VirtualAgent], durable: Callable[[TaskId], bool]) -> None:
        """durable(task_id): is the task one that Marathon's store still counts on?"""
        self._agents = agents
        self._durable = durable
        self._terminal: dict[bytes, TaskId] = {}  # updates that told Marathon of an end, by uuid
        self._acknowledged: dict[TaskId, None] = {}  # their ends were, by their framework
        self._ends: dict[bytes, TaskId] = {}  # all that agents have told, by uuid
        self._unheard: dict[str, dict[Key, None]] = {}  # by agent: ends it has to tell

    # ---- at the agents

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        core = agent.core
        assert core is not None
        for effect in output.effects:
            message = effect.message if isinstance(effect, Send) else None
            if isinstance(message, StatusUpdate):
                self._told(agent, core, message)
            elif isinstance(message, ReregisterAgent):
                self._reported(agent, message)

    def _told(self, agent: VirtualAgent, core: AgentCore, message: StatusUpdate) -> None:
        status = message.status
        if core.has_forgotten(message.framework_id, status.task_id):
            raise Broken(f"promise 4: {status.task_id} was acknowledged, but is told again")
        if not status.state.terminal or status.uuid is None:
            return
        self._ends[status.uuid] = status.task_id
        for container in agent.machine.running():
            if container.spec.task_id == status.task_id:
                raise Broken(
                    f"promise 4: {agent.name} tells {status.state} of {status.task_id}, which runs"
                )

    def _reported(self, agent: VirtualAgent, message: ReregisterAgent) -> None:
        """What it still answers for, of all that runs there."""
        known = {(task.framework_id, task.task_id) for task in message.tasks}
        for container in agent.machine.running():
            key = (container.spec.framework_id, container.spec.task_id)
            if key not in known:
                raise Broken(f"promise 4: {agent.name} does not report {key[1]}, which runs there")

    # ---- at the frameworks

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,  # noqa: ANN401
        output: Output[Any],
    ) -> None:
        if isinstance(event, MasterEvent) and isinstance(event.event, Update):
            status = event.event.status
            if status.uuid is not None and status.state.terminal:
                self._terminal[status.uuid] = status.task_id

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:  # noqa: ANN401
        if not isinstance(call, Acknowledge):
            return
        if call.uuid in self._ends:
            self._acknowledged[call.task_id] = None
        if call.uuid in self._terminal and self._durable(call.task_id):
            raise Broken(
                f"promise 4: {client.name} acknowledges the end of {call.task_id}, which its "
                "store still counts on"
            )

    # ---- in the end

    def wrong(self) -> str:
        for agent in self._agents:
            core = agent.core
            if core is None:
                return f"{agent.name} is not up"
            for task in core.view().tasks:
                if task.state.terminal:
                    return f"{agent.name} has not got rid of the end of {task.info.task_id}"
        return ""
