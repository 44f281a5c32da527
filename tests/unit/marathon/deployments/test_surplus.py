"""Which instances go first when there are too many (8.2)."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.cluster.model import Attribute
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId
from mezzo.marathon.killing.kill_selection import choose_surplus
from mezzo.marathon.model.app import Constraint, KillSelection, Operator
from mezzo.marathon.model.instance import Condition, Fleet, Instance, Live, kill_order
from mezzo.marathon.state.census import value_at

from ..apps import app

FIELDS = ("rack", "row")


def lives(places: list[tuple[str | None, str | None]]) -> list[Live]:
    found = []
    for number, values in enumerate(places):
        attributes = tuple(
            Attribute(name, text=value)
            for name, value in zip(FIELDS, values, strict=True)
            if value is not None
        )
        record = Instance(
            f"i{number}", "/a", 1, 1, AgentId("S"), "h", float(number), attributes=attributes
        )
        found.append(Live(record, app(), Condition.RUNNING, TaskState.RUNNING, 0.0))
    return found


def grouped(*fields: str) -> tuple[Constraint, ...]:
    return tuple(Constraint(field, Operator.GROUP_BY) for field in fields)


PLACES = st.lists(
    st.tuples(st.sampled_from([None, "r1", "r2", "r3"]), st.sampled_from([None, "a", "b"])),
    max_size=14,
)


@given(
    PLACES,
    st.sampled_from([("rack",), ("rack", "row"), ("row", "row")]),
    st.integers(0, 16),
    st.sampled_from(list(KillSelection)),
)
@settings(max_examples=300, deadline=None)
def test_each_victim_is_of_the_group_that_is_fullest_then(
    places: list[tuple[str | None, str | None]],
    fields: tuple[str, ...],
    count: int,
    selection: KillSelection,
) -> None:
    instances = lives(places)
    a = app(constraints=grouped(*fields), kill_selection=selection)
    left = kill_order(instances, selection)
    expected = []
    while left and len(expected) < count:

        def fullness(live: Live) -> list[int]:
            return [
                sum(value_at(f, other.record) == value_at(f, live.record) for other in left)
                for f in fields
            ]

        victim = max(left, key=fullness)
        left.remove(victim)
        expected.append(victim)
    assert choose_surplus(a, instances, count) == expected


def test_a_large_app_is_scaled_down_without_stopping_everybody_else() -> None:
    """Each victim was chosen anew among all pairs: minutes for a thousand instances."""
    places: list[tuple[str | None, str | None]] = [(f"r{n % 500}", "a") for n in range(5000)]
    a = app(constraints=grouped("rack"))
    begun = time.process_time()
    assert len(choose_surplus(a, lives(places), 4990)) == 4990
    assert time.process_time() - begun < 5


def test_an_apps_instances_move_when_one_comes_dies_or_goes_and_not_as_it_gets_ready() -> None:
    """What is counted by host and attribute is counted anew just then."""
    fleet = Fleet()
    (live,) = lives([(None, None)])
    moves = []
    for condition in (Condition.STAGING, Condition.RUNNING, Condition.UNREACHABLE_INACTIVE):
        live.condition = condition
        fleet.count(live)
        moves.append(fleet.moves)
    fleet.uncount(live)
    moves.append(fleet.moves)
    assert moves == [1, 1, 2, 3]
