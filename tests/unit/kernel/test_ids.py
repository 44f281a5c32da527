"""Ids: where they come from, and which ones a framework may choose."""

from __future__ import annotations

import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.errors import BadRequest
from mezzo.ids import IdSource, check_user_id


@given(st.integers())
def test_the_same_seed_gives_the_same_ids(seed: int) -> None:
    one, two = IdSource(random.Random(seed)), IdSource(random.Random(seed))
    assert [one.uuid() for _ in range(5)] == [two.uuid() for _ in range(5)]
    assert one.uuid_bytes() == two.uuid_bytes()


def test_ids_are_random_uuids_and_differ() -> None:
    ids = IdSource(random.Random(1))
    made = [ids.uuid() for _ in range(100)]
    assert len(set(made)) == 100
    assert {uuid.UUID(each).version for each in made} == {4}
    assert uuid.UUID(bytes=ids.uuid_bytes()).version == 4


@pytest.mark.parametrize("good", ["a", "x" * 255, "a.b_c-d:e", "späti", "a b", "...", "é" * 127])
def test_ordinary_ids_pass(good: str) -> None:
    check_user_id("task_id", good)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("", "is empty"),
        ("x" * 256, "more than 255 bytes"),
        ("é" * 128, "more than 255 bytes"),
        (".", "is reserved"),
        ("..", "is reserved"),
        ("a/b", "holds '/'"),
        ("a\\b", "holds '/'"),
        ("a\nb", "control character"),
        ("a\x7f", "control character"),
    ],
)
def test_ids_that_could_name_a_path_or_break_a_line_are_refused(bad: str, complaint: str) -> None:
    with pytest.raises(BadRequest, match="task_id") as caught:
        check_user_id("task_id", bad)
    assert complaint in str(caught.value)
