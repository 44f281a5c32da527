"""Where log lines go: a file, a terminal or a pipe, none of which may stop or steer the daemon.

A full disk, a reader that hangs or is gone, a closed descriptor: lines wait in a bounded backlog,
those that do not fit are counted, and the next one that can be written says how many are missing.
Nothing here raises, and nothing waits.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
import threading
from collections.abc import Callable
from typing import Final, TextIO

_BACKLOG_MAX_BYTES: Final = 1024 * 1024
# What a pipe that is ready takes without waiting (pipe(7), PIPE_BUF).
_AT_ONCE_BYTES: Final = 4096
_STANDARD: Final = (0, 1, 2)


class LogOutput:
    """One stream of lines. Any thread may write.

    It has a descriptor of its own, so that no other file is written to if the stream's is closed
    and its number given away. The methods of levels are those that structlog calls.
    """

    def __init__(
        self, stream: TextIO | None, notice: Callable[[int, str], str] | None = None
    ) -> None:
        """`notice(count, why)` is the line that tells how many are missing."""
        # A line may come out of a destructor, in the middle of another: the same thread gets in.
        self._lock = threading.RLock()
        self._stream = stream
        self._notice = notice or (lambda count, why: f"log.lines_missing count={count} why={why}")
        self._fd, self._ask_first = _own_descriptor(stream)
        self._backlog = bytearray()
        self._missing = 0
        self._why = ""

    def line(self, text: str) -> None:
        self.write(f"{text}\n")

    debug = info = warning = error = line

    def write(self, text: str) -> None:
        """The method of a file: `logging` writes here as well."""
        data = text.encode(errors="backslashreplace")
        with self._lock:
            if not self._flushed():
                self._keep(data)
                return
            if self._missing:
                data = f"{self._notice(self._missing, self._why)}\n".encode() + data
                self._missing = 0
            written = self._put(data)
            if written < len(data):
                self._keep(data[written:])

    def flush(self) -> None:
        """Write lines that wait, as far as they can be written now."""
        with self._lock:
            self._flushed()

    def isatty(self) -> bool:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return self._stream is not None and self._stream.isatty()
        return False

    def _flushed(self) -> bool:
        """True if nothing waits any more."""
        if self._backlog:
            with memoryview(self._backlog) as waiting:
                written = self._put(waiting)
            del self._backlog[:written]
        return not self._backlog

    def _keep(self, data: bytes) -> None:
        if len(self._backlog) + len(data) <= _BACKLOG_MAX_BYTES:
            self._backlog += data
        else:
            self._missing += data.count(b"\n")

    def _put(self, data: bytes | memoryview) -> int:
        """Write; returns how many bytes could be written now."""
        if self._fd is None:
            return self._put_through(bytes(data))
        written = 0
        try:
            while written < len(data):
                most = len(data)
                if self._ask_first:
                    most = written + _AT_ONCE_BYTES
                    if not _is_ready(self._fd):
                        raise BlockingIOError
                written += os.write(self._fd, data[written:most])
        except BlockingIOError:
            self._why = "its reader does not read"
        except OSError as error:
            self._why = error.strerror or repr(error)
        return written

    def _put_through(self, data: bytes) -> int:
        """Write to a stream without a descriptor: that of a test or a notebook, or none at all."""
        try:
            if self._stream is not None:
                self._stream.write(data.decode())
                self._stream.flush()
        except Exception as error:
            self._why = shown(error)
            return 0
        return len(data)


def keep_standard_descriptors() -> None:
    """See to it that 0, 1 and 2 are open: else the next file opened, a database say, gets such a
    number, and whatever prints then prints into it."""
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def _own_descriptor(stream: TextIO | None) -> tuple[int | None, bool]:
    """A descriptor for what is behind the stream, and whether to ask it before each write.

    A pipe or a terminal is opened anew where that is allowed, so that it can be made not to block
    for us alone: the flag is shared by all who have inherited the same opening.
    """
    if stream is None:
        return None, False
    try:
        fd = stream.fileno()
        mode = os.fstat(fd).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            with contextlib.suppress(OSError):
                return os.open(f"/proc/self/fd/{fd}", flags), False
        return os.dup(fd), not stat.S_ISREG(mode)
    except (OSError, ValueError, AttributeError, io.UnsupportedOperation):
        return None, False


def _is_ready(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


def shown(value: object) -> str:
    """A value's `repr`, also if that has a bug."""
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


def one_line(text: str, show: Callable[[object], str] = shown) -> str:
    """A text, quoted if it would end the line or move the cursor: no name fakes a line."""
    return text if text.isprintable() else show(text)
