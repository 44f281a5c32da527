"""Promise 7: an agent is offered only to frameworks that can be where it is, if its host is listed.

Agents of another region than the masters' are for frameworks that say that they are aware of
regions, and for nobody else; what is not on the list of hosts that operators keep is for nobody.
Whoever is not admitted for where it is, because it is of another time or has more than can be,
changes nothing, and nobody else is not heard for that. `explain` names these reasons if they are
so, and only then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mezzo.cluster.model import AgentInfo, Capability, FaultDomain, MasterInfo, Offer
from mezzo.core import Output
from mezzo.ids import AgentId
from mezzo.master.allocator.reasons import Verdict
from mezzo.master.effects import NoteIgnored, ToAgent
from mezzo.master.events import AgentSaid
from mezzo.master.state.agent_entry import AgentEntry
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.messages.agent import RegisterAgent, ReregisterAgent, ShutdownAgent
from mezzo.units import AMOUNT_MAX

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from .offered import offered

_MOST: Final = int(AMOUNT_MAX * 1000)
_COMES: Final = (RegisterAgent, ReregisterAgent)


class PlacesAreKept(Watch):
    def __init__(self, listed: Mapping[str, frozenset[str] | None], honest: Sequence[str]) -> None:
        """listed: by master, the hosts that may be offered; None: all. honest: hosts whose agents
        say nothing that can't be."""
        self._listed = listed
        self._honest = frozenset(honest)
        self._repeats = False

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        if type(event) is AgentSaid and type(event.message) in _COMES:
            core = master.core
            assert core is not None
            agents = core.state.agent_of
            self._repeats = agents.get(event.conn, AgentId("")) in core.state.agents

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        if type(event) is AgentSaid and type(event.message) in _COMES and not self._repeats:
            self._comes(master, event, output)
        for framework, offers in offered(master, output):
            assert master.core is not None
            agents = master.core.state.agents
            for offer in offers:
                self._look(master, framework, offer, agents.get(offer.agent_id))

    def _comes(self, master: VirtualMaster, event: AgentSaid, output: Output[Any]) -> None:
        message: Any = event.message
        core = master.core
        assert core is not None
        config = core.state.config
        strange = _is_strange(config.info, message, strict=config.require_agent_domain)
        strange |= any(each > _MOST for each in message.info.resources.quantities().values())
        welcomed = any(
            type(each) is ToAgent and type(each.message) is not ShutdownAgent
            for each in output.effects
        )
        notes = [each.reason for each in output.effects if type(each) is NoteIgnored]
        who = f"{message.info.hostname}, of {message.version!r} in {message.info.domain},"
        if strange and (welcomed or output.writes):
            raise Broken(f"promise 7: {who} is heard by {master.name}: {output}")
        honest = message.info.hostname in self._honest
        if honest and not strange and any("domain" in note or "version" in note for note in notes):
            raise Broken(f"promise 7: {who} is not heard by {master.name}: {notes}")

    def _look(
        self,
        master: VirtualMaster,
        framework: FrameworkEntry,
        offer: Offer,
        agent: AgentEntry | None,
    ) -> None:
        core = master.core
        assert core is not None
        home = core.state.config.info.domain
        if agent is not None and offer.domain != agent.info.domain:
            raise Broken(f"promise 7: {offer.hostname} is in {agent.info.domain}: {offer}")
        if _is_remote(home, offer.domain) and not _is_aware(framework):
            raise Broken(
                f"promise 7: {master.name} in {home} offers {offer.hostname} in {offer.domain} to "
                f"{framework.info.name}, which knows of no regions"
            )
        listed = self._listed.get(master.name)
        if listed is not None and offer.hostname not in listed:
            raise Broken(f"promise 7: {offer.hostname} is offered, listed is {sorted(listed)}")

    def judge(
        self,
        master: VirtualMaster,
        framework: FrameworkEntry,
        agent: AgentEntry,
        verdict: Verdict,
    ) -> None:
        """The reasons against offering the agent to the framework."""
        if framework.admission is not None:
            return  # what it says of itself counts once its turn has come
        core = master.core
        assert core is not None
        listed, home = self._listed.get(master.name), core.state.config.info.domain
        here: AgentInfo = agent.info
        expected = {
            "WHITELIST": listed is not None and here.hostname not in listed,
            "REGION": _is_remote(home, here.domain) and not _is_aware(framework),
        }
        vetoes = [each.veto.value for each in verdict.objections]
        for veto, holds in expected.items():
            if (veto in vetoes) != holds:
                raise Broken(
                    f"promise 8: {master.name} in {home} has {vetoes} against offering "
                    f"{here.hostname} in {here.domain} to {framework.info.name}, but {veto} is "
                    f"{holds}, listed is {listed}"
                )


def _is_aware(framework: FrameworkEntry) -> bool:
    return Capability.REGION_AWARE in framework.info.capabilities


def _is_remote(home: FaultDomain | None, there: FaultDomain | None) -> bool:
    return home is not None and there is not None and there.region != home.region


def _is_strange(
    home: MasterInfo, message: RegisterAgent | ReregisterAgent, *, strict: bool
) -> bool:
    """A domain where the masters have none, none where all need one, or a version before 1.0.0."""
    domain = message.info.domain
    if (domain is not None and home.domain is None) or (domain is None and strict):
        return True
    first = message.version.partition(".")[0]
    return first.isdecimal() and first.isascii() and int(first) < 1
