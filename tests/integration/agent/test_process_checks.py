"""Health checks of tasks that are real processes."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from mezzo.agent.containerizer.native import shim
from mezzo.cluster.model import (
    CommandInfo,
    EnvironmentVariable,
    HealthCheck,
    HealthCheckType,
    HttpCheck,
    TaskInfo,
    TcpCheck,
)
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import TaskId
from mezzo.record import replace
from tests.parts.agent_harness import (
    AGENT_ID,
    Agent,
    Master,
    alive,
    pids,
    proc_file,
    sandbox,
    task,
    wait_until,
)

S = TaskState
World = tuple[Master, Agent]


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
