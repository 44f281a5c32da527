"""Times that are stored are read by a clock that somebody may have set meanwhile, by years."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mezzo.core import Instant

WALL = st.floats(min_value=0, max_value=1e11)
SPAN = st.floats(min_value=0, max_value=1e9)


@given(stored=WALL, now=WALL, lasts_s=SPAN)
def test_nothing_that_is_left_is_longer_than_the_whole(
    stored: float, now: float, lasts_s: float
) -> None:
    left_s = Instant(now, 0.0).left_s(stored, lasts_s)
    assert 0.0 <= left_s <= lasts_s
    if stored <= now <= stored + lasts_s:  # nobody has set it
        assert abs(left_s - (stored + lasts_s - now)) < 1e-3


@given(stored=WALL, lasts_s=SPAN)
def test_nobody_waits_for_what_began_in_a_far_future(stored: float, lasts_s: float) -> None:
    assert Instant(stored, 0.0).is_within_s(stored, lasts_s) == (lasts_s > 0)
    for away_s in (-2 * (lasts_s + 1), 2 * (lasts_s + 1)):
        assert not Instant(stored + away_s, 0.0).is_within_s(stored, lasts_s)
