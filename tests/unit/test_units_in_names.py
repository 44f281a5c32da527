"""A number has its unit at the end of its name (docs/adr/0021-rooms.md), found by its type.

Left out are packages whose names are a protocol's: `mezzo.cluster` and `mezzo.messages` (Mesos)
and documents as HTTP APIs have them; and the simulator, which has one clock and plays with numbers.
Settings have Mesos' names, and their kind says the unit.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("mezzo", "master", "agent", "frameworks", "marathon", "gateway", "relay", "cli")
OF_PROTOCOLS = (
    *("mezzo/wire/v1/", "mezzo/cluster/", "mezzo/messages/"),
    *("marathon/api/app_schema.py", "cli/clients/answers.py"),
)
NUMBERS = {"float", "Seconds", "WallSeconds", "WallMillis", "ShortSeconds"}
UNIT = re.compile(
    r"(?:^|[._])(?:n?s|ms|mib|bytes|milli|seconds|hours|cpus|gpus|chars)(?:_max|_min)?$",
    re.IGNORECASE,
)
# Whole numbers are mostly counts; those with such a name are not.
OF_AMOUNT = re.compile(
    r"(?:^|[._])(?:timeout|deadline|delay|interval|period|duration|size|length|width)$",
    re.IGNORECASE,
)
# Numbers without a unit: a part of something, or of whatever kind the caller's are.
NO_UNIT = re.compile(
    r"(?:^|[._])(?:part|share|weight|factor|rate|value|number|amount|most|least|bound)s?(?:_max|_min)?$",
    re.IGNORECASE,
)


def is_number(annotation: ast.expr) -> bool:
    """Of `float`, and of a collection of them: `dict[TaskId, float]`, `tuple[float, ...]`."""
    match annotation:
        case ast.Name(id=name):
            return name in NUMBERS
        case ast.BinOp(left=left, right=right):
            return is_number(left) or is_number(right)
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, *facts])):
            return is_number(kind) and "Flag(" not in "".join(map(ast.unparse, facts))
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=parts)):
            return all(is_number(each) for each in parts if not isinstance(each, ast.Constant))
        case ast.Subscript(value=ast.Name(id="Callable")):
            return False
        case ast.Subscript(value=ast.Name(), slice=ast.Tuple(elts=[*_, last])):
            return is_number(last)
        case ast.Subscript(value=ast.Name(), slice=only):
            return is_number(only)
        case _:
            return False


def named_numbers(node: ast.AST, *, local: bool = False) -> Iterator[tuple[int, str]]:
    """Line and name of each parameter, field and constant that is a number. local: in a function,
    where only parameters count, and fields of `self`."""
    match node:
        case ast.arg(arg=name, annotation=ast.expr() as kind):
            if is_number(kind) or is_amount(name, kind):
                yield node.lineno, name
        case ast.AnnAssign(target=target, annotation=kind, value=value) if is_field(target, local):
            name = ast.unparse(target)
            final = ast.unparse(kind) == "Final" and isinstance(constant(value), float)
            if final or is_number(kind) or is_amount(name, kind):
                yield node.lineno, name
        case ast.Assign(targets=[target], value=value) if is_field(target, local):
            if isinstance(constant(value), float):
                yield node.lineno, ast.unparse(target)
        case ast.FunctionDef(decorator_list=marks) if "command(" in "".join(
            map(ast.unparse, marks)
        ):
            return  # its parameters are called as the options of the command line
    for child in ast.iter_child_nodes(node):
        inside = local or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from named_numbers(child, local=inside)


def is_field(target: ast.expr, local: bool) -> bool:
    return isinstance(target, ast.Attribute) or not local


def is_amount(name: str, annotation: ast.expr) -> bool:
    kinds = {each.id for each in ast.walk(annotation) if isinstance(each, ast.Name)}
    return "int" in kinds and OF_AMOUNT.search(name) is not None


def constant(value: ast.expr | None) -> object:
    """The value of a literal, of `-1.0` and of `float("inf")`; None for anything else."""
    match value:
        case ast.Constant(value=found):
            return found
        case ast.UnaryOp(operand=operand):
            return constant(operand)
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant()]):
            return 0.0
        case _:
            return None


def without_unit(source: str) -> list[tuple[int, str]]:
    return [
        (line, name)
        for line, name in named_numbers(ast.parse(source))
        if not UNIT.search(name) and not NO_UNIT.search(name)
    ]


def test_a_number_has_its_unit_in_its_name() -> None:
    found = []
    for file in (file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))):
        path = file.relative_to(ROOT).as_posix()
        if not path.startswith(OF_PROTOCOLS):
            found += [f"{path}:{line} {name}" for line, name in without_unit(file.read_text())]
    assert found == []


def test_a_name_without_a_unit_is_found() -> None:
    source = """
WITHIN: Final = 5.0
WITHIN_S: Final = 5.0
class Task:
    since: float | None
    since_s: WallSeconds = 0.0
    ends: dict[TaskId, float]
    shares: dict[Role, float]
def wait(timeout: Seconds, *, grace_s: float, clock: Callable[[], float]) -> None:
    self.deadline = float("inf")
def cut(size: int, size_bytes: int, count: int) -> None: ...
"""
    names = {name for _, name in without_unit(source)}
    assert names == {"WITHIN", "since", "ends", "timeout", "self.deadline", "size"}
