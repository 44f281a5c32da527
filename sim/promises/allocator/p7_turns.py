"""Promise 7, whose turn it is: the client that has least by its weight is served first.

The allocator keeps clients that want something in order, level by level of the roles, and moves
those that a change concerns. Now and then, and right after a weight has changed, they are put in
order anew: by the largest part of anything that they have, over the weight, then by grants, then by
name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mezzo.core import Output
from mezzo.master.allocator.nodes import ClientNode, Node
from mezzo.master.events import OperatorAsked
from mezzo.master.state.master_state import MasterState
from mezzo.messages.operator import UpdateWeights

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken

_LOOK_EVERY: Final = 97  # steps of masters


class WhoHasLeastIsFirst(Watch):
    def __init__(self) -> None:
        self._steps = 0

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        self._steps += 1
        weighs = type(event) is OperatorAsked and type(event.call) is UpdateWeights
        if weighs or self._steps % _LOOK_EVERY == 0:
            core = master.core
            assert core is not None
            _look(master.name, core.state)


def _look(name: str, state: MasterState) -> None:
    tree = state.allocator._books.tree
    totals = {name: total for name, total in tree.totals.items() if total}
    for node in _below(tree.root):
        anew = [
            (
                max((child.held.get(n, 0) / total for n, total in totals.items()), default=0.0)
                / _weight(state, child),
                child.grants,
                child.terms.name if isinstance(child, ClientNode) else child.name,
                child.path,
            )
            for child in node.children.values()
            if any(each.open for each in _clients(child))
        ]
        kept = [place[:4] for place in tree.order(node)]
        if kept != sorted(anew):
            raise Broken(
                f"promise 7: {name} serves those in {node.path!r} in the order {kept}, and it is "
                f"{sorted(anew)}"
            )


def _weight(state: MasterState, node: Node) -> float:
    """That of a role; its own frameworks are a sibling of its subroles, and weigh 1."""
    own = isinstance(node, ClientNode) or node.name == "."
    return 1.0 if own else state.weights.get(node.path, 1.0)


def _below(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children.values():
        if not isinstance(child, ClientNode):
            yield from _below(child)


def _clients(node: Node) -> Iterator[ClientNode]:
    if isinstance(node, ClientNode):
        yield node
    for child in node.children.values():
        yield from _clients(child)
