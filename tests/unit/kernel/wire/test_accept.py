"""An ACCEPT of which a part can't be sent, or read: the rest goes on, and the part is told."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo import MESOS_VERSION
from mezzo.cluster.model import CommandInfo, ExecutorInfo, KillPolicy, TaskInfo, TaskStatus
from mezzo.cluster.operations import Launch, LaunchGroup, Reserve
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import TaskState
from mezzo.errors import BadRequest, Unencodable
from mezzo.ids import AgentId, ExecutorId, OfferId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import scheduler as sm
from mezzo.wire import agent as agent_wire
from mezzo.wire import scheduler as scheduler_wire
from mezzo.wire.batches import ENTRY_MAX_BYTES
from mezzo.wire.v1 import scheduler_pb2

OFFERS = (OfferId("o"),)


def task(name: str, grace: float = 1.0, **more: Any) -> TaskInfo:
    policy = KillPolicy(grace)
    return TaskInfo(name, TaskId(name), AgentId("a"), kill_policy=policy, **more)


def sent(*calls: sm.Call) -> tuple[list[sm.Call], list[tuple[Any, str]]]:
    """What arrives, and what was left out."""
    left: list[tuple[Any, str]] = []

    def refused(what: object, error: Unencodable) -> None:
        left.append((what, str(error)))

    batches = list(scheduler_wire.calls_to_wire(calls, None, refused))
    return [scheduler_wire.call_from_wire(c)[1] for batch in batches for c in batch.calls], left


def test_of_a_launch_only_the_task_that_cannot_be_sent_is_left_out() -> None:
    good, bad, other = task("good"), task("bad", 1e300), task("other")
    arrived, left = sent(sm.Accept(OFFERS, (Launch((good, bad)), Launch((other,)))))
    assert arrived == [sm.Accept(OFFERS, (Launch((good,)), Launch((other,))))]
    ((what, why),) = left
    assert what == bad
    assert why.startswith("TaskInfo.kill_policy.grace_period is 1e+300: it must be")


def test_when_no_task_is_left_the_offers_go_back() -> None:
    bad = task("bad", 1e300)
    arrived, left = sent(sm.Accept(OFFERS, (Launch((bad,)),)))
    assert arrived == [sm.Accept(OFFERS)]
    assert [what for what, _ in left] == [bad]


def test_of_a_group_every_task_is_left_out() -> None:
    tasks = (task("good"), task("bad", 1e300))
    group = LaunchGroup(ExecutorInfo(ExecutorId("e")), tasks)
    arrived, left = sent(sm.Accept(OFFERS, (group,)))
    assert arrived == [sm.Accept(OFFERS)]
    assert [what for what, _ in left] == list(tasks)


def test_an_operation_that_cannot_be_sent_is_left_out_alone() -> None:
    bad = Reserve(Resources({Kind("cpus"): 10**19}), id="r")
    launch = Launch((task("t"),))
    arrived, left = sent(sm.Accept(OFFERS, (bad, launch)))
    assert arrived == [sm.Accept(OFFERS, (launch,))]
    assert [what for what, _ in left] == [bad]


def test_another_call_that_cannot_be_sent_leaves_its_neighbours() -> None:
    bad = sm.Kill(TaskId("t"), kill_policy=KillPolicy(1e10))
    arrived, left = sent(sm.Revive(), bad, sm.Suppress())
    assert arrived == [sm.Revive(), sm.Suppress()]
    assert [what for what, _ in left] == [bad]


def test_what_is_larger_than_a_message_is_left_out() -> None:
    large = sm.Message(AgentId("a"), ExecutorId("e"), bytes(ENTRY_MAX_BYTES))
    arrived, left = sent(sm.Revive(), large)
    assert arrived == [sm.Revive()]
    ((what, why),) = left
    assert what is large
    assert "a message holds" in why


def test_without_an_owner_the_error_is_raised() -> None:
    with pytest.raises(Unencodable):
        list(scheduler_wire.calls_to_wire([sm.Kill(TaskId("t"), None, KillPolicy(1e10))], None))


# ---- reading


def accept(*operations: Any) -> scheduler_pb2.Call:
    return scheduler_wire.call_to_wire(sm.Accept(OFFERS, operations), None)


def test_of_a_launch_only_the_task_that_cannot_be_read_is_refused() -> None:
    good, bad = task("good"), task("bad")
    call = accept(Launch((good, bad)), Launch((bad,)))
    tasks = call.accept.operations[0].launch.task_infos
    tasks[1].kill_policy.grace_period.nanoseconds = 2**63 - 1
    read = scheduler_wire.call_from_wire(call)[1]
    why = (
        "TaskInfo.kill_policy.grace_period is 9223372036854775807 ns: it must be a number from 0 "
        "to 9223372036 of seconds"
    )
    assert read == sm.Accept(
        OFFERS, (Launch((good,)), Launch((bad,))), unreadable=(sm.Unreadable(why, TaskId("bad")),)
    )


def test_of_a_group_every_task_is_refused() -> None:
    call = accept(LaunchGroup(ExecutorInfo(ExecutorId("e")), (task("good"), task("bad"))))
    tasks = call.accept.operations[0].launch_group.task_group.tasks
    tasks[1].max_completion_time.nanoseconds = -1
    read = scheduler_wire.call_from_wire(call)[1]
    assert isinstance(read, sm.Accept)
    assert read.operations == ()
    assert [(each.task_id, each.group) for each in read.unreadable] == [
        ("good", True),
        ("bad", True),
    ]


def test_an_operation_that_cannot_be_read_is_refused_by_its_id() -> None:
    call = accept(Reserve(Resources.of(cpus=1), id="r"), Launch((task("t"),)))
    call.accept.operations[0].reserve.resources[0].scalar.value = float("nan")
    read = scheduler_wire.call_from_wire(call)[1]
    assert isinstance(read, sm.Accept)
    assert read.operations == (Launch((task("t"),)),)
    (each,) = read.unreadable
    assert (each.operation_id, each.task_id) == ("r", None)


def test_a_task_whose_id_is_no_text_is_refused_without_a_name() -> None:
    raw = accept(Launch((task("MARK"),))).SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc")
    read = scheduler_wire.call_from_wire(scheduler_pb2.Call.FromString(raw))[1]
    assert isinstance(read, sm.Accept)
    assert [each.task_id for each in read.unreadable] == [None]


def test_an_accept_whose_offers_cannot_be_read_is_refused_as_a_whole() -> None:
    raw = accept().SerializeToString().replace(b"\n\x01o", b"\n\x01\xff")
    with pytest.raises(BadRequest, match=r"Accept\.offer_ids is not UTF-8"):
        scheduler_wire.call_from_wire(scheduler_pb2.Call.FromString(raw))


# ---- what agents report


def test_an_update_that_cannot_be_sent_whole_goes_as_the_bare_fact() -> None:
    told: list[str] = []
    status = TaskStatus(
        TaskId("t"), TaskState.FAILED, message="\ud800", uuid=b"u" * 16, timestamp=-1.0
    )
    update = am.StatusUpdate(sm.FrameworkId("f"), status, TaskState.FAILED)
    (batch,) = agent_wire.agent_batches_to_wire(
        [am.Pong(1), update], lambda what, error: told.append(str(error))
    )
    pong, read = agent_wire.agent_batch_from_wire(batch)
    assert pong == am.Pong(1)
    assert isinstance(read, am.StatusUpdate)
    assert (read.status.state, read.status.uuid) == (TaskState.FAILED, b"u" * 16)
    assert "could not be sent whole" in (read.status.message or "")
    assert len(told) == 1


def test_of_a_report_goes_what_can() -> None:
    told: list[str] = []
    executors = (
        ExecutorInfo(ExecutorId("good")),
        ExecutorInfo(ExecutorId("bad"), command=CommandInfo("\ud800")),
    )
    info = am.AgentInfo("h")
    report = am.ReregisterAgent(info, MESOS_VERSION, "boot", executors=executors)
    (batch,) = agent_wire.agent_batches_to_wire([report], lambda _, error: told.append(str(error)))
    assert agent_wire.agent_batch_from_wire(batch) == [
        am.ReregisterAgent(info, MESOS_VERSION, "boot", executors=executors[:1])
    ]
    assert len(told) == 1
    assert "bad" in told[0]
