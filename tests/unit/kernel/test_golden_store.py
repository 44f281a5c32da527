"""Every release opens what the releases before have stored: see tests/golden."""

from __future__ import annotations

import json

import pytest

import mezzo
from mezzo.errors import Corrupt
from mezzo.record import Record, encode
from mezzo.tables import Stored, Table
from tests.golden import kept

CASES = [
    (version, name) for version in kept.releases() for name in kept.of_release(version)["store"]
]


@pytest.mark.parametrize(("version", "name"), CASES)
def test_a_record_of_a_release_is_opened(version: str, name: str) -> None:
    value = kept.of_release(version)["store"][name].encode()
    table = kept.tables()[name]
    record = table.decode(value)
    if version == mezzo.__version__:
        assert table.encode(record) == value
    kept_version, was = json.loads(value)
    if kept_version == table.version:
        assert not kept.lost(was, json.loads(encode(record)))


# ---- upgrades


class Old(Record):
    name: str
    seconds: int


class New(Record):
    name: str
    delay_s: float
    why: str | None = None


OLD = Table("thing", Old, lambda each: each.name)
NEW = Table(
    "thing",
    New,
    lambda each: each.name,
    (lambda plain: {"name": plain["name"], "delay_s": float(plain["seconds"])},),
)


def test_a_value_carries_its_version_and_is_upgraded_when_it_is_read() -> None:
    value = OLD.encode(Old("a", 5))
    assert json.loads(value)[0] == 1
    assert NEW.decode(value) == New("a", 5.0)
    assert json.loads(NEW.encode(New("a", 5.0)))[0] == 2


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b'[3,{"name":"a","delay_s":1.0}]', "a later one has written it"),
        (b'[0,{"name":"a","delay_s":1.0}]', "a later one has written it"),
        (b'[1,{"name":"a"}]', "it is no record of version 1"),
        (b'[1,["a"]]', "it is no record of version 1"),
        (b'[2,{"name":"a"}]', "delay_s"),
        (b'{"name":"a","delay_s":1.0}', "no New with its version"),
        (b"[2]", "no New with its version"),
        (b"", "no New with its version"),
        (b"[" * 5000, "nested deeper"),
    ],
)
def test_what_is_no_value_of_a_known_version_is_corrupt(value: bytes, why: str) -> None:
    with pytest.raises(Corrupt, match=why):
        NEW.decode(value)


def test_what_cant_be_read_is_set_aside_and_the_rest_is_read() -> None:
    stored = Stored(
        {
            "thing/a": NEW.encode(New("a", 1.0)),
            "thing/b": NEW.encode(New("a", 2.0)),
            "thing/c": b"?",
            "thing/d": OLD.encode(Old("d", 4)),
            "other/e": b"?",
        }
    )
    assert stored.all_of(NEW) == [New("a", 1.0), New("d", 4.0)]
    assert list(stored.aside) == ["thing/b", "thing/c"]
    assert stored.unknown() == ["other/e"]
