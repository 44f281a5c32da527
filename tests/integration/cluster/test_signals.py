"""SIGTERM at random moments of a failover: of a start, an election, a term, its end, a restart.

MEZZO_SIGNALS=200 sends so many; 16 by default. MEZZO_SIGNALS_SEED repeats the delays of a failure.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

from mezzo.process.daemon import STOP_WITHIN_S, cli_command
from tests.parts.zookeeper import ZkEnsemble, free_ports

SIGNALS = int(os.environ.get("MEZZO_SIGNALS", "16"))
SEED = int(os.environ.get("MEZZO_SIGNALS_SEED", random.randrange(10**6)))
UP_WITHIN_S = 60.0
LATE_S = 4.0  # of a machine that is busy with something else
EARLY = 0.2  # so many are told before they have said a word


class Candidate:
    def __init__(self, directory: Path, name: str, *command: str) -> None:
        self.name = name
        self._command = cli_command(*command)
        self._log = directory / f"{name}.log"
        self._log.touch()
        self._read_from = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._read_from = self._log.stat().st_size
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def log(self) -> str:
        """Of this life."""
        return self._log.read_bytes()[self._read_from :].decode(errors="replace")

    def says(self, word: str) -> bool:
        return f"] {word} " in self.log()

    def tell(self, after_s: float) -> None:
        """SIGTERM, and an end without a fault in time."""
        assert self._process is not None
        time.sleep(after_s)
        early = not self.says("standby")
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_WITHIN_S + LATE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end:\n{self.log()[-3000:]}") from None
        # Before it listens, the signal itself is its end.
        assert code == 0 or (early and code == -signal.SIGTERM), (code, self.log()[-3000:])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def candidates(tmp_path: Path, zk: ZkEnsemble) -> Iterator[list[Candidate]]:
    url = zk.url()
    ports = free_ports(4)
    timeout = ("--zk-session-timeout", "2secs", "--work-dir")
    masters = [
        Candidate(
            tmp_path,
            f"master {port}",
            *("master", "--zk", f"{url}/masters", *timeout, str(tmp_path / f"m{port}")),
            *("--port", str(port), "--gateway-port", "0"),
        )
        for port in ports[:2]
    ]
    marathons = [
        Candidate(
            tmp_path,
            f"marathon {port}",
            *("marathon", "--zk", f"{url}/marathon", *timeout, str(tmp_path / f"a{port}")),
            *("--master", f"{url}/masters", "--http-port", str(port)),
        )
        for port in ports[2:]
    ]
    yield [*masters, *marathons]
    for each in (*masters, *marathons):
        each.kill()


def depose(client: KazooClient, url: str) -> None:
    """Both leaders lose their nodes, and with them their terms: they start afresh."""
    path = "/" + url.split("/", 3)[3]
    for place in (f"{path}/masters", f"{path}/marathon/leader-curator"):
        with contextlib.suppress(NoNodeError):
            nodes = [n for n in client.get_children(place) if n.startswith(("json.", "latch-"))]
            if nodes:
                client.delete(f"{place}/{min(nodes)}")


@pytest.mark.zookeeper
@pytest.mark.parametrize("rounds", [SIGNALS // 4])
def test_a_signal_ends_a_daemon_at_any_moment_of_a_failover(
    zk: ZkEnsemble, candidates: list[Candidate], rounds: int
) -> None:
    rng = random.Random(SEED)
    url = next(part for part in candidates[0]._command if part.endswith("/masters"))
    client = KazooClient(hosts=zk.hosts)
    client.start()
    try:
        for _ in range(rounds):
            for each in candidates:
                each.start()
            late = [each for each in candidates if rng.random() > EARLY]
            deadline = time.monotonic() + UP_WITHIN_S
            while not all(each.says("standby") for each in late):
                assert time.monotonic() < deadline, [each.log()[-1000:] for each in late]
                time.sleep(0.05)
            time.sleep(rng.uniform(0.0, 0.5))  # somebody leads, or is about to
            failures: list[BaseException] = []

            def tell(each: Candidate, after_s: float, failures: list[BaseException]) -> None:
                try:
                    each.tell(after_s)
                except BaseException as failure:  # noqa: BLE001 - told by the test's thread
                    failures.append(failure)

            telling = [
                threading.Thread(target=tell, args=(each, rng.uniform(0.0, 1.5), failures))
                for each in candidates
            ]
            depose(client, url.removesuffix("/masters"))
            for thread in telling:
                thread.start()
            for thread in telling:
                thread.join()
            if failures:
                raise AssertionError(f"with MEZZO_SIGNALS_SEED={SEED}") from failures[0]
    finally:
        client.stop()
        client.close()
