"""Promise 4 at its root: an agent does what it is told, and what it says of its tasks is true.

Orders are in `p4_orders`, words in `p4_words`. Here is what else it owes:

- What a live task has is never removed, nor what an ended one has left before its time.
- It asks until a master agrees, with growing pauses, and answers pings; it leaves a master that
  pings no more, and does nothing that is said on another stream or by a deposed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mezzo.agent import container as c
from mezzo.agent.effects import (
    CloseMaster,
    Exit,
    RemoveContainer,
    RemoveSandbox,
    Send,
)
from mezzo.agent.events import MasterDown, MasterSaid, MasterUp, SandboxRemoved
from mezzo.agent.timers import AskAgain
from mezzo.cluster.model import NetworkInfo
from mezzo.cluster.states import TaskState
from mezzo.core import Delete, Output, Put, SetTimer
from mezzo.ids import ContainerId, FrameworkId, TaskId
from mezzo.messages import agent as m

from ...daemons.agents import VirtualAgent
from ...daemons.containers import Container, Ending, Machine
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World
from .agent_step import AgentStep, Key, Life
from .p4_orders import ORDERS, Judge
from .p4_words import (
    COMES,
    DRIFT,
    SLACK_S,
    acknowledged,
    check_reported,
    check_told,
    interval_s,
    key_of,
    settle,
)

_REPEAT_MAX_S: Final = 600.0
_ASKS_MIN_S: Final = 5.0
_ASKS_S: Final = 60.0
_LOOK_EVERY: Final = 40
_OF_TASKS: Final = (m.RunTask, m.UpdateAcknowledged)


class AgentsKeepTheirWord(Watch):
    def __init__(self, world: World) -> None:
        self._world = world
        self._lives: dict[str, Life] = {}
        self._ran: dict[ContainerId, tuple[c.Kind, tuple[NetworkInfo, ...]]] = {}
        self._ends: dict[ContainerId, tuple[Ending, int | None, float]] = {}

    # ---- what happens on machines

    def container_started(self, machine: Machine, container: Container) -> None:
        self._ran[container.spec.container_id] = (container.spec.kind, container.networks)

    def container_ended(self, machine: Machine, container: Container, ending: Ending) -> None:
        id_ = container.spec.container_id
        self._ends[id_] = (ending, container.exit_code, self._world.now_s)

    # ---- what agents do

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        core = agent.core
        assert core is not None
        life = self._lives.get(agent.name)
        if life is None or life.core is not core:
            known = dict.fromkeys(_key(k) for k in agent.process.disk.data if k.startswith("task/"))
            life = self._lives[agent.name] = Life(core, known)
        step = AgentStep(self._ran, self._ends, agent, life, event, output, self._world.now_s)
        if wrong := _wrong(step):
            kind = type(getattr(event, "message", event)).__name__
            raise Broken(f"promise 4: {agent.name}, upon {kind}: {wrong}")


def _key(stored: str) -> Key:
    framework_id, _, task_id = stored.removeprefix("task/").partition("/")
    return FrameworkId(framework_id), TaskId(task_id)


def _wrong(step: AgentStep) -> str:
    life, event, kind = step.life, step.event, type(step.event)
    before = dict(life.tasks) if kind is MasterSaid and type(event.message) in _OF_TASKS else {}
    for write in step.output.writes:
        if write.key.startswith("task/"):
            if isinstance(write, Put):
                life.tasks[_key(write.key)] = None
            elif isinstance(write, Delete):
                life.tasks.pop(_key(write.key), None)
    found = ""
    if kind is MasterSaid:
        if event.conn != life.conn:
            found = _is_deaf(step)
        elif event.epoch >= step.view.epoch:
            judge = _JUDGES.get(type(event.message))
            found = "" if judge is None else judge(step, before)
            if type(event.message) is m.UpdateAcknowledged:
                settle(step, event.message)
    elif kind is MasterUp:
        life.conn, life.pinged_s = event.conn, step.now_s
        life.asks = 0
        life.sent.clear()
        found = _asks(step)
    elif kind is MasterDown and event.conn == life.conn:
        life.conn = None
    elif kind in COMES:
        found = _came(step)
    elif kind is SandboxRemoved:
        life.removing.pop(event.container_id, None)
    elif kind is c.ContainerStarted:
        found = _is_running(step)
    found = found or _effects(step)
    life.steps += 1
    if not found and life.steps % _LOOK_EVERY == 0:
        found = _look(step)
    return found


def _effects(step: AgentStep) -> str:
    life = step.life
    for effect in step.output.effects:
        kind = type(effect)
        if kind is Send:
            message = effect.message
            if effect.conn != life.conn:
                return f"it says {type(message).__name__} on a stream that is over"
            if type(message) is m.StatusUpdate and (wrong := check_told(step, message)):
                return wrong
            if type(message) is m.ReregisterAgent and (wrong := check_reported(step, message)):
                return wrong
            if type(message) in (m.RegisterAgent, m.ReregisterAgent):
                life.asked_s = step.now_s
                life.asks += 1
        elif kind is SetTimer:
            if type(effect.key) is AskAgain and (wrong := _waits(step, effect.at_s)):
                return wrong
        elif kind is CloseMaster:
            life.conn = None
        elif kind is Exit:
            if any(task.live for task in step.view.tasks):
                return "it exits, and has tasks that live"
        elif kind in (RemoveContainer, RemoveSandbox) and (wrong := _removes(step, effect)):
            return wrong
    return ""


def _removes(step: AgentStep, effect: RemoveContainer | RemoveSandbox) -> str:
    id_ = effect.container_id
    if any(task.container_id == id_ and task.live for task in step.view.tasks):
        return f"it removes {id_}, whose task lives"
    ended = step.ends.get(id_)
    config, since_s = step.view.config, 0.0 if ended is None else ended[2]
    sandbox = type(effect) is RemoveSandbox
    if sandbox and id_ in step.life.removing:
        return f"it removes the sandbox of {id_} while it is being removed"
    if sandbox:
        step.life.removing[id_] = None
    least_s = config.gc_delay_s if sandbox else config.container_remove_delay_s
    # By the wall, which is set now and then: a day is no jump of it.
    if sandbox and ended is not None and step.now_s - since_s < least_s - 86400.0:
        return f"it removes the sandbox of {id_}, which ended {step.now_s - since_s:.0f} s ago"
    return ""


def _asks(step: AgentStep) -> str:
    kind = m.RegisterAgent if step.view.agent_id is None else m.ReregisterAgent
    asked = step.sent(kind)
    return "" if len(asked) == 1 else f"it does not say who it is: {step.output.effects}"


def _waits(step: AgentStep, until_s: float) -> str:
    """It asks again after a while, each time after twice as long, until it is answered."""
    waits_s = until_s - step.agent.process.now().mono_s
    right_s = min(_ASKS_MIN_S * 2 ** min(step.life.asks - 1, 10), _ASKS_S)
    return "" if abs(waits_s - right_s) < 1e-3 else f"it asks again in {waits_s} s: {right_s}"


def _is_deaf(step: AgentStep) -> str:
    """What was said on a stream that is over is not for it."""
    done = [*step.output.writes, *step.output.effects]
    return f"that stream is over, and it does {done}" if done else ""


def _welcomed(step: AgentStep, before: Mapping[Key, None]) -> str:
    """All that nobody has acknowledged is told at once."""
    if type(step.event.message) is m.AgentReregistered:
        step.life.draining = False
        if step.view.drain is not None:
            return "it drains on, whatever the master says"
        asked = [(each.framework_id, each.task_id) for each in step.event.message.reconcile]
        for key in asked:
            if step.task(key) is None and not step.life.core.state.checkpoint.has_forgotten(*key):
                return f"it is asked for {key}, and says nothing"
    elif not step.sent(m.StatusUpdate) and step.life.sent:
        return ""  # it was registered before
    told = {key_of(each): each.status.uuid for each in step.sent(m.StatusUpdate)}
    if not step.view.registered:
        return "it does not count as registered"
    for task in step.view.tasks:
        if task.pending and told.get(task.key) != task.pending[0].uuid:
            return f"{task.info.task_id} waits to be told, and is not"
    return ""


def _pinged(step: AgentStep, before: Mapping[Key, None]) -> str:
    ping: m.Ping = step.event.message
    step.life.pinged_s = step.now_s
    if [pong.number for pong in step.sent(m.Pong)] != [ping.number]:
        return f"it answers {step.output.effects}"
    if not ping.connected and step.view.registered:
        return "the master has lost sight of it, and it does not ask"
    if step.sent(m.ReregisterAgent):
        step.life.asks = 0
    return ""


def _came(step: AgentStep) -> str:
    """The end of a container is that of its task."""
    id_ = step.event.container_id
    for task in step.view.tasks:
        if task.container_id == id_ and task.live:
            return f"the container of {task.info.task_id} has ended, and it lives"
    return ""


def _is_running(step: AgentStep) -> str:
    id_ = step.event.container_id
    for task in step.view.tasks:
        if task.container_id != id_ or not task.live:
            continue
        if task.kill is not None:
            return step.check_killed(task, _REPEAT_MAX_S)
        if task.started_s is None or task.state is not TaskState.RUNNING:
            return f"{task.info.task_id} has started, and is {task.state}"
    return ""


def _look(step: AgentStep) -> str:
    life, now_s = step.life, step.now_s
    if life.conn is None:
        return ""
    awake_s = step.agent.process.awake_for_s
    config = step.view.config
    quiet_s = now_s - life.pinged_s
    if min(quiet_s, awake_s) > config.ping_timeout_s * (1 + DRIFT) + SLACK_S:
        return f"its master has not pinged for {quiet_s:.0f} s, and it waits"
    if not step.view.registered:
        late_s = min(now_s - life.asked_s, awake_s)
        if late_s > _ASKS_S * (1 + DRIFT) + SLACK_S:
            return f"it has not asked for {late_s:.0f} s"
        return ""
    for task in step.view.tasks:
        sent = life.sent.get(task.key)
        if not task.pending or sent is None or sent[0] != task.pending[0].uuid:
            continue
        late_s = min(now_s - sent[1], awake_s)
        if late_s > interval_s(sent[2]) * (1 + DRIFT) + SLACK_S:
            return f"{task.info.task_id} was told {late_s:.0f} s ago, and not again"
    return ""


_JUDGES: Final[Mapping[type, Judge]] = {
    **ORDERS,
    m.UpdateAcknowledged: acknowledged,
    m.AgentRegistered: _welcomed,
    m.AgentReregistered: _welcomed,
    m.Ping: _pinged,
}
