"""Tasks that are real processes and mean harm: nothing is left of them, and nobody else is hurt."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
from pathlib import Path

import pytest

from mezzo.cluster.model import (
    CommandInfo,
    EnvironmentVariable,
    KillPolicy,
    TaskInfo,
)
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import TaskId
from tests.parts.agent_harness import (
    AGENT_ID,
    Agent,
    Master,
    agent_world,
    groups_of,
    sandbox,
    task,
    wait_until,
)
from tests.parts.folders import open_the_way_to

S = TaskState
World = tuple[Master, Agent]


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT has files that a task may not read")
@pytest.mark.parametrize(
    "line",
    [
        "ln -sf /etc/shadow stdout",
        "ln -sf /proc/self/environ stdout",
        "rm stdout; mkfifo stdout",
        "rm stdout; ln -s stdout stdout",
        "rm stdout; mkdir stdout",
    ],
)
def test_the_output_of_a_hostile_task_is_refused_at_once_and_others_are_served(
    world: World, line: str
) -> None:
    master, agent = world
    open_the_way_to(agent.work_dir)
    command = CommandInfo(f"{line}; touch done; sleep 1000", user="nobody")
    master.run(TaskInfo("t1", TaskId("t1"), AGENT_ID, command=command))
    master.wait_state("t1", S.RUNNING)
    wait_until("it is hostile", (sandbox(agent, "t1") / "done").exists)
    for query in ("", "?offset=1", "?follow=true", *[""] * 20):  # more than there are threads
        with pytest.raises(urllib.error.HTTPError) as refused:
            agent.get(f"/containers/t1/logs{query}")
        assert refused.value.code == 403
        assert b"only regular files are read" in refused.value.read()
    assert agent.get("/health") == b""
    master.kill("t1")
    master.wait_state("t1", S.KILLED)


@pytest.mark.parametrize("launcher", [None, "posix"])
def test_nothing_is_left_of_tasks_that_daemonize_and_exit(
    tmp_path: Path, launcher: str | None
) -> None:
    for master, agent in agent_world(tmp_path / "agent", launcher=launcher):
        ids = [f"t{n}" for n in range(20)]
        for task_id in ids:
            master.run(task(task_id, f"{sys.executable} -I -S -c '{DAEMON}'"))
        for task_id in ids:
            master.wait_state(task_id, S.FINISHED)
        wait_until("nothing is left", lambda agent=agent: not agent.processes())  # type: ignore[misc]
        assert groups_of(agent) == []


def test_a_fork_bomb_is_ended_as_a_whole(world: World) -> None:
    master, agent = world
    # Sixty-four that fork on and on. Those that have ended are waited for: else the machine would
    # run out of numbers, and the bomb end by itself.
    loop = "while True:\n  os.fork() or os._exit(0)\n  os.wait()"
    bomb = f"import os\nfor _ in range(6): os.fork()\n{loop}"
    master.run(task("t1", f"{sys.executable} -I -S -c '{bomb}'", kill_policy=KillPolicy(0.1)))
    master.wait_state("t1", S.RUNNING)
    wait_until("it forks", lambda: len(agent.processes()) > 30)
    master.kill("t1")
    master.wait_state("t1", S.KILLED)
    wait_until("nothing is left", lambda: not agent.processes())
    assert groups_of(agent) == []


def test_what_a_task_has_written_in_the_place_of_its_keeper_is_no_end_and_no_fault(
    world: World,
) -> None:
    """It can, if it runs as the agent's own user."""
    master, agent = world
    for task_id in ("t1", "t2"):
        master.run(task(task_id, "sleep 1000"))
    cids = {}
    for task_id in ("t1", "t2"):
        status = master.wait_state(task_id, S.RUNNING).container_status
        assert status is not None
        cids[task_id] = status.container_id
    keeper = json.loads((agent.work_dir / f"run/{cids['t1']}/pid").read_text())["shim"]
    agent.crash()
    os.kill(keeper, signal.SIGKILL)
    (agent.work_dir / f"run/{cids['t1']}/exit").write_text("garbage")
    agent.start()
    failed = master.wait_state("t1", S.FAILED)
    assert failed.reason is Reason.EXECUTOR_TERMINATED
    master.kill("t2")
    master.wait_state("t2", S.KILLED)


DAEMON = """
import os, sys, time
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
os.closerange(0, 100)
if os.fork() == 0:
    os.fork()
time.sleep(1000)
"""


def test_no_description_of_a_task_ends_the_agent(world: World) -> None:
    master, agent = world
    assert agent.process is not None
    pid = agent.process.pid
    big = "x" * 3_000_000  # more than a program may get
    commands = [
        *(
            CommandInfo("true", user=user)
            for user in ("", "a/b", "../x", "-1", "root\n", "x" * 5000)
        ),
        *(CommandInfo(value, shell=False) for value in ("/", ".", "a\nb", "x" * 5000, "é")),
        CommandInfo("true", environment=(EnvironmentVariable("A", big),)),
        CommandInfo("true", environment=(EnvironmentVariable("", "x"),)),
        CommandInfo("/bin/true", shell=False, arguments=(big,)),
        CommandInfo(big),
    ]
    for number, command in enumerate(commands):
        master.run(TaskInfo("", TaskId(f"t{number} é:%s"), AGENT_ID, command=command))
    for task_id in ("..", "a/b", "a\0b", "x" * 300):
        master.run(TaskInfo("", TaskId(task_id), AGENT_ID, command=CommandInfo("true")))
        told = master.wait_state(task_id, S.ERROR)
        assert told.uuid is None
    for number in range(len(commands)):
        name = f"t{number} é:%s"
        master.wait(name, lambda heard, name=name: heard.states(name)[-1:] in ENDED)  # type: ignore[misc]
    master.run(task("good", "true"))
    master.wait_state("good", S.FINISHED)
    assert agent.process.poll() is None
    assert agent.process.pid == pid


ENDED = ([S.FINISHED], [S.FAILED], [S.ERROR])


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "//",
            "/containers",
            "/containers//logs",
            "/containers/%2e%2e/logs",
            "/%00",
            "/%ff%fe",
        ),
        *("/containers/%00/logs", "/containers/a%2Fb/logs", "/containers/%C3%28/logs", "/state/x"),
        *("/containers/t1/logs?stream=%ff", "/containers/t1/logs?offset=%00", "/a?&&&=&%%%=;"),
        *("/containers/t1/logs?offset=" + "9" * 400, "/" + "a" * 3000, "/containers/%F0%9F/logs"),
    ],
)
def test_no_path_is_a_fault_of_the_server(world: World, path: str) -> None:
    _, agent = world
    with pytest.raises(urllib.error.HTTPError) as refused:
        agent.get(path)
    assert 400 <= refused.value.code < 500
    assert json.loads(refused.value.read())["message"]
