"""What an offer must hold: roles, constraints, amounts, ports (sections 7.4 and 9)."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mezzo.cluster.amounts import Ranges
from mezzo.cluster.model import Attribute, FaultDomain
from mezzo.cluster.resources import Kind, Resources
from mezzo.ids import AgentId
from mezzo.marathon.model.app import (
    App,
    Constraint,
    Container,
    Docker,
    Network,
    NetworkMode,
    Operator,
    PortDefinition,
    PortMapping,
)
from mezzo.marathon.placement.host_ports import pick_host_ports
from mezzo.marathon.placement.matching import Match, OfferedPlace, Reason, match
from mezzo.marathon.state.census import Census
from mezzo.record import replace

from ..apps import app
from ..world import OfferedAgent, World

PLENTY = "cpus:8;mem:8192;disk:9999;ports:[31000-31099]"


def try_match(an_app: App, offered: str = PLENTY, **place: Any) -> Match | Reason:
    where = OfferedPlace(
        place.get("host", "h"),
        place.get("region"),
        place.get("zone"),
        tuple(Attribute(k, text=v) for k, v in place.get("attributes", {}).items()),
    )
    return match(
        an_app, where, Resources.parse(offered), Census(an_app.constraints), random.Random(1)
    )


# ---------------------------------------------------------------------------------- amounts


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        ("cpus:0.5;mem:8192;disk:9999;ports:[1-9]", Reason.CPUS),
        ("cpus:8;mem:8;disk:9999;ports:[1-9]", Reason.MEM),
        ("cpus:8;mem:8192;disk:1;ports:[1-9]", Reason.DISK),
        ("cpus:8;mem:8192;disk:9999", Reason.PORTS),
        ("cpus:0.5;mem:8", Reason.CPUS),  # the first in the funnel
        ("cpus(other):8;mem(other):8192", Reason.ROLE),
    ],
)
def test_what_is_missing_is_the_reason(offered: str, reason: Reason) -> None:
    assert try_match(app(cpus=1.0, mem=64.0, disk=10.0), offered) is reason


def test_reserved_amounts_are_taken_before_unreserved_ones() -> None:
    """Behaviour 115 is the other side: without them the reason is UnfulfilledRole."""
    wanted = app(cpus=3.0, mem=64.0, role="web", port_definitions=())
    found = try_match(wanted, "cpus(web):2;cpus:8;mem(web):512;mem:512")
    assert isinstance(found, Match)
    assert str(found.resources.filter(role="web")) == "cpus(web):2;mem(web):64"
    assert str(found.resources.filter(role="*")) == "cpus:1"


def test_only_accepted_roles_are_used() -> None:
    only_public = app(accepted_resource_roles=("public",), port_definitions=())
    assert try_match(only_public, PLENTY) is Reason.ROLE
    assert isinstance(try_match(only_public, "cpus(public):1;mem(public):512"), Match)


# ---------------------------------------------------------------------------------- ports


def test_random_ports_are_consecutive_within_the_offer() -> None:
    """Behaviour 90: as many as asked for, one after the other."""
    ranges = Ranges.of([(31000, 31009)])
    picked = pick_host_ports((0, 0, 0), [(Kind("ports"), ranges)], random.Random(3))
    assert picked is not None
    ports, used = picked
    first = ports[0]
    assert first is not None
    assert [(p or 0) - 31000 for p in ports] == [(first - 31000 + i) % 10 for i in range(3)]
    assert used == {Kind("ports"): Ranges.of([(p or 0, p or 0) for p in ports])}


def test_required_ports_must_be_in_the_offer() -> None:
    """Behaviour 91."""
    fixed = app(port_definitions=(PortDefinition(31005),), require_ports=True)
    found = try_match(fixed)
    assert isinstance(found, Match)
    assert found.host_ports == (31005,)
    taken = replace(fixed, port_definitions=(PortDefinition(8080),))
    assert try_match(taken) is Reason.PORTS


def test_one_port_for_tcp_and_for_udp_is_taken_once() -> None:
    both = app(
        container=Container(
            "DOCKER",
            Docker("busybox"),
            port_mappings=(
                PortMapping(53, 31053, protocol="tcp"),
                PortMapping(53, 31053, protocol="udp"),
            ),
        ),
        networks=(Network(NetworkMode.BRIDGE),),
        port_definitions=None,
    )
    found = try_match(both)
    assert isinstance(found, Match)
    assert found.host_ports == (31053, 31053)
    assert found.resources.ports.pairs == ((31053, 31053),)


def test_no_port_is_taken_that_there_is_not() -> None:
    """An agent may offer any numbers."""
    found = try_match(app(), "cpus:8;mem:8192;disk:9999;ports:[0-0,65535-100000]")
    assert isinstance(found, Match)
    assert found.host_ports == (65_535,)
    beyond = try_match(app(), "cpus:8;mem:8192;disk:9999;ports:[0-0,65536-100000]")
    assert beyond is Reason.PORTS


def test_ports_that_are_not_required_come_out_of_the_offer() -> None:
    found = try_match(app(port_definitions=(PortDefinition(8080),)))
    assert isinstance(found, Match)
    assert found.host_ports[0] in range(31000, 31100)


def test_mappings_take_a_fixed_a_random_or_no_host_port() -> None:
    """Behaviours 92, 93."""
    mappings = (
        PortMapping(80, host_port=31007),
        PortMapping(81, host_port=0),
        PortMapping(82, host_port=None),
    )
    bridged = app(
        networks=(Network(NetworkMode.BRIDGE),),
        port_definitions=None,
        container=Container("DOCKER", Docker("busybox"), port_mappings=mappings),
    )
    found = try_match(bridged)
    assert isinstance(found, Match)
    fixed, any_, none = found.host_ports
    assert fixed == 31007
    assert any_ in range(31000, 31100)
    assert any_ != fixed
    assert none is None
    assert found.resources.ports.size == 2


# ---------------------------------------------------------------------------------- constraints


def constrained(field: str, operator: str, value: str | None = None, **fields: Any) -> App:
    return app(constraints=(Constraint(field, Operator(operator), value),), **fields)


@pytest.mark.parametrize(
    ("constraint", "attributes", "fits"),
    [
        (("rack", "LIKE", "r[1-3]"), {"rack": "r2"}, True),  # behaviour 61
        (("rack", "LIKE", "r[1-3]"), {"rack": "r22"}, False),  # the whole value
        (("rack", "LIKE", "r[1-3]"), {}, False),
        (("rack", "UNLIKE", "r[1-3]"), {"rack": "r2"}, False),
        (("rack", "UNLIKE", "r[1-3]"), {"rack": "r4"}, True),
        (("rack", "UNLIKE", "r[1-3]"), {}, True),
        (("rack", "IS", "r1"), {"rack": "r1"}, True),  # behaviour 62
        (("rack", "IS", "r1"), {"rack": "r10"}, False),
        (("level", "IS", "2"), {"level": "2.000"}, True),
        (("level", "IS", "2"), {"level": "2.1"}, False),
        (("rack", "CLUSTER", "r1"), {"rack": "r1"}, True),  # behaviour 58
        (("rack", "CLUSTER", "r1"), {"rack": "r2"}, False),
        (("hostname", "LIKE", "node-.*"), {}, False),
        (("@hostname", "IS", "h"), {}, True),
    ],
)
def test_constraints_on_one_value(
    constraint: tuple[str, str, str], attributes: dict[str, str], fits: bool
) -> None:
    found = try_match(constrained(*constraint), attributes=attributes)
    assert isinstance(found, Match) if fits else found is Reason.CONSTRAINT


def test_scalar_attributes_compare_as_they_are_shown() -> None:
    place = OfferedPlace("h", None, None, (Attribute("level", scalar=10.0),))
    wanted = constrained("level", "IS", "10")
    found = match(
        wanted, place, Resources.parse(PLENTY), Census(wanted.constraints), random.Random(1)
    )
    assert isinstance(found, Match)


def test_zone_and_region_come_from_the_fault_domain() -> None:
    """Behaviour 63."""
    world = World.of("a", "b")
    world.agents[0].domain = FaultDomain("eu", "eu-1")
    world.agents[1].domain = FaultDomain("eu", "eu-2")
    world.deploy(constrained("@zone", "IS", "eu-2", instances=3))
    assert {task.agent.hostname for task in world.tasks.values()} == {"b"}


def racks(world: World) -> dict[str, int]:
    counts: dict[str, int] = {}
    for task in world.tasks.values():
        rack = task.agent.attributes[0].text or ""
        counts[rack] = counts.get(rack, 0) + 1
    return counts


def world_of_racks(*names: str) -> World:
    world = World.of(*(f"h{i}" for i in range(len(names))))
    for agent, name in zip(world.agents, names, strict=True):
        agent.attributes = (Attribute("rack", text=name),)
    return world


def test_unique_runs_one_on_each_host_and_the_rest_waits() -> None:
    """Behaviour 57."""
    world = World.of("a", "b", "c")
    world.put(constrained("hostname", "UNIQUE", instances=4))
    world.run()
    assert sorted(task.agent.hostname for task in world.tasks.values()) == ["a", "b", "c"]
    assert len(world.shown_deployments) == 1


def test_cluster_without_a_value_stays_where_the_first_is() -> None:
    """Behaviour 58."""
    world = world_of_racks("r1", "r2")
    world.deploy(constrained("rack", "CLUSTER", instances=4))
    assert list(racks(world).values()) == [4]


def test_group_by_spreads_evenly() -> None:
    """Behaviour 59."""
    world = world_of_racks("r1", "r2", "r3", "r1")
    world.deploy(constrained("rack", "GROUP_BY", "3", instances=7))
    assert sorted(racks(world).values()) == [2, 2, 3]


@pytest.mark.parametrize("instances", range(1, 16))
def test_group_by_places_all_whatever_does_not_divide_evenly(instances: int) -> None:
    world = world_of_racks("r1", "r2", "r3", "r4", "r5")
    world.deploy(constrained("rack", "GROUP_BY", "5", instances=instances))
    counts = racks(world).values()
    assert sum(counts) == instances
    assert max(counts) - min(counts if len(counts) == 5 else [0]) <= 1


def test_group_by_waits_for_the_groups_that_are_missing() -> None:
    world = world_of_racks("r1", "r2")
    world.put(constrained("rack", "GROUP_BY", "3", instances=6))
    world.run()
    assert racks(world) == {"r1": 2, "r2": 2}
    world.agents.append(another_agent(world, "r3"))
    world.run()
    assert racks(world) == {"r1": 2, "r2": 2, "r3": 2}


def another_agent(world: World, rack: str) -> OfferedAgent:
    attributes = (Attribute("rack", text=rack),)
    return OfferedAgent(AgentId("S9"), "h9", world.agents[0].total, attributes)


def test_max_per_is_never_exceeded() -> None:
    """Behaviour 60."""
    world = world_of_racks("r1", "r2")
    world.put(constrained("rack", "MAX_PER", "2", instances=9))
    world.run()
    assert racks(world) == {"r1": 2, "r2": 2}


def test_instances_of_an_older_configuration_do_not_count() -> None:
    """Behaviour 64: an upgrade of an app that is on every host."""
    world = World.of("a", "b")
    world.deploy(constrained("hostname", "UNIQUE", instances=2))
    world.deploy(constrained("hostname", "UNIQUE", instances=2, cmd="new"))
    world.advance(1)
    assert len(world.running("/a")) == 2
    assert world.shown_deployments == {}


def test_scaling_down_a_grouped_app_takes_from_the_fullest_group() -> None:
    """Behaviour 65."""
    world = world_of_racks("r1", "r2", "r3")
    world.deploy(constrained("rack", "GROUP_BY", "3", instances=7))
    world.deploy(constrained("rack", "GROUP_BY", "3", instances=3))
    assert sorted(racks(world).values()) == [1, 1, 1]
