"""Bugs in how resources are counted and converted."""

from __future__ import annotations

from typing import Any

import mezzo.cluster.conversions
from mezzo.cluster.amounts import Items, Ranges
from mezzo.errors import BadRequest
from mezzo.units import INT64_MAX

from ..mutant import mutant, never


@mutant(Ranges, "check")
def the_last_number_is_beyond_the_bound(original: Any) -> Any:
    def check(self: Any) -> None:
        original(self)
        if self.pairs and self.pairs[-1][1] == INT64_MAX:
            raise BadRequest("it is too large")

    return check


@mutant(Items, "minus")
def of_a_set_the_whole_is_taken(original: Any) -> Any:
    return lambda self, other: Items()


@mutant(Ranges, "minus")
def of_a_range_all_above_is_taken(original: Any) -> Any:
    def minus(self: Any, other: Any) -> Any:
        left = original(self, other)
        return Ranges(left.pairs[:1])

    return minus


@mutant(mezzo.cluster.conversions, "check_volume")
def a_volume_may_be_on_any_disk(original: Any) -> Any:
    return never


@mutant(mezzo.cluster.conversions, "_one_volume")
def whatever_is_shared_may_grow(original: Any) -> Any:
    def one_volume(volume: Any) -> Any:
        entries = list(volume.items())
        if len(entries) == 1 and entries[0][0].shared:
            return entries[0]
        return original(volume)

    return one_volume
