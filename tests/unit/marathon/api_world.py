"""The API as it is served, with a core and a small cluster behind it, in one process.

Requests go through the real Flask application; commands step the core of a `World`, whose effects
go where the shell lets them go: to the read model, to the event streams, to who has asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from werkzeug.test import Client, TestResponse

from mezzo.cluster.resources import Resources
from mezzo.http.endless_answer import Stream
from mezzo.ids import AgentId
from mezzo.marathon.api.app_definition import Rules
from mezzo.marathon.api.event_stream import EventStream
from mezzo.marathon.api.leadership import Node, Term
from mezzo.marathon.api.metrics import Metrics
from mezzo.marathon.api.routes import make_api
from mezzo.marathon.effects import Publish, Reply, ShowApp, ShowAside, ShowDeployment, ShowInstance
from mezzo.marathon.events import ApiRequest

from .world import OfferedAgent, World

PATIENCE_S = 20.0


@dataclass
class ApiWorld(World):
    """`ask_api` from any thread. on_request: called with each command on its way to the core."""

    on_request: Callable[[ApiRequest], None] = lambda request: None

    def _boot(self) -> None:
        self._stepping = threading.Lock()
        self.term = Term(self._post, lambda: False, EventStream(10), Metrics(), PATIENCE_S)
        self.node = Node(
            address="127.0.0.1:8080",
            rules=Rules(default_network_name="overlay"),
            settings={},
            zookeeper_settings={},
            http_settings={},
            abdicate=lambda: None,
            leader=lambda: None,
            term=self.term,
        )
        self._client = Client(make_api(self.node))
        super()._boot()

    @staticmethod
    def up(cpus: float = 1e12, mem: float = 1e12) -> ApiWorld:
        """Agents that have room for all that the API takes, connected."""
        total = Resources.of(cpus=cpus, mem=mem, disk=1e12, ports=[(1, 65535)])
        world = ApiWorld(agents=[OfferedAgent(AgentId("S0"), "host-0", total)])
        world.connect()
        return world

    def _post(self, request: ApiRequest) -> None:
        self.on_request(request)
        with self._stepping:  # one thread at a time, as the loop's
            self.step(request)

    def _perform(self, effect: Any) -> None:
        super()._perform(effect)
        match effect:
            case ShowApp() | ShowInstance() | ShowDeployment() | ShowAside():
                self.term.model.apply(effect)
            case Publish():
                self.term.publish(effect)
            case Reply(request_id, result):
                self.term.replied(request_id, result)

    def listen(self) -> Stream:
        """Every type of event that an app's change can cause."""
        stream = self.term.hub.attach(frozenset(), "1.2.3.4")
        assert stream is not None
        return stream

    def ask_api(
        self, method: str, path: str, document: Any = None, *, raw: bytes | None = None
    ) -> TestResponse:
        data = raw if raw is not None or document is None else orjson.dumps(document)
        kind = None if data is None else "application/json"
        return self._client.open(path, method=method, data=data, content_type=kind)
