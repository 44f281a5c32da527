"""Does the simulator find a planted bug, and how soon?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..seeds import Failure, run_seed
from .mutant import Mutant


@dataclass(frozen=True, slots=True)
class Find:
    """seed: None: it was not found. tried: how many seeds were run. error: the last line of it."""

    name: str
    area: str
    seed: int | None
    tried: int
    error: str = ""


def hunt(mutant: Mutant, seeds: Iterable[int]) -> Find:
    """Run the seeds, which pass without it, until one fails."""
    tried = 0
    with mutant.planted():
        for seed in seeds:
            tried += 1
            outcome = run_seed(seed)
            if isinstance(outcome, Failure):
                error = outcome.error.strip().splitlines()[-1]
                return Find(mutant.name, mutant.area, seed, tried, error)
    return Find(mutant.name, mutant.area, None, tried)
