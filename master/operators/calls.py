"""The operator API: calls and subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mezzo.errors import BadRequest, NotNow
from mezzo.handlers import Handlers, Row, on, when
from mezzo.messages import operator as m

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
    """Every call is answered. A refused one has changed nothing."""
    try:
        answer = ANSWERS.handle(state, step, event.call)
    except NotNow as error:
        answer = m.Conflict(str(error))
    except BadRequest as error:
        answer = m.Refused(str(error))
    step.do(Answer(event.request, state.sequence, answer))  # the number of the change


def _teardown(state: MasterState, step: Step, call: m.Teardown) -> m.OperatorResponse:
    framework = state.frameworks.get(call.framework_id)
    if framework is None:
        raise BadRequest(f"framework {call.framework_id} is not known: name a live one")
    ending.complete(state, step, framework, "an operator tore it down")
    return m.Done()


def _read(
    kind: type[m.OperatorCall], read: Callable[[MasterState], m.OperatorResponse]
) -> Row[m.OperatorResponse, MasterState, Step]:
    """The handler of a call without a body that changes nothing."""
    return when(kind, lambda state, _step: read(state))


ANSWERS: Final[Handlers[m.OperatorResponse, MasterState, Step]] = Handlers(
    tuple(m.CALLS.values()),
    _read(m.GetState, views.everything),
    _read(m.GetAgents, views.agents),
    _read(m.GetFrameworks, views.frameworks),
    _read(m.GetTasks, views.tasks),
    _read(m.GetExecutors, views.executors),
    _read(m.GetOffers, views.offers),
    _read(m.GetMaster, views.master),
    on(m.GetMetrics, metrics.view),
    _read(m.GetRoles, listing.view),
    _read(m.GetWeights, weight_calls.weights),
    _read(m.GetQuota, quota_calls.quotas),
    on(m.UpdateWeights, weight_calls.update_weights),
    on(m.UpdateQuota, quota_calls.update_quota),
    on(m.SetQuota, quota_calls.set_quota),
    on(m.RemoveQuota, quota_calls.remove_quota),
    on(m.Teardown, _teardown),
    on(m.DrainAgent, draining.drain),
    on(m.DeactivateAgent, draining.deactivate),
    on(m.ReactivateAgent, draining.reactivate),
    on(m.MarkAgentGone, draining.mark_gone),
    _read(m.GetOperations, pending_operations.view),
    on(m.ReserveResources, operation_rules.reserve),
    on(m.UnreserveResources, operation_rules.unreserve),
    on(m.CreateVolumes, operation_rules.create),
    on(m.DestroyVolumes, operation_rules.destroy),
    on(m.GrowVolume, operation_rules.grow),
    on(m.ShrinkVolume, operation_rules.shrink),
    on(m.GetMaintenanceSchedule, maintenance.schedule),
    on(m.GetMaintenanceStatus, maintenance.status),
    on(m.UpdateMaintenanceSchedule, maintenance.update_schedule),
    on(m.StartMaintenance, maintenance.start),
    on(m.StopMaintenance, maintenance.stop),
    on(m.Explain, explaining.explain),
    _read(m.GetSetAside, loading.set_aside),
    on(m.DeleteSetAside, loading.delete),
)
