"""The HTTP ports of a cluster, as `mezzo up` starts it. JSON lines, one for each case and port.

rate     requests a second over 16 connections that are kept
slow     latency of 1,000 honest requests while 1,000 connections are slow: no byte, half a header,
         half a body, answers that nobody reads. Each honest one has a connection of its own
streams  event streams that are open at the same time, and what each costs
memory   of the idle daemon, with a warm HTTP port

    python bench/http_ports.py [--python PATH] [--seconds N] [--slow N] [--streams N] [--case WORD]

--python is the interpreter whose mezzo is measured: that of another checkout's environment, to
compare two. Alternate the two on a machine that does nothing else, and go by ratios.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WITHIN_S = 60.0
PATIENCE_S = 5.0  # of an honest client; what takes longer has failed
HONEST = 1000
AT_ONCE = 10
CONNECTIONS = 16
CALM_S = 0.05  # an answer within this, five times in a row: what the slow have asked is done
APPS = 300  # so that an answer is long enough not to be read
POST = b"POST /v2/apps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Port:
    name: str
    number: int
    light: str  # the target of a request that costs its daemon next to nothing
    heavy: str
    events: str | None = None

    def request(self, target: str, *fields: str) -> bytes:
        return "\r\n".join((f"GET {target} HTTP/1.1", "Host: localhost", *fields, "", "")).encode()

    def pid(self) -> int:
        """Of who listens."""
        inode = next(
            line.split()[9]
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if line.split()[1].endswith(f":{self.number:04X}") and line.split()[3] == "0A"
        )
        for folder in Path("/proc").glob("[0-9]*/fd"):
            with contextlib.suppress(OSError):
                if any(os.readlink(each) == f"socket:[{inode}]" for each in folder.iterdir()):
                    return int(folder.parent.name)
        raise SystemExit(f"nobody listens on {self.number}")

    def status(self) -> tuple[int, int]:
        """Memory of the process (proportional, KiB) and its threads."""
        folder = Path("/proc") / str(self.pid())
        lines = (folder / "smaps_rollup").read_text().splitlines()
        lines += (folder / "status").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(values["Pss"].split()[0]), int(values["Threads"])


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def cluster(python: str) -> Iterator[list[Port]]:
    numbers = free_ports(4)
    flags = ("--marathon-port", "--gateway-port", "--agent-port", "--master-port")
    words = [word for pair in zip(flags, map(str, numbers), strict=True) for word in pair]
    folder = tempfile.mkdtemp(prefix="mezzo-bench-")
    up = subprocess.Popen(
        [
            *(python, "-P", "-m", "mezzo.cli", "up", "--agents", "1", "--log-level", "error"),
            *("--containerizer", "process", "--keep", "--dir", folder, *words),
        ],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "MEZZO_PARENT_PID": str(os.getpid())},
    )
    ports = [
        Port("marathon", numbers[0], "/v2/leader", "/v2/apps", "/v2/events?event_type=x"),
        Port("gateway", numbers[1], "/version", "/static/app.js", "/events"),
        Port("agent", numbers[2], "/version", "/metrics"),
    ]
    try:
        until = time.monotonic() + WITHIN_S
        while not all(map(answers, ports)):
            if up.poll() is not None or time.monotonic() > until:
                raise SystemExit("the cluster did not start")
            time.sleep(0.2)
        add_apps(ports[0])
        yield ports
    finally:
        up.terminate()
        up.wait(WITHIN_S)
        shutil.rmtree(folder, ignore_errors=True)


def add_apps(marathon: Port) -> None:
    apps = [{"id": f"/bench/app{n}", "cmd": "true", "instances": 0} for n in range(APPS)]
    request = urllib.request.Request(
        f"http://127.0.0.1:{marathon.number}/v2/apps",
        json.dumps(apps).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
        answer.read()


def answers(port: Port) -> bool:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port.number}{port.heavy}", timeout=5
        ) as got:
            return bool(got.status == 200)
    except OSError:
        return False


# ---------------------------------------------------------------------------------- rate


class Asker(asyncio.Protocol):
    """Sends the request again as soon as its answer is there. All answers are of one length."""

    def __init__(self, request: bytes, length: int, until_s: float, counts: list[int]) -> None:
        self._request, self._length, self._until_s = request, length, until_s
        self._counts, self._got = counts, 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._got += len(data)
        if self._got < self._length:
            return
        self._got = 0
        self._counts[0] += 1
        if time.monotonic() < self._until_s:
            self._transport.write(self._request)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.over.done():
            self.over.set_result(None)


async def rate(port: Port, seconds: float) -> dict[str, Any]:
    request = port.request(port.light)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(request)
    await reader.read(1)
    await asyncio.sleep(0.3)
    length = 1 + len(await reader.read(65536))
    writer.close()
    counts = [0]
    loop = asyncio.get_running_loop()
    began_s = time.monotonic()
    askers = [
        (
            await loop.create_connection(
                lambda: Asker(request, length, began_s + seconds, counts), "127.0.0.1", port.number
            )
        )[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.wait([asker.over for asker in askers])
    return {"requests_per_s": round(counts[0] / (time.monotonic() - began_s))}


# ---------------------------------------------------------------------------------- slow


async def honest(port: Port) -> float | None:
    """How long it took, in seconds; None if it was not answered."""
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            writer.write(port.request(port.light, "Connection: close"))
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError):
        return None
    return time.monotonic() - began_s if answer.startswith(b"HTTP/1.1 200") else None


async def calm(port: Port) -> None:
    """Until all slow ones are there: this is not about how many can connect and ask at once."""
    quick, until_s = 0, time.monotonic() + WITHIN_S / 3
    while quick < 5 and time.monotonic() < until_s:
        took_s = await honest(port)
        quick = quick + 1 if took_s is not None and took_s < CALM_S else 0
        await asyncio.sleep(0.1)


async def slow(port: Port, count: int) -> dict[str, Any]:
    begun: list[bytes] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        POST + b"Content-Length: 9\r\n\r\n{",
        port.request(port.heavy) * 3,
    ]
    loop = asyncio.get_running_loop()
    held = []
    for number in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # it reads nothing at all
        client.setblocking(False)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await loop.sock_connect(client, ("127.0.0.1", port.number))
                await loop.sock_sendall(client, begun[number % len(begun)])
        except (OSError, TimeoutError):
            pass  # the port is stopped up already: the honest ones will tell
        held.append(client)
    await calm(port)
    slots = asyncio.Semaphore(AT_ONCE)
    took_s: list[float] = []

    async def ask() -> None:
        async with slots:
            if (each_s := await honest(port)) is not None:
                took_s.append(each_s)

    for _ in range(10):
        await asyncio.gather(*(ask() for _ in range(HONEST // 10)))
        if not took_s:
            break  # a port that answers nobody is not asked a thousand times
    for client in held:
        client.close()
    took_s.sort()
    shown: dict[str, Any] = {"slow": count, "honest": HONEST, "answered": len(took_s)}
    if took_s:
        for name, part in (("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0)):
            shown[name] = round(took_s[min(len(took_s) - 1, int(part * len(took_s)))] * 1000, 1)
    return shown


# ---------------------------------------------------------------------------------- streams


async def streams(port: Port, count: int) -> dict[str, Any]:
    assert port.events is not None
    request = port.request(port.events, "Accept: text/event-stream")
    before_kib, _ = port.status()
    opened = []
    for _ in range(count):
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
                writer.write(request)
                first = await reader.readline()
        except (OSError, TimeoutError):
            break
        if not first.startswith(b"HTTP/1.1 200"):
            break
        opened.append(writer)
    after_kib, threads = port.status()
    for writer in opened:
        writer.close()
    each = round((after_kib - before_kib) / len(opened), 1) if opened else None
    return {"asked": count, "streams": len(opened), "kib_each": each, "threads": threads}


async def memory(port: Port) -> dict[str, Any]:
    kib, threads = port.status()
    return {"mib": round(kib / 1024, 1), "threads": threads}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--slow", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--case", default="")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    cases: list[tuple[str, Callable[[Port], Any]]] = [
        ("memory", memory),
        ("rate", lambda port: rate(port, options.seconds)),
        ("streams", lambda port: streams(port, options.streams)),
        ("slow", lambda port: slow(port, options.slow)),
    ]
    for name, case in cases:
        if options.case not in name:
            continue
        # Each starts anew: what a case leaves behind is not the next one's.
        with cluster(options.python) as ports:
            for port in ports:
                if name == "streams" and port.events is None:
                    continue
                line = {"bench": f"http {name}", "port": port.name, **asyncio.run(case(port))}
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
