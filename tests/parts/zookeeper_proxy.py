"""A TCP proxy before a real ZooKeeper server that loses exactly the message a test names.

ZooKeeper's frames are a length (4 bytes) and a body. After the first frame of each side, which
opens the session, a request's body starts with its number and its operation, a reply's with the
number of its request.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from enum import Enum

CREATE = 1
MULTI = 14


class Lose(Enum):
    REQUEST = "the request never reaches the server"
    REPLY = "the request is carried out, its reply is lost"


class ZkProxy:
    """Forwards 127.0.0.1:<free port> to a server. Use as a context."""

    def __init__(self, server: str) -> None:
        host, _, port = server.partition(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host_port = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._order: tuple[Lose, int] | None = None
        self._open = True
        self._sockets: list[socket.socket] = []
        self.lost = threading.Event()

    def __enter__(self) -> ZkProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.refuse()

    def lose(self, what: Lose, operation: int) -> None:
        """Break the connection over the next request of this kind; then `lost` is set."""
        self.lost.clear()
        self._order = (what, operation)

    def refuse(self) -> None:
        """Break every connection and take no new ones until `allow`."""
        with self._lock:
            self._open = False
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _hang_up(each)

    def allow(self) -> None:
        with self._lock:
            self._open = True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        with self._lock:
            if not self._open:
                _hang_up(client)
                return
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
        link = _Link(self, client, server)
        threading.Thread(target=link.pump_requests, daemon=True).start()
        threading.Thread(target=link.pump_replies, daemon=True).start()

    def take_order(self, operation: int) -> Lose | None:
        """What to lose of a request with this operation: once."""
        with self._lock:
            if self._order is None or self._order[1] != operation:
                return None
            what, self._order = self._order[0], None
            return what


class _Link:
    """One connection through the proxy, pumped by one thread each way."""

    def __init__(self, proxy: ZkProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._doomed: int | None = None  # the number of the request whose reply is to be lost

    def pump_requests(self) -> None:
        try:
            self._server.sendall(_frame(self._client))
            while frame := _frame(self._client):
                number, operation = struct.unpack_from("!ii", frame, 4)
                what = self._proxy.take_order(operation)
                if what is Lose.REQUEST:
                    self._proxy.lost.set()
                    break
                if what is Lose.REPLY:
                    self._doomed = number
                self._server.sendall(frame)
        except OSError:
            pass
        finally:
            self._close()

    def pump_replies(self) -> None:
        try:
            self._client.sendall(_frame(self._server))
            while frame := _frame(self._server):
                (number,) = struct.unpack_from("!i", frame, 4)
                if number == self._doomed:
                    self._proxy.lost.set()
                    break
                self._client.sendall(frame)
        except OSError:
            pass
        finally:
            self._close()

    def _close(self) -> None:
        _hang_up(self._client)
        _hang_up(self._server)


def _frame(source: socket.socket) -> bytes:
    head = _exactly(source, 4)
    return head + _exactly(source, struct.unpack("!i", head)[0])


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = source.recv(count - len(data))
        if not chunk:
            raise ConnectionError("hung up")
        data += chunk
    return data


def _hang_up(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
