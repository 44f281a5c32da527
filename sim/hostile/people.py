"""Odd apps, and operators who don't know what they do.

Both come in by the doors of people: the API's reading of a document, the operator calls' wire.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

import orjson

from mezzo.cluster.model import MachineId
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest, Unencodable
from mezzo.ids import AgentId, FrameworkId
from mezzo.marathon.api.app_definition import AppDocument, Rules, new_app
from mezzo.marathon.api.errors import ApiError
from mezzo.marathon.api.render import definition_json
from mezzo.marathon.commands import ChangeApps, DeleteApp, KillTasks, Origin, Target
from mezzo.marathon.model.app import App
from mezzo.messages import operator as om
from mezzo.record import replace
from mezzo.wire import passage

from ..actors.app_owner import apps_on
from ..daemons.marathons import VirtualMarathon
from ..daemons.masters import VirtualMaster, keep_without_quota
from ..watch import Watch
from ..world.disk import Disk
from ..world.world import World
from .gossip import Gossip
from .wild import TEXTS, Wild

ODD: Final = "/odd"
_ORIGIN: Final = Origin("127.0.0.1", "/v2/apps")
_CPUS_MAX, _MEM_MAX_MIB, _INSTANCES_MAX = 0.1, 16.0, 2  # of odd apps: what they may take
_GRACE_MAX_S: Final = 20.0
_TRIES: Final = 4  # most that is odd the API refuses
_AGAIN_S: Final = 3.0
_BEYOND: Final = 1000.0  # cpus, or MiB in thousands, that no machine has
_NUMBERS: Final[tuple[Any, ...]] = (
    *(0, -1, 0.5, 1e-9, 2**31, 2**63, 1e300, 65536, 1e15, True, None, "1"),
    *([], {}),
)
_NOBODYS: Final = "meddled"
_WEIGHTS: Final = (0.0, 0.5, 1.0, 3.0, 1e9 - 1, 1e9)
_AMOUNTS: Final = (0, 1, 1000, 5000, -1)
# What an operator may do to others is their right, and would hurt: who is meant, nobody is.
_HURT: Final = (om.UpdateMaintenanceSchedule, om.SetQuota)
_CALLS: Final = tuple(each for each in om.CALLS.values() if each not in _HURT)


class OddApps(Watch):
    """Puts one app after the other under the same id, each odder than the one before."""

    def __init__(
        self,
        world: World,
        marathons: Sequence[VirtualMarathon],
        disk: Disk,
        role: str,
        gossip: Gossip,
        rng: random.Random,
    ) -> None:
        self._world = world
        self._marathons = marathons
        self._disk = disk
        self._rules = Rules(role)
        self._rng = rng
        self._wild = Wild(rng, gossip)
        self._gossip = gossip
        self._active = False
        self.put = 0  # of those that the door has let in

    def start(self) -> None:
        self._active = True
        self._act()

    def stop(self) -> None:
        """Once no fault is left their owner wants them gone."""
        self._active = False
        self._remove()

    def _remove(self) -> None:
        """Remove the app, again and again: a leader may die with the wish, or yet store it."""
        if self.wrong():
            self._ask(DeleteApp(ODD, force=True))
        self._world.after(_AGAIN_S, self._remove)

    def _act(self) -> None:
        if not self._active:
            return
        tried = (self._odd_app() for _ in range(_TRIES))
        if (app := next((app for app in tried if app is not None), None)) is not None:
            self.put += 1
            before = apps_on(self._disk).get(ODD)
            target = Target(app, None if before is None else before.version_ms)
            self._ask(ChangeApps((target,), _ORIGIN, force=True))
        if self._rng.random() < 0.2:
            ids = tuple(task.task_id for task in self._gossip.tasks if "odd" in task.task_id)
            self._ask(KillTasks((*ids, *ids), scale=self._rng.random() < 0.5, force=True))
        self._world.after(self._rng.uniform(1, 12), self._act)

    def _ask(self, command: Any) -> None:
        for marathon in self._marathons:
            if marathon.ready:
                marathon.ask(command, lambda result: None)

    def _odd_app(self) -> App | None:
        """An odd app; None: the API refused it."""
        rng = self._rng
        base = App(ODD, cmd="serve")
        app = self._wild.record(App) if rng.random() < 0.25 else base
        for _ in range(rng.randrange(4)):
            app = self._wild.mutated(app)
        if rng.random() < 0.9:  # any other is refused, whatever else the app is
            app = replace(app, executor="", gpus=0.0, role=self._rules.role)
        try:
            document = definition_json(app)
            for _ in range(rng.choice((0, 0, 1, 2))):
                _change_somewhere(document, rng)
            sent = orjson.loads(orjson.dumps(document))
            if rng.random() < 0.1:
                sent["mem"] = 10.0 ** rng.randint(6, 11)  # so much no agent has
            made = new_app(AppDocument(sent), self._rules, app_id=ODD)
        except (ApiError, orjson.JSONEncodeError):
            return None
        if made.kill_grace_s is not None:
            # A task that ignores SIGTERM would outlive its app by so much, as it may.
            made = replace(made, kill_grace_s=min(made.kill_grace_s, _GRACE_MAX_S))
        if made.cpus >= _BEYOND or made.mem >= _BEYOND * 1000:
            return made
        return replace(
            made,
            cpus=min(made.cpus, _CPUS_MAX),
            mem=min(made.mem, _MEM_MAX_MIB),
            disk=0.0,
            instances=min(made.instances, _INSTANCES_MAX),
        )

    def wrong(self) -> str:
        return f"{ODD} is still there" if f"app/{ODD}" in self._disk.data else ""


def _change_somewhere(document: Any, rng: random.Random) -> None:
    """Change some value of a document, at any depth."""
    while isinstance(document, dict | list) and document:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        key = rng.choice(keys)
        inner = document[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.3:
            document[key] = rng.choice((*_NUMBERS, *TEXTS))
            return
        document = inner


class Meddlers:
    """Operators whose calls make no sense: each is answered, and changes nothing of anybody's."""

    def __init__(self, world: World, masters: Sequence[VirtualMaster], rng: random.Random) -> None:
        self._world = world
        self._masters = masters
        self._rng = rng
        self._wild = Wild(rng, Gossip(rng))  # has heard of nobody
        self._active = False

    def start(self) -> None:
        self._active = True
        self._act()

    def stop(self) -> None:
        self._active = False
        keep_without_quota(self._world, self._masters, _NOBODYS)

    def _act(self) -> None:
        if not self._active:
            return
        leaders = [master for master in self._masters if master.process.up]
        if leaders and (call := self._call()) is not None:
            self._rng.choice(leaders).ask(call)
        self._world.after(self._rng.uniform(0.5, 10), self._act)

    def _call(self) -> om.OperatorCall | None:
        """A call that makes no sense; None: the wire refused it."""
        if self._rng.random() < 0.5:
            made = self._nearly_right()
        else:
            made = self._tamed(self._wild.record(self._rng.choice(_CALLS)))
        try:
            return passage.operator_call(made)
        except (BadRequest, Unencodable):
            return None

    def _nearly_right(self) -> om.OperatorCall:
        """About a role that nobody is in, and a resource that nobody has; of agents that are there
        only what they can't be asked for."""
        rng = self._rng
        role = rng.choice((_NOBODYS, _NOBODYS, f"{_NOBODYS}/below", "*", "a b", "-a", ""))
        weights = [om.WeightInfo(rng.choice(_WEIGHTS), role) for _ in range(rng.choice((1, 1, 2)))]
        if role == "*":
            weights = [om.WeightInfo(0.0, role)]
        name = rng.choice(("gizmos", "gizmos", "ports", "a b", "x" * 256))
        least, most = rng.choice(_AMOUNTS), rng.choice(_AMOUNTS)
        config = om.QuotaConfig(
            role,
            {name: least} if rng.random() < 0.6 else {},
            {name: most} if rng.random() < 0.6 else {},
        )
        agent_id, hostname = AgentId("nobody"), "nobody"
        for master in self._masters:
            if master.core is not None and master.core.state.agents:
                entry = rng.choice(list(master.core.state.agents.values()))
                agent_id, hostname = entry.id, entry.info.hostname
        force = rng.random() < 0.5
        guarantee = Resources.parse(rng.choice(("gizmos:1", "gizmos(a):1", "ports:[1-2]", "")))
        much = Resources.parse(f"cpus({_NOBODYS}):1000")
        machine = rng.choice((MachineId("nobody"), MachineId(), MachineId(None, "none")))
        calls: tuple[om.OperatorCall, ...] = (
            om.UpdateWeights(tuple(weights)),
            om.UpdateQuota((config,), force),
            om.UpdateQuota((config, config), force),
            om.SetQuota(om.QuotaRequest(rng.choice((_NOBODYS, None)), guarantee, force)),
            om.RemoveQuota(role),
            om.DrainAgent(AgentId("nobody")),
            om.DrainAgent(agent_id, -1.0),
            om.DeactivateAgent(AgentId("nobody")),
            om.ReactivateAgent(AgentId("nobody")),
            om.MarkAgentGone(AgentId("nobody")),
            om.StartMaintenance((machine,)),
            om.StopMaintenance(rng.choice(((), (machine,), (machine, machine)))),
            om.ReserveResources(agent_id, much),
            om.UnreserveResources(agent_id, much),
            om.ReserveResources(AgentId("nobody"), much),
            om.Explain(rng.choice((None, "nobody")), None, rng.choice((None, hostname, "nobody"))),
            om.Teardown(FrameworkId("nobody")),
            om.DeleteSetAside("agent/nobody"),
        )
        return rng.choice(calls)

    def _tamed(self, call: Any) -> om.OperatorCall:
        """A call that can't hurt: guarantees for an empty role would take from all others."""
        made: om.OperatorCall = call
        if isinstance(made, om.UpdateQuota):
            configs = tuple(replace(each, guarantees={}) for each in made.quota_configs)
            return om.UpdateQuota(configs)
        if isinstance(made, om.UpdateWeights):
            return om.UpdateWeights(tuple(w for w in made.weight_infos if w.role != "*"))
        return made
