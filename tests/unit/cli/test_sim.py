"""`mezzo sim`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mezzo.cli.commands.sim import command
from mezzo.errors import BadConfig

SMALL = """
name: small
seed: 3
duration_s: 120
cluster:
  agents: light
  groups: [{name: all, count: 2, resources: {cpus: 4, mem: 4096}}]
frameworks:
  - name: batch
    jobs:
      arrivals: {every_s: 20}
      tasks: 2
      shape: {cpus: 1, mem: 128}
      duration_s: {exponential: 10}
faults:
  - {do: crash master, at_s: 60}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def sim(*args: object) -> Result:
    return CliRunner().invoke(command, [str(arg) for arg in args], prog_name="mezzo sim")


def test_a_run_is_told_in_tables(small: Path) -> None:
    result = sim("run", small)
    assert result.exit_code == 0
    assert "small: 2 min in virtual time, 2 agents at the end, seed 3" in result.output
    assert "faults      crash master 1" in result.output
    for words in ("cpus", "FRAMEWORK", "ABANDONED", "RESCINDED", "all of its tasks are launched"):
        assert words in result.output


@pytest.mark.parametrize("flag", [["--json"], ["-o", "json"]])
def test_json_is_the_summary_and_nothing_else(small: Path, flag: list[str]) -> None:
    told = json.loads(sim("run", small, *flag).output)
    assert told["scenario"] == "small"
    assert told["frameworks"][0]["name"] == "batch"
    assert told["frameworks"][0]["jobs"] == 6
    assert set(told["used"]) == {"cpus", "mem"}


def test_the_same_seed_tells_the_same_and_another_one_something_else(small: Path) -> None:
    first = sim("run", small).output
    assert sim("run", small).output == first
    assert sim("run", small, "--seed", 4).output != first


def test_a_plot_is_a_picture(small: Path, tmp_path: Path) -> None:
    picture = tmp_path / "p.svg"
    assert sim("run", small, "--plot", picture).exit_code == 0
    assert picture.read_text().startswith("<svg ")


@pytest.mark.parametrize(
    ("name", "why"), [("p.png", "is no .svg"), ("none/p.svg", "does not exist: create it first")]
)
def test_a_plot_that_cannot_be_is_refused_before_the_run(
    small: Path, tmp_path: Path, name: str, why: str
) -> None:
    result = sim("run", small, "--plot", tmp_path / name)
    assert result.exit_code == 2
    assert why in " ".join(result.output.split())


def test_a_wrong_scenario_is_refused_with_the_place(small: Path) -> None:
    small.write_text(SMALL.replace("tasks: 2", "tusks: 2"))
    result = sim("run", small)
    assert isinstance(result.exception, BadConfig)
    assert "small.yaml: frameworks.0.jobs.tusks: there is no such key" in str(result.exception)


def test_seeds_run_from_the_command_line() -> None:
    result = sim("seeds", "--seed", 1)
    assert result.exit_code == 0
    assert "seed 1 passed" in result.output


def test_batch_waits_behind_a_thinker_unless_both_declare(tmp_path: Path) -> None:
    picture = tmp_path / "omega.svg"
    result = sim("omega", "--hours", 0.5, "--seeds", 1, "--think", 30, "--plot", picture)
    assert result.exit_code == 0
    told = [json.loads(line) for line in result.output.splitlines()]
    assert {line["think_s"] for line in told} == {30}
    assert {line["framework"] for line in told} == {"batch", "service"}
    waits = {
        each["variant"]: each["until_placed_s"] for each in told if each["framework"] == "batch"
    }
    alone = waits.pop("no service framework")
    assert waits["as Mesos: held for ever"] > 1.2 * alone
    assert waits["withdrawn, both declare"] < 1.2 * alone
    drawn = picture.read_text()
    assert all(f">{variant}</text>" in drawn for variant in waits)
