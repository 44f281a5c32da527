"""Promise 8 for operators: what they read is so.

Now and then all reads are answered and compared with sums made anew, from who is there and what
each task, executor and offer takes: what roles have and consume, what agents and frameworks use,
who is away or over, the metrics. Counters are compared with what came and left, and a gateway's
replica, made of a snapshot and all events since, with what the next snapshot would say.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.core import Output, TimerFired
from mezzo.gateway.replica.cluster_replica import Replica, View
from mezzo.ids import AgentId, ConnId, FrameworkId
from mezzo.master.core import MasterCore
from mezzo.master.effects import Publish, ToAgent, ToFramework, ToOperator
from mezzo.master.events import AgentSaid, FrameworkSaid, OperatorJoined, StreamClosed
from mezzo.master.operators.calls import ANSWERS
from mezzo.master.state.agent_entry import AgentEntry, Standing
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.master.state.machines import name_of
from mezzo.master.state.master_state import MasterState
from mezzo.master.state.step import Step
from mezzo.master.timers import AllocationDue, CycleDue, HistoryDue
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import Record, replace

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..allocator.sums import by_firmness, consumed, nonzero, of_role, reserved, scalars, taken
from ..terms import Terms
from . import tally

_LOOK_EVERY: Final = 600  # steps of a master
_KEPT: Final = 40  # events
_MISSED: Final = 4
_JOINS_AT: Final = 50
_ONE_OF: Final = 2  # so many leaders one has a gateway
_LEAVES: Final = 3  # one of so many leaves for long
_RETURNS_AFTER: Final = 30  # steps
_ASKED: Final = 2  # frameworks and agents, of which it is asked why and why not
_GATEWAY: Final = ConnId(1_000_000_001)  # no stream of the network has such a number
_ROUNDING: Final = 1e-9
_SCALARS: Final = ("cpus", "mem", "disk", "gpus")
_RUNS: Final = (AllocationDue, CycleDue)
# Mesos' names of what it counts.
_CAME: Final[Mapping[type[Record], str]] = {
    am.RegisterAgent: "messages_register_slave",
    am.ReregisterAgent: "messages_reregister_slave",
    am.UnregisterAgent: "messages_unregister_slave",
    am.StatusUpdate: "messages_status_update",
    am.OperationUpdate: "messages_operation_status_update",
    am.ExecutorMessage: "messages_executor_to_framework",
    am.ExecutorExited: "messages_exited_executor",
}
_CALLED: Final[Mapping[type[Record], str]] = {
    sm.Subscribe: "messages_register_framework",
    sm.UpdateFramework: "messages_update_framework",
    sm.Accept: "messages_launch_tasks",
    sm.Decline: "messages_decline_offers",
    sm.AcceptInverseOffers: "messages_accept_inverse_offers",
    sm.DeclineInverseOffers: "messages_decline_inverse_offers",
    sm.Revive: "messages_revive_offers",
    sm.Suppress: "messages_suppress_offers",
    sm.Kill: "messages_kill_task",
    sm.Shutdown: "messages_shutdown_executor",
    sm.Acknowledge: "messages_status_update_acknowledgement",
    sm.AcknowledgeOperationStatus: "messages_operation_status_update_acknowledgement",
    sm.Reconcile: "messages_reconcile_tasks",
    sm.ReconcileOperations: "messages_reconcile_operations",
    sm.Message: "messages_framework_to_executor",
    sm.Request: "messages_resource_request",
}
_SENT: Final[Mapping[type[Record], str]] = {
    am.AgentRegistered: "slave_registrations",
    am.AgentReregistered: "slave_reregistrations",
}


class _Term:
    """What one leader has heard and said so far, as far as its reads tell of it.

    came, back: when agents were welcomed, wall. said, heard: of frameworks, events to them that
    were counted, and their calls.
    """

    def __init__(self, core: MasterCore) -> None:
        self.core = core
        self.steps = 0
        self.counters: Counter[str] = Counter()
        self.tally: tally.Tally | None = None  # since it publishes
        self.said: dict[FrameworkId, Counter[str]] = {}
        self.came: dict[AgentId, float] = {}
        self.back: dict[AgentId, float] = {}
        self.replica: Replica | None = None
        self.away = False  # the gateway has left, at the event of that number
        self.left_at = 0
        self.returns_at = 0  # step
        self.published: deque[tuple[int, Any]] = deque(maxlen=_KEPT)  # since then

    def leave(self) -> None:
        """The gateway; it comes back when nobody remembers what happened meanwhile."""
        self.away, self.left_at = True, self.core.state.sequence
        self.replica = self.tally = None
        self.published.clear()

    def of(self, framework_id: FrameworkId) -> Counter[str]:
        counters = self.said.get(framework_id)
        if counters is None:
            counters = self.said[framework_id] = Counter()
        return counters


class ReadsAreTrue(Watch):
    def __init__(self) -> None:
        self._terms = Terms(_Term)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        term = self._terms.of(master)
        term.steps += 1
        _note_event(term, event)
        if term.tally is not None:
            term.tally.note(term.core.state, event, output)
        if term.away and type(event) is OperatorJoined and event.conn == _GATEWAY:
            _look_at_a_return(master, term, output)
        for effect in output.effects:
            _note_effect(master, term, effect)
        if type(event) is OperatorJoined and event.conn == _GATEWAY:
            _look_at_what_was_missed(master, term, event, output)
        if term.steps % _LOOK_EVERY == 0:
            _Look(master, term).all()
            if term.published and master.process.epoch % _LEAVES == 0:
                term.leave()
                master.process.post(StreamClosed(_GATEWAY))
            elif term.published:  # its stream breaks, and it has missed few events, or none
                at = max(0, term.core.state.sequence - (term.steps // _LOOK_EVERY - 1) % _MISSED)
                resume = om.Resume(master.process.epoch, at)
                master.process.post(OperatorJoined(_GATEWAY, resume))
        elif term.steps == term.returns_at:
            resume = om.Resume(master.process.epoch, max(0, term.left_at - 1))
            master.process.post(OperatorJoined(_GATEWAY, resume))
        elif term.steps == _JOINS_AT and master.process.epoch % _ONE_OF == 0:
            master.process.post(OperatorJoined(_GATEWAY))


def _note_event(term: _Term, event: Any) -> None:
    kind = type(event)
    state = term.core.state
    if kind is AgentSaid:
        term.counters[_CAME.get(type(event.message), "")] += 1
    elif kind is FrameworkSaid:
        framework_id = state.framework_of.get(event.conn)
        if framework_id is None:
            return  # its stream is over by now
        term.counters[_CALLED.get(type(event.call), "")] += 1
        term.of(framework_id)["calls"] += 1
    elif kind is TimerFired and type(event.key) in _RUNS:
        term.counters["allocation_runs"] += 1
    elif kind is TimerFired and event.key == HistoryDue() and term.away:
        term.returns_at = term.steps + _RETURNS_AFTER


def _note_effect(master: VirtualMaster, term: _Term, effect: Any) -> None:
    kind, state = type(effect), term.core.state
    if kind is ToFramework:
        framework_id = state.framework_of.get(effect.conn)
        if framework_id is None:
            return
        said, told = term.of(framework_id), type(effect.event)
        said["events"] += 1
        if told is sm.Offers:
            said["offers/sent"] += len(effect.event.offers)
        elif told is sm.Rescind:
            said["offers/rescinded"] += 1
    elif kind is ToAgent:
        name = _SENT.get(type(effect.message))
        if name is not None:
            term.counters[name] += 1
            welcomed = term.came if name == "slave_registrations" else term.back
            wall_s = master.process.now().wall_s
            if welcomed is term.back or effect.message.agent_id not in welcomed:
                welcomed[effect.message.agent_id] = wall_s
    elif kind is Publish and term.replica is not None:
        term.replica.apply(effect.sequence, master.process.epoch, effect.event)
        term.published.append((effect.sequence, effect.event))
    elif kind is ToOperator and effect.conn == _GATEWAY and not (term.replica or term.away):
        term.replica = Replica()
        term.tally = tally.Tally(state)
        term.replica.apply(effect.sequence, master.process.epoch, effect.event)


def _look_at_a_return(master: VirtualMaster, term: _Term, output: Output[Any]) -> None:
    """What nobody listened to is not remembered: who has missed any of it is told everything."""
    term.away = False
    told = [type(each.event).__name__ for each in output.effects if type(each) is ToOperator]
    if told != [om.OperatorSubscribed.__name__]:
        raise Broken(
            f"promise 8: {master.name} is at {term.core.state.sequence}, and tells who was at "
            f"{term.left_at}, and away for long, of {told[:9]}"
        )


def _look_at_what_was_missed(
    master: VirtualMaster, term: _Term, event: OperatorJoined, output: Output[Any]
) -> None:
    """Who resumes is told exactly that, after the number that it has."""
    resume = event.resume
    if resume is None or not term.published or term.published[0][0] > resume.sequence:
        return
    told = [(e.sequence, e.event) for e in output.effects if type(e) is ToOperator]
    missed = {
        number: each
        for number, each in term.published
        if number > resume.sequence and type(each) is not om.OperatorHeartbeat
    }
    expected = [(resume.sequence, om.OperatorHeartbeat()), *missed.items()]
    if told != expected:
        raise Broken(
            f"promise 8: {master.name} tells who was at {resume.sequence} of {told}, missed were "
            f"{expected}"
        )


# ---------------------------------------------------------------------------------- looking


class _Look:
    """All reads of one moment."""

    def __init__(self, master: VirtualMaster, term: _Term) -> None:
        self._master = master
        self._term = term
        self._state: MasterState = term.core.state
        self._now = master.process.now()
        self._frameworks = [*self._state.frameworks.values(), *self._state.completed.values()]
        self._back = [
            agent
            for agent in self._state.agents.values()
            if agent.standing is not Standing.RECOVERED
        ]
        self._taken = taken(self._state)

    def all(self) -> None:
        self._tasks()
        self._agents()
        self._framework_views()
        self._rest()
        self._roles()
        self._metrics()
        self._explanations()
        self._replica()

    def _read(self, call: Any) -> Any:
        """As an operator is answered; a read changes nothing."""
        step = Step(self._state, self._now)
        answer = ANSWERS.handle(self._state, step, call)
        if step.writes or step.effects:
            raise Broken(f"promise 8: {call} changes something")
        return answer

    def _same(self, what: str, shown: Any, expected: Any) -> None:
        if shown != expected:
            raise Broken(
                f"promise 8: operators of {self._master.name} are told that {what} is {shown}, "
                f"but it is {expected}"
            )

    # ---- who there is

    def _tasks(self) -> None:
        read, config = self._read(om.GetTasks()), self._state.config
        entries = {
            (framework.id, task_id): entry
            for framework in self._frameworks
            for task_id, entry in (*framework.tasks.items(), *framework.unreachable.items())
        }
        live = [(f.id, id_) for f in self._frameworks for id_ in f.tasks]
        lost = [(f.id, id_) for f in self._frameworks for id_ in f.unreachable]
        over = [(f.id, id_) for f in self._frameworks for id_ in f.completed]
        for what, shown, keys in (
            ("tasks", read.tasks, live),
            ("unreachable tasks", read.unreachable_tasks, lost),
            ("completed tasks", read.completed_tasks, over),
        ):
            self._same(what, [(task.framework_id, task.task_id) for task in shown], keys)
        for task in (*read.tasks, *read.unreachable_tasks):
            entry = entries[(task.framework_id, task.task_id)]
            told = entry.forwarded
            self._same(f"the state of {task.task_id}", task.state, entry.state)
            self._same(f"what is told of {task.task_id}", task.statuses, tuple(entry.statuses))
            if told is not None:
                shown = (task.status_update_state, task.status_update_uuid)
                self._same(f"the update of {task.task_id}", shown, (told.state, told.uuid))
        for task in (*read.tasks, *read.completed_tasks):
            states = [status.state for status in task.statuses]
            if any(one is two for one, two in pairwise(states)):
                raise Broken(f"promise 8: {task.task_id} has been {states}, one of them twice")
            if any(status.data is not None for status in task.statuses):
                raise Broken(f"promise 8: the data of {task.task_id} is kept for operators")
        for task in read.unreachable_tasks:
            if task.state is not TaskState.UNREACHABLE:
                raise Broken(f"promise 8: {task.task_id} is {task.state}, and is shown as lost")
        for framework in self._frameworks:
            most = config.max_completed_tasks_per_framework
            self._bound(f"completed tasks of {framework.id}", len(framework.completed), most)
            ended = [id_ for id_, entry in framework.tasks.items() if entry.state.terminal]
            self._same(f"what of {framework.id} has ended", sorted(framework.ended), sorted(ended))
        self._bound(
            "completed frameworks", len(self._state.completed), config.max_completed_frameworks
        )

    def _bound(self, what: str, count: int, most: int) -> None:
        if count > most:
            raise Broken(f"promise 8: {count} {what} are kept, at most {most} are to be")

    def _agents(self) -> None:
        state, read = self._state, self._read(om.GetAgents())
        back = {agent.id: agent for agent in self._back}
        self._same("the agents", [view.agent_info.id for view in read.agents], list(back))
        recovered = [id_ for id_ in state.agents if id_ not in back]
        self._same("who is not back", [info.id for info in read.recovered_agents], recovered)
        lost = [(each.agent_info.id, each.unreachable_time) for each in read.unreachable_agents]
        expected = [(id_, each.record.since_s) for id_, each in state.unreachable.items()]
        self._same("who is unreachable", lost, expected)
        for view in read.agents:
            self._agent(view, back[view.agent_info.id])

    def _agent(self, view: om.AgentView, entry: AgentEntry) -> None:
        id_, state = entry.id, self._state
        offered = [offer.resources for offer in state.offers.values() if offer.agent_id == id_]
        here = entry.conn is not None
        self._same(f"the stream of {id_}", state.agent_of.get(entry.conn or ConnId(0)) == id_, here)
        shown = (view.agent_info, view.active, view.deactivated, view.drain_info)
        drains = entry.drain is not None
        expected = (
            entry.info,
            here and not entry.record.deactivated,
            entry.record.deactivated,
            entry.drain,
        )
        self._same(f"agent {id_}", shown, expected)
        self._same(f"whether {id_} drains", view.estimated_drain_start_time is not None, drains)
        if drains and not view.deactivated:
            raise Broken(f"promise 8: {id_} drains, and is shown as one that is offered")
        self._same(
            f"what {id_} has", (view.total_resources, view.offered_resources),
            (entry.info.resources, Resources.total(offered)),
        )  # fmt: skip
        allocated = Resources.total(of for at, _, _, of in self._taken if at == id_)
        self._same(f"what {id_} runs", view.allocated_resources, allocated)
        came_s, back_s = self._term.came.get(id_), self._term.back.get(id_)
        if came_s is not None and back_s is None:
            self._same(f"since when {id_} is there", view.registered_time, came_s)
        self._same(f"since when {id_} is back", view.reregistered_time, back_s)

    def _framework_views(self) -> None:
        state, read = self._state, self._read(om.GetFrameworks())
        shown = [view.framework_info.id for view in read.frameworks]
        self._same("the frameworks", shown, list(state.frameworks))
        over = [view.framework_info.id for view in read.completed_frameworks]
        self._same("the completed frameworks", over, list(state.completed))
        for view in read.frameworks:
            self._framework(view, state.frameworks[view.framework_info.id])
        for view in read.completed_frameworks:
            if view.active or view.connected or view.unregistered_time is None:
                raise Broken(f"promise 8: {view.framework_info.id} is over, and shown as {view}")

    def _framework(self, view: om.FrameworkView, entry: FrameworkEntry) -> None:
        id_, state = entry.id, self._state
        here = id_ in state.framework_of.values()
        shown = (view.framework_info, view.active, view.connected, view.recovered)
        if view.recovered and here:
            raise Broken(f"promise 8: {id_} is connected, and is shown as not back")
        self._same(f"framework {id_}", shown, (entry.info, here, here, entry.recovered))
        offers = [offer for offer in state.offers.values() if offer.framework_id == id_]
        self._same(f"the offers of {id_}", list(view.offers), offers)
        inverse = [each for each in state.inverse_offers.values() if each.framework_id == id_]
        self._same(f"the inverse offers of {id_}", _ids(view.inverse_offers), _ids(inverse))
        offered = Resources.total(offer.resources for offer in offers)
        self._same(f"what {id_} is offered", view.offered_resources, offered)
        allocated = Resources.total(of for _, whose, _, of in self._taken if whose == id_)
        self._same(f"what {id_} runs", view.allocated_resources, allocated)
        if view.unregistered_time is not None or view.registered_time is None:
            raise Broken(f"promise 8: {id_} lives, and is shown as {view}")
        self._same(f"the constraints of {id_}", view.offer_constraints, entry.constraints)

    def _rest(self) -> None:
        state = self._state
        read = self._read(om.GetOffers())
        self._same("the offers", _ids(read.offers), _ids(state.offers.values()))
        self._same(
            "the inverse offers", _ids(read.inverse_offers), _ids(state.inverse_offers.values())
        )
        executors = [
            (executor.info, agent_id)
            for framework in state.frameworks.values()
            for (agent_id, _), executor in framework.executors.items()
        ]
        shown = [
            (each.executor_info, each.agent_id) for each in self._read(om.GetExecutors()).executors
        ]
        self._same("the executors", sorted(map(str, shown)), sorted(map(str, executors)))
        operations = {
            record.uuid: record
            for agent in state.agents.values()
            for record in agent.operations.values()
        }
        known = self._read(om.GetOperations()).operations
        self._same("the operations", {record.uuid: record for record in known}, operations)
        for framework in state.frameworks.values():
            for id_, (agent_id, uuid) in framework.operations.items():
                record = operations.get(uuid)
                if record is None or (record.info.id, record.agent_id) != (id_, agent_id):
                    raise Broken(f"promise 8: operation {id_} of {framework.id} is {record}")
        everything = self._read(om.GetState())
        agents = replace(self._read(om.GetAgents()), unreachable_agents=())
        parts = (
            self._read(om.GetTasks()), self._read(om.GetFrameworks()), agents,
            self._read(om.GetExecutors()),
        )  # fmt: skip
        self._same("the state", everything, om.State(*parts))
        self._maintenance()

    def _maintenance(self) -> None:
        state, read = self._state, self._read(om.GetMaintenanceStatus()).status
        schedule = self._read(om.GetMaintenanceSchedule()).schedule
        names = [name_of(each) for window in schedule.windows for each in window.machine_ids]
        down = [name_of(each) for each in read.down_machines]
        draining = [name_of(each.id) for each in read.draining_machines]
        self._same("what is away", sorted([*down, *draining]), sorted(names))
        self._same("what is down", sorted(down), sorted(state.machines.record.down))
        for machine in read.draining_machines:
            answers = [
                answer.status
                for agent in state.agents.values()
                if agent.info.hostname.lower() == name_of(machine.id)
                for framework_id, answer in agent.inverse_answers.items()
                if framework_id in state.frameworks
            ]
            if machine.id.hostname:
                self._same(f"what is answered of {machine.id}", list(machine.statuses), answers)

    # ---- sums

    def _roles(self) -> None:
        state, read = self._state, self._read(om.GetRoles())
        weights = {info.role: info.weight for info in self._read(om.GetWeights()).weight_infos}
        self._same("the weights", weights, state.weights)
        configs = {config.role: config for config in self._read(om.GetQuota()).status.configs}
        self._same("the quotas", configs, state.quotas)
        offered = [(offer.role, offer.resources) for offer in state.offers.values()]
        back = {agent.id: None for agent in self._back}
        running = [(role, of) for at, _, role, of in self._taken if at in back and of]
        total = scalars(agent.info.resources for agent in self._back)
        held = reserved(state)
        members = {
            role: [f.id for f in state.frameworks.values() if role in f.info.all_roles]
            for f in state.frameworks.values()
            for role in f.info.all_roles
        }
        here = [f for f in state.frameworks.values() if f.conn is not None and f.admission is None]
        must = {role: None for framework in here for role in framework.info.all_roles}
        weighty = [role for role, weight in weights.items() if weight != 1.0]
        must |= dict.fromkeys((*weighty, *configs, *(role for role, _ in (*held, *running))))
        shown = [view.name for view in read.roles]
        if missing := [role for role in must if role not in shown]:
            raise Broken(f"promise 8: operators of {self._master.name} miss roles {missing}")
        if shown != sorted(set(shown)):
            raise Broken(f"promise 8: the roles are {shown}: each once, in order")
        for view in read.roles:
            role = view.name
            has, gets = scalars(of_role(role, running)), scalars(of_role(role, offered))
            for what, amounts, expected in (
                ("allocated", view.allocated, has), ("offered", view.offered, gets),
                ("reserved", view.reserved, scalars(of_role(role, held), shared=True)),
                ("allocated or offered", view.resources, has + gets),
            ):  # fmt: skip
                found = {kind.name: value for kind, value in amounts.items()}
                self._same(f"what is {what} in {role!r}", found, nonzero(expected))
            self._same(f"what {role!r} consumes", view.consumed, consumed(state, role))
            self._same(f"the weight of {role!r}", view.weight, state.weights.get(role, 1.0))
            self._same(f"the quota of {role!r}", view.quota, state.quotas.get(role))
            self._same(f"who is in {role!r}", list(view.frameworks), members.get(role, []))
            both = has + gets
            share = max((both[name] / n for name, n in total.items() if n), default=0.0)
            if abs(view.share - share) > _ROUNDING:
                self._same(f"the share of {role!r}", view.share, share)

    def _metrics(self) -> None:
        term, state = self._term, self._state
        found = {metric.name: metric.value for metric in self._read(om.GetMetrics()).metrics}
        active = sum(
            agent.conn is not None and not agent.record.deactivated for agent in self._back
        )
        connected = sum(agent.conn is not None for agent in self._back)
        here, known = len(state.framework_of), len(state.frameworks)
        expected: dict[str, float] = {
            "slaves_connected": connected,
            "slaves_disconnected": len(self._back) - connected,
            "slaves_active": active,
            "slaves_inactive": len(self._back) - active,
            "slaves_unreachable": len(state.unreachable),
            "slaves_recovered": len(state.agents) - len(self._back),
            "frameworks_connected": here,
            "frameworks_active": here,
            "frameworks_disconnected": known - here,
            "frameworks_inactive": known - here,
            "outstanding_offers": len(state.offers),
            "set_aside_records": len(self._read(om.GetSetAside()).records),
            "operator_event_stream_subscribers": len(state.operators),
            "elected": 1,
            "uptime_secs": self._now.wall_s - state.elected_s,
        }
        expected |= {name: term.counters[name] for name in (*_CAME.values(), *_CALLED.values())}
        expected |= {name: term.counters[name] for name in _SENT.values()}
        now = Counter(entry.state for f in state.frameworks.values() for entry in f.tasks.values())
        now[TaskState.UNREACHABLE] += sum(len(f.unreachable) for f in state.frameworks.values())
        expected |= {
            f"tasks_{each.removeprefix('TASK_').lower()}": now[each]
            for each in TaskState
            if not each.terminal
        }
        total = by_firmness(agent.info.resources for agent in self._back)
        back = {agent.id: None for agent in self._back}
        used = by_firmness(of for at, _, _, of in self._taken if at in back)
        for name in (*_SCALARS, *(f"{name}_revocable" for name in _SCALARS)):
            have, has = total[name], used[name]
            expected[f"{name}_total"] = have / 1000
            expected[f"{name}_used"] = has / 1000
            expected[f"{name}_percent"] = has / have if have else 0.0
        for name, value in expected.items():
            shown = found.get(f"master/{name}")
            if shown is None or abs(shown - value) > _ROUNDING * max(1.0, abs(value)):
                self._same(f"master/{name}", shown, value)
        self._allocator_metrics(found)
        runs = found.get("allocator/mesos/allocation_runs")
        self._same("allocation_runs", runs, term.counters["allocation_runs"])
        self._ends(found)
        for framework in state.frameworks.values():
            name = framework.info.name
            if not name.isalnum():
                continue  # it is escaped
            counters = term.of(framework.id)
            head = f"master/frameworks/{name}/{framework.id}"
            self._same(
                f"{head}/subscribed", found.get(f"{head}/subscribed"), framework.conn is not None
            )
            for each in ("events", "offers/sent", "offers/rescinded"):
                self._same(f"{head}/{each}", found.get(f"{head}/{each}", 0), counters[each])
            for task_state, count in Counter(t.state for t in framework.tasks.values()).items():
                key = f"{head}/tasks/active/{task_state.lower()}"
                self._same(key, found.get(key), count)

    def _allocator_metrics(self, found: Mapping[str, float]) -> None:
        """Of agents that are back since a failover, whatever has become of them since then."""
        state = self._state
        total = scalars((agent.info.resources for agent in self._back), shared=True)
        back = {agent.id: None for agent in self._back}
        held = [of for at, _, _, of in self._taken if at in back]
        held += [offer.resources for offer in state.offers.values()]
        taken_of = scalars(held)
        for name in _SCALARS:
            head = f"allocator/mesos/resources/{name}"
            if total[name]:
                self._same(f"{head}/total", found.get(f"{head}/total"), total[name] / 1000)
                shown = found.get(f"{head}/offered_or_allocated")
                self._same(f"{head}/offered_or_allocated", shown, taken_of[name] / 1000)
        head = "allocator/mesos/quota/roles"
        right = {
            f"{head}/{role}/resources/{name}/{what}": amount / 1000
            for role, config in state.quotas.items()
            for what, amounts in (("guarantee", config.guarantees), ("limit", config.limits))
            for name, amount in amounts.items()
        }
        kinds = ("/guarantee", "/limit")
        shown_of = {k: n for k, n in found.items() if k.startswith(head) and k.endswith(kinds)}
        self._same("what metrics have of quotas", shown_of, right)

    def _ends(self, found: Mapping[str, float]) -> None:
        """Each end was told once, to operators as to frameworks."""
        counted = self._term.tally
        if counted is None:
            return
        ends = counted.counters
        for name in (*tally.ENDS, *tally.UPDATES, "slave_removals"):
            self._same(f"master/{name}", found.get(f"master/{name}"), ends[name])
        right = {name: count for name, count in ends.items() if name.startswith("task_")}
        self._same("why tasks have ended", _below("master/task_", found, "task_"), right)
        for framework in self._state.frameworks.values():
            if framework.info.name.isalnum():
                head = f"master/frameworks/{framework.info.name}/{framework.id}/tasks/terminal/"
                own = counted.by_framework.get(framework.id, Counter())
                right = {k: n for k, n in own.items() if k.startswith("tasks/terminal/")}
                self._same(f"{head}*", _below(head, found, "tasks/terminal/"), right)

    # ---- why and why not

    def _explanations(self) -> None:
        state = self._state
        for framework in list(state.frameworks.values())[:_ASKED]:
            for agent in list(state.agents.values())[-_ASKED:]:
                call = om.Explain(framework.id, None, agent.id)
                told = self._read(call).explanations
                roles = [each.role for each in told]
                self._same(f"what {call} is about", roles, list(framework.info.all_roles))
                for each in told:
                    self._explanation(each, framework, agent)

    def _explanation(
        self, told: om.Explanation, framework: FrameworkEntry, agent: AgentEntry
    ) -> None:
        state, where = self._state, f"{framework.info.name} at {agent.info.hostname}"
        offers = [o for o in state.offers.values() if o.agent_id == agent.id]
        mine = [o for o in offers if (o.framework_id, o.role) == (framework.id, told.role)]
        vetoes = {each.veto for each in told.objections}
        expected = {"AGENT_INACTIVE": not agent.active}
        if framework.recovered or framework.admission is not None:
            expected = {"NOT_CONNECTED": True}
        elif agent.standing is not Standing.RECOVERED:
            expected["NOT_CONNECTED"] = framework.conn is None
            expected["OFFERED"] = len(offers) > len(mine)
            expected["PAUSED"] = state.agents_awaited > 0
            offered = Resources.total(offer.resources for offer in mine)
            self._same(f"what is offered to {where}", told.offered, offered)
            if framework.conn is not None:
                agents = {
                    o.agent_id: None
                    for o in state.offers.values()
                    if (o.framework_id, o.role) == (framework.id, told.role)
                }
                outstanding = told.counters.get("outstanding")
                self._same(f"how many offers {where} has", outstanding, len(agents))
        for veto, holds in expected.items():
            # What an agent has may have to be asked for first: then it is not offered meanwhile.
            if (veto in vetoes) != holds and not (veto == "AGENT_INACTIVE" and veto in vetoes):
                self._same(f"the reasons for {where}", sorted(vetoes), f"{veto} is {holds}")
        now_s = self._now.wall_s
        for each in told.objections:
            if each.until is not None and each.until < now_s - 600:
                self._same(f"the end of {each.veto} for {where}", each.until, f"after {now_s}")

    # ---- the stream

    def _replica(self) -> None:
        term, state = self._term, self._state
        # Views of who has what follow in a moment.
        if term.replica is None or state.changed_agents or state.changed_frameworks:
            return
        snapshot = Replica()
        everything = self._read(om.GetState())
        frameworks = everything.get_frameworks
        bare = tuple(replace(v, offers=(), inverse_offers=()) for v in frameworks.frameworks)
        everything = replace(everything, get_frameworks=replace(frameworks, frameworks=bare))
        snapshot.apply(
            state.sequence, self._master.process.epoch, om.OperatorSubscribed(everything)
        )
        ours, theirs = term.replica.view(), snapshot.view()
        if ours.sequence != theirs.sequence:
            raise Broken(f"promise 8: event {state.sequence} was never published")
        self._compare(ours, theirs)

    def _compare(self, ours: View, theirs: View) -> None:
        for name in ("agents", "recovered_agents", "frameworks", "tasks"):
            one, two = getattr(ours, name), getattr(theirs, name)
            if one == two:
                continue
            for key in dict.fromkeys((*one, *two)):
                if one.get(key) != two.get(key):
                    raise Broken(
                        f"promise 8: by the events of {self._master.name} {name} {key} is "
                        f"{one.get(key)}, but it is {two.get(key)}"
                    )


def _below(head: str, found: Mapping[str, float], name: str) -> dict[str, float]:
    """Those whose names begin so, with the rest behind `name`."""
    return {name + k.removeprefix(head): n for k, n in found.items() if k.startswith(head)}


def _ids(of: Iterable[Any]) -> list[str]:
    return sorted(each.id for each in of)
