"""Bugs that were planted into the real code are found by the simulator.

mutants.json tells which seed has found each; `python -m mezzo.sim.mutants --save FILE` renews it.
Those that take many seeds are left to that command: a change anywhere gives every seed another run.
Of the others `make test` plants some, others each time: its DRAW says which.
"""

from __future__ import annotations

import inspect
import json
import random
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from mezzo.agent.state.checkpoint import Checkpoint
from mezzo.sim.mutants.__main__ import main
from mezzo.sim.mutants.catalogue import ALL
from mezzo.sim.mutants.hunt import NoBug, hunt
from mezzo.sim.mutants.mutant import Mutant

FOUND_BY: Final[dict[str, int | None]] = json.loads(
    Path(__file__).with_name("mutants.json").read_text()
)
OFTEN: Final = 10  # found within so many seeds
DRAWN: Final = 80  # of them, at each run of all tests: each takes seconds
MORE: Final = range(1, 121)  # tried if the seed of before does not find it any more


def test_it_is_known_of_every_planted_bug_which_seed_has_found_it() -> None:
    assert sorted(FOUND_BY) == sorted(ALL)
    assert [name for name, seed in FOUND_BY.items() if seed is None] == []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All; where what is random is drawn by a number, as in `make test`, some that it draws."""
    if "planted" in metafunc.fixturenames:
        often = [name for name, seed in FOUND_BY.items() if seed is not None and seed <= OFTEN]
        draw = metafunc.config.getoption("--hypothesis-seed")
        if draw is not None:
            often = sorted(random.Random(str(draw)).sample(often, DRAWN))
        metafunc.parametrize("planted", often)


def test_a_planted_bug_is_found(planted: str) -> None:
    known = FOUND_BY[planted]
    assert known is not None
    find = hunt(ALL[planted], [known, *MORE])
    assert find.seed is not None, f"{planted} survived {find.tried} seeds"


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_bug_can_still_be_planted_where_the_code_is_now(name: str) -> None:
    with ALL[name].planted():
        pass


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_planted_bug_is_called_as_what_it_replaces(name: str) -> None:
    mutant = ALL[name]
    original = getattr(mutant.owner, mutant.attribute)
    made = mutant.make(original)
    if not (inspect.isfunction(original) and inspect.isfunction(made)):
        return
    given = inspect.signature(original).parameters.values()
    names = [each.name for each in given if each.kind is each.KEYWORD_ONLY]
    places = [None for each in given if each.kind is each.POSITIONAL_OR_KEYWORD]
    inspect.signature(made).bind(*places, **dict.fromkeys(names))


def test_a_planted_bug_is_gone_after_the_hunt() -> None:
    before = Checkpoint.has_ended
    with ALL["an agent forgets what has ended"].planted():
        assert Checkpoint.has_ended is not before
    assert Checkpoint.has_ended is before


def test_a_mutant_whose_code_has_moved_says_so() -> None:
    lost = Mutant("lost", "agent", Checkpoint, "no_such_method", lambda original: original)
    says = r"'lost': Checkpoint has no no_such_method"
    with pytest.raises(AttributeError, match=says), lost.planted():
        pass


def test_what_only_crashes_itself_is_no_bug() -> None:
    def called_another_way(original: object) -> object:
        return lambda self: None

    stale = Mutant("stale", "agent", Checkpoint, "has_ended", called_another_way)
    with pytest.raises(NoBug, match=r"'stale' does nothing but crash itself: TypeError"):
        hunt(stale, range(1, 20))


def test_the_score_is_one_line_of_json() -> None:
    name = "what was declined is lost"
    result = CliRunner().invoke(main, ["--only", name, "--seeds", "3", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    line, score = result.output.strip().splitlines()
    assert name in line
    assert json.loads(score)["share"] == 1.0
