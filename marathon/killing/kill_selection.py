"""Which instances go when there are too many (8.2)."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable

from ..model.app import App, Operator
from ..model.instance import Live, kill_order
from ..state.census import value_at


def choose_surplus(app: App, instances: Iterable[Live], count: int) -> list[Live]:
    """`count` active instances. With GROUP_BY each comes from the group that is fullest then."""
    order = kill_order((live for live in instances if live.active), app.kill_selection)
    fields = [c.field for c in app.constraints if c.operator is Operator.GROUP_BY]
    if not fields:
        return order[:count]
    return _from_the_fullest(order, fields, count)


def _from_the_fullest(order: list[Live], fields: list[str], count: int) -> list[Live]:
    """One of the fullest by the first field, then by the second, ...; among equals by kill order.

    An app may have ten thousand instances. So those with the same values are one queue, and the
    queues are a heap whose entries may be too full: groups only shrink, so one that is on top and
    still true is the fullest.
    """
    shares: list[Counter[str | None]] = [Counter() for _ in fields]
    queues: dict[tuple[str | None, ...], deque[tuple[int, Live]]] = {}
    for rank, live in enumerate(order):
        values = tuple(value_at(field, live.record) for field in fields)
        queues.setdefault(values, deque()).append((rank, live))
        for share, value in zip(shares, values, strict=True):
            share[value] += 1

    def entry(values: tuple[str | None, ...]) -> tuple[list[int], int]:
        emptiness = [-share[value] for share, value in zip(shares, values, strict=True)]
        return emptiness, queues[values][0][0]

    by_rank = {queue[0][0]: values for values, queue in queues.items()}
    heap = [entry(values) for values in queues]
    heapq.heapify(heap)
    chosen: list[Live] = []
    while heap and len(chosen) < count:
        top = heapq.heappop(heap)
        values = by_rank[top[1]]
        if (now := entry(values)) != top:
            heapq.heappush(heap, now)
            continue
        queue = queues[values]
        chosen.append(queue.popleft()[1])
        for share, value in zip(shares, values, strict=True):
            share[value] -= 1
        if queue:
            by_rank[queue[0][0]] = values
            heapq.heappush(heap, entry(values))
    return chosen
