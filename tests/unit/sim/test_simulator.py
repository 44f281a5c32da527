"""The simulator: a run is a pure function of its seed, and it finds what is broken."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from mezzo.agent.membership import Membership
from mezzo.agent.state import AgentState
from mezzo.ids import AgentId
from mezzo.marathon.launcher import Launcher
from mezzo.master.allocator import Allocator, Client
from mezzo.resources import Resources
from mezzo.sim.__main__ import Failure, main, run_seed
from mezzo.sim.cluster import Cluster, Report
from mezzo.sim.network import Network, Stream
from mezzo.sim.world import World

# Each found a bug once: the seed, and what was wrong.
REGRESSIONS = {
    1: "tasks of an agent that was back counted before the agent did",
    6: "a deployment that stops an app waited for its empty fleet",
}


@pytest.mark.parametrize("seed", REGRESSIONS, ids=lambda seed: f"seed-{seed}")
def test_seeds_that_found_a_bug_pass(seed: int) -> None:
    assert isinstance(run_seed(seed), Report)


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
    assert len(drawn) > 10


# ------------------------------------------------------------------------- it finds planted bugs


def failures(seeds: int = 40) -> list[Failure]:
    outcomes = [run_seed(seed) for seed in range(1, seeds + 1)]
    return [outcome for outcome in outcomes if isinstance(outcome, Failure)]


def test_an_allocator_that_promises_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    release = Allocator.release

    def generous(self: Allocator, client: Client, agent_id: AgentId, resources: Resources) -> None:
        release(self, client, agent_id, resources)
        agent = self._books.agents.get(agent_id)
        if agent is not None:
            agent.free = agent.free + Resources.of(cpus=0.5)

    monkeypatch.setattr(Allocator, "release", generous)
    assert any("promise 1" in failure.error for failure in failures(20))


def test_an_agent_that_forgets_what_ended_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AgentState, "has_ended", lambda self, key: False)
    assert any("promise 2" in failure.error for failure in failures())


def test_an_agent_that_obeys_the_deposed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Membership, "obeys", lambda self, event, out: True)
    assert any("promise 5" in failure.error for failure in failures(200))


def test_a_marathon_that_stops_launching_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Launcher, "settle", lambda self, conn: None)
    assert any("promise 6" in failure.error for failure in failures(20))


def test_a_failure_prints_its_story_and_the_command_that_replays_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Launcher, "settle", lambda self, conn: None)
    seed = failures(20)[0].seed
    result = CliRunner().invoke(main, ["--seed", str(seed)])
    assert result.exit_code == 1
    assert "promise 6" in result.output
    assert f"replay: python -m mezzo.sim --seed {seed}" in result.output


# ------------------------------------------------------------------------- its streams


def stream(world: World) -> tuple[Stream, list[object], list[str]]:
    got: list[object] = []
    closed: list[str] = []
    made = Stream(
        Network(world),
        "client",
        "server",
        to_client=got.append,
        client_closed=lambda: closed.append("client"),
        repeatable=lambda message: True,
    )
    made.server.on_close = lambda: closed.append("server")
    return made, got, closed


def test_messages_of_a_stream_keep_their_order() -> None:
    world = World(1)
    made, got, _ = stream(world)
    for number in range(100):
        made.server.send(number)
    world.run(10)
    assert got == list(range(100))


def test_both_ends_notice_a_broken_stream() -> None:
    world = World(1)
    made, got, closed = stream(world)
    made.sever()
    world.run(30)
    made.server.send("late")
    world.run(60)
    assert sorted(closed) == ["client", "server"]
    assert got == []


def test_a_partition_holds_messages_back_until_it_heals() -> None:
    world = World(1)
    made, got, closed = stream(world)
    network = made._network
    network.partition("client", "server")
    made.server.send("hello")
    world.run(5)
    assert got == []
    network.heal()
    world.run(10)
    assert got == ["hello"]
    assert closed == []
