"""What ended tasks leave behind: first the container is removed, much later the sandbox. Pure.

An entry is deleted only when the removal is reported, so a crash in between repeats it.
"""

from __future__ import annotations

from mezzo.core import Instant, SetTimer
from mezzo.ids import ContainerId
from mezzo.record import replace

from .config import AgentConfig
from .containerizer.base import ContainerRemoved
from .events import RemovalDue, RemoveContainer, RemoveSandbox, SandboxRemoved
from .launch import kind_of, sandbox_path
from .state import AgentState, Out, Remains
from .tasks import AgentTask


class Cleaner:
    def __init__(self, config: AgentConfig, state: AgentState) -> None:
        self._config = config
        self._state = state

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

    def removal_due(self, container_id: ContainerId, out: Out) -> None:
        remains = self._state.remains.get(container_id)
        if remains is None:
            return
        if remains.container_removed:
            out.effects.append(RemoveSandbox(container_id, remains.sandbox))
        else:
            out.effects.append(RemoveContainer(container_id, remains.kind, remains.sandbox))

    def container_removed(self, event: ContainerRemoved, now: Instant, out: Out) -> None:
        remains = self._state.remains.get(event.container_id)
        if remains is not None:
            remains = replace(remains, container_removed=True)
            self._state.put_remains(remains, out)
            self._schedule(remains, now, out)

    def sandbox_removed(self, event: SandboxRemoved, now: Instant, out: Out) -> None:
        if event.container_id in self._state.remains:
            self._state.forget_remains(event.container_id, out)

    def _schedule(self, remains: Remains, now: Instant, out: Out) -> None:
        config = self._config
        delay_s = (
            config.gc_delay_s if remains.container_removed else config.container_remove_delay_s
        )
        left_s = max(0.0, remains.ended_s + delay_s - now.wall_s)
        out.effects.append(SetTimer(RemovalDue(remains.container_id), now.mono_s + left_s))
