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
CLOCKS = {"now", "utcnow", "today"}


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


def impurities(file: Path) -> list[str]:
    found = [base for base, _ in imports(file) if base.split(".")[0] in BANNED]
    found += [
        f"{base}.{name}"
        for base, name in imports(file)
        if name and base in PURE_PARTS and name not in PURE_PARTS[base]
    ]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, name = node.value.id, node.attr
            pure = PURE_PARTS.get(module)
            if (pure is not None and name not in pure) or (
                module in ("datetime", "date") and name in CLOCKS
            ):
                found.append(f"{module}.{name}")
    return found


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
