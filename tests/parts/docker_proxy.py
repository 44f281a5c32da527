"""Stands between an agent and a real Docker engine, on a socket of its own, and spoils answers.

Each connection carries one request. A fault is bound to a call by its method and a part of its path
and happens once: `lose` has the engine do it and closes, `cut` gives half of the answer, `delay`
holds it back, `refuse` closes before the engine hears of it, `garble` answers something else.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

DELAY_S = 1.0
_GARBAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[1,2,3,4]"
)


@dataclass
class Proxy:
    """Use it as a context manager. `happened`: the faults, as they came."""

    engine: Path
    path: Path
    faults: list[tuple[str, str, str]] = field(default_factory=list)  # fault, method, part of path
    happened: list[tuple[str, str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Proxy:
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            request = _whole_request(client)
            if not request:
                return
            line = request.partition(b"\r\n")[0].decode()
            fault = self._fault_of(line)
            if fault == "refuse":
                return
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(str(self.engine))
                engine.sendall(request)
                if fault is None:
                    _relay(engine, client)
                    return
                answer = _read_all(engine)
            if fault == "cut":
                client.sendall(answer[: len(answer) // 2])
            elif fault == "garble":
                client.sendall(_GARBAGE)
            elif fault == "delay":
                time.sleep(DELAY_S)
                client.sendall(answer)

    def _fault_of(self, line: str) -> str | None:
        method, path, _ = line.split(" ", 2)
        with self._lock:
            self.asked.append(f"{method} {path}")
            for each in self.faults:
                if each[1] == method and each[2] in path:
                    self.faults.remove(each)
                    self.happened.append(each)
                    return each[0]
        return None


def _whole_request(client: socket.socket) -> bytes:
    """With `Connection: close`, so that the next one comes by another connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [each for each in head.split(b"\r\n") if not each.lower().startswith(b"connection:")]
    length = 0
    for each in lines:
        if each.lower().startswith(b"content-length:"):
            length = int(each.partition(b":")[2])
    while len(body) < length:
        body += client.recv(65536)
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


def _relay(engine: socket.socket, client: socket.socket) -> None:
    while part := engine.recv(65536):
        client.sendall(part)


def _read_all(engine: socket.socket) -> bytes:
    data = b""
    while part := engine.recv(65536):
        data += part
    return data
