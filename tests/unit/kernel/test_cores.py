"""Cores are pure, and so is everything that they are made of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CORES = [
    "mezzo.core",
    "mezzo.cluster.model",
    "mezzo.ids",
    "master.core",
    "agent.core",
    "marathon.core",
]

# Shortening this list is a design decision: write the decision record first.
BANNED = {
    *("asyncio", "concurrent", "multiprocessing", "queue", "selectors", "threading"),
    *(
        "io",
        "os",
        "pathlib",
        "secrets",
        "shutil",
        "socket",
        "subprocess",
        "sys",
        "tempfile",
        "time",
    ),
    *("docker", "flask", "google", "grpc", "kazoo", "psutil", "structlog"),
}
# Of these, names that need no outside world.
PURE_PARTS = {"random": {"Random"}, "uuid": {"UUID"}, "signal": {"Signals"}}
CLOCKS = {
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"),
    "datetime.date.today",
}


def file_of(module: str) -> Path | None:
    """The source of one of our modules, named without `mezzo.` for the mapped folders."""
    path = ROOT.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            return file
    return None


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """(module, name) for what a file imports; our modules by their path from the root."""
    package = ".".join(file.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*parents, *filter(None, [node.module])]) if node.level else node.module
            yield from ((base or "", alias.name) for alias in node.names)


def ours(module: str) -> str:
    """`mezzo.master.core` is the file master/core.py, `mezzo.ids` is mezzo/ids.py."""
    short = module.removeprefix("mezzo.")
    return module if file_of(module) is not None else short


def reachable(start: str) -> dict[str, Path]:
    """All of our modules that importing `start` imports."""
    found: dict[str, Path] = {}
    waiting = [start]
    while waiting:
        module = waiting.pop()
        file = file_of(module)
        if module in found or file is None:
            continue
        found[module] = file
        for base, name in imports(file):
            waiting += [ours(base), ours(f"{base}.{name}")]
    return found


def bindings(tree: ast.Module) -> dict[str, str]:
    """What the names that a file imports stand for, in full: a module, or what is in one."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                bound[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            bound |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    return bound


def full_name(node: ast.expr, bound: dict[str, str]) -> str | None:
    """Of a name that is imported, or of what is in that; None: it is something of the file's."""
    if isinstance(node, ast.Name):
        return bound.get(node.id)
    if isinstance(node, ast.Attribute) and (base := full_name(node.value, bound)):
        return f"{base}.{node.attr}"
    return None


def impure_uses(tree: ast.Module) -> list[str]:
    """Clocks, and of modules that are pure in part the other parts."""
    bound = bindings(tree)
    names = [full_name(node, bound) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = [name for name in (*names, *bound.values()) if name]
    return [name for name in used if name in CLOCKS or not _is_pure(*name.rpartition("."))]


def _is_pure(module: str, _: str, name: str) -> bool:
    return name in PURE_PARTS.get(module, {name})


def impurities(file: Path) -> list[str]:
    found = [base for base, _ in imports(file) if base.split(".")[0] in BANNED]
    return found + impure_uses(ast.parse(file.read_text()))


@pytest.mark.parametrize("core", CORES)
def test_cores_do_no_io(core: str) -> None:
    modules = reachable(core)
    assert core in modules
    impure = {module: impurities(file) for module, file in modules.items()}
    assert {module: names for module, names in impure.items() if names} == {}


def test_a_core_is_followed_into_everything_it_imports() -> None:
    modules = reachable("master.core")
    assert {"master.allocator.filters", "master.tasks", "mezzo.cluster.resources"} <= set(modules)
    assert "mezzo.messages.agent" in modules


def test_impurity_is_noticed() -> None:
    assert set(impurities(ROOT / "mezzo" / "process" / "daemon.py")) >= {"asyncio", "time"}
    assert "random.uniform" in impurities(ROOT / "mezzo" / "wire" / "link.py")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import uuid\nx = uuid.uuid4()", ["uuid.uuid4"]),
        ("import uuid as u\nx = u.uuid4()", ["uuid.uuid4"]),
        ("from uuid import uuid4", ["uuid.uuid4"]),
        ("from uuid import UUID\ndef f(uuid): return uuid.hex", []),
        ("import uuid\nx = uuid.UUID(int=1).hex", []),
        ("import random\nx = random.Random(1).random()", []),
        ("import datetime\nx = datetime.datetime.now()", ["datetime.datetime.now"]),
        ("from datetime import datetime as d\nx = d.now()", ["datetime.datetime.now"]),
        ("def f(date): return date.today", []),
    ],
)
def test_a_name_is_judged_by_what_it_was_imported_from(source: str, found: list[str]) -> None:
    assert impure_uses(ast.parse(source)) == found
