"""What the agent asks of a containerizer, in the core's words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Protocol

from mezzo.cluster.model import CommandInfo, ContainerInfo, NetworkInfo
from mezzo.ids import AgentId, ContainerId, FrameworkId, TaskId
from mezzo.record import Record

# Where a Docker task sees its sandbox (Mesos' `--sandbox_directory`).
SANDBOX_IN_IMAGE = "/mnt/mesos/sandbox"


class Kind(StrEnum):
    """Which containerizer runs a task; the words of `--containerizers`."""

    DOCKER = "docker"
    PROCESS = "process"


class Stream(StrEnum):
    """The two outputs of a task; also the names of their files in the sandbox."""

    STDOUT = "stdout"
    STDERR = "stderr"


class Mount(Record):
    """A folder of the host that a task sees. container_path: relative ones are in its sandbox."""

    path: str
    container_path: str


class ContainerSpec(Record):
    """All that a containerizer needs to know of one task. Never log it: `env` may hold secrets.

    sandbox: the task's own folder on the host, absolute; the containerizer makes it.
    env: in order, a later one of the same name wins; a containerizer may add a base below it.
    cpus in cores, mem_mib in MiB, 0 means no limit.
    user: run as this user of the host (process) or image (docker); None: as the default there is.
    container: given for every Docker task, with `docker` in it.
    volumes: persistent ones, whose folders must be there. lease_s: how long after the last
    `renew_lease` the task may run; only a containerizer with keepers can see to that.
    """

    container_id: ContainerId
    kind: Kind
    agent_id: AgentId
    framework_id: FrameworkId
    task_id: TaskId
    sandbox: str
    env: tuple[tuple[str, str], ...]
    cpus: float
    mem_mib: float
    command: CommandInfo | None = None
    container: ContainerInfo | None = None
    user: str | None = None
    volumes: tuple[Mount, ...] = ()
    lease_s: float | None = None


def container_name(container_id: ContainerId) -> str:
    """The name in the Docker engine: it makes launches idempotent, and containers found again."""
    return f"mezzo-{container_id}"


# ---------------------------------------------------------------------------------- what it reports


class ContainerStarted(Record):
    """The task runs: after a launch, or found running by `recover`.

    `data` goes into TASK_RUNNING as it is: for Docker the array that `docker inspect` prints.
    """

    container_id: ContainerId
    network_infos: tuple[NetworkInfo, ...] = ()
    pid: int | None = None  # on the host
    data: bytes | None = None


class ContainerExited(Record):
    """The task's own process ended. Exactly one of the two numbers tells how."""

    container_id: ContainerId
    exit_code: int | None = None
    signal: int | None = None
    oom_killed: bool = False  # the kernel killed something in the container for its memory limit


class LaunchFailed(Record):
    """The task never ran, and never will under this container id."""

    container_id: ContainerId
    message: str


class ContainerLost(Record):
    """The container ran, is gone, and nobody can tell how it ended."""

    container_id: ContainerId
    message: str


class ContainerAbsent(Record):
    """Answer of `recover`: there is no trace of the container, so no launch has got through."""

    container_id: ContainerId


class ContainerRemoved(Record):
    """Nothing of the container is left but its sandbox."""

    container_id: ContainerId


RuntimeEvent = (
    ContainerStarted
    | ContainerExited
    | LaunchFailed
    | ContainerLost
    | ContainerAbsent
    | ContainerRemoved
)
Report = Callable[[RuntimeEvent], None]


class ContainerRuntime(Protocol):
    """One containerizer. Lives on the event loop: no call blocks, results come as events.

    It may report an ending twice, or of a container that nobody asked about any more.
    See docker/, native/, and tests/unit/agent/fakes.py.
    """

    def start(self) -> None:
        """Begin to work; called once, before all else, on the running loop."""
        ...

    def launch(self, spec: ContainerSpec) -> None:
        """Start a container: ContainerStarted or LaunchFailed follows.

        Idempotent by container id: one that runs already is reported as started, one that has
        ended as ended; none ever runs twice.
        """
        ...

    def recover(self, specs: Sequence[ContainerSpec]) -> None:
        """Find containers again after a restart: one event for each, in any order. None starts."""
        ...

    def kill(self, container_id: ContainerId, grace_s: float) -> None:
        """SIGTERM now, SIGKILL after `grace_s`; the ending is reported as any other.

        A launch under way is given up and reported as LaunchFailed, if it has not started yet.
        Repeated with less grace SIGKILL comes sooner. Nothing if it is unknown or has ended.
        """
        ...

    def remove(self, container_id: ContainerId, sandbox: str) -> None:
        """Remove an ended container, keep its logs in the sandbox; ContainerRemoved follows."""
        ...

    def renew_lease(self, up_s: float) -> None:
        """Containers with a `lease_s` may run so long after the machine was `up_s` seconds up.

        Only keepers that outlive the agent need that: a living agent kills in time by itself.
        """
        ...

    async def check(self, container_id: ContainerId, command: CommandInfo) -> int:
        """Run a command beside the task, in its container or sandbox; its exit code.

        Cancelling kills the command. Raises CheckFailed if it can't be run.
        """
        ...

    def logs(
        self, container_id: ContainerId, sandbox: str, stream: Stream, offset: int, follow: bool
    ) -> Iterator[bytes]:
        """The output from byte `offset` on, in chunks; with `follow` until the container ends.

        Called by threads that must not be kept while there is nothing to read: an empty chunk
        says so. Empty if there is no output. Raises NoLogs at once, not when the first chunk is
        asked for.
        """
        ...

    async def close(self) -> None:
        """Let go of threads and connections. Containers run on."""
        ...
