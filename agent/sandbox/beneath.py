"""The files of tasks: reached beneath a folder, and by no link, pipe or mount out of it.

What a task leaves in its sandbox or in a volume is hostile: links to anywhere, pipes that block,
devices that do something when they are opened, other people's files under a name of its own, trees
deeper than any stack, mounts. So nothing there is reached by one long path. A folder is opened
first, everything else from it, name by name; what is opened is looked at before it is read; and
only regular files that belong to the folder's owner are.

That the folder itself is the one that was meant is its parent's matter, which belongs to no task.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

from ..errors import ForeignFile, RemovalGivenUp

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# Somebody else may be at it: an agent that was told to end, and has not ended yet.
_TRIES: Final = 5

_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextlib.contextmanager
def folder(path: str) -> Iterator[int]:
    """A descriptor of the folder. Raises OSError, also if a link has its place."""
    opened = os.open(path, _FOLDER)
    try:
        yield opened
    finally:
        os.close(opened)


def open_regular(at: int, name: str, *, write: bool = False) -> int:
    """A descriptor for reading, at its beginning, and on request for writing as well. Never blocks,
    and opens nothing but that file.

    Raises FileNotFoundError, ForeignFile, and another OSError if it can't be read.
    """
    # Only named at first: to open a pipe or a device already does something.
    named = os.open(name, _LOOK, dir_fd=at)
    try:
        found = os.fstat(named)
        kind = stat.S_IFMT(found.st_mode)
        if kind != stat.S_IFREG:
            raise ForeignFile(
                f"{name} is {_KINDS.get(kind, 'no file')}: only regular files are read"
            )
        if found.st_uid != os.fstat(at).st_uid:
            # A file came by a hard link, or was moved here: the task may have no right to read it.
            raise ForeignFile(f"{name} belongs to another user than its folder: it is not read")
        return os.open(f"/proc/self/fd/{named}", _READ | (os.O_RDWR if write else 0))
    finally:
        os.close(named)


@contextlib.contextmanager
def whole_file(at: int, name: str) -> Iterator[BinaryIO]:
    """Write the file `name` anew, for the folder's owner: it is there once it is whole.

    Whatever had the name is removed, and never written into or through. Raises OSError.
    """
    fresh = f".{name}-{secrets.token_hex(8)}"
    made = os.open(fresh, _MAKE, 0o644, dir_fd=at)
    try:
        with open(made, "wb") as file:
            owner = os.fstat(at)
            if owner.st_uid != os.geteuid():
                os.fchown(made, owner.st_uid, owner.st_gid)
            yield file
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                _Removal(at).folder(name)
        os.rename(fresh, name, src_dir_fd=at, dst_dir_fd=at)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=at)
        raise


@contextlib.contextmanager
def made_folder(at: int, parts: Sequence[str]) -> Iterator[int]:
    """The folder that `parts` names beneath `at`; made, where it is missing. Raises OSError."""
    opened = os.dup(at)
    try:
        for part in parts:
            if part in (".", ".."):
                raise OSError(f"{'/'.join(parts)} leads elsewhere: name a folder beneath")
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=opened)
            below = os.open(part, _FOLDER, dir_fd=opened)  # ENOTDIR for a link
            os.close(opened)
            opened = below
        yield opened
    finally:
        os.close(opened)


def always() -> bool:
    return True


def remove_tree(path: str, *, whole: bool = True, go_on: Callable[[], bool] = always) -> None:
    """Remove all that is in the folder and, if `whole`, itself. Follows nothing out of it.

    What can be removed is, also if something else can't: then raises OSError with the first reason.
    go_on: asked before each step, since nobody knows how many there are. Raises RemovalGivenUp once
    it says no; the rest is removed by the next try.
    """
    try:
        opened = _accessible(path, None)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        if not whole:
            raise
        os.unlink(path)  # a file or a link has its place
        return
    try:
        for tries_left in reversed(range(_TRIES)):
            removal = _Removal(opened, go_on)
            removal.all()
            if removal.problem is not None:
                raise removal.problem
            if not whole or _removed(path, final=not tries_left):
                return
    finally:
        os.close(opened)


def _removed(path: str, *, final: bool) -> bool:
    """The empty folder is gone. False if something has come into it; raises OSError if `final`."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        if final or error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True


class _Removal:
    """Empties a folder of any depth with two open folders and no recursion.

    A folder in a folder is moved up into the top one before its parent is removed: so each is
    removed there, whatever is or was above it.
    """

    def __init__(self, top: int, go_on: Callable[[], bool] = always) -> None:
        self.problem: OSError | None = None
        self._may_go_on = go_on
        self._top = top
        self._mount = _mount_of(top)
        self._folders: deque[str] = deque()
        # Nobody can have prepared something under these names.
        token = secrets.token_hex(8)
        self._names = (f".removed-{token}-{number}" for number in itertools.count())

    def all(self) -> None:
        for entry in self._each(self._top):
            if entry.is_dir(follow_symlinks=False):
                self._folders.append(entry.name)
            else:
                self._unlink(entry.name, self._top)
        self._go_on()

    def folder(self, name: str) -> None:
        """Remove only this folder of the top one. Raises OSError."""
        self._folders.append(name)
        self._go_on()
        if self.problem is not None:
            raise self.problem

    def _go_on(self) -> None:
        while self._folders:
            name = self._folders.popleft()
            self._ask()
            try:
                self._dissolve(name)
                os.rmdir(name, dir_fd=self._top)
            except FileNotFoundError:
                pass  # somebody else has removed it
            except OSError as error:
                self._note(error)

    def _dissolve(self, name: str) -> None:
        opened = _accessible(name, self._top)
        try:
            if _mount_of(opened) != self._mount:
                raise OSError(f"{name} is a mount of another file system: unmount it")
            for entry in self._each(opened):
                if entry.is_dir(follow_symlinks=False):
                    self._move_up(entry.name, opened)
                else:
                    self._unlink(entry.name, opened)
        finally:
            os.close(opened)

    def _each(self, at: int) -> Iterator[os.DirEntry[str]]:
        for entry in _entries(at):
            self._ask()
            yield entry

    def _ask(self) -> None:
        if not self._may_go_on():
            raise RemovalGivenUp

    def _move_up(self, name: str, at: int) -> None:
        fresh = next(self._names)
        try:
            try:
                os.rename(name, fresh, src_dir_fd=at, dst_dir_fd=self._top)
            except PermissionError:  # to move a folder takes the right to write into it
                os.close(_accessible(name, at))
                os.rename(name, fresh, src_dir_fd=at, dst_dir_fd=self._top)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._note(error)
        else:
            self._folders.append(fresh)

    def _unlink(self, name: str, at: int) -> None:
        try:
            os.unlink(name, dir_fd=at)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        if self.problem is None:
            self.problem = error


def _entries(at: int) -> list[os.DirEntry[str]]:
    """All entries, because a folder that changes while it is read may hide some."""
    with os.scandir(at) as found:
        return list(found)


def _accessible(name: str, at: int | None) -> int:
    """Open a folder, given back its owner's rights if they were taken. Raises OSError."""
    named = os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=at)
    try:
        if os.fstat(named).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{named}", stat.S_IRWXU)
        return os.open(f"/proc/self/fd/{named}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(named)


def _mount_of(opened: int) -> str:
    """The mount's id: it tells mounts of one file system from each other, as st_dev does not."""
    with open(f"/proc/self/fdinfo/{opened}") as info:
        return next(line for line in info if line.startswith("mnt_id:"))
