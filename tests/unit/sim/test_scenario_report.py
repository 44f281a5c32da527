"""The numbers and the pictures of a run."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.sim.scenario.omega import VARIANTS, scenario
from mezzo.sim.scenario.plot import Axis, Line, Panel, svg
from mezzo.sim.scenario.report import Spread, jain

SVG = "{http://www.w3.org/2000/svg}"
SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(SHARES)
def test_jains_index_is_between_one_nth_and_one(shares: list[float]) -> None:
    assert 1 / len(shares) - 1e-9 <= jain(shares) <= 1 + 1e-9


def test_jains_index_knows_the_equal_and_the_greedy() -> None:
    assert jain([0.2, 0.2, 0.2, 0.2]) == pytest.approx(1)
    assert jain([1, 0, 0, 0]) == pytest.approx(0.25)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_values_that_occurred_and_rise(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.median_s in values
    assert spread.p90_s in values
    assert spread.p99_s in values
    assert spread.median_s <= spread.p90_s <= spread.p99_s <= max(values)


def test_percentiles_are_of_the_nearest_rank() -> None:
    spread = Spread.of(list(range(1, 101)))
    assert (spread.median_s, spread.p90_s, spread.p99_s) == (50, 90, 99)


def test_of_no_jobs_there_is_no_waiting_time() -> None:
    assert Spread.of([]) == Spread(None, None, None, None)


# ------------------------------------------------------------------------- pictures


def test_names_are_written_as_text() -> None:
    panel = Panel("<a> & b", Axis("x"), Axis("y"), [Line("<script>", [(0, 1), (1, 2)])])
    picture = svg("a < b", [panel])
    texts = [element.text for element in ET.fromstring(picture).iter(f"{SVG}text")]
    assert "<script>" in texts
    assert "a < b" in texts
    assert "<a> & b" in texts


VALUES = st.floats(0, 1e6, allow_subnormal=False)


@given(
    st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
)
def test_every_point_is_inside_its_picture(
    points: list[tuple[float, float]], log_x: bool, log_y: bool, columns: int
) -> None:
    x, y = Axis("x", low=0.1, log=log_x), Axis("y", low=0.1, log=log_y)
    if not log_x:
        x = Axis("x")
    panel = Panel("p", x, y, [Line("l", sorted(points), marks=True)])
    root = ET.fromstring(svg("title", [panel] * 4, columns=columns))
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    drawn = [p for line in root.iter(f"{SVG}polyline") for p in line.attrib["points"].split()]
    assert len(drawn) == 4 * len(points)
    for px, py in (pair.split(",") for pair in drawn):
        assert 0 <= float(px) <= width
        assert 0 <= float(py) <= height


def test_a_larger_value_is_drawn_higher() -> None:
    for log in (False, True):
        y = Axis("y", low=0.1, log=log)
        picture = svg("t", [Panel("p", Axis("x"), y, [Line("l", [(0, 1), (1, 10), (2, 1000)])])])
        found = re.search(r'polyline points="([^"]+)"', picture)
        assert found is not None
        heights = [float(pair.split(",")[1]) for pair in found[1].split()]
        assert heights == sorted(heights, reverse=True)
        assert len(set(heights)) == 3


def test_panels_with_the_same_lines_share_a_legend() -> None:
    one = Panel("one", Axis("x"), Axis("y"), [Line("same", [(0, 0)])])
    other = Panel("two", Axis("x"), Axis("y"), [Line("other", [(0, 0)])])
    assert svg("t", [one, one]).count(">same</text>") == 1
    assert svg("t", [one, other]).count(">same</text>") == 1
    assert svg("t", [one, other, one]).count(">same</text>") == 2


# ------------------------------------------------------------------------- the Omega experiment


def test_all_ways_to_offer_get_the_same_jobs() -> None:
    plans = [scenario(variant, 1.0, 1.0, seed=1) for variant in VARIANTS]
    batch = [next(f.jobs for f in plan.frameworks if f.name == "batch") for plan in plans]
    assert all(jobs == batch[0] for jobs in batch)
