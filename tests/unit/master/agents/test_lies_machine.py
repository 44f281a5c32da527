"""Random clusters with liars among honest agents and frameworks: the books are right all the same,
and nothing that is not the liar's changes at its word."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mezzo.cluster.amounts import Items
from mezzo.cluster.model import (
    AgentInfo,
    Capability,
    CommandInfo,
    ExecutorInfo,
    Filters,
    FrameworkInfo,
    KillPolicy,
    Task,
    TaskStatus,
)
from mezzo.cluster.operations import (
    Launch,
    Operation,
    OperationRecord,
    OperationState,
    OperationStatus,
    Reserve,
)
from mezzo.cluster.resources import Kind, Reservation, Resources
from mezzo.cluster.states import Source, TaskState
from mezzo.ids import AgentId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.master.effects import ToAgent, ToFramework
from mezzo.master.events import AgentSaid, FrameworkSaid
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..process.test_machine import MasterMachine, some
from ..world import Agent, Framework, task

TEXTS = ["", "x", "a/b", ".", "\x00", "é" * 200, "__proto__"]
ROLES = ["*", "ads", "ads/web", "a//b", ".", "", "\n"]
RESOURCES = [
    Resources(),
    Resources.of(cpus=1, mem=32),
    Resources.of(cpus=1e9, mem=1e9, ports=[(0, 9)]),
    Resources({Kind("cpus"): Items.of(["a"])}),
    Resources({Kind("gems"): 5_000}),
    Resources({Kind("gems"): Items.of(["a"])}),
]
uuids = st.sampled_from([None, b"", b"short", b"0" * 16, b"1" * 16])


class LiesMachine(MasterMachine):
    """The liar agent is known to the state alone; the liar framework is among the others, and may
    do honest things as well."""

    def __init__(self) -> None:
        super().__init__()
        self.liar_agent: Agent | None = None
        self.liar: Framework | None = None

    # ---- what there is to lie about

    def framework_ids(self) -> list[FrameworkId]:
        state = self.state
        return [*state.frameworks, *state.completed, *(FrameworkId(text) for text in TEXTS)]

    def agent_ids(self) -> list[AgentId]:
        return [*self.state.agents, *self.state.unreachable, AgentId("x")]

    def tasks(self) -> list[tuple[FrameworkId, TaskId]]:
        known = [
            (each.id, task_id)
            for each in [*self.state.frameworks.values(), *self.state.completed.values()]
            for tasks in (each.tasks, each.unreachable, each.completed)
            for task_id in tasks  # type: ignore[attr-defined]
        ]
        return [*known, *((f, TaskId(t)) for f in self.framework_ids()[:2] for t in TEXTS[:3])]

    def operations(self) -> list[OperationRecord]:
        known = [r for each in self.state.agents.values() for r in each.operations.values()]
        cpus = Resources({Kind("cpus", (Reservation("DYNAMIC", "ads"),)): 1000})
        status = OperationStatus(OperationState.FAILED, "o1")
        ids = self.framework_ids()
        return [*known, OperationRecord(b"2" * 16, Reserve(cpus, id="o1"), status, ids[0])]

    # ---- a lying agent

    def agent_who_lies(self) -> Agent:
        liar = self.liar_agent
        if liar is None or liar.conn is None:
            self.liar_agent = liar = liar or Agent(self.world, self.world.agent().info)
            liar.reregister()
            liar.ignores.discard(am.Ping)
        return liar

    def said(self, liar: Agent, message: am.AgentMessage) -> None:
        """Let it speak, and see that nothing else has changed when it has."""
        assert liar.conn is not None
        before = self.picture(agent=liar.id)
        owners = self.owners()
        effects = self.world.step(AgentSaid(liar.conn, message))
        assert self.picture(agent=liar.id) == before
        for effect in effects:
            if isinstance(effect, ToAgent):
                assert effect.conn == liar.conn
            elif isinstance(effect, ToFramework):
                self.check_told(effect.event, liar.id, owners)
        self.world.settle()
        if liar.conn is not None and liar.conn not in self.state.agent_of:
            liar.disconnect()

    def owners(self) -> dict[tuple[FrameworkId, TaskId], AgentId]:
        return {
            (each.id, task_id): entry.info.agent_id
            for each in self.state.frameworks.values()
            for task_id, entry in [*each.tasks.items(), *each.unreachable.items()]
        }

    @staticmethod
    def check_told(
        event: sm.Event, liar: AgentId, owners: dict[tuple[FrameworkId, TaskId], AgentId]
    ) -> None:
        match event:
            case sm.Update(status=status):
                assert status.agent_id in (None, liar)
                whose = {a for (_, t), a in owners.items() if t == status.task_id}
                assert not whose or liar in whose
            case sm.Failure(agent_id=agent_id) | sm.Message(agent_id=agent_id):
                assert agent_id == liar
            case sm.UpdateOperationStatus(status=told):
                assert told.agent_id in (None, liar)
            case _:
                assert isinstance(event, sm.Rescind | sm.Offers | sm.RescindInverseOffer)

    def picture(
        self, *, agent: AgentId | None = None, framework: FrameworkId | None = None
    ) -> dict[Any, Any]:
        """All that is not theirs."""
        state, out = self.state, {}
        for a in state.agents.values():
            if a.id == agent:
                continue
            mine = {k: v for k, v in a.tasks.items() if k[0] != framework}
            out[a.id] = (
                *(a.info if framework is None else a.info.hostname, a.standing, a.conn, a.stream),
                *(replace(a.record, info=AgentInfo("")), a.heard, a.missed_pings),
                {k: (e.state, e.forwarded, e.pending_kill) for k, e in mine.items()},
                [k for k in a.executors if k[0] != framework],
                {u: r for u, r in a.operations.items() if r.framework_id != framework},
                [i for i in a.offers if state.offers[i].framework_id != framework],
            )
        for f in state.frameworks.values():
            if f.id == framework or (f.recovered and f.id not in state.frameworks):
                continue
            out[f.id] = (
                *(f.info, f.conn, f.recovered, f.constraints, f.demand, f.deadline_s),
                {t: e.state for t, e in f.tasks.items() if e.info.agent_id != agent},
                {t: e.state for t, e in f.unreachable.items() if e.info.agent_id != agent},
                {o: p for o, p in f.operations.items() if p[0] != agent},
                [o for o in f.offers if state.offers[o].agent_id != agent],
                [k for k in f.executors if k[0] != agent],
            )
        out["operators"] = (dict(state.weights), dict(state.quotas), state.machines.record)
        return {key: each for key, each in out.items() if key not in self.phantoms}

    @property
    def phantoms(self) -> set[FrameworkId]:
        """Frameworks that only a report told of."""
        mine = {each.id for each in self.frameworks}
        return {each for each in self.state.frameworks if each not in mine}

    @rule(
        data=st.data(),
        uuid=uuids,
        states=st.lists(st.sampled_from(TaskState), min_size=2, max_size=2),
        source=st.sampled_from([None, *Source]),
    )
    def agent_lies_of_a_task(
        self, data: st.DataObject, uuid: bytes | None, states: list[TaskState], source: Source
    ) -> None:
        liar = self.agent_who_lies()
        framework_id, task_id = data.draw(st.sampled_from(self.tasks()))
        status = TaskStatus(
            *(task_id, states[0]),
            agent_id=data.draw(st.sampled_from([None, liar.id, *self.agent_ids()])),
            executor_id=data.draw(st.sampled_from([None, ExecutorId("a"), ExecutorId("z")])),
            uuid=uuid,
            source=source,
        )
        self.said(liar, am.StatusUpdate(framework_id, status, states[1]))

    @rule(data=st.data(), id_=st.sampled_from([None, "mine", "others"]), anew=st.booleans())
    def agent_lies_in_a_report(self, data: st.DataObject, id_: str | None, anew: bool) -> None:
        liar = self.agent_who_lies()
        if anew:
            liar.disconnect()
            liar.connect()
        pick = st.sampled_from
        agent_ids = pick([liar.id, *self.agent_ids()])
        tasks = [
            Task(
                *("n", task_id, data.draw(agent_ids)),
                framework_id=framework_id,
                state=data.draw(pick(TaskState)),
                resources=data.draw(pick(RESOURCES)),
                role=data.draw(pick(ROLES)),
                executor_id=data.draw(pick([None, ExecutorId("a")])),
            )
            for framework_id, task_id in data.draw(st.lists(pick(self.tasks()), max_size=4))
        ]
        infos = [
            FrameworkInfo(
                *("u", data.draw(pick(TEXTS)), framework_id),
                failover_timeout=data.draw(pick([0.0, -1.0, 1e300, float("nan"), 100.0])),
                role=data.draw(pick(ROLES)),
            )
            for framework_id in data.draw(st.lists(pick(self.framework_ids()), max_size=2))
        ]
        executors = [
            ExecutorInfo(
                ExecutorId(data.draw(pick(["a", "b", *TEXTS]))),
                data.draw(pick([None, *self.framework_ids()])),
                resources=data.draw(pick(RESOURCES)),
            )
            for _ in range(data.draw(st.integers(0, 3)))
        ]
        operations = [
            replace(record, agent_id=data.draw(pick([None, liar.id, record.agent_id])))
            for record in data.draw(st.lists(pick(self.operations()), max_size=2))
        ]
        whose = {None: None, "mine": liar.id, "others": data.draw(agent_ids)}[id_]
        info = replace(liar.info, id=whose, resources=data.draw(pick(RESOURCES)))
        if whose != liar.id and anew:  # a stolen id that nobody checks
            whose, info = liar.id, replace(info, id=liar.id)
        self.said(
            liar,
            am.ReregisterAgent(
                *(info, "1.0", "boot", tuple(tasks), tuple(infos)),
                *(tuple(executors), tuple(operations), liar.capabilities),
            ),
        )

    @rule(data=st.data(), kind=st.integers(0, 5), number=st.sampled_from([0, 5, 2**62]))
    def agent_lies_of_others(self, data: st.DataObject, kind: int, number: int) -> None:
        liar = self.agent_who_lies()
        pick = st.sampled_from
        framework_id = data.draw(pick(self.framework_ids()))
        executor_id = ExecutorId(data.draw(pick(["a", "b", *TEXTS])))
        record = data.draw(pick(self.operations()))
        status = OperationStatus(
            data.draw(pick(OperationState)),
            data.draw(pick([None, record.info.id, "o3"])),
            agent_id=data.draw(pick([None, *self.agent_ids()])),
            uuid=data.draw(uuids),
        )
        other = data.draw(pick([liar, *self.agents]))
        message: am.AgentMessage = [
            am.Pong(number),
            am.ExecutorMessage(framework_id, executor_id, b"x"),
            am.ExecutorExited(framework_id, executor_id, 1),
            am.OperationUpdate(record, status),
            am.RegisterAgent(replace(other.info, id=None), "1.0", "boot"),
            am.UnregisterAgent(),
        ][kind]
        if isinstance(message, am.RegisterAgent) and not self.state.agents[liar.id].connected:
            return
        self.said(liar, message)

    # ---- a lying framework

    def framework_who_lies(self) -> Framework:
        liar = self.liar
        if liar is not None and liar.conn is None and liar in self.frameworks:
            liar.subscribe()
        if liar is None or liar.conn is None or liar not in self.frameworks:
            if liar in self.frameworks:
                self.frameworks.remove(liar)  # it had been removed meanwhile
            self.liar = liar = self.world.framework("liar", role="ads")
            self.frameworks.append(liar)
        return liar

    def call(self, data: st.DataObject, liar: Framework) -> sm.Call:
        pick = st.sampled_from
        agent_id = data.draw(pick([None, *self.agent_ids()]))
        some_id = agent_id or AgentId("x")
        _, task_id = data.draw(pick(self.tasks()))
        executor_id = ExecutorId(data.draw(pick(["a", "b", "x"])))
        offers = data.draw(st.lists(pick([*self.state.offers, OfferId("x")]), max_size=3))
        uuid = data.draw(uuids) or b""
        record = data.draw(pick(self.operations()))
        filters = Filters(data.draw(pick([0.0, 5.0, -1.0, float("nan"), float("inf")])))
        roles = tuple(data.draw(st.lists(pick(ROLES), max_size=2)))
        launch = task(
            task_id, some_id, data.draw(pick(RESOURCES)), executor=None, command=CommandInfo("x")
        )
        grab = Launch((launch, launch))
        operation: Operation = data.draw(pick([grab, record.info]))
        info = replace(
            liar.info,
            id=data.draw(pick([liar.info.id, None, *self.framework_ids()[:3]])),
            name=data.draw(pick(TEXTS)),
            role="*",
            roles=roles,
            capabilities=(Capability.MULTI_ROLE,),
        )
        return data.draw(
            pick(
                [
                    sm.Accept(tuple(offers), (operation,), filters),
                    sm.Accept(tuple(offers * 2), (), filters),
                    sm.Decline(tuple(offers), filters),
                    sm.Acknowledge(some_id, task_id, uuid),
                    sm.Kill(task_id, agent_id, KillPolicy(data.draw(pick([-1.0, 1.0])))),
                    sm.Revive(roles),
                    sm.Suppress(roles),
                    sm.Reconcile((sm.ReconcileTask(task_id, agent_id),) * 3),
                    sm.Reconcile(),
                    sm.Message(some_id, executor_id, b"x"),
                    sm.Shutdown(executor_id, some_id),
                    sm.AcknowledgeOperationStatus(some_id, uuid, record.info.id or ""),
                    sm.ReconcileOperations(),
                    sm.AcceptInverseOffers(tuple(offers)),
                    sm.UpdateFramework(info, roles),
                    sm.Request((sm.DemandRequest(resources=RESOURCES[1], count=3),)),
                    sm.Subscribe(info, roles),
                ]
            )
        )

    @rule(data=st.data())
    def framework_lies(self, data: st.DataObject) -> None:
        liar = self.framework_who_lies()
        call = self.call(data, liar)
        if isinstance(call, sm.Subscribe) and call.framework_info.id not in (None, liar.info.id):
            return  # in an open cluster who knows an id is that framework: see docs
        named = data.draw(st.sampled_from([None, liar.info.id, FrameworkId("x")]))
        if isinstance(call, sm.Subscribe):
            named = call.framework_info.id
        before = self.picture(framework=liar.id)
        assert liar.conn is not None
        effects = self.world.step(FrameworkSaid(liar.conn, named, call))
        assert self.picture(framework=liar.id) == before
        for effect in effects:
            if isinstance(effect, ToAgent):
                self.check_order(effect.message, liar.id)
            elif isinstance(effect, ToFramework):
                assert effect.conn == liar.conn or liar.conn is None
        self.world.settle()
        known = self.state.frameworks[liar.id]
        liar.offers = {i: self.state.offers[i] for i in known.offers}
        liar.info = known.info

    @staticmethod
    def check_order(message: am.MasterMessage, liar: FrameworkId) -> None:
        framework_id = getattr(message, "framework_id", liar)
        assert framework_id == liar
        framework = getattr(message, "framework", None)
        assert framework is None or framework.id == liar

    # ---- a confused operator

    @rule(data=st.data(), number=some)
    def operator_contradicts(self, data: st.DataObject, number: int) -> None:
        pick = st.sampled_from
        agent_id = data.draw(pick(self.agent_ids()))
        resources = data.draw(pick(RESOURCES))
        role = data.draw(pick(ROLES))
        amount = data.draw(pick([-5, 0, 2000, 10**18]))
        call = data.draw(
            pick(
                [
                    om.ReserveResources(agent_id, resources, data.draw(pick(RESOURCES))),
                    om.UnreserveResources(agent_id, resources),
                    om.CreateVolumes(agent_id, resources),
                    om.DestroyVolumes(agent_id, resources),
                    om.GrowVolume(agent_id, resources, resources),
                    om.ShrinkVolume(agent_id, resources, amount),
                    om.UpdateQuota((om.QuotaConfig(role, {"cpus": amount}, {"cpus": 1000}),)),
                    om.RemoveQuota(role),
                    om.UpdateWeights((om.WeightInfo(float(amount), role),) * (1 + number % 2)),
                    om.Teardown(FrameworkId("x")),
                    om.Explain(agent=agent_id, role=role),
                ]
            )
        )
        before = (dict(self.world.stored), self.picture())
        answer = self.world.ask(call)
        if isinstance(answer, om.Refused):
            assert (dict(self.world.stored), self.picture()) == before

    def teardown(self) -> None:
        if self.liar_agent is not None:
            if self.liar_agent.conn is None:
                self.liar_agent.tasks.clear()
                self.agent_who_lies()
            self.liar_agent.say(am.UnregisterAgent())
            self.liar_agent = None
        for phantom in self.phantoms:
            self.world.ask(om.Teardown(phantom))
        super().teardown()


class TestLiesHurtNobodyElse(LiesMachine.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(
        max_examples=100,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
