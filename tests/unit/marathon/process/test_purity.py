"""The core is pure: it can be stepped anywhere, and a run is a function of its events."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mezzo.marathon.core

FOLDER = Path(mezzo.marathon.core.__file__).parent
# Shells and adapters: the other rooms belong to the core. Shortening what is pure is a decision
# about the design.
IMPURE = {"process", "api", "health/probe.py"}
BANNED = {"asyncio", "docker", "flask", "google", "grpc", "kazoo", "threading", "time", "socket"}


def pure_files() -> list[Path]:
    names = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.py"))
    return [FOLDER / name for name in names if not {name, name.split("/")[0]} & IMPURE]


@pytest.mark.parametrize("path", pure_files(), ids=lambda p: str(p.relative_to(FOLDER)))
def test_a_file_of_the_core_imports_nothing_impure(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in names} & BANNED


def test_importing_the_core_loads_no_adapter() -> None:
    script = (
        "import sys, mezzo.marathon.core; "
        "print(sorted({'flask', 'grpc', 'google.protobuf', 'kazoo', 'docker', 'pydantic', "
        "'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
