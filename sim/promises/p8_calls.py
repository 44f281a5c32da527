"""Promise 8 for callers: each call of a framework is taken or refused as the protocol says.

Before a leader takes a call it is judged here, by the rules alone: must it be refused, and what has
to come of it? Then that is looked for: the word to the caller, the order to the agent, the books.
Who is refused has changed nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from mezzo.core import CancelTimer, Output, SetTimer
from mezzo.ids import AgentId, ConnId, ExecutorId, OfferId, TaskId
from mezzo.master.events import CloseStream, FrameworkSaid, NoteDenied, ToAgent, ToFramework
from mezzo.master.state import AgentEntry, FrameworkEntry, MasterState, Standing, TaskEntry
from mezzo.messages import agent as am
from mezzo.messages import scheduler as sm
from mezzo.model import (
    Capability,
    ContainerType,
    ExecutorInfo,
    ExecutorType,
    FrameworkInfo,
    Offer,
    TaskInfo,
)
from mezzo.operations import Launch, LaunchGroup
from mezzo.record import replace
from mezzo.resources import Resources
from mezzo.states import Reason, TaskState

from ..masters import VirtualMaster
from ..watch import Broken, Watch

Check = Callable[[Output[Any]], str]
"""Looks at what came of a call; "" if it is right."""

_QUIET: Final = (SetTimer, CancelTimer, NoteDenied)
_UUID_BYTES: Final = 16
_COUNT_MAX: Final = 1_000_000_000
_SHAPES_MAX: Final = 1000
_NO_ID: Final = re.compile(r"[/\\\x00-\x1f\x7f]")
_ID_MAX_BYTES: Final = 255
_GROUP_CPUS, _GROUP_MEM = 10, 32_000  # thousandths: the least that an executor of a group has
_LEASE_PINGS, _LEASE_DRIFT, _LEASE_MARGIN_S = 3, 1.01, 5.0
_NEWER: Final = frozenset(
    {
        *(TaskState.DROPPED, TaskState.UNREACHABLE, TaskState.GONE),
        *(TaskState.GONE_BY_OPERATOR, TaskState.UNKNOWN),
    }
)


class CallsAreAnswered(Watch):
    def __init__(self) -> None:
        self._check: Check | None = None

    def master_steps(self, master: VirtualMaster, event: Any) -> None:  # noqa: ANN401
        self._check = None
        if type(event) is not FrameworkSaid:
            return
        core = master.core
        assert core is not None
        state, now_s = core.state, master.process.now().mono_s
        judge = _JUDGES.get(type(event.call))
        bound = state.framework_of.get(event.conn)
        if isinstance(event.call, sm.Subscribe):
            self._check = _Case(state, event, None, now_s).subscribe()
        elif bound is None or event.framework_id not in (None, bound):
            self._check = _Case(state, event, None, now_s).stranger
        elif judge is not None:
            self._check = judge(_Case(state, event, state.frameworks[bound], now_s))

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        check, self._check = self._check, None
        if check is not None and (wrong := check(output)):
            kind = type(event.call).__name__
            raise Broken(f"promise 8: {master.peer(event.conn)} says {kind}: {wrong}: {event.call}")


class _Case:
    """One call, and the state that it meets."""

    def __init__(
        self,
        state: MasterState,
        event: FrameworkSaid,
        framework: FrameworkEntry | None,
        now_s: float,
    ) -> None:
        self.state = state
        self.conn = event.conn
        self.named_id = event.framework_id
        self.call: Any = event.call
        self._framework = framework
        self.now_s = now_s

    @property
    def framework(self) -> FrameworkEntry:
        assert self._framework is not None
        return self._framework

    # ---- what came of it

    def told(self, output: Output[Any], kind: type | None = None) -> list[Any]:
        """The events that the caller gets."""
        return [
            each.event
            for each in output.effects
            if type(each) is ToFramework
            and each.conn == self.conn
            and (kind is None or type(each.event) is kind)
        ]

    def only_tells(self, output: Output[Any], *events: Any) -> str:  # noqa: ANN401
        """Nothing was done but to tell the caller this."""
        if output.writes or _orders(output):
            return f"it changes {output.writes or _orders(output)}"
        others = [
            each
            for each in output.effects
            if not isinstance(each, _QUIET) and not (
                type(each) is ToFramework and each.conn == self.conn
            )
        ]  # fmt: skip
        told = self.told(output)
        if others or told != list(events):
            return f"it is answered {told} and {others}, not {list(events)}"
        return ""

    def refused(self, output: Output[Any], name: str) -> str:
        """By a word that says why, and nothing else."""
        told = self.told(output)
        if len(told) == 1 and type(told[0]) is sm.Answered and told[0].refusal:
            return self.only_tells(output, *told) if told[0].call == name else f"it is told {told}"
        return f"it has to be refused, and is told {told}"

    def stranger(self, output: Output[Any]) -> str:
        told = self.told(output)
        closed = [each for each in output.effects if isinstance(each, CloseStream)]
        if [type(each) for each in told] != [sm.Error] or [c.conn for c in closed] != [self.conn]:
            return f"it is not subscribed there, and is told {told}"
        if output.writes or _orders(output):
            return "it is not subscribed there, and changes something"
        return ""

    def lost_form(self, state: TaskState) -> TaskState:
        aware = Capability.PARTITION_AWARE in self.framework.info.capabilities
        return TaskState.LOST if state in _NEWER and not aware else state

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
        expected = _Launches(self, mine)
        return lambda output: self._gone(mine, others) or expected.wrong(output)

    def _gone(self, mine: Iterable[Offer], others: Iterable[OfferId]) -> str:
        """Of the offers: what was the caller's is over, what was another's is not."""
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
        if list(self.framework.tasks) != before or _orders(output) or output.writes:
            return "its offers are not valid, and something is launched"
        tasks = [
            task.task_id
            for operation in self.call.operations
            if isinstance(operation, (Launch, LaunchGroup))
            for task in _tasks_of(operation)
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
            if set(events) - {sm.RescindInverseOffer} or _orders(output) or output.writes:
                return f"it is answered {events}, {_orders(output)}"
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

        def check(output: Output[Any]) -> str:
            if self.told(output, sm.Answered) or _orders(output) or output.writes:
                return f"it is answered {self.told(output)}, {_orders(output)}"
            waiting, agents = self.framework.admission, self.state.agents.values()
            if waiting is not None:
                if any((role in waiting.suppressed) is not suppressed for role in roles or own):
                    return f"suppressed are {waiting.suppressed}"
                return ""
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
            if _orders(output) != expected:
                return f"agents are told {_orders(output)}, not {expected}"
            return f"it is told {told}" if (told := self.told(output)) else ""

        return check

    def reconcile(self) -> Check:
        framework, tasks = self.framework, self.call.tasks
        if tasks:
            return self._expecting(tasks)
        known = [*framework.tasks, *framework.unreachable]
        return self._expecting([sm.ReconcileTask(task_id) for task_id in known])

    def _expecting(self, asked: Iterable[sm.ReconcileTask]) -> Check:
        """An answer for each, if there can be one."""
        expected = [answer for each in asked if (answer := self._reconciled(each)) is not None]

        def check(output: Output[Any]) -> str:
            told = self.told(output)
            if len(told) == 1 and type(told[0]) is sm.Answered and self.framework.answers.left < 1:
                return ""  # it asks for too much
            shown = [
                (s.task_id, s.state, s.agent_id, s.reason)
                for s in (each.status for each in told if type(each) is sm.Update)
            ]
            full = [(*each, Reason.RECONCILIATION) for each in expected]
            if shown != full or len(told) != len(full):
                return f"it is answered {told}, not {expected}"
            return "it changes something" if _orders(output) or output.writes else ""

        return check

    def _reconciled(
        self, asked: sm.ReconcileTask
    ) -> tuple[TaskId, TaskState, AgentId | None] | None:
        """The table of the protocol; None: it may still appear."""
        framework, state, at = self.framework, self.state, asked.agent_id
        entry = framework.tasks.get(asked.task_id) or framework.unreachable.get(asked.task_id)
        if entry is not None:
            return asked.task_id, self.lost_form(_told_last(entry)), entry.info.agent_id
        away = [each for each in state.agents.values() if each.standing is Standing.RECOVERED]
        known = at in state.agents or at in state.unreachable or at in state.gone
        if framework.forgotten and not known and self.now_s < state.recovery_over_s:
            return None
        if any(agent.id == at or at is None for agent in away):
            return None
        if at in state.agents:
            found = TaskState.GONE
        elif at in state.unreachable:
            found = TaskState.UNREACHABLE
        else:
            found = TaskState.GONE_BY_OPERATOR if at in state.gone else TaskState.UNKNOWN
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
            orders = [each for each in _orders(output) if each[0] == conn]
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

    def _ordering(self, agent: AgentEntry | None, order: Any) -> Check:  # noqa: ANN401
        conn = None if agent is None else agent.conn
        expected = [] if conn is None else [(conn, order)]

        def check(output: Output[Any]) -> str:
            if _orders(output) != expected or self.told(output) or output.writes:
                return f"agents are told {_orders(output)}, not {expected}"
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
            if order not in _orders(output):
                return f"agents are told {_orders(output)}, not {order}"
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
            elif each.agent_id in state.gone:
                found = "GONE_BY_OPERATOR"
            expected.append((each.operation_id, f"OPERATION_{found}", None))

        def check(output: Output[Any]) -> str:
            told = self.told(output)
            if len(told) == 1 and type(told[0]) is sm.Answered and self.framework.answers.left < 1:
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
            told = {conn for conn, order in _orders(output) if order == end}
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

    def update(self) -> Check:
        info, own = self.call.framework_info, self.framework.info
        kept = all(
            getattr(info, name) == getattr(own, name)
            for name in ("user", "principal", "checkpoint")
        )
        wrong = info.id != self.framework.id or not kept or self._is_wrong(info)
        roles = info.all_roles

        def check(output: Output[Any]) -> str:
            told = self.told(output, sm.Answered)
            done = told == [sm.Answered("UPDATE_FRAMEWORK")]
            if not done:
                if not wrong and self.call.offer_constraints is None and not _is_large(info):
                    return f"nothing is wrong with it, and it is told {told}"
                return self.refused(output, "UPDATE_FRAMEWORK")
            if wrong:
                return "it has to be refused, and is not"
            if self.framework.info != info:
                return f"it is {self.framework.info} afterwards"
            left = [self.state.offers[id_].role for id_ in self.framework.offers]
            return "" if all(role in roles for role in left) else f"it keeps offers of {left}"

        return check

    def subscribe(self) -> Check:
        state, info = self.state, self.call.framework_info
        bound = state.framework_of.get(self.conn)
        known = None if info.id is None else state.frameworks.get(info.id)
        wrong = (
            info.id != self.named_id
            or info.id in state.completed
            or (bound is not None and info.id not in (None, bound))
            or (known is not None and known.info.principal != info.principal)
            or self._is_wrong(info)
        )
        before = known or (None if bound is None else state.frameworks[bound])
        old = None if before is None else before.conn
        was = None if before is None else before.info

        def check(output: Output[Any]) -> str:
            told = self.told(output)
            if told and type(told[0]) is sm.Error:
                if not wrong and self.call.offer_constraints is None and not _is_large(info):
                    return f"nothing is wrong with it, and it is told {told}"
                if output.writes or len(told) > 1 or CloseStream(self.conn) not in output.effects:
                    return f"it is refused, and told {told}"
                return ""
            if wrong:
                return f"it has to be refused, and is told {told}"
            return self._subscribed(output, told, old, was)

        return check

    def _subscribed(
        self,
        output: Output[Any],
        told: list[Any],
        old: ConnId | None,
        was: FrameworkInfo | None,
    ) -> str:
        state = self.state
        kinds = [type(each) for each in told]
        if kinds[:2] != [sm.Subscribed, sm.Heartbeat]:
            return f"it is told {told}"
        id_ = told[0].framework_id
        framework, asked = state.frameworks[id_], self.call.framework_info
        expected = replace(asked, id=id_)
        if was is not None:
            if was.id != id_:
                return f"it was {was.id}, and is {id_} now"
            expected = replace(expected, user=was.user, checkpoint=was.checkpoint)
        if framework.info != expected or (asked.id is not None and asked.id != id_):
            return f"it is {framework.info} afterwards, not {expected}"
        if framework.conn != self.conn or state.framework_of.get(self.conn) != id_:
            return "it is not connected afterwards"
        if old is not None and old != self.conn:
            ends = [e for e in output.effects if getattr(e, "conn", None) == old]
            if [type(each) for each in ends] != [ToFramework, CloseStream]:
                return f"the process that it was before is told {ends}"
            if old in state.framework_of:
                return "the process that it was before still counts"
        if told[0].master_info != state.config.info:
            return f"it is told of another master: {told[0]}"
        return "" if framework.deadline_s is None else "it is connected, and waited for"

    def _is_wrong(self, info: FrameworkInfo) -> bool:
        """By the rules of what a framework may be, but for its constraints and its size."""
        multi = Capability.MULTI_ROLE in info.capabilities
        roles = info.roles if multi else (info.role,)
        return (
            (info.id is not None and not is_id(info.id))
            or not info.name
            or not 0 <= info.failover_timeout < 1e10
            or (info.role != "*" if multi else bool(info.roles))
            or len(set(roles)) != len(roles)
            or not all(is_role(role) for role in roles)
            or any(role not in roles for role in self.call.suppressed_roles)
            or any(
                each.role not in roles
                or not all(any(amounts.values()) for amounts in each.min_allocatable)
                for each in info.offer_filters
            )
        )


def _is_large(info: FrameworkInfo) -> bool:
    """So that it may be too large."""
    return len(repr(info)) > 30_000


def _orders(output: Output[Any]) -> list[tuple[ConnId, Any]]:
    return [(each.conn, each.message) for each in output.effects if type(each) is ToAgent]


def _tasks_of(operation: Launch | LaunchGroup) -> tuple[TaskInfo, ...]:
    return operation.task_infos if isinstance(operation, Launch) else operation.tasks


def _told_last(entry: TaskEntry) -> TaskState:
    return entry.state if entry.forwarded is None else entry.forwarded.state


def is_id(text: str) -> bool:
    """May a framework give this as an id?"""
    fits = 0 < len(text.encode()) <= _ID_MAX_BYTES
    return fits and text not in (".", "..") and _NO_ID.search(text) is None


def is_role(text: str) -> bool:
    """Mesos `roles::validate`."""
    return text == "*" or all(
        part not in ("", ".", "..", "*")
        and not part.startswith("-")
        and not any(ch.isspace() or ord(ch) < 32 or ord(ch) == 127 for ch in part)
        for part in text.split("/")
    )


# ---------------------------------------------------------------------------------- launches


class _Launches:
    """What a valid ACCEPT launches, and what it does not: judged before, looked at afterwards.

    With other operations among them only the number of answers is looked at.
    """

    def __init__(self, case: _Case, offers: list[Offer]) -> None:
        self._case = case
        self._framework = case.framework
        self._agent = case.state.agents[offers[0].agent_id]
        self._role = offers[0].role
        self._left = Resources.total(offer.resources for offer in offers)
        self._used = {*self._framework.tasks, *self._framework.unreachable}
        self._used |= {*self._framework.completed}
        self._executors: dict[ExecutorId, tuple[ExecutorInfo, str]] = {
            executor_id: (entry.info, entry.role)
            for (owner, executor_id), entry in self._agent.executors.items()
            if owner == self._framework.id
        }
        self._orders: list[list[TaskId]] = []  # each a message to the agent
        self._refused: list[TaskId] = []
        self._all_launch = True
        for operation in case.call.operations:
            if not isinstance(operation, (Launch, LaunchGroup)):
                self._all_launch = False
                break
            self._judge(operation)

    def _judge(self, operation: Launch | LaunchGroup) -> None:
        if operation.id is not None:
            self._refused += [task.task_id for task in _tasks_of(operation)]
        elif isinstance(operation, LaunchGroup):
            executor = self._filled(operation.executor)
            self._take(operation.tasks, executor, self._group_fits(operation.tasks, executor))
        else:
            for task in operation.task_infos:
                executor_or_none = None if task.executor is None else self._filled(task.executor)
                self._take((task,), executor_or_none, self._task_fits(task, executor_or_none))

    def _take(self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo | None, fits: bool) -> None:
        ids = [task.task_id for task in tasks]
        if not fits:
            self._refused += ids
            return
        self._orders.append(ids)
        self._used.update(ids)
        taken = [task.resources for task in tasks]
        if executor is not None and executor.executor_id not in self._executors:
            self._executors[executor.executor_id] = (executor, self._role)
            taken.append(executor.resources)
        for resources in taken:
            self._left = self._left - _alone(resources)

    def _filled(self, executor: ExecutorInfo) -> ExecutorInfo:
        own = executor.framework_id is not None
        return executor if own else replace(executor, framework_id=self._framework.id)

    def _task_fits(self, task: TaskInfo, executor: ExecutorInfo | None) -> bool:
        return (
            self._is_new(task)
            and (task.command is None) is not (executor is None)
            and self._is_described(task)
            and (
                executor is None
                or (executor.type is not ExecutorType.DEFAULT and self._executor_fits(executor))
            )
            and self._is_there((task,), executor)
        )

    def _group_fits(self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo) -> bool:
        containers = [task.container for task in tasks if task.container is not None]
        return (
            executor.type is not ExecutorType.UNKNOWN
            and self._executor_fits(executor)
            and executor.resources.milli("cpus") >= _GROUP_CPUS
            and executor.resources.milli("mem") >= _GROUP_MEM
            and len({task.task_id for task in tasks}) == len(tasks)
            and all(self._is_new(task) and self._is_described(task) for task in tasks)
            and all(t.executor is None or self._filled(t.executor) == executor for t in tasks)
            and not any(each.type is ContainerType.DOCKER for each in containers)
            and not any(each.network_infos for each in containers)
            and self._is_there(tasks, executor)
        )

    def _is_new(self, task: TaskInfo) -> bool:
        named = is_id(task.task_id) and task.task_id not in self._used
        return named and task.agent_id == self._agent.id

    def _is_described(self, task: TaskInfo) -> bool:
        container, lease_s = task.container, task.unique_lease
        if container is not None and container.type is ContainerType.DOCKER:
            image = None if container.docker is None else container.docker.image
            if not image:
                return False
        if lease_s is None:
            return True
        config = self._case.state.config
        most_s = config.agent_reregister_timeout_s
        return (
            lease_s >= _LEASE_PINGS * config.agent_ping_timeout_s
            and lease_s * _LEASE_DRIFT + _LEASE_MARGIN_S <= most_s
        )

    def _executor_fits(self, executor: ExecutorInfo) -> bool:
        if not is_id(executor.executor_id) or executor.framework_id != self._framework.id:
            return False
        known = self._executors.get(executor.executor_id)
        if known is not None and known != (executor, self._role):
            return False
        if executor.type is not ExecutorType.DEFAULT:
            return executor.command is not None
        container = executor.container
        docker = container is not None and container.type is ContainerType.DOCKER
        return executor.command is None and not docker

    def _is_there(self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo | None) -> bool:
        """Of what was offered enough is left."""
        parts = [task.resources for task in tasks]
        if not all(parts) or any(part.milli("gpus") % 1000 for part in parts):
            return False
        mixed = Resources.total([*parts, *([] if executor is None else [executor.resources])])
        soft = {kind.name for kind, _ in mixed.items() if kind.revocable}
        if any(kind.name in soft and not kind.revocable for kind, _ in mixed.items()):
            return False
        if executor is not None and executor.executor_id not in self._executors:
            parts.append(executor.resources)
        wanted = Resources()
        for part in parts:
            if wanted and wanted.overlaps(_alone(part)):
                return False
            wanted = wanted + part
        own = all(
            not kind.reservations
            or self._role == kind.role
            or self._role.startswith(kind.role + "/")
            for kind, _ in wanted.items()
        )
        return own and wanted <= self._left

    # ---- afterwards

    def wrong(self, output: Output[Any]) -> str:
        launches = [
            (conn, message)
            for conn, message in _orders(output)
            if isinstance(message, am.RunTask | am.RunGroup)
        ]
        errors = [
            status.task_id
            for event in self._case.told(output, sm.Update)
            if (status := event.status).state is TaskState.ERROR
        ]
        unread = [u.task_id for u in self._case.call.unreadable if u.task_id is not None]
        if self._all_launch:
            ran = [[task.task_id for task in _ran(message)] for _, message in launches]
            if ran != self._orders:
                return f"the agent is told to run {ran}, not {self._orders}"
            if errors != [*unread, *self._refused]:
                return f"it is told that {errors} are wrong, not {self._refused}"
        for conn, message in launches:
            if conn != self._agent.conn or message.framework != self._framework.info:
                return f"{message} goes to {conn}, not {self._agent.conn}"
            if message.role != self._role:
                return f"it is offered for {self._role}, and launched for {message.role}"
            for task in _ran(message):
                entry = self._framework.tasks.get(task.task_id)
                if entry is None or entry.state is not TaskState.STAGING:
                    return f"{task.task_id} is launched, and known as {entry}"
                known = (entry.info.resources, entry.info.agent_id, entry.info.role)
                if known != (task.resources, self._agent.id, self._role):
                    return f"{task.task_id} is launched, and known as {entry.info}"
        return ""


def _ran(message: am.RunTask | am.RunGroup) -> tuple[TaskInfo, ...]:
    return message.tasks if isinstance(message, am.RunGroup) else (message.task,)


def _alone(resources: Resources) -> Resources:
    """Without what is shared."""
    return Resources({kind: value for kind, value in resources.items() if not kind.shared})


_JUDGES: Final[Mapping[type, Callable[[_Case], Check]]] = {
    sm.Accept: _Case.accept,
    sm.Decline: _Case.decline,
    sm.Revive: _Case.revive,
    sm.Suppress: _Case.suppress,
    sm.Kill: _Case.kill,
    sm.Reconcile: _Case.reconcile,
    sm.Acknowledge: _Case.acknowledge,
    sm.Message: _Case.message,
    sm.Shutdown: _Case.shutdown,
    sm.AcknowledgeOperationStatus: _Case.acknowledge_operation,
    sm.ReconcileOperations: _Case.reconcile_operations,
    sm.AcceptInverseOffers: _Case.answer_inverse,
    sm.DeclineInverseOffers: _Case.answer_inverse,
    sm.Teardown: _Case.teardown,
    sm.Request: _Case.request,
    sm.UpdateFramework: _Case.update,
}
