"""What an agent's core wants done."""

from __future__ import annotations

from mezzo.cluster.model import HealthCheck
from mezzo.core import CancelTimer, SetTimer
from mezzo.ids import ConnId, ContainerId, FrameworkId, TaskId
from mezzo.messages.agent import AgentMessage
from mezzo.record import Record

from .container import ContainerSpec, Kind


class Send(Record):
    conn: ConnId
    message: AgentMessage


class CloseMaster(Record):
    """End this stream; the link opens another one to the master that leads then."""

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
    """Remove the data of a destroyed volume, for good. VolumeRemoved follows, unless that fails.

    whole: and the folder itself, which is not the root of a disk of its own.
    """

    path: str
    whole: bool


class RenewLease(Record):
    """Tell keepers: a master has heard of the agent when the machine was `up_s` seconds up."""

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
