"""An instance from its launch to its end: changes are stored, counted, shown and published."""

from __future__ import annotations

from mezzo.cluster.states import TaskState
from mezzo.core import Put
from mezzo.record import replace

from ..effects import StopHealthChecks
from ..model.app import App
from ..model.instance import Condition, Instance, Live
from ..news import InstanceChanged
from ..views import TaskFailure
from .marathon_state import MarathonState
from .step import Step
from .tables import INSTANCES


def launch(state: MarathonState, step: Step, record: Instance, app: App, data: bytes) -> Live:
    """data: the stored form of the record."""
    live = Live(record, app, Condition.PROVISIONED, TaskState.STAGING, since_s=step.now.wall_s)
    state.add(live)
    step.write(Put(INSTANCES.key_of(record), data))
    state.changed(live)
    return live


def set_condition(state: MarathonState, step: Step, live: Live, condition: Condition) -> None:
    if condition is live.condition:
        return
    live.condition = condition
    live.since_s = step.now.wall_s
    state.changed(live)
    _publish_condition(step, live)


def store_doom(step: Step, live: Live) -> None:
    live.record = replace(live.record, doomed=True)
    step.put(INSTANCES, live.record)


def forget(state: MarathonState, step: Step, live: Live, condition: Condition) -> None:
    """The instance has ended, or is given up."""
    live.condition = condition
    stop_checks(step, live)
    state.drop(live)
    step.delete(INSTANCES, live.id)
    _publish_condition(step, live)


def stop_checks(step: Step, live: Live) -> None:
    if live.checking:
        live.checking = False
        step.do(StopHealthChecks(live.id))


def remember_failure(
    state: MarathonState, step: Step, live: Live, task_state: TaskState, message: str
) -> None:
    """Keep a failure for `lastTaskFailure`."""
    record = live.record
    state.failures[record.app_id] = TaskFailure(
        record.app_id,
        record.host,
        message,
        record.task_id,
        record.id,
        record.agent_id,
        task_state,
        record.version_ms,
        step.now.wall_s,
    )
    state.shown_apps[record.app_id] = None


def _publish_condition(step: Step, live: Live) -> None:
    record = live.record
    step.publish(
        InstanceChanged(
            record.app_id,
            instance_id=record.id,
            agent_id=record.agent_id,
            host=record.host,
            version_ms=record.version_ms,
            condition=live.condition,
        )
    )
