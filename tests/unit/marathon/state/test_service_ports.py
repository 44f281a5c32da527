"""Service ports: each 0 gets the least number that no other app holds."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mezzo.marathon.state.service_ports import HeldPorts

LOW, HIGH = 10, 16
ports = st.lists(st.integers(LOW - 2, HIGH + 2), max_size=4)


@given(st.lists(ports, max_size=6), st.lists(st.integers(0, 5), max_size=4), ports)
def test_free_are_those_that_nobody_holds_whatever_was_held_before(
    held: Sequence[list[int]], dropped: Sequence[int], added: list[int]
) -> None:
    books = HeldPorts()
    left = list(held)
    for number, each in enumerate(held):
        books.add(each)
        _is_right(books, held[: number + 1])  # to look moves what is looked at next
    for index in dropped:
        if index < len(left):
            books.drop(left.pop(index))
            _is_right(books, left)
    with books.trial():
        books.add(added)
        _is_right(books, [*left, added])
        for each in left:
            books.drop(each)
        _is_right(books, [added])
    _is_right(books, left)  # what was tried has changed nothing


def _is_right(books: HeldPorts, held: Sequence[list[int]]) -> None:
    found = list(books.free(LOW, HIGH))
    taken = {port for each in held for port in each}
    assert found == [port for port in range(LOW, HIGH + 1) if port not in taken]
