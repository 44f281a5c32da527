"""Where a module can be changed, and how: every place gives one mutant.

    drop      a statement is left out: a call, a change of state, a raise, an early return
    negate    a condition is turned round
    cut       one side of `and` / `or`, or the filter of a comprehension, is left out
    compare   a comparison is moved: < to <=, == to !=, in to not in, ...
    constant  a number is moved by one, a truth is turned round
    choice    `min` and `max` give their first argument

Asserts stay as they are: who leaves one out changes nothing that works.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, Final, TypeVar

N = TypeVar("N", bound=ast.AST)


@dataclass(frozen=True, slots=True)
class Point:
    """One possible change. `number` finds it again in the same source."""

    number: int
    kind: str
    line: int
    function: str  # qualified, empty outside of all
    before: str
    after: str
    # The line of the innermost statement that it is in: unless that one is executed, nothing is
    # changed. 0: it is executed when the module is imported.
    statement: int

    @property
    def text(self) -> str:
        where = f"{self.function or 'module'}:{self.line}"
        return f"{where} {self.kind}: {self.before} -> {self.after}"


def points(source: str) -> list[Point]:
    """All of a module's, in the order of its source."""
    walker = _Walker(None)
    walker.visit(ast.parse(source))
    return walker.found


def mutated(source: str, number: int) -> ast.Module:
    """The module with that one change. Raises IndexError if there is none of the number."""
    tree = ast.parse(source)
    walker = _Walker(number)
    changed = walker.visit(tree)
    if number >= len(walker.found):
        raise IndexError(f"there are {len(walker.found)} points, none of the number {number}")
    assert isinstance(changed, ast.Module)
    return ast.fix_missing_locations(changed)


_COMPARE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_SHOWN_MAX: Final = 60


class _Walker(ast.NodeTransformer):
    """Numbers all points; makes the change of one of them, if it is given."""

    def __init__(self, wanted: int | None) -> None:
        self.found: list[Point] = []
        self._wanted = wanted
        self._scope: list[str] = []
        self._functions = 0  # how many the walk is in
        self._statement = 0

    def visit(self, node: ast.AST) -> Any:
        if not isinstance(node, ast.stmt):
            return super().visit(node)
        outer = self._statement
        self._statement = node.lineno if self._functions else 0
        changed = super().visit(node)
        self._statement = outer
        return changed

    def _offer(self, kind: str, old: ast.AST, new: ast.AST | None, after: str = "") -> bool:
        """Note a point; True if it is the one that is wanted."""
        number = len(self.found)
        after = after or ("nothing" if new is None else _shown(new))
        line = getattr(old, "lineno", 0)
        function = ".".join(self._scope)
        self.found.append(Point(number, kind, line, function, _shown(old), after, self._statement))
        return number == self._wanted

    # ---- what is left alone

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        # A type is no value.
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        node.defaults = [self.visit(default) for default in node.defaults]
        node.kw_defaults = [
            None if default is None else self.visit(default) for default in node.kw_defaults
        ]
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node
        return self._conditional(node)

    # ---- scopes

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._inside(node, node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list, decorators = [], node.decorator_list
        node.returns, returns = None, node.returns
        self._functions += 1
        changed = self._inside(node, node.name)
        self._functions -= 1
        node.decorator_list, node.returns = decorators, returns
        return changed

    def _inside(self, node: N, name: str) -> N:
        self._scope.append(name)
        self.generic_visit(node)
        self._scope.pop()
        return node

    # ---- statements

    def _droppable(self, node: ast.stmt, *, why_not: bool = False) -> ast.AST:
        if not why_not and self._offer("drop", node, None):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return self._droppable(node, why_not=not isinstance(node.value, ast.Call))

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return self._droppable(node)

    def visit_Delete(self, node: ast.Delete) -> ast.AST:
        return self._droppable(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        return self._droppable(node)

    def visit_Continue(self, node: ast.Continue) -> ast.AST:
        return self._droppable(node)

    def visit_Break(self, node: ast.Break) -> ast.AST:
        return self._droppable(node)

    def visit_Return(self, node: ast.Return) -> ast.AST:
        return self._droppable(node, why_not=node.value is not None)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        # Who leaves out a name's first value makes a NameError; who leaves out a change of state
        # makes a bug.
        state = all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
        return self._droppable(node, why_not=not state)

    # ---- conditions

    def visit_While(self, node: ast.While) -> ast.AST:
        return self._conditional(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self._conditional(node)

    def _conditional(self, node: ast.If | ast.While | ast.IfExp) -> ast.AST:
        negated = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
        # A single comparison turned round is the mutant of the comparison.
        if not isinstance(node.test, ast.Compare) and self._offer("negate", node.test, negated):
            node.test = negated
            return node
        return self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        for index, value in enumerate(node.values):
            rest = [other for other in node.values if other is not value]
            left = rest[0] if len(rest) == 1 else ast.copy_location(ast.BoolOp(node.op, rest), node)
            if self._offer("cut", node, left):
                del node.values[index]
                return left
        return self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        for index, test in enumerate(node.ifs):
            if self._offer("cut", test, None):
                del node.ifs[index]
                return node
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if len(node.ops) == 1:
            other = _COMPARE[type(node.ops[0])]()
            moved = ast.copy_location(ast.Compare(node.left, [other], node.comparators), node)
            if self._offer("compare", node, moved):
                return moved
        return self.generic_visit(node)

    # ---- values

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        value = node.value
        if isinstance(value, bool):
            new: int | float = not value
        elif isinstance(value, int | float):
            new = value + 1
        else:
            return node
        changed = ast.copy_location(ast.Constant(new), node)
        return changed if self._offer("constant", node, changed) else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if (
            isinstance(node.func, ast.Name)
            and node.func.id in ("min", "max")
            and len(node.args) > 1
            and self._offer("choice", node, node.args[0])
        ):
            return node.args[0]
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        # `pair[0]` to `pair[1]` is an error of its own kind, and most often one of types.
        node.value = self.visit(node.value)
        if not isinstance(node.slice, ast.Constant):
            node.slice = self.visit(node.slice)
        return node


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"
