"""Patterns of LIKE and UNLIKE: as in Java where RE2 agrees, refused by name where it does not."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.errors import BadPattern
from mezzo.marathon.placement.constraints import constraint_problem
from mezzo.marathon.placement.java_patterns import (
    PATTERN_MAX_BYTES,
    TEXT_MAX_CHARS,
    matches,
    pattern_problem,
)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("r[1-3]", "r2", True),
        ("r[1-3]", "xr2", False),
        ("r[1-3]", "r22", False),
        ("a|ab", "ab", True),  # the whole text, whichever branch comes first
        ("^a$", "a", True),
        ("a.c", "a\nc", False),
        ("(?i)RACK-1", "rack-1", True),
        ("(?:a|b){2,3}", "abab", False),
        (r"\Qa.b\E+", "a.bbb", True),
        (r"\Q(?=x)\E", "(?=x)", True),
        (r"\p{Lu}\d+", "É7", True),
        (r"\x{48}ost", "Host", True),
        (r"a\{1,2}", "a{1,2}", True),
        (r"[\w.-]+", "host-1.example", True),
        (r"[^]]", "x", True),
        ("(?<rack>r1)", "r1", True),
        (r"a\\1", "a\\1", True),
        ("[(?=*+{]+", "(?=*+{", True),  # in a class they are characters
        (r"[a\]b&]&&", "]&&", True),
    ],
)
def test_a_pattern_matches_the_whole_text(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("(?=a)b", "lookahead"),
        ("(?!a)b", "lookahead"),
        ("(?<=a)b", "lookbehind"),
        ("(?<!a)b", "lookbehind"),
        (r"(a)\1", "backreference"),
        (r"(a)(b)\12", "backreference"),
        (r"(?<x>a)\k<x>", "backreference"),
        ("(?>a)b", "atomic group"),
        ("a*+", "possessive quantifier"),
        ("a?+", "possessive quantifier"),
        ("[ab]++", "possessive quantifier"),
        ("a{1,2}+", "possessive quantifier"),
        ("[a-z&&[^b]]", "intersection"),
        ("[a-d[m-p]]", "class within another"),
        ("[[:alpha:]]", "class within another"),
        (r"\v", "vertical space"),
        (r"[\v]", "vertical space"),
        (r"\C", "no escape"),
        ("(?x)a b", r"the flags \(\?x\)"),
        ("(?U:a)", r"the flags \(\?U\)"),
        ("a{,3}", "begins no repetition"),
        ("a{", "begins no repetition"),
        (r"\h", "invalid escape"),
        ("*", "no argument for repetition"),
        ("(", "missing"),
        ("[a", r"missing \]"),
        ("a\\", r"trailing \\"),
        ("(?:a{1000}){9}", "repetition|complex"),
        ("(?:a{100}b){51}", "complex|repetition"),
        ("a" * (PATTERN_MAX_BYTES + 1), "more than 16384 bytes"),
        ("\ud800", "half of a surrogate pair"),
    ],
)
def test_what_re2_lacks_is_refused_with_its_name(pattern: str, name: str) -> None:
    problem = pattern_problem(pattern)
    assert problem is not None
    assert re.search(name, problem), problem
    with pytest.raises(BadPattern):
        matches(pattern, "a")
    refusal = constraint_problem(["hostname", "LIKE", pattern])
    assert refusal is not None
    assert "is not a valid regular expression" in refusal
    assert len(refusal) < 1000


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(?:a*)*b", "(.*)*,", "(a|aa)+$b"])
def test_a_pattern_that_would_backtrack_for_ever_answers_at_once(pattern: str) -> None:
    begun = time.process_time()
    assert not matches(pattern, "a" * TEXT_MAX_CHARS)
    assert time.process_time() - begun < 2


def test_a_text_that_is_no_name_any_more_matches_nothing() -> None:
    """An agent's attribute may have any size."""
    assert matches(".*", "a" * TEXT_MAX_CHARS)
    assert not matches(".*", "a" * (TEXT_MAX_CHARS + 1))


def test_a_long_list_of_host_names_is_a_pattern() -> None:
    hosts = [f"host{number:03}.dc1.example.com" for number in range(150)]
    pattern = "|".join(host.replace(".", r"\.") for host in hosts)
    assert matches(pattern, hosts[77])
    assert not matches(pattern, "host150.dc1.example.com")


# Syntax that Python, Java and RE2 share in one sense, built from its parts.
_ATOM = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\.", r"\d", r"\w", "[a-c0-9]", "-"])
_SHARED = st.recursive(
    _ATOM,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
        inner.map(lambda one: f"({one})"),
    ),
    max_leaves=6,
)


@given(_SHARED, st.text(st.sampled_from("abc.-1_"), max_size=6))
@settings(max_examples=200, deadline=None)
def test_shared_syntax_means_what_it_meant(pattern: str, text: str) -> None:
    assert matches(pattern, text) == (re.fullmatch(pattern, text, re.ASCII) is not None)


@given(
    st.text(max_size=40) | st.text(st.sampled_from(r"ab\[]{}()*+?.|&^$:=!<>,1EQkpvxU"), max_size=20)
)
@settings(max_examples=500, deadline=None)
def test_any_text_is_a_pattern_or_is_refused(pattern: str) -> None:
    """Never an exception of another kind; what is refused is refused when it is matched, too."""
    if pattern_problem(pattern) is None:
        matches(pattern, "a")
    else:
        with pytest.raises(BadPattern):
            matches(pattern, "a")


@pytest.mark.parametrize("operator", ["MAX_PER", "GROUP_BY"])
@pytest.mark.parametrize(
    "value",
    ["9" * 5000, "2147483648", "٣", "1.0", "-1", "+1", "1e3", " 1", "0x1", "1_0", "1\n", "²"],
)
def test_a_number_of_a_constraint_is_an_int32_in_ascii_digits(operator: str, value: str) -> None:
    problem = constraint_problem(["hostname", operator, value])
    assert problem is not None
    assert len(problem) < 300


def test_the_bounds_of_a_constraints_number_are_told() -> None:
    assert constraint_problem(["a", "MAX_PER", "2147483647"]) is None
    assert constraint_problem(["a", "GROUP_BY", "0"]) == (
        "GROUP BY must define an integer value or else no value at all: '0' is not from 1 to "
        "2147483647"
    )
