"""Promise 4 for operations at the master: an agent's word of one goes to its framework, and a word
that it has no right to goes nowhere.

- Feedback is passed on as it came, counted with, and waited for until it is acknowledged; what
  nobody waits for is forgotten, and who never could acknowledge it is named to the agent.
- What is not so is told to the log and to nobody else, and the agent need not repeat it.
- If the agent has not what was counted with, none of it is offered until it has said what it has.
- An answer to a ping that nobody sent is not heard.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.cluster.operations import OperationState
from mezzo.core import Output
from mezzo.ids import FrameworkId
from mezzo.master.effects import NoteDenied, ToAgent, ToFramework
from mezzo.master.events import AgentSaid
from mezzo.master.state.agent_entry import AgentEntry
from mezzo.master.state.master_state import MasterState
from mezzo.messages import agent as am
from mezzo.messages.scheduler import UpdateOperationStatus
from mezzo.record import replace

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..calls.p8_case import Check, is_id

_UUID_BYTES: Final = 16
_FINAL: Final = frozenset(
    {
        OperationState.FINISHED,
        OperationState.FAILED,
        OperationState.ERROR,
        OperationState.DROPPED,
        OperationState.GONE_BY_OPERATOR,
    }
)


class FeedbackIsPassedOn(Watch):
    def __init__(self) -> None:
        self._check: Check | None = None

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        self._check = None
        if type(event) is not AgentSaid or not isinstance(
            event.message, am.OperationUpdate | am.Pong
        ):
            return
        core = master.core
        assert core is not None
        state = core.state
        agent = next((each for each in state.agents.values() if each.conn == event.conn), None)
        if agent is None:
            self._check = _silence
        elif isinstance(event.message, am.Pong):
            self._check = _pong(state, agent, event.message)
        else:
            self._check = _update(state, agent, event.message)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        check, self._check = self._check, None
        if check is not None and (why := check(output)):
            raise Broken(f"promise 4: {master.peer(event.conn)} says {event.message}: {why}")


def _silence(output: Output[Any]) -> str:
    spoken = [each for each in output.effects if isinstance(each, ToAgent | ToFramework)]
    return f"nobody is listened to there, and told is {spoken}" if spoken or output.writes else ""


def _denied(state: MasterState, output: Output[Any]) -> str:
    """The log is told, unless it was told too much already."""
    notes = sum(isinstance(each, NoteDenied) for each in output.effects)
    return "" if notes == 1 or state.denials.left_amount < 1 else f"the log is told {notes} times"


def _pong(state: MasterState, agent: AgentEntry, pong: am.Pong) -> Check:
    """A pong that nobody asked for says nothing."""
    before = agent.heard, agent.missed_pings, agent.heard_s, agent.id in state.removals
    asked = pong.number <= state.pings.number

    def check(output: Output[Any]) -> str:
        now = agent.heard, agent.missed_pings, agent.heard_s, agent.id in state.removals
        if asked:
            well = agent.heard >= pong.number and agent.missed_pings == 0 and not now[3]
            return "" if well else f"it lives, and {now} is known of it"
        return _denied(state, output) or _silence(output) or (
            "" if now == before else f"it answers what nobody has asked, and {before} became {now}"
        )  # fmt: skip

    return check


def _is_wrong(state: MasterState, agent: AgentEntry, said: am.OperationUpdate) -> bool:
    """Is the word of another agent, of another operation, or of none that anybody waits for?"""
    record, status = said.operation, said.status
    id_ = record.info.id
    uuids = [each for each in (record.uuid, status.uuid) if each is not None]
    if any(len(each) != _UUID_BYTES for each in uuids) or status.operation_id != id_:
        return True
    if {record.agent_id, status.agent_id} - {None, agent.id}:
        return True
    if id_ is None and status.uuid is not None:
        return True
    known = agent.operations.get(record.uuid)
    if known is not None and (known.framework_id, known.info.id) != (record.framework_id, id_):
        return True
    framework = state.frameworks.get(record.framework_id or FrameworkId(""))
    if framework is None or id_ is None:
        return False
    place = framework.operations.get(id_)
    return not is_id(id_) or place not in (None, (agent.id, record.uuid))


def _update(state: MasterState, agent: AgentEntry, said: am.OperationUpdate) -> Check:
    record, status, conn = said.operation, said.status, agent.conn
    assert conn is not None
    if record.uuid in agent.settled:
        return _silence  # its acknowledgement is on its way
    known = agent.operations.get(record.uuid)
    orders: list[Any] = []
    if _is_wrong(state, agent, said):
        if status.uuid is not None:
            orders.append(am.OperationAcknowledged(record.uuid, status.uuid))

        def denied(output: Output[Any]) -> str:
            if agent.operations.get(record.uuid) != known:
                return "it has no right to say so, and is believed"
            return _denied(state, output) or _says(output, orders, conn, [])

        return denied
    framework = state.frameworks.get(record.framework_id or FrameworkId(""))
    surprise = status.state is OperationState.FINISHED if known is None else False
    if known is not None and known.latest_status.state not in _FINAL:
        surprise = status.state is not OperationState.FINISHED
    if surprise:
        orders.append(am.Ping)
    told: list[Any] = []
    kept = None  # of an operation that is waited for: its status
    left = None
    if status.uuid is not None and record.framework_id is not None:
        if framework is None:
            orders.append(am.ShutdownFramework(record.framework_id))
            left = known
        else:
            kept = replace(status, agent_id=agent.id)
            if framework.conn is not None:
                told.append((framework.conn, UpdateOperationStatus(kept)))

    def check(output: Output[Any]) -> str:
        now = agent.operations.get(record.uuid)
        if framework is not None and kept is not None:
            place = framework.operations.get(record.info.id or "")
            if now is None or now.latest_status != kept or place != (agent.id, record.uuid):
                return f"it is to be waited for, and known is {now}, at {place}"
        elif now != left:
            return f"nobody waits for it, and known is {now}"
        if surprise and agent.offers:
            return f"nobody knows what it has, and offered are {agent.offers}"
        return _says(output, orders, conn, told)

    return check


def _says(output: Output[Any], orders: list[Any], conn: Any, told: list[Any]) -> str:
    """Just these orders to the agent (of a ping: some one), and these words about operations. One
    that drains for good may have waited for just this."""
    found = [
        am.Ping if isinstance(each.message, am.Ping) else each.message
        for each in output.effects
        if isinstance(each, ToAgent) and each.conn == conn
        if not isinstance(each.message, am.ShutdownAgent)
    ]
    if found != orders:
        return f"it is told {found}, right were {orders}"
    heard = [
        (each.conn, each.event)
        for each in output.effects
        if isinstance(each, ToFramework) and isinstance(each.event, UpdateOperationStatus)
    ]
    return "" if heard == told else f"frameworks are told {heard}, right were {told}"
