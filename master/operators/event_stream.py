"""Operators who listen: what they missed, and what they are shown."""

from __future__ import annotations

from mezzo.ids import ConnId
from mezzo.messages import operator as m

from .. import views
from ..effects import CloseStream, Publish, ToOperator
from ..events import OperatorJoined
from ..state.master_state import MasterState
from ..state.step import Step
from ..timers import HistoryDue, OperatorHeartbeatDue

# An operator whose stream broke is mostly back in a moment: so long is noted what it misses.
LISTEN_ON_S = 60.0


def joined(state: MasterState, step: Step, event: OperatorJoined) -> None:
    """The snapshot first, or what was missed since an earlier stream; what is published from now on
    follows it. Of too many streams the oldest ends."""
    conn, missed = event.conn, _missed(state, event.resume)
    if missed is None:
        everything = views.everything(state, with_offers=False)
        snapshot = m.OperatorSubscribed(everything, state.config.heartbeat_s)
        step.do(ToOperator(conn, state.sequence, snapshot))
    else:
        at = state.sequence - len(missed)
        step.do(ToOperator(conn, at, m.OperatorHeartbeat()))  # repeats the number it has
        for number, news in enumerate(missed, at + 1):
            step.do(ToOperator(conn, number, news))
    state.operators[conn] = None
    state.journal.open = True
    step.cancel(HistoryDue())
    while len(state.operators) > state.config.max_operator_event_stream_subscribers:
        oldest = next(iter(state.operators))
        del state.operators[oldest]
        step.do(CloseStream(oldest))


def _missed(state: MasterState, resume: m.Resume | None) -> list[m.OperatorEvent] | None:
    """Events since then; None if unknown: it was another leader's stream, or too long ago."""
    if resume is None or resume.epoch != state.epoch:
        return None
    return state.journal.latest(state.sequence - resume.sequence)


def left(state: MasterState, step: Step, conn: ConnId) -> None:
    """A stream ended, perhaps that of an operator."""
    if conn in state.operators:
        del state.operators[conn]
        if not state.operators:
            step.timer(HistoryDue(), LISTEN_ON_S)


def close_journal(state: MasterState, step: Step) -> None:
    """Nobody came back."""
    state.journal.close()


def publish_views(state: MasterState, step: Step) -> None:
    """Tell who has what by now: the views that changed since the last time."""
    state.views_due = False
    agents, state.changed_agents = state.changed_agents, {}
    changed, state.changed_frameworks = state.changed_frameworks, {}
    for agent_id in agents:
        if agent_id in state.agents:
            step.publish(m.AgentUpdated(views.agent(state, state.agents[agent_id])))
    for framework_id in changed:
        if framework_id in state.frameworks:
            step.publish(m.FrameworkUpdated(views.framework(state, state.frameworks[framework_id])))


def heartbeat(state: MasterState, step: Step) -> None:
    if state.operators:
        step.do(Publish(state.sequence, m.OperatorHeartbeat()))
    step.timer(OperatorHeartbeatDue(), state.config.heartbeat_s)
