"""The connection to a Docker engine: made when it is needed, and waited for when it is away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import NoneType
from typing import Any, Final, TypeVar

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, StreamParseError
from docker.transport.unixconn import UnixHTTPAdapter

from mezzo.process.log import get_logger

from .errors import EngineClosed, EngineUnanswered
from .socket import EngineSocket

T = TypeVar("T")

RETRY_MIN_S: Final = 0.2
RETRY_MAX_S: Final = 5.0
# A busy engine is slow to start containers; a call that gets no answer is repeated after that.
ANSWER_WITHIN_S: Final = 120
# Of a stream that is on its way: an engine tells all the time how far a pull has come.
SILENCE_MAX_S: Final = 600.0
CONNECTIONS_KEPT: Final = 32
# What requests does with a request, beside its plain body, that `EngineSocket` does not.
_NOT_SHORT: Final = ("stream", "json", "files", "auth", "cookies", "hooks")

# These say that the engine is away, not that it refuses. Streams raise them in their middle, too.
AWAY: Final = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError)
# The SDK and we raise these of an answer that has another shape: no engine answers there.
GARBLED: Final = (LookupError, TypeError, ValueError, StreamParseError)


class _Client(docker.APIClient):
    """The SDK waits for ever for the next word of a pull, and of events: this one does not."""

    silence_s = SILENCE_MAX_S
    socket: EngineSocket | None = None  # for what is short, if the engine has one

    def request(self, *args: Any, **asked: Any) -> Any:  # noqa: ANN401 - as the SDK calls it
        if asked.get("timeout") is None:
            asked["timeout"] = self.silence_s
        data = asked.get("data")
        more = any(asked.get(name) for name in _NOT_SHORT)
        if self.socket is None or more or not isinstance(data, (str, bytes, NoneType)):
            return super().request(*args, **asked)
        method, url = args
        return self.socket.request(
            method,
            url.removeprefix(self.base_url),
            data=data,
            params=asked.get("params"),
            headers=asked.get("headers"),
            timeout_s=asked["timeout"],
        )

    def close(self) -> None:
        super().close()
        if self.socket is not None:
            self.socket.close()


def connect(url: str, silence_s: float = SILENCE_MAX_S) -> docker.APIClient:
    """Raises DockerException if there is no engine."""
    client = _Client(url, version="auto", timeout=ANSWER_WITHIN_S, max_pool_size=CONNECTIONS_KEPT)
    client.silence_s = silence_s
    adapter = client.get_adapter(client.base_url)
    if isinstance(adapter, UnixHTTPAdapter):
        client.trust_env = False  # a socket has no proxy, and no password in ~/.netrc
        client.socket = EngineSocket(adapter.socket_path, CONNECTIONS_KEPT)
    return client


class Engine:
    """Blocking calls, from any thread. Logs when the engine goes away and when it is back."""

    def __init__(
        self,
        url: str,
        *,
        connect: Callable[[str], docker.APIClient] = connect,
        retry_min_s: float = RETRY_MIN_S,
    ) -> None:
        self._url = url
        self._connect = connect
        self._retry_min_s = retry_min_s
        self._lock = threading.Lock()
        self._client: docker.APIClient | None = None
        self._closed = threading.Event()
        self._away = False
        self._log = get_logger("agent")

    def call(self, ask: Callable[[docker.APIClient], T]) -> T:
        """Ask until the engine answers: so `ask` must be harmless when it is repeated.

        An OSError of `ask` is taken for the engine's absence: so it must touch no files.

        Raises docker.errors.APIError as the engine's refusal, another DockerException as that of
        its client (a name that is none, a store of credentials that fails), and EngineClosed when
        the agent ends.
        """
        wait_s = self._retry_min_s
        while not self._closed.is_set():
            try:
                answer = ask(self._reached())
            except DockerException:
                self._note_back()
                raise
            except (*AWAY, *GARBLED) as error:
                self._note_away(error)
                self._closed.wait(wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
            else:
                self._note_back()
                return answer
        raise EngineClosed

    def ask(self, ask: Callable[[docker.APIClient], T]) -> T:
        """Ask once for something that must not be done twice.

        Raises EngineUnanswered if that may have been done or not; else as `call`.
        """
        if self._closed.is_set():
            raise EngineClosed
        try:
            return ask(self._reached())
        except DockerException:
            raise
        except (*AWAY, *GARBLED) as error:
            self._note_away(error)
            raise EngineUnanswered(str(error)) from error

    def call_once(self, ask: Callable[[docker.APIClient], T]) -> T:
        """Ask without waiting for an engine that is away.

        Raises docker.errors.DockerException, OSError (requests' errors are such, too).
        """
        try:
            return ask(self._connected())
        except GARBLED as error:
            raise OSError(f"the engine's answer is unreadable: {error!r}") from error

    def pause(self, seconds: float) -> None:
        """Between two attempts at a stream. Raises EngineClosed when the agent ends."""
        if self._closed.wait(seconds):
            raise EngineClosed

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            if self._client is not None:
                self._client.close()

    def _reached(self) -> docker.APIClient:
        """As `_connected`. Raises OSError if there is no engine."""
        try:
            return self._connected()
        except DockerException as error:
            raise OSError(str(error)) from error

    def _connected(self) -> docker.APIClient:
        with self._lock:
            if self._client is None:  # raises DockerException if there is no engine
                self._client = self._connect(self._url)
            return self._client

    def _note_away(self, error: Exception) -> None:
        if not self._away and not self._closed.is_set():
            self._away = True
            self._log.warning("docker.unavailable", engine=self._url, error=str(error))

    def _note_back(self) -> None:
        if self._away:
            self._away = False
            self._log.info("docker.available", engine=self._url)


def refusal_text(error: DockerException) -> str:
    """The engine's own words, or those of its client, in one line."""
    own_words = error.explanation if isinstance(error, APIError) else None
    return str(own_words or error).strip()
