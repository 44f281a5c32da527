"""A real agent with real processes: what happens to tasks, whatever happens to the agent."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from mezzo.agent.containerizer.native import shim
from mezzo.cluster.model import (
    CommandInfo,
    EnvironmentVariable,
    FrameworkInfo,
    HealthCheck,
    HealthCheckType,
    HttpCheck,
    KillPolicy,
    TaskInfo,
    TcpCheck,
)
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.process.users import current_user
from mezzo.record import replace
from tests.parts.agent_harness import (
    AGENT_ID,
    FRAMEWORK,
    Agent,
    Master,
    agent_world,
    alive,
    pids,
    proc_file,
    sandbox,
    task,
    unique,
    wait_until,
)
from tests.parts.folders import open_the_way_to

S = TaskState
World = tuple[Master, Agent]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from agent_world(tmp_path / "agent")


def test_an_agent_with_the_address_of_no_master_ends_at_once(tmp_path: Path) -> None:
    master = Master()
    try:
        agent = Agent(master, tmp_path / "agent")
        agent.start(master="nonsense")
        assert agent.process is not None
        assert agent.process.wait(30) == 2
        assert "write host:port" in agent.log_text()
    finally:
        master.stop()


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
    running = master.wait_state("t1", S.RUNNING)
    assert running.container_status is not None
    pid = running.container_status.executor_pid
    assert pid is not None

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


def test_a_task_survives_the_crash_of_its_agent_and_stays_itself(world: World) -> None:
    """Behaviour 43."""
    master, agent = world
    master.run(task("t1", "sleep 1000"))
    running = master.wait_state("t1", S.RUNNING)
    assert running.container_status is not None
    pid = running.container_status.executor_pid
    assert pid is not None
    agent.crash()
    assert alive(pid)
    agent.start()
    back = master.wait_registration(times=2)
    assert isinstance(back, am.ReregisterAgent)
    assert [(shown.task_id, shown.state) for shown in back.tasks] == [("t1", S.RUNNING)]
    assert alive(pid)
    master.kill("t1")
    master.wait_state("t1", S.KILLED)
    assert master.heard.states("t1") == [S.STARTING, S.RUNNING, S.KILLING, S.KILLED]
    wait_until("it has ended", lambda: not alive(pid))


def test_a_task_that_ends_while_its_agent_is_down_is_reported_once(world: World) -> None:
    """Behaviour 45, and promise 4."""
    master, agent = world
    gate = sandbox(agent, "t1") / "gate"
    master.run(task("t1", "while [ ! -e gate ]; do sleep 0.02; done; exit 5"))
    running = master.wait_state("t1", S.RUNNING)
    assert running.container_status is not None
    pid = running.container_status.executor_pid
    assert pid is not None
    agent.crash()
    gate.touch()
    wait_until("it has ended", lambda: not alive(pid))
    agent.start()
    failed = master.wait_state("t1", S.FAILED)
    assert failed.message == "Command exited with status 5"
    agent.crash()
    agent.start()
    master.wait_registration(times=3)
    master.run(task("t2", "true"))
    master.wait_state("t2", S.FINISHED)
    assert master.heard.states("t1") == [S.STARTING, S.RUNNING, S.FAILED]


def test_an_update_that_nobody_has_acknowledged_comes_again_with_the_same_uuid(
    world: World,
) -> None:
    """Behaviour 44."""
    master, agent = world
    master.acknowledges = False
    master.run(task("t1", "true"))
    first = master.wait_state("t1", S.STARTING)
    agent.crash()
    agent.start()

    def repeated() -> int:
        return sum(
            isinstance(message, am.StatusUpdate) and message.status.uuid == first.uuid
            for message in master.heard.messages
        )

    master.wait("the same update", lambda _: repeated() >= 2)
    master.acknowledges = True
    assert first.uuid is not None
    master.say(am.UpdateAcknowledged(FrameworkId("F1"), TaskId("t1"), first.uuid))
    master.wait_state("t1", S.FINISHED)
    assert master.heard.states("t1") == [S.STARTING, S.RUNNING, S.FINISHED]


def test_a_repeated_launch_starts_nothing_twice(world: World) -> None:
    master, agent = world
    info = task("t1", "echo once >> ../../../../count")
    for _ in range(3):
        master.run(info)
    master.wait_state("t1", S.FINISHED)
    agent.crash()
    agent.start()
    master.wait_registration(times=2)
    master.run(info)
    master.run(task("t2", "true"))
    master.wait_state("t2", S.FINISHED)  # so the other one has been ignored by now
    assert (sandbox(agent, "t1").resolve() / "../../../../count").resolve().read_text() == "once\n"


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


def test_a_keeper_that_hangs_and_is_not_known_is_ended_when_the_agent_comes_back(
    world: World,
) -> None:
    master, agent = world
    mark = unique("hangs")
    master.run(task("t1", f"sleep 1000; : {mark}"))
    running = master.wait_state("t1", S.RUNNING)
    assert running.container_status is not None
    told = agent.work_dir / f"run/{running.container_status.container_id}/pid"
    keeper = json.loads(told.read_text())["shim"]
    agent.crash()
    os.kill(keeper, signal.SIGSTOP)
    told.unlink()
    agent.start()
    failed = master.wait_state("t1", S.FAILED)
    assert "did not tell of its program" in (failed.message or "")
    wait_until("nothing is left of it", lambda: not alive(keeper) and not any_with(mark))


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


def any_with(mark: str) -> bool:
    return any(mark.encode() in proc_file(pid, "cmdline") for pid in pids())


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


def test_the_tasks_of_a_framework_without_checkpoints_end_with_their_agent(world: World) -> None:
    """Behaviour 48: it was running and is surely not now."""
    master, agent = world
    framework = FrameworkInfo(
        user=current_user(), name="f", id=FrameworkId("F1"), capabilities=FRAMEWORK.capabilities
    )
    master.run(task("t1", "sleep 1000"), framework)
    running = master.wait_state("t1", S.RUNNING)
    assert running.container_status is not None
    pid = running.container_status.executor_pid
    assert pid is not None
    agent.crash()
    agent.start()
    gone = master.wait_state("t1", S.GONE)
    assert gone.reason is Reason.AGENT_RESTARTED
    wait_until("it has ended", lambda: not alive(pid))


def test_max_completion_time_fails_the_task(world: World) -> None:
    """Behaviour 41."""
    master, _ = world
    master.run(task("t1", "sleep 1000", max_completion_time=0.2))
    failed = master.wait_state("t1", S.FAILED)
    assert failed.reason is Reason.MAX_COMPLETION_TIME_REACHED


def quick_check(kind: HealthCheckType, **fields: object) -> HealthCheck:
    return HealthCheck(
        kind,
        delay_seconds=0,
        interval_seconds=0.05,
        timeout_seconds=20,  # a busy machine is no failure
        grace_period_seconds=0,
        consecutive_failures=2,
        **fields,  # type: ignore[arg-type]
    )


def test_a_command_check_reports_health_and_kills_at_its_limit(world: World) -> None:
    """Behaviours 105 and 106."""
    master, agent = world
    check = quick_check(HealthCheckType.COMMAND, command=CommandInfo("test ! -e sick"))
    master.run(task("t1", "sleep 1000", health_check=check))
    master.wait("healthy", lambda heard: any(s.healthy for s in heard.updates("t1")))
    (sandbox(agent, "t1") / "sick").touch()
    killed = master.wait_state("t1", S.KILLED)
    assert killed.healthy is False
    told = [(s.state, s.healthy) for s in master.heard.updates("t1")]
    assert told == [
        (S.STARTING, None),
        (S.RUNNING, None),
        (S.RUNNING, True),
        (S.RUNNING, False),
        (S.RUNNING, False),
        (S.KILLING, None),
        (S.KILLED, False),
    ]


def test_a_hanging_command_check_fails_and_is_killed(world: World) -> None:
    """Behaviour 108."""
    master, agent = world
    check = HealthCheck(
        HealthCheckType.COMMAND,
        command=CommandInfo("echo $$ > checker; exec sleep 1000"),
        delay_seconds=0,
        timeout_seconds=0.5,
        grace_period_seconds=0,
        consecutive_failures=1,
    )
    master.run(task("t1", "sleep 1000", health_check=check))
    master.wait_state("t1", S.KILLED)
    failed = next(s for s in master.heard.updates("t1") if s.healthy is False)
    assert failed.message == "no answer within 0.5 s"
    checker = int((sandbox(agent, "t1") / "checker").read_text())
    wait_until("the check was killed", lambda: not alive(checker))


@contextlib.contextmanager
def http_server(status: int) -> Iterator[int]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 500)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (302, True), (404, False)])
def test_an_http_check_looks_at_the_status_alone(world: World, status: int, healthy: bool) -> None:
    master, _ = world
    with http_server(status) as port:
        check = quick_check(HealthCheckType.HTTP, http=HttpCheck(port, path="/health"))
        master.run(task("t1", "sleep 1000", health_check=check))
        master.wait(
            "a result", lambda heard: any(s.healthy is not None for s in heard.updates("t1"))
        )
        first = next(s for s in master.heard.updates("t1") if s.healthy is not None)
        assert first.healthy is healthy
        assert first.message == (None if healthy else "HTTP status 404")
        assert first.reason is Reason.TASK_HEALTH_CHECK_STATUS_UPDATED
    master.kill("t1")
    master.wait_state("t1", S.KILLED)


def test_a_tcp_check_passes_where_somebody_listens(world: World) -> None:
    master, _ = world
    with socket.create_server(("127.0.0.1", 0)) as server:
        check = quick_check(HealthCheckType.TCP, tcp=TcpCheck(server.getsockname()[1]))
        master.run(task("t1", "sleep 1000", health_check=check))
        master.wait("healthy", lambda heard: any(s.healthy for s in heard.updates("t1")))
    killed = master.wait_state("t1", S.KILLED)
    assert killed.healthy is False


def test_logs_can_be_followed_to_the_end(world: World) -> None:
    master, agent = world
    master.run(task("t1", "echo one; while [ ! -e gate ]; do sleep 0.02; done; echo two"))
    master.wait_state("t1", S.RUNNING)
    read: list[bytes] = []
    reader = threading.Thread(
        target=lambda: read.append(agent.get("/containers/t1/logs?follow=true"))
    )
    reader.start()
    (sandbox(agent, "t1") / "gate").touch()
    reader.join(30)
    assert read == [b"one\ntwo\n"]


def test_more_readers_than_threads_may_follow_and_others_are_answered(world: World) -> None:
    master, agent = world
    master.run(task("t1", "echo one; while [ ! -e gate ]; do sleep 0.02; done; echo two"))
    master.wait_state("t1", S.RUNNING)
    with ThreadPoolExecutor(40) as readers:
        read = [
            readers.submit(agent.get, "/containers/t1/logs?follow=true&offset=0") for _ in range(40)
        ]
        assert [each for each in read if each.done()] == []
        assert json.loads(agent.get("/state"))["id"] == "S1"
        (sandbox(agent, "t1") / "gate").touch()
        assert [each.result(30) for each in read] == [b"one\ntwo\n"] * 40


def test_http_shows_state_and_refuses_what_it_does_not_know(world: World) -> None:
    master, agent = world
    master.run(task("t1", "sleep 1000"))
    master.wait_state("t1", S.RUNNING)
    state = json.loads(agent.get("/state"))
    assert state["id"] == "S1"
    assert state["used_resources"]["cpus"] == 0.1
    assert [shown["id"] for shown in state["frameworks"][0]["tasks"]] == ["t1"]
    assert "hunter2" not in json.dumps(state)
    assert b'mezzo_agent_tasks{state="TASK_RUNNING"} 1' in agent.get("/metrics")
    assert agent.get("/health") == b""
    for path, status in [
        ("/containers/t9/logs", 404),
        ("/containers/t1/logs?stream=x", 400),
        ("/containers/t1/logs?offset=-1", 400),
        ("/nothing", 404),
    ]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            agent.get(path)
        assert refused.value.code == status
    master.kill("t1")
    master.wait_state("t1", S.KILLED)


def test_an_ended_task_is_cleaned_away_after_its_time(tmp_path: Path) -> None:
    options = {"container_remove_delay_s": 0.1, "gc_delay_s": 0.2}
    for master, agent in agent_world(tmp_path / "agent", **options):
        master.run(task("t1", "true"))
        master.wait_state("t1", S.FINISHED)
        work_dir = tmp_path / "agent"
        home = work_dir / "slaves/S1/frameworks/F1"
        wait_until("no sandbox", lambda home=home: not home.exists())  # type: ignore[misc]
        assert list((work_dir / "run").iterdir()) == []

        def forgotten(agent: Agent = agent) -> bool:  # once the core has heard that it is gone
            try:
                agent.get("/containers/t1/logs")
            except urllib.error.HTTPError as error:
                return error.code == 404
            return False

        wait_until("no logs", forgotten)


def test_sigterm_leaves_the_tasks_and_sigusr1_takes_them_along(world: World) -> None:
    master, agent = world
    master.run(task("t1", "sleep 1000"))
    running = master.wait_state("t1", S.RUNNING)
    assert running.container_status is not None
    pid = running.container_status.executor_pid
    assert pid is not None
    assert agent.stop() == 0
    assert alive(pid)
    agent.start()
    master.wait_registration(times=2)
    assert agent.process is not None
    agent.process.send_signal(signal.SIGUSR1)
    master.wait("goodbye", lambda heard: isinstance(heard.messages[-1], am.UnregisterAgent))
    assert agent.process.wait(30) == 0
    assert not alive(pid)


def test_a_refused_agent_kills_its_tasks_and_exits_with_a_code_of_its_own(world: World) -> None:
    master, agent = world
    master.run(task("t1", "sleep 1000"))
    master.wait_state("t1", S.RUNNING)
    master.say(am.ShutdownAgent("marked gone"))
    assert agent.process is not None
    assert agent.process.wait(30) == 2
    assert any("marked gone" in str(line.get("reason")) for line in agent.logged())


def test_recovery_for_cleanup_kills_the_tasks_and_exits(world: World) -> None:
    """Behaviour 50."""
    master, agent = world
    master.run(task("t1", "sleep 1000"))
    running = master.wait_state("t1", S.RUNNING)
    assert running.container_status is not None
    pid = running.container_status.executor_pid
    assert pid is not None
    agent.stop()
    agent.start(recover="cleanup")
    assert agent.process is not None
    assert agent.process.wait(30) == 0
    assert not alive(pid)


def test_a_second_agent_in_one_work_directory_is_refused(world: World) -> None:
    master, agent = world
    second = Agent(master, agent.work_dir)
    second.start()
    assert second.process is not None
    assert second.process.wait(30) == 2
    assert any("used by another agent" in str(line.get("error")) for line in second.logged())


def test_an_agent_with_other_resources_is_refused_unless_it_has_more(world: World) -> None:
    """Behaviour 51."""
    master, agent = world
    master.run(task("t1", "true"))
    master.wait_state("t1", S.FINISHED)  # so it knows who it is
    agent.stop()
    more = "cpus:8;mem:4096;disk:1024;ports:[31000-32000]"
    agent.start(resources=more)
    assert agent.process is not None
    assert agent.process.wait(30) == 2
    assert any("resources must be the same" in str(line.get("error")) for line in agent.logged())
    agent.start(resources=more, reconfiguration_policy="additive")
    back = master.wait_registration(times=2)
    assert back.info.resources.cpus == 8


def test_an_idle_agent_takes_little_memory(world: World) -> None:
    _, agent = world
    assert agent.process is not None
    used = psutil.Process(agent.process.pid).memory_info().rss / 2**20
    assert used < 60, f"{used:.0f} MiB"


# ---------------------------------------------------------------------------------- hostile tasks


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


def test_nothing_of_a_check_lives_on(world: World) -> None:
    master, agent = world
    daemon = CommandInfo("setsid sleep 1000 & true")
    check = quick_check(HealthCheckType.COMMAND, command=daemon)
    master.run(task("t1", "exec sleep 1000", health_check=check))
    master.wait("healthy", lambda heard: any(s.healthy for s in heard.updates("t1")))
    wait_until("all but the task has ended", lambda: len(agent.processes()) == 1)
    master.kill("t1")
    master.wait_state("t1", S.KILLED)


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can be somebody else")
def test_a_check_gives_its_environment_to_nobody_but_itself(world: World) -> None:
    """Its keeper is root until it has become the task's user: no library of a task is loaded."""
    master, agent = world
    command = CommandInfo(
        "exec sleep 1000",
        environment=(EnvironmentVariable("LD_PRELOAD", "/no/such/library.so"),),
        user="root",
    )
    check = quick_check(HealthCheckType.COMMAND, command=CommandInfo("sleep 1000"))
    check = replace(check, timeout_seconds=30)
    master.run(TaskInfo("t1", TaskId("t1"), AGENT_ID, command=command, health_check=check))
    master.wait_state("t1", S.RUNNING)

    def keepers() -> list[int]:
        return [pid for pid in pids() if is_keeper(pid)]

    def is_keeper(pid: int) -> bool:
        stat = shim.process_stat(pid)
        mine = stat is not None and agent.process is not None and int(stat[1]) == agent.process.pid
        return mine and b"--beside" in proc_file(pid, "cmdline")

    wait_until("the check runs", lambda: bool(keepers()))
    assert [proc_file(pid, "environ") for pid in keepers()] == [b""]
    master.kill("t1")
    master.wait_state("t1", S.KILLED)


@pytest.mark.parametrize("launcher", [None, "posix"])
def test_an_agent_that_has_lost_its_store_ends_what_it_does_not_know(
    tmp_path: Path, launcher: str | None
) -> None:
    for master, agent in agent_world(tmp_path / "agent", launcher=launcher):
        master.run(task("t1", "sleep 1000"))
        master.wait_state("t1", S.RUNNING)
        agent.crash()
        shutil.rmtree(agent.work_dir / "meta")
        agent.start()
        master.wait_registration(times=2)
        wait_until("nothing runs", lambda agent=agent: not agent.processes())  # type: ignore[misc]
        left = agent.work_dir / "run"
        wait_until("no folder is left", lambda left=left: not any(left.iterdir()))  # type: ignore[misc]
        assert groups_of(agent) == []
        assert [line for line in agent.logged() if line["event"] == "process.unknown"]


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


def groups_of(agent: Agent) -> list[Path]:
    """Its control groups, where it has some."""
    contained = [line["by"] for line in agent.logged() if line["event"] == "process.containment"]
    base = Path(contained[-1].rpartition(" ")[2])
    return [entry for entry in base.glob("*") if entry.is_dir()]


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
