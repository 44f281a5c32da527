"""The operator API: calls and subscriptions."""

from __future__ import annotations

from mezzo.ids import ConnId
from mezzo.messages import operator as m

from . import frameworks, views
from .events import Answer, Publish, ToOperator
from .state import MasterState, Step

TIMER_OPERATOR_HEARTBEAT = "operator heartbeat"


def asked(state: MasterState, step: Step, request: int, call: m.OperatorCall) -> None:
    step.do(Answer(request, state.sequence, _answer(state, step, call)))


def _answer(state: MasterState, step: Step, call: m.OperatorCall) -> m.OperatorResponse:
    match call:
        case m.GetState():
            return views.everything(state)
        case m.GetAgents():
            return views.agents(state)
        case m.GetFrameworks():
            return views.frameworks(state)
        case m.GetTasks():
            return views.tasks(state)
        case m.GetMaster():
            return views.master(state)
        case m.TeardownFramework(framework_id=framework_id):
            framework = state.frameworks.get(framework_id)
            if framework is None:
                return m.Refused(f"framework {framework_id} is not known: name a live one")
            frameworks.complete(state, step, framework, "an operator tore it down")
            return m.Done()


def joined(state: MasterState, step: Step, conn: ConnId) -> None:
    """The snapshot first; what is published from now on follows it."""
    state.operators[conn] = None
    snapshot = m.OperatorSubscribed(views.everything(state), state.config.heartbeat_s)
    step.do(ToOperator(conn, state.sequence, snapshot))


def heartbeat(state: MasterState, step: Step) -> None:
    if state.operators:
        step.do(Publish(state.sequence, m.OperatorHeartbeat()))
    step.timer(TIMER_OPERATOR_HEARTBEAT, state.config.heartbeat_s)
