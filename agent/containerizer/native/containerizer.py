"""Tasks as plain processes in their sandbox: no engine, no image, no isolation.

Each has a keeper (`shim.py`) that outlives the agent and tells the next one what became of it; its
end is noticed at once through a pidfd. Where the kernel's control groups can be used, each has one,
and is ended with all that it has started. cpus and mem are accounted for but not enforced.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from msgspec import Meta

from mezzo.cluster.model import CommandInfo
from mezzo.errors import Corrupt
from mezzo.ids import ContainerId
from mezzo.process.log import get_logger
from mezzo.process.users import current_user, switch_problem
from mezzo.record import Record, decode, replace
from mezzo.units import INT32_MAX

from ...container import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerRemoved,
    ContainerSpec,
    ContainerStarted,
    LaunchFailed,
    Report,
    RuntimeEvent,
    Stream,
)
from ...errors import CheckFailed, RemovalGivenUp
from ...sandbox import beneath
from ...sandbox.folder import bound_output, make_sandbox, read_output
from ...sandbox.volume_folders import check_volumes, link_volumes
from ..blocking import Workers
from ..kills import Kills
from . import shim
from .cgroups import Cgroups

_LAUNCHES_AT_ONCE: Final = 8
_STARTING_POLL_S: Final = 0.005
_BOUND_EVERY_S: Final = 60.0
_ENDED_WITHIN_S: Final = 10.0
_STARTED_WITHIN_S: Final = 10.0  # a keeper says so, even on a busy machine
_STARTED_MOSTLY_S: Final = 1.0  # if it has not by then, its file may
_ENDS_AT_ONCE: Final = 4
_KEPT_MAX_BYTES: Final = 1 << 20
_SHIM: Final = (sys.executable, "-I", "-S", shim.__file__)
_Pid = Annotated[int, Meta(gt=1, le=INT32_MAX)]  # 0 and less would mean a group, or everybody
_R = TypeVar("_R")


@dataclass(slots=True)
class _Process:
    """A process that runs. `handle` of its shim becomes readable when the shim ends."""

    spec: ContainerSpec
    pid: int
    start_ticks: int | None
    handle: int
    child: subprocess.Popen[bytes] | None  # to be reaped, if it is our own


class ProcessRuntime:
    """See `ContainerRuntime`. `run_root`: folder for what the shims leave, one folder each.

    base_env: below the environment of each task. crash: gets what a bug in a thread raises.
    knows: is this container one of a task, or of its remains? Asked on the loop. cgroups: those of
    this agent, if there can be any. output_max_bytes: of each output so much is kept; 0: all.
    """

    def __init__(
        self,
        report: Report,
        crash: Callable[[BaseException], None],
        run_root: Path,
        base_env: Mapping[str, str],
        knows: Callable[[ContainerId], bool],
        cgroups: Cgroups | None,
        output_max_bytes: int = 0,
    ) -> None:
        self._report = report
        self._crash = crash
        self._run_root = run_root
        self._lease_file = run_root / "lease"
        self._base_env = dict(base_env)
        self._knows = knows
        self._cgroups = cgroups
        self._output_max_bytes = output_max_bytes
        self._log = get_logger("agent")
        self._bounding: asyncio.TimerHandle | None = None
        self._running: dict[ContainerId, _Process] = {}
        self._launching: set[ContainerId] = set()
        self._unwanted: set[ContainerId] = set()  # killed while being launched
        self._ending = threading.Event()

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._workers = Workers(self._loop, "process", _LAUNCHES_AT_ONCE, self._crash)
        # For endings: they may take their time, or be made to hang, and no launch waits for them.
        self._enders = Workers(self._loop, "process end", _ENDS_AT_ONCE, self._crash)
        self._kills = Kills(self._loop, self._signal)
        self._run_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        how = f"control groups in {self._cgroups.base}" if self._cgroups else "sessions"
        self._log.info("process.containment", by=how)
        self._workers.run(self._survey)
        if self._output_max_bytes:
            self._bounding = self._loop.call_later(_BOUND_EVERY_S, self._bound_outputs)

    # ---- launch and recovery

    def launch(self, spec: ContainerSpec) -> None:
        if spec.container_id not in self._running and spec.container_id not in self._launching:
            self._launching.add(spec.container_id)
            self._workers.run(self._launch, spec)

    def recover(self, specs: Sequence[ContainerSpec]) -> None:
        for spec in specs:
            self._workers.run(self._recover, spec)

    def _survey(self) -> None:
        """In the pool: the tasks that run, or have left something, from earlier lives."""
        found = dict.fromkeys(
            ContainerId(entry.name) for entry in os.scandir(self._run_root) if entry.is_dir()
        )
        if self._cgroups is not None:
            found |= dict.fromkeys(self._cgroups.found())
        if found:
            self._workers.tell(self._end_strangers, list(found))

    def _end_strangers(self, found: list[ContainerId]) -> None:
        """On the loop. Nobody else would ever end a task that nobody knows."""
        for cid in found:
            if not self._knows(cid):
                self._log.warning("process.unknown", container=cid, action="ended and removed")
                self._enders.run(self._wipe_out, cid)

    def _wipe_out(self, cid: ContainerId) -> None:
        """In the pool: end a task with its keeper, and remove what the keeper has left."""
        folder = self._run_root / cid
        self._end_group(cid)
        found = _look(folder)
        if isinstance(found, _Alive):
            if shim.start_ticks(found.pid) == found.start_ticks:
                shim.kill_session(found.pid)
            with contextlib.suppress(OSError):
                _wait_ended(found.shim)
        self._remove_folder(cid)

    def _remove_folder(self, cid: ContainerId) -> None:
        try:
            beneath.remove_tree(str(self._run_root / cid), go_on=self._goes_on)
        except RemovalGivenUp:  # a task that is the agent's own user may have filled it
            self._log.info("process.not_removed", container=cid, error="the agent ends")
        except OSError as error:  # the next start finds it
            self._log.error("process.not_removed", container=cid, error=str(error))

    def _goes_on(self) -> bool:
        return not self._ending.is_set()

    def _launch(self, spec: ContainerSpec) -> None:
        """In the pool."""
        folder = self._run_root / spec.container_id
        child = None
        try:
            if spec.user is not None and (problem := switch_problem(spec.user)) is not None:
                raise PermissionError(
                    f"the task wants to run as {spec.user}: {problem}. Set the user of the app or "
                    "task, that of its framework (mezzo marathon --mesos-user), or start the agent "
                    "as root"
                )
            folder.mkdir(exist_ok=True)
            make_sandbox(spec.sandbox, spec.user)
            check_volumes(spec.volumes, spec.user)
            link_volumes(spec.volumes, spec.sandbox)
            if spec.container_id in self._unwanted:
                raise OSError("killed before it was started")
            task = self._task(spec)
            if self._cgroups is not None:
                task["cgroup"] = self._cgroups.make(spec.container_id)
            child, said = _start_shim(folder, task)
        except KeyError:
            said = f"user {spec.user!r} is unknown on this machine".encode()
        except (OSError, ValueError) as error:  # ValueError: what is in no name, like NUL
            said = str(error).encode()
        if said and said != shim.STARTED:
            if child is not None:
                child.wait()
            event = LaunchFailed(spec.container_id, said.decode(errors="replace"))
            self._workers.tell(self._settle, event)
            return
        found = _look(folder)
        if isinstance(found, _Absent) and child is not None:
            # The keeper has ended early, or hangs: its end before it knows of a program is no loss.
            child.kill()
            child.wait()
            found = _look(folder)
        if isinstance(found, _Absent):
            text = f"the keeper of the task ended early with {child and child.wait()}"
            self._workers.tell(self._settle, LaunchFailed(spec.container_id, text))
        else:
            self._workers.tell(self._take, spec, found, child)

    def _recover(self, spec: ContainerSpec) -> None:
        """In the pool."""
        found = _look(self._run_root / spec.container_id)
        if isinstance(found, _Absent):
            self._workers.tell(self._report, ContainerAbsent(spec.container_id))
        else:
            self._workers.tell(self._take, spec, found, None)

    def _settle(self, event: RuntimeEvent) -> None:
        self._launching.discard(event.container_id)
        self._unwanted.discard(event.container_id)
        self._report(event)

    def _take(
        self, spec: ContainerSpec, found: _Alive | _Over, child: subprocess.Popen[bytes] | None
    ) -> None:
        """On the loop: watch a process that runs, report one that has ended."""
        cid = spec.container_id
        if cid in self._running:
            return
        if isinstance(found, _Alive):
            handle = _open_handle(found.shim)
            if handle is not None and _lock_held(self._run_root / cid):
                self._running[cid] = _Process(spec, found.pid, found.start_ticks, handle, child)
                self._loop.add_reader(handle, self._ended, cid)
                self._settle(ContainerStarted(cid, pid=found.pid))
                return
            if handle is not None:
                os.close(handle)  # of a process that has the shim's former pid
        if child is not None:
            self._enders.run(_reap, child)
        self._settle(self._end_of_keeper(cid))

    def _ended(self, cid: ContainerId) -> None:
        process = self._running.pop(cid)
        self._loop.remove_reader(process.handle)
        os.close(process.handle)
        self._kills.forget(cid)
        if process.child is not None:
            process.child.wait()
        self._report(self._end_of_keeper(cid, process))

    def _end_of_keeper(
        self, cid: ContainerId, process: _Process | None = None
    ) -> ContainerExited | LaunchFailed | ContainerLost:
        """The last word of a task's keeper. process: what ran, if that is remembered."""
        folder = self._run_root / cid
        event = _how_it_ended(cid, folder)
        if isinstance(event, ContainerLost):
            # Somebody has killed the keeper alone: nothing may run that nobody watches.
            ran = process or _read(folder, "pid", _Alive)
            if ran is not None and shim.start_ticks(ran.pid) == ran.start_ticks:
                self._enders.run(shim.kill_session, ran.pid)
            if self._cgroups is not None:
                self._enders.run(self._end_group, cid)
        return event

    def _end_group(self, cid: ContainerId) -> None:
        """In the pool: end the task's control group. Mostly its keeper has done so."""
        if self._cgroups is not None and not self._cgroups.end(cid):
            self._log.error("process.not_ended", container=cid, error="its control group is alive")

    def _task(self, spec: ContainerSpec) -> dict[str, Any]:
        """The task as the shim reads it."""
        command = spec.command
        assert command is not None
        program, argv = program_of(command)
        return {
            "program": program,
            "argv": argv,
            "env": self._environment(spec),
            "user": "" if spec.user in (None, current_user()) else spec.user,
            "sandbox": spec.sandbox,
            "cgroup": "",
            "lease_s": spec.lease_s,
            "lease_file": str(self._lease_file),
        }

    def _environment(self, spec: ContainerSpec) -> dict[str, str]:
        env = dict(self._base_env)
        if spec.user is not None:
            env |= {"USER": spec.user, "LOGNAME": spec.user}
            with contextlib.suppress(KeyError):  # our own user may have a number only
                env["HOME"] = pwd.getpwnam(spec.user).pw_dir
        return env | dict(spec.env)

    # ---- the rest of the contract

    def kill(self, container_id: ContainerId, grace_s: float) -> None:
        if container_id in self._running:
            self._kills.order(container_id, grace_s)
        elif container_id in self._launching:
            self._unwanted.add(container_id)

    def _signal(self, container_id: ContainerId, number: signal.Signals) -> None:
        process = self._running.get(container_id)
        if process is None:
            return
        # The task has ended: its shim says so in a moment. Or all of it runs as another user, by
        # sudo say: an agent that is not root can't end it, and would end over it, time and again.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        if number is signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                # A task of its keeper's user may have stopped it: it is to see the end.
                signal.pidfd_send_signal(process.handle, signal.SIGCONT)

    def remove(self, container_id: ContainerId, sandbox: str) -> None:
        def work() -> None:
            self._end_group(container_id)
            self._remove_folder(container_id)
            self._workers.tell(self._report, ContainerRemoved(container_id))

        self._enders.run(work)

    def renew_lease(self, up_s: float) -> None:
        """On the loop, because a launch that follows counts on it; it is a few bytes."""
        shim.write_whole(str(self._lease_file), repr(up_s))

    async def check(self, container_id: ContainerId, command: CommandInfo) -> int:
        process = self._running.get(container_id)
        if process is None:
            raise CheckFailed("the task does not run")
        spec = process.spec
        try:
            task = self._task(replace(spec, command=command))
            task["env"] = self._environment(spec) | {
                v.name: v.value or "" for v in command.environment
            }
            if self._cgroups is not None:
                task["cgroup"] = str(self._cgroups.base / container_id)
            # Kept like a task, so that nothing of it lives on; and by another process, because the
            # agent must not fork as itself (Popen with `user` would): gRPC does not survive that.
            # Its environment is the check's own: in a keeper that is root, LD_PRELOAD would be too.
            child = _start_beside(task)
        except (OSError, KeyError, ValueError) as error:
            raise CheckFailed(str(error)) from error
        try:
            await self._end_of(child)
        finally:
            if child.poll() is None:
                child.terminate()
                self._enders.run(_reap, child)
        return child.wait()

    async def _end_of(self, child: subprocess.Popen[bytes]) -> None:
        ended = asyncio.Event()
        handle = os.pidfd_open(child.pid)
        self._loop.add_reader(handle, ended.set)
        try:
            await ended.wait()
        finally:
            self._loop.remove_reader(handle)
            os.close(handle)

    def logs(
        self, container_id: ContainerId, sandbox: str, stream: Stream, offset: int, follow: bool
    ) -> Iterator[bytes]:
        def alive() -> bool:
            return follow and container_id in self._running

        return read_output(sandbox, stream, offset, alive)

    def _bound_outputs(self) -> None:
        """On the loop."""
        self._workers.run(self._bound, [each.spec.sandbox for each in self._running.values()])
        self._bounding = self._loop.call_later(_BOUND_EVERY_S, self._bound_outputs)

    def _bound(self, sandboxes: list[str]) -> None:
        """In the pool."""
        for sandbox in sandboxes:
            try:
                bound_output(sandbox, self._output_max_bytes)
            except OSError as error:
                self._log.warning("output.not_bounded", sandbox=sandbox, error=str(error))

    async def close(self) -> None:
        self._ending.set()
        if self._bounding is not None:
            self._bounding.cancel()
        for process in self._running.values():
            self._loop.remove_reader(process.handle)
            os.close(process.handle)
        self._running.clear()
        self._kills.clear()
        self._workers.close()
        self._enders.close()


def program_of(command: CommandInfo) -> tuple[str, list[str]]:
    """Program and whole argv: of a shell line, or `value` with `arguments` as its argv (Mesos)."""
    if command.shell:
        return "/bin/sh", ["/bin/sh", "-c", command.value or ""]
    program = command.value or command.arguments[0]
    return program, list(command.arguments) or [program]


# ---------------------------------------------------------------------------------- shim files


@dataclass(frozen=True, slots=True)
class _Absent:
    """No shim has ever got as far as running the program."""


class _Alive(Record):
    shim: _Pid
    pid: _Pid
    start_ticks: int | None


@dataclass(frozen=True, slots=True)
class _Over:
    """The task ran, and its shim is gone."""


def _look(folder: Path) -> _Absent | _Alive | _Over:
    until_s = time.monotonic() + _STARTED_WITHIN_S
    while True:
        process = _read(folder, "pid", _Alive)
        if (folder / "exit").exists():
            return _Over()
        held = _lock_held(folder)
        if held and process is not None:
            return process
        if not held:
            # Looked at again: a shim may have come to its end since.
            was_there = (folder / "pid").exists() or (folder / "exit").exists()
            return _Over() if was_there else _Absent()
        if time.monotonic() > until_s:
            _end_unknown(folder)
            return _Over()
        time.sleep(_STARTING_POLL_S)  # the program is being started this very moment


def _end_unknown(folder: Path) -> None:
    """End a keeper that hangs and has not told of its program, or whose word was removed, and all
    that it keeps."""
    why = "the keeper of the task did not tell of its program: both were ended"
    shim.write_whole(str(folder / "exit"), json.dumps({"error": why}))
    for keeper in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            arguments = Path("/proc", keeper, "cmdline").read_bytes().split(b"\0")
            if arguments[len(_SHIM) :][:1] == [os.fsencode(folder)]:
                shim.kill_all(partial(_is_child, int(keeper)))
                os.kill(int(keeper), signal.SIGKILL)


def _is_child(parent: int, stat: list[str]) -> bool:
    return int(stat[1]) == parent


class _Exit(Record):
    """How a program ended: exactly one field is set."""

    code: int | None = None
    signal: int | None = None
    error: str | None = None


def _how_it_ended(cid: ContainerId, folder: Path) -> ContainerExited | LaunchFailed | ContainerLost:
    ended = _read(folder, "exit", _Exit)
    if ended is None or ended == _Exit():
        return ContainerLost(cid, "the keeper of the task is gone and left no exit status")
    if ended.error is not None:
        return LaunchFailed(cid, ended.error)
    return ContainerExited(cid, ended.code, ended.signal)


def _read(folder: Path, name: str, kind: type[_R]) -> _R | None:
    """What a keeper has left; None if nothing, or if a task has put something else in its place.

    For a task that runs as the agent's own user can.
    """
    try:
        with beneath.folder(str(folder)) as at, open(beneath.open_regular(at, name), "rb") as file:
            return decode(kind, file.read(_KEPT_MAX_BYTES))
    except (OSError, Corrupt):
        return None


def _lock_held(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        return shim.lock_held(lock)
    finally:
        os.close(lock)  # also gives back the lock, if it was free


def _wait_ended(pid: int) -> None:
    """Wait for the end of a keeper, after its program's, unless it hangs. Raises OSError."""
    handle = os.pidfd_open(pid)
    try:
        if not select.select([handle], [], [], _ENDED_WITHIN_S)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)


def _reap(check: subprocess.Popen[bytes]) -> None:
    """Reap a shim that was told to end."""
    try:
        check.wait(_ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        check.kill()
        check.wait()


def _open_handle(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _start_shim(folder: Path, task: dict[str, Any]) -> tuple[subprocess.Popen[bytes], bytes]:
    """Start a shim and wait for what it says: STARTED, an error text, or nothing, for a while."""
    ready, said = os.pipe()
    try:
        child = subprocess.Popen(
            [*_SHIM, folder, str(said)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            pass_fds=[said],
            start_new_session=True,
        )
    except OSError:
        os.close(ready)
        raise
    finally:
        os.close(said)
    with open(ready, "rb") as pipe:
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(task).encode())
            child.stdin.close()
        except BrokenPipeError:
            pass  # it died at once: it will have said nothing
        # It hangs with what it waits for (whoever knows users, a network's disk), or was stopped by
        # its program, of which it has written down before. Others want to be launched meanwhile.
        heard = select.select([pipe], [], [], _STARTED_MOSTLY_S)[0]
        if not heard and _read(folder, "pid", _Alive) is None:
            heard = select.select([pipe], [], [], _STARTED_WITHIN_S - _STARTED_MOSTLY_S)[0]
        # Read once, and not to the end, which a stopped keeper never comes to.
        return child, pipe.read1() if heard else b""


def _start_beside(task: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Raises OSError, ValueError."""
    with open(os.memfd_create("check"), "w+b") as stdin:  # a pipe might be too small for it
        stdin.write(json.dumps(task).encode())
        stdin.seek(0)
        return subprocess.Popen(
            [*_SHIM, "--beside"],
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )


def inherited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The agent's own environment for tasks: all but its settings, which may be secret."""
    return {
        name: value for name, value in environ.items() if not name.startswith(("MEZZO_", "MESOS_"))
    }
