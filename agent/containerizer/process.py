"""Tasks as plain processes in their sandbox: no engine, no image, no isolation.

Each has a keeper (`shim.py`) that outlives the agent and tells the next one what became of it; its
end is noticed at once through a pidfd. cpus and mem are accounted for but not enforced.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mezzo.ids import ContainerId
from mezzo.model import CommandInfo
from mezzo.users import current_user, switch_problem

from . import shim
from .base import (
    CheckFailed,
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
from .kills import Kills
from .sandbox import make_sandbox, read_file
from .volume import check_volumes, link_volumes
from .workers import Workers

_LAUNCHES_AT_ONCE: Final = 8
_STARTING_POLL_S: Final = 0.005


@dataclass(slots=True)
class _Process:
    """One that runs. `handle` of its shim becomes readable when the shim ends."""

    spec: ContainerSpec
    pid: int
    start_ticks: int
    handle: int
    child: subprocess.Popen[bytes] | None  # to be reaped, if it is our own


class ProcessRuntime:
    """See `ContainerRuntime`. `run_root`: folder for what the shims leave, one folder each.

    base_env: below the environment of each task. crash: gets what a bug in a thread raises.
    """

    def __init__(
        self,
        report: Report,
        crash: Callable[[BaseException], None],
        run_root: Path,
        base_env: Mapping[str, str],
    ) -> None:
        self._report = report
        self._crash = crash
        self._run_root = run_root
        self._lease_file = run_root / "lease"
        self._base_env = dict(base_env)
        self._running: dict[ContainerId, _Process] = {}
        self._launching: set[ContainerId] = set()
        self._unwanted: set[ContainerId] = set()  # killed while being launched

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._workers = Workers(self._loop, "process", _LAUNCHES_AT_ONCE, self._crash)
        self._kills = Kills(self._loop, self._signal)
        self._run_root.mkdir(mode=0o700, parents=True, exist_ok=True)

    # ---- launch and recovery

    def launch(self, spec: ContainerSpec) -> None:
        if spec.container_id not in self._running and spec.container_id not in self._launching:
            self._launching.add(spec.container_id)
            self._workers.run(self._launch, spec)

    def recover(self, specs: Sequence[ContainerSpec]) -> None:
        for spec in specs:
            self._workers.run(self._recover, spec)

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
            child, said = _start_shim(folder, self._task(spec))
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
        self._settle(_how_it_ended(cid, self._run_root / cid))

    def _ended(self, cid: ContainerId) -> None:
        process = self._running.pop(cid)
        self._loop.remove_reader(process.handle)
        os.close(process.handle)
        self._kills.forget(cid)
        if process.child is not None:
            process.child.wait()
        event = _how_it_ended(cid, self._run_root / cid)
        if isinstance(event, ContainerLost) and shim.start_ticks(process.pid) == (
            process.start_ticks
        ):
            # Somebody has killed the keeper alone: nothing may run that nobody watches.
            self._workers.run(shim.kill_session, process.pid)
        self._report(event)

    def _task(self, spec: ContainerSpec) -> dict[str, Any]:
        """What the shim reads."""
        command = spec.command
        assert command is not None
        program, argv = program_of(command)
        return {
            "program": program,
            "argv": argv,
            "env": self._environment(spec),
            "user": "" if spec.user in (None, current_user()) else spec.user,
            "sandbox": spec.sandbox,
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
        # Ended: its shim says so in a moment. Or all of it runs as another user, by sudo say: an
        # agent that is not root can't end it, and would itself end over it, time and again.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)

    def remove(self, container_id: ContainerId, sandbox: str) -> None:
        def work() -> None:
            shutil.rmtree(self._run_root / container_id, ignore_errors=True)
            self._workers.tell(self._report, ContainerRemoved(container_id))

        self._workers.run(work)

    def renew_lease(self, up_s: float) -> None:
        """On the loop, because a launch that follows counts on it; it is a few bytes."""
        shim.write_whole(str(self._lease_file), repr(up_s))

    async def check(self, container_id: ContainerId, command: CommandInfo) -> int:
        process = self._running.get(container_id)
        if process is None:
            raise CheckFailed("the task does not run")
        spec = process.spec
        extra = {v.name: v.value or "" for v in command.environment}
        program, argv = program_of(command)
        try:
            if spec.user is not None and os.geteuid() == 0:
                # By the shim, because the agent must not fork as itself (Popen with `user` would):
                # libraries in it, gRPC above all, do not survive that.
                argv = [
                    sys.executable,
                    "-I",
                    "-S",
                    shim.__file__,
                    "--as",
                    spec.user,
                    program,
                    *argv,
                ]
                program = sys.executable
            child = subprocess.Popen(
                argv,
                executable=program,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=spec.sandbox,
                env=self._environment(spec) | extra,
                start_new_session=True,
            )
        except (OSError, KeyError) as error:
            raise CheckFailed(str(error)) from error
        try:
            await self._end_of(child)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
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

        return read_file(Path(sandbox, stream), offset, alive)

    async def close(self) -> None:
        for process in self._running.values():
            self._loop.remove_reader(process.handle)
            os.close(process.handle)
        self._running.clear()
        self._kills.clear()
        self._workers.close()


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


@dataclass(frozen=True, slots=True)
class _Alive:
    shim: int
    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class _Over:
    """It ran, and its shim is gone."""


def _look(folder: Path) -> _Absent | _Alive | _Over:
    while True:
        process = _read_json(folder / "pid")
        if (folder / "exit").exists():
            return _Over()
        held = _lock_held(folder)
        if held and process is not None:
            return _Alive(process["shim"], process["pid"], process["start_ticks"])
        if not held:
            # Looked at again: a shim may have come to its end since.
            was_there = (folder / "pid").exists() or (folder / "exit").exists()
            return _Over() if was_there else _Absent()
        time.sleep(_STARTING_POLL_S)  # the program is being started this very moment


def _how_it_ended(cid: ContainerId, folder: Path) -> ContainerExited | LaunchFailed | ContainerLost:
    ended = _read_json(folder / "exit")
    if ended is None:
        return ContainerLost(cid, "the keeper of the task is gone and left no exit status")
    if "error" in ended:
        return LaunchFailed(cid, ended["error"])
    return ContainerExited(cid, ended.get("code"), ended.get("signal"))


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return content


def _lock_held(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return shim.lock_held(lock)
    finally:
        os.close(lock)  # also gives back the lock, if it was free


def _open_handle(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _start_shim(folder: Path, task: dict[str, Any]) -> tuple[subprocess.Popen[bytes], bytes]:
    """Start it and wait for what it says: STARTED, an error text, or nothing."""
    ready, said = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", shim.__file__, folder, str(said)],
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
        return child, pipe.read()


def inherited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What tasks get of the agent's own environment: all but its settings, which may be secret."""
    return {
        name: value for name, value in environ.items() if not name.startswith(("MEZZO_", "MESOS_"))
    }
