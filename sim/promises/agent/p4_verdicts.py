"""Promise 4, of what is told: how and why a task ended is so, and it is told to have run if it has.

- An exit, a kill, too much memory, a lost container and a failed start each have their own state,
  source and reason, as in Mesos; what an engine says of it is passed on.
- Whatever ends after it was to be killed was killed, for the first cause that there was for it.
- What ran unseen is told to have run first, what was seen to run is not told to once more.
- A report of a container whose task is over is no news.
"""

from __future__ import annotations

from signal import Signals
from typing import Any, Final, NamedTuple

from mezzo.agent import container as c
from mezzo.agent.core import AgentCore
from mezzo.agent.effects import KillContainer, LaunchContainer, RecoverContainers
from mezzo.agent.events import HealthObserved, MasterSaid
from mezzo.agent.state.agent_task import AgentTask, KillCause
from mezzo.agent.state.tables import FRAMEWORKS, TASKS
from mezzo.agent.timers import LeaseDue, OutOfTime
from mezzo.cluster.model import Capability, TaskStatus
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.core import Output, Put, TimerFired
from mezzo.ids import ContainerId, FrameworkId, TaskId
from mezzo.messages import agent as m

from ...daemons.agents import VirtualAgent
from ...watch import Watch
from ...world.watched import Broken

Key = tuple[FrameworkId, TaskId]

_ENDS: Final = (c.ContainerExited, c.LaunchFailed, c.ContainerLost, c.ContainerAbsent)
_TOLD: Final = (*_ENDS, c.ContainerStarted)
_CAUSES: Final[dict[type, tuple[KillCause, ...]]] = {
    m.KillTask: (KillCause.REQUESTED,),
    m.DrainAgent: (KillCause.DRAINING, KillCause.DRAINING_FOR_GOOD),
    m.ShutdownAgent: (KillCause.AGENT_SHUTDOWN,),
    m.ShutdownFramework: (KillCause.FRAMEWORK_REMOVED,),
    HealthObserved: (KillCause.UNHEALTHY,),
    OutOfTime: (KillCause.MAX_COMPLETION_TIME,),
    LeaseDue: (KillCause.LEASE_OVER,),
}


class _End(NamedTuple):
    """words: what its message has to hold."""

    state: TaskState
    source: Source = Source.EXECUTOR
    reason: Reason | None = None
    healthy: bool | None = None
    words: str = ""


class EndsAreToldAsTheyWere(Watch):
    def __init__(self) -> None:
        self._cores: dict[str, AgentCore] = {}
        self._tasks: dict[str, dict[str, bytes]] = {}  # of each agent, as they are stored
        self._keys: dict[ContainerId, str] = {}  # under which the task of a container is stored

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        core = agent.core
        assert core is not None
        if self._cores.get(agent.name) is not core:
            self._cores[agent.name] = core
            self._tasks[agent.name] = {
                key: value
                for key, value in agent.process.disk.data.items()
                if key.startswith("task/")
            }
        stored = self._tasks[agent.name]
        wrong = ""
        if type(event) in _TOLD:
            wrong = self._reported(agent, stored, event, output)
        for effect in output.effects:
            kind = type(effect)
            if kind is LaunchContainer:
                self._knows(effect.spec)
            elif kind is RecoverContainers:
                for spec in effect.specs:
                    self._knows(spec)
            elif kind is KillContainer and not wrong:
                wrong = self._killed(agent, stored, event, effect)
        for write in output.writes:
            if write.key.startswith("task/"):
                if isinstance(write, Put):
                    stored[write.key] = write.value
                else:
                    stored.pop(write.key, None)
        if wrong:
            raise Broken(f"promise 4: {agent.name}, upon {event}: {wrong}")

    def _knows(self, spec: c.ContainerSpec) -> None:
        self._keys[spec.container_id] = f"task/{spec.framework_id}/{spec.task_id}"

    # ---- what a containerizer reports

    def _reported(
        self,
        agent: VirtualAgent,
        stored: dict[str, bytes],
        event: Any,
        output: Output[Any],
    ) -> str:
        before = self._before(stored, event.container_id)
        key = self._keys.get(event.container_id, "")
        mine = [write for write in output.writes if write.key == key]
        if before is None or not before.live:
            return f"its task is over, and it does {mine}" if mine else ""
        after = mine[-1].value if mine and isinstance(mine[-1], Put) else None
        if mine and after is None:
            forgets = before.kill is not None and before.kill.cause is KillCause.FRAMEWORK_REMOVED
            return "" if forgets else f"{key} is forgotten, and its framework is there"
        now = before if after is None else TASKS.decode(after)
        told = now.pending[len(before.pending) :]
        if before.kill is None and type(event) is not c.LaunchFailed:
            first = not _has_run(before) and type(event) is not c.ContainerLost
            if type(event) is c.ContainerAbsent and first:
                again = any(type(each) is LaunchContainer for each in output.effects)
                return "" if again and not told else f"{key} never began, and is told as {told}"
            if first:
                if not told or told[0].state is not TaskState.RUNNING:
                    return f"{key} has run, and is told as {told}"
                told = told[1:]
        if type(event) is c.ContainerStarted:
            return f"{key} is told as {told}" if told else ""
        right = _verdict(agent, before, event)
        if len(told) != 1 or not _is(told[0], right):
            return f"{key} is told as {told}, right were {right}"
        return ""

    def _before(self, stored: dict[str, bytes], container_id: ContainerId) -> AgentTask | None:
        value = stored.get(self._keys.get(container_id, ""))
        task = None if value is None else TASKS.decode(value)
        return task if task is not None and task.container_id == container_id else None

    # ---- why it is to end

    def _killed(
        self,
        agent: VirtualAgent,
        stored: dict[str, bytes],
        event: Any,
        effect: KillContainer,
    ) -> str:
        """What is seen of it here: `p4_agents` says who is to be killed, and when."""
        core = agent.core
        assert core is not None
        task = next((t for t in core.view().tasks if t.container_id == effect.container_id), None)
        before = self._before(stored, effect.container_id)
        if task is None or task.kill is None or before is None:
            return ""
        why = event.key if type(event) is TimerFired else event
        why = why.message if type(why) is MasterSaid else why
        causes = _CAUSES.get(type(why))
        if before.kill is not None and type(why) is not m.ShutdownFramework:
            causes = (before.kill.cause,)
        if causes is not None and task.kill.cause not in causes:
            return f"{task.key} is killed for {task.kill.cause}, right were {causes}"
        if type(why) is m.DrainAgent and before.kill is None:
            for_good = task.kill.cause is KillCause.DRAINING_FOR_GOOD
            if for_good is not why.config.mark_gone:
                return f"{task.key} is killed for {task.kill.cause}, told was {why.config}"
        return ""


def _has_run(task: AgentTask) -> bool:
    return any(status.state is TaskState.RUNNING for status in task.statuses)


def _is(told: TaskStatus, right: _End) -> bool:
    return (told.state, told.source, told.reason, told.healthy) == right[:4] and (
        right.words in (told.message or "") and bool(told.message)
    )


def _verdict(agent: VirtualAgent, task: AgentTask, event: Any) -> _End:
    if task.kill is not None:
        return _of_kill(agent, task, task.kill.cause)
    match event:
        case c.ContainerExited(exit_code=code, oom_killed=True) if code != 0:
            return _End(TaskState.FAILED, Source.AGENT, Reason.CONTAINER_LIMITATION_MEMORY)
        case c.ContainerExited(exit_code=0):
            return _End(TaskState.FINISHED, words="0")
        case c.ContainerExited(exit_code=code, signal=signal):
            words = str(code) if signal is None else Signals(signal).name
            return _End(TaskState.FAILED, words=words)
        case c.LaunchFailed(message=message):
            reason = Reason.CONTAINER_LAUNCH_FAILED
            return _End(TaskState.FAILED, Source.AGENT, reason, words=message)
        case c.ContainerLost(message=message):
            reason = Reason.EXECUTOR_TERMINATED
            return _End(TaskState.FAILED, Source.AGENT, reason, words=message)
        case _:
            return _End(TaskState.FAILED, Source.AGENT, Reason.EXECUTOR_TERMINATED)


def _of_kill(agent: VirtualAgent, task: AgentTask, cause: KillCause) -> _End:
    known = agent.process.disk.data.get(f"framework/{task.framework_id}")
    aware = known is not None and (
        Capability.PARTITION_AWARE in FRAMEWORKS.decode(known).capabilities
    )
    ran = _has_run(task)
    match cause:
        case KillCause.UNHEALTHY:
            return _End(TaskState.KILLED, healthy=False)
        case KillCause.MAX_COMPLETION_TIME:
            return _End(TaskState.FAILED, reason=Reason.MAX_COMPLETION_TIME_REACHED)
        case KillCause.NOT_CHECKPOINTED:
            state = TaskState.GONE if ran else TaskState.DROPPED
            state = state if aware else TaskState.LOST
            return _End(state, Source.AGENT, Reason.AGENT_RESTARTED)
        case KillCause.AGENT_SHUTDOWN:
            return _End(TaskState.KILLED, Source.AGENT, Reason.AGENT_REMOVED)
        case KillCause.LEASE_OVER:
            return _End(TaskState.KILLED, Source.AGENT, Reason.MASTER_DISCONNECTED)
        case KillCause.DRAINING:
            return _End(TaskState.KILLED, Source.AGENT, Reason.AGENT_DRAINING)
        case KillCause.DRAINING_FOR_GOOD:
            state = TaskState.GONE_BY_OPERATOR if aware else TaskState.KILLED
            return _End(state, Source.AGENT, Reason.AGENT_DRAINING)
        case KillCause.REQUESTED | KillCause.FRAMEWORK_REMOVED:
            if ran:
                return _End(TaskState.KILLED)
            return _End(TaskState.KILLED, Source.AGENT, Reason.TASK_KILLED_DURING_LAUNCH)
