"""What ended tasks leave behind: first the container is removed, much later the sandbox. Pure.

An entry is deleted only when the removal is reported, so a crash in between repeats it. Sandboxes
go after `gc_delay_s`, or sooner when the disk fills up: as in Mesos, they may be no older than that
delay times the part of the disk that is free beyond the headroom.
"""

from __future__ import annotations

from mezzo.core import Instant, SetTimer
from mezzo.ids import ContainerId
from mezzo.record import replace

from ..config import AgentConfig
from ..container import ContainerRemoved, Kind
from ..effects import MeasureDisk, RemoveContainer, RemoveSandbox
from ..events import DiskMeasured, SandboxFound, SandboxRemoved
from ..state.agent_state import AgentState, Out, Remains
from ..state.agent_task import AgentTask
from ..timers import DiskDue, RemovalDue
from .container_spec import kind_of, sandbox_path


class Cleaner:
    def __init__(self, config: AgentConfig, state: AgentState) -> None:
        self._config = config
        self._state = state
        self._asked: set[ContainerId] = set()  # sandboxes whose removal this life has asked for
        self._watching = False  # the disk; only while there is something to remove

    def started(self, now: Instant, out: Out) -> None:
        for remains in self._state.remains.values():
            self._schedule(remains, now, out)

    def ended(self, task: AgentTask, now: Instant, out: Out) -> None:
        """The container of `task` has ended just now."""
        info, container_id = task.info, task.container_id
        assert container_id is not None
        sandbox = sandbox_path(
            self._config, info.agent_id, task.framework_id, info.task_id, container_id
        )
        remains = Remains(
            container_id, kind_of(info), task.framework_id, info.task_id, sandbox, now.wall_s
        )
        self._state.put_remains(remains, out)
        self._schedule(remains, now, out)

    def found(self, event: SandboxFound, now: Instant, out: Out) -> None:
        """It is adopted, unless it is somebody's after all."""
        cid = event.container_id
        if self._state.task_of(cid) is not None or cid in self._state.remains:
            return
        ended_s = min(event.changed_s, now.wall_s)
        remains = Remains(
            *(cid, Kind.PROCESS, event.framework_id, event.task_id, event.sandbox, ended_s),
            container_removed=True,
        )
        self._state.put_remains(remains, out)
        self._schedule(remains, now, out)

    def removal_due(self, container_id: ContainerId, out: Out) -> None:
        remains = self._state.remains.get(container_id)
        if remains is None:
            return
        if not remains.container_removed:
            out.effects.append(RemoveContainer(container_id, remains.kind, remains.sandbox))
        elif container_id not in self._asked:  # what failed is tried again by the next life
            self._asked.add(container_id)
            out.effects.append(RemoveSandbox(container_id, remains.sandbox))

    def container_removed(self, event: ContainerRemoved, now: Instant, out: Out) -> None:
        remains = self._state.remains.get(event.container_id)
        if remains is not None:
            remains = replace(remains, container_removed=True)
            self._state.put_remains(remains, out)
            self._schedule(remains, now, out)

    def sandbox_removed(self, event: SandboxRemoved, now: Instant, out: Out) -> None:
        self._asked.discard(event.container_id)
        if event.container_id in self._state.remains:
            self._state.forget_remains(event.container_id, out)

    def _schedule(self, remains: Remains, now: Instant, out: Out) -> None:
        config = self._config
        delay_s = (
            config.gc_delay_s if remains.container_removed else config.container_remove_delay_s
        )
        left_s = now.left_s(remains.ended_s, delay_s)
        out.effects.append(SetTimer(RemovalDue(remains.container_id), now.mono_s + left_s))
        if not self._watching:
            self._watching = True
            self._watch(now, out)

    # ---- the disk

    def _watch(self, now: Instant, out: Out) -> None:
        out.effects.append(SetTimer(DiskDue(), now.mono_s + self._config.disk_watch_interval_s))

    def disk_due(self, out: Out) -> None:
        if self._state.remains:
            out.effects.append(MeasureDisk())
        else:
            self._watching = False

    def disk_measured(self, event: DiskMeasured, now: Instant, out: Out) -> None:
        free = max(0.0, 1.0 - self._config.gc_disk_headroom - event.used)
        allowed_s = self._config.gc_delay_s * free
        for remains in list(self._state.remains.values()):
            if now.wall_s - remains.ended_s >= allowed_s:
                self.removal_due(remains.container_id, out)
        self._watch(now, out)
