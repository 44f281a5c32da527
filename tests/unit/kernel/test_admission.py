"""Who has to wait before a subscription, and for how long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mezzo.wire.admission import EVERY_S, FREE, MEANT_AFTER_S, Admission


def after(short_streams: int, *, at_s: float = 0.0) -> Admission:
    admission = Admission()
    for _ in range(short_streams):
        admission.ended("poison", 0.01, at_s)
    return admission


def test_a_few_short_streams_are_free() -> None:
    assert after(FREE - 1).wait_s("poison", 0.0) == 0


def test_who_resets_again_and_again_waits_and_nobody_else_does() -> None:
    admission = after(FREE)
    assert admission.wait_s("poison", 0.0) == EVERY_S
    assert admission.wait_s("another", 0.0) == 0


def test_the_wait_ends_and_one_more_is_let_in() -> None:
    admission = after(FREE)
    assert admission.wait_s("poison", EVERY_S) == 0
    admission.ended("poison", 0.01, EVERY_S)
    assert admission.wait_s("poison", EVERY_S) == EVERY_S


def test_streams_that_were_meant_cost_nothing() -> None:
    admission = Admission()
    for _ in range(10 * FREE):
        admission.ended("framework", MEANT_AFTER_S, 0.0)
    assert admission.wait_s("framework", 0.0) == 0


def test_all_is_forgiven_in_time() -> None:
    admission = after(FREE)
    quiet_s = FREE * EVERY_S
    for _ in range(FREE - 1):
        admission.ended("poison", 0.01, quiet_s)
    assert admission.wait_s("poison", quiet_s) == 0


def test_owners_who_are_forgiven_are_forgotten() -> None:
    admission = Admission()
    for number in range(5000):
        admission.ended(number, 0.0, number * EVERY_S)
    assert len(admission._empty_at) <= 1024


@given(st.lists(st.floats(0, 0.2), min_size=FREE, max_size=200))
def test_however_it_tries_a_poison_framework_is_admitted_at_most_every_ten_seconds(
    pauses: list[float],
) -> None:
    admission, now_s, admitted = Admission(), 0.0, 0
    for pause_s in pauses:
        now_s += pause_s
        if admission.wait_s("poison", now_s) == 0:
            admitted += 1
            admission.ended("poison", 0.0, now_s)
    assert admitted <= FREE + now_s / EVERY_S
