"""Service ports: each 0 gets the least number that no other app holds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mezzo.marathon.errors import NoPortsLeft
from mezzo.marathon.model.app import App, PortDefinition
from mezzo.marathon.state.service_ports import HeldPorts, assign_service_ports

from ..apps import app

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


few = st.lists(st.integers(LOW, LOW + 3), max_size=3, unique=True)


@given(few, few.flatmap(lambda ports: st.permutations([*ports, 0, 0])), few)
@example(had=[11, 10], wanted=[0, 0, 11], held=[])  # 10 is the least that is free, and is kept
@settings(max_examples=300)
def test_a_0_keeps_its_number_or_gets_one_that_no_port_has(
    had: list[int], wanted: list[int], held: list[int]
) -> None:
    keeps = {i: had[i] for i, p in enumerate(wanted[: len(had)]) if p == 0 and had[i] not in wanted}
    others, free = HeldPorts.of([held]), {*range(LOW, LOW + 4)} - {*held, *wanted, *keeps.values()}
    if len(free) < wanted.count(0) - len(keeps):
        with pytest.raises(NoPortsLeft):
            assign_service_ports(_app(wanted), _app(had), others, LOW, LOW + 3)
        return
    chosen = assign_service_ports(_app(wanted), _app(had), others, LOW, LOW + 3).service_ports
    assert len(set(chosen)) == len(wanted)
    for index, (port, number) in enumerate(zip(wanted, chosen, strict=True)):
        assert number == (port or keeps.get(index, number))
        assert port or index in keeps or number in free


def _app(ports: Sequence[int]) -> App:
    return app(port_definitions=tuple(PortDefinition(port) for port in ports))
