"""Mutation testing of the simulator: `python -m mezzo.sim.mutants`."""

from . import agents, allocators, conversions, kernel, marathons, masters, operators
from .hunt import Find, hunt
from .mutant import ALL, Mutant

__all__ = [
    "ALL",
    "Find",
    "Mutant",
    "agents",
    "allocators",
    "conversions",
    "hunt",
    "kernel",
    "marathons",
    "masters",
    "operators",
]
