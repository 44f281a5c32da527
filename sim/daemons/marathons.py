"""Virtual Marathons: the real core, leader-elected, driven by an operator that submits apps."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, assert_never

from mezzo.core import CancelTimer, Output, SetTimer
from mezzo.ids import ConnId, FrameworkId, IdSource
from mezzo.marathon.commands import Command, Result
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.effects import (
    Abort,
    Call,
    CallRefused,
    Effect,
    Faulted,
    Launched,
    Publish,
    Ready,
    Registered,
    Reply,
    ShowApp,
    ShowAside,
    ShowDeployment,
    ShowInstance,
    StandBy,
    StartHealthCheck,
    StopHealthChecks,
    UpdateDenied,
)
from mezzo.marathon.events import ApiRequest, HealthResult, LinkDown, LinkUp, MasterEvent, Started
from mezzo.messages.scheduler import Acknowledge, Kill, Update
from mezzo.store.memory import MemoryDisk

from ..world.network import AT_ONCE_S, Network
from ..world.sessions import Election
from .candidate import Candidate
from .health_answers import Answer, Examine, nobody_is_ill
from .master_link import Client, Server
from .masters import FromFramework, ToClient


def repeatable(message: Any) -> float:
    """How long a message may be repeated: an update before the one that follows."""
    if isinstance(message, FromFramework):
        return 30.0 if isinstance(message.call, (Acknowledge, Kill)) else 0.0
    told = isinstance(message, ToClient) and isinstance(message.message, Update)
    return AT_ONCE_S if told else 0.0


_CONFIG: Final = MarathonConfig()
_AT_FIRST_S: Final = 0.2


class MarathonWatch(Protocol):
    """Looks at what a Marathon does: see `Watch`."""

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,
        output: Output[Any],
    ) -> None: ...

    def called(self, client: VirtualMarathon, call: Any) -> None: ...


class VirtualMarathon(Candidate):
    def __init__(
        self,
        network: Network,
        name: str,
        disk: MemoryDisk,
        election: Election,
        find: Callable[[str], Server | None],
        watch: MarathonWatch,
        config: MarathonConfig = _CONFIG,
        examine: Examine = nobody_is_ill,
    ) -> None:
        super().__init__(network, name, disk, election)
        self.config = config
        self.ready = False  # it answers people: a new leader does not before its first step is done
        self.loaded: Mapping[str, bytes] = {}  # what the present term has begun with
        self._watch = watch
        self._examine = examine
        self._framework_id: FrameworkId | None = None
        self._replies: dict[int, Callable[[Result], None]] = {}
        self._requests = 0
        self._probes: dict[str, dict[int, StartHealthCheck]] = {}
        self.client = Client(
            network,
            name,
            find,
            on_up=lambda conn: self.process.post(LinkUp(conn)),
            on_message=self._received,
            on_down=lambda conn: self.process.post(LinkDown(conn)),
            repeatable=repeatable,
        )

    @property
    def core(self) -> MarathonCore | None:
        core: MarathonCore | None = self.process.core
        return core

    def ask(self, command: Command, reply: Callable[[Result], None]) -> None:
        """Ask as an HTTP client would; no reply if the process ends first."""
        self._requests += 1
        self._replies[self._requests] = reply
        self.process.post(ApiRequest(self._requests, command))

    def _first(self) -> Started:
        return Started()

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> MarathonCore:
        del epoch
        self.loaded = stored
        return MarathonCore(self.config, stored, IdSource(rng), rng)

    def _observe(self, event: Any, output: Output[Any]) -> None:
        self._watch.marathon_stepped(self, event, output)

    def _leads(self) -> None:
        self.client.start()

    def _over(self) -> None:
        self.ready = False
        self.client.stop()
        self._replies.clear()
        self._probes.clear()
        self._framework_id = None

    def _received(self, conn: ConnId, message: ToClient) -> None:
        self.process.post(MasterEvent(conn, message.epoch, message.message))

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Call(conn=conn, call=call):
                self._watch.called(self, call)
                self.client.send(conn, FromFramework(self._framework_id, call))
            case Registered(framework_id=framework_id):
                self._framework_id = framework_id
            case Reply(request_id=request_id, result=result):
                reply = self._replies.pop(request_id, None)
                if reply is not None:
                    reply(result)
            case StartHealthCheck():
                self._probes.setdefault(effect.instance_id, {})[effect.index] = effect
                self._world.after(_AT_FIRST_S, self._probe, effect)
            case StopHealthChecks(instance_id=instance_id):
                self._probes.pop(instance_id, None)
            case Ready():
                self.ready = True
            case Publish() | ShowApp() | ShowInstance() | ShowDeployment() | Launched():
                pass  # nobody looks
            case ShowAside() | Faulted() | CallRefused() | UpdateDenied():
                pass
            case Abort(reason=reason) | StandBy(reason=reason):
                self.process.crash(reason)
            case SetTimer() | CancelTimer():
                raise AssertionError("the process sets timers itself")
            case _:
                assert_never(effect)

    def _probe(self, order: StartHealthCheck) -> None:
        """Probe again and again, until the check is stopped, or started anew."""
        if self._asks(order):
            answer = self._examine(order.instance_id, order.check.timeout_s)
            self._world.after(answer.after_s, self._answered, order, answer)

    def _answered(self, order: StartHealthCheck, answer: Answer) -> None:
        if self._asks(order):
            alive = answer.alive
            if alive is None and not order.check.ignore_http_1xx:
                alive = False
            self.process.post(HealthResult(order.instance_id, order.index, alive, answer.cause))
            self._world.after(order.check.interval_s, self._probe, order)

    def _asks(self, order: StartHealthCheck) -> bool:
        return self._probes.get(order.instance_id, {}).get(order.index) is order
