"""Who is gone is found wherever a core still holds it, and the way there is named."""

from __future__ import annotations

import inspect
import random
import re

import pytest

from mezzo.ids import AgentId, FrameworkId
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.nodes import ClientNode
from mezzo.master.allocator.terms import FrameworkTerms
from mezzo.sim.promises.cores.p0_gone import REMEMBERS
from mezzo.sim.promises.cores.traces import trace


def _allocator() -> Allocator:
    allocator = Allocator(random.Random(1))
    allocator.set_framework(FrameworkId("f1"), FrameworkTerms("one", ("web",)))
    return allocator


def test_of_those_that_are_there_nothing_is_said() -> None:
    assert trace(_allocator(), {"f2": "framework"}, {}, {}) == ""


@pytest.mark.parametrize(
    ("held", "way"),
    [
        ({"f2": 1}, "framework f2 by _tightened"),
        ({1: "f2"}, "framework f2 by _tightened.1"),
        ({1: [("f1", "f2")]}, "framework f2 by _tightened.1"),
        ({("f1", "f2"): None}, "framework f2 by _tightened.keys"),
    ],
)
def test_an_id_that_is_gone_is_found_as_key_value_and_member(held: object, way: str) -> None:
    allocator = _allocator()
    vars(allocator)["_tightened"] = held
    assert trace(allocator, {"f2": "framework"}, {}, {}) == way


def test_a_pair_of_ids_may_be_gone_while_each_is_there() -> None:
    allocator = _allocator()
    vars(allocator)["_tightened"] = {("f1", "t1"): None}
    assert trace(allocator, {("f1", "t1"): "task"}, {}, {}).startswith("task ('f1', 't1') by ")


def test_what_is_known_by_itself_is_found_though_its_id_is_not() -> None:
    allocator = _allocator()
    client = allocator._books.tree.clients[(FrameworkId("f1"), "web")]
    assert trace(allocator, {}, {ClientNode: {client}}, {}) == ""
    found = trace(allocator, {}, {ClientNode: set()}, {})
    assert found.startswith("ClientNode ('f1', 'web') by ")


def test_who_may_remember_is_not_asked() -> None:
    allocator = _allocator()
    vars(allocator)["_tightened"] = {AgentId("a1"): None}
    gone = {AgentId("a1"): "agent"}
    assert trace(allocator, gone, {}, {(Allocator, "_tightened"): "for a day"}) == ""
    assert trace(allocator, gone, {}, {}) == "agent a1 by _tightened"


@pytest.mark.parametrize(("owner", "table"), REMEMBERS)
def test_whatever_may_remember_who_is_gone_is_there(owner: type, table: str) -> None:
    assert re.search(rf"^    ( +self\.)?{table}: ", inspect.getsource(owner), re.MULTILINE)
