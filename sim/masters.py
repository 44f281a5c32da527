"""Virtual masters: candidates, one of which leads and serves streams."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from mezzo.core import CancelTimer, Output, SetTimer
from mezzo.ids import ConnId, IdSource
from mezzo.master.core import MasterCore
from mezzo.master.events import (
    AgentSaid,
    Answer,
    CloseStream,
    FrameworkSaid,
    MasterEffect,
    Publish,
    Started,
    StreamClosed,
    ToAgent,
    ToFramework,
    ToOperator,
)
from mezzo.master.state import MasterConfig
from mezzo.messages.agent import AgentMessage
from mezzo.messages.scheduler import Call
from mezzo.model import MasterInfo
from mezzo.record import Record
from mezzo.store.memory import MemoryDisk

from .election import Election
from .network import End, Network, Stream
from .process import Process


class FromAgent(Record):
    message: AgentMessage


class FromFramework(Record):
    framework_id: Any
    call: Call


class ToClient(Record):
    """What a master sends, with its epoch, as every batch and event does."""

    epoch: int
    message: Any


class VirtualMaster:
    """One candidate. It stands again after every end of a term."""

    def __init__(
        self,
        network: Network,
        name: str,
        disk: MemoryDisk,
        election: Election,
        observe: Callable[[VirtualMaster, Any, Output[Any]], None],
    ) -> None:
        self.name = name
        self._network = network
        self._world = network.world
        self._election = election
        self._token = ""
        self._down_for_s = 0.0
        self.process = Process(
            self._world,
            name,
            disk,
            build=self._build,
            perform=self._perform,
            on_end=self._ended,
            observe=lambda event, output: observe(self, event, output),
        )
        self._ends: dict[ConnId, End] = {}
        self._conns = 0

    @property
    def core(self) -> MasterCore | None:
        core: MasterCore | None = self.process.core
        return core

    def stand(self) -> None:
        self._token = self._election.campaign(self.name, self._elected)

    def crash(self, down_for_s: float) -> None:
        """kill -9; started again after a while. A standby dies as well as a leader."""
        if not self._token:
            return  # it is down already
        self._down_for_s = down_for_s
        if self.process.up:
            self.process.crash("killed")
        else:
            self._ended("killed")

    def lose_session(self) -> None:
        """Its session is over at once, but it hears of that only after a while."""
        token = self._token
        if not token:
            return  # it is down already
        self._election.expire(token)
        if self.process.up:
            self._world.after(self._world.between(0.0, 5.0), self._hears_of_loss, token)
        else:
            self._ended("standby lost its session")

    def _hears_of_loss(self, token: str) -> None:
        if token == self._token and self.process.up:
            self.process.crash("leadership is lost")

    def sleep(self, for_s: float) -> None:
        """Longer than the session: another leads when it wakes and believes it leads."""
        if not self.process.up:
            return
        self.process.pause(for_s)
        self._election.session_lost(self._token)

    def _elected(self, token: str) -> None:
        if token != self._token or not self._election.holds(token):
            return
        try:
            self.process.start(Started(), token)
        except Exception as error:  # noqa: BLE001 - Fenced or an unreachable store: try again
            self._ended(str(error))

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> MasterCore:
        info = MasterInfo(id=f"m{epoch}-{IdSource(rng).uuid()[:8]}", ip=0, port=5050)
        return MasterCore(MasterConfig(info), epoch, stored, rng)

    def _ended(self, why: str) -> None:
        del why
        self._election.session_lost(self._token)
        self._token = ""
        ends, self._ends = self._ends, {}
        for end in ends.values():
            end.close()
        pause_s = self._down_for_s + self._world.between(0.1, 1.0)
        self._down_for_s = 0.0
        self._world.after(pause_s, self.stand)

    # ---- streams

    def accept(self, stream: Stream) -> bool:
        if not self.process.up:
            return False
        self._conns += 1
        conn = ConnId(self._conns)
        end = stream.server
        self._ends[conn] = end
        end.on_message = lambda message: self._received(conn, message)
        end.on_close = lambda: self._closed(conn)
        return True

    def _received(self, conn: ConnId, message: Any) -> None:  # noqa: ANN401
        if isinstance(message, FromAgent):
            self.process.post(AgentSaid(conn, message.message))
        else:
            self.process.post(FrameworkSaid(conn, message.framework_id, message.call))

    def _closed(self, conn: ConnId) -> None:
        if self._ends.pop(conn, None) is not None:
            self.process.post(StreamClosed(conn))

    def _perform(self, effect: MasterEffect) -> None:
        match effect:
            case ToAgent(conn=conn, message=message):
                self._send(conn, message)
            case ToFramework(conn=conn, event=event):
                self._send(conn, event)
            case CloseStream(conn=conn):
                end = self._ends.pop(conn, None)
                if end is not None:
                    end.close()
                    self.process.post(StreamClosed(conn))
            case Publish() | ToOperator() | Answer():
                pass  # nobody watches
            case SetTimer() | CancelTimer():
                raise AssertionError("the process sets timers itself")
            case _:
                assert_never(effect)

    def _send(self, conn: ConnId, message: Any) -> None:  # noqa: ANN401
        end = self._ends.get(conn)
        if end is not None:
            end.send(ToClient(self.process.epoch, message))
