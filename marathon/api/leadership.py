"""The process as the HTTP threads know it: who leads, and, if it does, how to ask the core."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from mezzo.process.log import get_logger

from ..commands import AlreadyExists, Command, Locked, NotFound, NotValid, Result, Stale, TooMany
from ..effects import Publish
from ..events import ApiRequest
from ..news import AppNews
from ..state.faults import DATA_ERRORS
from .app_definition import Rules
from .errors import ApiError, Violation, locked, message, not_valid
from .event_json import event_of
from .event_stream import EventStream
from .metrics import Metrics
from .read_model import ReadModel

R = TypeVar("R", bound=Result)

_log = get_logger("marathon")

REPLY_TIMEOUT_S: Final = 10.0
_LOCKS: Final = 256
# 2.5 s in all (Marathon: 10 x 250 ms), but a leader is noticed sooner.
_UNDECIDED_TRIES: Final = 40
_UNDECIDED_PAUSE_S: Final = 0.0625


class Turns:
    """A thread that changes an app from what it read does so alone; others wait for their turn.

    An app has one of a fixed number of locks, chosen by its id, so nothing has to be forgotten.
    """

    def __init__(self, patience_s: float) -> None:
        self._locks: Final = tuple(threading.Lock() for _ in range(_LOCKS))
        self._patience_s = patience_s

    @contextmanager
    def of(self, app_ids: Iterable[str]) -> Iterator[None]:
        """Raises ApiError (503) if others take too long."""
        until_s = time.monotonic() + self._patience_s
        with ExitStack() as held:
            # In one order, so that no two wait for each other.
            for index in sorted({hash(app_id) % _LOCKS for app_id in app_ids}):
                lock = self._locks[index]
                if not lock.acquire(timeout=max(0.0, until_s - time.monotonic())):
                    text = f"Others have been changing this for {self._patience_s:g} s: retry."
                    raise message(503, text)
                held.callback(lock.release)
            yield


class Term:
    """One term of leadership, as the HTTP threads use it."""

    def __init__(
        self,
        post: Callable[[ApiRequest], None],
        held: Callable[[], bool],
        hub: EventStream,
        metrics: Metrics,
        patience_s: float = REPLY_TIMEOUT_S,
    ) -> None:
        """post: into the core's inbox. held: is leadership or the store in doubt?

        patience_s: how long a request waits for the core's answer, or for its turn.
        """
        self.model = ReadModel()
        self.hub = hub
        self.metrics = metrics
        self.turns = Turns(patience_s)
        self.framework_id: str | None = None
        self.started_s = time.monotonic()
        self._post = post
        self._held = held
        self._patience_s = patience_s
        self._ids = itertools.count(1)
        # Who waits, each for one result; None: nobody will answer any more.
        self._waiting: dict[int, SimpleQueue[Result | None]] = {}

    def ask(self, command: Command) -> Result:
        """Have the core carry out a command and wait for the outcome, which is durable then.

        Raises ApiError: 503 without an answer, or when leadership is in doubt.
        """
        if self._held():
            raise message(503, "The leadership of this Marathon is in doubt: retry in a moment.")
        request_id = next(self._ids)
        box = self._waiting[request_id] = SimpleQueue()
        self._post(ApiRequest(request_id, command))
        try:
            result = box.get(timeout=self._patience_s)
        except Empty:
            text = f"No answer within {self._patience_s:g} s; it may still be carried out."
            raise message(503, text) from None
        finally:
            self._waiting.pop(request_id, None)
        if result is None:
            raise message(503, "This Marathon leads no longer: retry.")
        return result

    def do(self, command: Command, kind: type[R]) -> R:
        """`ask`, for an answer of one kind; refusals are raised as ApiError."""
        result = self.ask(command)
        if isinstance(result, kind):
            return result
        raise refusal(result)

    def publish(self, told: Publish) -> None:
        """On the loop's thread. An event that can't be rendered is lost alone, and told."""
        event = event_of(told.news)
        try:
            self.hub.publish(event, told.at_s)
        except DATA_ERRORS as error:
            self.metrics.count("marathon.events.unrenderable.counter")
            _log.error(
                "event.unrenderable",
                event_type=event.type,
                app=told.news.app_id if isinstance(told.news, AppNews) else None,
                error=f"{type(error).__name__}: {error}",
            )

    def replied(self, request_id: int, result: Result) -> None:
        """On the loop's thread."""
        box = self._waiting.get(request_id)
        if box is not None:
            box.put(result)

    def end(self) -> None:
        """Nobody will answer any more."""
        self.hub.close()
        for box in list(self._waiting.values()):
            box.put(None)


def refusal(result: Result) -> ApiError:
    match result:
        case NotFound(text):
            return message(404, text)
        case AlreadyExists(text):
            return message(409, text)
        case TooMany(text):
            return message(403, text)
        case Locked(deployment_ids):
            return locked(deployment_ids)
        case NotValid(path, error):
            return not_valid([Violation(path, error)])
        case Stale():
            return message(409, "The app was changed by others again and again: retry.")
    raise AssertionError(f"{result!r} is no refusal")


@dataclass(slots=True)
class Node:
    """This process. The shell sets `term` when it is elected. leader: who leads, as last heard."""

    address: str  # host:port, as others reach it
    rules: Rules
    settings: dict[str, Any]  # `marathon_config` of /v2/info
    zookeeper_settings: dict[str, Any]
    http_settings: dict[str, Any]
    abdicate: Callable[[], None]
    leader: Callable[[], str | None]
    term: Term | None = None
    started_s: float = field(default_factory=time.monotonic)

    def wait_for_leader(self) -> str | None:
        """`host:port` of the leader; waits while that is undecided. None: nobody, it seems."""
        for _ in range(_UNDECIDED_TRIES):
            if self.term is not None:
                return self.address
            leader = self.leader()
            if leader is not None and leader != self.address:
                return leader
            time.sleep(_UNDECIDED_PAUSE_S)
        return None
