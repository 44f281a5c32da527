"""The operator API: calls and subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mezzo.errors import BadRequest, Conflict
from mezzo.ids import ConnId
from mezzo.messages import operator as m
from mezzo.record import Record

from . import (
    conversions,
    draining,
    explaining,
    frameworks,
    loading,
    maintenance,
    metrics,
    operations,
    roles,
    views,
)
from .events import Answer, CloseStream, Publish, ToOperator
from .state import MasterState, Step

TIMER_OPERATOR_HEARTBEAT = "operator heartbeat"
TIMER_JOURNAL = "journal"
# Who lost its stream is mostly back in a moment: so long is noted what it misses.
LISTEN_ON_S = 60.0


# ---------------------------------------------------------------------------------- calls


def asked(state: MasterState, step: Step, request: int, call: m.OperatorCall) -> None:
    """Every call is answered. Who is refused has changed nothing."""
    try:
        answer = ANSWERS[type(call)](state, step, call)
    except Conflict as error:
        answer = m.Conflict(str(error))
    except BadRequest as error:
        answer = m.Refused(str(error))
    step.do(Answer(request, state.sequence, answer))  # the number of what it has changed


def _teardown(state: MasterState, step: Step, call: m.TeardownFramework) -> m.OperatorResponse:
    framework = state.frameworks.get(call.framework_id)
    if framework is None:
        raise BadRequest(f"framework {call.framework_id} is not known: name a live one")
    frameworks.complete(state, step, framework, "an operator tore it down")
    return m.Done()


Reader = Callable[[MasterState], m.OperatorResponse]
Answerer = Callable[[MasterState, Step, Any], m.OperatorResponse]


def _reading(read: Reader) -> Answerer:
    """Of a call without a body that changes nothing."""
    return lambda state, _step, _call: read(state)


ANSWERS: Final[Mapping[type[Record], Answerer]] = {
    m.GetState: _reading(views.everything),
    m.GetAgents: _reading(views.agents),
    m.GetFrameworks: _reading(views.frameworks),
    m.GetTasks: _reading(views.tasks),
    m.GetExecutors: _reading(views.executors),
    m.GetOffers: _reading(views.offers),
    m.GetMaster: _reading(views.master),
    m.GetMetrics: metrics.view,
    m.GetRoles: _reading(roles.view),
    m.GetWeights: _reading(roles.weights),
    m.GetQuota: _reading(roles.quotas),
    m.UpdateWeights: roles.update_weights,
    m.UpdateQuota: roles.update_quota,
    m.SetQuota: roles.set_quota,
    m.RemoveQuota: roles.remove_quota,
    m.TeardownFramework: _teardown,
    m.DrainAgent: draining.drain,
    m.DeactivateAgent: draining.deactivate,
    m.ReactivateAgent: draining.reactivate,
    m.MarkAgentGone: draining.mark_gone,
    m.GetOperations: _reading(operations.view),
    m.ReserveResources: conversions.reserve,
    m.UnreserveResources: conversions.unreserve,
    m.CreateVolumes: conversions.create,
    m.DestroyVolumes: conversions.destroy,
    m.GrowVolume: conversions.grow,
    m.ShrinkVolume: conversions.shrink,
    m.GetMaintenanceSchedule: maintenance.schedule,
    m.GetMaintenanceStatus: maintenance.status,
    m.UpdateMaintenanceSchedule: maintenance.update_schedule,
    m.StartMaintenance: maintenance.start,
    m.StopMaintenance: maintenance.stop,
    m.Explain: explaining.explain,
    m.GetSetAside: _reading(loading.set_aside),
    m.DeleteSetAside: loading.delete,
}

# ---------------------------------------------------------------------------------- the stream


def joined(state: MasterState, step: Step, conn: ConnId, resume: m.Resume | None) -> None:
    """The snapshot first, or what was missed since an earlier stream; what is published from now on
    follows it. Of too many streams the oldest ends."""
    missed = _missed(state, resume)
    if missed is None:
        everything = views.everything(state, with_offers=False)
        snapshot = m.OperatorSubscribed(everything, state.config.heartbeat_s)
        step.do(ToOperator(conn, state.sequence, snapshot))
    else:
        at = state.sequence - len(missed)
        step.do(ToOperator(conn, at, m.OperatorHeartbeat()))  # repeats the number it has
        for number, event in enumerate(missed, at + 1):
            step.do(ToOperator(conn, number, event))
    state.operators[conn] = None
    state.journal.open = True
    step.cancel(TIMER_JOURNAL)
    while len(state.operators) > state.config.max_operator_event_stream_subscribers:
        oldest = next(iter(state.operators))
        del state.operators[oldest]
        step.do(CloseStream(oldest))


def _missed(state: MasterState, resume: m.Resume | None) -> list[m.OperatorEvent] | None:
    """None: that is not known, for it is another leader's stream or too long ago."""
    if resume is None or resume.epoch != state.epoch:
        return None
    return state.journal.latest(state.sequence - resume.sequence)


def left(state: MasterState, step: Step, conn: ConnId) -> None:
    """A stream ended, perhaps that of an operator."""
    if conn in state.operators:
        del state.operators[conn]
        if not state.operators:
            step.timer(TIMER_JOURNAL, LISTEN_ON_S)


def close_journal(state: MasterState, step: Step) -> None:
    """Nobody came back."""
    state.journal.close()


def publish_views(state: MasterState, step: Step) -> None:
    """Who has what, as it is by now: the views that changed since the last time."""
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
    step.timer(TIMER_OPERATOR_HEARTBEAT, state.config.heartbeat_s)
