"""Unique tasks without a master, with a real agent, real processes and the machine's clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mezzo.cluster.model import CommandInfo, DrainConfig, KillPolicy, TaskInfo
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import TaskId
from mezzo.messages import agent as am
from mezzo.process.users import current_user
from tests.parts.agent_harness import AGENT_ID, Agent, Master, alive, wait_until

S = TaskState
World = tuple[Master, Agent]


def task(task_id: str, line: str, **fields: object) -> TaskInfo:
    command = CommandInfo(line, user=current_user())
    return TaskInfo(task_id, TaskId(task_id), AGENT_ID, command=command, **fields)  # type: ignore[arg-type]


def run(master: Master, info: TaskInfo) -> int:
    """Its process id."""
    master.run(info)
    status = master.wait_state(info.task_id, S.RUNNING).container_status
    assert status is not None
    assert status.executor_pid is not None
    return status.executor_pid


def test_a_unique_task_ends_with_its_lease_and_others_run_on(world: World) -> None:
    master, _ = world
    other = run(master, task("other", "sleep 1000"))
    master.run(task("unique", "sleep 1000", unique_lease=1.0))
    killed = master.wait_state("unique", S.KILLED)
    assert killed.reason is Reason.MASTER_DISCONNECTED
    assert alive(other)


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can have clocks of its own")
def test_agents_and_keepers_have_one_clock_also_after_the_machine_has_slept() -> None:
    """Else a keeper would find every lease older than it is, by as long as the machine slept."""
    program = (
        "import time; from mezzo.process.clocks import MachineClock; "
        "print(MachineClock().now().mono_s - time.clock_gettime(time.CLOCK_BOOTTIME))"
    )
    asleep_s = "100000"
    command = ("unshare", "--time", "--boottime", asleep_s, "--fork", sys.executable, "-c", program)
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert abs(float(run.stdout)) < float(asleep_s) / 2


def test_the_alarm_of_a_keeper_counts_what_the_machine_sleeps(world: World) -> None:
    """No test can suspend a machine, but the kernel tells by which clock an alarm goes off."""
    master, agent = world
    master.run(task("t1", "sleep 1000", unique_lease=100.0))
    running = master.wait_state("t1", S.RUNNING).container_status
    assert running is not None
    pid_file = agent.work_dir / f"run/{running.container_id}/pid"
    timers = Path(f"/proc/{json.loads(pid_file.read_text())['shim']}/timers")
    wait_until("its alarm is set", lambda: "ClockID" in timers.read_text())
    assert f"ClockID: {time.CLOCK_BOOTTIME}" in timers.read_text()
    master.kill("t1")
    master.wait_state("t1", S.KILLED)


def test_the_keeper_ends_a_unique_task_whose_agent_is_dead(world: World) -> None:
    """And not before: as long as a master is known to hear of the agent the lease is renewed."""
    master, agent = world
    lease_s = 3.0
    pid = run(
        master, task("t1", "trap '' TERM; while true; do sleep 0.1; done", unique_lease=lease_s)
    )
    until = time.monotonic() + lease_s + 1
    number = 0
    while time.monotonic() < until:
        number += 1
        master.say(am.Ping(True, number, number - 1))
        master.wait(f"pong {number}", lambda heard: am.Pong(number) in heard.messages)  # noqa: B023 - it waits
    assert alive(pid)
    agent.crash()
    assert alive(pid)
    wait_until("its keeper has killed it", lambda: not alive(pid))
    agent.start()
    killed = master.wait_state("t1", S.KILLED)
    assert killed.reason is Reason.MASTER_DISCONNECTED
    assert master.heard.states("t1") == [S.STARTING, S.RUNNING, S.KILLED]


def test_a_drain_ends_what_would_rather_go_on(world: World) -> None:
    """Behaviour 102."""
    master, _ = world
    line = "trap '' TERM; echo > ready; while true; do sleep 0.1; done"
    pid = run(master, task("t1", line, kill_policy=KillPolicy(600)))
    master.say(am.DrainAgent(DrainConfig(max_grace_period=0.2, mark_gone=True)))
    gone = master.wait_state("t1", S.GONE_BY_OPERATOR)
    assert gone.reason is Reason.AGENT_DRAINING
    wait_until("it has ended", lambda: not alive(pid))
    master.run(task("t2", "true"))
    assert master.wait_state("t2", S.DROPPED).reason is Reason.AGENT_DRAINING
    master.say(am.ReactivateAgent())
    master.run(task("t3", "true"))
    master.wait_state("t3", S.FINISHED)
