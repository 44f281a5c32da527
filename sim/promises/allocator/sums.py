"""Sums of resources, made anew of each part: what the books of a master are held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mezzo.cluster.resources import Kind, Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.state.agent_entry import Standing
from mezzo.master.state.master_state import MasterState

Taken = tuple[AgentId, FrameworkId, str, Resources]  # where, by whom, in which role


def taken(state: MasterState) -> list[Taken]:
    """What tasks that are not over and executors take, one by one."""
    of_tasks = [
        (task.info.agent_id, framework.id, task.info.role, task.info.resources)
        for framework in state.frameworks.values()
        for task in framework.tasks.values()
        if not task.state.terminal
    ]
    return of_tasks + [
        (agent_id, framework.id, executor.role, executor.info.resources)
        for framework in state.frameworks.values()
        for (agent_id, _), executor in framework.executors.items()
    ]


def reserved(state: MasterState) -> list[tuple[str, Resources]]:
    """Each reservation of agents that are back, and its role."""
    return [
        (kind.role, Resources({kind: value}))
        for agent in state.agents.values()
        if agent.standing is not Standing.RECOVERED
        for kind, value in agent.info.resources.items()
        if kind.reservations and type(value) is int
    ]


def consumed(state: MasterState, role: str) -> dict[str, int]:
    """What counts against a limit: all reservations, and what is taken of the rest."""
    back = {a.id for a in state.agents.values() if a.standing is not Standing.RECOVERED}
    running = [(own, of) for at, _, own, of in taken(state) if at in back]
    held = scalars(of_role(role, reserved(state)), shared=True)
    return nonzero(held + unreserved(of_role(role, running)))


def of_role(role: str, parts: Iterable[tuple[str, Resources]]) -> list[Resources]:
    """In the role or below."""
    return [of for own, of in parts if own == role or own.startswith(role + "/")]


def _each(parts: Iterable[Resources]) -> Iterable[tuple[Kind, int]]:
    for part in parts:
        for kind, value in part.items():
            if type(value) is int:
                yield kind, value


def alone(resources: Resources) -> Resources:
    """Without what is shared: that is taken from nobody."""
    return Resources({kind: value for kind, value in resources.items() if not kind.shared})


def scalars(parts: Iterable[Resources], *, shared: bool = False) -> Counter[str]:
    """Scalars by name. What is shared is taken from nobody."""
    out: Counter[str] = Counter()
    for kind, value in _each(parts):
        if shared or not kind.shared:
            out[kind.name] += value
    return out


def unreserved(parts: Iterable[Resources]) -> Counter[str]:
    """Neither reserved nor revocable nor shared: what quota is about."""
    out: Counter[str] = Counter()
    for kind, value in _each(parts):
        if not (kind.reservations or kind.revocable or kind.shared):
            out[kind.name] += value
    return out


def by_firmness(parts: Iterable[Resources]) -> Counter[str]:
    out: Counter[str] = Counter()
    for kind, value in _each(parts):
        out[f"{kind.name}_revocable" if kind.revocable else kind.name] += value
    return out


def nonzero(counted: Counter[str]) -> dict[str, int]:
    return {name: amount for name, amount in counted.items() if amount}
