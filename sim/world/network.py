"""Streams between virtual processes: ordered while they last, broken by faults.

A stream is that of gRPC: messages of one direction arrive in order or not at all. So a network's
faults show in these ways only:

loss         the stream dies, and with it the tail of what was under way;
duplication  a peer repeats itself, at once or long after;
reordering   what was sent on an old stream arrives after a new one was opened: its receiver notices
             the end of the old one late, or the messages were held up somewhere.

Partitions hold messages back until they heal or the stream times out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .world import World

STREAM_TIMEOUT_S: Final = 20.0  # keepalive: a silent peer is given up
AT_ONCE_S: Final = 1e-6  # of repetitions: before anything else is said
_RETRY_S: Final = 0.25
_NEVER_S: Final = float("inf")


@dataclass(slots=True)
class NetworkFaults:
    """Probabilities per message, and delays in seconds. Quiet by default.

    stall: this message and all behind it are held up for some seconds. late_end: of a stream that
    breaks, the server notices the end only after a time-out.
    """

    delay_min_s: float = 0.0001
    delay_max_s: float = 0.002
    break_stream: float = 0.0
    duplicate: float = 0.0
    stall: float = 0.0
    late_end: float = 0.0


class Network:
    """Which processes can talk to each other, and how well."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults = NetworkFaults()
        # Every message has to pass this, by its sender's name; None: it was refused.
        self.door: Callable[[str, Any], Any] | None = None
        self._blocked: dict[tuple[str, str], int] = {}  # directed; how many partitions say so
        self._streams: dict[Stream, None] = {}  # with an open end, the oldest first

    def partition(self, a: str, b: str, *, one_way: bool = False) -> None:
        """`a` can't reach `b`, nor, unless it is `one_way`, the other way round."""
        for pair in _ways(a, b, one_way=one_way):
            self._blocked[pair] = self._blocked.get(pair, 0) + 1
        self.world.tell(f"partition {a} {'->' if one_way else '<->'} {b}")

    def mend(self, a: str, b: str, *, one_way: bool = False) -> None:
        """The opposite of the same `partition`."""
        for pair in _ways(a, b, one_way=one_way):
            if self._blocked.get(pair, 0) > 1:
                self._blocked[pair] -= 1
            else:
                self._blocked.pop(pair, None)

    def heal(self) -> None:
        """No partition is left."""
        self._blocked.clear()

    def blocked(self, sender: str, receiver: str) -> bool:
        return (sender, receiver) in self._blocked

    def cut(self, of: Callable[[str], bool]) -> None:
        """Break the streams of these clients, all at once: a switch restarts."""
        for stream in list(self._streams):
            if of(stream.client.name):
                stream.sever()

    def opened(self, stream: Stream) -> None:
        self._streams[stream] = None

    def ended(self, stream: Stream) -> None:
        self._streams.pop(stream, None)


def _ways(a: str, b: str, *, one_way: bool) -> tuple[tuple[str, str], ...]:
    return ((a, b),) if one_way else ((a, b), (b, a))


class End:
    """One end of a stream, as its owner uses it."""

    __slots__ = (
        "_stream",
        "arrives_s",
        "blocked_since_s",
        "lost_after_s",
        "name",
        "on_close",
        "on_message",
        "open",
        "peer",
    )

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
        self.lost_after_s = _NEVER_S  # what would arrive later is lost
        self.blocked_since_s: float | None = None

    def send(self, message: Any) -> None:
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
        repeatable: Callable[[Any], float],
    ) -> None:
        """The server fills in the callbacks of its end when it accepts.

        repeatable(message): up to how many seconds later its sender may repeat it; 0: never.
        """
        self._network = network
        self._world = network.world
        self._repeatable = repeatable
        self._broken = False
        self.client = End(self, client, to_client, client_closed)
        self.server = End(self, server, _nothing, _nothing)
        self.client.peer = self.server
        self.server.peer = self.client
        network.opened(self)

    def send(self, sender: End, message: Any) -> None:
        if self._network.door is not None:
            message = self._network.door(sender.name, message)
            if message is None:
                return
        if self._broken:
            return  # nobody has noticed yet
        faults, world = self._network.faults, self._world
        receiver = sender.peer
        if world.chance(faults.break_stream):
            world.tell(f"stream {sender.name} -> {receiver.name} breaks")
            self.sever()
            return
        delay_s = world.between(faults.delay_min_s, faults.delay_max_s)
        if world.chance(faults.stall):
            delay_s += world.between(0.5, 15.0)
        arrives_s = max(receiver.arrives_s, world.now_s + delay_s)
        receiver.arrives_s = arrives_s
        world.at(arrives_s, self._deliver, receiver, message)
        if world.chance(faults.duplicate) and (late_max_s := self._repeatable(message)):
            late_s = 0.0 if world.chance(0.5) else world.between(0.0, late_max_s)
            world.after(arrives_s - world.now_s + late_s, self._deliver, receiver, message)

    def _deliver(self, receiver: End, message: Any) -> None:
        if not receiver.open or self._world.now_s > receiver.lost_after_s:
            return
        if self._network.blocked(receiver.peer.name, receiver.name):
            self._hold_back(receiver, message)
            return
        receiver.blocked_since_s = None
        receiver.on_message(message)

    def _hold_back(self, receiver: End, message: Any) -> None:
        now_s = self._world.now_s
        if receiver.blocked_since_s is None:
            receiver.blocked_since_s = now_s
        if now_s - receiver.blocked_since_s > STREAM_TIMEOUT_S:
            self.sever()
            return
        receiver.arrives_s = max(receiver.arrives_s, now_s + _RETRY_S)
        self._world.after(_RETRY_S, self._deliver, receiver, message)

    def sever(self) -> None:
        """No message that is sent from now on arrives, nor the tail of those under way. Both ends
        notice, each in its own time."""
        world = self._world
        self._broken = True
        for end in (self.client, self.server):
            under_way_s = max(0.0, end.arrives_s - world.now_s)
            end.lost_after_s = min(
                end.lost_after_s, world.now_s + world.between(0.0, 1.5) * under_way_s
            )
        world.after(world.between(0.0, 1.0), self._notice, self.client)
        late = world.chance(self._network.faults.late_end)
        notice_s = world.between(0.0, STREAM_TIMEOUT_S if late else 1.0)
        world.after(notice_s, self._notice, self.server)

    def closed_by(self, end: End) -> None:
        """Messages sent before still arrive; then the other end sees the close."""
        world, peer = self._world, end.peer
        if self._network.blocked(end.name, peer.name):
            delay_s = STREAM_TIMEOUT_S
        elif self._broken:
            return  # it was severed: the other end notices in its own time
        else:
            faults = self._network.faults
            delay_s = max(peer.arrives_s - world.now_s, 0.0)
            delay_s += world.between(faults.delay_min_s, faults.delay_max_s)
        world.after(delay_s, self._notice, peer)

    def _notice(self, end: End) -> None:
        if end.open:
            end.open = False
            end.on_close()
            # If only this end has noticed so far, the other one will.
            if end.peer.open:
                self.closed_by(end)
        if not self.client.open and not self.server.open:
            self._network.ended(self)


def _nothing(*_: Any) -> None:
    """The callbacks of an end whose owner has not accepted yet."""
