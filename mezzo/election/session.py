"""One ZooKeeper session and the one thread that makes blocking calls on it.

kazoo reports connection states and watches on threads of its own, which must not wait. Here they
only wake the worker, and the worker looks at what is there: no event has to carry the truth.
"""

from __future__ import annotations

import queue
import threading
from enum import Enum, auto
from typing import Final, Protocol, TypeVar

from kazoo.exceptions import ConnectionLoss, KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.states import KazooState

from ..log import get_logger
from ..zk import LOST_CONTACT, close_client, make_client
from ..zk_address import ZkAddress

T = TypeVar("T")

_RETRY_S: Final = 1.0  # after a look that failed without the connection being lost
_GLANCE_S: Final = 0.25  # how long a call may hide from the worker that the contact is lost

log = get_logger("zookeeper")


class Looker(Protocol):
    """What a session works for. It is called by the worker only."""

    def look(self) -> None:
        """Read what is there, set watches, act. Called again if it raises."""
        ...

    def contact_lost(self, *, session_over: bool) -> None:
        """No server answers; `session_over`: our nodes are gone, a new session will follow."""
        ...


class _Wake(Enum):
    CONNECTED = auto()
    SUSPENDED = auto()
    LOST = auto()
    LOOK = auto()
    STOP = auto()


_STATES: Final = {
    KazooState.CONNECTED: _Wake.CONNECTED,
    KazooState.SUSPENDED: _Wake.SUSPENDED,
    KazooState.LOST: _Wake.LOST,
}


class Session:
    """Calls `looker.look` whenever contact is made and after every `wake`."""

    def __init__(self, address: ZkAddress, timeout_s: float, looker: Looker) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._looker = looker
        self._inbox: queue.SimpleQueue[_Wake] = queue.SimpleQueue()
        self.client = make_client(address, timeout_s, public=True)
        self.client.add_listener(self._on_state)
        self._thread = threading.Thread(target=self._work, name=f"zk{address.path}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.client.start_async()

    def stop(self) -> None:
        """End the session, which removes its nodes. Nothing is called any more on return."""
        if self._thread.ident is not None:
            self._inbox.put(_Wake.STOP)
            self._thread.join()
        close_client(self.client)

    def wake(self, _event: object = None) -> None:
        """Look again. Has the shape of a kazoo watch, and may be called from any thread."""
        self._inbox.put(_Wake.LOOK)

    def session_id(self) -> int:
        """Of the live session; raises ConnectionLoss while there is none."""
        identity = self.client.client_id
        if identity is None:
            raise ConnectionLoss
        return identity[0]

    def answer(self, asked: IAsyncResult[T]) -> T:
        """Wait for a reply. Raises one of LOST_CONTACT soon after the contact is lost."""
        # kazoo fails what is on its way when a connection breaks, but keeps what is asked a
        # moment later for the next connection, however long that takes.
        for _ in range(1 + int(self._timeout_s / _GLANCE_S)):
            if asked.wait(_GLANCE_S):
                return asked.get()
            if not self.client.connected:
                raise ConnectionLoss
        raise KazooTimeoutError

    def _on_state(self, state: str) -> None:
        self._inbox.put(_STATES[state])

    def _work(self) -> None:
        retry_s: float | None = None
        while True:
            try:
                wake = self._inbox.get(timeout=retry_s)
            except queue.Empty:
                wake = _Wake.LOOK
            retry_s = None
            match wake:
                case _Wake.STOP:
                    return
                case _Wake.SUSPENDED:
                    log.warning("zookeeper.contact_lost", address=str(self._address))
                    self._looker.contact_lost(session_over=False)
                case _Wake.LOST:
                    log.warning("zookeeper.session_lost", address=str(self._address))
                    self._looker.contact_lost(session_over=True)
                case _Wake.CONNECTED:
                    log.info("zookeeper.connected", address=str(self._address))
                    self.wake()
                case _Wake.LOOK if self.client.connected:
                    retry_s = None if self._look() else _RETRY_S

    def _look(self) -> bool:
        try:
            self._looker.look()
        except LOST_CONTACT:
            return False
        except KazooException as e:
            log.warning("zookeeper.request_refused", address=str(self._address), error=repr(e))
            return False
        return True
