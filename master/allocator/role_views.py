"""The books of roles, for operators."""

from __future__ import annotations

from .books import Books
from .quantities import Ledger, add, nonzero
from .terms import RoleBooks


def consumed(books: Books, role: str) -> Ledger:
    out = _reserved(books, role)
    node = books.tree.role(role)
    for client in books.tree.clients_below(node) if node is not None else ():
        add(out, client.allocated_open)
    return nonzero(out)


def _reserved(books: Books, role: str) -> Ledger:
    """What is reserved to the role and the roles below it."""
    out: Ledger = {}
    for owner, amounts in books.quotas.reserved.items():
        if owner == role or owner.startswith(role + "/"):
            add(out, amounts)
    return nonzero(out)


def role_books(books: Books) -> list[RoleBooks]:
    tree, quotas = books.tree, books.quotas
    known = {role for _, role in tree.clients}
    known |= {*tree.weights, *quotas.roles(), *quotas.reserved}
    out = []
    for role in sorted(known):
        node = tree.role(role)
        held: Ledger = {} if node is None else dict(node.held)
        allocated: Ledger = {}
        refusals = 0
        for client in tree.clients_below(node) if node is not None else ():
            add(allocated, client.allocated)
            refusals += client.refusals
        add(held, allocated, -1)
        out.append(
            RoleBooks(
                role,
                tree.weights.get(role, 1.0),
                quotas.quota(role),
                consumed(books, role),
                nonzero(allocated),
                nonzero(held),
                _reserved(books, role),
                0.0 if node is None else tree.share(node),
                refusals,
            )
        )
    return out
