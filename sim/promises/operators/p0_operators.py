"""What all promises stand on, for operators: an order that was answered is done, and holds.

Across any number of failovers, until it is taken back: an agent that is deactivated, draining or on
a machine that is down is not offered; one that was marked gone is not admitted; on one that counts
as drained nothing runs. And nobody drains an agent or ends what runs that no operator wants ended.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from mezzo.agent.events import MasterSaid
from mezzo.cluster.model import DrainState, Offer
from mezzo.core import Output, Put
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.effects import ToFramework
from mezzo.master.events import Started
from mezzo.master.tables import AGENTS
from mezzo.messages.agent import (
    AgentRegistered,
    AgentReregistered,
    DrainAgent,
    ShutdownAgent,
    ShutdownFramework,
)
from mezzo.messages.scheduler import Offers

from ...actors.admin import Admin
from ...daemons.agents import VirtualAgent
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken


class OperatorsAreObeyed(Watch):
    def __init__(
        self,
        admin: Admin,
        agents: dict[str, VirtualAgent],
        fickle: Container[FrameworkId] = (),
    ) -> None:
        """agents: by hostname. fickle: frameworks that may end at any time by their own will."""
        self._admin = admin
        self._fickle = fickle
        self._agents = agents

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        process = master.process
        if process.epoch != process.disk.epoch:
            return  # deposed: it does not know of what was asked of its successor
        if isinstance(event, Started):
            self._leads(master)
        for effect in output.effects:
            if isinstance(effect, ToFramework) and isinstance(effect.event, Offers):
                for offer in effect.event.offers:
                    self._offered(offer)
        for write in output.writes:
            if isinstance(write, Put) and write.key.startswith("agent/"):
                self._stored(AgentId(write.key.removeprefix("agent/")), write.value)

    def _leads(self, master: VirtualMaster) -> None:
        assert master.core is not None
        for name in self._admin.planned:
            machine = master.core.state.machines.of(name)
            if machine is None or (name in self._admin.down and not machine.down):
                raise Broken(f"operators: {name} is to be away, but {master.name} has {machine}")
        for role, weight in self._admin.weights.items():
            known = master.core.state.weights.get(role)
            if known != weight:
                raise Broken(f"operators: role {role} weighs {weight}, but {master.name}: {known}")

    def _offered(self, offer: Offer) -> None:
        admin = self._admin
        if offer.agent_id in admin.off or offer.agent_id in admin.gone:
            raise Broken(f"operators: {offer.agent_id} is not to be offered, but {offer.id} does")
        if offer.hostname in admin.down:
            raise Broken(f"operators: {offer.hostname} is down, but {offer.id} offers it")

    def _stored(self, agent_id: AgentId, value: bytes) -> None:
        record = AGENTS.decode(value)
        drained = record.drain is not None and record.drain.state is DrainState.DRAINED
        agent = self._agents.get(record.info.hostname)
        if agent is None:
            return  # an impostor's, about which nobody has a wish
        running = [container.spec.task_id for container in agent.machine.running()]
        if drained and agent.id == agent_id and running:
            raise Broken(f"operators: {agent.name} counts as drained, but runs {running}")

    def master_said(self, master: VirtualMaster, message: Any) -> None:
        welcome = isinstance(message, (AgentRegistered, AgentReregistered))
        deposed = master.process.epoch != master.process.disk.epoch
        if welcome and not deposed and message.agent_id in self._admin.gone:
            raise Broken(f"operators: {message.agent_id} was marked gone, but is welcomed back")

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        if not isinstance(event, MasterSaid):
            return
        core = agent.core
        assert core is not None
        admin, message = self._admin, event.message
        asked = True
        if isinstance(message, DrainAgent):
            asked = core.view().agent_id in admin.asked_off
        elif isinstance(message, ShutdownAgent):
            asked = core.view().agent_id in admin.asked_away or agent.name in admin.asked_away
        elif isinstance(message, ShutdownFramework):
            id_ = message.framework_id
            asked = id_ in admin.torn or id_ in self._fickle or not _runs_here(agent, id_)
        if not asked:
            raise Broken(f"operators: {agent.name} is told {message}, which nobody has asked for")


def _runs_here(agent: VirtualAgent, framework_id: FrameworkId) -> bool:
    """Of too many that are away one that has nothing may be given up."""
    return any(each.spec.framework_id == framework_id for each in agent.machine.running())
