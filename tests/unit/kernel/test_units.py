"""Bounds live in types: `mezzo.units`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mezzo import units
from mezzo.errors import BadRequest


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (units.Port, 65_536),
        (units.Port, -1),
        (units.Port | None, 70_000),
        (units.Count, 2**31),
        pytest.param(units.Count, 10**5_000, id="5000 digits"),
        (units.UInt32, 2**32),
        (units.Int64, 2**63),
        (units.Seconds, 1e300),
        (units.Seconds, -0.1),
        (units.Seconds, float("nan")),
        (units.Amount, 1e13),
        (units.Ratio, 1.01),
        (units.Finite, float("inf")),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_place_value_and_bound(kind: Any, value: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        units.check("a.b", kind, value)
    text = str(refused.value)
    assert text.startswith("a.b is ")
    assert "must be a" in text
    assert len(text) < 200


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (units.Port, 0),
        (units.Port, 65_535),
        (units.Port | None, None),
        (units.Seconds, float(units.SECONDS_MAX)),
        (units.Count, 2**31 - 1),
        (units.Finite, -1.7e308),
        (float, float("nan")),
    ],
)
def test_a_value_within_bounds_passes(kind: Any, value: Any) -> None:
    units.check("a.b", kind, value)


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=2**70))
def test_a_whole_number_is_read_up_to_its_bound(number: int, most: int) -> None:
    assert units.whole_number(str(number), most) == (number if number <= most else None)


@pytest.mark.parametrize(
    "text", ["", " 1", "1_0", "-1", "+1", "1.0", "\u0661", "\u00b2", "9" * 5_000, "0x1", "1\n"]
)
def test_what_int_takes_or_trips_over_is_no_whole_number(text: str) -> None:
    assert units.whole_number(text, units.INT64_MAX) is None


json_values = st.recursive(
    st.none() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def depth(value: Any) -> int:
    inner = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@example([[], [], [[[]]]], 3)
@example([[[]], [[]], [[]]], 3)
@given(json_values, st.integers(1, 6))
def test_the_depth_of_json_is_counted_without_parsing_it(value: Any, most: int) -> None:
    text = json.dumps(value).encode()
    assert (units.json_depth_problem(text, most) is None) == (depth(value) <= most)
