"""Who has to wait before a subscription, and for how long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mezzo.wire.turnstile import EVERY_S, FREE, MEANT_AFTER_S, Admission


def after(short_streams: int, *, at_s: float = 0.0) -> Admission:
    admission = Admission()
    for _ in range(short_streams):
        admission.ended("poison", 0.01, at_s)
    return admission


def test_a_few_short_streams_are_free() -> None:
    assert after(FREE - 1).wait_s("poison", 0.0, 0.0) == 0


def test_who_resets_again_and_again_waits_and_nobody_else_does() -> None:
    admission = after(FREE)
    assert admission.wait_s("poison", 0.0, 0.0) == EVERY_S
    assert admission.wait_s("another", 0.0, 0.0) == 0


def test_the_wait_ends_and_one_more_is_let_in() -> None:
    admission = after(FREE)
    assert admission.wait_s("poison", EVERY_S, EVERY_S) == 0
    admission.ended("poison", 0.01, EVERY_S)
    assert admission.wait_s("poison", EVERY_S, EVERY_S) == EVERY_S


def test_who_gives_up_before_its_turn_is_let_in_only_if_it_stays() -> None:
    admission, now_s = after(FREE), 0.0
    while now_s < 100 * EVERY_S:
        now_s += 0.1
        assert admission.wait_s("poison", now_s, now_s) > 0, "it never stays"
        admission.gave_up("poison", now_s)
    assert admission.wait_s("poison", now_s, now_s + MEANT_AFTER_S) == 0
    assert admission.wait_s("poison", now_s + EVERY_S, now_s + EVERY_S) == 0, "it has calmed down"


def test_who_stays_is_let_in_every_ten_seconds_whoever_gives_up_beside_it() -> None:
    admission = after(FREE)
    for second in range(10):
        admission.gave_up("poison", float(second))
    assert admission.wait_s("poison", 1.0, 9.0) == 1.0
    assert admission.wait_s("poison", 1.0, EVERY_S) == 0


def test_streams_that_were_meant_cost_nothing() -> None:
    admission = Admission()
    for _ in range(10 * FREE):
        admission.ended("framework", MEANT_AFTER_S, 0.0)
    assert admission.wait_s("framework", 0.0, 0.0) == 0


def test_all_is_forgiven_in_time() -> None:
    admission = after(FREE)
    quiet_s = FREE * EVERY_S
    for _ in range(FREE - 1):
        admission.ended("poison", 0.01, quiet_s)
    assert admission.wait_s("poison", quiet_s, quiet_s) == 0


def test_owners_who_are_forgiven_are_forgotten() -> None:
    admission = Admission()
    for number in range(5000):
        admission.ended(number, 0.0, number * EVERY_S)
    assert len(admission._empty_at_s) <= 1024


@given(st.lists(st.floats(0, 0.2), min_size=FREE, max_size=200))
def test_however_it_tries_a_poison_framework_is_admitted_at_most_every_ten_seconds(
    pauses: list[float],
) -> None:
    admission, now_s, admitted = Admission(), 0.0, 0
    for pause_s in pauses:
        now_s += pause_s
        if admission.wait_s("poison", now_s, now_s) == 0:
            admitted += 1
            admission.ended("poison", 0.0, now_s)
    assert admitted <= FREE + now_s / EVERY_S
