"""Virtual masters: the real core, one of which leads, and the streams that it serves."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, assert_never

from mezzo.cluster.model import MasterInfo
from mezzo.core import CancelTimer, Output, SetTimer
from mezzo.ids import ConnId, IdSource
from mezzo.master.config import MasterConfig
from mezzo.master.core import MasterCore
from mezzo.master.effects import (
    Answer,
    CloseStream,
    GiveUp,
    MasterEffect,
    NoteDenied,
    NoteIgnored,
    NoteSetAside,
    Publish,
    ToAgent,
    ToFramework,
    ToOperator,
)
from mezzo.master.events import (
    AgentSaid,
    FrameworkSaid,
    LaunchUnsent,
    OperatorAsked,
    Started,
    StreamClosed,
)
from mezzo.messages.agent import AgentMessage, RunTask
from mezzo.messages.operator import OperatorCall, OperatorResponse, RemoveQuota
from mezzo.messages.scheduler import Call
from mezzo.record import Record
from mezzo.store.memory import MemoryDisk

from ..world.network import End, Network, Stream
from ..world.sessions import Election
from ..world.watched import unwatched
from ..world.world import World
from .candidate import Candidate

_CLEAN_S: Final = 20.0
_TOO_LARGE_SHARE: Final = 0.06


class FromAgent(Record):
    message: AgentMessage


class FromFramework(Record):
    framework_id: Any
    call: Call


class ToClient(Record):
    """A message of a master, with its epoch, as every batch and event has it."""

    epoch: int
    message: Any


class VirtualMaster(Candidate):
    """The leader serves streams; a standby accepts none."""

    def __init__(
        self,
        network: Network,
        name: str,
        disk: MemoryDisk,
        election: Election,
        observe: Callable[[VirtualMaster, Any, Output[Any]], None],
        config: Callable[[MasterInfo], MasterConfig] = MasterConfig,
    ) -> None:
        super().__init__(network, name, disk, election)
        self._observer = observe
        self.on_said: Callable[[VirtualMaster, Any], None] = unwatched
        self.on_told: Callable[[VirtualMaster, ToOperator], None] = _nobody_is_told
        self._config = config
        self._has_limits = random.Random(f"sizes of {network.world.seed}").random() < 0.12
        self._ends: dict[ConnId, End] = {}
        self._conns = 0
        self._replies: dict[int, Callable[[OperatorResponse], None]] = {}
        self._requests = 0

    @property
    def core(self) -> MasterCore | None:
        core: MasterCore | None = self.process.core
        return core

    def ask(
        self, call: OperatorCall, reply: Callable[[OperatorResponse], None] | None = None
    ) -> None:
        """Ask as an operator would; no reply if the process ends first."""
        self._requests += 1
        if reply is not None:
            self._replies[self._requests] = reply
        self.process.post(OperatorAsked(self._requests, call))

    def _first(self) -> Started:
        return Started()

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> MasterCore:
        info = MasterInfo(id=f"m{epoch}-{IdSource(rng).uuid()[:8]}", ip=0, port=5050)
        return MasterCore(self._config(info), epoch, stored, rng)

    def _observe(self, event: Any, output: Output[Any]) -> None:
        self._observer(self, event, output)

    def _over(self) -> None:
        ends, self._ends = self._ends, {}
        for end in ends.values():
            end.close()
        self._replies.clear()

    # ---- streams

    def peer(self, conn: ConnId) -> str | None:
        """The peer at the other end of an open stream."""
        end = self._ends.get(conn)
        return None if end is None else end.peer.name

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

    def _received(self, conn: ConnId, message: Any) -> None:
        if isinstance(message, FromAgent):
            self.process.post(AgentSaid(conn, message.message))
        else:
            self.process.post(FrameworkSaid(conn, message.framework_id, message.call))

    def _closed(self, conn: ConnId) -> None:
        if self._ends.pop(conn, None) is not None:
            self.process.post(StreamClosed(conn))

    def _perform(self, effect: MasterEffect) -> None:
        match effect:
            case ToAgent(conn=conn, message=RunTask() as launch) if self._is_too_large(launch):
                self.process.post(LaunchUnsent(conn, launch, "it is too large"))
            case ToAgent(conn=conn, message=message):
                self._send(conn, message)
            case ToFramework(conn=conn, event=event):
                self._send(conn, event)
            case CloseStream(conn=conn):
                end = self._ends.pop(conn, None)
                if end is not None:
                    end.close()
                    self.process.post(StreamClosed(conn))
            case GiveUp(reason=reason):
                self.process.crash(reason)
            case Answer(request=request, response=response):
                reply = self._replies.pop(request, None)
                if reply is not None:
                    reply(response)
            case ToOperator():
                self.on_told(self, effect)
            case Publish() | NoteIgnored() | NoteDenied() | NoteSetAside():
                pass  # nobody watches
            case SetTimer() | CancelTimer():
                raise AssertionError("the process sets timers itself")
            case _:
                assert_never(effect)

    def _is_too_large(self, launch: RunTask) -> bool:
        """Is a task too large for any message? In some clusters a few are."""
        if not self._has_limits:
            return False
        return random.Random(f"size of {launch.task.task_id}").random() < _TOO_LARGE_SHARE

    def _send(self, conn: ConnId, message: Any) -> None:
        end = self._ends.get(conn)
        if end is not None:
            self.on_said(self, message)
            end.send(ToClient(self.process.epoch, message))


def _nobody_is_told(master: VirtualMaster, told: ToOperator) -> None:
    """No operator has subscribed."""


def keep_without_quota(world: World, masters: Sequence[VirtualMaster], role: str) -> None:
    """Remove all quotas, again and again: a leader may die with the wish."""
    for master in masters:
        if master.core is not None and role in master.core.state.quotas:
            master.ask(RemoveQuota(role))
    world.after(_CLEAN_S, keep_without_quota, world, masters, role)
