"""One ZooKeeper session and the one thread that makes blocking calls on it.

kazoo reports connection states and watches on threads of its own, which must not wait. Here they
only wake the worker, and the worker looks at what is there: no event has to carry the truth.
"""

from __future__ import annotations

import queue
import threading
import time
from enum import Enum, auto
from typing import Final, Protocol, TypeVar

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.states import KazooState

from ..process.log import get_logger
from ..zk.address import ZkAddress
from ..zk.client import LOST_CONTACT, close_client, drop_client, make_client

T = TypeVar("T")

_RETRY_S: Final = 1.0  # after a look that failed without the connection being lost
_GLANCE_S: Final = 0.25  # how long a call may hide from the worker that the contact is lost
_PATIENCE_MAX_S: Final = 600.0  # with a client that makes no contact, before the next is made
_STOP_WITHIN_S: Final = 2.0

log = get_logger("zookeeper")


class Looker(Protocol):
    """The owner of a session, which is called by the worker only."""

    def look(self) -> None:
        """Read what is there, set watches, act. It is called again if it raises."""
        ...

    def contact_lost(self, *, session_over: bool) -> None:
        """No server answers; `session_over`: our nodes are gone, or must be taken for gone since
        that has lasted for longer than a session does. A new session will follow."""
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
    """Calls `looker.look` whenever contact is made and after every `wake`.

    Doubt ends: a session without contact for as long as it lasts is given up, client and all (see
    `drop_client` for why), and another is begun.
    """

    def __init__(self, address: ZkAddress, timeout_s: float, looker: Looker) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._looker = looker
        self._inbox: queue.SimpleQueue[_Wake] = queue.SimpleQueue()
        self._stopping = False
        self._patience_s = timeout_s
        self._alone_since_s: float | None = None  # by a clock that goes on while we sleep
        self.client = self._make_client()
        self._thread = threading.Thread(target=self._work, name=f"zk{address.path}", daemon=True)

    def _make_client(self) -> KazooClient:
        client = make_client(self._address, self._timeout_s, public=True)

        def on_state(state: str) -> None:
            if client is self.client:  # else it was given up
                self._inbox.put(_STATES[state])

        client.add_listener(on_state)
        return client

    def start(self) -> None:
        self._alone_since_s = _now_s()
        self._thread.start()
        self.client.start_async()

    def stop(self) -> None:
        """End the session, which removes its nodes. Nothing is called any more on return."""
        self._stopping = True
        if self._thread.ident is not None:
            self._inbox.put(_Wake.STOP)
            self._thread.join(_STOP_WITHIN_S)
        close_client(self.client)

    def wake(self, _event: object = None) -> None:
        """Look again. Has the shape of a kazoo watch, and may be called from any thread."""
        self._inbox.put(_Wake.LOOK)

    def session_id(self) -> int:
        """The live session's id; raises ConnectionLoss while there is none."""
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
            if self._stopping or not self.client.connected:
                raise ConnectionLoss
        raise KazooTimeoutError

    def _work(self) -> None:
        again_s: float | None = None  # when to look again, without being asked to
        while True:
            try:
                wake = self._inbox.get(timeout=self._wait_s(again_s))
            except queue.Empty:
                wake = _Wake.LOOK
            if wake is _Wake.STOP:
                return
            again_s = None
            try:
                again_s = self._do(wake)
            except Exception as error:
                log.error("zookeeper.worker_failed", address=str(self._address), exc_info=error)
                again_s = _RETRY_S

    def _wait_s(self, again_s: float | None) -> float | None:
        """When to look again: while we are alone each second, for the clock may jump in a sleep."""
        return again_s if self._alone_since_s is None else min(again_s or _RETRY_S, _RETRY_S)

    def _do(self, wake: _Wake) -> float | None:
        """Returns after how long to look again, if so."""
        match wake:
            case _Wake.SUSPENDED:
                log.warning("zookeeper.contact_lost", address=str(self._address))
                self._alone_since_s = self._alone_since_s or _now_s()
                self._looker.contact_lost(session_over=False)
            case _Wake.LOST:
                log.warning("zookeeper.session_lost", address=str(self._address))
                self._alone_since_s = self._alone_since_s or _now_s()
                self._looker.contact_lost(session_over=True)
            case _Wake.CONNECTED:
                log.info("zookeeper.connected", address=str(self._address))
                self._alone_since_s = None
                self._patience_s = self._timeout_s
                self.wake()
            case _Wake.LOOK if self.client.connected:
                return None if self._look() else _RETRY_S
            case _:
                self._give_up_in_time()
        return None

    def _give_up_in_time(self) -> None:
        if self._alone_since_s is None or _now_s() - self._alone_since_s < self._patience_s:
            return
        log.warning(
            "zookeeper.session_given_up", address=str(self._address), after_s=self._patience_s
        )
        self._alone_since_s = _now_s()
        self._patience_s = min(2 * self._patience_s, _PATIENCE_MAX_S)
        old, self.client = self.client, self._make_client()
        drop_client(old)
        self.client.start_async()
        self._looker.contact_lost(session_over=True)

    def _look(self) -> bool:
        try:
            self._looker.look()
        except LOST_CONTACT:
            return False
        except KazooException as e:
            log.warning("zookeeper.request_refused", address=str(self._address), error=repr(e))
            return False
        return True


def _now_s() -> float:
    """A session ends by the servers' clocks, which go on while this machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
