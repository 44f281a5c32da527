"""Promise 8 for callers: each call of a framework is taken or refused as the protocol says.

Before a leader takes a call it is judged here, by the rules alone: must it be refused, and what has
to come of it? Then that is looked for: the word to the caller, the order to the agent, the books.
A refused call has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from mezzo.cluster.model import Offer
from mezzo.cluster.operations import Launch, LaunchGroup
from mezzo.cluster.states import Reason, TaskState
from mezzo.core import Output
from mezzo.ids import AgentId, OfferId, TaskId
from mezzo.master.effects import CloseStream
from mezzo.master.events import FrameworkSaid
from mezzo.master.state.agent_entry import AgentEntry, Standing
from mezzo.master.state.task_entry import TaskEntry
from mezzo.messages import agent as am
from mezzo.messages import scheduler as sm

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from .p8_case import Check, orders_of, tasks_of
from .p8_conversions import Conversions
from .p8_launches import Launches
from .p8_subscriptions import Subscriptions

_UUID_BYTES: Final = 16
_COUNT_MAX: Final = 1_000_000_000
_SHAPES_MAX: Final = 1000


class CallsAreAnswered(Watch):
    def __init__(self) -> None:
        self._check: Check | None = None

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        self._check = None
        if type(event) is not FrameworkSaid:
            return
        core = master.core
        assert core is not None
        state, now_s = core.state, master.process.now().mono_s
        judge = _JUDGES.get(type(event.call))
        bound = state.framework_of.get(event.conn)
        if isinstance(event.call, sm.Subscribe):
            self._check = _Call(state, event, None, now_s).subscribe()
        elif bound is None or event.framework_id not in (None, bound):
            self._check = _Call(state, event, None, now_s).stranger
        elif judge is not None:
            self._check = judge(_Call(state, event, state.frameworks[bound], now_s))

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        check, self._check = self._check, None
        if check is not None and (wrong := check(output)):
            kind = type(event.call).__name__
            raise Broken(f"promise 8: {master.peer(event.conn)} says {kind}: {wrong}: {event.call}")


class _Call(Subscriptions):
    """A call on a stream that stands, or the first of one."""

    # ---- offers

    def accept(self) -> Check:
        state, call = self.state, self.call
        offers = [state.offers.get(offer_id) for offer_id in call.offer_ids]
        mine = [o for o in offers if o is not None and o.framework_id == self.framework.id]
        valid = (
            bool(mine)
            and len(mine) == len(call.offer_ids) == len(set(call.offer_ids))
            and len({(offer.agent_id, offer.role) for offer in mine}) == 1
        )
        others = [o.id for o in offers if o is not None and o.framework_id != self.framework.id]
        if not valid:
            before = list(self.framework.tasks)
            return lambda output: self._invalid(output, mine, others, before)
        expected, converted = Launches(self, mine), Conversions(self, mine)
        return lambda output: (
            self._gone(mine, others) or expected.wrong(output) or converted.wrong(output)
        )

    def _gone(self, mine: Iterable[Offer], others: Iterable[OfferId]) -> str:
        """The caller's offers are over, those of others are not."""
        if left := [offer.id for offer in mine if offer.id in self.state.offers]:
            return f"offers {left} are used up, and there still"
        if taken := [id_ for id_ in others if id_ not in self.state.offers]:
            return f"offers {taken} are another's, and gone"
        return ""

    def _invalid(
        self,
        output: Output[Any],
        mine: list[Offer],
        others: list[OfferId],
        before: list[TaskId],
    ) -> str:
        if list(self.framework.tasks) != before or orders_of(output) or output.writes:
            return "its offers are not valid, and something is launched"
        tasks = [
            task.task_id
            for operation in self.call.operations
            if isinstance(operation, (Launch, LaunchGroup))
            for task in tasks_of(operation)
        ]
        ids = [
            operation.id
            for operation in self.call.operations
            if not isinstance(operation, (Launch, LaunchGroup)) and operation.id is not None
        ]
        unread = [u.task_id for u in self.call.unreadable if u.task_id is not None]
        told = [each.status for each in self.told(output, sm.Update)]
        if sorted(s.task_id for s in told) != sorted([*tasks, *unread]):
            return f"its offers are not valid, and it is told of {[s.task_id for s in told]}"
        dropped = self.lost_form(TaskState.DROPPED)
        for status in told[len(unread) :]:
            if (status.state, status.reason) != (dropped, Reason.INVALID_OFFERS):
                return f"its offers are not valid, and it is told {status}"
        unread_ids = [
            u.operation_id
            for u in self.call.unreadable
            if u.task_id is None and u.operation_id is not None
        ]
        answered = [
            each.status.operation_id for each in self.told(output, sm.UpdateOperationStatus)
        ]
        if sorted(map(str, answered)) != sorted(map(str, [*ids, *unread_ids])):
            return f"its offers are not valid, and of operations it is told {answered}"
        return self._gone(mine, others)

    def decline(self) -> Check:
        offers = [self.state.offers.get(offer_id) for offer_id in self.call.offer_ids]
        mine = [o for o in offers if o is not None and o.framework_id == self.framework.id]
        others = [o.id for o in offers if o is not None and o.framework_id != self.framework.id]

        def check(output: Output[Any]) -> str:
            events = [type(each) for each in self.told(output)]
            if set(events) - {sm.RescindInverseOffer} or orders_of(output) or output.writes:
                return f"it is answered {events}, {orders_of(output)}"
            return self._gone(mine, others)

        return check

    def revive(self) -> Check:
        return self._of_roles("REVIVE", suppressed=False)

    def suppress(self) -> Check:
        return self._of_roles("SUPPRESS", suppressed=True)

    def _of_roles(self, name: str, *, suppressed: bool) -> Check:
        own, roles = self.framework.info.all_roles, self.call.roles
        if any(role not in own for role in roles):
            return lambda output: self.refused(output, name)
        before = self.framework.admission

        def check(output: Output[Any]) -> str:
            if self.told(output, sm.Answered) or orders_of(output) or output.writes:
                return f"it is answered {self.told(output)}, {orders_of(output)}"
            waiting, agents = self.framework.admission, self.state.agents.values()
            if waiting is not None:
                named = roles or own
                were = () if before is None else before.suppressed
                right = {role for role in own if (suppressed if role in named else role in were)}
                return "" if right == waiting.suppressed else f"suppressed are {waiting.suppressed}"
            back = [each.id for each in agents if each.standing is not Standing.RECOVERED][-1:]
            for role in roles or own:
                for agent_id in back:
                    why = self.state.allocator.explain(
                        self.framework.id, role, agent_id, self.now_s
                    )
                    vetoes = [each.veto for each in why.objections]
                    if ("SUPPRESSED" in vetoes) is not suppressed:
                        return f"of role {role} it is explained {vetoes}"
                    if "FILTERED" in vetoes and not suppressed:
                        return f"what it refused in {role} still counts"
            return ""

        return check

    # ---- tasks

    def kill(self) -> Check:
        framework, call = self.framework, self.call
        entry = framework.tasks.get(call.task_id)
        lost = framework.unreachable.get(call.task_id)
        known = entry or lost
        if known is None:
            return self._expecting([sm.ReconcileTask(call.task_id, call.agent_id)])
        agent_id = known.info.agent_id
        if call.agent_id not in (None, agent_id):
            return lambda output: self.only_tells(output)
        order = am.KillTask(framework.id, call.task_id, call.kill_policy)
        agent = self.state.agents.get(agent_id)
        if entry is None or agent is None:
            return self._expecting([sm.ReconcileTask(call.task_id)])

        def check(output: Output[Any]) -> str:
            expected = [] if agent.conn is None else [(agent.conn, order)]
            if orders_of(output) != expected:
                return f"agents are told {orders_of(output)}, not {expected}"
            return f"it is told {told}" if (told := self.told(output)) else ""

        return check

    def reconcile(self) -> Check:
        framework, tasks = self.framework, self.call.tasks
        if tasks:
            return self._expecting(tasks)
        known = [*framework.tasks, *framework.unreachable]
        return self._expecting([sm.ReconcileTask(task_id) for task_id in known])

    def _asks_too_much(self, told: Sequence[Any]) -> bool:
        return (
            len(told) == 1
            and type(told[0]) is sm.Answered
            and self.framework.answers.left_amount < 1
        )

    def _expecting(self, asked: Iterable[sm.ReconcileTask]) -> Check:
        """Expect an answer for each task, if there can be one."""
        asked = tuple(asked)
        once = {id(each): self._reconciled(each) for each in {id(e): e for e in asked}.values()}
        expected = [answer for each in asked if (answer := once[id(each)]) is not None]

        def check(output: Output[Any]) -> str:
            told = self.told(output)
            if self._asks_too_much(told):
                return ""
            shown = [
                (s.task_id, s.state, s.agent_id, s.reason)
                for s in (each.status for each in told if type(each) is sm.Update)
            ]
            full = [(*each, Reason.RECONCILIATION) for each in expected]
            if shown != full or len(told) != len(full):
                return f"it is answered {told}, not {expected}"
            return "it changes something" if orders_of(output) or output.writes else ""

        return check

    def _reconciled(
        self, asked: sm.ReconcileTask
    ) -> tuple[TaskId, TaskState, AgentId | None] | None:
        """The state by the protocol's table; None: the task may still appear."""
        framework, state, at = self.framework, self.state, asked.agent_id
        entry = framework.tasks.get(asked.task_id) or framework.unreachable.get(asked.task_id)
        if entry is not None:
            return asked.task_id, self.lost_form(_told_last(entry)), entry.info.agent_id
        away = [each for each in state.agents.values() if each.standing is Standing.RECOVERED]
        known = at in state.agents or at in state.unreachable or at in state.gone_since_s
        if framework.forgotten and not known and self.now_s < state.recovery_over_s:
            return None
        if any(agent.id == at or at is None for agent in away):
            return None
        if at in state.agents:
            found = TaskState.GONE
        elif at in state.unreachable:
            found = TaskState.UNREACHABLE
        else:
            found = TaskState.GONE_BY_OPERATOR if at in state.gone_since_s else TaskState.UNKNOWN
        return asked.task_id, self.lost_form(found), at

    def acknowledge(self) -> Check:
        framework, call = self.framework, self.call
        if len(call.uuid) != _UUID_BYTES:
            return lambda output: self.refused(output, "ACKNOWLEDGE")
        agent = self.state.agents.get(call.agent_id)
        entry = framework.tasks.get(call.task_id)
        if agent is None or agent.conn is None:
            return lambda output: (
                self._settled(output, entry, over=False) or self.only_tells(output)
            )
        if entry is not None and entry.info.agent_id != call.agent_id:
            return lambda output: (
                self._settled(output, entry, over=False) or self.only_tells(output)
            )
        sent = None if entry is None else entry.forwarded
        over = sent is not None and sent.state.terminal and sent.uuid == call.uuid
        conn = agent.conn
        order = am.UpdateAcknowledged(framework.id, call.task_id, call.uuid)

        def check(output: Output[Any]) -> str:
            orders = [each for each in orders_of(output) if each[0] == conn]
            # With its last task an agent that drains may be done.
            if orders[:1] != [(conn, order)]:
                return f"agent {call.agent_id} is told {orders}"
            return self._settled(output, entry, over=over)

        return check

    def _settled(self, output: Output[Any], entry: TaskEntry | None, *, over: bool) -> str:
        framework, task_id = self.framework, self.call.task_id
        if entry is None:
            return ""
        if (task_id in framework.tasks) is over:
            return f"{task_id} is {'still' if over else 'not'} waited for"
        if over and task_id not in framework.completed:
            return f"{task_id} is over, and forgotten at once"
        return self._nothing_told(output)

    def _nothing_told(self, output: Output[Any]) -> str:
        """But that an agent is gone: one that drains for good waited for just this."""
        told = [e for e in self.told(output) if type(e) not in (sm.Failure, sm.RescindInverseOffer)]
        return f"it is told {told}" if told else ""

    # ---- executors and operations

    def message(self) -> Check:
        call = self.call
        order = am.FrameworkMessage(self.framework.id, call.executor_id, call.data)
        return self._ordering(self.state.agents.get(call.agent_id), order)

    def shutdown(self) -> Check:
        call = self.call
        agent = self.state.agents.get(call.agent_id)
        if agent is not None and (self.framework.id, call.executor_id) not in agent.executors:
            agent = None
        return self._ordering(agent, am.ShutdownExecutor(self.framework.id, call.executor_id))

    def _ordering(self, agent: AgentEntry | None, order: Any) -> Check:
        conn = None if agent is None else agent.conn
        expected = [] if conn is None else [(conn, order)]

        def check(output: Output[Any]) -> str:
            if orders_of(output) != expected or self.told(output) or output.writes:
                return f"agents are told {orders_of(output)}, not {expected}"
            return ""

        return check

    def acknowledge_operation(self) -> Check:
        call, state = self.call, self.state
        agent_id, uuid = self.framework.operations.get(call.operation_id, (None, b""))
        agent = None if agent_id is None else state.agents.get(agent_id)
        record = None if agent is None else agent.operations.get(uuid)
        if agent is None or record is None or agent_id != call.agent_id or agent.conn is None:
            return lambda output: self.only_tells(output)
        if record.latest_status.uuid != call.uuid:
            return lambda output: self.only_tells(output)
        conn, ended = agent.conn, record.latest_status.state.terminal
        order = (conn, am.OperationAcknowledged(uuid, call.uuid))

        def check(output: Output[Any]) -> str:
            if order not in orders_of(output):
                return f"agents are told {orders_of(output)}, not {order}"
            if ended and call.operation_id in self.framework.operations:
                return "its end is acknowledged, and still waited for"
            return self._nothing_told(output)

        return check

    def reconcile_operations(self) -> Check:
        framework, state = self.framework, self.state
        asked = self.call.operations or [sm.ReconcileOperation(id_) for id_ in framework.operations]
        expected: list[tuple[str, Any, bytes | None]] = []
        for each in asked:
            agent_id, uuid = framework.operations.get(each.operation_id, (None, b""))
            if agent_id is not None and each.agent_id in (None, agent_id):
                latest = state.agents[agent_id].operations[uuid].latest_status
                expected.append((each.operation_id, latest.state, latest.uuid))
                continue
            at = state.agents.get(each.agent_id or AgentId(""))
            found = "UNKNOWN"
            if at is not None and at.standing is Standing.RECOVERED:
                found = "RECOVERING"
            elif each.agent_id in state.unreachable:
                found = "UNREACHABLE"
            elif each.agent_id in state.gone_since_s:
                found = "GONE_BY_OPERATOR"
            expected.append((each.operation_id, f"OPERATION_{found}", None))

        def check(output: Output[Any]) -> str:
            told = self.told(output)
            if self._asks_too_much(told):
                return ""
            statuses = [each.status for each in told if type(each) is sm.UpdateOperationStatus]
            shown = [(s.operation_id, s.state, s.uuid) for s in statuses]
            return "" if shown == expected else f"it is answered {told}, not {expected}"

        return check

    def answer_inverse(self) -> Check:
        offers = [self.state.inverse_offers.get(id_) for id_ in self.call.inverse_offer_ids]
        mine = [o for o in offers if o is not None and o.framework_id == self.framework.id]
        others = [o.id for o in offers if o is not None and o.framework_id != self.framework.id]
        status = "ACCEPT" if isinstance(self.call, sm.AcceptInverseOffers) else "DECLINE"

        def check(output: Output[Any]) -> str:
            known = self.state.inverse_offers
            if left := [offer.id for offer in mine if offer.id in known]:
                return f"{left} are answered, and there still"
            if taken := [id_ for id_ in others if id_ not in known]:
                return f"{taken} are another's, and gone"
            for offer in mine:
                agent = self.state.agents[offer.agent_id or AgentId("")]
                answer = agent.inverse_answers.get(self.framework.id)
                if answer is None or answer.status.status != status:
                    return f"the answer is noted as {answer}"
            return self.only_tells(output)

        return check

    # ---- the framework itself

    def teardown(self) -> Check:
        state, framework = self.state, self.framework
        used = {task.info.agent_id for task in framework.tasks.values()}
        used |= {agent_id for agent_id, _ in framework.executors}
        conns = {
            agent.conn
            for agent_id in used
            if (agent := state.agents.get(agent_id)) is not None and agent.conn is not None
        }
        offers = list(framework.offers)

        def check(output: Output[Any]) -> str:
            end = am.ShutdownFramework(framework.id)
            told = {conn for conn, order in orders_of(output) if order == end}
            if missing := conns - told:
                return f"agents at {missing} are not told"
            if framework.id in state.frameworks or framework.id not in state.completed:
                return "it is still there"
            if self.conn in state.framework_of or CloseStream(self.conn) not in output.effects:
                return "its stream goes on"
            if left := [id_ for id_ in offers if id_ in state.offers]:
                return f"its offers {left} are still there"
            owners = {key[0] for agent in state.agents.values() for key in agent.tasks}
            owners |= {key[0] for agent in state.agents.values() for key in agent.executors}
            return "its tasks count" if framework.id in owners else ""

        return check

    def request(self) -> Check:
        info, shapes, wrong = self.framework.info, 0, False
        for each in self.call.requests:
            if each.count is None:
                continue
            roles = info.all_roles if each.role is None else (each.role,)
            shapes += len(roles)
            wrong |= not 0 <= each.count <= _COUNT_MAX or not each.resources
            wrong |= any(role not in info.all_roles for role in roles)
        if wrong or shapes > _SHAPES_MAX:
            return lambda output: self.refused(output, "REQUEST")
        return lambda output: (
            f"it declares {shapes} shapes, and {len(self.framework.demand)} are known"
            if len(self.framework.demand) != shapes
            else self.only_tells(output)
        )


def _told_last(entry: TaskEntry) -> TaskState:
    return entry.state if entry.forwarded is None else entry.forwarded.state


_JUDGES: Final[Mapping[type, Callable[[_Call], Check]]] = {
    sm.Accept: _Call.accept,
    sm.Decline: _Call.decline,
    sm.Revive: _Call.revive,
    sm.Suppress: _Call.suppress,
    sm.Kill: _Call.kill,
    sm.Reconcile: _Call.reconcile,
    sm.Acknowledge: _Call.acknowledge,
    sm.Message: _Call.message,
    sm.Shutdown: _Call.shutdown,
    sm.AcknowledgeOperationStatus: _Call.acknowledge_operation,
    sm.ReconcileOperations: _Call.reconcile_operations,
    sm.AcceptInverseOffers: _Call.answer_inverse,
    sm.DeclineInverseOffers: _Call.answer_inverse,
    sm.Teardown: _Call.teardown,
    sm.Request: _Call.request,
    sm.UpdateFramework: _Call.update,
}
