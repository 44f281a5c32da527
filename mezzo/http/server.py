"""One HTTP port: all its connections on an event loop in a thread of its own, answers in workers.

A connection costs a few kilobytes and no thread: slow, idle and streaming clients cost nobody else
an answer. The loop parses and judges; a worker sees a request only once it is there as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from functools import partial
from typing import Any, Final

from mezzo.errors import BadConfig
from mezzo.process.log import get_logger

from . import limits
from .connection import EVICTABLE, Connection, State
from .request import Head
from .web_guard import Hosts
from .workers import Workers
from .wsgi import Answer, Peer, Piece, Rest, WsgiApp, ask

_BACKLOG: Final = 1024
# Answers to "are you alive?" have workers of their own: they come also when all others are busy.
_URGENT_THREADS: Final = 2
# Evicted at once when a place is needed: looking for them costs more than the place.
_EVICTED_SHARE: Final = 0.02


class HttpServer:
    """Serves `app` from `start` to `stop`."""

    def __init__(
        self,
        app: WsgiApp,
        *,
        ip: str,
        port: int,
        threads: int,
        hosts: Hosts,
        urgent: Iterable[str] = (),
        body_max_bytes: int = limits.BODY_MAX_BYTES,
    ) -> None:
        """Port 0 picks a free one. Nothing is bound before `start`.

        threads: answers at the same time, at most; threads start as they are needed. hosts: whom a
        request may be meant for. urgent: paths that are answered also when all threads are busy.
        """
        self._app = app
        self._address = (ip, port)
        self.hosts = hosts
        self.body_max_bytes = body_max_bytes
        self._urgent = frozenset(urgent)
        self._workers = Workers("http", threads, limits.QUEUE_MAX)
        self._urgent_workers = Workers("http urgent", _URGENT_THREADS, limits.QUEUE_MAX)
        self._connections: dict[Connection, None] = {}
        self._most = connections_max()
        self._streams = 0
        self._held_bytes = 0
        self._spared: Connection | None = None  # may hold what it holds: see `_relieve`
        self._date = (0, "")
        self._stopping = False
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: deque[Callable[[], None]] = deque()
        self._awake = False
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port that is bound, once started."""
        return self._address[1]

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def held_bytes(self) -> int:
        """Bytes of bodies that have come and of answers that were not read yet."""
        return self._held_bytes

    def start(self) -> None:
        """Bind and serve. Raises BadConfig if the address can't be had."""
        ip, port = self._address
        try:
            self._socket = _listening(ip, port)
        except OSError as error:
            raise BadConfig(
                f"cannot listen on {ip}:{port} ({error.strerror or error}): "
                "choose another address or port, or stop what uses it"
            ) from error
        self._address = ip, self._socket.getsockname()[1]
        self._loop = _new_loop()
        self._thread.start()

    def stop(self) -> None:
        """Close the port. Answers that are under way may still get out, streams are cut off."""
        if self._loop is not None and self._thread.is_alive():
            self._post(partial(setattr, self, "_stopping", True))
            self._post(self._loop.stop)
            self._thread.join()
        self._workers.stop()
        self._urgent_workers.stop()

    # ---- the thread of the loop

    def _serve(self) -> None:
        loop, sock = self._loop, self._socket
        assert loop is not None
        assert sock is not None
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(_log_bug)
        listening = loop.run_until_complete(
            loop.create_server(lambda: Connection(self), sock=sock, backlog=_BACKLOG)
        )
        loop.call_later(limits.SWEEP_S, self._sweep)
        try:
            while not self._stopping:
                loop.run_forever()
            listening.close()
            loop.run_until_complete(self._finish())
        finally:
            loop.close()

    async def _finish(self) -> None:
        for connection in tuple(self._connections):
            if connection.state in (State.READING, State.STREAMING, State.CLOSING):
                connection.evict()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.STOP_S):
                while self._connections:
                    await asyncio.sleep(0.02)
        for connection in tuple(self._connections):
            connection.evict()
        await asyncio.sleep(0)

    def _sweep(self) -> None:
        assert self._loop is not None
        now_s = self.now_s()
        for connection in tuple(self._connections):
            if connection.deadline_s <= now_s:
                connection.expire(now_s)
            elif connection.state is State.STREAMING:
                connection.beat(now_s)
        self._loop.call_later(limits.SWEEP_S, self._sweep)

    def _post(self, action: Callable[[], None]) -> None:
        """Have the loop's thread do it. From any thread; many at a time wake it once."""
        self._inbox.append(action)
        if not self._awake:
            self._awake = True
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):  # it is closed: nobody waits for it
                self._loop.call_soon_threadsafe(self._do_posted)

    def _do_posted(self) -> None:
        self._awake = False  # before looking: what comes from now on wakes it again
        while self._inbox:
            with _contained("connection.failed"):
                self._inbox.popleft()()

    # ---- for connections

    def now_s(self) -> float:
        return time.monotonic()

    def date(self) -> str:
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]

    def opened(self, connection: Connection) -> None:
        if len(self._connections) >= self._most:
            self._make_room()
        if len(self._connections) >= self._most:
            connection.evict()
        self._connections[connection] = None

    def closed(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def held(self, change_bytes: int) -> None:
        self._held_bytes += change_bytes
        if change_bytes > 0 and self.crowded():
            self._relieve()

    def crowded(self) -> bool:
        """Do clients hold all that they may, and can't be told to let go?"""
        return self._bounded_bytes() > limits.HELD_MAX_BYTES

    def _bounded_bytes(self) -> int:
        """The bytes held, but for the answer that is spared."""
        spared = self._spared
        return self._held_bytes - (0 if spared is None else spared.held_bytes)

    def answer(
        self, head: Head, body: bytes, peer: Peer, done: Callable[[Answer], None], *, hasty: bool
    ) -> bool:
        """False: too many wait already. done: on the loop. hasty: of a client that does not wait
        for answers. However many there are, they come after those that do."""

        def job() -> None:
            answer = ask(self._app, head, body, peer)
            self._post(lambda: done(answer))

        workers = self._urgent_workers if head.path in self._urgent else self._workers
        return workers.submit(job, second=hasty)

    def go_on(self, rest: Rest, done: Callable[[Piece | None], None]) -> None:
        """done: on the loop, with None if the application failed."""

        def job() -> None:
            piece: Piece | None = None
            with _contained("answer.failed"):
                piece = rest.piece()
            self._post(lambda: done(piece))

        self._workers.submit(job, anyway=True)

    def let_go(self, job: Callable[[], None]) -> None:
        """Do a job that an application wants done at the end of an answer."""

        def careful() -> None:
            with _contained("answer.failed"):
                job()

        self._workers.submit(careful, anyway=True)

    def may_stream(self) -> bool:
        streams = sum(each.state is State.STREAMING for each in self._connections)
        return streams < self._most * limits.STREAMS_SHARE

    def waker(self, wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` for any thread."""
        return partial(self._post, wake)

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_later(delay_s, action)

    # ---- when there is too much

    def _make_room(self) -> None:
        """Let go of the clients that have kept a place for longest without asking for anything, of
        the address that has most of them. Those that wait for us (an answer, a stream) stay."""
        waiting = [each for each in self._connections if each.state in EVICTABLE]
        if not waiting:
            return
        ((heaviest, _),) = Counter(each.peer.ip for each in waiting).most_common(1)
        theirs = sorted(
            (each for each in waiting if each.peer.ip == heaviest), key=lambda each: each.since_s
        )
        for connection in theirs[: max(1, int(self._most * _EVICTED_SHARE))]:
            self._connections.pop(connection)
            connection.evict()

    def _relieve(self) -> None:
        """Let go of the clients that hold most, until it is enough. But for one: the state of a
        large cluster may be more than all of them may hold, and has to get out as well. It is the
        latest such answer: those who read an earlier one have had longer."""
        waiting = [each for each in self._connections if each.state in EVICTABLE]
        large = [
            each
            for each in waiting
            if each.state is State.WRITING and each.held_bytes > limits.HELD_MAX_BYTES // 2
        ]
        self._spared = max(large, key=lambda each: each.since_s, default=None)
        for connection in sorted(waiting, key=lambda each: -each.held_bytes):
            if self._bounded_bytes() <= limits.HELD_MAX_BYTES * 3 // 4:
                return
            if connection is not self._spared:
                connection.evict()


def _log_bug(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log a bug of one connection; the others go on."""
    error = context.get("exception")
    get_logger("http").error("connection.failed", error=context["message"], exc_info=error)


def connections_max() -> int:
    """How many connections at most: each is an open file, and the process needs others."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, min(limits.CONNECTIONS_MAX, files // 2))


def raise_open_files() -> None:
    """Allow as many open files as the system does. Not in a process that starts other programs:
    the limit is theirs, too, and some still count their files with select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _listening(ip: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        ip, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and ip == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # "all addresses"
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def _contained(event: str) -> Iterator[None]:
    """A bug of one connection, or of one answer, is logged and ends nothing else."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the bug of one is nobody else's
        get_logger("http").error(event, exc_info=error)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
