"""Task states and their moves. Names and numbers as in Mesos v1 `TaskState`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class TaskState(StrEnum):
    STAGING = "TASK_STAGING"
    STARTING = "TASK_STARTING"
    RUNNING = "TASK_RUNNING"
    KILLING = "TASK_KILLING"
    FINISHED = "TASK_FINISHED"
    FAILED = "TASK_FAILED"
    KILLED = "TASK_KILLED"
    ERROR = "TASK_ERROR"
    LOST = "TASK_LOST"
    DROPPED = "TASK_DROPPED"
    UNREACHABLE = "TASK_UNREACHABLE"
    GONE = "TASK_GONE"
    GONE_BY_OPERATOR = "TASK_GONE_BY_OPERATOR"
    UNKNOWN = "TASK_UNKNOWN"

    @property
    def terminal(self) -> bool:
        """True if nothing runs any more and nothing will: the task's resources are free."""
        return self in _TERMINAL


_S = TaskState

_ENDS: Final = frozenset({_S.FINISHED, _S.FAILED, _S.KILLED, _S.ERROR})
# What the master says of a task when the agent can't speak for it.
_SPOKEN_FOR: Final = frozenset({_S.UNREACHABLE, _S.GONE, _S.GONE_BY_OPERATOR, _S.LOST})
_TERMINAL: Final = _ENDS | {_S.LOST, _S.DROPPED, _S.GONE, _S.GONE_BY_OPERATOR}

MOVES: Final[Mapping[TaskState, frozenset[TaskState]]] = {
    # DROPPED: the launch never reached a container.
    _S.STAGING: _ENDS | _SPOKEN_FOR | {_S.STARTING, _S.RUNNING, _S.KILLING, _S.DROPPED},
    _S.STARTING: _ENDS | _SPOKEN_FOR | {_S.RUNNING, _S.KILLING, _S.DROPPED},
    # RUNNING to RUNNING: health or check results changed. To DROPPED: of a task that its agent does
    # not know any more it says this, for want of knowing how far the task came.
    _S.RUNNING: _ENDS | _SPOKEN_FOR | {_S.RUNNING, _S.KILLING, _S.DROPPED},
    _S.KILLING: _ENDS | _SPOKEN_FOR | {_S.DROPPED},
    # Not terminal: the agent may come back with the task in any state.
    _S.UNREACHABLE: _ENDS
    | {_S.STAGING, _S.STARTING, _S.RUNNING, _S.KILLING}
    | {_S.DROPPED, _S.LOST, _S.GONE, _S.GONE_BY_OPERATOR},
    # LOST is what a framework without PARTITION_AWARE is told instead of UNREACHABLE: the same
    # return is possible, although clients treat it as terminal.
    _S.LOST: _ENDS | {_S.STAGING, _S.STARTING, _S.RUNNING, _S.KILLING},
    # Answers of reconciliation only; no task is ever kept in it.
    _S.UNKNOWN: frozenset(),
    _S.FINISHED: frozenset(),
    _S.FAILED: frozenset(),
    _S.KILLED: frozenset(),
    _S.ERROR: frozenset(),
    _S.DROPPED: frozenset(),
    _S.GONE: frozenset(),
    _S.GONE_BY_OPERATOR: frozenset(),
}


def may_move(old: TaskState, new: TaskState) -> bool:
    """Can a task go from `old` to `new`? The one table that every daemon asks."""
    return new in MOVES[old]


class Source(StrEnum):
    """The maker of a status update."""

    MASTER = "SOURCE_MASTER"
    AGENT = "SOURCE_AGENT"
    EXECUTOR = "SOURCE_EXECUTOR"


class Reason(StrEnum):
    """Why a task is in its state: Mesos v1 `TaskStatus.Reason`, those that mezzo gives."""

    COMMAND_EXECUTOR_FAILED = "REASON_COMMAND_EXECUTOR_FAILED"
    CONTAINER_LAUNCH_FAILED = "REASON_CONTAINER_LAUNCH_FAILED"
    CONTAINER_LIMITATION_MEMORY = "REASON_CONTAINER_LIMITATION_MEMORY"
    EXECUTOR_REGISTRATION_TIMEOUT = "REASON_EXECUTOR_REGISTRATION_TIMEOUT"
    EXECUTOR_REREGISTRATION_TIMEOUT = "REASON_EXECUTOR_REREGISTRATION_TIMEOUT"
    EXECUTOR_TERMINATED = "REASON_EXECUTOR_TERMINATED"
    MAX_COMPLETION_TIME_REACHED = "REASON_MAX_COMPLETION_TIME_REACHED"
    AGENT_DISCONNECTED = "REASON_AGENT_DISCONNECTED"
    AGENT_DRAINING = "REASON_AGENT_DRAINING"
    AGENT_REMOVED = "REASON_AGENT_REMOVED"
    AGENT_REMOVED_BY_OPERATOR = "REASON_AGENT_REMOVED_BY_OPERATOR"
    AGENT_REREGISTERED = "REASON_AGENT_REREGISTERED"
    AGENT_RESTARTED = "REASON_AGENT_RESTARTED"
    AGENT_UNKNOWN = "REASON_AGENT_UNKNOWN"
    FRAMEWORK_REMOVED = "REASON_FRAMEWORK_REMOVED"
    INVALID_OFFERS = "REASON_INVALID_OFFERS"
    MASTER_DISCONNECTED = "REASON_MASTER_DISCONNECTED"
    RECONCILIATION = "REASON_RECONCILIATION"
    RESOURCES_UNKNOWN = "REASON_RESOURCES_UNKNOWN"
    TASK_CHECK_STATUS_UPDATED = "REASON_TASK_CHECK_STATUS_UPDATED"
    TASK_GROUP_INVALID = "REASON_TASK_GROUP_INVALID"
    TASK_HEALTH_CHECK_STATUS_UPDATED = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"
    TASK_INVALID = "REASON_TASK_INVALID"
    TASK_KILLED_DURING_LAUNCH = "REASON_TASK_KILLED_DURING_LAUNCH"
    TASK_UNKNOWN = "REASON_TASK_UNKNOWN"
