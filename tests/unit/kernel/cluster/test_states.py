"""Every pair of task states: what is not listed here cannot happen."""

from __future__ import annotations

import itertools

import pytest

from mezzo.cluster.states import MOVES, TaskState, may_move
from mezzo.wire.v1 import common_pb2

S = TaskState

ENDED = [S.FINISHED, S.FAILED, S.KILLED, S.ERROR]
AWAY = [S.UNREACHABLE, S.LOST, S.GONE, S.GONE_BY_OPERATOR]
ALLOWED = {
    S.STAGING: [S.STARTING, S.RUNNING, S.KILLING, S.DROPPED, *ENDED, *AWAY],
    S.STARTING: [S.RUNNING, S.KILLING, S.DROPPED, *ENDED, *AWAY],
    S.RUNNING: [S.RUNNING, S.KILLING, S.DROPPED, *ENDED, *AWAY],
    S.KILLING: [S.DROPPED, *ENDED, *AWAY],
    S.UNREACHABLE: [
        *(S.STAGING, S.STARTING, S.RUNNING, S.KILLING, S.DROPPED),
        *(S.LOST, S.GONE, S.GONE_BY_OPERATOR),
        *ENDED,
    ],
    S.LOST: [S.STAGING, S.STARTING, S.RUNNING, S.KILLING, *ENDED],
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(S, S)))
def test_a_task_moves_as_the_table_says_and_not_otherwise(old: S, new: S) -> None:
    assert may_move(old, new) == (new in ALLOWED.get(old, []))


def test_every_state_has_its_row() -> None:
    assert set(MOVES) == set(S)


def test_what_is_over_is_over() -> None:
    over = {state for state in S if state.terminal}
    assert over == {*ENDED, S.LOST, S.DROPPED, S.GONE, S.GONE_BY_OPERATOR}
    # Only a lost task may come back: its framework knows no other word for unreachable.
    assert {state for state in over if MOVES[state]} == {S.LOST}


def test_a_task_that_is_not_over_can_end_in_every_way() -> None:
    ends = {state for state in S if state.terminal}
    for state in set(S) - ends - {S.UNKNOWN}:
        assert ends <= MOVES[state], state


def test_states_are_those_of_the_wire() -> None:
    assert {str(state) for state in S} == set(common_pb2.TaskState.keys())
