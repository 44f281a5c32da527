"""Does the simulator find a planted bug, and how soon?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..seeds import Failure, run_seed
from .mutant import Mutant

_HERE: Final = str(Path(__file__).parent)


@dataclass(frozen=True, slots=True)
class Find:
    """seed: None: it was not found. tried: how many seeds were run. error: the last line of it."""

    name: str
    area: str
    seed: int | None
    tried: int
    error: str = ""


class NoBug(AssertionError):
    """The planted change is not the bug that its name says."""


def hunt(mutant: Mutant, seeds: Iterable[int]) -> Find:
    """Run the seeds, which pass without it, until one fails.

    Raises NoBug if it fails only because the mutant does not fit the code any more.
    """
    tried = 0
    with mutant.planted():
        for seed in seeds:
            tried += 1
            outcome = run_seed(seed)
            if isinstance(outcome, Failure):
                error = outcome.error.strip().splitlines()[-1]
                if _crashed_itself(mutant, outcome.error):
                    raise NoBug(f"{mutant.name!r} does nothing but crash itself: {error}")
                return Find(mutant.name, mutant.area, seed, tried, error)
    return Find(mutant.name, mutant.area, None, tried)


def _crashed_itself(mutant: Mutant, trace: str) -> bool:
    """Was the mutant called in a way that it does not know, or did it fail by itself?"""
    *lines, error = trace.strip().splitlines()
    if f"{mutant.make.__name__}.<locals>" in error:
        return True
    innermost = max(n for n, line in enumerate(lines) if line.lstrip().startswith('File "'))
    source = lines[innermost + 1].strip()
    return _HERE in lines[innermost] and not source.startswith("raise ")
