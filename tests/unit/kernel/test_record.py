"""The stored form of records."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzo.cluster.model import AgentInfo, DrainInfo, FrameworkInfo, Task
from mezzo.cluster.operations import Launch, Operation, OtherOperation
from mezzo.cluster.resources import Resources
from mezzo.errors import Corrupt
from mezzo.messages.operator import QuotaConfig
from mezzo.record import Record, decode, encode, replace

from . import strategies as s
from .wire.test_convert import CONVERTED


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


# Every kind that travels: more than is stored, and what is stored is made of it.
@pytest.mark.parametrize("kind", CONVERTED, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
@settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_any_record_is_read_back_as_it_was_also_at_its_bounds(
    kind: type[Record], data: st.DataObject
) -> None:
    value = data.draw(s.records(kind, depth=2))
    assert decode(kind, encode(value)) == value


@pytest.mark.parametrize(
    ("kind", "stored", "place"),
    [
        (DrainInfo, b'{"state":"DRAINING","config":{"max_grace_period":1e12}}', "max_grace_period"),
        (DrainInfo, b'{"state":"DRAINING","config":{"max_grace_period":-1}}', "max_grace_period"),
        (AgentInfo, b'{"hostname":"h","port":70000}', "port"),
        (FrameworkInfo, b'{"user":"u","name":"n","failover_timeout":1e300}', "failover_timeout"),
        (QuotaConfig, b'{"role":"r","limits":{"cpus":9e18}}', "limits"),
        (QuotaConfig, b'{"role":"r","limits":{"cpus":-1}}', "limits"),
        (Holder, b'{"resources":[[["cpus",[],null,false,false],-5]]}', "cpus is -5"),
        (
            Holder,
            b'{"resources":[[["x",[],null,false,false],["Ranges",[[0,99999999999999999999]]]]]}',
            "numbers must be from 0",
        ),
    ],
)
def test_a_stored_value_that_could_not_be_shown_is_corrupt(
    kind: type[Record], stored: bytes, place: str
) -> None:
    with pytest.raises(Corrupt, match=place):
        decode(kind, stored)


def test_an_older_version_ignores_the_fields_of_a_newer_one() -> None:
    assert decode(Older, encode(Newer("a", 3, ("x",)))) == Older("a")


def test_a_newer_version_reads_the_data_of_an_older_one() -> None:
    assert decode(Newer, encode(Older("a"))) == Newer("a")


def test_what_has_its_default_is_stored_as_well() -> None:
    """A later release may have another: nobody's choice is to change with it."""
    fields = json.loads(encode(AgentInfo("h")))
    assert list(fields) == list(AgentInfo.__struct_fields__)
    assert fields["port"] == AgentInfo("h").port


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
