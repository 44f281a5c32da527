"""JSON over HTTP, as a client: every way to fail is one clear sentence."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from mezzo.json_types import Json

from ..words.errors import Failed, HttpError, Unreachable

T = TypeVar("T")

_TIMEOUT_S: Final = 30.0
_TEXT_SHOWN_CHARS: Final = 1000  # of what a server says that is no JSON
# A cluster is inside the network: no proxy knows the way to it.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# Errors when nobody is there, no such host is, or it does not speak HTTP.
_NO_ANSWER: Final = (OSError, ValueError, http.client.HTTPException)


class Server:
    """One server, named for messages: `Server("Marathon", url, option="--marathon")`."""

    def __init__(self, what: str, url: str, *, option: str | None = None) -> None:
        """`option` says where the server is; None: the cluster does."""
        self.what = what
        self.url = url
        self._option = option

    def get(self, path: str, kind: type[T]) -> T:
        return self.call("GET", path, kind)

    def call(self, method: str, path: str, kind: type[T], body: object = None) -> T:
        """The answer's JSON, of a `kind` of answers.py. Raises HttpError when refused,
        Unreachable when nobody answers, or somebody who is not meant."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
                return self._checked(answer.read() or b"{}", kind, f"{method} {path}")
        except urllib.error.HTTPError as error:
            raise self._refused(error) from None
        except _NO_ANSWER as error:
            raise self._unreachable(error) from None

    def _checked(self, data: bytes, kind: type[T], asked: str) -> T:
        """The answer as it was sent, keys that nobody here reads included."""
        try:
            found: T = msgspec.json.decode(data)
            msgspec.convert(found, kind)
        except msgspec.ValidationError as error:
            why = f"it answers {asked.partition('?')[0]} with something else: {error}"
        except (msgspec.DecodeError, RecursionError):
            why = "it sent no JSON"
        else:
            return found
        raise Unreachable(f"what answers at {self.url} is not {self.what}: {why}")

    def stream(self, path: str) -> Iterator[bytes]:
        """The bytes of an answer, as they come, for as long as they do."""
        request = urllib.request.Request(f"{self.url}{path}")
        try:
            with _OPENER.open(request) as answer:
                while piece := answer.read1(65536):
                    yield piece
        except urllib.error.HTTPError as error:
            raise self._refused(error) from None
        except _NO_ANSWER as error:
            raise self._unreachable(error) from None

    def _refused(self, error: urllib.error.HTTPError) -> Failed:
        try:
            text = error.read().decode(errors="replace")
        except _NO_ANSWER:
            text = ""
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = {"message": text.strip()[:_TEXT_SHOWN_CHARS] or error.reason}
        if not isinstance(body, dict):
            body = {"message": str(body)[:_TEXT_SHOWN_CHARS]}
        message = f"{self.what} at {self.url} refused: {describe(body)}"
        if error.code in (502, 503, 504):  # the server is there, but the one it speaks for is not
            return Unreachable(message)
        return HttpError(message, error.code, body)

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = getattr(error, "reason", None) or error
        why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        text = f"{self.what} at {self.url} does not answer ({why})"
        if self._option is not None:
            variable = f"MEZZO_{self._option.removeprefix('--').upper()}"
            text += (
                f": start a cluster with `mezzo up`, or say where it is with {self._option} or "
                f"{variable}"
            )
        return Unreachable(text)


def gateway_server(address: str) -> Server:
    return Server("the gateway", address, option="--gateway")


def describe(body: Json) -> str:
    """Marathon's error bodies in a line: its message, then every detail with its place."""
    parts = [str(body.get("message", body))]
    details = body.get("details")
    if isinstance(details, str):
        parts.append(details)
    elif isinstance(details, list):
        for detail in details:
            if isinstance(detail, dict) and isinstance(detail.get("errors", []), list):
                errors = ", ".join(map(str, detail.get("errors", [])))
                parts.append(f"{detail.get('path', '/')} {errors}")
            else:
                parts.append(str(detail))
    return "; ".join(parts)
