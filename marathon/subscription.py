"""The framework that Marathon is to the master: its stream, its id, and the end of either."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import Capability, FrameworkInfo
from mezzo.ids import FrameworkId
from mezzo.messages.scheduler import Answered, Error, Subscribe, Subscribed

from . import reconciling
from .effects import Abort, CallRefused, Registered, StandBy
from .events import LinkDown, LinkUp
from .killing import killer
from .news import SchedulerDisconnected, SchedulerRegistered, SchedulerReregistered
from .placement import reviving
from .state.marathon_state import MarathonState
from .state.step import Step
from .state.tables import FRAMEWORK, FRAMEWORK_ID, StoredFramework

# A master's word to a scheduler whose framework another one has subscribed.
_FAILED_OVER: Final = "failed over"
# A master's word to a framework whose time was over: its id can't be used any more.
_REMOVED: Final = "removed"
_ACCEPT: Final = "ACCEPT"


def link_up(state: MarathonState, step: Step, event: LinkUp) -> None:
    state.conn, state.subscribed = event.conn, False
    config = state.config
    info = FrameworkInfo(
        user=config.framework_user,
        name=config.framework_name,
        id=state.framework_id,
        failover_timeout=config.failover_timeout_s,
        checkpoint=config.checkpoint,
        role=config.mesos_role,
        hostname=config.hostname,
        webui_url=config.webui_url,
        capabilities=(Capability.PARTITION_AWARE, Capability.TASK_KILLING_STATE),
    )
    suppressed = (config.mesos_role,) if reviving.suppress(state) else ()
    if state.framework_id is not None:
        # Once more: this step's effects leave only if that is not fenced, so one that was deposed
        # while it slept takes nothing over from its successor.
        step.put(FRAMEWORK, StoredFramework(state.framework_id))
    step.call(Subscribe(info, suppressed))


def link_down(state: MarathonState, step: Step, event: LinkDown) -> None:
    if event.conn != state.conn:
        return
    state.conn = None
    if state.subscribed:
        state.subscribed = False
        killer.disconnected(state)
        step.publish(SchedulerDisconnected())


def subscribed(state: MarathonState, step: Step, event: Subscribed) -> None:
    kind: type[SchedulerRegistered | SchedulerReregistered]
    kind = SchedulerRegistered if state.framework_id is None else SchedulerReregistered
    state.subscribed = True
    _set_framework_id(state, step, event.framework_id)
    reviving.subscribed(state, step)
    reconciling.reconcile(state, step)
    master = event.master_info.hostname if event.master_info else None
    step.publish(kind(event.framework_id, master or ""))


def _set_framework_id(state: MarathonState, step: Step, framework_id: FrameworkId) -> None:
    if framework_id != state.framework_id:
        state.framework_id = framework_id
        step.put(FRAMEWORK, StoredFramework(framework_id))
    step.do(Registered(framework_id))


def disowned(state: MarathonState, step: Step, event: Error) -> None:
    """The master ends our stream for good."""
    why = event.message
    if _FAILED_OVER in why.lower():
        step.do(StandBy(why))
        return
    if _REMOVED in why.lower():
        state.framework_id = None
        step.delete(FRAMEWORK, FRAMEWORK_ID)
    step.do(Abort(why))


def answered(state: MarathonState, step: Step, event: Answered) -> None:
    if event.refusal is not None:
        _refused(state, step, event.call, event.refusal)


def _refused(state: MarathonState, step: Step, call: str, why: str) -> None:
    """A call was not carried out. The master tells which object it was for, and what is left of it:
    a launch that came to nothing is answered as one, and backs off. Kills and acknowledgements are
    repeated anyway.
    """
    if not state.subscribed:  # the call was the subscription: without one nothing works
        step.do(Abort(f"the master refuses a {call} call: {why}"))
        return
    step.do(CallRefused(call, why))
    if call == _ACCEPT:
        reconciling.ask_for_launches(state, step)
