"""A disk that is full for a while under all daemons at once: databases, logs, sandboxes."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from mezzo.cluster.states import TaskState
from tests.parts.agent_harness import Agent, Master, agent_world, sandbox, task, wait_until
from tests.parts.marathon_cluster import Cluster, run_cluster, small, wait_for
from tests.parts.small_disk import fill, small_disk_at

FULL_FOR_S = 4.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield from small_disk_at(tmp_path / "disk", "24m")


@pytest.fixture
def cluster(disk: Path) -> Iterator[Cluster]:
    yield from run_cluster(disk)


def test_daemons_survive_a_full_disk_and_write_again(cluster: Cluster) -> None:
    """Marathon never wrote again: its log's own ENOSPC came before the retry was set."""
    marathon = cluster.marathon("m")
    marathon.create("/before", instances=2)
    tasks = marathon.settled("/before", 2)
    assert marathon.process is not None
    daemons = [*cluster._processes, marathon.process]
    ballast = fill(cluster.directory)
    answers: list[int] = []

    def post(number: int) -> None:
        with contextlib.suppress(urllib.error.URLError, TimeoutError):
            answers.append(marathon.post("/v2/apps", small(f"/full-{number}")).status)

    posting = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    for thread in posting:
        thread.start()
    # Until each has met it: Marathon's own commit, and what they all say of it.
    until_s = time.monotonic() + FULL_FOR_S
    while time.monotonic() < until_s:
        assert [daemon.poll() for daemon in daemons] == [None] * len(daemons)
        assert sorted(task["id"] for task in marathon.app("/before")["tasks"]) == tasks
        time.sleep(0.2)
    assert not set(answers) & {200, 201}, "what is not on the disk is not confirmed"
    ballast.unlink()
    for thread in posting:
        thread.join()
    wait_for(lambda: marathon.post("/v2/apps", small("/after")).status == 201, "a new app")
    marathon.settled("/after", 1)
    assert marathon.settled("/before", 2) == tasks
    assert [daemon.poll() for daemon in daemons] == [None] * len(daemons)
    for number, answer in enumerate(answers):
        assert answer == 201 or answer >= 500, (number, answer)


@pytest.fixture
def world(disk: Path) -> Iterator[tuple[Master, Agent]]:
    yield from agent_world(disk / "agent")


def test_how_a_task_ended_is_known_that_has_filled_the_disk(
    disk: Path, world: tuple[Master, Agent]
) -> None:
    master, agent = world
    line = "touch full; cat /dev/zero > ballast; while [ -e full ]; do :; done; exit 7"
    master.run(task("t1", line))
    running = master.wait_state("t1", TaskState.RUNNING)
    assert running.container_status is not None
    program = Path("/proc", str(running.container_status.executor_pid))
    home = sandbox(agent, "t1")
    wait_until("the disk is full", lambda: shutil.disk_usage(disk).free == 0)
    (home / "full").unlink()
    wait_until("it has ended", lambda: not program.exists())
    assert shutil.disk_usage(disk).free == 0
    (home / "ballast").unlink()
    failed = master.wait_state("t1", TaskState.FAILED)
    assert failed.message == "Command exited with status 7"
