"""The gateway as a process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mezzo.election.detector import detector_for
from mezzo.http.server import HttpServer
from mezzo.log import get_logger
from mezzo.metrics import REGISTRY

from .app import make_app
from .cluster_metrics import ClusterCollector
from .feed import Feed
from .follower import Follower


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """master: where the leader is found, as for `detector_for`. threads: answers and open pages
    at the same time; a quarter of them is kept from pages."""

    master: str
    ip: str = "127.0.0.1"
    port: int = 5050
    threads: int = 64
    zk_session_timeout_s: float = 10.0


async def run_gateway(options: GatewayOptions) -> int:
    """Serve until cancelled. Raises BadConfig and, when the port is taken, MezzoError."""
    log = get_logger("gateway")
    detector = detector_for(options.master, session_timeout_s=options.zk_session_timeout_s)
    follower = Follower(detector)
    feed = Feed(follower, streams_max=max(1, options.threads * 3 // 4))
    collector = ClusterCollector(follower, feed)
    server = HttpServer(
        make_app(follower, feed), ip=options.ip, port=options.port, threads=options.threads
    )
    server.start()
    REGISTRY.register(collector)
    follower.start()
    feed.start()
    log.info("gateway.started", ip=options.ip, port=server.port)
    try:
        await asyncio.Event().wait()
    finally:
        REGISTRY.unregister(collector)
        feed.stop()
        follower.stop()
        server.stop()
    return 0
