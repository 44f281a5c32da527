"""Promise 7: no framework starves while another holds unused offers past the offer timeout.

Beside Marathon run frameworks that take every offer and answer none, or use all of it for ever, and
modest ones that want little. Once no fault is left the modest ones get something again and again:
soon, where others only hold what they do not use; at once, where their roles have guarantees.

Marathon itself holds no offer: it answers each in the step that brings it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mezzo.core import Output
from mezzo.marathon.effects import Call
from mezzo.marathon.events import MasterEvent
from mezzo.messages.scheduler import Accept, Decline, Offers, Revive, Subscribe, Suppress

from ...daemons.frameworks import BatchCore, Kind, VirtualFramework
from ...daemons.marathons import VirtualMarathon
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World

_LOOKS_S: Final = 10.0  # offers come more often


class NobodyStarves(Watch):
    def __init__(
        self,
        world: World,
        masters: Sequence[VirtualMaster],
        marathons: Sequence[VirtualMarathon],
        frameworks: Sequence[VirtualFramework],
        bound_s: float,
        *,
        guaranteed: bool,
    ) -> None:
        """bound_s: for so long a framework may want and get nothing. guaranteed: to some roles so
        much that nothing may be left for those that declare their demand without a guarantee."""
        self._masters = masters
        self._master_disk = masters[0].process.disk
        self._marathons = marathons
        self._world = world
        modest = (Kind.BATCH, Kind.UNIQUE, *[Kind.PLANNER] * (not guaranteed))
        self._modest = [each for each in frameworks if each.kind in modest]
        self._bound_s = bound_s
        self._looked_s = self._quiet_since_s = 0.0
        self._since_s: dict[str, float] = {}  # it has wanted and got nothing since

    def framework_stepped(
        self,
        framework: VirtualFramework,
        event: Any,
        output: Output[Any],
    ) -> None:
        core = framework.core
        if isinstance(core, BatchCore) and core.wants == 0:
            self._since_s.pop(framework.name, None)

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,
        output: Output[Any],
    ) -> None:
        if not (isinstance(event, MasterEvent) and isinstance(event.event, Offers)):
            return
        if event.epoch < self._master_disk.epoch or not marathon.client.up(event.conn):
            return  # nothing is answered to a deposed master, or on a stream that is over
        answered = {
            offer_id
            for effect in output.effects
            if isinstance(effect, Call) and isinstance(effect.call, (Accept, Decline))
            for offer_id in effect.call.offer_ids
        }
        for offer in event.event.offers:
            if offer.id not in answered:
                raise Broken(f"promise 7: {marathon.name} keeps {offer.id}, without a use for it")

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:
        if isinstance(client, VirtualFramework):
            if isinstance(call, Accept):
                self._since_s.pop(client.name, None)
        elif isinstance(call, Suppress) or (isinstance(call, Subscribe) and call.suppressed_roles):
            self._since_s.pop(client.name, None)
        elif isinstance(call, (Revive, Subscribe)) or (
            isinstance(call, (Accept, Decline)) and client.name in self._since_s
        ):
            self._since_s[client.name] = self._world.now_s  # it waits for the next offer from now

    def wrong(self) -> str:
        cores = [master.core for master in self._masters]
        # With guarantees nothing is offered after a failover before most agents are back.
        paused = any(core is not None and core.state.allocator.paused for core in cores)
        if paused or self._world.now_s - self._looked_s > _LOOKS_S:
            self._quiet_since_s = self._world.now_s  # or it is the first look after faults
        self._looked_s = self._world.now_s
        for marathon in self._marathons:
            if marathon.core is None:
                self._since_s.pop(marathon.name, None)
            elif marathon.name in self._since_s:
                self._check(marathon.name, "offers")
        for framework in self._modest:
            core = framework.core
            if not isinstance(core, BatchCore):
                return f"{framework.name} is not up"
            if core.wants == 0:
                continue
            self._since_s.setdefault(framework.name, self._world.now_s)
            self._check(framework.name, f"to run {core.wants} small tasks")
        return ""

    def _check(self, name: str, wants: str) -> None:
        since_s = max(self._since_s[name], self._quiet_since_s)
        if self._world.now_s - since_s > self._bound_s:
            raise Broken(
                f"promise 7: {name} wants {wants} and has got nothing for {self._bound_s:.0f} s"
            )
