"""The master as a process: durable over kill -9, standby, refusals, a clean stop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from mezzo.cluster.model import FaultDomain, FrameworkInfo, TaskStatus
from mezzo.core import Put
from mezzo.frameworks.sdk import Resources, TaskState, framework_info
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.master.state.records import FrameworkRecord
from mezzo.master.tables import FRAMEWORKS
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace
from mezzo.store.sqlite import SqliteStore
from mezzo.wire import scheduler as scheduler_wire
from mezzo.wire.clients.operator_client import OperatorClient
from mezzo.wire.v1 import scheduler_pb2, scheduler_pb2_grpc
from tests.parts.masters import SMALL, Cluster, MasterProcess, Recorder, cluster, until

__all__ = ["cluster"]


def stored_framework(master: MasterProcess, framework_id: FrameworkId) -> FrameworkRecord:
    store = SqliteStore(master.work_dir / "master.db")
    try:
        return FRAMEWORKS.decode(store.load()[FRAMEWORKS.key(framework_id)])
    finally:
        store.close()


def test_a_task_goes_all_the_way(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    agent = cluster.agent(master.target)
    scheduler = Recorder("t1")
    driver = cluster.driver(scheduler, master.target)
    assert scheduler.until("registered") == driver.framework_id
    run = agent.until(am.RunTask)
    assert (run.task.task_id, run.framework.id) == ("t1", driver.framework_id)
    assert scheduler.until_state("t1", TaskState.RUNNING).uuid is not None
    agent.until(am.UpdateAcknowledged)
    agent.finish(run.framework.id, "t1")
    scheduler.until_state("t1", TaskState.FINISHED)
    agent.until(am.UpdateAcknowledged)
    state = until("it is over", lambda: _completed(master))
    assert state.get_tasks.tasks == ()
    driver.stop()
    (gone,) = until("torn down", lambda: master.state().get_frameworks.completed_frameworks)
    assert gone.framework_info.id == driver.framework_id


def _completed(master: MasterProcess) -> om.State | None:
    state = master.state()
    return state if state.get_tasks.completed_tasks else None


def test_everything_survives_kill_9_of_the_master(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    agent = cluster.agent(master.target)
    scheduler = Recorder("t1")
    driver = cluster.driver(scheduler, master.target)
    framework_id = scheduler.until("registered")
    scheduler.until_state("t1", TaskState.RUNNING)
    agent_id = agent.info.id

    master.kill()
    scheduler.until("disconnected")
    master.start().until_it_leads()

    scheduler.until("reregistered")
    assert driver.framework_id == framework_id
    assert agent.until(am.AgentReregistered).agent_id == agent_id
    assert agent.epochs[-1] > agent.epochs[0], "a later term"
    (task,) = until("its task is back", lambda: master.state().get_tasks.tasks)
    assert (task.task_id, task.state) == ("t1", TaskState.RUNNING)
    driver.reconcile_tasks()
    assert scheduler.until("status").state is TaskState.RUNNING
    scheduler.wanted.append("t2")
    driver.revive_offers()
    scheduler.until_state("t2", TaskState.RUNNING)


def test_the_deadline_of_a_framework_survives_kill_9(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    scheduler = Recorder()
    info = replace(framework_info("away", user="nobody"), failover_timeout=5000.0)
    driver = cluster.driver(scheduler, master.target, info)
    framework_id = scheduler.until("registered")
    driver.stop(failover=True)
    until("it is away", lambda: not master.state().get_frameworks.frameworks[0].connected)
    deadline_s = until(
        "its deadline is stored", lambda: stored_framework(master, framework_id).deadline_s
    )
    master.kill()
    master.start().until_it_leads()
    assert stored_framework(master, framework_id).deadline_s == deadline_s
    (view,) = master.state().get_frameworks.frameworks
    assert (view.framework_info.id, view.recovered) == (framework_id, True)

    again = Recorder()
    cluster.driver(again, master.target, replace(info, id=framework_id))
    again.until("reregistered")
    assert stored_framework(master, framework_id).deadline_s is None


def test_a_standby_refuses_with_the_leaders_address_and_takes_over(cluster: Cluster) -> None:
    """Behaviour 63."""
    leader = cluster.master().until_it_leads()
    standby = cluster.master()  # on the same work directory
    until("it knows the leader", lambda: leader.target in standby.refusal())
    assert f"takes no writes: send it to {leader.target}" in standby.refusal()

    both = f"{standby.target},{leader.target}"
    agent = cluster.agent(both)
    scheduler = Recorder("t1")
    cluster.driver(scheduler, both)
    scheduler.until_state("t1", TaskState.RUNNING)

    leader.kill()
    standby.until_it_leads()
    scheduler.until("reregistered")
    agent.until(am.AgentReregistered)
    assert [t.task_id for t in until("t1", lambda: standby.state().get_tasks.tasks)] == ["t1"]


def test_sigterm_is_a_clean_stop(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    scheduler = Recorder()
    cluster.driver(scheduler, master.target)
    scheduler.until("registered")
    assert master.stop() == 0
    assert "Traceback" not in master.log
    scheduler.until("disconnected")


def test_a_port_that_is_taken_is_named(cluster: Cluster) -> None:
    first = cluster.master().until_it_leads()
    second = cluster.master("--port", str(first.port), name="other")
    assert second.wait() == 2
    assert f"cannot listen on {first.target}" in second.log
    assert "Traceback" not in second.log


def test_a_master_and_its_gateway_need_two_ports(cluster: Cluster) -> None:
    """The gateway would have been started again and again beside a master that runs."""
    master = cluster.master("--port", "5050", "--gateway-port", "5050")
    assert master.wait() == 2
    assert "--port and --gateway-port are both 5050" in master.log


# ---- bad clients


@contextlib.contextmanager
def raw_stream(master: MasterProcess, calls: list[Any]) -> Iterator[Any]:
    """The answers to what a client sends that is none of ours."""
    batches = [scheduler_pb2.CallBatch(calls=[call]) for call in calls]
    with grpc.insecure_channel(master.target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield scheduler_pb2_grpc.SchedulerStub(channel).Subscribe(iter(batches))  # type: ignore[no-untyped-call]


def test_a_call_that_makes_no_sense_ends_its_stream_alone(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    scheduler = Recorder()
    driver = cluster.driver(scheduler, master.target)
    scheduler.until("registered")
    info = FrameworkInfo("nobody", "MARK")
    subscribe = scheduler_wire.call_to_wire(sm.Subscribe(info), None).SerializeToString()
    binary = scheduler_pb2.Call.FromString(subscribe.replace(b"MARK", b"\xff\xfe\xfd\xfc"))
    for call, complaint in [
        (scheduler_pb2.Call(), "call UNKNOWN is not one"),
        (scheduler_pb2.Call(type="ACCEPT"), "ACCEPT lacks its body"),
        (binary, "not UTF-8"),
    ]:
        with raw_stream(master, [call]) as answers:
            with pytest.raises(grpc.RpcError, match=complaint) as caught:
                next(answers)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    scheduler.wanted.append("t1")
    cluster.agent(master.target)
    scheduler.until_state("t1", TaskState.RUNNING)
    assert [f.framework_info.id for f in master.state().get_frameworks.frameworks] == [
        driver.framework_id
    ]


def test_a_framework_that_is_refused_hears_why_and_its_stream_ends(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    bad = scheduler_wire.call_to_wire(sm.Subscribe(FrameworkInfo("x", "x", role="a b")), None)
    with raw_stream(master, [bad]) as answers:
        (event,) = [scheduler_wire.event_from_wire(e) for batch in answers for e in batch.events]
    assert event is not None
    assert isinstance(event[1], sm.Error)
    assert "role 'a b' is invalid" in event[1].message


# ---- operators


def test_operators_follow_from_a_snapshot_on(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    client = OperatorClient(master.target)
    events = client.events()
    try:
        at, epoch, snapshot = next(events)
        assert isinstance(snapshot, om.OperatorSubscribed)
        assert (epoch > 0, snapshot.get_state) == (True, om.State())
        agent = cluster.agent(master.target, Resources.of(cpus=1, mem=64))
        sequence, _, added = next(events)
        assert isinstance(added, om.AgentAdded)
        assert (sequence, added.agent.agent_info.hostname) == (at + 1, agent.info.hostname)
        scheduler = Recorder()
        cluster.driver(scheduler, master.target)
        framework_id = scheduler.until("registered")
        answer_at, answer = client.call(om.Teardown(framework_id))
        assert answer == om.Done()
        seen = {}
        while not isinstance(event := next(events), tuple) or not isinstance(
            event[2], om.FrameworkRemoved
        ):
            seen[event[0]] = event[2]
        assert event[0] == answer_at
    finally:
        events.close()
        client.close()


def test_a_broken_operator_stream_goes_on_where_it_ended(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    client = OperatorClient(master.target)
    try:
        events = client.events()
        at, epoch, _ = next(events)
        events.close()
        agent = cluster.agent(master.target, SMALL)
        until("it is registered", lambda: agent.info.id)
        again = client.events(om.Resume(epoch, at))
        assert next(again) == (at, epoch, om.OperatorHeartbeat())
        sequence, _, added = next(again)
        assert isinstance(added, om.AgentAdded)
        assert sequence == at + 1
        again.close()
    finally:
        client.close()


def test_what_operators_set_survives_kill_9(cluster: Cluster) -> None:
    """Behaviour 64."""
    master = cluster.master().until_it_leads()
    quota = om.QuotaConfig("ops", {}, {"cpus": 1500})
    assert master.ask(om.UpdateQuota((quota,))) == om.Done()
    assert master.ask(om.UpdateWeights((om.WeightInfo(3.0, "ops/web"),))) == om.Done()
    before = [master.ask(call) for call in (om.GetQuota(), om.GetWeights())]
    master.kill()
    master.start().until_it_leads()
    assert [master.ask(call) for call in (om.GetQuota(), om.GetWeights())] == before
    assert before[0] == om.Quotas(om.QuotaStatus((quota,)))


def test_metrics_tell_how_long_things_take(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    cluster.agent(master.target, Resources.of(cpus=1, mem=64))
    scheduler = Recorder("t1")
    cluster.driver(scheduler, master.target)
    scheduler.until_state("t1", TaskState.RUNNING)
    answer = master.ask(om.GetMetrics())
    assert isinstance(answer, om.Metrics)
    shown = {metric.name: metric.value or 0 for metric in answer.metrics}
    assert list(shown) == sorted(shown)
    for timer in ("allocator/mesos/allocation_run_ms", "registrar/state_store_ms"):
        assert 0 < shown[f"{timer}/min"] <= shown[f"{timer}/p50"] <= shown[f"{timer}/max"]
        assert shown[f"{timer}/count"] >= 1
    assert shown["system/mem_total_bytes"] > shown["system/mem_free_bytes"] > 0
    assert shown["master/tasks_running"] == 1


def test_flags_say_what_is_offered_to_whom(cluster: Cluster) -> None:
    hosts = cluster.directory / "hosts"
    hosts.write_text("elsewhere\n")
    master = cluster.master(
        *("--whitelist", str(hosts), "--roles", "ops", "--min_allocatable_resources", "cpus:64"),
        *("--domain", "eu/a"),
    ).until_it_leads()
    answer = master.ask(om.GetMaster())
    assert isinstance(answer, om.Master)
    assert answer.master_info.domain == FaultDomain("eu", "a")
    agent = cluster.agent(master.target, Resources.of(cpus=1, mem=64))
    until("it is registered", lambda: agent.info.id)
    scheduler = Recorder()
    cluster.driver(scheduler, master.target, framework_info("test", user="me", roles=("ops",)))
    scheduler.until("registered")
    told = master.ask(om.Explain())
    assert isinstance(told, om.Explanations)
    (explanation,) = told.explanations
    vetoes = [objection.veto for objection in explanation.objections]
    assert {"WHITELIST", "TOO_SMALL"} <= set(vetoes)
    stranger = Recorder()
    cluster.driver(stranger, master.target, framework_info("test", user="me", roles=("eng",)))
    assert "--roles" in stranger.until("error")


@pytest.mark.parametrize(
    ("flag", "value"), [("--whitelist", "/nowhere/hosts"), ("--roles", "ops,a b")]
)
def test_a_flag_that_makes_no_sense_is_named(cluster: Cluster, flag: str, value: str) -> None:
    master = cluster.master(flag, value)
    assert master.wait() == 2
    assert flag in master.log
    assert "Traceback" not in master.log


def test_a_slow_start_is_no_reason_to_give_up(cluster: Cluster) -> None:
    """Agents and frameworks may be started before the master."""
    master = cluster.master()
    master.kill()
    agent = cluster.agent(master.target, SMALL + SMALL)
    scheduler = Recorder("t1")
    cluster.driver(scheduler, master.target)
    master.start()
    scheduler.until_state("t1", TaskState.RUNNING)
    assert agent.info.id is not None


# ---- peers that lie, and a store that is damaged


def test_an_agent_that_lies_hurts_nobody_and_is_named_in_the_log(cluster: Cluster) -> None:
    """It claims another agent's task as ended, as its own, and as one of an agent that is nowhere:
    the first was forwarded once, the last ended the leader."""
    master = cluster.master().until_it_leads()
    honest = cluster.agent(master.target)
    scheduler = Recorder("t1")
    driver = cluster.driver(scheduler, master.target)
    scheduler.until_state("t1", TaskState.RUNNING)
    liar = cluster.agent(master.target)
    liar.until(am.AgentRegistered)
    framework_id, task_id = driver.framework_id, TaskId("t1")
    assert framework_id is not None
    status = TaskStatus(task_id, TaskState.FINISHED, agent_id=liar.info.id, uuid=b"l" * 16)
    liar.say(am.StatusUpdate(framework_id, status, TaskState.FINISHED))
    assert liar.until(am.UpdateAcknowledged).task_id == "t1"
    mine = replace(honest.tasks[(framework_id, task_id)], agent_id=liar.info.id)
    nowhere = replace(mine, task_id=TaskId("t2"), agent_id=AgentId("nowhere"))
    liar.say(am.ReregisterAgent(liar.info, "1.0", "boot", (mine, nowhere)))
    assert [liar.until(am.KillTask).task_id for _ in range(2)] == ["t1", "t2"]
    liar.until(am.AgentReregistered)
    (task,) = master.state().get_tasks.tasks
    assert (task.agent_id, task.state) == (honest.info.id, TaskState.RUNNING)
    assert master.log.count("message.denied") == 3
    assert f"agent {liar.info.id}" in master.log
    honest.finish(framework_id, "t1")
    scheduler.until_state("t1", TaskState.FINISHED)
    driver.stop()


def test_a_damaged_record_is_set_aside_and_the_rest_leads(cluster: Cluster) -> None:
    master = cluster.master().until_it_leads()
    agents = [cluster.agent(master.target) for _ in range(2)]
    ids = [agent.until(am.AgentRegistered).agent_id for agent in agents]
    master.kill()
    store = SqliteStore(master.work_dir / "master.db")
    store.open_term()
    store.commit([Put(f"agent/{ids[0]}", b"{damaged"), Put("quota/x", b"[]")])
    store.close()
    master.start().until_it_leads()
    answer = master.ask(om.GetSetAside())
    assert isinstance(answer, om.SetAside)
    keys = [each.key for each in answer.records]
    assert "quota/x" in keys
    assert "record.set_aside" in master.log
    for agent in agents:  # both are back, also the one whose record says nothing
        agent.until(am.AgentReregistered)
    assert master.ask(om.DeleteSetAside("quota/x")) == om.Done()
    answer = master.ask(om.GetSetAside())
    assert answer == om.SetAside()
    master.stop()
    master.start().until_it_leads()
    assert master.ask(om.GetSetAside()) == om.SetAside()
