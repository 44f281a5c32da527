"""A client's link to the leading master in virtual time: what `mezzo.wire.link` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from mezzo.ids import ConnId

from ..world.network import Network, Stream

_RETRY_MIN_S: Final = 0.1
_RETRY_MAX_S: Final = 3.0


class Server(Protocol):
    def accept(self, stream: Stream) -> bool:
        """Take the server's end; False if it leads not or is down."""
        ...


class Client:
    """One link. Callbacks get the connection's id, as in production."""

    def __init__(
        self,
        network: Network,
        name: str,
        find: Callable[[str], Server | None],
        *,
        on_up: Callable[[ConnId], None],
        on_message: Callable[[ConnId, Any], None],
        on_down: Callable[[ConnId], None],
        repeatable: Callable[[Any], float],
    ) -> None:
        self._network = network
        self._world = network.world
        self._name = name
        self._find = find
        self._on_up = on_up
        self._on_message = on_message
        self._on_down = on_down
        self._repeatable = repeatable
        self._leader: str | None = None
        self._running = False
        self._attempt = 0  # counts attempts: an older one that comes late is void
        self._retry_s = _RETRY_MIN_S
        self._conns = 0
        self._stream: Stream | None = None

    def start(self) -> None:
        self._running = True
        self._try(0.0)

    def stop(self) -> None:
        """The client's process is gone: the kernel closes the stream."""
        self._running = False
        self._attempt += 1
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.client.close()

    def leader_is(self, name: str | None) -> None:
        if name == self._leader:
            return
        self._leader = name
        self._retry_s = _RETRY_MIN_S
        if name is not None and self._running:
            self.close()
            self._try(self._world.between(0.0, 0.05))

    def send(self, conn: ConnId, message: Any) -> None:
        if self._stream is not None and conn == self._conns:
            self._stream.client.send(message)

    def up(self, conn: ConnId) -> bool:
        """Is this the connection that stands?"""
        return self._stream is not None and conn == self._conns

    def close(self) -> None:
        """End this connection; another one follows."""
        stream = self._stream
        if stream is not None:
            stream.client.close()
            self._down(stream)

    def _try(self, delay_s: float) -> None:
        self._attempt += 1
        self._world.after(delay_s, self._connect, self._attempt)

    def _connect(self, attempt: int) -> None:
        if attempt != self._attempt or not self._running or self._stream is not None:
            return
        leader = self._leader
        reachable = leader is not None and not (
            self._network.blocked(self._name, leader) or self._network.blocked(leader, self._name)
        )
        server = self._find(leader) if leader is not None and reachable else None
        if leader is None or server is None:
            self._again()
            return
        self._conns += 1
        conn = ConnId(self._conns)
        stream = Stream(
            self._network,
            self._name,
            leader,
            to_client=lambda message: self._on_message(conn, message),
            client_closed=lambda: self._down(stream),
            repeatable=self._repeatable,
        )
        if not server.accept(stream):
            self._network.ended(stream)
            self._again()
            return
        self._stream = stream
        self._on_up(conn)

    def _down(self, stream: Stream) -> None:
        if stream is self._stream:
            self._stream = None
            self._on_down(ConnId(self._conns))
            self._again()

    def _again(self) -> None:
        if self._running:
            self._try(self._retry_s * self._world.between(0.5, 1.0))
            self._retry_s = min(self._retry_s * 2, _RETRY_MAX_S)
