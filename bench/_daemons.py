"""The daemons of a benchmark: on free ports, and who waits for one that has ended ends as well."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO, TypeVar

T = TypeVar("T")

_running: dict[subprocess.Popen[bytes], str] = {}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    what: str, command: Sequence[str], out: IO[bytes] | int | None = None
) -> subprocess.Popen[bytes]:
    """`out` gets what it prints; without it that is shown. `what` names it if it fails."""
    stderr = out if out != subprocess.DEVNULL else None
    process = subprocess.Popen(command, stdout=out, stderr=stderr)
    _running[process] = what
    return process


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
    _running.pop(process, None)
    if process.poll() is None:
        process.send_signal(number)
    process.wait()


def check() -> None:
    """Raises SystemExit if one has ended by itself: nothing that it would do will come."""
    for process, what in _running.items():
        if (code := process.poll()) is not None:
            raise SystemExit(f"{what} has ended with code {code}: nothing can be measured")


def until(what: str, done: Callable[[], T | None], *, within_s: float, every_s: float = 0.02) -> T:
    """The first answer that is true. Raises SystemExit."""
    deadline = time.monotonic() + within_s
    while not (answer := done()):
        check()
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {within_s:g} s: {what}")
        time.sleep(every_s)
    return answer
