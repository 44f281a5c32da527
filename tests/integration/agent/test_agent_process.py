"""A real agent with real processes: what happens to tasks, whatever happens to the agent."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from mezzo.cluster.model import (
    FrameworkInfo,
)
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.process.users import current_user
from tests.parts.agent_harness import (
    FRAMEWORK,
    Agent,
    Master,
    agent_world,
    alive,
    any_with,
    groups_of,
    sandbox,
    task,
    unique,
    wait_until,
)

S = TaskState
World = tuple[Master, Agent]


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


def test_a_task_survives_the_crash_of_its_agent_and_stays_itself(world: World) -> None:
    """Behaviour 43."""
    master, agent = world
    master.run(task("t1", "sleep 1000"))
    pid = master.wait_pid("t1")
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
    pid = master.wait_pid("t1")
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


def test_the_tasks_of_a_framework_without_checkpoints_end_with_their_agent(world: World) -> None:
    """Behaviour 48: it was running and is surely not now."""
    master, agent = world
    framework = FrameworkInfo(
        user=current_user(), name="f", id=FrameworkId("F1"), capabilities=FRAMEWORK.capabilities
    )
    master.run(task("t1", "sleep 1000"), framework)
    pid = master.wait_pid("t1")
    agent.crash()
    agent.start()
    gone = master.wait_state("t1", S.GONE)
    assert gone.reason is Reason.AGENT_RESTARTED
    wait_until("it has ended", lambda: not alive(pid))


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
    pid = master.wait_pid("t1")
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
    pid = master.wait_pid("t1")
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
