"""What happens to an agent's core."""

from __future__ import annotations

from mezzo.core import TimerFired
from mezzo.ids import ConnId, ContainerId, FrameworkId, TaskId
from mezzo.messages.agent import MasterMessage
from mezzo.record import Record

from .container import RuntimeEvent


class Started(Record):
    """The first event. `boot_id` of the machine: another one than before means a reboot.

    `cleanup`: kill what is left of the last run and exit (Mesos' `--recover=cleanup`).
    up_s: seconds since that boot, suspended ones included: the clock that outlives the agent, which
    leases need. None: there is no such clock.
    """

    boot_id: str
    cleanup: bool = False
    up_s: float | None = None


class MasterUp(Record):
    """A stream to the leading master is open."""

    conn: ConnId


class MasterDown(Record):
    conn: ConnId


class MasterSaid(Record):
    """One message of a master's batch, with the batch's epoch."""

    conn: ConnId
    epoch: int
    message: MasterMessage


class HealthObserved(Record):
    """The answer to one ProbeHealth. `message` says why it did not pass."""

    container_id: ContainerId
    passed: bool
    message: str = ""


class SandboxRemoved(Record):
    container_id: ContainerId


class SandboxFound(Record):
    """A sandbox of an earlier life, and nobody's. changed_s: wall time of its last change."""

    container_id: ContainerId
    framework_id: FrameworkId
    task_id: TaskId
    sandbox: str
    changed_s: float


class DiskMeasured(Record):
    """The answer to MeasureDisk: the part of the work directory's disk that is not free."""

    used_part: float


class VolumeMade(Record):
    path: str


class VolumeRemoved(Record):
    path: str


class ShutdownRequested(Record):
    """The operator takes this agent away for good: end all tasks, say goodbye, exit."""


AgentEvent = (
    Started
    | MasterUp
    | MasterDown
    | MasterSaid
    | RuntimeEvent
    | HealthObserved
    | SandboxRemoved
    | SandboxFound
    | DiskMeasured
    | VolumeMade
    | VolumeRemoved
    | ShutdownRequested
    | TimerFired
)
