"""A whole cluster on this machine, as `mezzo up` starts it: the fixture `cluster`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.parts.marathon_cluster import wait_for
from tests.parts.ports import free_ports

WITHIN_S: Final = 30.0


@dataclass(frozen=True)
class Port:
    """One daemon: what an honest client asks it, and what it is attacked with."""

    name: str
    number: int
    honest: str

    def raw(self, data: bytes) -> bytes:
        """All that comes back, until the other side has closed. Our side closes after `data`."""
        got = b""
        with (
            socket.create_connection(("127.0.0.1", self.number), timeout=WITHIN_S) as client,
            contextlib.suppress(ConnectionError),  # it may have closed before it has read all
        ):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(65536):
                got += part
        return got

    def ask(
        self,
        method: str,
        target: str,
        fields: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.number, timeout=WITHIN_S)
        with contextlib.closing(connection):
            connection.putrequest(method, target, skip_host="Host" in (fields or {}))
            for name, value in (fields or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def is_well(self) -> bool:
        return self.ask("GET", self.honest)[0] == 200


@dataclass(frozen=True)
class Cluster:
    ports: tuple[Port, ...]

    @property
    def marathon(self) -> Port:
        return self.ports[0]

    @property
    def gateway(self) -> Port:
        return self.ports[1]

    def app_ids(self) -> list[str]:
        _, _, body = self.marathon.ask("GET", "/v2/apps")
        return [app["id"] for app in json.loads(body)["apps"]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Who finds one of its ports taken by a stranger begins anew with others."""
    for tries_left in (2, 1, 0):
        folder = tmp_path_factory.mktemp("hostile")
        up, found = _start(folder)
        try:
            for port in found.ports:
                wait_for(partial(_is_decided, up, port), port.name, 60.0)
            if up.poll() is None:
                yield found
                return
            told = (folder / "log").read_text()
            if not tries_left or "cannot listen on" not in told:
                pytest.fail(f"the cluster ends at once: {told}")
        finally:
            up.terminate()
            up.wait(60)


def _is_decided(up: subprocess.Popen[bytes], port: Port) -> bool:
    return up.poll() is not None or port.is_well()


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], Cluster]:
    numbers = free_ports(4)
    flags = ("--marathon-port", "--gateway-port", "--agent-port", "--master-port")
    with (folder / "log").open("wb") as log:
        up = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "mezzo.cli", "up", "--agents", "1"),
                *("--containerizer", "process", "--dir", str(folder / "mezzo")),
                *(word for pair in zip(flags, map(str, numbers), strict=True) for word in pair),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "MEZZO_PARENT_PID": str(os.getpid())},
        )
    names = (("marathon", "/v2/apps"), ("gateway", "/state"), ("agent", "/state"))
    return up, Cluster(
        tuple(Port(name, at, path) for (name, path), at in zip(names, numbers, strict=False))
    )
