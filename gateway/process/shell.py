"""The gateway as a process."""

from __future__ import annotations

import asyncio

from mezzo.election.detector import detector_for
from mezzo.http.server import HttpServer, raise_open_files
from mezzo.http.web_guard import hosts_of_machine
from mezzo.process.log import get_logger
from mezzo.process.prometheus import REGISTRY

from ..cluster_metrics import ClusterCollector
from ..options import GatewayOptions
from ..page.feed import Feed
from ..replica.follower import Follower
from ..routes import make_app


class Gateway:
    """The parts of a gateway, from `start` to `stop`."""

    def __init__(self, options: GatewayOptions) -> None:
        """Raises BadConfig if `master` is no address."""
        detector = detector_for(options.master, session_timeout_s=options.zk_session_timeout_s)
        self._follower = Follower(detector)
        self._feed = Feed(self._follower)
        self._collector = ClusterCollector(self._follower, self._feed)
        self._server = HttpServer(
            make_app(self._follower, self._feed),
            ip=options.ip,
            port=options.port,
            threads=options.threads,
            hosts=hosts_of_machine(options.ip, *options.http_allowed_hosts),
            urgent=("/health",),
        )

    def start(self) -> int:
        """Start; returns the port that it listens on. Raises MezzoError if that can't be had."""
        self._server.start()
        REGISTRY.register(self._collector)
        self._follower.start()
        self._feed.start()
        return self._server.port

    def stop(self) -> None:
        REGISTRY.unregister(self._collector)
        self._feed.stop()
        self._follower.stop()
        self._server.stop()


async def run_gateway(options: GatewayOptions) -> int:
    """Serve until cancelled. Raises BadConfig and, when the port is taken, MezzoError."""
    raise_open_files()  # every open page is one
    gateway = Gateway(options)
    port = gateway.start()
    get_logger("gateway").info("gateway.started", ip=options.ip, port=port)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(gateway.stop)
    return 0
