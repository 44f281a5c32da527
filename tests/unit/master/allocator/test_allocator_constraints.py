"""Offer constraints: Mesos' `offer_constraints_filter_tests`, as a table."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import Attribute, AttributeConstraint, FaultDomain, Predicate
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest
from mezzo.master.allocator.offer_constraints import compile_constraints
from mezzo.master.allocator.terms import AgentTerms

P = Predicate
AGENT = AgentTerms(
    Resources(),
    "web-1.example",
    (
        Attribute("rack", text="r1"),
        Attribute("rack", text="second"),
        Attribute("level", scalar=3.0),
        Attribute("empty", text=""),
    ),
    FaultDomain("north", "z1"),
)
NOWHERE = AgentTerms(Resources(), "h")


def attribute(predicate: Predicate, name: str, text: str = "") -> AttributeConstraint:
    return AttributeConstraint(predicate, name, text=text)


def pseudo(predicate: Predicate, name: str, text: str = "") -> AttributeConstraint:
    return AttributeConstraint(predicate, pseudo=name, text=text)


@pytest.mark.parametrize(
    ("constraint", "admitted"),
    [
        (attribute(P.EXISTS, "rack"), True),
        (attribute(P.EXISTS, "level"), True),
        (attribute(P.EXISTS, "empty"), True),
        (attribute(P.EXISTS, "none"), False),
        (attribute(P.NOT_EXISTS, "rack"), False),
        (attribute(P.NOT_EXISTS, "level"), False),
        (attribute(P.NOT_EXISTS, "none"), True),
        (attribute(P.TEXT_EQUALS, "rack", "r1"), True),
        (attribute(P.TEXT_EQUALS, "rack", "second"), False),  # the first of a name counts
        (attribute(P.TEXT_EQUALS, "rack", "r"), False),
        (attribute(P.TEXT_EQUALS, "none", ""), False),
        (attribute(P.TEXT_EQUALS, "empty", ""), True),
        (attribute(P.TEXT_NOT_EQUALS, "rack", "r1"), False),
        (attribute(P.TEXT_NOT_EQUALS, "rack", "r2"), True),
        (attribute(P.TEXT_NOT_EQUALS, "none", "r2"), True),
        (attribute(P.TEXT_MATCHES, "rack", "r[0-9]"), True),
        (attribute(P.TEXT_MATCHES, "rack", "r"), False),  # all of it
        (attribute(P.TEXT_MATCHES, "none", ".*"), False),
        (attribute(P.TEXT_NOT_MATCHES, "rack", "r[0-9]"), False),
        (attribute(P.TEXT_NOT_MATCHES, "rack", "r"), True),
        (attribute(P.TEXT_NOT_MATCHES, "none", ".*"), True),
        # Of an attribute that is no text nothing is said.
        (attribute(P.TEXT_EQUALS, "level", "7"), True),
        (attribute(P.TEXT_NOT_EQUALS, "level", "3"), True),
        (attribute(P.TEXT_MATCHES, "level", "x"), True),
        (attribute(P.TEXT_NOT_MATCHES, "level", ".*"), True),
        (pseudo(P.TEXT_EQUALS, "HOSTNAME", "web-1.example"), True),
        (pseudo(P.TEXT_MATCHES, "HOSTNAME", r"web-\d+\.example"), True),
        (pseudo(P.TEXT_EQUALS, "REGION", "north"), True),
        (pseudo(P.TEXT_EQUALS, "ZONE", "z1"), True),
        (pseudo(P.TEXT_NOT_EQUALS, "ZONE", "z1"), False),
        (pseudo(P.EXISTS, "REGION"), True),
    ],
)
def test_a_condition_holds_of_an_agent(constraint: AttributeConstraint, admitted: bool) -> None:
    constraints = compile_constraints("r", [[constraint]])
    assert constraints.admits(AGENT) == admitted
    assert constraints.failing(AGENT) == ([] if admitted else [constraint])


@pytest.mark.parametrize("name", ["REGION", "ZONE"])
def test_an_agent_without_a_domain_has_no_region_and_no_zone(name: str) -> None:
    assert compile_constraints("r", [[pseudo(P.NOT_EXISTS, name)]]).admits(NOWHERE)
    assert not compile_constraints("r", [[pseudo(P.EXISTS, name)]]).admits(NOWHERE)


def test_all_of_a_group_and_any_of_the_groups() -> None:
    yes = attribute(P.TEXT_EQUALS, "rack", "r1")
    no = attribute(P.TEXT_EQUALS, "rack", "r2")
    other = pseudo(P.TEXT_EQUALS, "ZONE", "z2")
    assert compile_constraints("r", [[yes, yes]]).admits(AGENT)
    assert not compile_constraints("r", [[yes, no]]).admits(AGENT)
    assert compile_constraints("r", [[no], [yes]]).admits(AGENT)
    assert compile_constraints("r", [[yes, no], [other]]).failing(AGENT) == [no, other]


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        ([], "hold no group"),
        ([[]], "hold an empty group"),
        ([[attribute(P.EXISTS, "a")], []], "hold an empty group"),
        ([[AttributeConstraint(P.EXISTS)]], "and only one"),
        ([[AttributeConstraint(P.EXISTS, "a", "ZONE")]], "and only one"),
        ([[pseudo(P.EXISTS, "PLANET")]], "'PLANET' is unknown"),
        ([[attribute(P.TEXT_MATCHES, "a", "(")]], "is no regular expression .* missing"),
        ([[attribute(P.TEXT_NOT_MATCHES, "a", "a(?=b)")]], "is no regular expression"),
        ([[attribute(P.TEXT_MATCHES, "a", "x" * 4097)]], "more than 4096 bytes"),
        ([[attribute(P.TEXT_MATCHES, "a", "x{200}")]], "too complex|no regular expression"),
    ],
)
def test_what_makes_no_sense_is_refused(groups: list[list[AttributeConstraint]], why: str) -> None:
    with pytest.raises(BadRequest, match=why) as refused:
        compile_constraints("eng", groups)
    assert "offer_constraints of role 'eng'" in str(refused.value)


def test_a_pattern_that_makes_others_backtrack_for_ever_is_matched_at_once() -> None:
    evil = compile_constraints("r", [[attribute(P.TEXT_MATCHES, "a", "(a|aa)*b")]])
    victim = AgentTerms(Resources(), "h", (Attribute("a", text="a" * 10_000),))
    assert not evil.admits(victim)
