"""What the machine is, and how flags describe it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from mezzo.agent.container import Kind
from mezzo.agent.options import AgentOptions
from mezzo.agent.process.core_config import check, core_config, publish_ip, reachable_ip
from mezzo.agent.resources.detect import (
    attributes_of,
    boot_id,
    check_reconfiguration,
    containerizers_of,
    engine_problem,
    resources_of,
    without_reserve,
)
from mezzo.cluster.model import AgentInfo, Attribute, FaultDomain
from mezzo.cluster.resources import Resources
from mezzo.errors import BadConfig
from mezzo.ids import AgentId
from mezzo.record import replace


@pytest.mark.parametrize(("total", "left"), [(8192, 7168), (2048, 1024), (2047, 1023), (100, 50)])
def test_some_memory_is_left_to_the_machine_half_if_there_is_little(total: int, left: int) -> None:
    assert without_reserve(total, keep=1024) == left


def test_what_the_flag_does_not_name_is_detected(tmp_path: Path) -> None:
    found = resources_of("cpus:3;gpus:1", tmp_path)
    assert (found.cpus, found.gpus) == (3, 1)
    assert 0 < found.mem_mib < psutil.virtual_memory().total / 2**20
    assert 0 < found.disk_mib < psutil.disk_usage(str(tmp_path)).total / 2**20
    assert str(found.ports) == "[31000-32000]"


def test_what_the_flag_names_as_zero_is_not_detected(tmp_path: Path) -> None:
    found = resources_of("disk:0; mem(ads):100", tmp_path)
    assert found.disk_mib == 0
    assert found.mem_mib == 100
    assert found.cpus > 0


def test_an_engine_is_missed_where_nobody_answers_and_where_there_is_no_address(
    tmp_path: Path,
) -> None:
    assert engine_problem(f"unix://{tmp_path}/no.sock") == "No such file or directory"
    assert "write unix:///path" in (engine_problem("docker") or "")


@pytest.mark.parametrize("flag", ["cpus", "cpus:x", "cpus:-1", "ports:4", "mem:[1-2]"])
def test_a_wrong_resources_flag_is_refused_by_name(flag: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="--resources"):
        resources_of(flag, tmp_path)


def test_attributes_have_the_type_that_they_look_like() -> None:
    assert attributes_of("rack:abc; level:10;keys:[1000-1500];zones:{b,a}; url:http://x:1") == (
        Attribute("rack", text="abc"),
        Attribute("level", scalar=10.0),
        Attribute("keys", ranges=((1000, 1500),)),
        Attribute("zones", set=("a", "b")),
        Attribute("url", text="http://x:1"),
    )


@pytest.mark.parametrize("flag", ["rack", "rack:", ":abc", "keys:[5-1]"])
def test_a_wrong_attributes_flag_is_refused_by_name(flag: str) -> None:
    with pytest.raises(BadConfig, match="--attributes"):
        attributes_of(flag)


def test_containerizers_are_read_in_order_without_repeats() -> None:
    assert containerizers_of("process, docker,process") == (Kind.PROCESS, Kind.DOCKER)


@pytest.mark.parametrize("flag", ["", "podman", "docker,podman"])
def test_an_unknown_containerizer_is_refused(flag: str) -> None:
    with pytest.raises(BadConfig, match="write docker, process"):
        containerizers_of(flag)


KNOWN = AgentInfo(
    "host",
    resources=Resources.of(cpus=4, mem=4096),
    attributes=(Attribute("rack", text="a"),),
    id=AgentId("S1"),
)
MORE = replace(
    KNOWN,
    id=None,
    resources=Resources.of(cpus=8, mem=4096),
    attributes=(*KNOWN.attributes, Attribute("zone", text="b")),
)


def test_an_agent_may_come_back_the_same_on_another_port() -> None:
    """Behaviour 51."""
    check_reconfiguration(KNOWN, replace(KNOWN, id=None, port=7, ip="10.0.0.7"), "equal")


def test_an_agent_that_listens_everywhere_says_where_it_is_reached() -> None:
    def ip(**options: str) -> str | None:
        return reachable_ip(AgentOptions(**options))  # type: ignore[arg-type]

    assert ip(ip="10.0.0.7", hostname="elsewhere") == "10.0.0.7"
    assert ip(ip="0.0.0.0", hostname="127.0.0.2") == "127.0.0.2"
    assert ip(ip="0.0.0.0", hostname="localhost") == "127.0.0.1"
    assert ip(ip="0.0.0.0", hostname="no such host.invalid") is None


def test_more_is_accepted_under_the_additive_policy_only() -> None:
    check_reconfiguration(KNOWN, MORE, "additive")
    with pytest.raises(BadConfig, match="resources, attributes must be the same under"):
        check_reconfiguration(KNOWN, MORE, "equal")


@pytest.mark.parametrize(
    "less",
    [
        replace(KNOWN, hostname="other"),
        replace(KNOWN, resources=Resources.of(cpus=4, mem=4095)),
        replace(KNOWN, attributes=()),
    ],
)
def test_less_or_another_host_is_never_accepted(less: AgentInfo) -> None:
    for policy in ("equal", "additive"):
        with pytest.raises(BadConfig, match="must be"):
            check_reconfiguration(KNOWN, less, policy)


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"containerizers": "rkt"}, "--containerizers"),
        ({"attributes": "x"}, "--attributes"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_touched(
    wrong: dict[str, str], part: str
) -> None:
    with pytest.raises(BadConfig, match=part):
        check(AgentOptions(**wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ip", "given", "published"),
    [
        ("127.0.0.1", None, "127.0.0.1"),
        ("10.0.0.1", None, "0.0.0.0"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
    ],
)
def test_ports_are_published_where_the_agent_is_reached(
    ip: str, given: str | None, published: str
) -> None:
    assert publish_ip(AgentOptions(ip=ip, docker_publish_ip=given)) == published


def test_the_boot_id_stays_until_the_next_boot() -> None:
    assert boot_id() == boot_id()
    assert len(boot_id()) == 36


def test_the_agent_tells_its_domain(tmp_path: Path) -> None:
    home = FaultDomain("north", "z1")
    options = AgentOptions("127.0.0.1:1", tmp_path, domain=home, resources="cpus:1;mem:32;disk:1")
    assert core_config(options).info.domain == home
