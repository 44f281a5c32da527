"""The agent's state as Prometheus scrapes it. Loaded by the first scrape: see `.routes`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mezzo.cluster.amounts import from_milli
from mezzo.cluster.resources import Resources

from ..views import AgentView
from .render import used


class AgentCollector(Collector):
    """`mezzo_agent_*` of one moment."""

    def __init__(self, view: AgentView) -> None:
        self._view = view

    def collect(self) -> Iterator[GaugeMetricFamily]:
        view = self._view
        yield GaugeMetricFamily(
            "mezzo_agent_registered", "1 while a leader has it", value=view.registered
        )
        tasks = GaugeMetricFamily("mezzo_agent_tasks", "Tasks by state", labels=["state"])
        for state, count in sorted(Counter(task.state for task in view.tasks).items()):
            tasks.add_metric([state], count)
        yield tasks
        yield GaugeMetricFamily(
            "mezzo_agent_unacknowledged_updates",
            "Status updates that frameworks have not acknowledged",
            value=sum(len(task.pending) for task in view.tasks),
        )
        yield _amounts("total", view.resources)
        yield _amounts("used", used(view))


def _amounts(what: str, resources: Resources) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        f"mezzo_agent_resources_{what}", "cpus in cores, mem and disk in MiB", labels=["name"]
    )
    for name, milli in resources.quantities().items():
        # Bytes of `--resources` that are no text are half surrogates here, which no text ends in.
        family.add_metric([name.encode(errors="replace").decode()], from_milli(milli))
    return family
