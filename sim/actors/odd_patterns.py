"""Patterns of offer constraints that make no sense."""

from __future__ import annotations

from typing import Final

# Regular expressions that a master has to refuse: RE2 has no such, or its program is too large.
NO_PATTERNS: Final = (
    *("[", "(a", "*a", "(?=x)", "a{2,1}"),
    *("x{500}", "(x{40}){9}", "(ab|cd){45}"),
)
