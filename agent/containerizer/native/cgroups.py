"""Control groups of the kernel, one per process task: whatever it starts, it can't leave its own.

Used where one can be made: as root on most machines, of version 2 or, with its freezer, of version
1. They only hold a task together, to be ended as a whole; they limit nothing. Elsewhere sessions
and adopted orphans do (`shim.py`), which a task that runs as root can escape.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from mezzo.ids import ContainerId

from . import shim


class Cgroups:
    """base: the folder of this agent's groups, one for each container in it."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def make(self, container_id: ContainerId) -> str:
        """Raises OSError."""
        path = self.base / container_id
        # Again, because a keeper may remove the empty base in between.
        for _ in range(5):
            with contextlib.suppress(FileNotFoundError):
                path.mkdir(parents=True, exist_ok=True)
                return str(path)
        raise OSError(f"the control group {path} can't be made: its folder is gone")

    def end(self, container_id: ContainerId) -> bool:
        """Kill all in the group, and remove it. False if that can't be done. Blocks."""
        return shim.end_cgroup(str(self.base / container_id))

    def found(self) -> list[ContainerId]:
        """The groups of all lives of this agent."""
        try:
            return [ContainerId(e.name) for e in os.scandir(self.base) if e.is_dir()]
        except FileNotFoundError:
            return []


def usable_cgroups(name: str) -> Cgroups | None:
    """Where groups can be made and joined here, in a folder `mezzo/<name>`; None if nowhere."""
    for parent in _parents():
        base = parent / "mezzo" / name
        trial = base / f"trial-{os.getpid()}"
        try:
            trial.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        can_kill = any(
            (trial / f).exists() for f in ("cgroup.kill", "cgroup.freeze", "freezer.state")
        )
        # To move a process takes this right on the group above both as well.
        may_join = os.access(parent / "cgroup.procs", os.W_OK)
        shim.remove_empty_groups(str(trial))
        if can_kill and may_join:
            return Cgroups(base)
    return None


def _parents() -> Iterator[Path]:
    """The roots of the hierarchies that will do, and in them our own group; version 2 first."""
    mounts = []
    own = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own[controllers] = path
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            left, _, right = line.partition(" - ")
            kind, _, options = right.split(" ", 2)
            if kind == "cgroup2":
                mounts.append((0, left.split()[4], own.get("", "/")))
            elif kind == "cgroup" and "freezer" in options.split(","):
                mounts.append((1, left.split()[4], own.get("freezer", "/")))
    for _, root, path in sorted(mounts):
        yield Path(root)
        if path != "/":
            yield Path(root + path)
