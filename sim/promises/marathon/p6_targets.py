"""Promise 6: without faults every app reaches its target, with nobody's help.

Who waits for that asks again and again what is wrong yet, and whether something is in its way.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from mezzo.marathon.model.app import App
from mezzo.marathon.state.tables import DEPLOYMENTS, INSTANCES

from ...actors.app_owner import JOB, app_of, apps_on
from ...daemons.agents import VirtualAgent
from ...daemons.marathons import VirtualMarathon
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.disk import Disk


class AppsReachTheirTargets(Watch):
    def __init__(
        self,
        masters: Sequence[VirtualMaster],
        agents: Sequence[VirtualAgent],
        marathons: Sequence[VirtualMarathon],
        disk: Disk,
        *,
        mixed: Container[str],
        odd: str,
    ) -> None:
        """disk: of the Marathons. mixed: apps of which instances of old versions may stay. odd: an
        app that its owner has removed in the end."""
        self._masters = masters
        self._agents = agents
        self._marathons = marathons
        self._disk = disk
        self._mixed = mixed
        self._odd = odd

    def wrong(self) -> str:
        for marathon in self._marathons:
            if marathon.process.leads and not marathon.ready:
                return f"{marathon.name} leads and answers nobody"
        apps = apps_on(self._disk)
        apps.pop(self._odd, None)
        return self._miscounted(apps) or self._old(apps) or self._unended()

    def _miscounted(self, apps: dict[str, App]) -> str:
        running: dict[str, int] = {}
        for agent in self._agents:
            for container in agent.machine.running():
                app_id = app_of(container.spec)
                if app_id is not None:
                    running[app_id] = running.get(app_id, 0) + 1
        for app_id, app in apps.items():
            count = running.pop(app_id, 0)
            restarting = app_id == JOB
            if count > app.instances or (count < app.instances and not restarting):
                return f"{app_id} has {count} containers, its target is {app.instances}"
        return f"containers run that belong to no app: {running}" if running else ""

    def _old(self, apps: dict[str, App]) -> str:
        """What still runs in an older version than it should."""
        old = [
            container.spec.task_id
            for agent in self._agents
            for container in agent.machine.running()
            if (app := apps.get(app_of(container.spec) or "")) is not None
            and app.id != JOB
            and app.id not in self._mixed
            and dict(container.spec.env).get("CHANGE") != app.env.get("CHANGE")
        ]
        return f"an upgrade has left {old}" if old else ""

    def _unended(self) -> str:
        """What Marathon has stored that should be over."""
        for key, value in self._disk.data.items():
            if key.startswith("instance/"):
                instance = INSTANCES.decode(value)
                if instance.doomed and instance.app_id != JOB:
                    return f"{instance.id} is to end, and does not"
            # Of a job that ends again and again never all instances run at the same time.
            if key.startswith("deployment/") and JOB not in DEPLOYMENTS.decode(value).app_ids:
                return f"deployments do not end: {key}"
        return ""

    def excuse(self) -> str:
        """Why apps may be late: who is not there, or not heard of yet."""
        leader = next((m for m in self._masters if m.process.leads), None)
        marathon = next((m for m in self._marathons if m.process.leads), None)
        if leader is None or leader.core is None or marathon is None or marathon.core is None:
            return "nobody leads"
        for agent in self._agents:
            if not agent.gone and not agent.process.up:
                return f"{agent.name} is down"
        state = leader.core.state
        for entry in state.agents.values():
            if not entry.connected:
                return f"{entry.info.hostname} is away"
        framework_id = marathon.core.state.framework_id
        framework = None if framework_id is None else state.frameworks.get(framework_id)
        if framework is None or framework.conn is None or framework.admission is not None:
            return "Marathon is not subscribed"
        return "nothing is offered" if state.allocator.paused else ""
