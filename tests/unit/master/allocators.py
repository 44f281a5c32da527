"""Words for tests of the allocator alone. A framework's id is its name."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.terms import (
    AgentTerms,
    AllocatorConfig,
    Client,
    Demand,
    FrameworkTerms,
    Grant,
    Withdraw,
)

ONE = Resources.of(cpus=1, mem=100)


def allocator(
    *names: str, roles: tuple[str, ...] = ("*",), config: dict[str, Any] | None = None, **terms: Any
) -> Allocator:
    """With frameworks of these names. Nobody is impatient unless `config` says so."""
    settings = AllocatorConfig(**{"patience_s": None, **(config or {})})
    made = Allocator(random.Random(1), settings)
    for name in names:
        framework(made, name, *roles, **terms)
    return made


def framework(a: Allocator, name: str, *roles: str, **terms: Any) -> None:
    a.set_framework(FrameworkId(name), FrameworkTerms(name, roles or ("*",), **terms))


def add(a: Allocator, agent: str, resources: Resources = ONE, **terms: Any) -> None:
    a.add_agent(AgentId(agent), AgentTerms(resources, **terms), {})


def grants(a: Allocator, now_s: float = 0.0) -> list[Grant]:
    """Of a cycle in which nothing is withdrawn."""
    decided = a.cycle(now_s)
    assert not any(isinstance(each, Withdraw) for each in decided)
    return [each for each in decided if isinstance(each, Grant)]


def cycle(a: Allocator, now_s: float = 0.0) -> list[tuple[str, str]]:
    """Who gets which agent."""
    return [(grant.framework_id, grant.agent_id) for grant in grants(a, now_s)]


def back(
    a: Allocator,
    name: str,
    agent: str,
    resources: Resources = ONE,
    refused_until_s: float | None = None,
    role: str = "*",
) -> None:
    """The framework declines."""
    a.decline((FrameworkId(name), role), AgentId(agent), resources, refused_until_s)


def use(a: Allocator, granted: Iterable[Grant]) -> None:
    """All of it, by one task each."""
    for grant in granted:
        a.use(client(grant), grant.agent_id, grant.resources)


def decline(a: Allocator, granted: Iterable[Grant], refused_until_s: float | None = None) -> None:
    for grant in granted:
        a.decline(client(grant), grant.agent_id, grant.resources, refused_until_s)


def client(grant: Grant | Withdraw) -> Client:
    return grant.framework_id, grant.role


def demand(role: str = "*", count: int = 1, **shape: float) -> Demand:
    """`cpus=1.5` and so on."""
    return Demand(role, {name: round(amount * 1000) for name, amount in shape.items()}, count)
