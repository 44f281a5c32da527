"""The laws of the resource algebra."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mezzo.cluster.amounts import PARTS_MAX, Items, Ranges, Value, parse_value
from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources
from mezzo.errors import BadRequest, NotContained
from mezzo.record import decode, encode
from mezzo.units import INT64_MAX

from .. import strategies as s

NOTHING = Resources()
VOLUME = Kind("disk", (Reservation("STATIC", "db"),), Disk(persistence_id="v1"))
MOUNT = Kind("disk", (), Disk(source=DiskSource("MOUNT", "/mnt/a")))
PATH = Kind("disk", (), Disk(source=DiskSource("PATH", "/mnt/b")))


# ---- adding and subtracting


@given(s.resources, s.resources)
def test_adding_commutes(a: Resources, b: Resources) -> None:
    assert a + b == b + a


@given(s.resources, s.resources, s.resources)
def test_adding_is_associative(a: Resources, b: Resources, c: Resources) -> None:
    assert (a + b) + c == a + (b + c)


@given(s.resources)
def test_nothing_changes_nothing(a: Resources) -> None:
    assert a + NOTHING == a == NOTHING + a
    assert a - NOTHING == a
    assert a - a == NOTHING
    assert not a - a


@given(s.resources, s.resources)
def test_what_was_added_can_be_subtracted_again(a: Resources, b: Resources) -> None:
    assume(not a.overlaps(b))
    assert (a + b) - b == a
    assert (a + b) - a == b


@given(s.resources, s.resources)
def test_a_sum_contains_its_parts(a: Resources, b: Resources) -> None:
    assume(not a.overlaps(b))
    assert a <= a + b
    assert a + b >= b


@given(s.resources, s.resources)
def test_subtracting_raises_exactly_when_it_is_not_contained(a: Resources, b: Resources) -> None:
    if b <= a:
        assert (a - b) + b == a
    else:
        with pytest.raises(NotContained, match="is not contained in"):
            a - b


@given(s.resources, s.resources)
def test_containing_each_other_is_being_equal(a: Resources, b: Resources) -> None:
    assert (a <= b and b <= a) == (a == b)
    assert a <= a
    if a == b:
        assert hash(a) == hash(b)


@given(s.resources, s.resources)
def test_what_two_have_in_common_is_the_most_that_both_contain(a: Resources, b: Resources) -> None:
    common = a.common(b)
    assert common <= a
    assert common <= b
    assert (a - common).common(b - common) == NOTHING
    assert (common == a) == (a <= b)


@given(st.lists(s.divisible, max_size=4))
def test_a_total_is_the_sum(parts: list[Resources]) -> None:
    total = NOTHING
    for part in parts:
        total += part
    assert Resources.total(parts) == total


def test_thousandths_are_exact() -> None:
    sum_ = Resources.of(cpus=0.1) + Resources.of(cpus=0.2)
    assert sum_ == Resources.of(cpus=0.3)
    assert sum_ - Resources.of(cpus=0.3) == NOTHING


def test_less_than_half_a_thousandth_is_nothing() -> None:
    assert Resources.of(cpus=0.0004) == NOTHING
    assert Resources.of(cpus=0.0006) == Resources.of(cpus=0.001)


def test_amounts_of_different_kinds_stay_apart() -> None:
    reserved = Resources.parse("cpus(ads):2")
    both = reserved + Resources.of(cpus=1)
    assert both.cpus == 3
    assert both.filter(role="ads") == reserved
    assert both.filter(role="*") == Resources.of(cpus=1)
    assert not Resources.of(cpus=2) <= both


def test_one_name_cannot_be_a_number_and_a_range() -> None:
    with pytest.raises(BadRequest, match="differ in type"):
        Resources.parse("x:1") + Resources.parse("x:[1-2]")
    assert not Resources.parse("x:1") <= Resources.parse("x:[1-2]")


# ---- disks


@pytest.mark.parametrize("kind", [VOLUME, MOUNT])
def test_a_volume_and_a_mount_disk_can_only_be_taken_whole(kind: Kind) -> None:
    whole, part = Resources({kind: 1000}), Resources({kind: 400})
    assert not part <= whole
    assert part.common(whole) == NOTHING
    assert whole.common(whole) == whole
    with pytest.raises(NotContained):
        whole - part
    assert whole - whole == NOTHING


def test_a_path_disk_can_be_split() -> None:
    assert Resources({PATH: 1000}) - Resources({PATH: 400}) == Resources({PATH: 600})


def test_the_same_volume_twice_overlaps_and_shared_ones_do_not() -> None:
    volume = Resources({VOLUME: 1000})
    shared = Resources({VOLUME._replace(shared=True): 1000})
    assert volume.overlaps(volume)
    assert not shared.overlaps(shared)


# ---- ranges and sets


def _numbers(pairs: list[tuple[int, int]]) -> set[int]:
    return {number for begin, end in pairs for number in range(begin, end + 1)}


@given(s.pairs, s.pairs)
def test_ranges_behave_as_sets_of_numbers(
    a: list[tuple[int, int]], b: list[tuple[int, int]]
) -> None:
    mine, theirs, left, right = Ranges.of(a), Ranges.of(b), _numbers(a), _numbers(b)
    assert list(mine.numbers()) == sorted(left)
    assert mine.size == len(left)
    assert list(mine.minus(theirs).numbers()) == sorted(left - right)
    assert list(mine.union(theirs).numbers()) == sorted(left | right)
    assert mine.covers(theirs) == (left >= right)


@given(s.pairs)
def test_ranges_are_sorted_apart_and_the_same_for_the_same_numbers(
    pairs: list[tuple[int, int]],
) -> None:
    made = Ranges.of(pairs)
    assert all(a[1] + 1 < b[0] for a, b in zip(made.pairs, made.pairs[1:], strict=False))
    assert made == Ranges.of([(number, number) for number in _numbers(pairs)])
    assert made.minus(Ranges()) == made == Ranges.of(made.pairs)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(BadRequest, match="5-3 ends before it begins"):
        Ranges.of([(5, 3)])


@pytest.mark.parametrize("number", [0, INT64_MAX])
def test_the_outermost_numbers_of_a_range_are_taken_and_none_beyond(number: int) -> None:
    assert Ranges.of([(0, 5), (number, number)]).covers(Ranges.of([(number, number)]))
    beyond = -1 if number == 0 else number + 1
    with pytest.raises(BadRequest, match=f"their numbers must be from 0 to {INT64_MAX}"):
        Ranges.of([(5, 5), (beyond, beyond)])


def test_so_many_parts_of_a_value_are_taken_and_no_more() -> None:
    """Of ranges and of sets alike."""
    apart = [(2 * n, 2 * n) for n in range(PARTS_MAX + 1)]
    assert Ranges.of(apart[1:]).size == PARTS_MAX
    with pytest.raises(BadRequest, match=f"{PARTS_MAX + 1} ranges are given"):
        Ranges.of(apart)
    names = [f"n{n}" for n in range(PARTS_MAX + 1)]
    assert Items.of(names[1:]).size == PARTS_MAX
    with pytest.raises(BadRequest, match=f"{PARTS_MAX + 1}"):
        Items.of(names)


@given(st.sets(s.plain_words), st.sets(s.plain_words))
def test_items_behave_as_sets(a: set[str], b: set[str]) -> None:
    mine, theirs = Items.of(a), Items.of(b)
    assert set(mine.union(theirs).members) == a | b
    assert set(mine.minus(theirs).members) == a - b
    assert mine.covers(theirs) == (a >= b)
    assert mine.size == len(a)


# ---- texts and stored forms


@given(
    st.dictionaries(
        st.builds(
            Kind,
            s.words,
            st.just(()) | s.words.map(lambda role: (Reservation("STATIC", role),)),
            st.none(),
            st.just(False),
            st.just(False),
        ),
        s.milli | s.ranges | s.items,
        max_size=4,
    )
)
def test_what_is_printed_can_be_parsed(amounts: dict[Kind, Value]) -> None:
    made = Resources(amounts)
    assert Resources.parse(str(made)) == made


def test_people_see_cpus_mem_disk_gpus_ports_first() -> None:
    text = "zebra:{b,a};ports:[5-6,1-2];gpus:1;disk(db):3;mem:2.5;cpus:0.125;ant:1"
    shown = "cpus:0.125;mem:2.5;disk(db):3;gpus:1;ports:[1-2,5-6];ant:1;zebra:{a,b}"
    assert str(Resources.parse(text)) == shown


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cpus", "'cpus' is not name:amount"),
        ("cpus:four", "cpus: 'four' is no number"),
        ("cpus:-1", "cpus is -1"),
        ("cpus:nan", "cpus is nan"),
        ("cpus:inf", "cpus is inf"),
        ("ports:[a-b]", "ports: 'a-b' is no range"),
        ("ports:[9-3]", "ends before it begins"),
        ("cpus():1", "is not name:amount"),
        ("cpus:1;cpus:[1-2]", "differ in type"),
    ],
)
def test_a_wrong_text_is_refused_with_the_part_that_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(complaint)):
        Resources.parse(text)


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf")])
def test_an_amount_that_is_none_is_refused(amount: float) -> None:
    with pytest.raises(BadRequest, match="mem is"):
        Resources.of(mem=amount)


def test_types_are_told_by_their_look() -> None:
    assert parse_value("x", "1.5") == 1500
    assert parse_value("x", "[1-2, 3-4]") == Ranges(((1, 4),))
    assert parse_value("x", "{b, a}") == Items(("a", "b"))
    assert Resources.parse("cpus(*):1") == Resources.of(cpus=1)
    assert Resources.parse(" cpus:1 ; ; cpus:2 ") == Resources.of(cpus=3)


@given(s.resources)
def test_the_stored_form_survives_json(a: Resources) -> None:
    assert Resources.from_plain(json.loads(json.dumps(a.to_plain()))) == a
    assert decode(Resources, encode(a)) == a


@given(s.resources)
def test_the_stored_form_does_not_depend_on_the_order_of_adding(a: Resources) -> None:
    turned = Resources(dict(reversed(list(a.items()))))
    assert encode(turned) == encode(a)
    assert str(turned) == str(a)


# ---- reading


@given(s.resources)
def test_quantities_sum_over_all_kinds(a: Resources) -> None:
    quantities = a.quantities()
    assert quantities.get("cpus", 0) == a.milli("cpus")
    assert quantities.get("disk", 0) == a.milli("disk")
    sets = [value.size for kind, value in a.items() if isinstance(value, Items)]
    assert quantities.get("bundles", 0) == 1000 * sum(sets)
    assert list(quantities) == sorted(quantities)


def test_amounts_are_read_in_cores_and_mebibytes() -> None:
    a = Resources.of(cpus=1.5, mem=64, disk=10, gpus=2, ports=[(1, 3)])
    assert (a.cpus, a.mem_mib, a.disk_mib, a.gpus) == (1.5, 64, 10, 2)
    assert a.ports == Ranges(((1, 3),))
    assert a.milli("ports") == 0


def test_revocable_resources_can_be_told_apart() -> None:
    revocable = Resources({Kind("cpus", revocable=True): 1000})
    both = revocable + Resources.of(cpus=2)
    assert both.filter(revocable=True) == revocable
    assert both.filter(revocable=False) == Resources.of(cpus=2)
