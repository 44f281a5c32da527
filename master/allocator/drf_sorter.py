"""Who is served before whom: roles in a tree, compared level by level (Mesos `DRFSorter`).

Siblings are ordered by dominant share divided by weight, then by number of grants, then by name.
A role has its subroles below it and, as a sibling of theirs with the name `.`, the place of its own
frameworks; below that are the frameworks. Shares count all that is offered or allocated below.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping

from mezzo.cluster.amounts import Thousandths

from .nodes import OWN, ClientNode, Node, Place
from .quantities import Floors, Ledger, add
from .terms import Client


class Tree:
    def __init__(self, excluded: tuple[str, ...]) -> None:
        self._excluded = excluded
        self.root = Node("", "", None)
        self.clients: dict[Client, ClientNode] = {}
        self.weights: dict[str, float] = {}
        self.totals: Ledger = {}  # of the scalars that shares are of
        self._generation = 0

    # ---- who there is

    def add_client(self, key: Client, floors: Floors) -> ClientNode:
        own = self._own(key[1])
        client = ClientNode(key, own, floors)
        own.children[client.name] = self.clients[key] = client
        return client

    def _own(self, role: str) -> Node:
        """The place of the role's own frameworks, made if it is not there."""
        node, path = self.root, ""
        for part in role.split("/"):
            path = f"{path}/{part}" if path else part
            child = node.children.get(part)
            if child is None:
                child = Node(part, path, node, self.weights.get(path, 1.0))
                node.children[part] = child
            node = child
        own = node.children.get(OWN)
        if own is None:
            own = node.children[OWN] = Node(OWN, role, node)
        return own

    def role(self, path: str) -> Node | None:
        """None: nobody is in it or below it."""
        node: Node | None = self.root
        for part in path.split("/"):
            node = node.children.get(part) if node is not None else None
        return node

    def remove_client(self, client: ClientNode) -> None:
        """The client is closed and holds nothing. Roles that nobody is in any more go with it."""
        assert client.open == 0
        del self.clients[client.key]
        node: Node = client
        while (parent := node.parent) is not None and not node.children:
            self._displace(node)
            parent.moved.pop(node, None)
            del parent.children[node.name]
            node = parent

    def clients_below(self, node: Node) -> Iterator[ClientNode]:
        if isinstance(node, ClientNode):
            yield node
        for child in node.children.values():
            yield from self.clients_below(child)

    def set_weight(self, role: str, weight: float) -> None:
        self.weights[role] = weight
        if weight == 1.0:
            del self.weights[role]
        node = self.role(role)
        if node is not None:
            node.weight = weight
            self._mark(node)

    # ---- what they have

    def charge(
        self,
        client: ClientNode,
        amounts: Mapping[str, Thousandths],
        sign: int,
        *,
        grants: int = 0,
    ) -> None:
        """The client has so much more or less, by so many grants."""
        node: Node = client
        while (parent := node.parent) is not None:
            node.grants += grants
            held = node.held
            for name, amount in amounts.items():
                held[name] = held.get(name, 0) + sign * amount
            if node.open:
                parent.moved[node] = None
            node = parent

    def count_total(self, amounts: Mapping[str, Thousandths], sign: int) -> None:
        add(self.totals, amounts, sign)
        for name in self._excluded:
            self.totals.pop(name, None)
        self._generation += 1  # every share changed

    def share(self, node: Node) -> float:
        return self.dominant(node.held)

    def dominant(self, amounts: Mapping[str, Thousandths]) -> float:
        """The dominant share: the largest part of the cluster that they are of a scalar."""
        totals = self.totals
        share = 0.0
        for name, amount in amounts.items():
            total = totals.get(name)
            if total and (part := amount / total) > share:
                share = part
        return share

    # ---- order

    def set_open(self, client: ClientNode, open_: bool) -> None:
        """Whether the client takes part."""
        if bool(client.open) == open_:
            return
        node: Node = client
        while node.parent is not None:
            node.open += 1 if open_ else -1
            node.parent.moved[node] = None
            node = node.parent

    def order(self, node: Node) -> list[Place]:
        """The children that want something, in the order in which they are served."""
        stale = node.generation != self._generation
        if stale or len(node.moved) * 8 > len(node.order):
            node.generation = self._generation
            for child in node.children.values():
                child.place = self.place(child) if child.open else None
            node.order = sorted(c.place for c in node.children.values() if c.place is not None)
        else:
            for child in node.moved:
                self._displace(child)
                if child.open:
                    child.place = self.place(child)
                    insort(node.order, child.place)
        node.moved.clear()
        return node.order

    def place(self, node: Node) -> Place:
        name = node.terms.name if isinstance(node, ClientNode) else node.name
        return (self.share(node) / node.weight, node.grants, name, node.path, node)

    def _mark(self, node: Node) -> None:
        if node.open and node.parent is not None:
            node.parent.moved[node] = None

    def _displace(self, node: Node) -> None:
        if node.place is not None:
            assert node.parent is not None
            order = node.parent.order
            at = bisect_left(order, node.place)
            assert order[at] is node.place
            del order[at]
            node.place = None
