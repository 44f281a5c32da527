"""A table of handlers is complete when it is made."""

from __future__ import annotations

from typing import Any, Final

import pytest

from mezzo.handlers import Handlers, on, when

KINDS: Final = (int, str, bytes)


def of_int(place: str, event: int) -> str:
    return f"{place} {event + 1}"


def of_any(place: str) -> str:
    return place


def test_an_event_goes_to_the_handler_of_its_type() -> None:
    table: Handlers[str, str] = Handlers(int | str, on(int, of_int), when(str, of_any))
    assert [table.handle("a", 1), table.handle("b", "2")] == ["a 2", "b"]


def test_what_has_no_row_goes_to_the_handler_of_the_others() -> None:
    table: Handlers[str, str] = Handlers(KINDS, on(int, of_int), others=of_any)
    assert [table.handle("a", 1), table.handle("b", "2"), table.handle("c", b"3")] == [
        "a 2",
        "b",
        "c",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([on(int, of_int), when(str, of_any)], id="a type has none"),
        pytest.param([when(kind, of_any) for kind in (*KINDS, float)], id="a type too many"),
        pytest.param([when(kind, of_any) for kind in (*KINDS, int)], id="twice"),
    ],
)
def test_a_table_with_wrong_rows_is_not_made(rows: list[Any]) -> None:
    with pytest.raises(TypeError):
        Handlers(KINDS, *rows)
