"""Promise 4 of health: agents ask their tasks how they are as they were told to (Mesos' rules).

- The first time after the delay, then in the interval; not before, nor much later.
- Who answers is told to be healthy once. Who does not is told of each time, and killed when that
  has happened so often in a row, and at no other time. It counts for nothing while the task is
  within its grace and nothing has been told of it yet.
- An end is one for its health if that is why it was killed first, and no other.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.agent import container as c
from mezzo.agent.core import AgentCore
from mezzo.agent.effects import KillContainer, LaunchContainer, ProbeHealth
from mezzo.agent.events import HealthObserved
from mezzo.agent.state.agent_task import AgentTask, KillCause
from mezzo.agent.state.tables import TASKS
from mezzo.cluster.model import HealthCheck
from mezzo.cluster.states import Reason, TaskState
from mezzo.core import Output, Put
from mezzo.ids import ContainerId

from ...daemons.agents import VirtualAgent
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World

_SLACK_S: Final = 15.0  # stores are slow, clocks differ
_DRIFT: Final = 0.01
_LOOK_EVERY: Final = 40
_ENDS: Final = (c.ContainerExited, c.LaunchFailed, c.ContainerLost, c.ContainerAbsent)


class _Patient:
    """A task with a check. since_s: when it was first seen running, wall. due_s: when it is to be
    asked, world. said: what was told of it last. failures: in a row."""

    def __init__(self, key: str, check: HealthCheck) -> None:
        self.key = key
        self.check = check
        self.since_s: float | None = None
        self.due_s: float | None = None
        self.said: bool | None = None
        self.failures = 0
        self.cause: KillCause | None = None


class AgentsAskHowTasksAre(Watch):
    def __init__(self, world: World) -> None:
        self._world = world
        self._lives: dict[str, tuple[AgentCore, dict[ContainerId, _Patient]]] = {}
        self._steps = 0

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        core = agent.core
        assert core is not None
        known = self._lives.get(agent.name)
        if known is None or known[0] is not core:
            known = self._lives[agent.name] = core, _stored(agent)
        patients = known[1]
        self._steps += 1
        for effect in output.effects:
            if type(effect) is LaunchContainer:
                _admit(patients, output, effect.spec.container_id)
        if not patients:
            return
        wrong = self._wrong(agent, patients, event, output)
        if not wrong and self._steps % _LOOK_EVERY == 0:
            wrong = self._late(agent, patients)
        if wrong:
            raise Broken(f"promise 4: {agent.name}: {wrong}")

    def _wrong(
        self,
        agent: VirtualAgent,
        patients: dict[ContainerId, _Patient],
        event: Any,
        output: Output[Any],
    ) -> str:
        kind, now_s = type(event), self._world.now_s
        wrong = ""
        patient = patients.get(event.container_id) if kind in _TOLD else None
        if kind is HealthObserved and patient is not None:
            wrong = self._observed(agent, patient, event, output)
        elif kind is c.ContainerStarted and patient is not None:
            if patient.since_s is None:
                patient.since_s = agent.process.now().wall_s
            patient.due_s = now_s + patient.check.delay_seconds
        elif kind in _ENDS and patient is not None:
            wrong = _ended(patient, output)
        for effect in output.effects:
            if type(effect) is ProbeHealth:
                asked = patients.get(effect.container_id)
                if asked is None or asked.due_s is None or asked.cause is not None:
                    return f"{effect.task_id} is asked how it is, and is not to be"
                if now_s < asked.due_s - _early_s(asked.check):
                    return f"{effect.task_id} is asked {asked.due_s - now_s:.2f} s too early"
                asked.due_s = None
        for write in output.writes:
            if type(write) is Put and (task := _of(write, patients)) is not None:
                id_ = task.container_id
                if task.kill is not None and id_ is not None:
                    patients[id_].cause = task.kill.cause
                if not task.live and id_ is not None:
                    del patients[id_]
        return wrong

    def _observed(
        self, agent: VirtualAgent, patient: _Patient, event: HealthObserved, output: Output[Any]
    ) -> str:
        puts = [w for w in output.writes if type(w) is Put and w.key == patient.key]
        if patient.cause is not None:
            return f"{patient.key} is to end, and it does {puts}" if puts else ""
        assert patient.since_s is not None
        check, before = patient.check, patient.said
        ran_s = abs(agent.process.now().wall_s - patient.since_s)
        counts = event.passed or before is not None or ran_s > check.grace_period_seconds
        patient.failures = 0 if event.passed or not counts else patient.failures + 1
        tells = counts and (not event.passed or before is not True)
        if tells:
            patient.said = event.passed
        kills = patient.failures >= check.consecutive_failures
        if not kills:
            patient.due_s = self._world.now_s + max(check.interval_seconds, 0.0)
        told = [s for w in puts for s in TASKS.decode(w.value).pending]
        news = [s for s in told if s.state is TaskState.RUNNING and s.message == event.message]
        if (len(puts) > 0) is not tells:
            return f"of {patient.key}, which said {event}, is told: {tells}; it does {puts}"
        if tells:
            last = (news or told)[-1]
            if last.healthy is not event.passed or (
                last.reason is not Reason.TASK_HEALTH_CHECK_STATUS_UPDATED
                or last.state is not TaskState.RUNNING
            ):
                return f"of {patient.key}, which said {event}, is told {last}"
        orders = [e for e in output.effects if type(e) is KillContainer]
        if [e.container_id for e in orders] != ([event.container_id] if kills else []):
            return (
                f"{patient.key} has failed {patient.failures} times in a row, of "
                f"{check.consecutive_failures}, and killed are {orders}"
            )
        return ""

    def _late(self, agent: VirtualAgent, patients: dict[ContainerId, _Patient]) -> str:
        awake_s = agent.process.awake_for_s
        for patient in patients.values():
            if patient.due_s is not None and patient.cause is None:
                late_s = min(self._world.now_s - patient.due_s, awake_s)
                if late_s > _SLACK_S + _early_s(patient.check):
                    return f"{patient.key} was to be asked {late_s:.0f} s ago"
        return ""


_CHECKED: Final = b'"health_check":{'  # in what is stored of a task that has one
_TOLD: Final = (HealthObserved, c.ContainerStarted, *_ENDS)


def _early_s(check: HealthCheck) -> float:
    return 0.1 + max(check.interval_seconds, check.delay_seconds) * _DRIFT


def _ended(patient: _Patient, output: Output[Any]) -> str:
    """Told is why, if anything is."""
    last = None
    for write in output.writes:
        if type(write) is Put and write.key == patient.key:
            last = TASKS.decode(write.value)
    if last is None or last.live:
        return ""
    end, ill = last.statuses[-1], patient.cause is KillCause.UNHEALTHY
    if (end.healthy is False) is not ill or (ill and end.state is not TaskState.KILLED):
        return f"{patient.key} was killed as {patient.cause}, and told is {end}"
    return ""


def _stored(agent: VirtualAgent) -> dict[ContainerId, _Patient]:
    """The patients when a life begins. How often they have failed is forgotten."""
    patients: dict[ContainerId, _Patient] = {}
    for key, value in agent.process.disk.data.items():
        if key.startswith("task/") and (_CHECKED in value):
            _note(patients, key, TASKS.decode(value))
    return patients


def _admit(
    patients: dict[ContainerId, _Patient], output: Output[Any], container_id: ContainerId
) -> None:
    for write in output.writes:
        if type(write) is Put and write.key.startswith("task/") and _CHECKED in write.value:
            task = TASKS.decode(write.value)
            if task.container_id == container_id:
                _note(patients, write.key, task)


def _note(patients: dict[ContainerId, _Patient], key: str, task: AgentTask) -> None:
    check = task.info.health_check
    if check is None or task.container_id is None or not task.live:
        return
    patient = patients[task.container_id] = _Patient(key, check)
    patient.since_s = task.started_s
    patient.said = task.statuses[-1].healthy if task.statuses else None
    patient.cause = None if task.kill is None else task.kill.cause


def _of(write: Put, patients: dict[ContainerId, _Patient]) -> AgentTask | None:
    if not any(patient.key == write.key for patient in patients.values()):
        return None
    return TASKS.decode(write.value)
