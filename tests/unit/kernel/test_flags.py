"""How values are written, and what a record declares of its settings."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.agent.options import AgentOptions
from mezzo.cluster.model import FaultDomain
from mezzo.cluster.resources import Resources
from mezzo.errors import BadConfig, BadRequest
from mezzo.flags import (
    ALLOWED_HOSTS,
    DURATION,
    FAULT_DOMAIN,
    FRACTION,
    NAMES,
    PERCENTAGE,
    QUANTITY_SETS,
    RATE,
    Written,
    settings_of,
)
from mezzo.gateway.options import GatewayOptions
from mezzo.marathon.options import MarathonOptions
from mezzo.master.options import MasterOptions
from mezzo.relay.options import RelayOptions

OPTIONS = [MasterOptions, AgentOptions, MarathonOptions, GatewayOptions, RelayOptions]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15secs", 15),
        ("10mins", 600),
        ("1weeks", 604_800),
        ("2days", 172_800),
        ("1.5hrs", 5400),
        ("250ms", 0.25),
        ("3us", 3e-6),
        ("7ns", 7e-9),
        (" 5 secs ", 5),
        ("5s", 5),
        ("0", 0),
        ("42.5", 42.5),
    ],
)
def test_durations_are_written_as_for_mesos(text: str, seconds: float) -> None:
    assert DURATION.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "secs", "-1secs", "1fortnight", "1e3", "1.secs", "1 2"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadConfig, match=r"is no duration: write e\.g\. 15secs"):
        DURATION.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(604_800.0, "1weeks"), (900, "15mins"), (90, "90secs"), (5.0, "5secs"), (0.25, "250ms")],
)
def test_a_duration_is_shown_in_its_largest_unit(seconds: float, text: str) -> None:
    assert DURATION.show(seconds) == text


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (DURATION, st.integers(0, 10**9).map(float)),
        (DURATION, st.integers(0, 10**6).map(lambda milli: milli / 1000)),
        (RATE, st.integers(1, 10**6).map(float)),
        (FRACTION, st.floats(0, 1)),
        (PERCENTAGE, st.integers(0, 100).map(lambda percent: percent / 100)),
        (NAMES, st.lists(st.sampled_from("abc")).map(tuple)),
        (FAULT_DOMAIN, st.builds(FaultDomain, st.sampled_from("ab"), st.sampled_from("cd"))),
        (
            QUANTITY_SETS,
            st.lists(
                st.dictionaries(st.sampled_from(["cpus", "mem"]), st.integers(1, 10**6), min_size=1)
            ).map(tuple),
        ),
    ],
    ids=lambda each: each.name if isinstance(each, Written) else "",
)
@given(data=st.data())
def test_what_is_shown_is_read_as_the_same(
    kind: Written, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(values)
    read = kind.parse(kind.show(value))
    assert read == (pytest.approx(value) if isinstance(value, float) else value)


def test_quantities_are_sets_between_bars() -> None:
    assert QUANTITY_SETS.parse("cpus:0.01;mem:1|mem:32") == (
        {"cpus": 10, "mem": 1000},
        {"mem": 32_000},
    )
    assert QUANTITY_SETS.parse("") == ()
    with pytest.raises(BadConfig, match="not name:amount"):
        QUANTITY_SETS.parse("cpus")


@pytest.mark.parametrize(
    "text",
    ["eu/a", '{"fault_domain": {"region": {"name": "eu"}, "zone": {"name": "a"}}}'],
)
def test_a_domain_is_written_short_or_as_mesos_has_it(text: str) -> None:
    assert FAULT_DOMAIN.parse(text) == FaultDomain("eu", "a")


@pytest.mark.parametrize("text", ["", "eu", "/a", "{}", '{"fault_domain": 1}', "{"])
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="region/zone"):
        FAULT_DOMAIN.parse(text)


@pytest.mark.parametrize("text", ["1.1", "-0.1", "half", "nan"])
def test_what_is_no_part_of_a_whole_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="from 0 to 1"):
        FRACTION.parse(text)


def test_names_are_between_commas() -> None:
    assert NAMES.parse(" a, b,,c ") == ("a", "b", "c")
    assert NAMES.parse("") == ()


def test_hosts_are_allowed_by_name_address_or_all() -> None:
    assert ALLOWED_HOSTS.parse("h.example,10.0.0.1, [::1],::1,*") == (
        *("h.example", "10.0.0.1", "[::1]", "::1", "*"),
    )


@pytest.mark.parametrize("read", [DURATION.parse, Resources.parse])
@pytest.mark.parametrize(
    "text", ["1{}!", "{}1{}!", "1.{}1", "a:{}x\ny", "a{}:{}1 \n!", "a({}):1\n2", "a{}", "a:{}[{}"]
)
@pytest.mark.parametrize("fill", [" ", "1", "(", "a ", "\t\n"])
def test_what_is_wrong_is_refused_in_linear_time(
    read: Callable[[str], object], text: str, fill: str
) -> None:
    begun_s = time.thread_time()
    with contextlib.suppress(BadConfig, BadRequest):
        read(text.replace("{}", fill * 60_000))
    assert time.thread_time() - begun_s < 2  # in quadratic time it takes ten times as long


@pytest.mark.parametrize("options", OPTIONS)
def test_each_default_is_written_so_that_it_is_read_as_the_same(options: type) -> None:
    for setting in settings_of(options):
        kind, text = setting.flag.kind, setting.written_default
        if isinstance(kind, Written) and text is not None:
            assert kind.parse(text) == setting.default, setting


@pytest.mark.parametrize("options", OPTIONS)
def test_no_two_settings_of_a_daemon_have_one_name(options: type) -> None:
    names = [setting.name for setting in settings_of(options)]
    assert sorted(names) == sorted(set(names))
