"""What is kept of the statuses of a task."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mezzo.cluster.description import status_history
from mezzo.cluster.model import TaskStatus
from mezzo.cluster.states import TaskState
from mezzo.ids import TaskId

R, S = TaskState.RUNNING, TaskState.STARTING


def status(state: TaskState, message: str = "", data: bytes | None = None) -> TaskStatus:
    return TaskStatus(TaskId("t"), state, message, data=data)


def test_a_state_that_lasts_keeps_its_latest_status() -> None:
    before = (status(S), status(R, "ill"))
    assert status_history(before, status(R, "well")) == (status(S), status(R, "well"))


def test_a_state_that_comes_again_is_kept_again() -> None:
    before = (status(R, "here"), status(TaskState.UNREACHABLE))
    assert status_history(before, status(R, "back")) == (*before, status(R, "back"))


def test_no_data_is_kept() -> None:
    assert status_history((), status(R, data=b"inspected")) == (status(R),)


@given(st.lists(st.sampled_from(TaskState)))
def test_neighbours_differ_and_the_last_word_stands_last(states: list[TaskState]) -> None:
    told = [status(state, str(i)) for i, state in enumerate(states)]
    kept = reduce(status_history, told, ())
    assert all(a.state is not b.state for a, b in pairwise(kept))
    assert kept[-1:] == tuple(told[-1:])
