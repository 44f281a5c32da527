"""Persistent volumes: which folder each has, and where a task sees it. Pure.

A volume on the agent's own disk, or on a PATH disk, gets a folder with a name that no other has
ever had: so the data of a destroyed one may be removed in the background while the next one of the
same id is in use. On a MOUNT disk a volume is the root of that disk (Mesos).
"""

from __future__ import annotations

import posixpath
from typing import Final

from mezzo.cluster.resources import Kind, Resources
from mezzo.errors import BadRequest
from mezzo.record import Record

from ..container import Mount

_SET_ASIDE: Final = "(whose record is set aside)"  # no path: those are absolute

VolumeKey = tuple[str, str]  # role, persistence id: unique on an agent


class VolumeFolder(Record):
    """path: absolute, on the host. own_disk: it is the root of a MOUNT disk, which stays.

    made: the folder exists; whoever misses it then must not make an empty one. doomed: its volume
    is destroyed, its data not yet removed.
    """

    path: str
    role: str
    persistence_id: str
    own_disk: bool = False
    made: bool = False
    doomed: bool = False

    @property
    def key(self) -> VolumeKey:
        return (self.role, self.persistence_id)


def volume_key(kind: Kind) -> VolumeKey | None:
    """None for what is no persistent volume."""
    disk = kind.disk
    if disk is None or disk.persistence_id is None:
        return None
    return (kind.role, disk.persistence_id)


def volumes_in(resources: Resources) -> dict[VolumeKey, Kind]:
    found: dict[VolumeKey, Kind] = {}
    for kind, _ in resources.sorted_items():
        if (key := volume_key(kind)) is not None:
            found[key] = kind
    return found


def new_folder(kind: Kind, created_by: bytes, work_dir: str) -> VolumeFolder:
    """For a volume that an operation of this uuid creates, as `mezzo.cluster.conversions`
    has judged.

    Raises BadRequest if it would not stay in its place.
    """
    disk = kind.disk
    assert disk is not None
    assert disk.persistence_id is not None
    assert disk.container_path is not None
    _check_container_path(disk.container_path)
    source = disk.source
    root = source.root if source is not None else None
    if source is not None and root is None:
        raise BadRequest(f"disk.source has no root: the agent's {source.type} disk needs one")
    base = posixpath.join(work_dir, root or "")
    if source is not None and source.type == "MOUNT":
        return VolumeFolder(base, kind.role, disk.persistence_id, own_disk=True)
    # A role's parts are divided by slashes and hold no blanks.
    parts = ("volumes", "roles", kind.role.replace("/", " "), disk.persistence_id, created_by.hex())
    return VolumeFolder(posixpath.join(base, *parts), kind.role, disk.persistence_id)


def _check_container_path(path: str) -> None:
    if ".." in path.split("/") or any(ord(ch) < 32 for ch in path):
        raise BadRequest(
            f"disk.volume.container_path {path!r} holds '..' or a control character: remove it"
        )


def mounts_of(resources: Resources, folders: dict[VolumeKey, VolumeFolder]) -> tuple[Mount, ...]:
    """What a task with these resources sees, all of whose volumes are there.

    Of one whose record is set aside there is no folder, so the launch is refused by whoever looks.
    """
    return tuple(
        Mount(folders[key].path if key in folders else _SET_ASIDE, kind.disk.container_path)
        for key, kind in volumes_in(resources).items()
        if kind.disk is not None and kind.disk.container_path is not None
    )
