"""All roles, as operators see them."""

from __future__ import annotations

from collections.abc import Mapping

from mezzo.cluster.amounts import Thousandths
from mezzo.cluster.resources import Kind, Resources
from mezzo.ids import FrameworkId
from mezzo.messages import operator as m

from ..allocator.terms import Quantities
from ..state.master_state import MasterState
from . import quota_calls


def view(state: MasterState) -> m.Roles:
    """All roles that somebody is in, or that have a weight, quota or reservation. Roles below one
    count for it as well."""
    members: dict[str, list[FrameworkId]] = {}
    for framework in state.frameworks.values():
        for role in framework.info.all_roles:
            members.setdefault(role, []).append(framework.id)
    scalars = quota_calls.capacity_of(state)
    out = []
    for books in state.allocator.roles():
        allocated, offered = _bag(books.allocated, scalars), _bag(books.offered, scalars)
        out.append(
            m.RoleView(
                books.role,
                books.weight,
                tuple(members.get(books.role, ())),
                allocated + offered,
                allocated,
                offered,
                _bag(books.reserved, scalars),
                dict(books.consumed),
                state.quotas.get(books.role),
                books.share,
            )
        )
    return m.Roles(tuple(out))


def _bag(amounts: Quantities, scalars: Mapping[str, Thousandths]) -> Resources:
    """The scalars as resources. How many ports there are on many agents is no range."""
    return Resources({Kind(name): n for name, n in amounts.items() if name in scalars})
