"""Persistent volumes and their folders."""

from __future__ import annotations

from mezzo.cluster.resources import Kind, Resources
from mezzo.record import Record

VolumeKey = tuple[str, str]  # role, persistence id: unique on an agent


class VolumeFolder(Record):
    """path: absolute, on the host. own_disk: it is the root of a MOUNT disk, which stays.

    made: the folder exists; if it is missed then, no empty one may be made. doomed: its volume
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
    """The key of a persistent volume; None for other resources."""
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
