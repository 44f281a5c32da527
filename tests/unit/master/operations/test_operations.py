"""Operations on their way: told until acknowledged, reconciled, lost, refused by the agent."""

from __future__ import annotations

from mezzo.cluster.operations import (
    Create,
    Destroy,
    Launch,
    OperationRecord,
    OperationState,
    OperationStatus,
    Reserve,
    Unreserve,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..reserved import ROOMY, ads, of, volume
from ..world import Agent, Framework, World, task

Op = OperationState


def statuses(framework: Framework) -> list[OperationStatus]:
    return [event.status for event in framework.heard(sm.UpdateOperationStatus)]


def states(framework: Framework) -> list[OperationState]:
    return [status.state for status in statuses(framework)]


def reconcile(
    framework: Framework, *operations: tuple[str, AgentId | None]
) -> list[OperationState]:
    statuses(framework)
    framework.say(
        sm.ReconcileOperations(tuple(sm.ReconcileOperation(id_, a) for id_, a in operations))
    )
    return states(framework)


def pair(world: World, *, slow: bool = False, timeout_s: float = 1e6) -> tuple[Agent, Framework]:
    agent, framework = world.agent(ROOMY), ads(world, failover_timeout=timeout_s)
    if slow:
        agent.ignores.add(am.ApplyOperation)
    return agent, framework


# ---- feedback


def test_feedback_reaches_the_framework_and_its_acknowledgement_the_agent(world: World) -> None:
    agent, framework = pair(world)
    framework.operate(Reserve(of("cpus", 1), id="o"))
    (order,) = agent.heard(am.ApplyOperation)
    assert (order.conversion, order.framework_id) == (Reserve(of("cpus", 1), id="o"), framework.id)
    (status,) = statuses(framework)
    assert (status.state, status.operation_id, status.agent_id) == (Op.FINISHED, "o", agent.id)
    assert status.converted_resources == of("cpus", 1)
    assert status.uuid is not None
    framework.say(sm.AcknowledgeOperationStatus(agent.id, status.uuid, "o"))
    assert agent.heard(am.OperationAcknowledged) == [
        am.OperationAcknowledged(order.uuid, status.uuid)
    ]
    assert world.ask(om.GetOperations()) == om.Operations()


def test_feedback_is_forwarded_each_time_it_is_repeated(world: World) -> None:
    agent, framework = pair(world)
    framework.operate(Reserve(of("cpus", 1), id="o"))
    (record,) = agent.operations.values()
    agent.say(am.OperationUpdate(record, record.latest_status))
    assert statuses(framework) == [record.latest_status] * 2


def test_a_late_or_wrong_acknowledgement_is_dropped_silently(world: World) -> None:
    agent, framework = pair(world)
    framework.operate(Reserve(of("cpus", 1), id="o"))
    (status,) = statuses(framework)
    assert status.uuid is not None
    for wrong in (
        sm.AcknowledgeOperationStatus(agent.id, status.uuid, "other"),
        sm.AcknowledgeOperationStatus(AgentId("other"), status.uuid, "o"),
        sm.AcknowledgeOperationStatus(agent.id, b"x" * 16, "o"),
    ):
        framework.say(wrong)
    assert agent.heard(am.OperationAcknowledged) == []
    right = sm.AcknowledgeOperationStatus(agent.id, status.uuid, "o")
    framework.say(right)
    framework.say(right)
    assert len(agent.heard(am.OperationAcknowledged)) == 1
    assert framework.heard(sm.Error) == []


def test_an_operation_without_an_id_is_told_to_nobody(world: World) -> None:
    agent, framework = pair(world, slow=True)
    framework.operate(Reserve(of("cpus", 1)))
    (pending,) = _known(world)
    assert (pending.latest_status.state, pending.framework_id) == (Op.PENDING, framework.id)
    agent.say(agent.outcome(agent.heard(am.ApplyOperation)[0]))
    framework.say(sm.Revive())  # and the agent's answer is heard
    assert statuses(framework) == []
    assert _known(world) == []


def _known(world: World) -> list[OperationRecord]:
    answer = world.ask(om.GetOperations())
    assert isinstance(answer, om.Operations)
    return list(answer.operations)


def test_an_id_is_used_once_at_a_time(world: World) -> None:
    agent, framework = pair(world)
    framework.operate(Reserve(of("cpus", 1), id="o"), Reserve(of("cpus", 1), id="o"))
    told = statuses(framework)
    assert [(s.state, s.uuid is None) for s in told] == [(Op.ERROR, True), (Op.FINISHED, False)]
    assert "an operation o is under way" in (told[0].message or "")
    framework.say(sm.AcknowledgeOperationStatus(agent.id, told[1].uuid or b"", "o"))
    framework.say(sm.Revive())
    framework.operate(Reserve(of("cpus", 1), id="o"))
    assert states(framework) == [Op.FINISHED]


def test_a_framework_that_was_away_hears_when_the_agent_repeats(world: World) -> None:
    agent, framework = pair(world, slow=True)
    framework.operate(Reserve(of("cpus", 1), id="o"))
    framework.disconnect()
    agent.say(agent.outcome(agent.heard(am.ApplyOperation)[0]))
    framework.subscribe()
    (record,) = agent.operations.values()
    agent.say(am.OperationUpdate(record, record.latest_status))
    assert states(framework) == [Op.FINISHED]


def test_operations_of_a_removed_framework_are_forgotten_and_their_outcome_stays(
    world: World,
) -> None:
    agent, framework = pair(world)
    framework.operate(Reserve(of("cpus", 1), id="o"))
    (record,) = agent.operations.values()
    framework.say(sm.Teardown())
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]
    assert _known(world) == []
    agent.say(am.OperationUpdate(record, record.latest_status))
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]
    assert ads(world).held.filter(role="ads") == of("cpus", 1)


# ---- reconciliation


def test_reconciling_tells_what_was_told_last_with_its_uuid(world: World) -> None:
    agent, framework = pair(world, slow=True)
    framework.operate(Reserve(of("cpus", 1), id="o1"), Reserve(of("cpus", 1), id="o2"))
    agent.say(agent.outcome(agent.heard(am.ApplyOperation)[0]))
    framework.say(sm.Revive())
    (told,) = statuses(framework)
    assert reconcile(framework) == [Op.FINISHED, Op.PENDING]
    framework.say(sm.ReconcileOperations((sm.ReconcileOperation("o1", agent.id),)))
    assert statuses(framework) == [told]


def test_an_unknown_operation_is_told_by_the_agent_that_is_named(world: World) -> None:
    here, framework = pair(world)
    away = world.agent(ROOMY)
    away.disconnect()
    world.advance(100)
    assert reconcile(
        framework, ("x", here.id), ("x", away.id), ("x", AgentId("nobody")), ("x", None)
    ) == [Op.UNKNOWN, Op.UNREACHABLE, Op.UNKNOWN, Op.UNKNOWN]
    world.restart()
    framework.subscribe()
    assert reconcile(framework, ("x", here.id)) == [Op.RECOVERING]


def test_another_agent_than_the_operations_does_not_know_it(world: World) -> None:
    agent, framework = pair(world)
    other = world.agent(ROOMY)
    framework.decline()
    world.advance(10)
    ids = tuple(o.id for o in framework.offers.values() if o.agent_id == agent.id)
    framework.say(sm.Accept(ids, (Reserve(of("cpus", 1), id="o"),)))
    assert reconcile(framework, ("o", other.id)) == [Op.UNKNOWN]


# ---- loss and return


def test_pending_operations_of_a_lost_agent_are_unreachable_until_it_tells(world: World) -> None:
    agent, framework = pair(world, slow=True)
    framework.operate(Reserve(of("cpus", 1), id="o1"), Reserve(of("cpus", 1), id="o2"))
    first, second = agent.heard(am.ApplyOperation)
    done = agent.outcome(first)
    agent.say(done)
    assert states(framework) == [Op.FINISHED]
    agent.outcome(second)  # done, but its word is lost
    agent.disconnect()
    world.advance(100)
    assert [(s.operation_id, s.state) for s in statuses(framework)] == [("o2", Op.UNREACHABLE)]
    assert reconcile(framework, ("o1", agent.id)) == [Op.UNREACHABLE]
    agent.reregister()
    assert reconcile(framework) == [Op.FINISHED, Op.FINISHED]
    assert world.core.state.agents[agent.id].info.resources == agent.info.resources


def test_an_operation_that_never_arrived_is_dropped_and_the_agents_total_counts(
    world: World,
) -> None:
    agent, framework = pair(world, slow=True)
    framework.operate(
        Reserve(of("cpus", 1), id="o"), Launch((task("t1", agent.id, of("cpus", 1)),))
    )
    agent.disconnect()
    agent.tasks.clear()  # nor did the launch
    agent.reregister()
    assert states(framework) == [Op.DROPPED]
    (welcome,) = agent.heard(am.AgentReregistered)
    assert [known.task_id for known in welcome.reconcile] == ["t1"]
    agent.update(task("t1", agent.id), framework.id, TaskState.DROPPED)
    framework.say(sm.Revive())
    assert framework.held == ROOMY
    assert _known(world) == []


def test_what_was_done_without_a_word_counts_when_the_agent_returns(world: World) -> None:
    agent, framework = pair(world, slow=True)
    framework.operate(Reserve(of("cpus", 1)))
    agent.outcome(agent.heard(am.ApplyOperation)[0])
    agent.disconnect()
    agent.reregister()
    assert _known(world) == []
    framework.say(sm.Revive())
    assert framework.held == ROOMY - Resources.of(cpus=1) + of("cpus", 1)


def test_the_next_master_learns_reservations_and_operations_from_the_agents(world: World) -> None:
    agent, framework = pair(world)
    framework.operate(
        Reserve(of("disk", 500)), Create(volume(100)), Reserve(of("cpus", 1), id="o"), refuse_s=3600
    )
    (told,) = statuses(framework)
    world.restart()
    framework.subscribe()
    agent.reregister()
    assert framework.held.filter(role="ads") == volume(100) + of("disk", 400) + of("cpus", 1)
    framework.say(sm.ReconcileOperations(()))
    assert statuses(framework) == [told]
    framework.say(sm.AcknowledgeOperationStatus(agent.id, told.uuid or b"", "o"))
    assert not agent.operations
    assert _known(world) == []


# ---- refused by the agent


def test_a_refusal_of_the_agent_corrects_what_the_master_thinks_it_has(world: World) -> None:
    agent, framework = pair(world, slow=True)
    framework.operate(Reserve(of("disk", 100), id="o1"), Create(volume(100), id="o2"), refuse_s=0)
    assert framework.held.filter(role="ads") == volume(100)
    first, second = agent.heard(am.ApplyOperation)
    agent.ignores.add(am.Ping)
    agent.say(agent.outcome(first, "no"))
    assert not framework.offers, "nothing is offered until the agent has said what it has"
    assert agent.heard(am.Ping) == [am.Ping(connected=False)]
    agent.ignores.discard(am.Ping)
    agent.say(agent.outcome(second, "no"))
    assert states(framework) == [Op.ERROR, Op.ERROR]
    assert framework.held == ROOMY
    assert world.core.state.agents[agent.id].info.resources == ROOMY


def test_a_report_that_crosses_operations_on_its_stream_counts_with_them(world: World) -> None:
    agent, framework = pair(world, slow=True)
    framework.operate(Reserve(of("cpus", 1), id="o"), Reserve(of("cpus", 1)), refuse_s=0)
    agent.say(agent.report())  # sent before it heard of them
    assert states(framework) == []
    assert framework.held.filter(role="ads") == of("cpus", 2)
    orders = agent.heard(am.ApplyOperation)
    for order in {order.uuid: order for order in orders}.values():  # it does nothing twice
        agent.say(agent.outcome(order))
    assert states(framework) == [Op.FINISHED]
    assert agent.heard(am.Ping) == []
    assert world.core.state.agents[agent.id].info.resources == agent.info.resources


def test_an_order_that_came_while_the_agent_was_asked_for_a_report_is_given_again(
    world: World,
) -> None:
    """Simulator, hostile seed 16: it obeys nobody until its report is answered, and the master
    waited for the operation for ever."""
    agent, _ = pair(world, slow=True)
    call = om.ReserveResources(agent.id, of("cpus", 1))
    assert world.ask(call) == om.Done()
    (lost,) = agent.heard(am.ApplyOperation)
    agent.inbox.clear()
    agent.say(agent.report())
    kinds = [type(each) for each in agent.inbox if not isinstance(each, am.Ping)]
    assert kinds == [am.AgentReregistered, am.ApplyOperation]
    assert agent.heard(am.ApplyOperation) == [lost]
    agent.say(agent.outcome(lost))
    assert world.core.state.agents[agent.id].operations == {}
    agent.say(agent.report())
    assert agent.heard(am.ApplyOperation) == []
    assert world.core.state.agents[agent.id].info.resources == agent.info.resources


def test_a_report_that_crosses_acknowledgements_on_its_stream_brings_nothing_back(
    world: World,
) -> None:
    """Simulator, seed 2552: the master waited for the operation for ever."""
    agent, framework = pair(world)
    info = framework.launch("t1")
    framework.say(sm.Revive())
    framework.operate(Reserve(of("cpus", 1), id="o"))
    agent.update(info, framework.id, TaskState.FINISHED)
    report = agent.report()  # sent before it heard of them
    (status,) = statuses(framework)
    assert status.uuid is not None
    framework.say(sm.AcknowledgeOperationStatus(agent.id, status.uuid, "o"))
    for update in framework.updates():
        framework.acknowledge(update)
    agent.say(report)
    agent.say(am.OperationUpdate(*report.operations, status))  # repeated just before
    assert statuses(framework) == []
    assert world.ask(om.GetOperations()) == om.Operations()
    entry = world.core.state.agents[agent.id]
    assert (entry.operations, entry.tasks) == ({}, {})


def test_an_outcome_that_the_master_does_not_count_with_makes_it_ask(world: World) -> None:
    agent, framework = pair(world)
    agent.info = replace(agent.info, resources=ROOMY)
    late = am.ApplyOperation(b"u" * 16, Reserve(of("cpus", 1)))
    agent.say(agent.outcome(late))
    assert agent.heard(am.Ping) == [am.Ping(connected=False)]
    assert framework.held.filter(role="ads") == of("cpus", 1)


def test_a_task_on_what_the_agent_refused_is_dropped_by_it(world: World) -> None:
    agent, framework = pair(world, slow=True)
    framework.operate(Reserve(of("cpus", 2)), Launch((task("t1", agent.id, of("cpus", 2)),)))
    agent.say(agent.outcome(agent.heard(am.ApplyOperation)[0], "no"))
    agent.say(agent.report())
    framework.acknowledge(agent.update(task("t1", agent.id), framework.id, TaskState.DROPPED))
    framework.say(sm.Revive())
    assert framework.held == ROOMY


def test_a_volume_made_and_destroyed_in_one_breath_leaves_nothing(world: World) -> None:
    agent, framework = pair(world)
    framework.operate(
        Reserve(of("disk", 100)),
        Create(volume(100)),
        Destroy(volume(100)),
        Unreserve(of("disk", 100)),
        refuse_s=0,
    )
    world.advance(2)
    assert framework.held == agent.info.resources == ROOMY


def test_an_agent_with_other_resources_after_its_return_is_believed(world: World) -> None:
    agent, framework = pair(world)
    framework.operate(Reserve(of("cpus", 1)), refuse_s=0)
    agent.info = replace(agent.info, resources=ROOMY)
    agent.disconnect()
    agent.reregister()
    assert framework.held == ROOMY
