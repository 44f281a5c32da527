"""Whose turn it is: one stage of a cycle, in which the order changes with every grant.

A copy of the tree's order that is consumed from the front, level by level and no deeper than it is
looked at. A client that was served comes again at its new place; one that could not be is out for
this stage: in it resources, quota and headroom only shrink, so nothing will fit later either.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

from .drf_sorter import Tree
from .nodes import ClientNode, Node, Place


class Turns:
    """The children of `node` in the order of their turns.

    admits: which children of the root take part (asked each time that their turn comes).
    """

    __slots__ = ("_admits", "_again", "_child", "_client", "_queue", "_tree", "node")

    def __init__(
        self, tree: Tree, node: Node, admits: Callable[[Node], bool] | None = None
    ) -> None:
        self._tree = tree
        self.node = node
        self._admits = admits
        # A place with one below it is not worth a level of its own.
        while not isinstance(node, ClientNode) and node is not tree.root and node.open == 1:
            node = tree.order(node)[0][4]
        self._client = node if isinstance(node, ClientNode) else None
        self._queue: list[Place] = [] if self._client else tree.order(node)[::-1]
        self._again: list[tuple[float, int, str, str, Turns]] = []
        self._child: Turns | None = None

    def next(self) -> ClientNode | None:
        """The client whose turn it is; None: nobody is left. Say `settle` before asking again."""
        if self._client is not None:
            return self._client
        while True:
            if self._child is None:
                self._child = self._pop()
                if self._child is None:
                    return None
            client = self._child.next()
            if client is not None:
                return client
            self._child = None

    def _pop(self) -> Turns | None:
        queue, again = self._queue, self._again
        while queue or again:
            if queue and (not again or queue[-1][:4] < again[0][:4]):
                node = queue.pop()[4]
                if self._admits is None or self._admits(node):
                    return Turns(self._tree, node)
            else:
                turns = again.pop(0)[4]
                if self._admits is None or self._admits(turns.node):
                    return turns
        return None

    def settle(self, served: bool) -> None:
        """Was the client that `next` named given something?"""
        if self._client is not None:
            if not served:
                self._client = None
            return
        child = self._child
        assert child is not None
        child.settle(served)
        if served:  # it steps back in the queue; else the next one below it has its turn
            insort(self._again, (*self._tree.place(child.node)[:4], child))
            self._child = None
