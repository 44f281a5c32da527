"""Scenario files: what is wrong is told with its place, and what is right gives the same jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.errors import BadConfig
from mezzo.sim.scenario.jobs import draw_jobs
from mezzo.sim.scenario.scenario_file import Scenario, check, load

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "scenarios").glob("*.yaml"))


def plain(**changes: Any) -> dict[str, Any]:
    """A small scenario, as a file would have it."""
    return {
        "name": "small",
        "duration_s": 600,
        "cluster": {"groups": [{"name": "all", "count": 2, "resources": {"cpus": 4, "mem": 4096}}]},
        "frameworks": [framework("batch")],
    } | changes


def framework(name: str, **jobs: Any) -> dict[str, Any]:
    return {
        "name": name,
        "jobs": {
            "arrivals": {"poisson_s": 10},
            "tasks": {"uniform": [1, 5]},
            "shape": {"cpus": 1, "mem": 128},
            "duration_s": {"exponential": 20},
        }
        | jobs,
    }


def made(**changes: Any) -> Scenario:
    return check(plain(**changes), "here", Path())


def refusal(**changes: Any) -> str:
    with pytest.raises(BadConfig) as caught:
        made(**changes)
    return str(caught.value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_right(path: Path) -> None:
    assert load(path).frameworks


# ------------------------------------------------------------------------- what is wrong


def test_a_key_that_does_not_exist_is_named_with_its_place() -> None:
    assert refusal(cluster={"groups": [], "agent": "light"}).startswith("here: cluster")
    wrong = framework("batch") | {"roll": "x"}
    assert "frameworks.0.roll: there is no such key: remove it" in refusal(frameworks=[wrong])


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = refusal(duration_s=-1, frameworks=[])
    assert "duration_s: " in text
    assert "found -1" in text
    assert "frameworks: " in text


def test_a_missing_key_is_named() -> None:
    assert "cluster.groups: is missing: give it" in refusal(cluster={})


def test_jobs_come_in_one_way_only() -> None:
    both = framework("batch", arrivals={"poisson_s": 10, "every_s": 5})
    text = refusal(frameworks=[both])
    assert "give exactly one of poisson_s, every_s, at_s, trace" in text
    assert "given: poisson_s and every_s" in text


def test_a_fault_comes_once_or_again_and_again() -> None:
    assert "exactly one of at_s, every_s (given: none)" in refusal(faults=[{"do": "stop store"}])


def test_a_fault_names_a_group_that_exists() -> None:
    fault = {"do": "lose agents", "at_s": 1, "group": "none"}
    assert "a fault names group 'none': there are ['all']" in refusal(faults=[fault])


def test_a_role_without_a_framework_is_refused() -> None:
    assert "roles names 'bach'" in refusal(roles={"bach": {"weight": 2}})


def test_two_frameworks_have_two_names() -> None:
    text = refusal(frameworks=[framework("batch"), framework("batch")])
    assert "two frameworks are called 'batch'" in text


def test_a_resource_that_no_agent_has_a_word_for_is_refused() -> None:
    wrong = framework("batch", shape={"cores": 1})
    assert "frameworks.0.jobs.shape.cores" in refusal(frameworks=[wrong])


def test_a_range_goes_up() -> None:
    wrong = framework("batch", tasks={"uniform": [5, 1]})
    assert "from the smaller to the larger" in refusal(frameworks=[wrong])


@pytest.mark.parametrize(
    ("text", "why"),
    [("a: [", "is no YAML"), ("just words", "a scenario is a mapping"), ("", "is a mapping")],
)
def test_a_file_that_is_no_scenario_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(BadConfig, match=why):
        load(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot read the scenario"):
        load(tmp_path / "none.yaml")


# ------------------------------------------------------------------------- traces


def traced(folder: Path) -> Scenario:
    return check(plain(frameworks=[framework("b", arrivals={"trace": "t.csv"})]), "here", folder)


def test_a_trace_says_when_jobs_come_and_how_large_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("at_s,tasks,duration_s\n30,2,5.5\n10,1,7\n700,1,1\n")
    scenario = traced(tmp_path)
    jobs = draw_jobs(scenario, scenario.frameworks[0])
    assert [(job.at_s, job.durations_s) for job in jobs] == [(10, (7,)), (30, (5.5, 5.5))]


def test_a_wrong_line_of_a_trace_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("at_s,tasks,duration_s\n30,2,5\n10,none,7\n")
    with pytest.raises(BadConfig, match=r"t\.csv line 3: tasks: .* found 'none'"):
        traced(tmp_path)


def test_a_trace_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot read the trace"):
        traced(tmp_path)


# ------------------------------------------------------------------------- draws


@given(seed=st.integers(0, 10_000), gap_s=st.floats(1, 300), tasks=st.floats(0.1, 50))
def test_jobs_come_in_order_before_the_end_and_have_tasks(
    seed: int, gap_s: float, tasks: float
) -> None:
    batch = framework("b", arrivals={"poisson_s": gap_s}, tasks={"exponential": tasks})
    scenario = made(seed=seed, frameworks=[batch])
    jobs = draw_jobs(scenario, scenario.frameworks[0])
    moments = [job.at_s for job in jobs]
    assert moments == sorted(moments)
    assert all(0 <= at_s < scenario.duration_s for at_s in moments)
    assert all(job.size >= 1 for job in jobs)
    assert [job.at_s for job in draw_jobs(scenario, scenario.frameworks[0])] == moments


def test_jobs_do_not_depend_on_who_else_is_there() -> None:
    alone = made(frameworks=[framework("b")])
    beside = made(frameworks=[framework("a"), framework("b")])
    sizes = [[job.size for job in draw_jobs(s, s.frameworks[-1])] for s in (alone, beside)]
    assert sizes[0] == sizes[1]


def test_jobs_come_between_their_first_and_last_moment() -> None:
    batch = framework("b", arrivals={"every_s": 100, "from_s": 50, "until_s": 300})
    scenario = made(frameworks=[batch])
    assert [job.at_s for job in draw_jobs(scenario, scenario.frameworks[0])] == [50, 150, 250]


def test_a_number_is_drawn_as_it_is() -> None:
    scenario = made(frameworks=[framework("b", tasks=3, duration_s=None)])
    jobs = draw_jobs(scenario, scenario.frameworks[0])
    assert {job.durations_s for job in jobs} == {(None, None, None)}


@pytest.mark.parametrize(
    ("draw", "low", "high"),
    [
        ({"choice": [2, 4]}, 2, 4),
        ({"uniform": [3, 6]}, 3, 6),
        ({"lognormal": {"median": 8, "sigma": 0.01}}, 7, 9),
    ],
)
def test_a_draw_keeps_to_its_range(draw: dict[str, Any], low: float, high: float) -> None:
    scenario = made(frameworks=[framework("b", tasks=draw)])
    sizes = {job.size for job in draw_jobs(scenario, scenario.frameworks[0])}
    assert sizes
    assert low <= min(sizes) <= max(sizes) <= high
