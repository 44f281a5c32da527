"""What ended tasks leave behind: first the container is removed, much later the sandbox. Pure.

An entry is deleted only when the removal is reported, so a crash in between repeats it. Sandboxes
go after `gc_delay_s`, or sooner when the disk fills up: as in Mesos, they may be no older than that
delay times the part of the disk that is free beyond the headroom.
"""

from __future__ import annotations

from mezzo.ids import ContainerId
from mezzo.record import replace

from ..container import ContainerRemoved, Kind
from ..effects import MeasureDisk, RemoveContainer, RemoveSandbox
from ..events import DiskMeasured, SandboxFound, SandboxRemoved
from ..state.agent_state import AgentState
from ..state.agent_task import AgentTask
from ..state.facts import Remains
from ..state.step import Step
from ..timers import DiskDue, RemovalDue
from .container_spec import kind_of, sandbox_path


def started(state: AgentState, step: Step) -> None:
    for remains in state.checkpoint.remains.values():
        _schedule(state, step, remains)


def ended(state: AgentState, step: Step, task: AgentTask, container_id: ContainerId) -> None:
    """This container of `task` has ended just now."""
    info = task.info
    sandbox = sandbox_path(
        state.config, info.agent_id, task.framework_id, info.task_id, container_id
    )
    remains = Remains(
        container_id, kind_of(info), task.framework_id, info.task_id, sandbox, step.now.wall_s
    )
    state.checkpoint.put_remains(step, remains)
    _schedule(state, step, remains)


def found(state: AgentState, step: Step, event: SandboxFound) -> None:
    """A sandbox is adopted, unless it is somebody's after all."""
    cid = event.container_id
    if state.checkpoint.knows_sandbox(cid):
        return
    ended_s = min(event.changed_s, step.now.wall_s)
    remains = Remains(
        *(cid, Kind.PROCESS, event.framework_id, event.task_id, event.sandbox, ended_s),
        container_removed=True,
    )
    state.checkpoint.put_remains(step, remains)
    _schedule(state, step, remains)


def removal_due(state: AgentState, step: Step, due: RemovalDue) -> None:
    _remove(state, step, due.container_id)


def _remove(state: AgentState, step: Step, container_id: ContainerId) -> None:
    remains = state.checkpoint.remains.get(container_id)
    if remains is None:
        return
    if not remains.container_removed:
        step.do(RemoveContainer(container_id, remains.kind, remains.sandbox))
    elif container_id not in state.removals_asked:  # the next life tries again what failed
        state.removals_asked.add(container_id)
        step.do(RemoveSandbox(container_id, remains.sandbox))


def container_removed(state: AgentState, step: Step, event: ContainerRemoved) -> None:
    remains = state.checkpoint.remains.get(event.container_id)
    if remains is not None:
        remains = replace(remains, container_removed=True)
        state.checkpoint.put_remains(step, remains)
        _schedule(state, step, remains)


def sandbox_removed(state: AgentState, step: Step, event: SandboxRemoved) -> None:
    state.removals_asked.discard(event.container_id)
    if event.container_id in state.checkpoint.remains:
        state.checkpoint.forget_remains(step, event.container_id)


def _schedule(state: AgentState, step: Step, remains: Remains) -> None:
    config = state.config
    delay_s = config.gc_delay_s if remains.container_removed else config.container_remove_delay_s
    step.timer(RemovalDue(remains.container_id), step.now.left_s(remains.ended_s, delay_s))
    if not state.disk_watched:
        state.disk_watched = True
        _watch_disk(state, step)


# ---- the disk


def _watch_disk(state: AgentState, step: Step) -> None:
    step.timer(DiskDue(), state.config.disk_watch_interval_s)


def disk_due(state: AgentState, step: Step) -> None:
    if state.checkpoint.remains:
        step.do(MeasureDisk())
    else:
        state.disk_watched = False


def disk_measured(state: AgentState, step: Step, event: DiskMeasured) -> None:
    free = max(0.0, 1.0 - state.config.gc_disk_headroom - event.used_part)
    allowed_s = state.config.gc_delay_s * free
    for remains in list(state.checkpoint.remains.values()):
        if step.now.wall_s - remains.ended_s >= allowed_s:
            _remove(state, step, remains.container_id)
    _watch_disk(state, step)
