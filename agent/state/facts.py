"""What an agent stores of itself, and of what ended tasks have left."""

from __future__ import annotations

from mezzo.cluster.model import AgentInfo
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, ContainerId, FrameworkId, TaskId
from mezzo.record import Record

from ..container import Kind


class Identity(Record):
    agent_id: AgentId
    info: AgentInfo  # with id, as the flags describe it
    boot_id: str


class Converted(Record):
    """`total` is what the agent had in all when its flags gave it `given`."""

    given: Resources
    total: Resources


class Proof(Record):
    """A master has heard of the agent when this boot of its machine was `up_s` seconds old."""

    boot_id: str
    up_s: float


class Remains(Record):
    """What is left of an ended container. ended_s: wall time."""

    container_id: ContainerId
    kind: Kind
    framework_id: FrameworkId
    task_id: TaskId
    sandbox: str
    ended_s: float
    container_removed: bool = False
