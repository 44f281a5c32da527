"""A master whose operator API says what a test wants, over real gRPC; and a gateway beside it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from mezzo.gateway.options import GatewayOptions
from mezzo.gateway.process.shell import Gateway
from mezzo.gateway.replica.cluster_replica import Replica
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages.operator import (
    Agents,
    Frameworks,
    GetMaster,
    OperatorCall,
    OperatorEvent,
    OperatorHeartbeat,
    OperatorSubscribed,
    Refused,
    Resume,
    State,
    Tasks,
)
from mezzo.wire.grpc_server import MasterServer
from tests.unit.gateway.clusters import MASTER

WITHIN_S = 20.0


class ScriptedMaster:
    """Leads from the start. What it published is what a later subscriber finds in its snapshot."""

    def __init__(self, *, epoch: int = 1, port: int = 0) -> None:
        self.port = port
        self._epoch = epoch
        self._sequence = 0
        self._truth = Replica()
        self._truth.apply(0, epoch, OperatorSubscribed(State()))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: MasterServer
        self._said: list[OperatorEvent] = []
        self._conns: list[ConnId] = []
        self.subscriptions: list[Resume | None] = []  # what each one wanted to go on from

    def start(self) -> ScriptedMaster:
        self._thread.start()
        self._on_loop(self._start)
        return self

    def stop(self) -> None:
        self._on_loop(self._server.stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def publish(self, *events: OperatorEvent, lose: int = 0) -> None:
        """Tell every subscriber. `lose`: so many of the first ones get lost on the way."""

        async def publish() -> None:
            for number, event in enumerate(events):
                self._sequence += 1
                self._said.append(event)
                self._truth.apply(self._sequence, self._epoch, event)
                if number >= lose:
                    self._server.publish(self._sequence, event)

        self._on_loop(publish)

    def hang_up(self) -> None:
        """All streams end."""

        async def close() -> None:
            for conn in self._conns:
                self._server.close(conn)
            self._conns.clear()

        self._on_loop(close)

    def _on_loop(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(main(), self._loop).result(WITHIN_S)

    async def _start(self) -> None:
        self._server = MasterServer(leader=lambda: None)
        self.port = await self._server.start("127.0.0.1", self.port)
        self._server.lead(self, self._epoch)

    # ---- mezzo.wire.grpc_server.Handler

    def agent_said(self, conn: ConnId, messages: list[Any]) -> None:
        raise AssertionError("no agent was expected")

    def framework_said(self, conn: ConnId, framework_id: FrameworkId | None, call: Any) -> None:
        raise AssertionError("no framework was expected")

    def operator_joined(self, conn: ConnId, resume: Resume | None) -> None:
        self.subscriptions.append(resume)
        self._conns.append(conn)
        if resume is not None and resume.epoch == self._epoch:
            self._server.send_snapshot(conn, resume.sequence, OperatorHeartbeat())
            for at in range(resume.sequence, self._sequence):
                self._server.send_snapshot(conn, at + 1, self._said[at])
            return
        view = self._truth.view()
        state = State(
            Tasks(tuple(view.tasks.values()), tuple(view.completed_tasks.values())),
            Frameworks(tuple(view.frameworks.values())),
            Agents(tuple(view.agents.values())),
        )
        self._server.send_snapshot(conn, self._sequence, OperatorSubscribed(state, 15.0))

    def operator_asked(self, request: int, call: OperatorCall) -> None:
        answer = MASTER if isinstance(call, GetMaster) else Refused("not in this play")
        self._server.answer(request, self._sequence, answer)

    def closed(self, conn: ConnId) -> None:
        pass


@contextmanager
def gateway(master: str) -> Iterator[str]:
    """A gateway's address; it follows whoever leads at `master`."""
    running = Gateway(GatewayOptions(master, port=0, threads=6))
    port = running.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.stop()


def ask(url: str) -> tuple[int, Any]:
    """Status and JSON (or text)."""
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def eventually(condition: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> None:
    """Poll until it is true."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)
