"""Statements of functions, and probes before them, which note that they are reached."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final

# A builtin while probes are planted: bytes that can be set, one for each index.
HITS: Final = "_statements_reached_"


def statements(source: str) -> list[int]:
    """The lines at which statements of functions begin, as `Point.statement` has them."""
    return sorted({node.lineno for _, _, node in _places(ast.parse(source))})


def probed(tree: ast.Module, *, index: Mapping[int, int]) -> ast.Module:
    """The module with a probe before each statement whose line has an index, which it notes."""
    for body, position, node in reversed(list(_places(tree))):
        if node.lineno not in index:
            continue
        (probe,) = ast.parse(f"{HITS}[{index[node.lineno]}] = 1").body
        for part in ast.walk(probe):
            ast.copy_location(part, node)
        body.insert(position, probe)
    return tree


def _places(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], int, ast.stmt]]:
    """Statements within functions: the list that holds it, where in that, and itself."""
    inside: set[int] = set()
    for node in ast.walk(tree):  # parents come before their children
        within = id(node) in inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if within:
            inside.update(id(child) for child in ast.iter_child_nodes(node))
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if not within or not isinstance(body, list):
                continue
            for position, statement in enumerate(body):
                if not _is_text(statement):  # a docstring is one only as the first
                    yield body, position, statement


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
