"""Places in the tree of roles, and the frameworks in it. How they are ordered: drf_sorter.py."""

from __future__ import annotations

from typing import Final

from .demand import Wishes
from .quantities import Floors, Ledger
from .terms import Client, FrameworkTerms

OWN: Final = "."


class Node:
    """A place among siblings. `order`: of the children that want something, the first one first."""

    __slots__ = (
        "children",
        "generation",
        "grants",
        "held",
        "moved",
        "name",
        "open",
        "order",
        "parent",
        "path",
        "place",
        "weight",
    )

    def __init__(self, name: str, path: str, parent: Node | None, weight: float = 1.0) -> None:
        self.name = name
        self.path = path
        self.parent = parent
        self.weight = weight
        self.children: dict[str, Node] = {}
        self.held: Ledger = {}
        self.grants = 0
        self.open = 0  # clients at or below it that want something
        self.order: list[Place] = []
        self.place: Place | None = None  # in the parent's order
        self.moved: dict[Node, None] = {}  # children whose place may be wrong
        self.generation = 0  # of the totals that the order was made with


# share, grants, name, path or id, node: unique before the node is reached
Place = tuple[float, int, str, str, Node]


class ClientNode(Node):
    """A framework in one role. `top`: the top-level role that it is below.

    offers, uses: of how many agents it is offered something, and has something allocated; `held` is
    the sum of both in scalars.
    """

    __slots__ = (
        "allocated",
        "allocated_open",
        "connected",
        "counters",
        "cursor",
        "floors",
        "key",
        "offers",
        "refusals",
        "stage",
        "terms",
        "top",
        "uses",
        "wishes",
    )

    def __init__(self, key: Client, parent: Node, floors: Floors) -> None:
        super().__init__(key[0], key[0], parent)
        self.key = key
        self.top = key[1].split("/", 1)[0]
        self.terms = FrameworkTerms("", ())
        self.connected = False
        self.floors = floors
        self.wishes: Wishes | None = None
        self.allocated: Ledger = {}
        self.allocated_open: Ledger = {}
        self.offers = 0
        self.uses = 0
        self.refusals = 0
        self.counters = Counters()
        # Where it is in the agents of the stage of the cycle that is under way; see cycle.py.
        self.stage = -1
        self.cursor = 0

    @property
    def role(self) -> str:
        return self.key[1]

    @property
    def idle(self) -> bool:
        """The client has nothing at all."""
        return not self.offers and not self.uses


class Counters:
    """What happened to a client so far."""

    __slots__ = ("declined", "granted", "used", "withdrawn")

    def __init__(self) -> None:
        self.granted = 0
        self.used = 0
        self.declined = 0
        self.withdrawn = 0
