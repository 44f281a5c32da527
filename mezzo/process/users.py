"""Users of this machine: our own, and those as which we may run a program."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path


def current_user() -> str:
    """The name of the user that runs this process, or its number where it has no name.

    Asked of the system, not of USER or LOGNAME: those stay behind when somebody changes the user.
    """
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container with a number for a user
        return str(uid)


def switch_problem(user: str) -> str | None:
    """Why this process can't run a program as `user`; None: it can.

    Raises ValueError for what can be no name.
    """
    me = current_user()
    if user == me:
        return None
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return f"user {user!r} is unknown on this machine"
    if os.geteuid() in (0, entry.pw_uid):
        return None
    return f"only root can run it as {user}, and this is {me}"


def closed_folder(path: Path, user: str) -> Path | None:
    """The first folder on the way to `path` that `user` may not pass; None: there is none.

    Raises KeyError for a user that is unknown here. A missing folder is not in the way.
    """
    if user in ("root", current_user()):
        return None
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(user, entry.pw_gid)
    for folder in [*reversed(path.absolute().parents), path.absolute()]:
        try:
            status = folder.stat()
        except OSError:
            return None
        if status.st_uid == entry.pw_uid:
            open_to = status.st_mode & stat.S_IXUSR
        elif status.st_gid in groups:
            open_to = status.st_mode & stat.S_IXGRP
        else:
            open_to = status.st_mode & stat.S_IXOTH
        if not open_to:
            return folder
    return None
