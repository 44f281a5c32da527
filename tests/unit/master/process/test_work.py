"""Work grows with what a message holds, and not with its square: a large one stops nobody."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.cluster.amounts import Items
from mezzo.cluster.model import (
    Attribute,
    Capability,
    CommandInfo,
    ExecutorInfo,
    ExecutorType,
    FrameworkInfo,
    MachineId,
    Task,
    TaskInfo,
    Unavailability,
)
from mezzo.cluster.operations import Launch, LaunchGroup, Reserve
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import Source, TaskState
from mezzo.ids import ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace
from tests.parts.work import Action, Scenario, lines_per_pair

from .. import reserved
from ..world import Agent, Framework, World, task

S = TaskState
HUGE = Resources.of(cpus=100_000, mem=1_000_000, disk=1_000_000, ports=[(1, 60_000)])
TINY = Resources.of(cpus=0.01)


SCENARIOS: list[Scenario] = []


def scenario(prepare: Scenario) -> Scenario:
    SCENARIOS.append(prepare)
    return prepare


def port(number: int) -> Resources:
    return TINY + Resources.of(ports=[(2 * number, 2 * number)])


def executor(number: int, framework: FrameworkId | None = None) -> ExecutorInfo:
    return ExecutorInfo(
        ExecutorId(f"e{number}"), framework, command=CommandInfo("x"), resources=TINY
    )


def reported(agent: Agent, framework: Framework, size: int) -> None:
    """It has that many tasks, which nobody has told of yet."""
    for number in range(size):
        one = Task(
            "t",
            TaskId(f"t{number}"),
            agent.id,
            framework_id=framework.id,
            state=S.RUNNING,
            resources=port(number),
        )
        agent.tasks[(framework.id, one.task_id)] = one


def pair(**info: Any) -> tuple[World, Agent, Framework]:
    world = World(offer_timeout_s=None)
    return world, world.agent(HUGE), world.framework(**info)


def running(size: int) -> tuple[World, Agent, Framework, list[TaskInfo]]:
    world, agent, framework = pair()
    infos = [task(f"t{number}", agent.id, port(number)) for number in range(size)]
    framework.accept(list(framework.offers.values()), *infos)
    for info in infos:
        framework.acknowledge(agent.update(info, framework.id, S.RUNNING))
    return world, agent, framework, infos


# ---------------------------------------------------------------------------------- reports


@scenario
def report(size: int) -> Action:
    _, agent, framework = pair()
    reported(agent, framework, size)
    agent.connect()
    return lambda: agent.say(agent.report())


@scenario
def report_again(size: int) -> Action:
    _, agent, _, _ = running(size)
    return lambda: agent.say(agent.report())


@scenario
def report_after_restart(size: int) -> Action:
    world, agent, _, _ = running(size)
    world.restart()
    agent.connect()
    return lambda: agent.say(agent.report())


@scenario
def report_of_ends(size: int) -> Action:
    _, agent, _, _ = running(size)
    for key, each in agent.tasks.items():
        agent.tasks[key] = replace(each, state=S.FINISHED)
    return lambda: agent.say(agent.report())


@scenario
def report_of_nothing(size: int) -> Action:
    _, agent, _, _ = running(size)
    agent.tasks.clear()
    agent.connect()
    return lambda: agent.say(agent.report())


@scenario
def report_of_executors(size: int) -> Action:
    _, agent, framework = pair()
    for number in range(size):
        info = executor(number, framework.id)
        agent.executors[(framework.id, info.executor_id)] = info
        one = Task(
            "t",
            TaskId(f"t{number}"),
            agent.id,
            framework_id=framework.id,
            state=S.RUNNING,
            resources=TINY,
        )
        agent.tasks[(framework.id, one.task_id)] = replace(one, executor_id=info.executor_id)
    agent.connect()
    return lambda: agent.say(agent.report())


@scenario
def report_of_unknown_frameworks(size: int) -> Action:
    _, agent, _ = pair()
    for number in range(size):
        id_ = FrameworkId(f"f{number}")
        agent.frameworks[id_] = FrameworkInfo("root", f"f{number}", id=id_)
        one = Task(
            "t",
            TaskId(f"t{number}"),
            agent.id,
            framework_id=id_,
            state=S.RUNNING,
            resources=port(number),
        )
        agent.tasks[(id_, one.task_id)] = one
    agent.connect()
    return lambda: agent.say(agent.report())


@scenario
def report_of_odd_resources(size: int) -> Action:
    world, agent, framework = pair()
    for number in range(size):
        world.agent(TINY)
        one = Task("t", TaskId(f"t{number}"), agent.id, framework_id=framework.id, state=S.RUNNING)
        odd = Resources({Kind(f"odd{number}"): 1000})
        agent.tasks[(framework.id, one.task_id)] = replace(one, resources=odd)
    agent.connect()
    return lambda: agent.say(agent.report())


@scenario
def registration_with_many_kinds(size: int) -> Action:
    world, _, _ = pair()
    kinds = Resources({Kind(f"odd{number}"): 1000 for number in range(size)})
    sets = Resources({Kind("seats"): Items.of([f"s{number}" for number in range(size)])})
    names = tuple(Attribute(f"a{number}", "x") for number in range(size))
    return lambda: world.agent(HUGE + kinds + sets, attributes=names)


# ---------------------------------------------------------------------------------- updates


@scenario
def updates(size: int) -> Action:
    _, agent, framework, infos = running(size)

    def act() -> None:
        for info in infos:
            framework.acknowledge(agent.update(info, framework.id, S.FINISHED))

    return act


@scenario
def ends_of_a_silent_executors_tasks(size: int) -> Action:
    _, agent, framework = pair()
    one = executor(0)
    infos = [
        task(f"t{number}", agent.id, TINY, command=None, executor=one) for number in range(size)
    ]
    framework.accept(list(framework.offers.values()), *infos)

    def act() -> None:
        for info in infos:
            agent.update(info, framework.id, S.ERROR, source=Source.AGENT)

    return act


@scenario
def an_executor_ends(size: int) -> Action:
    _, agent, framework = pair()
    infos = [
        task(f"t{number}", agent.id, TINY, command=None, executor=executor(number))
        for number in range(size)
    ]
    framework.accept(list(framework.offers.values()), *infos)

    def act() -> None:
        for number in range(size):
            agent.say(am.ExecutorExited(framework.id, ExecutorId(f"e{number}"), 0))

    return act


# ---------------------------------------------------------------------------------- calls


@scenario
def accept_of_tasks(size: int) -> Action:
    _, agent, framework = pair()
    infos = [task(f"t{number}", agent.id, port(number)) for number in range(size)]
    return lambda: framework.accept(list(framework.offers.values()), *infos)


@scenario
def accept_of_launches(size: int) -> Action:
    _, agent, framework = pair()
    infos = [task(f"t{number}", agent.id, port(number)) for number in range(size)]
    return lambda: framework.operate(*(Launch((info,)) for info in infos))


@scenario
def accept_of_refused_tasks(size: int) -> Action:
    _, agent, framework = pair()
    infos = [task(f"t{number}", agent.id, HUGE + HUGE) for number in range(size)]
    return lambda: framework.accept(list(framework.offers.values()), *infos)


@scenario
def accept_of_one_id(size: int) -> Action:
    _, agent, framework = pair()
    infos = [task("t", agent.id, port(number)) for number in range(size)]
    return lambda: framework.accept(list(framework.offers.values()), *infos)


@scenario
def accept_of_groups(size: int) -> Action:
    _, agent, framework = pair()
    groups = [
        LaunchGroup(
            replace(executor(number), type=ExecutorType.DEFAULT, command=None),
            (task(f"t{number}", agent.id, TINY),),
        )
        for number in range(size)
    ]
    return lambda: framework.operate(*groups)


@scenario
def accept_of_executors(size: int) -> Action:
    _, agent, framework = pair()
    infos = [
        task(f"t{number}", agent.id, TINY, command=None, executor=executor(number))
        for number in range(size)
    ]
    return lambda: framework.accept(list(framework.offers.values()), *infos)


@scenario
def accept_of_reservations(size: int) -> Action:
    _, _, framework = pair(role="ads", principal="alice")
    return lambda: framework.operate(*(Reserve(reserved.of("cpus", 0.1)) for _ in range(size)))


def many_offers(size: int) -> tuple[World, Framework]:
    world = World(offer_timeout_s=None)
    framework = world.framework()
    for _ in range(size):
        world.agent()
    return world, framework


@scenario
def accept_of_unknown_offers(size: int) -> Action:
    _, framework = many_offers(3)
    ids = (*framework.offers, *(OfferId(f"none-{number}") for number in range(size)))
    return lambda: framework.say(sm.Accept(ids, ()))


@scenario
def decline_of_offers(size: int) -> Action:
    _, framework = many_offers(size)
    return framework.decline


@scenario
def rejoin_with_offers(size: int) -> Action:
    _, framework = many_offers(size)
    return framework.subscribe


@scenario
def kills(size: int) -> Action:
    _, agent, framework, infos = running(size)

    def act() -> None:
        for info in infos:
            framework.say(sm.Kill(info.task_id, agent.id))

    return act


@scenario
def reconciliation(size: int) -> Action:
    _, agent, framework, infos = running(size)
    return lambda: framework.reconcile(*((info.task_id, agent.id) for info in infos))


@scenario
def reconciliation_of_unknown(size: int) -> Action:
    _, agent, framework, infos = running(size)
    return lambda: framework.reconcile(*((f"x{info.task_id}", agent.id) for info in infos))


@scenario
def reconciliation_of_all(size: int) -> Action:
    _, _, framework, _ = running(size)
    return framework.reconcile


@scenario
def subscription_with_roles(size: int) -> Action:
    world, _, _ = pair()
    roles = tuple(f"r{number}" for number in range(size))
    return lambda: world.framework(roles=roles, capabilities=(Capability.MULTI_ROLE,))


@scenario
def suppression_of_roles(size: int) -> Action:
    world, _, _ = pair()
    roles = tuple(f"r{number}" for number in range(size))
    framework = world.framework(roles=roles, capabilities=(Capability.MULTI_ROLE,))

    def act() -> None:
        framework.say(sm.Suppress(roles))
        framework.say(sm.Revive(roles))

    return act


@scenario
def update_of_roles(size: int) -> Action:
    world, _, _ = pair()
    roles = tuple(f"r{number}" for number in range(size))
    framework = world.framework(roles=roles, capabilities=(Capability.MULTI_ROLE,))
    other = tuple(f"q{number}" for number in range(size))
    return lambda: framework.say(sm.UpdateFramework(replace(framework.info, roles=other)))


@scenario
def teardown(size: int) -> Action:
    _, _, framework, _ = running(size)
    return lambda: framework.say(sm.Teardown())


@scenario
def teardown_over_agents(size: int) -> Action:
    _, framework = many_offers(size)
    for number, offer in enumerate(list(framework.offers.values())):
        framework.accept([offer], task(f"t{number}", offer.agent_id, TINY))
    return lambda: framework.say(sm.Teardown())


# ---------------------------------------------------------------------------------- losses


@scenario
def leaving(size: int) -> Action:
    _, agent, _, _ = running(size)
    return lambda: agent.say(am.UnregisterAgent())


@scenario
def loss(size: int) -> Action:
    world, agent, _, _ = running(size)
    agent.disconnect()
    return lambda: world.advance(3600)


@scenario
def losses(size: int) -> Action:
    world, _ = many_offers(size)
    for agent in list(world.peers.values()):
        if isinstance(agent, Agent):
            agent.disconnect()
    return lambda: world.advance(1000)


@scenario
def drain(size: int) -> Action:
    world, agent, _, _ = running(size)
    return lambda: world.ask(om.DrainAgent(agent.id))


@scenario
def gone(size: int) -> Action:
    world, agent, _, _ = running(size)
    return lambda: world.ask(om.MarkAgentGone(agent.id))


# ---------------------------------------------------------------------------------- operators


def names(size: int) -> tuple[MachineId, ...]:
    return tuple(MachineId(hostname=f"host-{number + 1}") for number in range(size))


def one_window(size: int) -> om.UpdateMaintenanceSchedule:
    window = om.MaintenanceWindow(names(size), Unavailability(2_000_000.0, 60.0))
    return om.UpdateMaintenanceSchedule(om.MaintenanceSchedule((window,)))


@scenario
def schedule_of_a_window(size: int) -> Action:
    world, _ = many_offers(size)
    return lambda: world.ask(one_window(size))


@scenario
def schedule_of_windows(size: int) -> Action:
    world, _ = many_offers(size)
    windows = tuple(
        om.MaintenanceWindow((name,), Unavailability(2_000_000.0, 60.0)) for name in names(size)
    )
    return lambda: world.ask(om.UpdateMaintenanceSchedule(om.MaintenanceSchedule(windows)))


@scenario
def machines_down(size: int) -> Action:
    world, _ = many_offers(size)
    world.ask(one_window(size))
    return lambda: world.ask(om.StartMaintenance(names(size)))


@scenario
def machines_up(size: int) -> Action:
    world, _ = many_offers(size)
    world.ask(one_window(size))
    world.ask(om.StartMaintenance(names(size)))
    return lambda: world.ask(om.StopMaintenance(names(size)))


@scenario
def quotas(size: int) -> Action:
    world, _ = many_offers(size)
    configs = tuple(
        om.QuotaConfig(f"r{number}", {"cpus": 1}, {"cpus": 1000}) for number in range(size)
    )
    return lambda: world.ask(om.UpdateQuota(configs))


@scenario
def weights(size: int) -> Action:
    world, _ = many_offers(3)
    infos = tuple(om.WeightInfo(2.0, f"r{number}") for number in range(size))
    return lambda: world.ask(om.UpdateWeights(infos))


@scenario
def operator_reservations(size: int) -> Action:
    world, agent, _ = pair()

    def act() -> None:
        for _ in range(size):
            world.ask(om.ReserveResources(agent.id, reserved.of("cpus", 1)))

    return act


@scenario
def views(size: int) -> Action:
    world, _, _, _ = running(size)
    calls: list[om.OperatorCall] = [
        om.GetState(),
        om.GetTasks(),
        om.GetAgents(),
        om.GetRoles(),
        om.GetMetrics(),
    ]
    return lambda: [world.ask(call) for call in calls]


@scenario
def views_of_agents(size: int) -> Action:
    world, _ = many_offers(size)
    calls: list[om.OperatorCall] = [
        om.GetState(),
        om.GetFrameworks(),
        om.GetAgents(),
        om.GetOffers(),
        om.GetRoles(),
    ]
    return lambda: [world.ask(call) for call in [*calls, om.GetMaintenanceStatus()]]


@scenario
def explanation(size: int) -> Action:
    world, _ = many_offers(size)
    return lambda: world.ask(om.Explain())


@scenario
def restart(size: int) -> Action:
    world, _ = many_offers(size)
    return world.restart


@scenario
def restart_with_frameworks(size: int) -> Action:
    world = World()
    for _ in range(size):
        world.framework()
    return world.restart


# ---------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize("prepare", SCENARIOS, ids=lambda each: each.__name__)
def test_work_grows_with_what_a_message_holds(prepare: Scenario) -> None:
    assert lines_per_pair(prepare) < 0.5
