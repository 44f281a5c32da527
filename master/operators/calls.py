"""The operator API: calls and subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mezzo.errors import BadRequest, Conflict
from mezzo.messages import operator as m
from mezzo.record import Record

from .. import loading, metrics, views
from ..agents import draining, maintenance
from ..effects import Answer
from ..events import OperatorAsked
from ..frameworks import ending
from ..operations import operation_rules, pending_operations
from ..roles import listing, quota_calls, weight_calls
from ..state.master_state import MasterState
from ..state.step import Step
from . import explaining


def asked(state: MasterState, step: Step, event: OperatorAsked) -> None:
    """Every call is answered. Who is refused has changed nothing."""
    try:
        answer = ANSWERS[type(event.call)](state, step, event.call)
    except Conflict as error:
        answer = m.Conflict(str(error))
    except BadRequest as error:
        answer = m.Refused(str(error))
    step.do(Answer(event.request, state.sequence, answer))  # the number of what it has changed


def _teardown(state: MasterState, step: Step, call: m.TeardownFramework) -> m.OperatorResponse:
    framework = state.frameworks.get(call.framework_id)
    if framework is None:
        raise BadRequest(f"framework {call.framework_id} is not known: name a live one")
    ending.complete(state, step, framework, "an operator tore it down")
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
    m.GetRoles: _reading(listing.view),
    m.GetWeights: _reading(weight_calls.weights),
    m.GetQuota: _reading(quota_calls.quotas),
    m.UpdateWeights: weight_calls.update_weights,
    m.UpdateQuota: quota_calls.update_quota,
    m.SetQuota: quota_calls.set_quota,
    m.RemoveQuota: quota_calls.remove_quota,
    m.TeardownFramework: _teardown,
    m.DrainAgent: draining.drain,
    m.DeactivateAgent: draining.deactivate,
    m.ReactivateAgent: draining.reactivate,
    m.MarkAgentGone: draining.mark_gone,
    m.GetOperations: _reading(pending_operations.view),
    m.ReserveResources: operation_rules.reserve,
    m.UnreserveResources: operation_rules.unreserve,
    m.CreateVolumes: operation_rules.create,
    m.DestroyVolumes: operation_rules.destroy,
    m.GrowVolume: operation_rules.grow,
    m.ShrinkVolume: operation_rules.shrink,
    m.GetMaintenanceSchedule: maintenance.schedule,
    m.GetMaintenanceStatus: maintenance.status,
    m.UpdateMaintenanceSchedule: maintenance.update_schedule,
    m.StartMaintenance: maintenance.start,
    m.StopMaintenance: maintenance.stop,
    m.Explain: explaining.explain,
    m.GetSetAside: _reading(loading.set_aside),
    m.DeleteSetAside: loading.delete,
}
