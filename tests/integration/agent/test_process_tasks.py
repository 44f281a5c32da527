"""Tasks that are real processes: how they run, under whom, how they end, and their keepers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mezzo.agent.containerizer.native import shim
from mezzo.cluster.model import (
    CommandInfo,
    HealthCheck,
    HealthCheckType,
    KillPolicy,
    TaskInfo,
)
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import TaskId
from mezzo.record import replace
from tests.parts.agent_harness import (
    AGENT_ID,
    FRAMEWORK,
    Agent,
    Master,
    agent_world,
    alive,
    any_with,
    sandbox,
    task,
    unique,
    wait_until,
)
from tests.parts.folders import open_the_way_to

S = TaskState
World = tuple[Master, Agent]


def test_a_task_runs_in_its_sandbox_with_its_environment_and_finishes(world: World) -> None:
    master, agent = world
    master.run(task("t1", "echo out; echo err >&2; env > env; pwd > pwd"))
    finished = master.wait_state("t1", S.FINISHED)
    assert master.heard.states("t1") == [S.STARTING, S.RUNNING, S.FINISHED]
    assert finished.message == "Command exited with status 0"
    home = sandbox(agent, "t1")
    assert (home / "stdout").read_text() == "out\n"
    assert (home / "stderr").read_text() == "err\n"
    env = dict(line.split("=", 1) for line in (home / "env").read_text().splitlines())
    assert env["PASSWORD"] == "hunter2"
    assert env["MESOS_TASK_ID"] == env["MESOS_EXECUTOR_ID"] == "t1"
    assert env["MESOS_FRAMEWORK_ID"] == "F1"
    assert Path(env["MESOS_SANDBOX"]) == home.resolve()
    assert (home / "pwd").read_text().strip() == env["MESOS_SANDBOX"]
    assert "MEZZO_SECRET" not in env
    assert "hunter2" not in agent.log_text()
    assert agent.get("/containers/t1/logs") == b"out\n"
    assert agent.get("/containers/t1/logs?stream=stderr&offset=1") == b"rr\n"


def test_a_failing_command_fails_with_its_status_or_signal(world: World) -> None:
    master, _ = world
    master.run(task("code", "exit 7"))
    master.run(task("signal", "kill -SEGV $$"))
    assert master.wait_state("code", S.FAILED).message == "Command exited with status 7"
    assert master.wait_state("signal", S.FAILED).message == "Command terminated with signal SIGSEGV"


def test_a_program_that_does_not_exist_fails_at_launch(world: World) -> None:
    master, _ = world
    info = task("t1", "")
    master.run(
        TaskInfo(
            "t1",
            info.task_id,
            AGENT_ID,
            command=CommandInfo("/no/such/program", shell=False, arguments=("x",)),
        )
    )
    failed = master.wait_state("t1", S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert failed.message == "/no/such/program: No such file or directory"


def test_an_unknown_user_fails_at_launch(world: World) -> None:
    master, _ = world
    command = CommandInfo("true", user="nobody-knows-me")
    master.run(TaskInfo("t1", TaskId("t1"), AGENT_ID, command=command))
    failed = master.wait_state("t1", S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert "nobody-knows-me" in (failed.message or "")


def test_a_user_that_can_have_no_such_name_fails_the_launch_and_not_the_agent(world: World) -> None:
    master, _ = world
    info = TaskInfo("t1", TaskId("t1"), AGENT_ID, command=CommandInfo("true"))
    master.run(info, replace(FRAMEWORK, user="a\0b"))
    failed = master.wait_state("t1", S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert "null" in (failed.message or "")
    master.run(task("t2", "true"))
    master.wait_state("t2", S.FINISHED)


@pytest.mark.parametrize("user", ["nobody-knows-me", "root"])
def test_a_task_whose_user_cannot_be_had_is_told_what_to_do(world: World, user: str) -> None:
    if user == "root" and os.geteuid() == 0:
        pytest.skip("ONLY A NORMAL USER can't run tasks as root: `make usertest`")
    master, agent = world
    command = CommandInfo("true", user=user)
    master.run(TaskInfo("t1", TaskId("t1"), AGENT_ID, command=command))
    failed = master.wait_state("t1", S.FAILED)
    assert failed.reason is Reason.CONTAINER_LAUNCH_FAILED
    assert f"the task wants to run as {user}: " in (failed.message or "")
    assert "mezzo marathon --mesos-user" in (failed.message or "")
    assert not list(agent.work_dir.glob(f"**/{user}"))


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can run tasks as other users")
def test_a_task_runs_as_the_user_it_names(world: World) -> None:
    master, agent = world
    open_the_way_to(agent.work_dir)
    command = CommandInfo("id -un; id -Gn; echo $HOME", user="nobody")
    master.run(TaskInfo("t1", TaskId("t1"), AGENT_ID, command=command))
    master.wait_state("t1", S.FINISHED)
    assert agent.get("/containers/t1/logs") == b"nobody\nnogroup\n/nonexistent\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can run tasks as other users")
def test_without_switch_user_a_task_runs_as_its_agent_whoever_it_names(tmp_path: Path) -> None:
    for master, agent in agent_world(tmp_path / "agent", switch_user=False):
        for task_id, user in (("t1", "nobody"), ("t2", "nobody-knows-me")):
            command = CommandInfo("id -un; stat -c %U .", user=user)
            master.run(TaskInfo(task_id, TaskId(task_id), AGENT_ID, command=command))
            master.wait_state(task_id, S.FINISHED)
            assert agent.get(f"/containers/{task_id}/logs") == b"root\nroot\n"


def test_a_kill_takes_everything_along_that_the_task_has_started(world: World) -> None:
    """Behaviour 53. The task ignores SIGTERM; its children have left its group, or its session."""
    master, agent = world
    line = (
        "trap '' TERM; "
        "bash -c 'set -m; sleep 1000 & echo $! > other-group; wait' & "
        "(sleep 0.3; setsid sh -c 'echo $$ > other-session; exec sleep 1000' &) & "
        "while true; do sleep 0.1; done"
    )
    master.run(task("t1", line, kill_policy=KillPolicy(0.3)))
    pid = master.wait_pid("t1")

    def written(name: str) -> str:
        path = sandbox(agent, "t1") / name
        return path.read_text().strip() if path.exists() else ""

    names = ("other-group", "other-session")
    wait_until("all children are there", lambda: all(written(name) for name in names))
    pids = [pid, *(int(written(name)) for name in names)]
    master.kill("t1")
    killed = master.wait_state("t1", S.KILLED)
    assert master.heard.states("t1")[-2:] == [S.KILLING, S.KILLED]
    assert killed.message == "killed by the framework"
    wait_until("all of them have ended", lambda: not any(alive(pid) for pid in pids))


def test_a_keeper_that_is_killed_is_noticed_and_nothing_is_left_behind(world: World) -> None:
    master, agent = world
    master.run(task("t1", "sleep 1000"))
    running = master.wait_state("t1", S.RUNNING)
    assert running.container_status is not None
    cid = running.container_status.container_id
    found = json.loads((agent.work_dir / f"run/{cid}/pid").read_text())
    os.kill(found["shim"], signal.SIGKILL)
    failed = master.wait_state("t1", S.FAILED)
    assert failed.reason is Reason.EXECUTOR_TERMINATED
    wait_until("the program was killed, too", lambda: not alive(found["pid"]))


def test_a_program_that_kills_its_keeper_at_once_fails_and_nothing_is_left_behind(
    world: World,
) -> None:
    master, _ = world
    mark = unique("left")
    names = [f"t{number}" for number in range(8)]
    for name in names:
        master.run(task(name, f"kill -9 $PPID; exec sh -c 'sleep 1000; : {mark}'"))
    for name in names:
        master.wait_state(name, S.FAILED)
    wait_until("no program is left", lambda: not any_with(mark))


def test_programs_that_stop_their_keepers_hold_up_nobody_and_can_be_killed(world: World) -> None:
    master, _ = world
    names = [f"t{number}" for number in range(10)]  # more than are launched at a time
    for name in names:
        master.run(task(name, "kill -STOP $PPID; exec sleep 1000"))
    begun_s = time.monotonic()
    master.run(task("other", "true"))
    master.wait_state("other", S.FINISHED)
    assert time.monotonic() - begun_s < 8, "a place is held for 10 s for a keeper that says nothing"
    for name in names:
        master.kill(name)
    for name in names:
        master.wait_state(name, S.KILLED)


def test_a_program_and_its_check_ignore_no_signal(world: World) -> None:
    """Python ignores some, of which a program knows nothing: `yes | head` would complain."""
    master, agent = world
    script = "grep -E '^Sig(Ign|Blk)' /proc/self/status"
    check = HealthCheck(
        type=HealthCheckType.COMMAND,
        command=CommandInfo(f"[ -e seen ] || {{ {script} > see && mv see seen; }}"),
        delay_seconds=0,
        interval_seconds=0.1,
    )
    master.run(replace(task("t1", f"{script} > told; sleep 1000"), health_check=check))
    master.wait_state("t1", S.RUNNING)
    home = sandbox(agent, "t1")
    wait_until("the check has told", (home / "seen").exists)
    masks = [
        int(line.split()[1], 16)
        for name in ("told", "seen")
        for line in (home / name).read_text().splitlines()
    ]
    # Above the first 31 are the C library's own: what was ignored there before us stays so.
    (own,) = re.findall(r"SigIgn:\t([0-9a-f]+)", Path("/proc/self/status").read_text())
    inherited = int(own, 16) >> 31 << 31
    assert [mask & ~inherited for mask in masks] == [0] * 4


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can be somebody else")
def test_what_a_keeper_may_not_kill_is_left_and_all_else_killed() -> None:
    """Of a task that has used sudo, where the agent is not root."""
    line = "sleep 1000 & exec setpriv --reuid nobody --clear-groups sh -c 'echo; sleep 1000 & wait'"
    program = subprocess.Popen(
        ["sh", "-c", line], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert program.stdout is not None
    program.stdout.readline()
    try:
        as_nobody = "import os; from mezzo.agent.containerizer.native import shim; os.setuid(65534)"
        code = f"{as_nobody}; shim.kill_session({program.pid})"
        subprocess.run([sys.executable, "-c", code], check=True)
        assert program.wait(30) == -signal.SIGKILL
    finally:
        shim.kill_session(program.pid)


def test_max_completion_time_fails_the_task(world: World) -> None:
    """Behaviour 41."""
    master, _ = world
    master.run(task("t1", "sleep 1000", max_completion_time=0.2))
    failed = master.wait_state("t1", S.FAILED)
    assert failed.reason is Reason.MAX_COMPLETION_TIME_REACHED
