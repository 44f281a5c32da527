"""Scenarios on real masters: what frameworks get, what faults do, what a thinker does to others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mezzo.errors import BadConfig
from mezzo.sim.scenario.report import Summary, plot, summarise
from mezzo.sim.scenario.run import Run, Sample, run
from mezzo.sim.scenario.scenario_file import Scenario, check


def scenario(*frameworks: dict[str, Any], **changes: Any) -> Scenario:
    """Four machines of 4 cpus for five minutes."""
    plain = {
        "name": "small",
        "duration_s": 300,
        "cluster": cluster(),
        "frameworks": frameworks,
    }
    return check(plain | changes, "here", Path())


def cluster(agents: str = "light", masters: int = 1, **group: Any) -> dict[str, Any]:
    alike = {"name": "all", "count": 4, "resources": {"cpus": 4, "mem": 4096}} | group
    return {"agents": agents, "masters": masters, "groups": [alike]}


def framework(
    name: str,
    *,
    at_s: tuple[float, ...] = (5,),
    tasks: int = 4,
    duration_s: float | None = 10,
    **more: Any,
) -> dict[str, Any]:
    jobs = {
        "arrivals": {"at_s": at_s},
        "tasks": tasks,
        "shape": {"cpus": 1, "mem": 128},
        "duration_s": duration_s,
    }
    return {"name": name, "jobs": jobs} | more


def summary(*frameworks: dict[str, Any], **changes: Any) -> Summary:
    return summarise(run(scenario(*frameworks, **changes)))


# ------------------------------------------------------------------------- the plain course


@pytest.mark.parametrize("agents", ["real", "light"])
@pytest.mark.parametrize("declares", [False, True])
def test_jobs_that_fit_are_done(agents: str, declares: bool) -> None:
    batch = framework("batch", at_s=(5, 20, 20, 60), declares=declares)
    result = summary(batch, cluster=cluster(agents)).frameworks[0]
    assert (result.jobs, result.placed, result.done, result.abandoned) == (4, 4, 4, 0)
    assert (result.tasks, result.tasks_lost) == (16, 0)


def test_who_declares_is_offered_no_more_than_it_uses() -> None:
    result = summary(framework("batch", at_s=(5, 50), declares=True)).frameworks[0]
    assert result.offers == result.used
    assert result.declined == 0


@pytest.mark.parametrize("agents", ["real", "light"])
def test_a_scenario_runs_the_same_in_every_process(agents: str) -> None:
    code = (
        "from tests.unit.sim.test_scenario_run import *\n"
        "two = framework('a', at_s=(5, 9)), framework('b')\n"
        f"small = scenario(*two, cluster=cluster({agents!r}))\n"
        "done = run(small)\n"
        "print(summarise(done), plot(done))"
    )
    told = []
    for hash_seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(ran.stdout)
    assert told[0] == told[1]
    assert "frameworks=" in told[0]


def test_what_is_used_and_offered_never_exceeds_the_cluster() -> None:
    many = framework("many", at_s=tuple(range(5, 60, 5)), tasks=6, duration_s=30)
    done = run(scenario(many, framework("more", tasks=30), sample_s=1))
    for sample in done.samples:
        for name in ("cpus", "mem"):
            assert sample.used.get(name, 0) + sample.offered.get(name, 0) <= 1 + 1e-9
    assert max(sample.used.get("cpus", 0) for sample in done.samples) == 1


def test_a_job_that_finds_no_room_waits_for_it() -> None:
    result = summary(framework("batch", at_s=(5, 6), tasks=16, duration_s=60)).frameworks[0]
    assert result.done == 2
    assert result.until_placed.p99_s is not None
    assert result.until_placed.p99_s > 55


def test_a_job_that_never_fits_is_given_up() -> None:
    runs_on = framework("first", tasks=16, duration_s=None)
    hopeless = framework("second", at_s=(30,), give_up={"without_a_task": 3})
    hopeless["jobs"]["shape"] = {"cpus": 3, "mem": 128}
    # One cpu is left on each machine: there are offers, but none is large enough.
    runs_on["jobs"]["tasks"] = 8
    runs_on["jobs"]["shape"] = {"cpus": 2, "mem": 128}
    small = scenario(runs_on, hopeless, cluster=cluster(resources={"cpus": 5, "mem": 4096}))
    result = summarise(run(small)).frameworks[1]
    assert (result.abandoned, result.placed, result.tasks) == (1, 0, 0)


def endless(name: str, **more: Any) -> dict[str, Any]:
    """More than there is, in short tasks."""
    return framework(name, tasks=400, declares=True, **more)


def shares(done: Run) -> dict[str, float]:
    """Mean dominant shares in the second half of a run."""
    half = [sample for sample in done.samples if sample.at_s > done.scenario.duration_s / 2]
    return {name: sum(s.share[name] for s in half) / len(half) for name in half[0].share}


def test_what_was_used_is_told_also_if_all_agents_are_away_at_the_end() -> None:
    done = run(scenario(endless("a")))
    last = done.samples[-1]
    done.samples.append(Sample(last.at_s + 1, 0, {}, {}, last.share, last.held, last.waiting))
    assert summarise(done).used_most == {"cpus": 1.0, "mem": 0.125}
    assert "cpus" in plot(done)


def test_weights_divide_the_cluster() -> None:
    done = run(scenario(endless("a"), endless("b"), roles={"a": {"weight": 3}}))
    got = shares(done)
    assert got["a"] == pytest.approx(0.75, abs=0.05)
    assert got["b"] == pytest.approx(0.25, abs=0.05)
    fairness = summarise(done).fairness
    assert fairness.jain_mean is not None
    assert fairness.jain_mean > 0.95


def test_a_limit_holds_also_while_nobody_else_wants_the_rest() -> None:
    done = run(scenario(endless("a"), roles={"a": {"limit": {"cpus": 5}}}, sample_s=1))
    assert max(sample.share["a"] for sample in done.samples) == pytest.approx(5 / 16)


def test_roles_that_the_masters_refuse_are_an_error_of_the_scenario() -> None:
    deep = framework("a", role="a/b")
    with pytest.raises(BadConfig, match=r"the masters refuse the roles of the scenario: .*a/b"):
        run(scenario(deep, roles={"a/b": {"limit": {"cpus": 5}}}))


# ------------------------------------------------------------------------- agents come and go


def test_agents_that_join_later_are_used_from_then_on() -> None:
    done = run(scenario(framework("batch", tasks=2), cluster=cluster(join_s=100), sample_s=1))
    agents = {sample.at_s: sample.agents for sample in done.samples}
    assert (agents[99], agents[150]) == (0, 4)
    job = done.frameworks[0].jobs[0]
    assert job.placed_s is not None
    assert 100 < job.placed_s < 102


@pytest.mark.parametrize("agents", ["real", "light"])
def test_tasks_of_agents_that_leave_run_again_elsewhere(agents: str) -> None:
    groups = [
        {"name": "stay", "count": 4, "resources": {"cpus": 4, "mem": 4096}},
        {"name": "go", "count": 4, "resources": {"cpus": 4, "mem": 4096}, "leave_s": 50},
    ]
    batch = framework("batch", tasks=16, duration_s=None)
    plan = {"agents": agents, "groups": groups}
    done = run(scenario(batch, cluster=plan))
    tally = done.frameworks[0].tally
    assert tally.lost > 0
    assert tally.launched == 16 + tally.lost
    assert done.samples[-1].used["cpus"] == 1
    assert done.samples[-1].agents == 4


# ------------------------------------------------------------------------- faults


@pytest.mark.parametrize("agents", ["real", "light"])
def test_tasks_survive_the_crash_of_the_leading_master(agents: str) -> None:
    batch = framework("batch", at_s=(5, 70, 120), tasks=3, duration_s=100)
    crash = {"do": "crash master", "at_s": 60, "for_s": 20}
    plan = cluster(agents, masters=3)
    result = summary(batch, cluster=plan, faults=[crash])
    assert result.faults == {"crash master": 1}
    assert (result.frameworks[0].done, result.frameworks[0].tasks_lost) == (3, 0)


@pytest.mark.parametrize("agents", ["real", "light"])
def test_tasks_of_machines_that_lose_power_run_again(agents: str) -> None:
    batch = framework("batch", tasks=16, duration_s=100)
    loss = {"do": "lose agents", "at_s": 50, "count": 2, "for_s": 30}
    result = summary(batch, cluster=cluster(agents), faults=[loss]).frameworks[0]
    assert result.tasks_lost > 0
    assert result.done == 1


@pytest.mark.parametrize("agents", ["real", "light"])
def test_a_short_partition_ends_no_task(agents: str) -> None:
    batch = framework("batch", tasks=8, duration_s=150)
    apart = {"do": "partition agents", "at_s": 50, "count": 4, "for_s": 30}
    result = summary(batch, cluster=cluster(agents), faults=[apart]).frameworks[0]
    assert (result.done, result.tasks_lost) == (1, 0)


def test_jobs_go_on_while_the_store_does_not_answer() -> None:
    batch = framework("batch", at_s=(60,), duration_s=10)
    outage = {"do": "stop store", "at_s": 50, "for_s": 200}
    result = summary(batch, faults=[outage]).frameworks[0]
    assert result.done == 1


def test_faults_come_again_and_again() -> None:
    batch = framework("batch", tasks=8, duration_s=150)
    faults = [
        {"do": "lose agents", "every_s": 100, "for_s": 20},
        {"do": "partition agents", "every_s": 100, "for_s": 20},
    ]
    result = summary(batch, faults=faults, duration_s=2000, cluster=cluster(masters=3))
    assert result.frameworks[0].done == 1
    assert all(count > 5 for count in result.faults.values())


# ------------------------------------------------------------------------- thinking


def thinking(master: dict[str, Any], **service: Any) -> Summary:
    """One that thinks for a minute about each job, beside one that does not think at all."""
    web = framework("service", at_s=(5,), tasks=1, duration_s=None, think={"job_s": 60}) | service
    batch = framework("batch", at_s=(20,), tasks=2, duration_s=5)
    return summary(web, batch, master=master)


def until_placed(result: Summary, name: str) -> float:
    found = next(each.until_placed.mean_s for each in result.frameworks if each.name == name)
    assert found is not None
    return found


HELD = {"offer_timeout_s": None, "patience_s": None}


def test_who_thinks_holds_everything_up_as_mesos_does() -> None:
    result = thinking(HELD)
    assert until_placed(result, "service") == pytest.approx(60, abs=1)
    assert until_placed(result, "batch") > 40


def test_offers_that_are_thought_about_are_shared_after_the_patience() -> None:
    result = thinking({"offer_timeout_s": None, "patience_s": 1})
    assert until_placed(result, "service") == pytest.approx(60, abs=1)
    assert until_placed(result, "batch") < 3


def test_who_thinks_about_what_it_has_declared_holds_nobody_up() -> None:
    result = thinking(HELD, declares=True)
    assert until_placed(result, "service") == pytest.approx(60, abs=1)
    assert until_placed(result, "batch") < 1


def test_who_insists_on_offers_that_are_rescinded_has_to_think_again() -> None:
    master = {"offer_timeout_s": 30, "patience_s": None}
    flexible = thinking(master)
    insists = thinking(master, think={"job_s": 60, "insists": True})
    assert until_placed(flexible, "service") == pytest.approx(60, abs=1)
    assert until_placed(insists, "service") > 200
    assert next(each.missed for each in insists.frameworks if each.name == "service") > 0


def test_the_curves_of_a_run_name_its_frameworks() -> None:
    done = run(scenario(framework("batch"), framework("web")))
    picture = plot(done)
    assert picture.count(">batch</text>") == 2
    assert picture.count(">web</text>") == 2
