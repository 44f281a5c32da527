"""Random clusters: whatever agents, frameworks and operators do, the books are right."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import structs

from mezzo.cluster.model import CommandInfo, ExecutorInfo, Filters, Offer
from mezzo.cluster.operations import Reserve, Unreserve
from mezzo.cluster.resources import Kind, Reservation, Resources
from mezzo.cluster.states import TaskState, may_move
from mezzo.gateway.replica.cluster_replica import Replica, View
from mezzo.ids import ExecutorId, FrameworkId
from mezzo.master.state.agent_entry import AgentEntry, Standing
from mezzo.master.state.master_state import MasterState
from mezzo.master.timers import (
    AdmissionDue,
    CycleDue,
    DrainAskDue,
    FailoverTimeout,
    OfferTimeout,
    PingsDue,
    RemovalsDue,
)
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import Agent, Framework, World, task

S = TaskState

sizes = st.builds(
    lambda cpus, mem, port, ads: (
        Resources.of(cpus=cpus, mem=mem * 32, ports=[(port, port + 3)])
        + Resources.parse(f"cpus(ads):{ads}")
    ),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 2),
    st.integers(0, 1),
)
some = st.integers(0, 5)


_OF_SOMEBODY: Final = (OfferTimeout, FailoverTimeout, AdmissionDue, DrainAskDue)


class MasterMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World(offer_timeout_s=40.0)
        self.agents: list[Agent] = []
        self.frameworks: list[Framework] = []
        self.replica = Replica()
        self.task_number = 0
        self.follow()

    @property
    def state(self) -> MasterState:
        return self.world.core.state

    # ---- who there is

    def agent(self, number: int, *, connected: bool = True) -> Agent | None:
        fitting = [each for each in self.agents if (each.conn is not None) == connected]
        return fitting[number % len(fitting)] if fitting else None

    def framework(self, number: int, *, connected: bool = True) -> Framework | None:
        fitting = [each for each in self.frameworks if (each.conn is not None) == connected]
        return fitting[number % len(fitting)] if fitting else None

    # ---- coming and going

    @rule(resources=sizes)
    @precondition(lambda self: len(self.agents) < 3)
    def agent_joins(self, resources: Resources) -> None:
        self.agents.append(self.world.agent(resources))

    @rule(role=st.sampled_from(["*", "ads", "ads/web"]), aware=st.booleans(), keeps=st.booleans())
    @precondition(lambda self: len(self.frameworks) < 3)
    def framework_joins(self, role: str, aware: bool, keeps: bool) -> None:
        self.frameworks.append(self.world.framework(role=role, aware=aware, checkpoint=keeps))

    @rule(number=some)
    def agent_disconnects(self, number: int) -> None:
        if agent := self.agent(number):
            agent.disconnect()

    @rule(number=some, resources=st.none() | sizes, forgets=st.booleans(), again=st.booleans())
    def agent_returns(
        self, number: int, resources: Resources | None, forgets: bool, again: bool
    ) -> None:
        """Perhaps it never went, is of another size, or has lost its memory of a task."""
        agent = self.agent(number, connected=again)
        if agent is None:
            return
        if resources is not None:
            agent.info = replace(agent.info, resources=resources)
        if forgets and agent.tasks:
            key = next(iter(agent.tasks))
            del agent.tasks[key]
            agent.pending.pop(key, None)
        self.bring_back(agent)

    def bring_back(self, agent: Agent) -> None:
        """As a real agent does: it says DROPPED of what never arrived, and repeats its updates."""
        agent.ignores.discard(am.AgentReregistered)
        agent.reregister()
        if agent.heard(am.ShutdownAgent):
            self.shut_down(agent)

    @staticmethod
    def shut_down(agent: Agent) -> None:
        agent.tasks.clear()
        agent.executors.clear()
        agent.pending.clear()
        agent.disconnect()

    @rule(number=some)
    def agent_leaves(self, number: int) -> None:
        agent = self.agent(number)
        if agent is not None and not agent.tasks:
            agent.say(am.UnregisterAgent())

    @rule(number=some)
    def agent_starts_anew(self, number: int) -> None:
        """It has lost its work directory, and registers at its old address."""
        agent = self.agent(number, connected=False)
        if agent is not None:
            self.agents.remove(agent)
            fresh = Agent(self.world, replace(agent.info, id=None))
            self.agents.append(fresh)
            fresh.register()

    @rule(number=some)
    def framework_disconnects(self, number: int) -> None:
        if framework := self.framework(number):
            framework.disconnect()

    @rule(number=some, again=st.booleans())
    def framework_returns(self, number: int, again: bool) -> None:
        framework = self.framework(number, connected=again)
        if framework is not None:
            framework.subscribe()
            if framework.conn is None:
                self.frameworks.remove(framework)  # it had been removed meanwhile

    @rule(number=some, by_operator=st.booleans())
    def framework_is_torn_down(self, number: int, by_operator: bool) -> None:
        framework = self.framework(number)
        if framework is not None:
            self.frameworks.remove(framework)
            if by_operator:
                assert self.world.ask(om.Teardown(framework.id)) == om.Done()
            else:
                framework.say(sm.Teardown())

    @rule()
    def the_master_fails_over(self) -> None:
        self.check_replica()
        self.world.restart()
        self.replica = Replica()
        self.follow()

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0, 61.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    # ---- offers

    @rule(number=some, which=some, cpus=st.integers(0, 3), mem=st.integers(0, 2), port=some)
    def task_is_launched(self, number: int, which: int, cpus: int, mem: int, port: int) -> None:
        """Often too large: then it is an error."""
        framework = self.framework(number)
        if framework is None or not framework.offers:
            return
        offers = list(framework.offers.values())
        offer = offers[which % len(offers)]
        mine = [other for other in offers if self.same(other, offer)]
        self.task_number += 1
        wanted = Resources.of(cpus=cpus, mem=mem * 32, ports=[(port, port)])
        framework.accept(
            mine[: 1 + which % 2], task(f"t{self.task_number}", offer.agent_id, wanted)
        )

    @staticmethod
    def same(one: Offer, other: Offer) -> bool:
        return (one.agent_id, one.role) == (other.agent_id, other.role)

    @rule(number=some)
    def offers_are_mixed_up(self, number: int) -> None:
        framework = self.framework(number)
        if framework is not None and framework.offers:
            offers = list(framework.offers.values())
            framework.accept([*offers, offers[0]], task("never", offers[0].agent_id))

    @rule(number=some, refuse_s=st.sampled_from([0.0, 5.0, 1000.0]))
    def offers_are_declined(self, number: int, refuse_s: float) -> None:
        if framework := self.framework(number):
            framework.decline(refuse_s)

    @rule(number=some)
    def framework_revives(self, number: int) -> None:
        if framework := self.framework(number):
            framework.say(sm.Revive())

    @rule(number=some)
    def framework_suppresses(self, number: int) -> None:
        if framework := self.framework(number):
            framework.say(sm.Suppress())

    # ---- operations and executors

    @rule(number=some, which=some, part=st.sampled_from([1.0, 0.5]), back=st.booleans())
    def resources_are_reserved(self, number: int, which: int, part: float, back: bool) -> None:
        """Or reserved ones given back; often it can't be done."""
        framework = self.framework(number)
        if framework is None or not framework.offers:
            return
        offer = list(framework.offers.values())[which % len(framework.offers)]
        del framework.offers[offer.id]
        wanted = Resources({Kind("cpus", (_reservation(framework),)): round(part * 1000)})
        operation = Unreserve(wanted) if back else Reserve(wanted, id=self.operation_id())
        framework.say(sm.Accept((offer.id,), (operation,), Filters(0)))

    @rule(number=some, role=st.sampled_from(["ads", "web"]), back=st.booleans())
    def operator_reserves(self, number: int, role: str, back: bool) -> None:
        if agent := self.agent(number):
            wanted = Resources({Kind("cpus", (Reservation("DYNAMIC", role),)): 1000})
            call = om.UnreserveResources if back else om.ReserveResources
            self.world.ask(call(agent.id, wanted))

    def operation_id(self) -> str | None:
        self.task_number += 1
        return f"o{self.task_number}" if self.task_number % 2 else None

    @rule(number=some, slow=st.booleans(), refuses=st.booleans())
    def agent_takes_its_time(self, number: int, slow: bool, refuses: bool) -> None:
        """And then does what it was told, or says that it can't."""
        agent = self.agent(number)
        if agent is None:
            return
        if am.ApplyOperation not in agent.ignores:
            agent.heard(am.ApplyOperation)  # which it did at once
        if slow:
            agent.ignores.add(am.ApplyOperation)
            return
        agent.ignores.discard(am.ApplyOperation)
        for order in agent.heard(am.ApplyOperation):
            agent.say(agent.outcome(order, "no" if refuses else None))

    @rule(number=some)
    def operations_are_acknowledged(self, number: int) -> None:
        if framework := self.framework(number):
            _acknowledge_operations(framework)

    @rule(number=some, which=some, name=st.sampled_from("ab"))
    def executor_task_is_launched(self, number: int, which: int, name: str) -> None:
        framework = self.framework(number)
        if framework is None or not framework.offers:
            return
        offer = list(framework.offers.values())[which % len(framework.offers)]
        self.task_number += 1
        executor = ExecutorInfo(
            ExecutorId(name), command=CommandInfo("x"), resources=Resources.of(cpus=0.5)
        )
        info = task(f"t{self.task_number}", offer.agent_id, Resources.of(mem=32))
        framework.accept([offer], replace(info, command=None, executor=executor), refuse_s=0)

    @rule(number=some)
    def executors_exit(self, number: int) -> None:
        agent = self.agent(number)
        for framework_id, executor_id in list(agent.executors) if agent is not None else ():
            assert agent is not None
            del agent.executors[(framework_id, executor_id)]
            agent.say(am.ExecutorExited(framework_id, executor_id, 0))

    # ---- tasks

    @rule(number=some, which=some, new=st.sampled_from([S.RUNNING, S.FINISHED, S.FAILED]))
    def task_moves(self, number: int, which: int, new: TaskState) -> None:
        agent = self.agent(number)
        if agent is None or not agent.tasks:
            return
        key = list(agent.tasks)[which % len(agent.tasks)]
        if may_move(agent.tasks[key].state, new):
            agent.update(agent.tasks[key], key[0], new)

    @rule(number=some)
    def updates_are_acknowledged(self, number: int) -> None:
        framework = self.framework(number)
        for status in framework.updates() if framework is not None else ():
            if status.uuid is not None and framework is not None:
                framework.acknowledge(status)

    @rule(number=some, which=some)
    def task_is_killed(self, number: int, which: int) -> None:
        framework = self.framework(number)
        if framework is not None:
            known = list(self.state.frameworks[framework.id].tasks)
            if known:
                framework.say(sm.Kill(known[which % len(known)]))

    # ---- what always holds

    def used(self, agent: AgentEntry) -> list[Resources]:
        """What is promised of the agent, piece by piece."""
        tasks = [entry.info.resources for entry in agent.tasks.values() if entry.holds_resources]
        tasks += [executor.info.resources for executor in agent.executors.values()]
        return tasks + [self.state.offers[each].resources for each in agent.offers]

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        for agent in self.state.agents.values():
            offered = Resources.total(self.state.offers[each].resources for each in agent.offers)
            used = Resources.total(self.used(agent))
            assert offered <= agent.info.resources
            # An agent that shrank may run more than it has, but then offers none of it.
            for kind, value in offered.items():
                total = agent.info.resources.get(kind)
                taken = used.get(kind)
                if isinstance(value, int):
                    assert isinstance(taken, int)
                    assert isinstance(total, int)
                    assert taken <= total, (agent.id, kind)
            ports = [port for each in self.used(agent) for port in each.ports.numbers()]
            double = {port for port in ports if ports.count(port) > 1}
            assert not double & set(offered.ports.numbers())

    @invariant()
    def the_allocator_counts_what_there_is(self) -> None:
        books = self.state.allocator._books
        present = [a for a in self.state.agents.values() if a.standing is not Standing.RECOVERED]
        assert set(books.agents) == {a.id for a in present}
        shares: dict[tuple[FrameworkId, str], dict[str, int]] = {}
        for agent in present:
            known = books.agents[agent.id]
            assert known.active == agent.active
            taken = Resources.total(self.used(agent))
            for name in ("cpus", "mem"):
                left = agent.info.resources.milli(name) - taken.milli(name)
                assert known.free.milli(name) - known.debt.milli(name) == left
            for entry in agent.tasks.values():
                if entry.holds_resources:
                    _charge(shares, entry.info.framework_id, entry.info.role, entry.info.resources)
            for (framework_id, _), executor in agent.executors.items():
                _charge(shares, framework_id, executor.role, executor.info.resources)
            for offer_id in agent.offers:
                offer = self.state.offers[offer_id]
                _charge(shares, offer.framework_id, offer.role, offer.resources)
        counted = {
            key: {name: amount for name, amount in client.held.items() if amount}
            for key, client in books.tree.clients.items()
        }
        assert {key: amounts for key, amounts in counted.items() if amounts} == shares

    @invariant()
    def what_an_agent_has_is_known_unless_it_is_about_to_change(self) -> None:
        for agent in self.agents:
            if agent.conn is not None and am.ApplyOperation not in agent.ignores:
                assert self.state.agents[agent.id].info.resources == agent.info.resources

    @invariant()
    def offers_belong_to_who_is_there(self) -> None:
        state = self.state
        for offer in state.offers.values():
            assert state.agents[offer.agent_id].connected
            assert state.frameworks[offer.framework_id].conn is not None
            assert offer.id in state.agents[offer.agent_id].offers
            assert offer.id in state.frameworks[offer.framework_id].offers
        assert sum(len(a.offers) for a in state.agents.values()) == len(state.offers)
        assert sum(len(f.offers) for f in state.frameworks.values()) == len(state.offers)
        held = {offer_id for each in self.frameworks for offer_id in each.offers if each.conn}
        assert held == set(state.offers)

    @invariant()
    def tasks_are_known_to_both_sides(self) -> None:
        state = self.state
        on_agents = {
            key: entry for agent in state.agents.values() for key, entry in agent.tasks.items()
        }
        of_frameworks = {
            (framework.id, task_id): entry
            for framework in state.frameworks.values()
            for task_id, entry in framework.tasks.items()
        }
        assert on_agents == of_frameworks
        waiting = {key for agent in state.unreachable.values() for key in agent.tasks}
        for framework in state.frameworks.values():
            assert {(framework.id, task_id) for task_id in framework.unreachable} <= waiting

    @invariant()
    def executors_and_operations_are_known_to_both_sides(self) -> None:
        state = self.state
        assert {(f, (a.id, e)) for a in state.agents.values() for f, e in a.executors} == {
            (f.id, key) for f in state.frameworks.values() for key in f.executors
        }
        named = {
            (record.framework_id, record.info.id, agent.id, uuid)
            for agent in state.agents.values()
            for uuid, record in agent.operations.items()
            if record.info.id is not None
        }
        assert named == {
            (f.id, id_, *place)
            for f in state.frameworks.values()
            for id_, place in f.operations.items()
        }

    @invariant()
    def streams_are_known_to_both_sides(self) -> None:
        state = self.state
        assert {c: state.agents[a].conn for c, a in state.agent_of.items()} == {
            c: c for c in state.agent_of
        }
        assert {c: state.frameworks[f].conn for c, f in state.framework_of.items()} == {
            c: c for c in state.framework_of
        }
        assert {*state.agent_of, *state.framework_of} == set(self.world.peers)
        places = [key for there in state.agents_at.values() for key in there]
        assert sorted(places) == sorted(state.agents)
        assert all(state.agents_at.values())

    @invariant()
    def no_timer_is_left_behind(self) -> None:
        state = self.state
        keyed: dict[type, set[Any]] = {kind: set() for kind in _OF_SOMEBODY}
        for key in self.world.timers:
            if type(key) in keyed:
                keyed[type(key)].add(next(iter(structs.astuple(key))))
        assert keyed[OfferTimeout] == set(state.offers)
        assert (RemovalsDue() in self.world.timers) == bool(state.removals)
        assert set(state.removals) <= set(state.agents)
        assert state.pings.agents == {
            a.id for a in state.agents.values() if a.standing is not Standing.RECOVERED
        }
        assert state.pings.next_s is None or PingsDue() in self.world.timers
        waiting = {f.id for f in state.frameworks.values() if f.admission is not None}
        assert keyed[AdmissionDue] == waiting
        away = {f.id for f in state.frameworks.values() if f.conn is None}
        assert keyed[FailoverTimeout] == set(state.away.oldest()) == away
        assert (CycleDue() in self.world.timers) == (state.allocator.next_due_s is not None)
        assert not state.allocator.wants_cycle, "all that was due has been done"

    # ---- a replica of it all

    def follow(self) -> None:
        self.world.published.clear()
        self.world.operator()
        sequence, snapshot = self.world.snapshots.pop()
        self.replica.apply(sequence, self.world.epoch, snapshot)

    def check_replica(self) -> None:
        while self.state.views_due:  # views of resources follow after a moment
            self.world.advance(1.0)
        for sequence, event in self.world.published:
            self.replica.apply(sequence, self.world.epoch, event)
        followed = self.replica.view()
        self.replica = Replica()
        self.follow()
        fresh = self.replica.view()
        assert followed.sequence == fresh.sequence
        assert followed.agents == fresh.agents
        assert followed.recovered_agents == fresh.recovered_agents
        assert followed.frameworks == fresh.frameworks
        assert set(followed.completed_frameworks) == set(fresh.completed_frameworks)
        assert _live(followed) == _live(fresh)

    # ---- the end

    def teardown(self) -> None:
        """Everybody comes back, everything ends: then everything is free again."""
        self.check_replica()
        for framework in list(self.frameworks):
            if framework.conn is None:
                framework.subscribe()
        for agent in self.agents:
            agent.disconnect()
            self.bring_back(agent)
            if agent.conn is not None:  # else it was drained to be gone
                agent.resend()  # an acknowledgement may have found nobody
                assert self.state.agents[agent.id].info.resources == agent.info.resources
        for agent in self.agents:
            for key in list(agent.tasks):
                if not agent.tasks[key].state.terminal:
                    agent.update(agent.tasks[key], key[0], S.FINISHED)
            for framework_id, executor_id in list(agent.executors):
                agent.say(am.ExecutorExited(framework_id, executor_id, 0))
        for framework in self.frameworks:
            if framework.conn is None:
                continue
            for status in framework.updates():
                if status.uuid is not None:
                    framework.acknowledge(status)
            _acknowledge_operations(framework)
            framework.say(sm.Suppress())
            framework.decline(0)
        for entry in self.state.agents.values():
            if entry.connected:
                assert not entry.tasks
                assert not entry.offers
                assert self.state.allocator.available(entry.id) == entry.info.resources
        self.no_timer_is_left_behind()


def _acknowledge_operations(framework: Framework) -> None:
    for event in framework.heard(sm.UpdateOperationStatus):
        status = event.status
        if status.uuid is not None and status.agent_id is not None:
            framework.say(
                sm.AcknowledgeOperationStatus(
                    status.agent_id, status.uuid, status.operation_id or ""
                )
            )


def _reservation(framework: Framework) -> Reservation:
    return Reservation("DYNAMIC", framework.info.role if framework.info.role != "*" else "ads")


def _charge(
    shares: dict[tuple[FrameworkId, str], dict[str, int]],
    framework_id: FrameworkId,
    role: str,
    resources: Resources,
) -> None:
    for kind, value in resources.items():
        if isinstance(value, int):
            amounts = shares.setdefault((framework_id, role), {})
            amounts[kind.name] = amounts.get(kind.name, 0) + value


def _live(view: View) -> dict[Any, Any]:
    return {
        key: (seen.state, seen.status_update_state, seen.agent_id, seen.resources)
        for key, seen in view.tasks.items()
        if not seen.state.terminal
    }


MasterMachine.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTheBooksAreRight = MasterMachine.TestCase
