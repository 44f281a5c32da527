"""Prometheus gauges of the cluster, computed from the replica when somebody scrapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mezzo.cluster.amounts import from_milli
from mezzo.cluster.resources import SCALARS, Resources

from .errors import ClusterUnknown
from .page.feed import Feed
from .replica.cluster_replica import View
from .replica.follower import Follower

T = TypeVar("T")


class ClusterCollector(Collector):
    """`mezzo_cluster_*` while a leader is known, and how this gateway itself is doing always."""

    def __init__(self, follower: Follower, feed: Feed) -> None:
        self._follower = follower
        self._feed = feed

    def collect(self) -> Iterator[GaugeMetricFamily]:
        synced = self._follower.problem is None
        yield _gauge("mezzo_gateway_synced", "1 while the leader is followed", float(synced))
        yield _gauge("mezzo_gateway_streams", "Open pages", self._feed.open_streams)
        try:
            view, _ = self._follower.read()
        except ClusterUnknown:
            return
        yield _gauge("mezzo_cluster_sequence", "Last change that is known", view.sequence)
        yield from _resources(view)
        yield _counts("agents", "active", view.agents.values(), lambda agent: str(agent.active))
        yield _counts(
            "frameworks", "connected", view.frameworks.values(), lambda fw: str(fw.connected)
        )
        yield _counts("tasks", "state", view.tasks.values(), lambda task: task.state)


def _resources(view: View) -> Iterator[GaugeMetricFamily]:
    total = GaugeMetricFamily(
        "mezzo_cluster_resources_total", "cpus in cores, mem and disk in MiB", labels=["resource"]
    )
    used = GaugeMetricFamily(
        "mezzo_cluster_resources_used", "cpus in cores, mem and disk in MiB", labels=["resource"]
    )
    active = [agent for agent in view.agents.values() if agent.active]
    for family, parts in (
        (total, [agent.total_resources for agent in active]),
        (used, [agent.allocated_resources for agent in active]),
    ):
        for name in SCALARS:
            family.add_metric([name], _sum(name, parts))
    yield total
    yield used


def _sum(name: str, parts: list[Resources]) -> float:
    return from_milli(sum(part.milli(name) for part in parts))


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _counts(
    name: str, label: str, things: Iterable[T], of: Callable[[T], str]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"mezzo_cluster_{name}", f"{name} by {label}", labels=[label])
    for value, count in sorted(Counter(map(of, things)).items()):
        family.add_metric([value], count)
    return family
