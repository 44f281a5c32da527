"""Virtual time: a heap of things to do, a seed for every choice. Nothing here waits."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, Final

START_WALL_S: Final = 1_700_000_000.0
_STORY_LINES_MAX: Final = 2000


class Livelock(AssertionError):
    """The cores step on and on: they answer each other for ever."""


class World:
    """The clock, the only source of randomness, and a bounded memory of what happened last."""

    def __init__(self, seed: int, *, steps_max: float = inf) -> None:
        """`steps_max`: a run that takes more, of all cores, is one that never ends."""
        self.seed = seed
        self.steps_max = steps_max
        self.rng = random.Random(seed)
        self.now_s = 0.0
        self.steps = 0  # of all cores
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._soon: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._numbers = itertools.count()
        self._story: deque[str] = deque(maxlen=_STORY_LINES_MAX)

    def after(self, delay_s: float, action: Callable[..., None], *args: Any) -> None:
        """Things due at one moment happen in the order in which they were asked for."""
        self.at(self.now_s + delay_s, action, *args)

    def at(self, at_s: float, action: Callable[..., None], *args: Any) -> None:
        """As `after`, at a moment: two equal ones are not rounded apart."""
        heapq.heappush(self._heap, (at_s, next(self._numbers), action, args))

    def soon(self, action: Callable[..., None], *args: Any) -> None:
        """At this moment, once the present action is done: before all that `after` was told of."""
        self._soon.append((action, args))

    def run(self, until_s: float) -> None:
        """Do everything that is due up to `until_s`; an exception ends the run."""
        heap, soon = self._heap, self._soon
        while True:
            while soon:
                action, args = soon.popleft()
                action(*args)
            if not heap or heap[0][0] > until_s:
                break
            if self.steps > self.steps_max:
                raise Livelock(f"{self.steps} steps, and no end in sight at {self.now_s:g} s")
            self.now_s, _, action, args = heapq.heappop(heap)
            action(*args)
        self.now_s = max(self.now_s, until_s)

    def tell(self, line: str) -> None:
        """Remember for the report of a failure."""
        self._story.append(f"{self.now_s:10.4f} {line}")

    def story(self, lines: int = 60) -> str:
        return "\n".join(list(self._story)[-lines:])

    def chance(self, probability: float) -> bool:
        """Does it happen? Draws nothing if the probability is 0."""
        return probability > 0.0 and self.rng.random() < probability

    def between(self, low: float, high: float) -> float:
        return self.rng.uniform(low, high)
