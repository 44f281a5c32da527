"""A WSGI application on cheroot, in threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from cheroot import wsgi

from mezzo.errors import MezzoError
from mezzo.log import get_logger

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_BACKLOG: Final = 128
_KEEP_ALIVE_S: Final = 10


class HttpServer:
    """Serves `app` from `start` to `stop`.

    `threads` bounds the requests that are answered at the same time: cheroot's pool does not grow,
    and every open stream holds a thread. What exceeds it waits for its turn.
    """

    def __init__(self, app: WsgiApp, *, ip: str, port: int, threads: int) -> None:
        """Port 0 picks a free one. Nothing is bound before `start`."""
        self._ip = ip
        self._server = wsgi.Server(
            (ip, port),
            app,
            numthreads=threads,
            request_queue_size=_BACKLOG,
            timeout=_KEEP_ALIVE_S,
            shutdown_timeout=1,
        )
        self._server.error_log = _log_error  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port that is bound, once started."""
        return int(self._server.bind_addr[1])

    def start(self) -> None:
        """Bind and serve. Raises MezzoError if the address can't be had."""
        try:
            self._server.prepare()
        except OSError as error:
            ip, port = self._server.bind_addr
            raise MezzoError(
                f"cannot listen on {ip}:{port} ({error.strerror or error}): "
                "choose another address or port, or stop what uses it"
            ) from error
        self._thread.start()

    def stop(self) -> None:
        """Close the port; open streams are cut off."""
        self._server.stop()
        if self._thread.ident is not None:
            self._thread.join()


def _log_error(msg: str = "", level: int = 20, traceback: bool = False) -> None:
    del traceback  # a client that went away is no bug; the application logs its own errors
    get_logger("http").debug("http.problem", message=msg, level=level)
