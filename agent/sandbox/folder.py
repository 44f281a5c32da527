"""The folder of a task on the host, and the output files in it."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Final

from ..container import Stream
from ..errors import ForeignFile, NoLogs
from . import beneath

_CHUNK_BYTES: Final = 64 * 1024
_KEEP_SIZE: Final = 1  # fallocate(2)
_PUNCH_HOLE: Final = 2


def make_sandbox(path: str, user: str | None) -> None:
    """Make the folder, owned by `user` if we may give it away, and its sibling link `latest`.

    Raises OSError, and KeyError for a user that this machine does not know.
    """
    made = Path(path)
    made.mkdir(mode=0o750, parents=True, exist_ok=True)
    if user is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        with beneath.folder(path) as opened:
            os.fchown(opened, entry.pw_uid, entry.pw_gid)
    link = made.with_name("latest")
    fresh = made.with_name(f".latest-{made.name}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(made.name)
    fresh.rename(link)


def remove_sandbox(path: str, go_on: Callable[[], bool] = beneath.always) -> None:
    """Remove a sandbox, and the folders above that it leaves empty, up to the framework's.

    Raises OSError if something of it can't be removed; RemovalGivenUp, see `beneath.remove_tree`.
    """
    folder = Path(path)
    beneath.remove_tree(path, go_on=go_on)
    link = folder.with_name("latest")
    if link.is_symlink() and not link.exists():
        link.unlink(missing_ok=True)
    for parent in list(folder.parents)[:4]:  # runs, the executor, executors, the framework
        try:
            parent.rmdir()
        except OSError:
            return  # other tasks are in there


def read_output(
    sandbox: str, stream: Stream, offset: int, follow: Callable[[], bool]
) -> Iterator[bytes]:
    """A stream's bytes from `offset` on, in chunks; more as it grows, as long as `follow()`, with
    empty chunks between: there is nothing now.

    Without `follow()`, what was there when asked for, however fast it grows. Empty if there is no
    such file. Raises NoLogs at once, and not when the first chunk is asked for.
    """
    try:
        with beneath.folder(sandbox) as at:
            opened = beneath.open_regular(at, stream)
    except FileNotFoundError:
        return iter(())
    except ForeignFile as error:
        raise NoLogs(str(error)) from error
    except OSError as error:
        raise NoLogs(f"{stream} can't be read: {error.strerror}") from error
    # The file object is closed with whatever holds it, also if nobody ever asks for a chunk.
    return _chunks(open(opened, "rb", buffering=0), offset, follow)


def bound_output(sandbox: str, most_bytes: int) -> None:
    """Give back to the disk all of the outputs but the last `most_bytes` of each.

    What is given back becomes a hole: the program writes on where it is, readers go on where they
    are, and nothing that is kept is moved or lost. Raises OSError if the file system can't do it.
    """
    with beneath.folder(sandbox) as at:
        for stream in Stream:
            with contextlib.suppress(FileNotFoundError, ForeignFile):
                opened = beneath.open_regular(at, stream, write=True)
                try:
                    file = os.fstat(opened)
                    # Blocks are what the file takes of the disk, in units of 512 bytes.
                    if file.st_blocks * 512 > most_bytes and file.st_size > most_bytes:
                        _make_hole(opened, file.st_size - most_bytes)
                finally:
                    os.close(opened)


def _make_hole(opened: int, size_bytes: int) -> None:
    """Make a hole at the beginning of a file, whose size stays."""
    import ctypes  # only where somebody prints that much

    libc = ctypes.CDLL(None, use_errno=True)
    offset, size = ctypes.c_int64(0), ctypes.c_int64(size_bytes)
    fallocate = getattr(libc, "fallocate64", None) or libc.fallocate  # musl has only the latter
    if fallocate(opened, _PUNCH_HOLE | _KEEP_SIZE, offset, size) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"output can't be bounded here: {os.strerror(number)}")


def _chunks(file: FileIO, offset: int, follow: Callable[[], bool]) -> Iterator[bytes]:
    with file, contextlib.suppress(OSError):  # a place beyond any file, a failing disk: the end
        while True:
            last = not follow()  # asked before reading: what it wrote until then is not missed
            size = os.fstat(file.fileno()).st_size
            if not last and size < offset:
                offset = 0  # somebody has cut it off: what comes now is new
            while offset < size:
                offset = _data_from(file.fileno(), offset, size)
                chunk = os.pread(file.fileno(), min(_CHUNK_BYTES, size - offset), offset)
                if not chunk:
                    break
                offset += len(chunk)
                yield chunk
            if last:
                return
            yield b""


def _data_from(opened: int, offset: int, size_bytes: int) -> int:
    """The first byte from `offset` on that was written and not given back, or `size_bytes`."""
    try:
        return os.lseek(opened, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size_bytes
        raise
