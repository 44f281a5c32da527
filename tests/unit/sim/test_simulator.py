"""The simulator: a run is a pure function of its seed, and a failing one can be replayed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from mezzo.marathon.placement import launcher
from mezzo.messages.agent import ReregisterAgent
from mezzo.sim.__main__ import main, run_seed
from mezzo.sim.cluster import Cluster, Report
from mezzo.sim.daemons.masters import FromAgent
from mezzo.sim.making.shape import Shape
from mezzo.sim.mutants.mutant import Mutant, never

# Each found a bug once: the seed, and what was wrong.
REGRESSIONS = {
    1: "tasks of an agent that was back counted before the agent did",
    6: "a deployment that stops an app waited for its empty fleet",
    477: "a framework killed what the master told UNKNOWN, which told it UNKNOWN",
    821: "a deposed Marathon subscribed and killed what its successor ran",
    986: "the same, after another sleep",
    2067: "what was guaranteed was kept free on a machine that was gone, and nowhere else",
    4118: "an older update came after the end's, whose acknowledgement was not taken for it then",
    3404: "an operation that was told again on the way of its acknowledgement stayed for ever",
    2552: "a report that crossed an acknowledgement brought an operation back for ever",
    870: "an agent counted as drained while tasks of a removed framework had their grace there",
    1860: "a report from before a crash came late and brought an ended task back to life",
}


@pytest.mark.parametrize("seed", REGRESSIONS, ids=lambda seed: f"seed-{seed}")
def test_seeds_that_found_a_bug_pass(seed: int) -> None:
    assert isinstance(run_seed(seed), Report)


@pytest.mark.parametrize("seed", range(501, 513))
def test_all_promises_are_kept_under_any_mix_of_faults(seed: int) -> None:
    outcome = run_seed(seed)
    assert isinstance(outcome, Report), outcome


@pytest.mark.parametrize("seed", range(1, 5))
def test_nobody_starves_behind_a_hoarder_on_a_single_agent(seed: int) -> None:
    """It let its only offer time out, and was the first to get it again."""
    Cluster(seed, Shape(agents=1, batch=1, hoarders=1, unique=0, gluttons=0)).run()


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    stories = []
    for hash_seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        code = (
            "from mezzo.sim.cluster import Cluster\n"
            "cluster = Cluster(17)\n"
            "print(cluster.run(), cluster.world.story(10_000))"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        stories.append(ran.stdout)
    assert stories[0] == stories[1]
    assert "seed=17" in stories[0]


def test_different_seeds_draw_different_faults() -> None:
    drawn = {tuple(Cluster(seed).faults.summary) for seed in range(20)}
    assert len(drawn) == 20


def test_every_fault_is_drawn_by_some_seed() -> None:
    drawn = [set(Cluster(seed).faults.summary) for seed in range(60)]
    everything = set().union(*drawn)
    assert len(everything) == 35
    assert all(any(name not in each for each in drawn) for name in everything)


def test_everything_that_operators_do_is_drawn_by_some_seed_and_by_some_nothing() -> None:
    drawn = [set(Cluster(seed).staff.admin.summary) for seed in range(60)]
    everything = set().union(*drawn)
    assert len(everything) == 8
    assert all(any(name not in each for each in drawn) for name in everything)


def test_a_failure_prints_its_story_and_the_command_that_replays_it() -> None:
    with Mutant("deaf", "marathon", launcher, "offered", lambda original: never).planted():
        result = CliRunner().invoke(main, ["--seed", "2"])
    assert result.exit_code == 1
    assert "promise 7" in result.output
    assert "replay: mezzo sim seeds --seed 2" in result.output


def test_a_thousand_agents_come_back_all_at_once() -> None:
    few = Shape(batch=1, hoarders=0, unique=1, gluttons=0, vault=False, regions=False)
    shape = replace(few, agents=1000, hostile=True)
    cluster = Cluster(1, shape)
    world = cluster.world
    cluster.start()
    world.run(30.0)
    leader = next(master for master in cluster.fleet.masters if master.process.up)
    core = leader.core
    assert core is not None
    assert sum(agent.connected for agent in core.state.agents.values()) == 1000
    returned: list[str] = []
    received = leader._received

    def note(conn: object, message: object) -> None:
        if isinstance(message, FromAgent) and isinstance(message.message, ReregisterAgent):
            returned.append(message.message.info.hostname)
        received(conn, message)  # type: ignore[arg-type]

    leader._received = note  # type: ignore[method-assign]
    cluster.ground.network.cut(lambda name: name.startswith("agent"))
    world.run(world.now_s + 20.0)
    assert leader.core is core  # still the same term
    assert len(set(returned)) == 1000
    assert sum(agent.connected for agent in core.state.agents.values()) == 1000
    assert len(core.state.agents) == 1000
    cluster.heal()
