"""Bugs that were planted into the real code are found by the simulator.

mutants.json tells which seed has found each; `python -m mezzo.sim.mutants --save FILE` renews it.
Those that take many seeds are left to that command: a change anywhere gives every seed another run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from mezzo.agent.state import AgentState
from mezzo.sim.mutants import ALL, Mutant, hunt
from mezzo.sim.mutants.__main__ import main

FOUND_BY: Final[dict[str, int | None]] = json.loads(
    Path(__file__).with_name("mutants.json").read_text()
)
OFTEN: Final = 10  # found within so many seeds
MORE: Final = range(1, 121)  # tried if the seed of before does not find it any more


def test_it_is_known_of_every_planted_bug_which_seed_has_found_it() -> None:
    assert sorted(FOUND_BY) == sorted(ALL)
    assert [name for name, seed in FOUND_BY.items() if seed is None] == []


@pytest.mark.parametrize(
    "name", [name for name, seed in FOUND_BY.items() if seed is not None and seed <= OFTEN]
)
def test_a_planted_bug_is_found(name: str) -> None:
    known = FOUND_BY[name]
    assert known is not None
    find = hunt(ALL[name], [known, *MORE])
    assert find.seed is not None, f"{name} survived {find.tried} seeds"


def test_a_planted_bug_is_gone_after_the_hunt() -> None:
    before = AgentState.has_ended
    with ALL["an agent forgets what has ended"].planted():
        assert AgentState.has_ended is not before
    assert AgentState.has_ended is before


def test_a_mutant_whose_code_has_moved_says_so() -> None:
    lost = Mutant("lost", "agent", AgentState, "no_such_method", lambda original: original)
    says = r"'lost': AgentState has no no_such_method"
    with pytest.raises(AttributeError, match=says), lost.planted():
        pass


def test_the_score_is_one_line_of_json() -> None:
    name = "what was declined is lost"
    result = CliRunner().invoke(main, ["--only", name, "--seeds", "3", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    line, score = result.output.strip().splitlines()
    assert name in line
    assert json.loads(score)["share"] == 1.0
