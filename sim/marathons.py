"""Virtual Marathons: the real core, leader-elected, driven by an operator that submits apps."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from mezzo.core import CancelTimer, SetTimer
from mezzo.ids import ConnId, FrameworkId, IdSource
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.messages import (
    Abort,
    ApiRequest,
    Call,
    Command,
    Effect,
    HealthResult,
    Launched,
    LinkDown,
    LinkUp,
    MasterEvent,
    Publish,
    Ready,
    Registered,
    Reply,
    Result,
    ShowApp,
    ShowDeployment,
    ShowInstance,
    Started,
    StartHealthCheck,
    StopHealthChecks,
)
from mezzo.messages.scheduler import Acknowledge, Kill, Update
from mezzo.store.memory import MemoryDisk

from .client import Client, Server
from .election import Election
from .masters import FromFramework, ToClient
from .network import Network
from .process import Process


def _repeatable(message: Any) -> bool:  # noqa: ANN401
    if isinstance(message, FromFramework):
        return isinstance(message.call, (Acknowledge, Kill))
    return isinstance(message, ToClient) and isinstance(message.message, Update)


class VirtualMarathon:
    def __init__(
        self,
        network: Network,
        name: str,
        disk: MemoryDisk,
        election: Election,
        find: Callable[[str], Server | None],
    ) -> None:
        self.name = name
        self._world = network.world
        self._election = election
        self._token = ""
        self._down_for_s = 0.0
        self._framework_id: FrameworkId | None = None
        self._replies: dict[int, Callable[[Result], None]] = {}
        self._requests = 0
        self._probes: dict[str, None] = {}
        self.process = Process(
            self._world,
            name,
            disk,
            build=self._build,
            perform=self._perform,
            on_end=self._ended,
        )
        self.client = Client(
            network,
            name,
            find,
            on_up=lambda conn: self.process.post(LinkUp(conn)),
            on_message=self._received,
            on_down=lambda conn: self.process.post(LinkDown(conn)),
            repeatable=_repeatable,
        )

    @property
    def core(self) -> MarathonCore | None:
        core: MarathonCore | None = self.process.core
        return core

    def stand(self) -> None:
        self._token = self._election.campaign(self.name, self._elected)

    def crash(self, down_for_s: float) -> None:
        if not self._token:
            return  # it is down already
        self._down_for_s = down_for_s
        if self.process.up:
            self.process.crash("killed")
        else:
            self._ended("killed")

    def sleep(self, for_s: float) -> None:
        if not self.process.up:
            return
        self.process.pause(for_s)
        self._election.session_lost(self._token)

    def ask(self, command: Command, reply: Callable[[Result], None]) -> None:
        """As an HTTP client would; no reply if the process ends first."""
        self._requests += 1
        self._replies[self._requests] = reply
        self.process.post(ApiRequest(self._requests, command))

    def _elected(self, token: str) -> None:
        if token != self._token or not self._election.holds(token):
            return
        try:
            self.process.start(Started(), token)
        except Exception as error:  # noqa: BLE001 - Fenced or an unreachable store: try again
            self._ended(str(error))
            return
        self.client.start()

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> MarathonCore:
        del epoch
        return MarathonCore(MarathonConfig(), stored, IdSource(rng), rng)

    def _ended(self, why: str) -> None:
        del why
        self.client.stop()
        self._replies.clear()
        self._probes.clear()
        self._framework_id = None
        self._election.session_lost(self._token)
        self._token = ""
        self._world.after(self._down_for_s + self._world.between(0.1, 1.0), self.stand)
        self._down_for_s = 0.0

    def _received(self, conn: ConnId, message: ToClient) -> None:
        self.process.post(MasterEvent(conn, message.epoch, message.message))

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Call(conn=conn, call=call):
                self.client.send(conn, FromFramework(self._framework_id, call))
            case Registered(framework_id=framework_id):
                self._framework_id = framework_id
            case Reply(request_id=request_id, result=result):
                reply = self._replies.pop(request_id, None)
                if reply is not None:
                    reply(result)
            case StartHealthCheck():
                self._probes[effect.instance_id] = None
                self._world.after(0.2, self._probe, effect)
            case StopHealthChecks(instance_id=instance_id):
                self._probes.pop(instance_id, None)
            case Publish() | ShowApp() | ShowInstance() | ShowDeployment() | Launched() | Ready():
                pass  # nobody looks
            case Abort(reason=reason):
                self.process.crash(reason)
            case SetTimer() | CancelTimer():
                raise AssertionError("the process sets timers itself")
            case _:
                assert_never(effect)

    def _probe(self, probe: StartHealthCheck) -> None:
        if probe.instance_id in self._probes and self.process.up:
            self.process.post(HealthResult(probe.instance_id, probe.index, True))
            self._world.after(probe.check.interval_s, self._probe, probe)
