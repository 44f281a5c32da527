# ruff: noqa: ANN401
"""Bugs in what frameworks are asked, and in the answers to what they ask."""

from __future__ import annotations

from typing import Any

from mezzo.master import core as master_core
from mezzo.master import inverse_offers

from .mutant import mutant, never


@mutant("questions", master_core, "_KEYED_TIMERS")
def who_has_answered_is_never_asked_to_leave_again(original: Any) -> Any:
    return {**original, inverse_offers.TIMER_INVERSE_OFFER: never}


@mutant("questions", inverse_offers, "ask_anew")
def who_was_asked_to_leave_is_not_told_of_another_time(original: Any) -> Any:
    return never


@mutant("questions", inverse_offers, "revive")
def revive_leaves_the_filters_of_inverse_offers(original: Any) -> Any:
    return never
