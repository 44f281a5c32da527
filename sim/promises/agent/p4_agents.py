"""Promise 4 at its root: an agent does what it is told, and what it says of its tasks is true.

- A launch is carried out as described, or answered; nothing is launched twice, or while it drains.
- An order to kill reaches the container, with no more grace than was given.
- RUNNING is said of what has run, FINISHED of what has ended well.
- An update is repeated until its acknowledgement comes, neither too soon nor too late; another
  acknowledgement changes nothing.
- Its report names all its tasks, each as it is.
- What a live task has is never removed, nor what an ended one has left before its time.
- It asks until a master agrees, with growing pauses, and answers pings; it leaves a master that
  pings no more, and does nothing that is said on another stream or by a deposed one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mezzo.agent import container as c
from mezzo.agent.core import AgentCore
from mezzo.agent.effects import (
    CloseMaster,
    Exit,
    KillContainer,
    LaunchContainer,
    RemoveContainer,
    RemoveSandbox,
    Send,
)
from mezzo.agent.events import (
    HealthObserved,
    MasterDown,
    MasterSaid,
    MasterUp,
    SandboxRemoved,
)
from mezzo.agent.state.agent_task import AgentTask
from mezzo.agent.timers import AskAgain
from mezzo.agent.views import AgentView
from mezzo.cluster.model import IpAddress, NetworkInfo, TaskInfo, TaskStatus
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import Source, TaskState
from mezzo.core import Delete, Output, Put, SetTimer
from mezzo.ids import ConnId, ContainerId, FrameworkId, TaskId
from mezzo.messages import agent as m

from ...daemons.agents import VirtualAgent
from ...daemons.containers import Container, Ending, Machine
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World

Key = tuple[FrameworkId, TaskId]

_REPEAT_S, _REPEAT_MAX_S = 10.0, 600.0
_GRACE_S: Final = 3.0
_ASKS_MIN_S: Final = 5.0
_ASKS_S: Final = 60.0
_SLACK_S: Final = 15.0  # stores are slow, clocks differ
_DRIFT: Final = 0.01
_LOOK_EVERY: Final = 40
_COMES: Final = (c.ContainerExited, c.LaunchFailed, c.ContainerLost)
_AT_ONCE: Final = (*_COMES, HealthObserved)


class _Life:
    """What an agent has heard, done and said since it was started."""

    def __init__(self, core: AgentCore, known: dict[Key, None]) -> None:
        self.core = core
        self.steps = 0
        self.tasks = known  # by its store: launched and not forgotten
        self.conn: ConnId | None = None
        self.draining = self.leaving = False
        # What is on its way: of which task, which update, since when, how often.
        self.sent: dict[Key, tuple[bytes, float, int]] = {}
        self.asked_s = 0.0  # when it last asked to be registered
        self.asks = 0  # so often in a row
        self.pinged_s = 0.0
        self.removing: dict[ContainerId, None] = {}  # sandboxes


class AgentsKeepTheirWord(Watch):
    def __init__(self, world: World) -> None:
        self._world = world
        self._lives: dict[str, _Life] = {}
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
            life = self._lives[agent.name] = _Life(core, known)
        step = _Step(self, agent, life, event, output)
        if wrong := step.wrong():
            kind = type(getattr(event, "message", event)).__name__
            raise Broken(f"promise 4: {agent.name}, upon {kind}: {wrong}")


def _key(stored: str) -> Key:
    framework_id, _, task_id = stored.removeprefix("task/").partition("/")
    return FrameworkId(framework_id), TaskId(task_id)


class _Step:
    """One step of an agent."""

    def __init__(
        self,
        watch: AgentsKeepTheirWord,
        agent: VirtualAgent,
        life: _Life,
        event: Any,
        output: Output[Any],
    ) -> None:
        self._watch = watch
        self._agent = agent
        self._life = life
        self._event = event
        self._output = output
        self._now_s = watch._world.now_s
        self._seen: AgentView | None = None

    @property
    def view(self) -> AgentView:
        if self._seen is None:
            self._seen = self._life.core.view()
        return self._seen

    def _task(self, key: Key) -> AgentTask | None:
        return next((task for task in self.view.tasks if task.key == key), None)

    def wrong(self) -> str:
        life, event, kind = self._life, self._event, type(self._event)
        before = dict(life.tasks) if kind is MasterSaid and type(event.message) in _OF_TASKS else {}
        for write in self._output.writes:
            if write.key.startswith("task/"):
                if isinstance(write, Put):
                    life.tasks[_key(write.key)] = None
                elif isinstance(write, Delete):
                    life.tasks.pop(_key(write.key), None)
        found = ""
        if kind is MasterSaid:
            if event.conn != life.conn:
                found = self._is_deaf()
            elif event.epoch >= self.view.epoch:
                judge = _JUDGES.get(type(event.message))
                found = "" if judge is None else judge(self, before)
                if type(event.message) is m.UpdateAcknowledged:
                    self._settle(event.message)
        elif kind is MasterUp:
            life.conn, life.pinged_s = event.conn, self._now_s
            life.asks = 0
            life.sent.clear()
            found = self._asks()
        elif kind is MasterDown and event.conn == life.conn:
            life.conn = None
        elif kind in _COMES:
            found = self._came()
        elif kind is SandboxRemoved:
            life.removing.pop(event.container_id, None)
        elif kind is c.ContainerStarted:
            found = self._is_running()
        found = found or self._effects()
        life.steps += 1
        if not found and life.steps % _LOOK_EVERY == 0:
            found = self._look()
        return found

    def _sent(self, kind: type) -> list[Any]:
        return [
            each.message
            for each in self._output.effects
            if type(each) is Send and type(each.message) is kind
        ]

    # ---- effects

    def _effects(self) -> str:
        life = self._life
        for effect in self._output.effects:
            kind = type(effect)
            if kind is Send:
                message = effect.message
                if effect.conn != life.conn:
                    return f"it says {type(message).__name__} on a stream that is over"
                if type(message) is m.StatusUpdate and (wrong := self._told(message)):
                    return wrong
                if type(message) is m.ReregisterAgent and (wrong := self._reported(message)):
                    return wrong
                if type(message) in (m.RegisterAgent, m.ReregisterAgent):
                    life.asked_s = self._now_s
                    life.asks += 1
            elif kind is SetTimer:
                if type(effect.key) is AskAgain and (wrong := self._waits(effect.at_s)):
                    return wrong
            elif kind is CloseMaster:
                life.conn = None
            elif kind is Exit:
                if any(task.live for task in self.view.tasks):
                    return "it exits, and has tasks that live"
            elif kind in (RemoveContainer, RemoveSandbox) and (wrong := self._removes(effect)):
                return wrong
        return ""

    def _told(self, message: m.StatusUpdate) -> str:
        life, status = self._life, message.status
        key = (message.framework_id, status.task_id)
        if status.uuid is None:
            return ""  # of what could not even be stored
        if wrong := self._is_untrue(message, key):
            return wrong
        uuid, since_s, times = life.sent.get(key, (b"", 0.0, 0))
        if uuid != status.uuid:
            life.sent[key] = (status.uuid, self._now_s, 1)
            return ""
        least_s = _interval_s(times) * (1 - _DRIFT)
        welcomed = type(self._event) is MasterSaid
        # A timer of before may be on its way when it is told for another reason.
        regular = times > 1 and self._agent.process.awake_for_s > _SLACK_S
        if regular and not welcomed and self._now_s - since_s < least_s - _SLACK_S:
            return f"{key[1]} is told again after {self._now_s - since_s:.1f} s"
        life.sent[key] = (status.uuid, self._now_s, 1 if welcomed else times + 1)
        return ""

    def _is_untrue(self, message: m.StatusUpdate, key: Key) -> str:
        status, task = message.status, self._task(key)
        if task is None or not task.pending or task.pending[0] != status:
            return f"{status} is not what waits to be told"
        # What has run unseen is told to have run, and to have ended, in one step; what was ill for
        # the last time to be ill, and to be killed.
        if message.latest_state is not task.state and type(self._event) not in _AT_ONCE:
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
        if wrong := self._is_elsewhere(message, task):
            return wrong
        if status.state is TaskState.RUNNING and id_ not in self._watch._ran:
            return f"{key[1]} is said to run, and never did"
        ending, code, _ = self._watch._ends.get(id_, (None, None, 0.0))
        if status.state is TaskState.FINISHED and (ending is not Ending.EXIT or code != 0):
            return f"{key[1]} is said to have ended well: {ending}, {code}"
        # Else it is said for want of knowing, or of one whose time was over before it ended well.
        seen = status.source is Source.EXECUTOR and task.kill is None
        if status.state is TaskState.FAILED and seen and ending is Ending.EXIT and code == 0:
            return f"{key[1]} is said to have failed, and ended well"
        return ""

    def _is_elsewhere(self, message: m.StatusUpdate, task: AgentTask) -> str:
        """Where a task that was seen to run can be reached is as its engine says; a process has the
        address of its host."""
        told, id_ = message.status.container_status, task.container_id
        assert id_ is not None
        infos = () if told is None else told.network_infos
        if id_ not in self._watch._ran or not (infos or task.state is TaskState.RUNNING):
            return ""  # it may have run unseen
        kind, known = self._watch._ran[id_]
        if kind is c.Kind.PROCESS:
            ip = self.view.config.info.ip
            known = (NetworkInfo((IpAddress(ip, "IPv6" if ":" in ip else "IPv4"),)),) if ip else ()
        if infos != known and (infos or message.status.state is TaskState.RUNNING):
            return f"{task.info.task_id} is said to be at {infos}, and is at {known}"
        return ""

    def _reported(self, message: m.ReregisterAgent) -> str:
        reported = {(task.framework_id, task.task_id): task for task in message.tasks}
        if list(reported) != [task.key for task in self.view.tasks] or (
            set(reported) != set(self._life.tasks)
        ):
            return f"it reports {list(reported)}, and has {list(self._life.tasks)}"
        for task in self.view.tasks:
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
        launched = [task.key for task in self.view.tasks if task.container_id is not None]
        if missing := [key for key in launched if key[0] not in known]:
            return f"it does not report the frameworks of {missing}"
        if self.view.aside:
            return f"it can't read what it has written: {self.view.aside}"
        identity = self._agent.id
        if message.info.id != self.view.agent_id or (identity and message.info.id != identity):
            return f"it was {identity}, and says that it is {message.info.id}"
        if message.info.resources != self.view.resources:
            return f"it reports {message.info.resources}, and has {self.view.resources}"
        return ""

    def _removes(self, effect: RemoveContainer | RemoveSandbox) -> str:
        id_ = effect.container_id
        if any(task.container_id == id_ and task.live for task in self.view.tasks):
            return f"it removes {id_}, whose task lives"
        ended = self._watch._ends.get(id_)
        config, since_s = self.view.config, 0.0 if ended is None else ended[2]
        sandbox = type(effect) is RemoveSandbox
        if sandbox and id_ in self._life.removing:
            return f"it removes the sandbox of {id_} while it is being removed"
        if sandbox:
            self._life.removing[id_] = None
        least_s = config.gc_delay_s if sandbox else config.container_remove_delay_s
        # By the wall, which is set now and then: a day is no jump of it.
        if sandbox and ended is not None and self._now_s - since_s < least_s - 86400.0:
            return f"it removes the sandbox of {id_}, which ended {self._now_s - since_s:.0f} s ago"
        return ""

    # ---- orders

    def _run(self, before: Mapping[Key, None]) -> str:
        message: m.RunTask = self._event.message
        info, framework = message.task, message.framework
        if framework.id is None:
            return ""
        key = (framework.id, info.task_id)
        launched = [e.spec for e in self._output.effects if type(e) is LaunchContainer]
        told = [s for s in self._sent(m.StatusUpdate) if s.status.task_id == info.task_id]
        if key in before:
            return f"{key} is there already, and launched again" if launched or told else ""
        if self._life.core.state.checkpoint.has_forgotten(*key):
            return f"{key} has ended, and is launched again" if launched or told else ""
        task = self._task(key)
        if not launched:
            if task is None and not told:
                return f"{key} is not launched, and nobody is told"
            if _is_plain(info) and self._fits(info) and not self._is_closed():
                return f"{key} is not launched: {told}"
            return ""
        if self._is_closed() or info.agent_id != self.view.agent_id or info.executor is not None:
            return f"{key} is launched, and must not be"
        if task is None or task.info != info or task.role != message.role:
            return f"{key} is launched, and kept as {task}"
        return self._is_described(launched[0], message, task)

    def _is_closed(self) -> bool:
        return self._life.draining or self._life.leaving

    def _fits(self, info: TaskInfo) -> bool:
        made = {
            kind: value for kind, value in info.resources.items() if kind.disk or kind.reservations
        }
        has_it = Resources(made) <= self.view.resources
        return has_it and info.agent_id == self.view.agent_id and info.unique_lease is None

    def _is_described(self, spec: c.ContainerSpec, message: m.RunTask, task: AgentTask) -> str:
        info, framework, env = message.task, message.framework, dict(spec.env)
        config = self.view.config
        given = info.command.environment if info.command is not None else ()
        own = {each.name: each.value or "" for each in given}
        docker = spec.kind is c.Kind.DOCKER
        expected = {
            "MESOS_TASK_ID": info.task_id,
            "MESOS_EXECUTOR_ID": info.task_id,
            "MESOS_FRAMEWORK_ID": framework.id,
            "MESOS_SLAVE_ID": info.agent_id,
            "MESOS_ALLOCATION_ROLE": message.role,
            "MESOS_DIRECTORY": spec.sandbox,
            "MESOS_SANDBOX": c.SANDBOX_IN_IMAGE if docker else spec.sandbox,
            "MESOS_AGENT_ENDPOINT": f"{config.ip}:{config.info.port}",
            "MESOS_SLAVE_PID": f"slave(1)@{config.ip}:{config.info.port}",
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

    def _kill(self, before: Mapping[Key, None]) -> str:
        message: m.KillTask = self._event.message
        task = self._task((message.framework_id, message.task_id))
        if task is None or not task.live:
            # It may be the first word of a new leader.
            writes = [each for each in self._output.writes if each.key != "obeyed/agent"]
            return f"it does {writes}" if writes else ""
        policy = message.kill_policy
        grace_s = None if policy is None else policy.grace_period
        return self._is_killed(task, _own_grace_s(task.info) if grace_s is None else grace_s)

    def _is_killed(self, task: AgentTask, grace_s: float) -> str:
        orders = [
            effect
            for effect in self._output.effects
            if type(effect) is KillContainer and effect.container_id == task.container_id
        ]
        if len(orders) != 1:
            return f"{task.info.task_id} is to be killed, its container is told {orders}"
        if orders[0].grace_s > grace_s + 1e-6:
            return f"{task.info.task_id} has {grace_s} s, its container {orders[0].grace_s} s"
        return "" if task.kill is not None else f"{task.info.task_id} is killed, and not noted"

    def _drain(self, before: Mapping[Key, None]) -> str:
        self._life.draining = True
        most_s = self._event.message.config.max_grace_period
        for task in self.view.tasks:
            grace_s = _own_grace_s(task.info)
            grace_s = grace_s if most_s is None else min(grace_s, most_s)
            if task.live and (wrong := self._is_killed(task, grace_s)):
                return wrong
        return "" if self.view.drain == self._event.message.config else "it does not drain"

    def _reactivate(self, before: Mapping[Key, None]) -> str:
        self._life.draining = False
        return "" if self.view.drain is None else "it drains on"

    def _shut_down(self, before: Mapping[Key, None]) -> str:
        self._life.leaving = True
        for task in self.view.tasks:
            if task.live and (wrong := self._is_killed(task, _own_grace_s(task.info))):
                return wrong
        return ""

    def _end_framework(self, before: Mapping[Key, None]) -> str:
        id_ = self._event.message.framework_id
        for task in self.view.tasks:
            if task.framework_id != id_:
                continue
            if not task.live:
                return f"nobody is left to hear of {task.info.task_id}, and it is kept"
            if wrong := self._is_killed(task, _own_grace_s(task.info)):
                return wrong
        return ""

    # ---- acknowledgements

    def _acknowledged(self, before: Mapping[Key, None]) -> str:
        message: m.UpdateAcknowledged = self._event.message
        key = (message.framework_id, message.task_id)
        if key not in before:
            return f"it does {self._output.writes}" if self._output.writes else ""
        sent = self._life.sent.get(key)
        if sent is None:
            return ""  # told in another life, or on another stream
        writes = [w for w in self._output.writes if w.key.startswith("task/")]
        if sent[0] != message.uuid:
            return f"another update was told, and it does {writes}" if writes else ""
        if len(writes) != 1:
            return f"{key[1]} is acknowledged, and it does {writes}"
        task = self._task(key)
        if task is None:
            return ""
        if any(status.uuid == message.uuid for status in task.pending):
            return f"{key[1]} is acknowledged, and still waits"
        if not task.live and not task.pending:
            return f"the end of {key[1]} is acknowledged, and it is kept"
        next_ = [status.uuid for status in task.pending[:1]]
        told = [s.status.uuid for s in self._sent(m.StatusUpdate) if _of(s) == key]
        if self.view.registered and told != next_:
            return f"next of {key[1]} is {next_}, told is {told}"
        return ""

    def _settle(self, message: m.UpdateAcknowledged) -> None:
        key = (message.framework_id, message.task_id)
        sent = self._life.sent.get(key)
        if sent is not None and sent[0] == message.uuid:
            del self._life.sent[key]

    # ---- the master

    def _asks(self) -> str:
        kind = m.RegisterAgent if self.view.agent_id is None else m.ReregisterAgent
        asked = self._sent(kind)
        return "" if len(asked) == 1 else f"it does not say who it is: {self._output.effects}"

    def _waits(self, until_s: float) -> str:
        """It asks again after a while, each time after twice as long, until it is answered."""
        waits_s = until_s - self._agent.process.now().mono_s
        right_s = min(_ASKS_MIN_S * 2 ** min(self._life.asks - 1, 10), _ASKS_S)
        return "" if abs(waits_s - right_s) < 1e-3 else f"it asks again in {waits_s} s: {right_s}"

    def _is_deaf(self) -> str:
        """What was said on a stream that is over is not for it."""
        done = [*self._output.writes, *self._output.effects]
        return f"that stream is over, and it does {done}" if done else ""

    def _welcomed(self, before: Mapping[Key, None]) -> str:
        """All that nobody has acknowledged is told at once."""
        if type(self._event.message) is m.AgentReregistered:
            self._life.draining = False
            if self.view.drain is not None:
                return "it drains on, whatever the master says"
            asked = [(each.framework_id, each.task_id) for each in self._event.message.reconcile]
            for key in asked:
                if self._task(key) is None and not self._life.core.state.checkpoint.has_forgotten(
                    *key
                ):
                    return f"it is asked for {key}, and says nothing"
        elif not self._sent(m.StatusUpdate) and self._life.sent:
            return ""  # it was registered before
        told = {_of(each): each.status.uuid for each in self._sent(m.StatusUpdate)}
        if not self.view.registered:
            return "it does not count as registered"
        for task in self.view.tasks:
            if task.pending and told.get(task.key) != task.pending[0].uuid:
                return f"{task.info.task_id} waits to be told, and is not"
        return ""

    def _pinged(self, before: Mapping[Key, None]) -> str:
        ping: m.Ping = self._event.message
        self._life.pinged_s = self._now_s
        if [pong.number for pong in self._sent(m.Pong)] != [ping.number]:
            return f"it answers {self._output.effects}"
        if not ping.connected and self.view.registered:
            return "the master has lost sight of it, and it does not ask"
        if self._sent(m.ReregisterAgent):
            self._life.asks = 0
        return ""

    # ---- containers

    def _came(self) -> str:
        """The end of a container is that of its task."""
        id_ = self._event.container_id
        for task in self.view.tasks:
            if task.container_id == id_ and task.live:
                return f"the container of {task.info.task_id} has ended, and it lives"
        return ""

    def _is_running(self) -> str:
        id_ = self._event.container_id
        for task in self.view.tasks:
            if task.container_id != id_ or not task.live:
                continue
            if task.kill is not None:
                return self._is_killed(task, _REPEAT_MAX_S)
            if task.started_s is None or task.state is not TaskState.RUNNING:
                return f"{task.info.task_id} has started, and is {task.state}"
        return ""

    # ---- what is late

    def _look(self) -> str:
        life, now_s = self._life, self._now_s
        if life.conn is None:
            return ""
        awake_s = self._agent.process.awake_for_s
        config = self.view.config
        quiet_s = now_s - life.pinged_s
        if min(quiet_s, awake_s) > config.ping_timeout_s * (1 + _DRIFT) + _SLACK_S:
            return f"its master has not pinged for {quiet_s:.0f} s, and it waits"
        if not self.view.registered:
            late_s = min(now_s - life.asked_s, awake_s)
            if late_s > _ASKS_S * (1 + _DRIFT) + _SLACK_S:
                return f"it has not asked for {late_s:.0f} s"
            return ""
        for task in self.view.tasks:
            sent = life.sent.get(task.key)
            if not task.pending or sent is None or sent[0] != task.pending[0].uuid:
                continue
            late_s = min(now_s - sent[1], awake_s)
            if late_s > _interval_s(sent[2]) * (1 + _DRIFT) + _SLACK_S:
                return f"{task.info.task_id} was told {late_s:.0f} s ago, and not again"
        return ""


def _interval_s(times: int) -> float:
    """How long after it was told so often in a row an update is told again."""
    doubled: float = _REPEAT_S * 2 ** min(times - 1, 10)
    return min(doubled, _REPEAT_MAX_S)


def _own_grace_s(info: TaskInfo) -> float:
    policy = info.kill_policy
    own_s = None if policy is None else policy.grace_period
    return _GRACE_S if own_s is None else own_s


def _of(message: m.StatusUpdate) -> Key:
    status: TaskStatus = message.status
    return message.framework_id, status.task_id


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


_OF_TASKS: Final = (m.RunTask, m.UpdateAcknowledged)
_JUDGES: Final[Mapping[type, Callable[[_Step, Mapping[Key, None]], str]]] = {
    m.RunTask: _Step._run,
    m.KillTask: _Step._kill,
    m.DrainAgent: _Step._drain,
    m.ReactivateAgent: _Step._reactivate,
    m.ShutdownAgent: _Step._shut_down,
    m.ShutdownFramework: _Step._end_framework,
    m.UpdateAcknowledged: _Step._acknowledged,
    m.AgentRegistered: _Step._welcomed,
    m.AgentReregistered: _Step._welcomed,
    m.Ping: _Step._pinged,
}
