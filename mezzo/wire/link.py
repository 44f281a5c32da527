"""A stream to the leading master: finds the leader, connects, notices the end, connects again.

Agents, frameworks and gateways hold one each. It is asyncio and lives on the loop of its owner.
Each connection has a `ConnId` of its own, so that what still arrives from an old one can be told
apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final, Generic, TypeVar

import grpc
import grpc.aio
import msgspec

from mezzo.election.base import LeaderChanged, LeaderDetector
from mezzo.errors import BadRequest, Unencodable
from mezzo.ids import ConnId
from mezzo.process.log import Sparing, get_logger

from .batches import MESSAGE_MAX_BYTES, STATE_MAX_BYTES, Refused
from .convert import told_of

Out = TypeVar("Out")

# Both ends look after dead peers. Whatever arrives counts as a sign of life, so the time is longer
# than the interval of pings and heartbeats: while those come, nothing is sent for this.
_KEEPALIVE_MS: Final = 20_000
_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Measuring the bandwidth costs a ping and its answer for every message on a quiet stream.
    ("grpc.http2.bdp_probe", 0),
    # A channel of its own per connection: no half-dead subchannel is shared, no proxy is asked.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]
CHANNEL_OPTIONS: Final[list[tuple[str, Any]]] = [
    *_OPTIONS,
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
]
# For clients that read the state of the whole cluster.
OPERATOR_OPTIONS: Final[list[tuple[str, Any]]] = [
    *_OPTIONS,
    ("grpc.max_receive_message_length", STATE_MAX_BYTES),
    ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
]
# As many streams may wait to be served as one master has agents: by default 1,000 may, and beyond
# that they are refused at random.
_PENDING_MAX: Final = 50_000
SERVER_OPTIONS: Final[list[tuple[str, Any]]] = [
    *_OPTIONS,
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", STATE_MAX_BYTES),
    # A server that sees many pings must not take offence.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.server.max_pending_requests", _PENDING_MAX),
    ("grpc.server.max_pending_requests_hard_limit", _PENDING_MAX),
    # Two masters on one port would both answer: refuse the second instead.
    ("grpc.so_reuseport", 0),
]
RETRY_MIN_S: Final = 0.1
RETRY_MAX_S: Final = 3.0
# A master to which ten thousand return at once needs a while to shake all hands. Peers that give up
# earlier come again and make it longer. A master that is not there refuses at once.
CONNECT_WITHIN_S: Final = 30.0
# When a leader is gone, its peers come to the next one so many in a second: each is served at once,
# where all together would have to wait for all.
_RETURNS_PER_S: Final = 1000


class _Published(msgspec.Struct):
    """The part of a MasterInfo that says where its gRPC server is."""

    class Address(msgspec.Struct):
        hostname: str | None = None
        ip: str | None = None

    address: Address
    grpc_port: int


def grpc_target(leader: bytes) -> str:
    """`host:port` out of what a leader published: a MasterInfo in JSON, or `host:port` itself.

    A fixed address may be a list, `host:port,host:port`: it comes back as it is.
    """
    text = leader.decode()
    if not text.startswith("{"):
        return text
    info = msgspec.json.decode(leader, type=_Published)
    return f"{info.address.ip or info.address.hostname}:{info.grpc_port}"


class Link(Generic[Out]):
    """Keeps one stream to the leader open. All callbacks come on the loop and must not block.

    open_stream: starts the call on a fresh channel; it gets the iterator of outgoing messages.
    pack: turns all messages queued since the last turn into wire messages (one batch, or one each);
    it leaves out those that can't be sent, and gives them to the callback.
    on_unsent: with the connection's id, what was left out and why, soon after; it is in the log.
    on_up / on_message / on_down: with the connection's id; on_down follows every on_up.
    """

    def __init__(
        self,
        detector: LeaderDetector,
        *,
        open_stream: Callable[[grpc.aio.Channel, AsyncIterator[Any]], Any],
        pack: Callable[[list[Out], Refused], Iterable[Any]],
        on_up: Callable[[ConnId], None],
        on_message: Callable[[ConnId, Any], None],
        on_down: Callable[[ConnId], None],
        on_unsent: Callable[[ConnId, Any, Unencodable], None],
        name: str,
    ) -> None:
        self._detector = detector
        self._open_stream = open_stream
        self._pack = pack
        self._on_up = on_up
        self._on_message = on_message
        self._on_down = on_down
        self._on_unsent = on_unsent
        self._log = get_logger(name)
        self._sparing = Sparing(self._log)
        self._loop = asyncio.get_running_loop()
        self._leader: str | None = None
        self._leader_changed = asyncio.Event()
        self._conns = itertools.count(1)
        self._conn: ConnId | None = None
        self._outbox: list[Out] = []
        self._outbox_filled = asyncio.Event()
        self._current: asyncio.Task[None] | None = None
        self.unsent = 0  # messages, or parts of them, that could not be sent
        self.attempts = 0  # to connect, since the beginning
        self.crowd = 0  # streams of the master that served us last: all of them will come back
        self._served = False

    @property
    def leader(self) -> str | None:
        """`host:port` of the leader's gRPC server, if one is known."""
        return self._leader

    def send(self, conn: ConnId, message: Out) -> None:
        """Queue for this loop turn's batch. Dropped if `conn` is over: its peer is gone."""
        if conn == self._conn:
            self._outbox.append(message)
            self._outbox_filled.set()

    def is_open(self, conn: ConnId) -> bool:
        return conn == self._conn

    def close(self, conn: ConnId) -> None:
        """End this connection; a new one follows."""
        if conn == self._conn and self._current is not None:
            self._conn = None
            self._current.cancel()

    async def run(self) -> None:
        """Keep the stream until cancelled."""
        self._detector.start(self._on_leader)
        retry_s = RETRY_MIN_S
        attempt = 0
        met: str | None = None  # the leader that we have come to in our turn
        try:
            while True:
                self._leader_changed.clear()
                if self._leader is None:
                    await self._leader_changed.wait()
                    continue
                if self._leader != met:
                    met = self._leader
                    await asyncio.sleep(random.uniform(0.0, self.crowd / _RETURNS_PER_S))
                    continue  # who leads may be another by now
                started_s = self._loop.time()
                # One of a fixed list leads: ask them in turn, the standbys refuse.
                targets = self._leader.split(",")
                target = targets[attempt % len(targets)]
                attempt += 1
                within_s = CONNECT_WITHIN_S / len(targets)
                self._current = asyncio.create_task(self._connection(target, within_s))
                await asyncio.wait([self._current])
                if not self._current.cancelled():
                    self._current.result()  # what a callback raised is a bug, and ends us
                if self._served:
                    self._served, met = False, None
                if self._loop.time() - started_s > RETRY_MAX_S:
                    retry_s = RETRY_MIN_S
                    attempt -= 1  # it did lead: begin with it
                # Jitter spreads the return of many after a failover. A new leader ends the pause.
                pause_s = max(retry_s, self.crowd / _RETURNS_PER_S) * random.uniform(0.5, 1.0)
                retry_s = min(retry_s * 2, RETRY_MAX_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._leader_changed.wait()
                        retry_s = RETRY_MIN_S
        finally:
            self._detector.stop()
            if self._current is not None:
                self._current.cancel()
                await asyncio.wait([self._current])

    def _on_leader(self, change: LeaderChanged) -> None:
        """From the detector's thread."""
        self._loop.call_soon_threadsafe(self._set_leader, change.leader)

    def _set_leader(self, published: bytes | None) -> None:
        try:
            leader = None if published is None else grpc_target(published)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._log.warning("leader.unreadable", error=str(error))
            leader = None
        if leader == self._leader:
            return
        self._leader = leader
        self._leader_changed.set()
        if self._current is not None and leader is not None:
            self._current.cancel()  # another leads: what the old one says is of no use any more

    async def _connection(self, target: str, within_s: float) -> None:
        conn = ConnId(next(self._conns))
        self.attempts += 1
        up = False
        async with grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS) as channel:
            try:
                async with asyncio.timeout(within_s):
                    await _ready(channel)
                self._outbox = []
                self._outbox_filled = filled = asyncio.Event()
                self._conn = conn
                up = True
                call = self._open_stream(channel, self._outgoing(conn, filled))
                self._on_up(conn)
                async for message in call:
                    self._served = True
                    self._on_message(conn, message)
                self._log.info("master.closed_stream", master=target)
            except TimeoutError:
                why = f"no connection within {within_s:g} s"
                self._log.info("master.not_reachable", master=target, reason=why)
            except ConnectionError as error:
                self._log.info("master.not_reachable", master=target, reason=str(error))
            except BadRequest as error:
                self._log.warning("master.unreadable", master=target, error=str(error))
            except grpc.aio.AioRpcError as error:
                self._log.info(
                    "master.stream_ended",
                    master=target,
                    code=error.code().name,
                    details=error.details(),
                )
            finally:
                if up:
                    self._conn = None
                    filled.set()  # so that its sender sees that it is over
                    self._on_down(conn)

    async def _outgoing(self, conn: ConnId, filled: asyncio.Event) -> AsyncIterator[Any]:
        """`filled` is of this connection alone: a sender may outlive its connection, since gRPC
        forgets it when the other end closes a stream."""
        while conn == self._conn:
            await filled.wait()
            filled.clear()
            if conn != self._conn:
                return
            messages, self._outbox = self._outbox, []
            for packed in self._pack(messages, lambda what, why: self._left_out(conn, what, why)):
                yield packed

    def _left_out(self, conn: ConnId, what: Any, error: Unencodable) -> None:
        """gRPC reads `_outgoing` and would swallow what the callback raises: it is called later."""
        self.unsent += 1
        self._sparing.error("message.unsent", message=told_of(what), error=str(error))
        self._loop.call_soon(self._on_unsent, conn, what, error)


async def _ready(channel: grpc.aio.Channel) -> None:
    """Return once the channel is connected. Raises ConnectionError if the other end refuses."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            # gRPC keeps to itself what the system said.
            raise ConnectionError("it refuses connections, or its name has no address")
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
