"""Which tests and seeds a random mutant is judged by: all that can find it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from click.testing import CliRunner

from tests.mutation.__main__ import core_modules, draw, main
from tests.mutation.chosen import ROOT
from tests.mutation.chosen import VARIABLE as CHOSEN
from tests.mutation.judge import Verdict
from tests.mutation.points import points
from tests.mutation.probes import VARIABLE as PROBES
from tests.mutation.probes import Record
from tests.mutation.reach import Reach
from tests.mutation.statements import probed, statements

EVERY_KIND = '''\
"""A module."""
from __future__ import annotations

LIMIT = 3


def rule(n: int, most: int = LIMIT) -> list[str]:
    """A rule."""
    said = []
    if n > 5:
        said.append("big")
    elif n < 0 or n == 4:
        said.append("odd one")
    else:
        said.append("small")
    for step in range(n):
        if step == 1:
            continue
        if step == most:
            break
    else:
        said.append("all steps")
    while n > 7:
        n -= 1
    try:
        if n == 2:
            raise ValueError(n)
    except ValueError:
        said.append("refused")
    else:
        said.append("taken")
    finally:
        said.append("end")
    match n:
        case 0 if most:
            said.append("none")
        case 1 | 2:
            said.append("few")

    class Within:
        size = n

        def double(self) -> int:
            return self.size * 2

    if n % 2:
        said.append(str(Within().double()))
    return [word for word in said if (lambda text: text != "end")(word)]
'''


@pytest.mark.parametrize("n", range(-1, 10))
def test_probes_note_the_statements_that_run_and_change_nothing(n: int) -> None:
    lines = statements(EVERY_KIND)
    traced: set[int] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != "<rule>":
            return None
        if event == "line":
            traced.add(frame.f_lineno)
        return trace

    plain: dict[str, Any] = {}
    exec(compile(EVERY_KIND, "<rule>", "exec"), plain)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        says = plain["rule"](n)
    finally:
        sys.settrace(before)

    hits = bytearray(len(lines))
    tree = probed(ast.parse(EVERY_KIND), index={line: index for index, line in enumerate(lines)})
    changed: dict[str, Any] = {"_statements_reached_": hits}
    exec(compile(tree, "<probed>", "exec"), changed)
    assert changed["rule"](n) == says
    assert changed["rule"].__doc__ == "A rule."
    reached = {line for line, hit in zip(lines, hits, strict=True) if hit}
    assert reached == traced & set(lines)


def test_a_point_belongs_to_the_innermost_statement_around_it() -> None:
    found = {(point.before, point.after): point.statement for point in points(EVERY_KIND)}
    assert found["3", "4"] == 0  # a constant of the module
    assert found["n == 4", "n != 4"] == 12  # of the elif
    assert found["n > 5", "n >= 5"] == 10
    assert found["raise ValueError(n)", "nothing"] == 27


def test_a_statement_of_many_lines_is_where_it_begins() -> None:
    source = "def f(a):\n    return (\n        1\n        + a\n    )\n"
    assert [point.statement for point in points(source)] == [2] == statements(source)


def test_a_default_is_executed_where_its_function_is_made() -> None:
    (outer, inner) = points("def f(a=1):\n    x = f\n    def g(b=2): return b\n")
    assert (outer.statement, inner.statement) == (0, 3)


def test_every_point_of_the_cores_is_outside_of_functions_or_at_a_probe() -> None:
    for path in core_modules().values():
        source = path.read_text()
        probes = {0, *statements(source)}
        assert [p.text for p in points(source) if p.statement not in probes] == []


def test_who_can_find_a_mutant() -> None:
    record: Record = {
        "places": [("m", 1), ("m", 2), ("m", 3), ("n", 1)],
        "always": [1],
        "runs": {
            "tests/unit/kernel/test_a.py::a": [0],
            "tests/unit/master/test_b.py::b": [0, 2, 3],
            "tests/unit/master/test_b.py::c": [0, 3],
            "tests/unit/master/test_b.py::fails": [0, 1, 2, 3],
        },
        "failed": ["tests/unit/master/test_b.py::fails"],
    }
    a, b, c, _ = record["runs"]
    reach = Reach.of(record)
    assert reach.reaching("m", 1) == [a, b, c]
    assert reach.reaching("m", 3) == [b]
    assert reach.reaching("n", 1) == [b, c]
    assert reach.reaching("m", 2) == [a, b, c]  # executed outside of all runs
    assert reach.reaching("m", 0) == [a, b, c]  # executed by the import
    assert reach.specific_first([a, b, c], "master") == [c, b, a]


RULES = """\
from functools import cache

@cache
def doubled(n):
    return n * 2

def tripled(n):
    return n * 3

def squared(n):
    return n * n

def child(n):
    return n
"""
TESTS = """\
import os
import pytest
from mezzo_rules import child, doubled, squared, tripled

doubled.__wrapped__.__module__ = doubled.__module__ = "mezzo.rules"

@pytest.fixture(scope="module")
def shared():
    return squared(3)

def test_first():
    assert doubled(1) == 2

def test_from_the_cache():
    assert doubled(1) == 2

def test_shared(shared):
    assert shared == 9

def test_fails():
    assert tripled(1) == 4

def test_forks():
    pid = os.fork()
    if pid == 0:
        child(1)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def _pytest(folder: Path, *args: str, **variables: str) -> str:
    (folder / "mezzo_rules.py").write_text(RULES)
    (folder / "test_rules.py").write_text(TESTS)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


def test_a_run_of_the_tests_tells_what_each_executes(tmp_path: Path) -> None:
    save = tmp_path / "record.json"
    asked = {"modules": {"mezzo_rules": str(tmp_path / "mezzo_rules.py")}, "save": str(save)}
    said = _pytest(tmp_path, "-p", "tests.mutation.probes", **{PROBES: json.dumps(asked)})
    assert "1 failed, 4 passed" in said
    record: Record = json.loads(save.read_text())
    lines = [line for _, line in record["places"]]
    reached = {
        name.partition("::")[2]: {lines[index] for index in indices}
        for name, indices in record["runs"].items()
    }
    assert reached == {
        "test_first": {5},
        "test_from_the_cache": {5},  # alone it would have had to find it
        "test_shared": set(),
        "test_fails": {8},
        "test_forks": {14},
    }
    assert [lines[index] for index in record["always"]] == [11]  # the fixture that some share
    assert record["failed"] == ["test_rules.py::test_fails"]


def test_chosen_tests_run_in_the_order_of_their_choice(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    chosen.write_text("test_rules.py::test_shared\ntest_rules.py::test_first")
    said = _pytest(tmp_path, "-vv", "-p", "tests.mutation.chosen", **{CHOSEN: str(chosen)})
    ran = [line.split()[0] for line in said.splitlines() if line.startswith("test_rules.py::")]
    assert ran == chosen.read_text().splitlines()


def test_what_is_saved_is_not_judged_again(tmp_path: Path) -> None:
    save = tmp_path / "verdicts"
    found = Verdict("FAILED test_x", None, "", tests_reaching=3, seeds_reaching=0)
    survivor = Verdict(None, None, "", tests_reaching=0, seeds_reaching=0)
    lines = [
        {"index": index, "mutant": mutant.text} | asdict(verdict)
        for index, (mutant, verdict) in enumerate(
            zip(draw(2, "a seed"), [found, survivor], strict=True)
        )
    ]
    save.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = CliRunner().invoke(main, ["-n", "2", "--seed", "a seed", "--save", str(save)])
    assert said.exit_code == 0, said.output
    assert json.loads(said.output) == {
        "bench": "random mutants",
        "drawn": 2,
        "seed": "a seed",
        "found": 0.5,
        "by_tests": 0.5,
        "by_simulator": 0.0,
    }
