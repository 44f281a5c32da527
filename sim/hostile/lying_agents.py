"""An agent that speaks for others: of their tasks, in their frameworks' names, and out of turn.

Nobody wants its resources: all are reserved to the liars' role. It never claims to be on the
machine of an honest agent: without identities that would be as good as being there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from mezzo.cluster.model import AgentCapability, AgentInfo, ContainerStatus, Task, TaskStatus
from mezzo.cluster.resources import Reservation, Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import ConnId, ContainerId, FrameworkId, TaskId
from mezzo.messages import agent as m
from mezzo.record import replace

from ..daemons.master_link import Client, Server
from ..daemons.masters import FromAgent, ToClient
from ..fakes.fake_agent import FakeAgent
from ..world.network import Network
from .gossip import Gossip
from .lying_frameworks import ROLE
from .wild import Wild

_HAS: Final = Resources.parse(
    f"cpus({ROLE}):2; mem({ROLE}):512; ports({ROLE}):[31000-31005]; seats({ROLE}):{{a,b,c}}"
)
_CAPABILITIES: Final = (
    AgentCapability.AGENT_OPERATION_FEEDBACK,
    AgentCapability.RESERVATION_REFINEMENT,
)
_KINDS: Final = m.AGENT_MESSAGES
_STORM: Final = 120  # so many lies in a moment, now and then
_STORM_SHARE: Final = 0.015


class Impostor:
    """It registers as a `FakeAgent` does and answers most pings. What else it says depends on
    nothing that it said or heard before."""

    def __init__(
        self,
        network: Network,
        name: str,
        find: Callable[[str], Server | None],
        gossip: Gossip,
        rng: random.Random,
    ) -> None:
        self.name = name
        self._world = network.world
        self._rng = rng
        self._gossip = gossip
        self._wild = Wild(rng, gossip)
        able = random.Random(f"{name} of {network.world.seed}").random() < 0.8
        info = AgentInfo(name, resources=_HAS)
        self._agent = FakeAgent(info, capabilities=_CAPABILITIES if able else ())
        self._conn: ConnId | None = None
        self._said: list[Any] = []
        self._tasks: list[Task] = []  # that it tells of in its reports
        self._numbers = 0
        self.client = Client(
            network,
            name,
            find,
            on_up=self._up,
            on_message=self._received,
            on_down=self._down,
            repeatable=lambda message: 0.0,
        )

    def start(self) -> None:
        self.client.start()
        self._world.after(1.0, self._act)

    def _up(self, conn: ConnId) -> None:
        self._conn = conn
        self._say(self._agent.introduction())

    def _down(self, conn: ConnId) -> None:
        if conn == self._conn:
            self._conn = None

    def _received(self, conn: ConnId, message: ToClient) -> None:
        match message.message:
            case m.AgentRegistered():
                self._agent.hear(message.message)
            case m.Ping(number=number) if self._rng.random() < 0.7:
                self._say(m.Pong(number))
            case m.ShutdownAgent():
                # It comes again, as if nothing had been.
                self._agent.info = replace(self._agent.info, id=None)

    def _act(self) -> None:
        if self._conn is not None:
            storm = self._rng.random() < _STORM_SHARE
            for _ in range(_STORM if storm else self._rng.randint(1, 3)):
                self._say(self._tamed(self._lie()))
        self._world.after(self._rng.uniform(0.3, 6.0), self._act)

    def _say(self, message: m.AgentMessage) -> None:
        if self._conn is not None:
            self._said = [*self._said[-20:], message]
            self.client.send(self._conn, FromAgent(message))

    # ---- what it says

    def _lie(self) -> Any:
        rng, heard = self._rng, self._gossip.any(self._gossip.said)
        if self._agent.info.id is not None and rng.random() < 0.1:
            return self._report()
        match rng.randrange(6):
            case 0 | 1 if self._gossip.tasks:
                return self._status(rng.choice(self._gossip.tasks))
            case 2 | 3 if heard is not None:
                return heard if rng.random() < 0.4 else self._wild.mutated(heard)
            case 4 if self._said:
                return rng.choice(self._said)
            case _:
                return self._wild.record(rng.choice(_KINDS))

    def _report(self) -> m.AgentMessage:
        """Of tasks of its own, some of which have the same ports; one or the other has ended."""
        rng = self._rng
        framework_id = self._gossip.id(FrameworkId.__name__) or FrameworkId("nobodys")
        self._numbers += 1
        parts = {kind: 10 if isinstance(value, int) else value for kind, value in _HAS.items()}
        self._tasks = [
            replace(task, state=TaskState.FINISHED) if rng.random() < 0.3 else task
            for task in self._tasks
            if task.state is TaskState.RUNNING
        ]
        task_id = TaskId(f"{self.name}-{self._numbers}")
        self._tasks.append(
            Task(
                *("lie", task_id, self._agent.id),
                framework_id=framework_id,
                state=TaskState.RUNNING,
                resources=self._wild.part(Resources(parts)),
                statuses=_history(task_id),
                role=ROLE,
            )
        )
        mine = tuple(replace(task, agent_id=self._agent.id) for task in self._tasks)
        return replace(self._agent.report(), tasks=mine)

    def _status(self, task: Task) -> m.AgentMessage:
        """A status, most often the end of a task that runs on another agent."""
        rng = self._rng
        state = rng.choice((TaskState.FAILED, TaskState.KILLED, TaskState.RUNNING, TaskState.GONE))
        agent_id = rng.choice((task.agent_id, self._agent.info.id, None))
        status = TaskStatus(task.task_id, state, agent_id=agent_id, uuid=rng.randbytes(16))
        if rng.random() < 0.3:
            status = self._wild.mutated(status)
        return m.StatusUpdate(task.framework_id, status, rng.choice((state, TaskState.RUNNING)))

    def _tamed(self, message: Any) -> m.AgentMessage:
        """Whatever it says of itself, it is of its own machine, and nobody's taste."""
        tamed: m.AgentMessage = message
        if isinstance(tamed, m.RegisterAgent | m.ReregisterAgent):
            info = replace(
                tamed.info, hostname=self.name, resources=_unwanted(tamed.info.resources)
            )
            return replace(tamed, info=info)
        return tamed


def _history(task_id: TaskId) -> tuple[TaskStatus, ...]:
    """Not all agents tell with each state in which container a task is."""
    container = ContainerStatus(ContainerId(f"{task_id}-container"))
    return (
        TaskStatus(task_id, TaskState.STARTING, container_status=container),
        TaskStatus(task_id, TaskState.RUNNING),
    )


def _unwanted(resources: Resources) -> Resources:
    reserved = (Reservation("STATIC", ROLE),)
    return Resources(
        {kind._replace(reservations=reserved): value for kind, value in resources.items()}
    )
