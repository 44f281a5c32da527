"""Mutation testing of the simulator: `python -m mezzo.sim.mutants`."""

from . import (
    agents,
    allocators,
    conversions,
    doors,
    forgetful,
    kernel,
    ledgers,
    lives,
    marathons,
    masters,
    operators,
    peers,
    places,
    plans,
    questions,
    reads,
    vaults,
)
from .hunt import Find, hunt
from .mutant import ALL, Mutant

__all__ = [
    "ALL",
    "Find",
    "Mutant",
    "agents",
    "allocators",
    "conversions",
    "doors",
    "forgetful",
    "hunt",
    "kernel",
    "ledgers",
    "lives",
    "marathons",
    "masters",
    "operators",
    "peers",
    "places",
    "plans",
    "questions",
    "reads",
    "vaults",
]
