"""What operations make of resources."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mezzo.cluster.conversions import convert, exchange
from mezzo.cluster.operations import (
    Conversion,
    Create,
    Destroy,
    GrowVolume,
    Reserve,
    ShrinkVolume,
    Unreserve,
)
from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources
from mezzo.errors import BadRequest

from .. import strategies as s

STATIC = Reservation("STATIC", "ads")
ADS = Reservation("DYNAMIC", "ads", "alice", (("team", "a"),))
WEB = Reservation("DYNAMIC", "ads/web", "alice")
OPS = Reservation("DYNAMIC", "ops")
MOUNT = Disk(DiskSource("MOUNT", "/mnt/a"))
PATH = Disk(DiskSource("PATH", "/mnt/b"))
RAW = Disk(DiskSource("RAW"))
FREE = Resources.of(cpus=4, mem=1000, disk=1000, ports=[(1, 9)])


def of(name: str, amount: float, *stack: Reservation, disk: Disk | None = None) -> Resources:
    return Resources({Kind(name, stack, disk): round(amount * 1000)})


def volume(mib: float, id_: str = "v", *stack: Reservation, **more: Any) -> Resources:
    disk = Disk(more.get("source"), id_, "alice", more.get("path", "data"))
    kind = Kind("disk", stack or (ADS,), disk, shared=more.get("shared", False))
    return Resources({kind: round(mib * 1000)})


# ---- reservations


@given(s.resources)
def test_what_was_reserved_can_be_unreserved_again(resources: Resources) -> None:
    wanted = Resources(
        {
            kind: value
            for kind, value in resources.items()
            if not kind.reservations
            and not kind.revocable
            and (kind.disk is None or not kind.disk.persistence_id)
        }
    )
    assume(wanted)
    reserved = Resources({k._replace(reservations=(ADS,)): value for k, value in wanted.items()})
    there = convert(resources, Reserve(reserved))
    assert reserved <= there
    assert there.quantities() == resources.quantities()
    assert convert(there, Unreserve(reserved)) == resources


def test_parts_reserved_one_by_one_are_unreserved_at_once() -> None:
    """Behaviour 86."""
    there = FREE
    for part in (0.1, 0.2):
        there = convert(there, Reserve(of("cpus", part, ADS)))
    assert convert(there, Unreserve(of("cpus", 0.3, ADS))) == FREE


def test_a_reservation_is_refined_and_taken_off_from_the_top() -> None:
    static = of("cpus", 2, STATIC)
    refined = of("cpus", 1, STATIC, WEB)
    there = convert(static, Reserve(refined))
    assert there == of("cpus", 1, STATIC) + refined
    assert convert(there, Unreserve(refined)) == static


def test_reservations_with_other_labels_stay_apart() -> None:
    plain = Reservation("DYNAMIC", "ads", "alice")
    there = convert(convert(FREE, Reserve(of("cpus", 1, ADS))), Reserve(of("cpus", 1, plain)))
    with pytest.raises(BadRequest, match="not contained"):
        convert(there, Unreserve(of("cpus", 2, ADS)))


def test_a_reservation_moves_to_another_role_with_its_source_named() -> None:
    there = of("cpus", 3, ADS)
    moved = convert(there, Reserve(of("cpus", 1, OPS), of("cpus", 1, ADS)))
    assert moved == of("cpus", 2, ADS) + of("cpus", 1, OPS)


@pytest.mark.parametrize(
    ("conversion", "complaint"),
    [
        (Reserve(Resources()), "resources is empty"),
        (Reserve(of("cpus", 1)), "names no reservation"),
        (Reserve(of("cpus", 1, STATIC)), "static, not dynamic"),
        (Reserve(of("cpus", 1, Reservation("DYNAMIC", "*"))), "name a role"),
        (Reserve(of("cpus", 1, STATIC, OPS)), "must be below it"),
        (Reserve(of("cpus", 5, ADS)), "needed but not contained"),
        (Reserve(volume(1)), "carries a persistent volume"),
        (Reserve(Resources({Kind("cpus", (ADS,), revocable=True): 1})), "revocable"),
        (Reserve(of("cpus", 1, OPS), of("cpus", 2, ADS)), "differ in more"),
        (Reserve(of("cpus", 1, OPS), of("mem", 1, ADS)), "differ in more"),
        (Reserve(of("cpus", 1, OPS), of("cpus", 1, STATIC)), "differ in more"),
        (Unreserve(Resources()), "resources is empty"),
        (Unreserve(of("cpus", 1)), "names no reservation"),
        (Unreserve(of("cpus", 1, STATIC)), "static, not dynamic"),
        (Unreserve(of("cpus", 1, ADS)), "needed but not contained"),
        (Unreserve(volume(1)), "destroy it first"),
    ],
)
def test_a_wrong_reservation_is_refused(conversion: Conversion, complaint: str) -> None:
    with pytest.raises(BadRequest, match=complaint):
        convert(FREE, conversion)


# ---- volumes


@pytest.mark.parametrize("source", [None, PATH.source])
def test_a_volume_is_made_of_a_part_of_reserved_disk_and_becomes_it_again(
    source: DiskSource | None,
) -> None:
    disk = of("disk", 100, ADS, disk=Disk(source) if source else None)
    made = volume(40, source=source)
    there = convert(disk, Create(made))
    assert there.disk_mib == 100
    assert made <= there
    assert convert(there, Destroy(made)) == disk


def test_a_mount_disk_is_only_taken_whole() -> None:
    disk = of("disk", 100, ADS, disk=MOUNT)
    with pytest.raises(BadRequest, match="not contained"):
        convert(disk, Create(volume(40, source=MOUNT.source)))
    whole = volume(100, source=MOUNT.source)
    assert convert(disk, Create(whole)) == whole
    with pytest.raises(BadRequest, match="not contained"):
        convert(of("disk", 100, disk=MOUNT), Reserve(of("disk", 50, ADS, disk=MOUNT)))


def test_the_id_of_a_volume_is_unique_for_its_role() -> None:
    disk = of("disk", 100, ADS) + of("disk", 100, OPS)
    there = convert(disk, Create(volume(10, "v")))
    with pytest.raises(BadRequest, match="role ads has a volume v on this agent"):
        convert(there, Create(volume(20, "v")))
    with pytest.raises(BadRequest, match="has a volume w"):
        convert(there, Create(volume(1, "w") + volume(2, "w", path="x")))
    convert(there, Create(volume(20, "w") + volume(10, "v", OPS)))


@given(st.integers(1, 99), st.integers(1, 100))
def test_a_volume_grows_and_shrinks_by_what_it_is_made_of(size: int, more: int) -> None:
    disk = of("disk", 200, ADS)
    before = convert(disk, Create(volume(size)))
    there = convert(before, GrowVolume(volume(size), of("disk", more, ADS)))
    assert there == volume(size + more) + of("disk", 200 - size - more, ADS)
    assert convert(there, ShrinkVolume(volume(size + more), more * 1000)) == before


@pytest.mark.parametrize(
    ("conversion", "complaint"),
    [
        (Create(Resources()), "volumes is empty"),
        (Create(of("cpus", 1, ADS)), "cpus is no persistent volume"),
        (Create(of("disk", 1, ADS)), "disk is no persistent volume"),
        (Create(volume(1, "a/b")), "holds '/'"),
        (Create(volume(1, path="")), "lacks volume.container_path"),
        (Create(Resources({Kind("disk", (), Disk(None, "v", None, "data")): 1})), "unreserved"),
        (
            Create(Resources({Kind("disk", (ADS,), Disk(None, "v", None, "d"), True): 1})),
            "revocable disk",
        ),
        (Create(volume(1, source=RAW.source)), "a disk of type RAW carries no volume"),
        (Destroy(Resources()), "volumes is empty"),
        (Destroy(of("disk", 1, ADS)), "disk is no persistent volume"),
        (Destroy(volume(1)), "not contained"),
        (GrowVolume(of("disk", 1, ADS), of("disk", 1, ADS)), "no persistent volume"),
        (GrowVolume(volume(50), of("disk", 1)), "not disk of the same reservation"),
        (GrowVolume(volume(50), of("disk", 1, ADS) + of("cpus", 1, ADS)), "not disk of the same"),
        (GrowVolume(volume(50), Resources()), "not disk of the same"),
        (GrowVolume(volume(50) + volume(1, "w"), of("disk", 1, ADS)), "exactly one"),
        (GrowVolume(volume(50, shared=True), of("disk", 1, ADS)), "is shared"),
        (GrowVolume(volume(5, source=MOUNT.source), of("disk", 1, ADS)), "whole MOUNT disk"),
        (GrowVolume(volume(50), of("disk", 51, ADS)), "not contained"),
        (ShrinkVolume(volume(50), 0), "can't take 0 MiB off"),
        (ShrinkVolume(volume(50), 50_000), "can't take 50 MiB off a volume of 50"),
        (ShrinkVolume(volume(49), 1000), "not contained"),
    ],
)
def test_a_wrong_volume_is_refused(conversion: Conversion, complaint: str) -> None:
    there = volume(50) + of("disk", 50, ADS) + FREE
    with pytest.raises(BadRequest, match=complaint):
        convert(there, conversion)


def test_what_is_destroyed_is_disk_as_it_was_reserved() -> None:
    shared = volume(10, shared=True)
    assert exchange(Destroy(shared)).after == of("disk", 10, ADS)
