"""Maintenance: the schedule, and machines that are down."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import MachineId, Unavailability
from mezzo.cluster.states import TaskState
from mezzo.master.effects import Answer
from mezzo.master.events import OperatorAsked
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..planned import LATER, SOON, asked, down, machines, plan, schedule, status, up, window
from ..world import SMALL, Agent, World, task

# ---- the schedule


def test_offers_tell_when_their_machine_will_be_away(world: World) -> None:
    """Behaviour 98."""
    assert plan(world, window("a"), window("b", when=LATER)) == om.Done()
    for hostname in "abc":
        world.agent(hostname=hostname)
    framework = world.framework()
    told = {offer.hostname: offer.unavailability for offer in framework.offers.values()}
    assert told == {"a": SOON, "b": LATER, "c": None}


def test_a_schedule_rescinds_the_offers_of_the_machines_for_which_it_changes(world: World) -> None:
    """Behaviour 98."""
    plan(world, window("same"))
    for hostname in ("same", "new", "never"):
        world.agent(hostname=hostname)
    framework = world.framework()
    before = {offer.hostname: offer.id for offer in framework.offers.values()}
    plan(world, window("same", "new"))
    assert framework.heard(sm.Rescind) == [sm.Rescind(before["new"])]
    after = {offer.hostname: offer for offer in framework.offers.values()}
    assert after["new"].unavailability == SOON
    assert (after["same"].id, after["never"].id) == (before["same"], before["never"])
    plan(world, window("same"))
    assert framework.heard(sm.Rescind) == [sm.Rescind(after["new"].id)]
    assert all(o.unavailability is None for o in framework.offers.values() if o.hostname == "new")


@pytest.mark.parametrize(
    ("machine", "hostname"),
    [
        (MachineId(hostname="Host.Example"), "host.example"),
        (MachineId(hostname="host", ip="10.0.0.1"), "host"),
        (MachineId(hostname="host", ip="10.0.0.1"), "10.0.0.1"),
        (MachineId(ip="10.0.0.1"), "10.0.0.1"),
    ],
)
def test_a_machine_is_that_of_the_agents_hostname(
    world: World, machine: MachineId, hostname: str
) -> None:
    plan(world, om.MaintenanceWindow((machine,), SOON))
    world.agent(hostname=hostname)
    world.agent(hostname="10.0.0.2")
    found = {o.hostname: o.unavailability for o in world.framework().offers.values()}
    assert found == {hostname: SOON, "10.0.0.2": None}


def test_one_ip_of_many_hostnames_is_no_matter(world: World) -> None:
    """Agents on one address that go by names of their own: each has its window."""
    one, two = (MachineId(hostname, "127.0.0.1") for hostname in "ab")
    windows = (om.MaintenanceWindow((one,), SOON), om.MaintenanceWindow((two,), LATER))
    assert plan(world, *windows) == om.Done()
    for hostname in "ab":
        world.agent(hostname=hostname)
    found = {o.hostname: o.unavailability for o in world.framework().offers.values()}
    assert found == {"a": SOON, "b": LATER}


# ---- down and up


def test_going_down_shuts_the_agents_down_and_ends_their_tasks(world: World) -> None:
    """Behaviour 99."""
    agent, other = world.agent(hostname="a"), world.agent(hostname="b")
    aware, plain = world.framework(), world.framework(aware=False)
    aware.launch("t1", agent=agent)
    plain.say(sm.Revive())
    plain.accept([plain.offer(agent)], task("t2", agent.id))
    plan(world, window("a", "b"))
    assert down(world, "a") == om.Done()
    (message,) = agent.heard(am.ShutdownAgent)
    assert "machine of agent a is down for maintenance" in message.message
    assert (agent.conn, other.heard(am.ShutdownAgent)) == (None, [])
    assert [update.state for update in aware.updates()] == [TaskState.GONE]
    assert [update.state for update in plain.updates()] == [TaskState.LOST]
    assert aware.heard(sm.Failure) == [sm.Failure(agent.id)]
    assert {offer.agent_id for offer in aware.offers.values()} <= {other.id}
    agents = world.ask(om.GetAgents())
    assert isinstance(agents, om.Agents)
    assert [view.agent_info.id for view in agents.agents] == [other.id]
    assert f"agent/{agent.id}" not in world.stored
    assert status(world) == om.MaintenanceState(
        (om.DrainingMachine(MachineId("b")),), (MachineId("a"),)
    )


def test_agents_of_a_machine_that_is_down_are_refused_until_it_is_up(world: World) -> None:
    """Behaviour 99."""
    agent = world.agent(hostname="a")
    plan(world, window("a", "b"))
    down(world, "a")
    agent.heard(am.ShutdownAgent)
    for come in (agent.reregister, agent.register):
        come()
        (refusal,) = agent.heard(am.ShutdownAgent)
        assert "`mezzo maintenance stop`" in refusal.message
    fresh = Agent(world, replace(agent.info, id=None, port=6000))
    fresh.register()
    assert len(fresh.heard(am.ShutdownAgent)) == 1
    assert not world.core.state.agents
    assert up(world, "a") == om.Done()
    assert schedule(world) == (window("b"),)
    agent.reregister()
    fresh.register()
    assert (agent.heard(am.ShutdownAgent), fresh.heard(am.ShutdownAgent)) == ([], [])
    assert len(world.core.state.agents) == 2
    assert {o.unavailability for o in world.framework().offers.values()} == {None}


@pytest.mark.parametrize("failover", [False, True])
def test_what_operators_did_to_an_agent_still_holds_when_its_machine_is_up_again(
    world: World, failover: bool
) -> None:
    off, doomed = world.agent(hostname="a"), world.agent(hostname="b")
    framework = world.framework()
    framework.launch("t1", agent=doomed)
    world.ask(om.DeactivateAgent(off.id))
    world.ask(om.DrainAgent(doomed.id, mark_gone=True))
    plan(world, window("a", "b"))
    down(world, "a", "b")
    doomed.tasks.clear()  # it was shut down
    if failover:
        world.restart()
        framework.subscribe()
    up(world, "a", "b")
    off.reregister()
    doomed.reregister()
    world.advance(10)
    assert framework.offers == {}
    assert list(world.core.state.gone_since_s) == [doomed.id]
    assert world.ask(om.ReactivateAgent(off.id)) == om.Done()
    assert framework.offer(off)


def test_an_unreachable_agent_of_a_machine_that_is_down_is_refused(world: World) -> None:
    """Behaviour 99."""
    agent, framework = world.agent(hostname="a"), world.framework()
    framework.launch("t1")
    agent.ignores.add(am.Ping)
    world.advance(100)
    assert agent.id in world.core.state.unreachable
    plan(world, window("a"))
    down(world, "a")
    agent.ignores.discard(am.Ping)
    agent.reregister()
    assert len(agent.heard(am.ShutdownAgent)) == 1
    up(world, "a")
    agent.reregister()
    assert [s.state for s in framework.updates()][-1] is TaskState.STAGING


def test_the_last_machine_that_is_up_again_ends_its_window(world: World) -> None:
    plan(world, window("a", "b"))
    down(world, "b", "a")
    assert status(world).down_machines == machines("a", "b")
    up(world, "a", "b")
    assert schedule(world) == ()
    assert status(world) == om.MaintenanceState()


def test_many_agents_go_in_steps() -> None:
    """A step's writes are bounded."""
    number, most = 25, 10
    world = World(step_writes=most)
    agents = [world.agent(SMALL, hostname="a", port=5000 + i) for i in range(number)]
    plan(world, window("a"))
    down(world, "a")
    assert not world.core.state.agents
    assert world.largest_commit == most
    assert all(len(agent.heard(am.ShutdownAgent)) == 1 for agent in agents)


def test_a_new_leader_goes_on_with_what_is_down(world: World) -> None:
    agent = world.agent(hostname="a")
    plan(world, window("a"))
    record = world.stored[f"agent/{agent.id}"]
    down(world, "a")
    world.stored[f"agent/{agent.id}"] = record  # it was not its turn yet
    world.restart()
    assert f"agent/{agent.id}" not in world.stored
    assert not world.core.state.agents
    agent.reregister()
    assert len(agent.heard(am.ShutdownAgent)) == 2


# ---- refused


def _machine(**names: str) -> tuple[om.MaintenanceWindow, ...]:
    return (om.MaintenanceWindow((MachineId(**names),), SOON),)


def _when(start: float, duration: float | None = None) -> tuple[om.MaintenanceWindow, ...]:
    return (window("down", when=Unavailability(start, duration)),)


@pytest.mark.parametrize(
    ("windows", "why"),
    [
        ((window("down", "x", "X"),), "machine X appears more than once"),
        ((window("x"), window("down"), window("x", when=LATER)), "appears more than once"),
        ((window("x"),), "machine down is down and is not in the new schedule"),
        ((), "machine down is down and is not in the new schedule"),
        (_machine(), "neither hostname nor ip"),
        (_machine(hostname="", ip=""), "neither hostname nor ip"),
        (_machine(ip="10.0.0"), "no ip address"),
        ((window(), window("down")), "names no machines"),
        ((window("down"), window(*(f"{i:0250}" for i in range(2000)))), "more than 800000"),
    ],
)
def test_a_bad_schedule_is_refused_and_changes_nothing(
    world: World, windows: tuple[om.MaintenanceWindow, ...], why: str
) -> None:
    """Behaviour 100."""
    world.agent(hostname="x")
    world.framework()
    plan(world, window("down"))
    down(world, "down")
    _is_refused(world, om.UpdateMaintenanceSchedule(om.MaintenanceSchedule(windows)), why)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (om.StartMaintenance(machines("x")), "machine x is not in the maintenance schedule"),
        (om.StartMaintenance(machines("up", "down")), "machine down is down already"),
        (om.StartMaintenance(machines("up", "up")), "appears more than once"),
        (om.StartMaintenance((MachineId("up"), MachineId(ip="10.0.0.1"))), "more than once"),
        (om.StartMaintenance((MachineId("up", "10.0.0.2"),)), "not in the maintenance schedule"),
        (om.StartMaintenance(()), "list of machines is empty"),
        (om.StartMaintenance((MachineId(),)), "neither hostname nor ip"),
        (om.StopMaintenance(machines("down", "up")), "machine up 10.0.0.1 is not down"),
        (om.StopMaintenance(machines("x")), "machine x is not in the maintenance schedule"),
        (om.StopMaintenance(()), "list of machines is empty"),
    ],
)
def test_only_what_is_scheduled_goes_down_and_only_what_is_down_goes_up(
    world: World, call: om.OperatorCall, why: str
) -> None:
    """Behaviour 99. Behaviour 100."""
    world.agent(hostname="up")
    world.framework()
    named = om.MaintenanceWindow((MachineId("up", "10.0.0.1"), MachineId("down")), SOON)
    plan(world, named)
    down(world, "down")
    _is_refused(world, call, why)


def _is_refused(world: World, call: om.OperatorCall, why: str) -> None:
    before, planned = dict(world.stored), (schedule(world), status(world))
    effects = world.feed(OperatorAsked(0, call))
    (answer,) = effects
    assert isinstance(answer, Answer)
    assert isinstance(answer.response, om.Refused)
    assert why in answer.response.message
    assert (world.stored, (schedule(world), status(world))) == (before, planned)


def test_what_is_down_may_get_another_window_and_stays_down(world: World) -> None:
    plan(world, window("a"))
    down(world, "a")
    wider = (om.MaintenanceWindow((MachineId("a", "10.0.0.1"), MachineId("b")), LATER),)
    assert plan(world, *wider) == om.Done()
    assert schedule(world) == wider
    assert status(world).down_machines == (MachineId("a", "10.0.0.1"),)
    assert world.ask(om.StopMaintenance((MachineId(ip="10.0.0.1"),))) == om.Done()
    assert schedule(world) == (window("b", when=LATER),)


# ---- a new leader


def test_schedule_and_machines_that_are_down_survive_a_failover(world: World) -> None:
    """Behaviour 64. Behaviour 98. Behaviour 99."""
    agent, framework = world.agent(hostname="a"), world.framework()
    gone = world.agent(hostname="b")
    framework.launch("t1", agent=agent)
    plan(world, window("a"), window("b", when=LATER))
    down(world, "b")
    (before, *_) = asked(framework)
    planned, state = schedule(world), status(world)
    world.restart()
    assert (schedule(world), status(world)) == (planned, state)
    framework.subscribe()
    gone.heard(am.ShutdownAgent)
    gone.reregister()
    assert len(gone.heard(am.ShutdownAgent)) == 1
    agent.reregister()
    (again,) = asked(framework)
    assert (again.agent_id, again.unavailability) == (before.agent_id, before.unavailability)
    framework.say(sm.Revive())
    assert {offer.unavailability for offer in framework.offers.values()} == {SOON}
    up(world, "b")
    plan(world)
    world.restart()
    assert (schedule(world), status(world)) == ((), om.MaintenanceState())
