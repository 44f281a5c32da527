"""The agent's process: store, core, the stream to the master, containerizers, HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import secrets
import signal
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, assert_never

from mezzo.core import CancelTimer, Delete, SetTimer
from mezzo.election.detector import detector_for
from mezzo.errors import BadConfig
from mezzo.http.server import HttpServer
from mezzo.http.web_guard import hosts_of_machine
from mezzo.ids import ConnId, ContainerId, FrameworkId, IdSource, TaskId
from mezzo.messages.agent import MasterMessage
from mezzo.process.clocks import MachineClock
from mezzo.process.log import get_logger
from mezzo.process.term import opened
from mezzo.record import replace
from mezzo.runtime import Runtime
from mezzo.store.base import StateStore
from mezzo.store.open import open_store
from mezzo.wire.clients.agent_link import AgentLink

from .. import effects as do
from .. import events as e
from ..api.routes import AgentApi
from ..config import AgentConfig
from ..container import ContainerRuntime, Kind, Stream
from ..containerizer.docker.body import LABEL_OWNER, DockerSettings
from ..containerizer.native.cgroups import Cgroups, usable_cgroups
from ..containerizer.native.containerizer import ProcessRuntime, inherited_environment
from ..containerizer.native.shim import write_whole
from ..containerizer.runtimes import Runtimes
from ..core import AgentCore
from ..errors import RemovalGivenUp
from ..health.probe import Prober
from ..options import AgentOptions
from ..resources.detect import boot_id, check_reconfiguration, engine_has, engine_problem
from ..sandbox.folder import remove_sandbox
from ..sandbox.volume_folders import make_volume, remove_volume
from ..state.checkpoint import Checkpoint
from ..state.loading import load
from ..tasks.container_spec import kind_of
from ..views import AgentView
from .core_config import check, core_config, docker_settings
from .effect_log import log_effect

REFUSED: Final = 2  # exit code: the master wants no such agent; starting again is of no use
_HTTP_THREADS: Final = 8  # answers at the same time
_LAST_WORDS_S: Final = 0.2
_LOOP_ANSWERS_S: Final = 10
_OWNER_MAX_BYTES: Final = 64


async def run_agent(options: AgentOptions) -> int:
    """Run until cancelled, told to leave, or refused by the master (exit code 2). Tasks live on.

    Raises BadConfig, and StoreError if the agent's own store fails.
    """
    check(options)
    await asyncio.to_thread(options.work_dir.mkdir, parents=True, exist_ok=True)
    with only_agent_in(options.work_dir):
        store = open_store(f"sqlite:{options.work_dir.resolve()}/meta/agent.db")
        try:
            _, stored = await opened(store, get_logger("agent"))
            if options.forget_set_aside:
                stored = await asyncio.to_thread(forget_set_aside, store, stored)
            shell = AgentShell(options, store, stored)
            return await shell.run()
        finally:
            await asyncio.to_thread(store.close)


class AgentShell:
    """Performs the core's effects and tells it what came of them."""

    def __init__(
        self, options: AgentOptions, store: StateStore, stored: Mapping[str, bytes]
    ) -> None:
        """Raises BadConfig (also if the HTTP port can't be had), Corrupt."""
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._log = get_logger("agent")
        self._exit: do.Exit | None = None
        detector = detector_for(options.master)  # what can't work is told before anything runs
        config = core_config(options)
        check_comeback(load(stored), config, options)
        self._owner = owner_of(options.work_dir)
        self._ending = threading.Event()
        self._cgroups = cgroups_for(options.launcher, self._owner)
        self._runtimes = Runtimes(self._containerizer)
        self._prober = Prober(self._runtimes, self._post, self._crash)
        api = AgentApi(self._view, self._logs)
        self._http = HttpServer(
            api,
            ip=options.ip,
            port=options.port,
            threads=_HTTP_THREADS,
            hosts=hosts_of_machine(options.ip, config.info.hostname, *options.http_allowed_hosts),
            urgent=("/health",),
        )
        self._http.start()  # before the core, because its port is part of what the master is told
        config = replace(config, info=replace(config.info, port=self._http.port))
        # The keepers of unique tasks know no other clock: a machine that sleeps loses its leases.
        self._clock = MachineClock()
        self._core = AgentCore(config, stored, IdSource(random.SystemRandom()))
        self._runtime: Runtime[e.AgentEvent] = Runtime(
            self._core, store, self._perform, clock=self._clock
        )
        self._link = AgentLink(
            detector,
            on_up=lambda conn: self._post(e.MasterUp(conn)),
            on_messages=self._heard,
            on_down=lambda conn: self._post(e.MasterDown(conn)),
        )

    def _containerizer(self, kind: Kind) -> ContainerRuntime:
        match kind:
            case Kind.DOCKER:
                from ..containerizer.docker.containerizer import (
                    DockerRuntime,  # only now: see Runtimes
                )

                return DockerRuntime(
                    self._post,
                    self._crash,
                    self._docker_settings(),
                    self._core.state.checkpoint.knows,
                )
            case Kind.PROCESS:
                root = self._options.work_dir.resolve() / "run"
                env = inherited_environment(os.environ)
                return ProcessRuntime(
                    self._post,
                    self._crash,
                    root,
                    env,
                    self._core.state.checkpoint.knows,
                    self._cgroups,
                    self._options.output_max_mib << 20,
                )

    def _docker_settings(self) -> DockerSettings:
        settings = docker_settings(self._options, os.environ.get("DOCKER_HOST"))
        return replace(settings, owner=self._owner)

    async def run(self) -> int:
        """Run until cancelled, or until the core wants to exit. Returns the exit code."""
        config = self._core.view().config
        self._log.info(
            "agent.started",
            agent=self._core.view().agent_id,
            hostname=config.info.hostname,
            http=f"{config.ip}:{config.info.port}",
            resources=str(config.info.resources),
            work_dir=config.work_dir,
        )
        if Kind.PROCESS in config.containerizers:
            self._runtimes[Kind.PROCESS]  # so that it looks for what earlier lives have left
        if Kind.DOCKER in config.containerizers:
            await self._look_for_engine()
        for key, why in self._core.view().aside:
            self._log.error("record.set_aside", key=key, error=why)
        self._look_for_sandboxes()
        cleanup = self._options.recover == "cleanup"
        self._post(e.Started(boot_id(), cleanup, self._clock.now().mono_s))
        if threading.current_thread() is threading.main_thread():
            # As in Mesos: this agent leaves for good, and its tasks with it.
            self._loop.add_signal_handler(signal.SIGUSR1, self._post, e.ShutdownRequested())
        link = asyncio.create_task(self._link.run())
        link.add_done_callback(self._link_ended)
        try:
            await self._runtime.run()
        finally:
            self._ending.set()
            link.cancel()
            await asyncio.wait([link])
            await self._prober.close()
            await self._runtimes.close()
            await asyncio.to_thread(self._http.stop)
        return 0 if self._exit is None or self._exit.wanted else REFUSED

    async def _look_for_engine(self) -> None:
        """Say at once if Docker tasks would have to wait; and look after what runs there."""
        url = self._docker_settings().url
        problem = await asyncio.to_thread(engine_problem, url)
        if problem is not None:
            self._log.warning("docker.unavailable", engine=url, error=problem)
        elif await asyncio.to_thread(engine_has, url, f"{LABEL_OWNER}={self._owner}"):
            self._runtimes[Kind.DOCKER]  # so that it looks for what earlier lives have left

    # ---- what comes in

    def _post(self, event: e.AgentEvent) -> None:
        self._runtime.post(event)

    def _crash(self, error: BaseException) -> None:
        """A bug outside the core: end the process; the next start recovers."""
        self._runtime.stop(error)

    def _link_ended(self, link: asyncio.Task[None]) -> None:
        if not link.cancelled() and (error := link.exception()) is not None:
            self._crash(error)

    def _heard(self, conn: ConnId, epoch: int, messages: list[MasterMessage]) -> None:
        for message in messages:
            self._post(e.MasterSaid(conn, epoch, message))

    def _view(self) -> AgentView:
        """From any thread."""

        async def look() -> AgentView:
            return self._core.view()

        return asyncio.run_coroutine_threadsafe(look(), self._loop).result(_LOOP_ANSWERS_S)

    def _logs(
        self, kind: Kind, cid: ContainerId, sandbox: str, stream: Stream, offset: int, follow: bool
    ) -> Iterator[bytes]:
        """From any thread."""

        async def runtime() -> ContainerRuntime:
            return self._runtimes[kind]

        found = asyncio.run_coroutine_threadsafe(runtime(), self._loop).result(_LOOP_ANSWERS_S)
        return found.logs(cid, sandbox, stream, offset, follow)

    # ---- what goes out

    def _perform(self, effect: do.AgentEffect) -> None:
        runtimes = self._runtimes
        match effect:
            case do.Send(conn, message):
                self._link.send(conn, message)
            case do.CloseMaster(conn):
                self._link.close(conn)
            case do.LaunchContainer(spec):
                runtimes[spec.kind].launch(spec)
            case do.RecoverContainers(specs):
                for kind in dict.fromkeys(spec.kind for spec in specs):
                    runtimes[kind].recover([spec for spec in specs if spec.kind is kind])
            case do.KillContainer(container_id, kind, grace_s):
                runtimes[kind].kill(container_id, grace_s)
            case do.RemoveContainer(container_id, kind, sandbox):
                runtimes[kind].remove(container_id, sandbox)
            case do.RemoveSandbox(container_id, sandbox):
                self._remove_sandbox(container_id, sandbox)
            case do.MeasureDisk():
                self._measure_disk()
            case do.MakeVolume(path):
                self._make_volume(path)
            case do.RemoveVolume(path, whole):
                self._remove_volume(path, whole)
            case do.RenewLease(kind, up_s):
                runtimes[kind].renew_lease(up_s)
            case do.ProbeHealth():
                self._prober.probe(effect)
            case do.Exit():
                self._exit = effect
                # The last messages, a goodbye above all, still have to leave.
                self._loop.call_later(_LAST_WORDS_S, self._runtime.stop)
            case SetTimer() | CancelTimer():
                raise AssertionError("the runtime has timers of its own")
            case _:
                assert_never(effect)
        log_effect(self._log, effect)

    def _remove_sandbox(self, container_id: ContainerId, sandbox: str) -> None:
        removal = partial(remove_sandbox, sandbox, self._goes_on)
        self._remove("sandbox", sandbox, removal, e.SandboxRemoved(container_id))

    def _remove(
        self, what: str, path: str, removal: Callable[[], None], removed: e.AgentEvent
    ) -> None:
        """Remove a folder beside the loop, for as long as that takes."""

        def done(job: asyncio.Future[None]) -> None:
            error = job.exception()
            if error is None:
                self._post(removed)
            elif isinstance(error, RemovalGivenUp):
                pass  # the next life goes on with it
            elif isinstance(error, OSError):  # it is tried again at the next start
                self._log.error(f"{what}.not_removed", path=path, error=str(error))
            else:
                self._crash(error)

        self._loop.run_in_executor(None, removal).add_done_callback(done)

    def _goes_on(self) -> bool:
        """Asked in threads."""
        return not self._ending.is_set()

    def _measure_disk(self) -> None:
        def measure() -> float:
            disk = os.statvfs(self._options.work_dir)
            return (disk.f_blocks - disk.f_bfree) / max(1, disk.f_blocks)

        def done(job: asyncio.Future[float]) -> None:
            if job.exception() is None:
                self._post(e.DiskMeasured(job.result()))
            else:  # the work directory is gone: there is nothing to remove
                self._log.error("disk.not_measured", error=str(job.exception()))

        self._loop.run_in_executor(None, measure).add_done_callback(done)

    def _look_for_sandboxes(self) -> None:
        """Sandboxes that nobody knows are adopted by the core, and removed in their time."""

        def done(job: asyncio.Future[list[e.SandboxFound]]) -> None:
            if (error := job.exception()) is not None:
                self._crash(error)
                return
            for found in job.result():
                if not self._core.state.checkpoint.knows_sandbox(found.container_id):
                    self._log.warning("sandbox.unknown", path=found.sandbox, action="adopted")
                    self._post(found)

        job = self._loop.run_in_executor(None, sandboxes_in, self._options.work_dir.resolve())
        job.add_done_callback(done)

    def _make_volume(self, path: str) -> None:
        """Made at once: the launch that follows needs the volume."""
        try:
            make_volume(path)
        except OSError as error:
            # The volume is tried again at the next start; until then launches fail, and say why.
            self._log.error("volume.not_made", path=path, error=str(error))
        else:
            self._post(e.VolumeMade(path))

    def _remove_volume(self, path: str, whole: bool) -> None:
        removal = partial(remove_volume, path, whole=whole, go_on=self._goes_on)
        self._remove("volume", path, removal, e.VolumeRemoved(path))


def sandboxes_in(work_dir: Path) -> list[e.SandboxFound]:
    """All sandboxes that lie there, whoever's. Blocks."""
    found = []
    for path in work_dir.glob("slaves/*/frameworks/*/executors/*/runs/*"):
        with contextlib.suppress(OSError):
            state = path.lstat()
            if stat.S_ISDIR(state.st_mode):
                framework, task = path.parts[-5], path.parts[-3]
                found.append(
                    e.SandboxFound(
                        ContainerId(path.name),
                        FrameworkId(framework),
                        TaskId(task),
                        str(path),
                        max(0.0, state.st_mtime),
                    )
                )
    return found


def forget_set_aside(store: StateStore, stored: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Delete the records that can't be read; returns the others. Raises Corrupt, StoreError."""
    aside = load(stored).aside
    for key, why in aside.items():
        get_logger("agent").warning("record.deleted", key=key, error=why)
    store.commit([Delete(key) for key in aside])
    return {key: value for key, value in stored.items() if key not in aside}


def check_comeback(known: Checkpoint, config: AgentConfig, options: AgentOptions) -> None:
    """May the agent of earlier lives go on with these flags? Raises BadConfig."""
    if known.identity is not None:
        check_reconfiguration(known.identity.info, config.info, options.reconfiguration_policy)
    needed = [kind_of(task.info) for task in known.live_tasks()]
    needed += [left.kind for left in known.remains.values() if not left.container_removed]
    for kind in needed:
        if kind not in config.containerizers:
            raise BadConfig(
                f"--containerizers={options.containerizers}: there still are {kind} tasks of this "
                f"agent's last run: add {kind}"
            )


@contextlib.contextmanager
def only_agent_in(work_dir: Path) -> Iterator[None]:
    """Hold the work directory for this process. Raises BadConfig if another agent has it."""
    path = work_dir / "agent.lock"
    try:
        # For reading as well: so it never blocks, whatever has the name.
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadConfig(
                f"--work-dir={work_dir} is used by another agent: give this one its own"
            ) from None
        yield
    finally:
        os.close(lock)


def _unusable(path: Path, error: OSError) -> BadConfig:
    return BadConfig(
        f"{path} can't be written ({error.strerror}): make room there or mend its rights, or "
        "choose another --work-dir"
    )


def cgroups_for(launcher: str | None, owner: str) -> Cgroups | None:
    """The agent's control groups. Raises BadConfig if they are asked for and can't be had."""
    found = None if launcher == "posix" else usable_cgroups(owner)
    if launcher == "linux" and found is None:
        raise BadConfig(
            "--launcher=linux: no control group can be made here, of version 2 or with a freezer: "
            "run as root with a writable /sys/fs/cgroup, or use --launcher=posix"
        )
    return found


def owner_of(work_dir: Path) -> str:
    """What tells this agent's containers and control groups from those of others on the machine.

    Beside the store and not in it: an agent that has lost its store still ends what it had.
    """
    path = work_dir / "owner"
    try:
        with contextlib.suppress(FileNotFoundError):
            opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                known = os.read(opened, _OWNER_MAX_BYTES).strip()
            finally:
                os.close(opened)
            if known.isalnum():
                return known.decode("ascii")
        fresh = secrets.token_hex(8)
        write_whole(str(path), fresh + "\n")
    except OSError as error:
        raise _unusable(path, error) from None
    return fresh
