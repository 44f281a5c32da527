"""One field with a JsonKey is a key of the document, read and shown."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

import pytest
from msgspec import Meta, field

from mezzo.marathon.api.json_shape import Shape, read
from mezzo.marathon.api.record_keys import Shown, fields_of, with_keys_of
from mezzo.marathon.model.json_key import JsonKey
from mezzo.record import Record
from mezzo.units import Count


class Flavour(StrEnum):
    SWEET = "SWEET"
    SOUR = "SOUR"


class Fruit(Record):
    name: str
    weight: Annotated[float, Meta(ge=0, le=10), JsonKey("weightKilograms")] = 1.0
    flavour: Annotated[Flavour, JsonKey("flavour")] = Flavour.SWEET
    colours: Annotated[tuple[str, ...], JsonKey("colours", shown_empty=False)] = ()
    prices: Annotated[dict[str, Count], JsonKey("prices")] = field(default_factory=dict)
    seller: Annotated[str | None, JsonKey("seller")] = None
    seeds: Annotated[tuple[int, ...], JsonKey("seedCount", by_rule=True)] = ()


@with_keys_of(Fruit)
class FruitDoc(Shape):
    DROPPED: ClassVar = frozenset({"old"})

    seedCount: Count = 0


SHOWN = Shown(Fruit, seedCount=len)


def test_a_document_without_keys_is_a_record_of_defaults() -> None:
    reading = read(FruitDoc, {})
    assert Fruit("a", **fields_of(Fruit, reading.value)) == Fruit("a")
    assert reading.given == frozenset()


def test_each_key_is_read_into_its_field_and_shown_again() -> None:
    document = {
        "weightKilograms": 2.5,
        "flavour": "SOUR",
        "colours": ["red", "green"],
        "prices": {"here": 3},
        "seller": "Ann",
    }
    reading = read(FruitDoc, document)
    fruit = Fruit("a", **fields_of(Fruit, reading.value))
    assert fruit == Fruit("a", 2.5, Flavour.SOUR, ("red", "green"), {"here": 3}, "Ann")
    assert SHOWN(fruit) == document | {"seedCount": 0}
    assert reading.given == document.keys()


def test_what_is_none_or_need_not_be_shown_empty_is_left_out() -> None:
    shown = {"weightKilograms": 1, "flavour": "SWEET", "prices": {}, "seedCount": 0}
    assert SHOWN(Fruit("a")) == shown


def test_bounds_and_types_of_the_field_are_those_of_the_key() -> None:
    found = read(FruitDoc, {"weightKilograms": 11, "flavour": "BITTER", "colours": 1}).found
    assert [violation.path for violation in found.out_of_bounds] == ["/weightKilograms"]
    assert [violation.path for violation in found.wrong] == ["/flavour", "/colours"]


def test_a_key_that_the_document_has_or_drops_already_is_found_when_it_is_declared() -> None:
    class Declared(Shape):
        seller: str = ""

    class Dropped(Shape):
        DROPPED: ClassVar = frozenset({"seller"})

    for shape in (Declared, Dropped):
        with pytest.raises(TypeError, match=r"has or drops \['seller'\] already"):
            with_keys_of(Fruit)(shape)


def test_what_cannot_be_shown_is_found_when_it_is_declared() -> None:
    class Basket(Record):
        fruits: Annotated[tuple[Fruit, ...], JsonKey("fruits", by_rule=True)] = ()

    with pytest.raises(TypeError, match="needs a rule by which it is shown"):
        Shown(Basket)
    with pytest.raises(TypeError, match=r"no keys \['fruit'\]"):
        Shown(Basket, fruit=len)
