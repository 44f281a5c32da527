"""Which agents are admitted, which must exit, and which get no answer. As Mesos has it."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.amounts import from_milli
from mezzo.cluster.model import AgentInfo
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, ConnId, check_user_id
from mezzo.messages.agent import RegisterAgent, ReregisterAgent
from mezzo.units import INT32_MAX, Amount, HostName, check, problem, shown, whole_number

from .. import registry
from ..state.master_state import MasterState

VERSION_MIN: Final = (1, 0, 0)  # of Mesos: which behaviour the agent has


def why_ignored(state: MasterState, message: RegisterAgent | ReregisterAgent) -> str | None:
    """Why the agent gets no answer; None: it gets one.

    These are settings that can be put right, so the agent is not told to exit: its tasks go on, and
    it asks again.
    """
    config = state.config
    hostname = message.info.hostname
    if (why := problem(HostName, hostname)) is not None:
        return f"agent {shown(hostname)}: its hostname {why}: give it another --hostname"
    name = f"agent {hostname}"
    version = _version(message.version)
    if version is None or version < VERSION_MIN:
        least = ".".join(map(str, VERSION_MIN))
        return f"{name} is of version {shown(message.version)}: start one of {least} or later"
    domain = message.info.domain
    if domain is not None and config.info.domain is None:
        return (
            f"{name} has the domain {domain.region}/{domain.zone} and this master has none, so it "
            "can't tell whether that is far away: start the masters with --domain"
        )
    if domain is None and config.require_agent_domain:
        return f"{name} has no domain, which --require-agent-domain asks for: give it its own"
    try:
        state.types.check(message.info.resources, _had(state, message.info.id))
    except BadRequest as error:
        return f"{name}: {error}"
    return None


def _had(state: MasterState, agent_id: AgentId | None) -> Resources | None:
    """What the agent had when it was registered last."""
    known = state.agents.get(agent_id) if agent_id is not None else None
    lost = state.unreachable.get(agent_id) if agent_id is not None else None
    if known is not None:
        return known.info.resources
    return None if lost is None else lost.info.resources


def _version(text: str) -> tuple[int, ...] | None:
    """1.11.0 and 1.11.0-rc1 are the same; None: it is no version."""
    numbers: list[int] = []
    for part in text.partition("+")[0].partition("-")[0].split("."):
        number = whole_number(part, INT32_MAX)
        if number is None:
            return None
        numbers.append(number)
    return (*numbers, 0, 0)[:3]


def check_agent(state: MasterState, info: AgentInfo) -> None:
    """Raise BadRequest if an agent that says this of itself must exit."""
    registry.check_info("the agent's info", info)
    for name, milli in info.resources.quantities().items():
        # What a cluster adds up to must still be a number that a message can hold.
        check(f"{name} of agent {shown(info.hostname)}", Amount, from_milli(milli))
    planned = state.machines.of(info.hostname)
    if planned is not None and planned.down:
        raise BadRequest(
            f"machine {info.hostname} is down for maintenance: start this agent once "
            "`mezzo maintenance stop` has brought it up"
        )


def check_return(state: MasterState, conn: ConnId, message: ReregisterAgent) -> AgentId:
    """The id under which the agent is to be admitted. Raises BadRequest: it must exit."""
    agent_id = message.info.id
    if agent_id is None:
        raise BadRequest("re-registration without an agent id: register instead")
    check_user_id("the agent id", agent_id)
    if agent_id in state.gone_since_s:
        raise BadRequest(
            f"agent {agent_id} was marked gone by an operator: it may come as a new agent, without "
            "`meta` in its work directory"
        )
    if state.agent_of.get(conn, agent_id) != agent_id:
        raise BadRequest(f"this stream is that of agent {state.agent_of[conn]}")
    known = state.agents.get(agent_id)
    lost = state.unreachable.get(agent_id)
    before = known.info if known is not None else lost.info if lost is not None else None
    check_agent(state, message.info)
    if before is not None and before.hostname != message.info.hostname:
        raise BadRequest(
            f"agent {agent_id} was {before.hostname} and says that it is {message.info.hostname}: "
            "give it its old hostname, or a fresh work directory to be a new agent"
        )
    return agent_id
