"""What every daemon process needs of its operating system: a clean stop, children, a fresh start.

`run` is the outermost frame of a daemon, `Sidecar` keeps a child process alive beside it, and
`restart_self` replaces the process by a fresh image of itself (crash-only: a leader that was
deposed keeps no state, and goes on as a standby under the same pid).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from mezzo.errors import BadConfig, MezzoError
from mezzo.log import get_logger
from mezzo.log_files import rotate

# The pid of the process whose end is to be ours. Read once and then removed, so that what we start
# (tasks above all) does not inherit it.
PARENT_VARIABLE: Final = "MEZZO_PARENT_PID"

FAILED: Final = 1
WRONG_USE: Final = 2  # as click ends a command for it
_PR_SET_PDEATHSIG: Final = 1
_BACKOFF_MIN_S: Final = 0.2
_BACKOFF_MAX_S: Final = 10.0
_LOOK_AT_LOG_S: Final = 5.0
_SETTLED_S: Final = 10.0  # a child that lived so long is no crash loop


def cli_command(*args: str) -> list[str]:
    """The command line that runs `mezzo ARGS` with this very interpreter and installation.

    With -P: a folder of the name in the current directory, such as a clone has, is not meant.
    """
    return [sys.executable, "-P", "-m", "mezzo.cli", *args]


def run(main: Callable[[], Coroutine[Any, Any, int]], *, name: str) -> int:
    """Run a daemon's main coroutine to its end; returns the exit code of the process.

    SIGTERM and SIGINT cancel it once: its `finally` blocks are the clean stop, and the code is 0.
    The same signal again kills the process, as if nobody had listened. A MezzoError ends it with
    one line and code 1, or 2 if it is a BadConfig; any other exception is a bug and leaves its
    traceback.
    """
    follow_parent()
    log = get_logger(name)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_until_signal(main))
    except MezzoError as error:
        log.error("daemon.failed", error=str(error))
        return WRONG_USE if isinstance(error, BadConfig) else FAILED
    finally:
        log.info("daemon.stopped")


def restart_self(reason: str) -> NoReturn:
    """Replace this process by a fresh start of the same command line, under the same pid.

    Children of `Sidecar` are stopped first: the fresh start brings its own.
    """
    get_logger("daemon").warning("daemon.restarting", reason=reason)
    for sidecar in tuple(_running):
        sidecar.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def follow_parent() -> None:
    """End with the process named by MEZZO_PARENT_PID, if that is set."""
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is not None and parent.isdigit():
        die_with_parent(int(parent))


def die_with_parent(parent_pid: int) -> None:
    """Get SIGTERM when the thread of `parent_pid` that started us ends, however it ends.

    Only Linux can promise that; elsewhere nothing happens. The wish survives `restart_self`.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent_pid:  # it was gone before we asked
        os.kill(os.getpid(), signal.SIGTERM)


class Sidecar:
    """A child process that is started again, with backoff, whenever it ends.

    It dies with us (`mezzo` commands only, which read MEZZO_PARENT_PID) and, having a session of
    its own, gets no Ctrl-C of our terminal: we stop it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_file: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`log_file` is appended to and gets stdout and stderr, which are ours without it. It and
        its older ones (`log_files.rotate`) are bounded.

        `env` is added to our environment.
        """
        self.name = name
        self._command = list(command)
        self._log_file = log_file
        self._env = dict(env or {})
        self._log = get_logger("sidecar")
        self._lock = threading.Lock()  # guards _child and _stopping against each other
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._exit_codes: list[int] = []
        # It starts every child itself and lives as long as they: see die_with_parent.
        self._thread = threading.Thread(target=self._keep_alive, name=f"sidecar {name}")
        self._thread.daemon = True

    @property
    def pid(self) -> int | None:
        """Of the child that runs now."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    @property
    def exit_codes(self) -> tuple[int, ...]:
        """How each child so far has ended without being told to; a signal is a negative number."""
        return tuple(self._exit_codes)

    def start(self) -> None:
        _running.append(self)
        self._thread.start()
        if self._log_file is not None:
            threading.Thread(
                target=self._bound_log, args=(self._log_file,), name=f"log {self.name}", daemon=True
            ).start()

    def stop(self, grace_s: float = 10.0) -> None:
        """SIGTERM, SIGKILL after `grace_s`; returns when it is gone. May be called again."""
        self.ask_to_stop()
        deadline = time.monotonic() + grace_s
        while self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))
            if self._thread.is_alive():
                self._signal(signal.SIGKILL)
                deadline = time.monotonic() + grace_s
        if self in _running:
            _running.remove(self)

    def ask_to_stop(self) -> None:
        """SIGTERM without waiting, so that many can end at the same time."""
        with self._lock:
            self._stopping.set()
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with self._lock:
            if self._child is not None and self._child.poll() is None:
                self._child.send_signal(number)

    def _keep_alive(self) -> None:
        backoff_s = _BACKOFF_MIN_S
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                child = self._child = self._spawn()
            started_s = time.monotonic()
            code = child.wait()
            if self._stopping.is_set():
                return
            self._exit_codes.append(code)
            if time.monotonic() - started_s > _SETTLED_S:
                backoff_s = _BACKOFF_MIN_S
            self._log.warning("sidecar.ended", child=self.name, code=code, again_in_s=backoff_s)
            if self._stopping.wait(backoff_s):
                return
            backoff_s = min(backoff_s * 2, _BACKOFF_MAX_S)

    def _bound_log(self, log_file: Path) -> None:
        while not self._stopping.wait(_LOOK_AT_LOG_S):
            rotate(log_file)

    def _spawn(self) -> subprocess.Popen[bytes]:
        out: IO[bytes] | None = None
        if self._log_file is not None:
            self._log_file.parent.mkdir(parents=True, exist_ok=True)
            out = self._log_file.open("ab")
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=os.environ | self._env | {PARENT_VARIABLE: str(os.getpid())},
                start_new_session=True,
            )
        finally:
            if out is not None:
                out.close()


_running: list[Sidecar] = []


async def _until_signal(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(main())
    signalled = False

    def stop(number: signal.Signals) -> None:
        nonlocal signalled
        signalled = True
        loop.remove_signal_handler(number)  # the next one finds its default: death
        if number is signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if signalled:
            return 0
        raise


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
