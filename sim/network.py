"""Streams between virtual processes: ordered while they last, broken by faults.

A stream is what gRPC gives: messages of one direction arrive in order or not at all; when it breaks
the two ends notice at different times, and what was under way is lost. Partitions hold messages
back until they heal or the stream times out. A message may be delivered twice, also much later,
where the protocol promises to bear it (a peer that repeats after a reconnect looks the same).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .world import World

STREAM_TIMEOUT_S: Final = 20.0  # keepalive: a silent peer is given up
_RETRY_S: Final = 0.25


@dataclass(slots=True)
class NetworkFaults:
    """Probabilities per message, and delays in seconds. Quiet by default."""

    delay_min_s: float = 0.0001
    delay_max_s: float = 0.002
    break_stream: float = 0.0
    duplicate: float = 0.0


class Network:
    """Who can talk to whom, and how well."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults = NetworkFaults()
        self._blocked: dict[tuple[str, str], None] = {}  # directed

    def partition(self, a: str, b: str, *, one_way: bool = False) -> None:
        self._blocked[(a, b)] = None
        if not one_way:
            self._blocked[(b, a)] = None
        self.world.tell(f"partition {a} {'->' if one_way else '<->'} {b}")

    def heal(self) -> None:
        self._blocked.clear()

    def blocked(self, sender: str, receiver: str) -> bool:
        return (sender, receiver) in self._blocked

    def delay_s(self) -> float:
        return self.world.between(self.faults.delay_min_s, self.faults.delay_max_s)


class End:
    """One end of a stream, as its owner uses it."""

    def __init__(
        self,
        stream: Stream,
        name: str,
        on_message: Callable[[Any], None],
        on_close: Callable[[], None],
    ) -> None:
        self.name = name
        self.open = True
        self.on_message = on_message
        self.on_close = on_close
        self.peer: End
        self._stream = stream
        self.arrives_s = 0.0  # of the last message towards this end: keeps the order
        self.blocked_since_s: float | None = None

    def send(self, message: Any) -> None:  # noqa: ANN401
        if self.open:
            self._stream.send(self, message)

    def close(self) -> None:
        """This end is gone at once; the other one notices later."""
        if self.open:
            self.open = False
            self._stream.closed_by(self)


class Stream:
    """Made by a client towards a server."""

    def __init__(
        self,
        network: Network,
        client: str,
        server: str,
        *,
        to_client: Callable[[Any], None],
        client_closed: Callable[[], None],
        repeatable: Callable[[Any], bool],
    ) -> None:
        """The server fills in the callbacks of its end when it accepts."""
        self._network = network
        self._world = network.world
        self._repeatable = repeatable
        self.client = End(self, client, to_client, client_closed)
        self.server = End(self, server, _nothing, _nothing)
        self.client.peer = self.server
        self.server.peer = self.client

    def send(self, sender: End, message: Any) -> None:  # noqa: ANN401
        faults = self._network.faults
        receiver = sender.peer
        if self._world.chance(faults.break_stream):
            self._world.tell(f"stream {sender.name} -> {receiver.name} breaks")
            self.sever()
            return
        arrives_s = max(receiver.arrives_s, self._world.now_s + self._network.delay_s())
        receiver.arrives_s = arrives_s
        self._world.after(arrives_s - self._world.now_s, self._deliver, receiver, message)
        if self._world.chance(faults.duplicate) and self._repeatable(message):
            late_s = 0.0 if self._world.chance(0.5) else self._world.between(0.0, 30.0)
            again_s = arrives_s - self._world.now_s + late_s
            self._world.after(again_s, self._deliver, receiver, message)

    def _deliver(self, receiver: End, message: Any) -> None:  # noqa: ANN401
        if not receiver.open:
            return
        now_s = self._world.now_s
        if self._network.blocked(receiver.peer.name, receiver.name):
            if receiver.blocked_since_s is None:
                receiver.blocked_since_s = now_s
            if now_s - receiver.blocked_since_s > STREAM_TIMEOUT_S:
                self.sever()
                return
            receiver.arrives_s = max(receiver.arrives_s, now_s + _RETRY_S)
            self._world.after(_RETRY_S, self._deliver, receiver, message)
            return
        receiver.blocked_since_s = None
        receiver.on_message(message)

    def sever(self) -> None:
        """Both ends notice, each in its own time; until then what they send is lost."""
        for end in (self.client, self.server):
            self._world.after(self._world.between(0.0, 1.0), self._notice, end)

    def closed_by(self, end: End) -> None:
        """What was sent before still arrives; then the other end sees the close."""
        peer = end.peer
        if self._network.blocked(end.name, peer.name):
            delay_s = STREAM_TIMEOUT_S
        else:
            delay_s = max(peer.arrives_s - self._world.now_s, 0.0) + self._network.delay_s()
        self._world.after(delay_s, self._notice, peer)

    def _notice(self, end: End) -> None:
        if end.open:
            end.open = False
            end.on_close()
            # If only this end has noticed so far, the other one will.
            if end.peer.open:
                self.closed_by(end)


def _nothing(*_: Any) -> None:  # noqa: ANN401
    """The callbacks of an end whose owner has not accepted yet."""
