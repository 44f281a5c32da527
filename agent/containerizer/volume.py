"""The folders of persistent volumes on the host."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterable
from pathlib import Path

from .base import Mount


def make_volume(path: str) -> None:
    """Raises OSError. It may be there already."""
    Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)


def remove_volume(path: str, *, whole: bool) -> None:
    """Remove all that is in it and, if `whole`, itself. Raises OSError; what is gone is gone."""
    folder = Path(path)
    if not folder.exists():
        return
    if whole:
        shutil.rmtree(folder)
        return
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def check_volumes(volumes: Iterable[Mount], user: str | None) -> None:
    """All folders are there, and belong to `user` of this machine if we may give them away.

    Raises OSError, naming the one that is missing: an empty one in its place would look as if its
    data were lost. Raises KeyError for a user that this machine does not know.
    """
    for mount in volumes:
        if not os.path.isdir(mount.path):
            raise OSError(
                f"the folder {mount.path} of the persistent volume at {mount.container_path} is "
                "missing: bring it back, or destroy the volume"
            )
        if user is not None and os.geteuid() == 0:
            entry = pwd.getpwnam(user)
            os.chown(mount.path, entry.pw_uid, entry.pw_gid)


def link_volumes(volumes: Iterable[Mount], sandbox: str) -> None:
    """Show them to a process, in its sandbox. Raises OSError if something else is there."""
    for mount in volumes:
        link = Path(sandbox, mount.container_path)
        if not (link.is_symlink() and os.readlink(link) == mount.path):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(mount.path)
