"""Promise 4: every terminal state reaches its framework exactly once after acknowledgement.

- An end that its framework has acknowledged is never told again.
- No end is told of a task that still runs.
- An agent forgets an end only after its framework itself has acknowledged it, or was removed; in
  the end all ends are.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, Final

from mezzo.agent.core import AgentCore
from mezzo.agent.effects import Send
from mezzo.agent.events import MasterSaid
from mezzo.core import Delete, Output
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages.agent import (
    AgentReregistered,
    ReregisterAgent,
    ShutdownFramework,
    StatusUpdate,
    UpdateAcknowledged,
)
from mezzo.messages.scheduler import Acknowledge

from ...daemons.agents import VirtualAgent
from ...daemons.frameworks import VirtualFramework
from ...daemons.marathons import VirtualMarathon
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World

Key = tuple[FrameworkId, TaskId]


_DURABLE_S: Final = 0.5  # an agent's disk is its own, and takes far less


class EndsAreToldOnce(Watch):
    def __init__(
        self,
        world: World,
        agents: Sequence[VirtualAgent],
        careless: Container[FrameworkId] = (),
    ) -> None:
        """careless: frameworks that give an id again, so that there is more than one end of it."""
        self._careless = careless
        self._world = world
        self._agents = agents
        # Ends of which agents were told that their frameworks have them: when, and to which life.
        self._settled: dict[str, list[tuple[float, AgentCore, Key]]] = {}
        self._over: dict[Key, None] = {}  # the same, durable
        self._heard: dict[bytes, None] = {}  # updates that their frameworks have acknowledged
        self._removed: dict[FrameworkId, None] = {}  # agents were told that nobody listens

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:
        if isinstance(call, Acknowledge):
            self._heard[call.uuid] = None

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        core = agent.core
        assert core is not None
        settled = self._settled.get(agent.name)
        if settled and agent.process.awake_for_s > _DURABLE_S:
            self._make_durable(settled, core)
        if isinstance(event, MasterSaid) and isinstance(event.message, ShutdownFramework):
            self._removed[event.message.framework_id] = None
        if isinstance(event, MasterSaid) and isinstance(event.message, AgentReregistered):
            for known in event.message.reconcile:
                # It was acknowledged to a master that was deposed, and another one waits for it.
                self._over.pop((known.framework_id, known.task_id), None)
        for write in output.writes:
            if isinstance(write, Delete) and write.key.startswith("task/"):
                self._forgotten(agent, event, write.key)
        if isinstance(event, MasterSaid) and isinstance(event.message, UpdateAcknowledged):
            key = (event.message.framework_id, event.message.task_id)
            if core.state.checkpoint.has_forgotten(*key):
                entry = (self._world.now_s, core, key)
                self._settled.setdefault(agent.name, []).append(entry)
        for effect in output.effects:
            message = effect.message if isinstance(effect, Send) else None
            if isinstance(message, StatusUpdate):
                self._told(agent, core, message)
            elif isinstance(message, ReregisterAgent):
                self._reported(agent, message)

    def _make_durable(self, settled: list[tuple[float, AgentCore, Key]], core: AgentCore) -> None:
        """Ends that a life has known for long enough the next ones know, too."""
        while settled and settled[0][0] + _DURABLE_S < self._world.now_s:
            _, knew, key = settled.pop(0)
            if knew is core:
                self._over[key] = None

    def _forgotten(self, agent: VirtualAgent, event: Any, key: str) -> None:
        message = event.message if isinstance(event, MasterSaid) else None
        acknowledged = isinstance(message, UpdateAcknowledged) and message.uuid in self._heard
        framework_id, _, task_id = key.removeprefix("task/").partition("/")
        if FrameworkId(framework_id) in self._careless:
            return  # it may have guessed the uuid, in a life that had not heard of the end
        if not acknowledged and FrameworkId(framework_id) not in self._removed:
            raise Broken(
                f"promise 4: {agent.name} forgets {task_id}, whose end nobody has acknowledged"
            )

    def _told(self, agent: VirtualAgent, core: AgentCore, message: StatusUpdate) -> None:
        status = message.status
        key = (message.framework_id, status.task_id)
        if key in self._over and message.framework_id not in self._careless:
            raise Broken(f"promise 4: {status.task_id} was acknowledged, but is told again")
        if not status.state.terminal or status.uuid is None:
            return
        for container in agent.machine.running():
            key = (container.spec.framework_id, container.spec.task_id)
            if key == (message.framework_id, status.task_id):
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

    # ---- in the end

    def wrong(self) -> str:
        for agent in self._agents:
            if agent.gone:
                continue
            core = agent.core
            if core is None:
                return f"{agent.name} is not up"
            for task in core.view().tasks:
                if task.state.terminal:
                    return f"{agent.name} has not got rid of the end of {task.info.task_id}"
        return ""
