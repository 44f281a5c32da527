"""What happens to an agent's core, and what it wants done."""

from __future__ import annotations

from mezzo.core import CancelTimer, SetTimer, TimerFired
from mezzo.ids import ConnId, ContainerId, FrameworkId, TaskId
from mezzo.messages.agent import AgentMessage, MasterMessage
from mezzo.model import HealthCheck
from mezzo.record import Record

from .containerizer.base import ContainerSpec, Kind, RuntimeEvent

# ---------------------------------------------------------------------------------- events


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
    """Of an earlier life of this agent, and nobody's. changed_s: wall time of its last change."""

    container_id: ContainerId
    framework_id: FrameworkId
    task_id: TaskId
    sandbox: str
    changed_s: float


class DiskMeasured(Record):
    """The answer to MeasureDisk. used: the part of the work directory's disk that is not free."""

    used: float


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

# ---------------------------------------------------------------------------------- timers


class PingOverdue(Record):
    """Key of the timer that a ping of the master sets back."""


class AskAgain(Record):
    """Key: the master has not answered our registration."""


class UpdateOverdue(Record):
    """Key: nobody has acknowledged the update in flight."""

    framework_id: FrameworkId
    task_id: TaskId


class OperationOverdue(Record):
    """Key: nobody has acknowledged how this operation went."""

    uuid: bytes


class HealthDue(Record):
    container_id: ContainerId


class LeaseDue(Record):
    """Key: look whether the lease of a unique task is about to be over."""

    container_id: ContainerId


class OutOfTime(Record):
    """Key: the task's max_completion_time is over."""

    container_id: ContainerId


class RemovalDue(Record):
    """Key: of an ended container, or later of its sandbox."""

    container_id: ContainerId


class DiskDue(Record):
    """Key: look how full the disk is."""


# ---------------------------------------------------------------------------------- effects


class Send(Record):
    conn: ConnId
    message: AgentMessage


class CloseMaster(Record):
    """End this stream; the link opens another one to whoever leads then."""

    conn: ConnId
    reason: str


class LaunchContainer(Record):
    spec: ContainerSpec


class RecoverContainers(Record):
    specs: tuple[ContainerSpec, ...]


class KillContainer(Record):
    container_id: ContainerId
    kind: Kind
    grace_s: float


class RemoveContainer(Record):
    container_id: ContainerId
    kind: Kind
    sandbox: str


class RemoveSandbox(Record):
    container_id: ContainerId
    sandbox: str


class MeasureDisk(Record):
    """Look how full the disk of the work directory is; DiskMeasured follows."""


class MakeVolume(Record):
    """Make the folder of a new persistent volume. VolumeMade follows, unless it can't be made."""

    path: str


class RemoveVolume(Record):
    """Remove the data of a destroyed volume, for good. `whole`: and the folder itself, which is

    not the root of a disk of its own. VolumeRemoved follows, unless it can't be done.
    """

    path: str
    whole: bool


class RenewLease(Record):
    """For keepers that outlive the agent: a master has heard of it when the machine was `up_s`."""

    kind: Kind
    up_s: float


class ProbeHealth(Record):
    """Run a task's health check once and post HealthObserved.

    host, port: where an HTTP or TCP check connects to.
    """

    framework_id: FrameworkId
    task_id: TaskId
    container_id: ContainerId
    kind: Kind
    check: HealthCheck
    host: str
    port: int


class Exit(Record):
    """End the process. `wanted`: False if the master refuses this agent."""

    message: str
    wanted: bool


AgentEffect = (
    Send
    | CloseMaster
    | LaunchContainer
    | RecoverContainers
    | KillContainer
    | RemoveContainer
    | RemoveSandbox
    | MeasureDisk
    | MakeVolume
    | RemoveVolume
    | RenewLease
    | ProbeHealth
    | Exit
    | SetTimer
    | CancelTimer
)
