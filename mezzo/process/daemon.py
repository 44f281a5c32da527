"""What every daemon process needs of its operating system: a clean stop, children, a fresh start.

`run` is the outermost frame of a daemon, `Sidecar` keeps a child process alive beside it, and
`restart` replaces the process by a fresh image of itself (crash-only: a leader that was deposed
keeps no state, and goes on as a standby under the same pid).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from mezzo.errors import BadConfig, MezzoError
from mezzo.process.log import flush, get_logger
from mezzo.process.log_files import rotate

# The pid of the process whose end is to be ours. Read once and then removed, so that what we start
# (tasks above all) does not inherit it.
PARENT_VARIABLE: Final = "MEZZO_PARENT_PID"

FAILED: Final = 1
WRONG_USE: Final = 2  # as click ends a command for it
# Less than the grace that `Sidecar` and most supervisors give.
STOP_WITHIN_S: Final = 8.0
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_WAKE: Final = signal.SIGUSR2  # of who waits for signals, by ourselves
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

    SIGTERM, SIGINT and SIGHUP (but under nohup) cancel it once: its `finally` blocks are the clean
    stop, and the code is 0. The same signal again kills the process, as if nobody had listened;
    and a stop that takes longer than `STOP_WITHIN_S` ends it with code 1 and a word of what hangs,
    as does an end of any other kind whose threads outlast it so long.
    A MezzoError ends it with one line and code 1, or 2 if it is a BadConfig; any other exception is
    a bug and leaves its traceback. `restart` does not return from here.
    """
    follow_parent()
    log = get_logger(name)
    _told.listen()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(_until_told(main))
    except _Restart:
        _stop_sidecars()
        _exec_unless_told()
        code = 0
    except MezzoError as error:
        log.error("daemon.failed", error=str(error))
        code = WRONG_USE if isinstance(error, BadConfig) else FAILED
    except Exception as error:
        log.error("daemon.crashed", exc_info=error)
        code = FAILED
    finally:
        _stop_sidecars()
    log.info("daemon.stopped")
    return code


class _Restart(Exception):
    """On its way from a daemon's main to `run`, through all that has to be cleaned up."""


def restart(reason: str) -> NoReturn:
    """Replace this process by a fresh start of the same command line, under the same pid.

    To be called by a daemon's main coroutine: what it has started is ended on the way out, like
    at any end. A signal that comes meanwhile, at whatever moment, still ends the process.
    """
    get_logger("daemon").warning("daemon.restarting", reason=reason)
    _end_within(STOP_WITHIN_S, _exec_unless_told)
    raise _Restart(reason)


def follow_parent() -> None:
    """End with the process named by MEZZO_PARENT_PID, if that is set."""
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is not None and parent.isdigit():
        die_with_parent(int(parent))


def die_with_parent(parent_pid: int) -> None:
    """Get SIGTERM when the thread of `parent_pid` that started us ends, however it ends.

    Only Linux can promise that; elsewhere nothing happens. The wish survives `restart`.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent_pid:  # it was gone before we asked
        os.kill(os.getpid(), signal.SIGTERM)


class Sidecar:
    """A child process that is started again, with backoff, whenever it ends.

    It dies with us and is stopped by SIGTERM, which it inherits blocked from a daemon (`mezzo`
    commands only, which read MEZZO_PARENT_PID and wait for signals); and, having a session of its
    own, gets no Ctrl-C of our terminal: we stop it.
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
        """The pid of the child that runs now."""
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
        """SIGTERM, SIGKILL after `grace_s`; returns when the child is gone. May be called again."""
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
        """SIGTERM without waiting, so that many children can end at the same time."""
        with self._lock:
            self._stopping.set()
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with self._lock:
            if self._child is not None and self._child.poll() is None:
                self._child.send_signal(number)

    def _keep_alive(self) -> None:
        backoff_s = _BACKOFF_MIN_S
        child: subprocess.Popen[bytes] | None
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                try:
                    child = self._child = self._spawn()
                except OSError as error:  # no space for its log, no process, no file: all may pass
                    child = self._child = None
                    why = str(error)
            if child is None:
                self._log.warning(
                    "sidecar.not_started", child=self.name, error=why, again_in_s=backoff_s
                )
            else:
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


def _stop_sidecars() -> None:
    """Stop those whose owners have not, being cancelled in the middle of their end, say."""
    for sidecar in tuple(_running):
        sidecar.stop()


# ---- signals


class _Told:
    """Whether a signal has told this process to end: from the first moment of `run` on.

    The signals are blocked in every thread, since each inherits that from its maker, and a thread
    of ours waits for them: so they come at any moment, also while the loop hangs or is not there,
    and what nobody has waited for yet stays with the process, also through an exec.
    """

    def __init__(self) -> None:
        self.told = False
        self.stop: Callable[[], object] = lambda: None
        self._over = False
        self._thread: threading.Thread | None = None

    def listen(self) -> None:
        """Begin to listen: in the main thread, before there is any other."""
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
        numbers = set(_ENDING) - ignored  # nohup
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {*numbers, _WAKE})
        self._thread = threading.Thread(
            target=self._wait, args=(numbers,), name="signals", daemon=True
        )
        self._thread.start()

    def listen_no_more(self) -> None:
        """Signals that come from now on wait for a fresh image."""
        assert self._thread is not None, "it listens"
        assert self._thread.ident is not None
        self._over = True
        if self._thread.is_alive():
            signal.pthread_kill(self._thread.ident, _WAKE)
            self._thread.join()
        if signal.sigpending() & set(_ENDING):
            self.told = True

    def _wait(self, numbers: set[signal.Signals]) -> None:
        while True:
            number = signal.Signals(signal.sigwait({*numbers, _WAKE}))
            if number != _WAKE:
                self._came(number)
                numbers -= {number}
            elif self._over:
                return

    def _came(self, number: signal.Signals) -> None:
        # Here it is not blocked any more: the next one kills.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        if not self.told:
            self.told = True
            self.stop()
            with contextlib.suppress(RuntimeError):  # no thread is to be had: it ends unwatched
                _end_within(STOP_WITHIN_S, lambda: os._exit(FAILED))


_told: Final = _Told()


async def _until_told(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(main())

    def stop() -> None:
        """Stop the process: in the thread that waits for signals."""
        with contextlib.suppress(RuntimeError):  # the loop is closed meanwhile
            loop.call_soon_threadsafe(task.cancel)

    _told.stop = stop
    if _told.told:
        task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        if _told.told:
            return 0
        raise
    finally:
        _told.stop = lambda: None
        # Threads that hang would keep the process: dead, and yet not ended, so not started again.
        _end_within(STOP_WITHIN_S, lambda: os._exit(FAILED))


def _exec_unless_told() -> None:
    """Become a fresh image, unless a signal has come; one that comes later finds the new image."""
    _flush()
    _told.listen_no_more()
    if not _told.told:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _flush() -> None:
    flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _end_within(seconds: float, end: Callable[[], object]) -> None:
    """If something hangs: after so long say where, and do what would have been done then."""

    def hangs() -> None:
        frames = sys._current_frames()
        at = {
            thread.name: traceback.format_stack(frames[thread.ident], limit=3)[-1].strip()
            for thread in threading.enumerate()
            if thread.ident in frames
        }
        get_logger("daemon").error("daemon.stop_hangs", after_s=seconds, threads=at)
        flush()
        end()

    timer = threading.Timer(seconds, hangs)
    timer.daemon = True
    timer.start()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
