"""Promise 8: every "no" can be explained.

- Of each framework and agent: either there is an offer, or something that the next allocation may
  offer, or at least one reason why not, in words and with what would change it.
- What may be offered next, with nothing said against it, is offered before the next look, or
  somebody else got it.
- A reason that is to end by itself does.
- A launch that is refused is answered.
- Of each offer that Marathon did not use for an app that waits, it can tell why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from mezzo.cluster.operations import Launch
from mezzo.cluster.resources import Resources
from mezzo.core import Output, TimerFired
from mezzo.ids import AgentId, FrameworkId
from mezzo.marathon.commands import QueueRead, ReadQueue, Result
from mezzo.master.allocator.reasons import Verdict
from mezzo.master.core import MasterCore
from mezzo.master.effects import CloseStream, ToFramework
from mezzo.master.events import FrameworkSaid
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.master.timers import HeartbeatDue
from mezzo.messages.scheduler import Accept, Offers, Update

from ...daemons.marathons import VirtualMarathon
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World
from ..allocator.p7_places import PlacesAreKept

_ASK_EVERY_S: Final = 7.0
_LATE_S: Final = 1.0
_AGENTS_MAX: Final = 8  # that are asked about at one look

Place = tuple[FrameworkId, str, AgentId]  # a framework in a role, on an agent


class EveryNoIsExplained(Watch):
    def __init__(
        self,
        world: World,
        masters: Sequence[VirtualMaster],
        marathons: Sequence[VirtualMarathon],
        places: PlacesAreKept,
    ) -> None:
        self._places = places
        self._world = world
        self._masters = masters
        self._marathons = marathons
        self._next: dict[Place, Resources] = {}  # what was to be offered next, at the last look

        world.after(_ASK_EVERY_S, self._ask_marathons)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        if isinstance(event, FrameworkSaid) and isinstance(event.call, Accept):
            core = master.core
            assert core is not None
            _launches_are_answered(core, event, event.call, output)
        if isinstance(event, TimerFired) and type(event.key) is HeartbeatDue:
            # Timers are effects: while a store is slow they are late, and nothing is wrong.
            _ask(master, self._places, late_s=math.inf)
        for effect in output.effects if self._next else ():
            # Who declines what it is offered for no time has it offered again and again, and
            # may have none of it at each look.
            if type(effect) is ToFramework and type(effect.event) is Offers:
                for offer in effect.event.offers:
                    self._next.pop((offer.framework_id, offer.role, offer.agent_id), None)

    def wrong(self) -> str:
        found: dict[Place, Resources] = {}
        for master in self._masters:
            deposed = master.process.epoch != master.process.disk.epoch
            if master.core is not None and not deposed:
                found |= _ask(master, self._places, late_s=_LATE_S)
        for (framework_id, role, agent_id), resources in found.items():
            # Looks are far apart: what is wanted and free was not so for all that time.
            if self._next.get((framework_id, role, agent_id)) == resources:
                raise Broken(
                    f"promise 8: nothing is said against offering {resources} of {agent_id} to "
                    f"{framework_id} in role {role}, but it is not offered"
                )
        self._next = found
        return ""

    def _ask_marathons(self) -> None:
        for marathon in self._marathons:
            if marathon.core is not None:
                marathon.ask(ReadQueue(), _unused_offers_have_reasons)
        self._world.after(_ASK_EVERY_S, self._ask_marathons)


def _launches_are_answered(
    core: MasterCore, event: FrameworkSaid, call: Accept, output: Output[Any]
) -> None:
    """Each task is launched, or its framework is told why not."""
    framework_id = core.state.framework_of.get(event.conn)
    if framework_id is None:
        return  # a stream that is over
    if any(isinstance(each, CloseStream) and each.conn == event.conn for each in output.effects):
        return  # all that it says is refused, and it was told why
    told = {
        effect.event.status.task_id
        for effect in output.effects
        if isinstance(effect, ToFramework) and isinstance(effect.event, Update)
    }
    for operation in call.operations:
        for task in operation.task_infos if isinstance(operation, Launch) else ():
            launched = task.task_id in core.state.frameworks[framework_id].tasks
            if not launched and task.task_id not in told:
                raise Broken(f"promise 8: {task.task_id} was not launched, and nobody is told")


def _ask(master: VirtualMaster, places: PlacesAreKept, *, late_s: float) -> dict[Place, Resources]:
    """Everybody about some agents. Returns what may be offered next, with nothing against it.

    late_s: how long after its end a reason may still be given.
    """
    core, now_s = master.core, master.process.now().mono_s
    assert core is not None
    state = core.state
    agents = [agent for agent in state.agents.values() if agent.connected][:_AGENTS_MAX]
    offerable: dict[Place, Resources] = {}
    for framework in state.frameworks.values():
        if framework.conn is None:
            continue
        for role in framework.info.all_roles:
            for agent in agents:
                verdict = state.allocator.explain(framework.id, role, agent.id, now_s)
                places.judge(master, framework, agent, verdict)
                found = _judged(verdict, framework, role, agent.id, now_s, late_s)
                if found is not None:
                    offerable[(framework.id, role, agent.id)] = found
    return offerable


def _judged(
    verdict: Verdict,
    framework: FrameworkEntry,
    role: str,
    agent_id: AgentId,
    now_s: float,
    late_s: float,
) -> Resources | None:
    for reason in verdict.objections:
        if not (reason.wanted and reason.have and reason.change):
            raise Broken(f"promise 8: {reason.veto} says nothing: {reason}")
        if reason.until_s is not None and reason.until_s < now_s - late_s:
            raise Broken(f"promise 8: {reason.veto} was to end {now_s - reason.until_s:.1f} s ago")
    if verdict.offerable and not verdict.objections:
        return verdict.offerable
    if not (verdict.offered or verdict.objections):
        raise Broken(
            f"promise 8: {framework.info.name} is not offered {agent_id} in role {role}, and "
            "nobody knows why"
        )
    return None


def _unused_offers_have_reasons(result: Result) -> None:
    assert isinstance(result, QueueRead)
    for item in result.items:
        if item.unused and not sum(item.refused_in_all.values()):
            raise Broken(
                f"promise 8: {item.unused} offers were of no use to {item.app.id}, and Marathon "
                "does not know why"
            )
