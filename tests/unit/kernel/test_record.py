"""The stored form of records."""

from __future__ import annotations

import pytest
from hypothesis import given

from mezzo.model import AgentInfo, FrameworkInfo, Task
from mezzo.operations import Launch, Operation, OtherOperation
from mezzo.record import Corrupt, Record, decode, encode, replace
from mezzo.resources import Resources

from . import strategies as s


class Older(Record):
    name: str


class Newer(Record):
    name: str
    size: int = 0
    tags: tuple[str, ...] = ()


class Holder(Record):
    resources: Resources


@given(s.records(Task, depth=2))
def test_a_stored_record_is_read_back_as_it_was(task: Task) -> None:
    assert decode(Task, encode(task)) == task


def test_an_older_version_ignores_the_fields_of_a_newer_one() -> None:
    assert decode(Older, encode(Newer("a", 3, ("x",)))) == Older("a")


def test_a_newer_version_reads_the_data_of_an_older_one() -> None:
    assert decode(Newer, encode(Older("a"))) == Newer("a")


def test_defaults_take_no_room() -> None:
    assert encode(Newer("a")) == b'{"name":"a"}'
    assert encode(AgentInfo("h")) == b'{"hostname":"h"}'


def test_unions_are_told_apart_when_read() -> None:
    for operation in (Launch(()), OtherOperation("RESERVE", "id-1")):
        assert decode(Operation, encode(operation)) == operation  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "truncated"),
        (b'{"name": 1}', "$.name"),
        (b"{}", "name"),
        (b'{"name": "a"', "truncated"),
        (b"\xff", "invalid"),
    ],
)
def test_bytes_that_are_no_record_name_the_type_and_the_place(data: bytes, place: str) -> None:
    with pytest.raises(Corrupt, match="Older") as caught:
        decode(Older, data)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    "plain", ['"x"', "[1]", '[[["cpus",[],null,false,false],[]]]', '[[["cpus"],1]]', "[[[],1]]"]
)
def test_resources_that_are_none_are_corrupt(plain: str) -> None:
    with pytest.raises(Corrupt, match=r"Holder.*\$\.resources"):
        decode(Holder, b'{"resources":' + plain.encode() + b"}")


def test_what_has_no_stored_form_cannot_be_stored() -> None:
    with pytest.raises(TypeError, match="object has no stored form"):
        encode(object())


def test_a_record_cannot_be_changed_and_replace_makes_another() -> None:
    info = FrameworkInfo("root", "x")
    with pytest.raises(AttributeError):
        info.name = "y"
    assert replace(info, name="y") == FrameworkInfo("root", "y")
    assert info.name == "x"
    assert hash(info) == hash(FrameworkInfo("root", "x"))
