"""Metrics: what is counted is what happened, and gauges are what is true now."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import Capability
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

from ..world import BIG, SMALL, Framework, World, task


def metrics(world: World, prefix: str = "") -> dict[str, float]:
    answer = world.ask(om.GetMetrics())
    assert isinstance(answer, om.Metrics)
    names = [metric.name for metric in answer.metrics]
    assert names == sorted(set(names))
    return {
        metric.name.removeprefix(prefix): metric.value
        for metric in answer.metrics
        if metric.name.startswith(prefix) and metric.value is not None
    }


def of_framework(world: World, framework: Framework) -> dict[str, float]:
    return metrics(world, f"master/frameworks/{framework.info.name}/{framework.id}/")


def test_an_empty_master_shows_its_zeros(world: World) -> None:
    world.advance(10)
    shown = metrics(world, "master/")
    assert shown["uptime_secs"] == 10
    assert shown["elected"] == 1
    for name in (
        *("slaves_active", "frameworks_connected", "outstanding_offers", "tasks_running"),
        *("tasks_finished", "tasks_lost", "messages_kill_task", "slave_registrations"),
        *("cpus_total", "mem_percent", "gpus_revocable_used", "slave_unreachable_completed"),
    ):
        assert shown[name] == 0, name


def test_resources_are_added_up_by_kind(world: World) -> None:
    world.agent(Resources.parse("cpus:4;mem:4000;gpus:1;cpus(r):1"))
    gone = world.agent()
    framework = world.framework(capabilities=(Capability.GPU_RESOURCES,))
    framework.launch("t1", Resources.of(cpus=1, mem=1000), agent=gone)
    shown = metrics(world, "master/")
    assert (shown["cpus_total"], shown["cpus_used"]) == (9, 1)
    assert shown["mem_percent"] == pytest.approx(1 / 8)
    assert (shown["gpus_total"], shown["cpus_revocable_total"]) == (1, 0)
    shares = metrics(world, "allocator/mesos/")
    assert shares["resources/cpus/total"] == 9
    assert shares["resources/cpus/offered_or_allocated"] == 5, "the rest is refused or reserved"
    assert shares["offer_filters/roles/*/active"] == 1
    gone.disconnect()
    shown = metrics(world, "master/")
    assert (shown["slaves_connected"], shown["slaves_disconnected"]) == (1, 1)
    assert (shown["slaves_active"], shown["slaves_inactive"]) == (1, 1)
    world.advance(100)
    shown = metrics(world, "master/")
    assert (shown["slaves_unreachable"], shown["slave_removals"]) == (1, 1)
    assert shown["tasks_unreachable"] == 1
    assert shown["cpus_total"] == 5


def test_agents_are_counted_as_they_come(world: World) -> None:
    agent = world.agent()
    agent.disconnect()
    agent.reregister()
    shown = metrics(world, "master/")
    assert (shown["slave_registrations"], shown["slave_reregistrations"]) == (1, 1)
    assert (shown["messages_register_slave"], shown["messages_reregister_slave"]) == (1, 1)


def test_each_end_of_a_task_is_counted_once_with_its_reason(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, TaskState.RUNNING)
    assert metrics(world, "master/")["tasks_running"] == 1
    agent.update(info, framework.id, TaskState.FAILED, reason=Reason.EXECUTOR_TERMINATED)
    agent.resend()
    agent.disconnect()
    agent.reregister()
    agent.resend()
    shown = metrics(world, "master/")
    assert (shown["tasks_failed"], shown["tasks_running"]) == (1, 0)
    assert shown["task_failed/source_executor/reason_executor_terminated"] == 1
    assert (shown["messages_status_update"], shown["valid_status_updates"]) == (4, 4)
    assert of_framework(world, framework)["tasks/terminal/task_failed"] == 1


def test_tasks_that_are_marked_gone_with_an_unreachable_agent_are_counted(world: World) -> None:
    agent, framework = world.agent(), world.framework(failover_timeout=1e6)
    framework.launch("t1")
    agent.disconnect()
    world.advance(100)
    assert metrics(world, "master/")["tasks_unreachable"] == 1
    world.ask(om.MarkAgentGone(agent.id))
    shown = metrics(world, "master/")
    assert (shown["tasks_gone_by_operator"], shown["tasks_unreachable"]) == (1, 0)
    reason = "source_master/reason_agent_removed_by_operator"
    assert shown[f"task_gone_by_operator/{reason}"] == 1
    assert of_framework(world, framework)["tasks/terminal/task_gone_by_operator"] == 1


def test_an_end_that_the_report_tells_first_is_counted_once(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    sent = agent.update(info, framework.id, TaskState.RUNNING, latest=TaskState.FINISHED)
    assert metrics(world, "master/")["tasks_finished"] == 1
    framework.acknowledge(sent)
    agent.reregister()
    agent.update(info, framework.id, TaskState.FINISHED, reason=Reason.EXECUTOR_TERMINATED)
    shown = metrics(world, "master/")
    assert shown["tasks_finished"] == 1
    assert shown["task_finished/source_executor/reason_executor_terminated"] == 1


def test_tasks_that_never_were_are_counted_as_errors(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    offer = framework.offer()
    framework.accept([offer], task("big", agent.id, BIG + SMALL))
    framework.accept([offer], task("late", agent.id))
    shown = metrics(world, "master/")
    assert (shown["tasks_error"], shown["tasks_dropped"]) == (1, 1)
    assert shown["task_error/source_master/reason_task_invalid"] == 1
    assert shown["task_dropped/source_master/reason_invalid_offers"] == 1
    framework.reconcile(("late", None))
    assert metrics(world, "master/")["tasks_dropped"] == 1, "an answer is no end"


def test_tasks_of_a_framework_that_is_torn_down_are_killed(world: World) -> None:
    world.agent()
    framework = world.framework()
    framework.launch("t1")
    framework.say(sm.Teardown())
    shown = metrics(world, "master/")
    assert (shown["tasks_killed"], shown["tasks_staging"]) == (1, 0)
    assert shown["task_killed/source_master/reason_framework_removed"] == 1
    assert not any(framework.id in name for name in shown), "its own metrics go with it"


def test_what_a_framework_does_with_its_offers_is_counted(world: World) -> None:
    world.agent()
    world.agent()
    framework = world.framework("a/b")
    first, _ = framework.offers.values()
    framework.accept([first], task("t1", first.agent_id), refuse_s=3600)
    framework.decline()
    framework.say(sm.Decline((first.id,)))
    world.agent().disconnect()
    shown = metrics(world, f"master/frameworks/a%2Fb/{framework.id}/")
    assert shown["subscribed"] == 1
    assert shown["offers/sent"] == 3
    assert (shown["offers/accepted"], shown["offers/declined"]) == (1, 1)
    assert shown["offers/rescinded"] == 1
    assert shown["calls"] == 4, "what was declined twice was called for twice"
    assert shown["tasks/active/task_staging"] == 1
    assert metrics(world, "master/")["messages_decline_offers"] == 2


def test_accepting_for_nothing_is_declining(world: World) -> None:
    world.agent()
    framework = world.framework()
    framework.say(sm.Accept(tuple(framework.offers)))
    shown = of_framework(world, framework)
    assert shown["offers/declined"] == 1
    assert "offers/accepted" not in shown


def test_what_nobody_may_say_is_dropped_and_counted(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    agent.update(task("unknown", agent.id), framework.id, TaskState.RUNNING)
    assert metrics(world, "master/")["invalid_status_updates"] == 1


def test_quota_is_shown_with_what_is_consumed(world: World) -> None:
    world.agent()
    configs = (om.QuotaConfig("r", {"cpus": 1000}, {"cpus": 2000}),)
    assert world.ask(om.UpdateQuota(configs)) == om.Done()
    framework = world.framework(roles=("r",), capabilities=(Capability.MULTI_ROLE,))
    framework.launch("t1")
    shown = metrics(world, "allocator/mesos/")
    assert {
        name.rpartition("/")[2]: value
        for name, value in shown.items()
        if name.startswith("quota/roles/r/resources/cpus/")
    } == {"guarantee": 1, "limit": 2, "consumed": 1, "offered_or_allocated": 1}
    assert shown["roles/r/shares/dominant"] == 0.25
    assert shown["allocation_runs"] >= 2


def test_counters_do_not_grow_in_number(world: World) -> None:
    """Constant memory: a name for each kind of thing, not for each thing."""
    agent, framework = world.agent(), world.framework()

    def life(name: str) -> None:
        framework.say(sm.Revive())
        info = framework.launch(name)
        for state in (TaskState.RUNNING, TaskState.FINISHED):
            framework.acknowledge(agent.update(info, framework.id, state))
        agent.disconnect()
        agent.reregister()

    life("t1")
    state = world.core.state
    entry = state.frameworks[framework.id]
    sizes = len(state.counters), len(entry.counters)
    for number in range(5):
        life(f"again-{number}")
    assert (len(state.counters), len(entry.counters)) == sizes
