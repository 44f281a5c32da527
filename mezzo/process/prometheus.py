"""Prometheus metrics of one process: the registry that its parts add to, and its text form."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

# One per process, and not the library's own default: what a dependency registers stays out of it.
REGISTRY: Final = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def exposition(*more: Collector) -> bytes:
    """All metrics of this process and what `more` collects, in the text format that `CONTENT_TYPE`
    names."""
    return b"".join(map(generate_latest, (REGISTRY, *more)))
