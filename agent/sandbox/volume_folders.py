"""The folders of persistent volumes on the host."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Callable, Iterable
from pathlib import Path

from ..container import Mount
from . import beneath


def make_volume(path: str) -> None:
    """Make the folder, which may be there already. Raises OSError."""
    Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)


def remove_volume(path: str, *, whole: bool, go_on: Callable[[], bool] = beneath.always) -> None:
    """Remove all that is in a folder and, if `whole`, itself. Raises OSError, RemovalGivenUp; what
    is gone then is gone."""
    beneath.remove_tree(path, whole=whole, go_on=go_on)


def check_volumes(volumes: Iterable[Mount], user: str | None) -> None:
    """All folders are there, and belong to `user` of this machine if we may give them away.

    Raises OSError, naming the one that is missing: an empty one in its place would look as if its
    data were lost. Raises KeyError for a user that this machine does not know.
    """
    for mount in volumes:
        try:
            # The parent is no task's. It may be a link, which an operator named as a disk's root.
            opened = os.open(mount.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise OSError(
                f"the folder {mount.path} of the persistent volume at {mount.container_path} is "
                "missing: bring it back, or destroy the volume"
            ) from None
        try:
            if user is not None and os.geteuid() == 0:
                entry = pwd.getpwnam(user)
                os.fchown(opened, entry.pw_uid, entry.pw_gid)
        finally:
            os.close(opened)


def link_volumes(volumes: Iterable[Mount], sandbox: str) -> None:
    """Show volumes to a process, in its sandbox. Raises OSError if something else is there."""
    for mount in volumes:
        *parents, name = [part for part in mount.container_path.split("/") if part] or ["."]
        try:
            # Not through a link: what lies in another volume was made by earlier tasks.
            with beneath.folder(sandbox) as at, beneath.made_folder(at, parents) as parent:
                _link(mount.path, name, parent)
        except OSError as error:
            raise type(error)(
                f"the volume at {mount.container_path} can't be shown in the sandbox "
                f"({error.strerror or error}): give it a place of its own, in no other volume"
            ) from error


def _link(target: str, name: str, at: int) -> None:
    try:
        os.symlink(target, name, dir_fd=at)
    except FileExistsError:
        with contextlib.suppress(OSError):
            if os.readlink(name, dir_fd=at) == target:
                return
        raise
