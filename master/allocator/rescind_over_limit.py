"""Offers beyond a limit that was made tighter."""

from __future__ import annotations

from .books import Books
from .quantities import measure
from .terms import Withdraw


def over_limit(books: Books, role: str) -> list[Withdraw]:
    """Enough of the offers in the role and below it, the newest first, to be within the limit."""
    over = books.quotas.over_limit(role)
    node = books.tree.role(role)
    if not over or node is None:
        return []
    out = []
    below = dict.fromkeys(books.tree.clients_below(node))
    for client, agent in reversed(books.offered_s):
        if not over:
            break
        if client not in below:
            continue
        amounts = measure(agent.offered[client]).open
        if not any(amounts.get(name) for name in over):
            continue
        over = {n: left for n, o in over.items() if (left := o - amounts.get(n, 0)) > 0}
        client.counters.withdrawn += 1
        out.append(Withdraw(*client.key, agent.id, f"the limit of role {role} is lower now"))
    return out
