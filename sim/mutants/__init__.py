"""Mutation testing of the simulator: `python -m mezzo.sim.mutants`."""

from . import (
    of_agents,
    of_allocators,
    of_conversions,
    of_doors,
    of_forgetful,
    of_kernel,
    of_ledgers,
    of_lives,
    of_marathons,
    of_masters,
    of_operators,
    of_peers,
    of_places,
    of_plans,
    of_questions,
    of_reads,
    of_vaults,
)
from .hunt import Find, NoBug, hunt
from .mutant import ALL, Mutant

__all__ = [
    "ALL",
    "Find",
    "Mutant",
    "NoBug",
    "hunt",
    "of_agents",
    "of_allocators",
    "of_conversions",
    "of_doors",
    "of_forgetful",
    "of_kernel",
    "of_ledgers",
    "of_lives",
    "of_marathons",
    "of_masters",
    "of_operators",
    "of_peers",
    "of_places",
    "of_plans",
    "of_questions",
    "of_reads",
    "of_vaults",
]
