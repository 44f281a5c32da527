"""Promise 4 at its root: an agent does what it is told.

- A launch is carried out as described, or answered; nothing is launched twice, or while it drains.
- An order to kill reaches the container, with no more grace than was given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mezzo.agent import container as c
from mezzo.agent.effects import (
    LaunchContainer,
)
from mezzo.agent.state.agent_task import AgentTask
from mezzo.cluster.model import TaskInfo
from mezzo.cluster.resources import Kind, Resources
from mezzo.messages import agent as m

from .agent_step import AgentStep, Key

_GRACE_S: Final = 3.0


def _run(step: AgentStep, before: Mapping[Key, None]) -> str:
    message: m.RunTask = step.event.message
    info, framework = message.task, message.framework
    if framework.id is None:
        return ""
    key = (framework.id, info.task_id)
    launched = [e.spec for e in step.output.effects if type(e) is LaunchContainer]
    told = [s for s in step.sent(m.StatusUpdate) if s.status.task_id == info.task_id]
    if key in before:
        return f"{key} is there already, and launched again" if launched or told else ""
    if step.life.core.state.checkpoint.has_forgotten(*key):
        return f"{key} has ended, and is launched again" if launched or told else ""
    task = step.task(key)
    if not launched:
        if task is None and not told:
            return f"{key} is not launched, and nobody is told"
        if _is_plain(info) and _fits(step, info) and not _is_closed(step):
            return f"{key} is not launched: {told}"
        return ""
    if _is_closed(step) or info.agent_id != step.view.agent_id or info.executor is not None:
        return f"{key} is launched, and must not be"
    if task is None or task.info != info or task.role != message.role:
        return f"{key} is launched, and kept as {task}"
    return _is_described(step, launched[0], message, task)


def _is_closed(step: AgentStep) -> bool:
    return step.life.draining or step.life.leaving


def _fits(step: AgentStep, info: TaskInfo) -> bool:
    made = {kind: value for kind, value in info.resources.items() if kind.disk or kind.reservations}
    has_it = Resources(made) <= step.view.resources
    return has_it and info.agent_id == step.view.agent_id and info.unique_lease is None


def _is_described(
    step: AgentStep, spec: c.ContainerSpec, message: m.RunTask, task: AgentTask
) -> str:
    info, framework, env = message.task, message.framework, dict(spec.env)
    config = step.view.config
    given = info.command.environment if info.command is not None else ()
    own = {each.name: each.value or "" for each in given}
    docker = spec.kind is c.Kind.DOCKER
    host = config.info.ip or config.info.hostname
    at = f"{f'[{host}]' if ':' in host else host}:{config.info.port}"
    expected = {
        "MESOS_TASK_ID": info.task_id,
        "MESOS_EXECUTOR_ID": info.task_id,
        "MESOS_FRAMEWORK_ID": framework.id,
        "MESOS_SLAVE_ID": info.agent_id,
        "MESOS_ALLOCATION_ROLE": message.role,
        "MESOS_DIRECTORY": spec.sandbox,
        "MESOS_SANDBOX": c.SANDBOX_IN_IMAGE if docker else spec.sandbox,
        "MESOS_AGENT_ENDPOINT": at,
        "MESOS_SLAVE_PID": f"slave(1)@{at}",
        **({"MESOS_CHECKPOINT": "1"} if framework.checkpoint else {}),
        **({"MESOS_CONTAINER_NAME": f"mezzo-{task.container_id}"} if docker else {}),
        **own,
    }
    if env != expected:
        return f"the environment of {info.task_id} is {env}, not {expected}"
    shown = (spec.container_id, spec.framework_id, spec.task_id, spec.agent_id, spec.lease_s)
    ids = (task.container_id, framework.id, info.task_id, info.agent_id, info.unique_lease)
    if shown != ids:
        return f"{info.task_id} is launched as {shown}, not {ids}"
    if (spec.cpus, spec.mem_mib) != (info.resources.cpus, info.resources.mem_mib):
        return f"{info.task_id} gets {spec.cpus} cpus and {spec.mem_mib} MiB"
    user = (info.command.user if info.command is not None else None) or (
        None if docker else framework.user
    )
    if spec.user != user or spec.command != info.command:
        return f"{info.task_id} is launched as {spec.user}, {spec.command}"
    for part in (framework.id, info.task_id, task.container_id, info.agent_id):
        if f"/{part}" not in spec.sandbox:
            return f"the sandbox of {info.task_id} is {spec.sandbox}, without {part}"
    return ""


def _kill(step: AgentStep, before: Mapping[Key, None]) -> str:
    message: m.KillTask = step.event.message
    task = step.task((message.framework_id, message.task_id))
    if task is None or not task.live:
        # It may be the first word of a new leader.
        writes = [each for each in step.output.writes if each.key != "obeyed/agent"]
        return f"it does {writes}" if writes else ""
    policy = message.kill_policy
    grace_s = None if policy is None else policy.grace_period
    return step.check_killed(task, own_grace_s(task.info) if grace_s is None else grace_s)


def _drain(step: AgentStep, before: Mapping[Key, None]) -> str:
    step.life.draining = True
    most_s = step.event.message.config.max_grace_period
    for task in step.view.tasks:
        grace_s = own_grace_s(task.info)
        grace_s = grace_s if most_s is None else min(grace_s, most_s)
        if task.live and (wrong := step.check_killed(task, grace_s)):
            return wrong
    return "" if step.view.drain == step.event.message.config else "it does not drain"


def _reactivate(step: AgentStep, before: Mapping[Key, None]) -> str:
    step.life.draining = False
    return "" if step.view.drain is None else "it drains on"


def _shut_down(step: AgentStep, before: Mapping[Key, None]) -> str:
    step.life.leaving = True
    for task in step.view.tasks:
        if task.live and (wrong := step.check_killed(task, own_grace_s(task.info))):
            return wrong
    return ""


def _end_framework(step: AgentStep, before: Mapping[Key, None]) -> str:
    id_ = step.event.message.framework_id
    for task in step.view.tasks:
        if task.framework_id != id_:
            continue
        if not task.live:
            return f"nobody is left to hear of {task.info.task_id}, and it is kept"
        if wrong := step.check_killed(task, own_grace_s(task.info)):
            return wrong
    return ""


def own_grace_s(info: TaskInfo) -> float:
    policy = info.kill_policy
    own_s = None if policy is None else policy.grace_period
    return _GRACE_S if own_s is None else own_s


def _is_plain(info: TaskInfo) -> bool:
    """A command, as most tasks are: any agent can run it."""
    command = info.command
    return (
        info.container is None
        and info.executor is None
        and info.health_check is None
        and command is not None
        and bool(command.value)
        and "\0" not in f"{command.value}{command.user}{command.arguments}"
        and not command.uris
        and not command.environment
        and not any(_is_outside(kind) for kind, _ in info.resources.items())
    )


def _is_outside(kind: Kind) -> bool:
    """Is it a volume that a process would have to see elsewhere than in its sandbox?"""
    return kind.disk is not None and (kind.disk.container_path or "").startswith("/")


Judge = Callable[[AgentStep, Mapping[Key, None]], str]
# before: the tasks that it had.
ORDERS: Final[Mapping[type, Judge]] = {
    m.RunTask: _run,
    m.KillTask: _kill,
    m.DrainAgent: _drain,
    m.ReactivateAgent: _reactivate,
    m.ShutdownAgent: _shut_down,
    m.ShutdownFramework: _end_framework,
}
