"""Operations on offers: Offer.Operation of Mesos v1, and the statuses that tell how one went."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from mezzo.cluster.amounts import Thousandths
from mezzo.cluster.model import ExecutorInfo, TaskInfo
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.record import Record


class Launch(Record, tag="LAUNCH", tag_field="operation"):
    """Each task is judged alone."""

    task_infos: tuple[TaskInfo, ...]
    id: str | None = None  # not allowed by Mesos; kept so that it can be answered


class LaunchGroup(Record, tag="LAUNCH_GROUP", tag_field="operation"):
    """Launch all tasks of a group or none, under one executor."""

    executor: ExecutorInfo
    tasks: tuple[TaskInfo, ...]
    id: str | None = None  # as of Launch


class Reserve(Record, tag="RESERVE", tag_field="operation"):
    """`resources` as they are to be: with the new reservation on top. `source`: as they are, if
    that is not simply one reservation less."""

    resources: Resources
    source: Resources = Resources()
    id: str | None = None


class Unreserve(Record, tag="UNRESERVE", tag_field="operation"):
    """`resources` as they are: the topmost reservation is taken off."""

    resources: Resources
    id: str | None = None


class Create(Record, tag="CREATE", tag_field="operation"):
    """`volumes`: reserved disk with persistence id and container path."""

    volumes: Resources
    id: str | None = None


class Destroy(Record, tag="DESTROY", tag_field="operation"):
    volumes: Resources
    id: str | None = None


class GrowVolume(Record, tag="GROW_VOLUME", tag_field="operation"):
    """`addition`: disk of the same reservation and source as the volume."""

    volume: Resources
    addition: Resources
    id: str | None = None


class ShrinkVolume(Record, tag="SHRINK_VOLUME", tag_field="operation"):
    volume: Resources
    subtract: Thousandths  # MiB
    id: str | None = None


class OtherOperation(Record, tag="OTHER", tag_field="operation"):
    """An operation of resource providers, which mezzo has not; answered if it has an id."""

    type: str
    id: str | None = None


Conversion = Reserve | Unreserve | Create | Destroy | GrowVolume | ShrinkVolume
"""They change what an agent's resources are, not how much: done by the agent, and kept by it."""

Operation = Launch | LaunchGroup | Conversion | OtherOperation


class OperationState(StrEnum):
    UNSUPPORTED = "OPERATION_UNSUPPORTED"
    PENDING = "OPERATION_PENDING"
    FINISHED = "OPERATION_FINISHED"
    FAILED = "OPERATION_FAILED"
    ERROR = "OPERATION_ERROR"
    DROPPED = "OPERATION_DROPPED"
    UNREACHABLE = "OPERATION_UNREACHABLE"
    GONE_BY_OPERATOR = "OPERATION_GONE_BY_OPERATOR"
    RECOVERING = "OPERATION_RECOVERING"
    UNKNOWN = "OPERATION_UNKNOWN"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL: Final = frozenset(
    {
        OperationState.FINISHED,
        OperationState.FAILED,
        OperationState.ERROR,
        OperationState.DROPPED,
        OperationState.GONE_BY_OPERATOR,
    }
)


class OperationStatus(Record):
    """How an operation with an id went. With `uuid`: repeated until acknowledged; without: made by
    the master, sent once."""

    state: OperationState
    operation_id: str | None = None
    message: str | None = None
    agent_id: AgentId | None = None
    converted_resources: Resources = Resources()
    uuid: bytes | None = None


class OperationRecord(Record):
    """An operation as the cluster knows it (`Operation` of mesos.proto). `uuid` names it between
    master and agent; `framework_id` is None for one of an operator."""

    uuid: bytes
    info: Conversion
    latest_status: OperationStatus
    framework_id: FrameworkId | None = None
    agent_id: AgentId | None = None
    statuses: tuple[OperationStatus, ...] = ()
