"""Promise 4 at its root: what an agent says of its tasks is true.

- RUNNING is said of what has run, FINISHED of what has ended well.
- An update is repeated until its acknowledgement comes, neither too soon nor too late; another
  acknowledgement changes nothing.
- Its report names all its tasks, each as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mezzo.agent import container as c
from mezzo.agent.events import HealthObserved, MasterSaid
from mezzo.agent.state.agent_task import AgentTask
from mezzo.cluster.model import IpAddress, NetworkInfo, TaskStatus
from mezzo.cluster.states import Source, TaskState
from mezzo.messages import agent as m

from ...daemons.containers import Ending
from .agent_step import AgentStep, Key

_REPEAT_S: Final = 10.0
_REPEAT_MAX_S: Final = 600.0


COMES: Final = (c.ContainerExited, c.LaunchFailed, c.ContainerLost)
_AT_ONCE: Final = (*COMES, HealthObserved)
SLACK_S: Final = 15.0  # stores are slow, clocks differ
DRIFT: Final = 0.01


def check_told(step: AgentStep, message: m.StatusUpdate) -> str:
    life, status = step.life, message.status
    key = (message.framework_id, status.task_id)
    if status.uuid is None:
        return ""  # of what could not even be stored
    if wrong := _is_untrue(step, message, key):
        return wrong
    uuid, since_s, times = life.sent.get(key, (b"", 0.0, 0))
    if uuid != status.uuid:
        life.sent[key] = (status.uuid, step.now_s, 1)
        return ""
    least_s = interval_s(times) * (1 - DRIFT)
    welcomed = type(step.event) is MasterSaid
    # A timer of before may be on its way when it is told for another reason.
    regular = times > 1 and step.agent.process.awake_for_s > SLACK_S
    if regular and not welcomed and step.now_s - since_s < least_s - SLACK_S:
        return f"{key[1]} is told again after {step.now_s - since_s:.1f} s"
    life.sent[key] = (status.uuid, step.now_s, 1 if welcomed else times + 1)
    return ""


def _is_untrue(step: AgentStep, message: m.StatusUpdate, key: Key) -> str:
    status, task = message.status, step.task(key)
    if task is None or not task.pending or task.pending[0] != status:
        return f"{status} is not what waits to be told"
    # What has run unseen is told to have run, and to have ended, in one step; what was ill for
    # the last time to be ill, and to be killed.
    if message.latest_state is not task.state and type(step.event) not in _AT_ONCE:
        return f"{key[1]} is {task.state}, and it says {message.latest_state}"
    if status.agent_id != task.info.agent_id or len(status.uuid or b"") != 16:
        return f"nobody can acknowledge {status}"
    id_ = task.container_id
    if id_ is None:
        known = status.state.terminal and not status.container_status
        return "" if known else f"{status} is said of what has no container"
    told = status.container_status
    if told is not None and told.container_id != id_:
        return f"{status} is of another container than {id_}"
    if wrong := _is_elsewhere(step, message, task):
        return wrong
    if status.state is TaskState.RUNNING and id_ not in step.ran:
        return f"{key[1]} is said to run, and never did"
    ending, code, _ = step.ends.get(id_, (None, None, 0.0))
    if status.state is TaskState.FINISHED and (ending is not Ending.EXIT or code != 0):
        return f"{key[1]} is said to have ended well: {ending}, {code}"
    # Else it is said for want of knowing, or of one whose time was over before it ended well.
    seen = status.source is Source.EXECUTOR and task.kill is None
    if status.state is TaskState.FAILED and seen and ending is Ending.EXIT and code == 0:
        return f"{key[1]} is said to have failed, and ended well"
    return ""


def _is_elsewhere(step: AgentStep, message: m.StatusUpdate, task: AgentTask) -> str:
    """Where a task that was seen to run can be reached is as its engine says; a process has the
    address of its host."""
    told, id_ = message.status.container_status, task.container_id
    assert id_ is not None
    infos = () if told is None else told.network_infos
    if id_ not in step.ran or not (infos or task.state is TaskState.RUNNING):
        return ""  # it may have run unseen
    kind, known = step.ran[id_]
    if kind is c.Kind.PROCESS:
        ip = step.view.config.info.ip
        known = (NetworkInfo((IpAddress(ip, "IPv6" if ":" in ip else "IPv4"),)),) if ip else ()
    if infos != known and (infos or message.status.state is TaskState.RUNNING):
        return f"{task.info.task_id} is said to be at {infos}, and is at {known}"
    return ""


def check_reported(step: AgentStep, message: m.ReregisterAgent) -> str:
    reported = {(task.framework_id, task.task_id): task for task in message.tasks}
    if list(reported) != [task.key for task in step.view.tasks] or (
        set(reported) != set(step.life.tasks)
    ):
        return f"it reports {list(reported)}, and has {list(step.life.tasks)}"
    for task in step.view.tasks:
        shown = reported[task.key]
        head = (*task.pending, *task.statuses[-1:])[:1]
        told = (shown.status_update_state, shown.status_update_uuid)
        if shown.state is not task.state or shown.statuses != task.statuses:
            return f"it reports {shown}, which is {task.state}"
        if told != ((head[0].state, head[0].uuid) if head else (None, None)):
            return f"of {task.key} it reports {told} as told last"
        if (shown.resources, shown.role) != (task.info.resources, task.role):
            return f"of {task.key} it reports {shown.resources}, {shown.role}"
    known = {info.id for info in message.frameworks}
    launched = [task.key for task in step.view.tasks if task.container_id is not None]
    if missing := [key for key in launched if key[0] not in known]:
        return f"it does not report the frameworks of {missing}"
    if step.view.aside:
        return f"it can't read what it has written: {step.view.aside}"
    identity = step.agent.id
    if message.info.id != step.view.agent_id or (identity and message.info.id != identity):
        return f"it was {identity}, and says that it is {message.info.id}"
    if message.info.resources != step.view.resources:
        return f"it reports {message.info.resources}, and has {step.view.resources}"
    return ""


def acknowledged(step: AgentStep, before: Mapping[Key, None]) -> str:
    message: m.UpdateAcknowledged = step.event.message
    key = (message.framework_id, message.task_id)
    if key not in before:
        return f"it does {step.output.writes}" if step.output.writes else ""
    sent = step.life.sent.get(key)
    if sent is None:
        return ""  # told in another life, or on another stream
    writes = [w for w in step.output.writes if w.key.startswith("task/")]
    if sent[0] != message.uuid:
        return f"another update was told, and it does {writes}" if writes else ""
    if len(writes) != 1:
        return f"{key[1]} is acknowledged, and it does {writes}"
    task = step.task(key)
    if task is None:
        return ""
    if any(status.uuid == message.uuid for status in task.pending):
        return f"{key[1]} is acknowledged, and still waits"
    if not task.live and not task.pending:
        return f"the end of {key[1]} is acknowledged, and it is kept"
    next_ = [status.uuid for status in task.pending[:1]]
    told = [s.status.uuid for s in step.sent(m.StatusUpdate) if key_of(s) == key]
    if step.view.registered and told != next_:
        return f"next of {key[1]} is {next_}, told is {told}"
    return ""


def settle(step: AgentStep, message: m.UpdateAcknowledged) -> None:
    key = (message.framework_id, message.task_id)
    sent = step.life.sent.get(key)
    if sent is not None and sent[0] == message.uuid:
        del step.life.sent[key]


def interval_s(times: int) -> float:
    """How long after it was told so often in a row an update is told again."""
    doubled: float = _REPEAT_S * 2 ** min(times - 1, 10)
    return min(doubled, _REPEAT_MAX_S)


def key_of(message: m.StatusUpdate) -> Key:
    status: TaskStatus = message.status
    return message.framework_id, status.task_id
