"""Reservations and volumes as algebra."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.conversions import convert, exchange
from mezzo.errors import BadRequest
from mezzo.operations import (
    Conversion,
    Create,
    Destroy,
    GrowVolume,
    Reserve,
    ShrinkVolume,
    Unreserve,
)
from mezzo.resources import Disk, DiskSource, Kind, Reservation, Resources

ADS = (Reservation("DYNAMIC", "ads", "alice"),)
WEB = (*ADS, Reservation("DYNAMIC", "ads/web", "bob"))
FREE = Resources.of(cpus=4, mem=1000, disk=500, ports=[(31000, 31009)])
VOLUME = Disk(persistence_id="v1", principal="alice", container_path="data")


def amount(name: str, milli: int, stack: tuple[Reservation, ...] = (), **more: object) -> Resources:
    return Resources({Kind(name, stack, **more): milli})  # type: ignore[arg-type]


def test_parts_reserved_one_by_one_are_unreserved_as_a_whole() -> None:
    """Behaviour 86: 0.1 and 0.2 are 0.3, in fixed point."""
    there = convert(FREE, Reserve(amount("cpus", 100, ADS)))
    there = convert(there, Reserve(amount("cpus", 200, ADS)))
    assert there.get(Kind("cpus", ADS)) == 300
    assert convert(there, Unreserve(amount("cpus", 300, ADS))) == FREE


def test_a_reservation_is_refined_and_taken_off_level_by_level() -> None:
    there = convert(FREE, Reserve(amount("mem", 5000, ADS)))
    refined = convert(there, Reserve(amount("mem", 5000, WEB)))
    assert refined.get(Kind("mem", WEB)) == 5000
    assert convert(refined, Unreserve(amount("mem", 5000, WEB))) == there


def test_a_reservation_is_moved_from_its_source() -> None:
    other = (Reservation("DYNAMIC", "ops"),)
    there = convert(FREE, Reserve(amount("cpus", 1000, ADS)))
    moved = convert(there, Reserve(amount("cpus", 1000, other), source=amount("cpus", 1000, ADS)))
    assert moved.get(Kind("cpus", other)) == 1000
    assert moved.get(Kind("cpus", ADS)) is None


def test_a_volume_is_made_of_reserved_disk_grows_shrinks_and_goes() -> None:
    there = convert(FREE, Reserve(amount("disk", 100_000, ADS)))
    volume = amount("disk", 60_000, ADS, disk=VOLUME)
    made = convert(there, Create(volume))
    assert made.milli("disk") == FREE.milli("disk")
    grown = convert(made, GrowVolume(volume, amount("disk", 10_000, ADS)))
    assert grown.get(Kind("disk", ADS, VOLUME)) == 70_000
    shrunk = convert(grown, ShrinkVolume(amount("disk", 70_000, ADS, disk=VOLUME), 10_000))
    assert shrunk == made
    assert convert(made, Destroy(volume)) == there


def test_a_mount_disk_carries_one_volume_and_only_whole() -> None:
    mount = DiskSource("MOUNT", "/mnt/a")
    there = amount("disk", 50_000, ADS, disk=Disk(mount))
    volume = Disk(mount, "v1", "alice", "data")
    with pytest.raises(BadRequest, match="is needed but not contained"):
        convert(there, Create(amount("disk", 20_000, ADS, disk=volume)))
    made = convert(there, Create(amount("disk", 50_000, ADS, disk=volume)))
    with pytest.raises(BadRequest, match="whole MOUNT disk"):
        convert(made, ShrinkVolume(made, 10_000))


RAW = Disk(DiskSource("RAW", None, "id"), "v1", None, "data")


@pytest.mark.parametrize(
    ("conversion", "why"),
    [
        (Reserve(Resources()), "empty"),
        (Reserve(amount("cpus", 100)), "names no reservation"),
        (Reserve(amount("cpus", 100, (Reservation("STATIC", "ads"),))), "static, not dynamic"),
        (Reserve(amount("cpus", 100, (Reservation("DYNAMIC", "*"),))), "name a role"),
        (
            Reserve(amount("cpus", 100, (*ADS, Reservation("DYNAMIC", "ops")))),
            "the role must be below it",
        ),
        (Reserve(amount("cpus", 5000, ADS)), "is needed but not contained"),
        (Reserve(amount("cpus", 1000, ADS), source=amount("cpus", 999)), "differ in more than"),
        (Reserve(amount("cpus", 1, ADS, revocable=True)), "only firm resources"),
        (Unreserve(amount("cpus", 100, ADS)), "is needed but not contained"),
        (Unreserve(amount("disk", 100, ADS, disk=VOLUME)), "destroy it first"),
        (Create(amount("disk", 100, ADS)), "no persistent volume"),
        (Create(amount("mem", 100, ADS)), "no persistent volume"),
        (Create(amount("disk", 100, disk=VOLUME)), "reserve the disk first"),
        (Create(amount("disk", 1, ADS, disk=Disk(persistence_id="v"))), "lacks volume"),
        (Create(amount("disk", 1, ADS, disk=RAW)), "carries no volume"),
        (Destroy(amount("disk", 100, ADS, disk=VOLUME)), "is needed but not contained"),
        (GrowVolume(amount("disk", 1, ADS, disk=VOLUME), amount("disk", 1)), "same reservation"),
        (ShrinkVolume(amount("disk", 100, ADS, disk=VOLUME), 100), "can't take"),
    ],
)
def test_what_makes_no_sense_is_refused(conversion: Conversion, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        convert(FREE, conversion)


def test_a_volumes_id_is_unique_in_its_role() -> None:
    there = convert(FREE, Reserve(amount("disk", 100_000, ADS)))
    made = convert(there, Create(amount("disk", 10_000, ADS, disk=VOLUME)))
    again = VOLUME._replace(container_path="elsewhere")
    with pytest.raises(BadRequest, match="has a volume v1"):
        convert(made, Create(amount("disk", 10_000, ADS, disk=again)))


@given(st.integers(1, 4000), st.sampled_from([ADS, WEB]))
def test_a_conversion_changes_what_resources_are_but_not_how_much(
    milli: int, stack: tuple[Reservation, ...]
) -> None:
    before, after = exchange(Reserve(amount("cpus", milli, stack)))
    assert before.quantities() == after.quantities()
    assert exchange(Unreserve(after)) == (after, before)
