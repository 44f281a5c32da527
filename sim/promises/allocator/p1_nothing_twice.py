"""Promise 1: no resource is ever promised twice.

Offered + allocated <= total, per agent and resource, at every step, and the allocator's books say
the same; what really runs on a machine fits it.

Checked is what a step has touched, as its event and its effects tell; now and then, and when a term
ends, everything, in case a step has touched more than it showed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mezzo.agent.events import MasterSaid
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.core import Output, TimerFired
from mezzo.ids import AgentId, ConnId, FrameworkId, OfferId, TaskId
from mezzo.master.core import MasterCore
from mezzo.master.effects import ToAgent, ToFramework
from mezzo.master.events import AgentSaid, FrameworkSaid, StreamClosed
from mezzo.master.state.agent_entry import AgentEntry, Standing
from mezzo.master.timers import (
    AllocationDue,
    CycleDue,
    HeartbeatDue,
    OfferTimeout,
    OperatorHeartbeatDue,
    PingsDue,
    RegistryGcDue,
    ViewsDue,
)
from mezzo.messages.agent import AgentReregistered, Ping, Pong, ShutdownFramework
from mezzo.messages.scheduler import (
    Accept,
    Acknowledge,
    Decline,
    Heartbeat,
    Kill,
    Offers,
    Reconcile,
    Rescind,
    Revive,
    Suppress,
    Update,
)

from ...daemons.agents import VirtualAgent
from ...daemons.containers import Container, Machine
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from .sums import alone

_PORTS: Final = ("PORTS", "M_PORTS")  # with the prefix that some Marathons give them
_ALL_EVERY: Final = 500  # steps
_UNTOLD: Final = frozenset({TaskState.STAGING, TaskState.UNREACHABLE})
_QUIET_TIMERS: Final = (HeartbeatDue, OperatorHeartbeatDue, ViewsDue, RegistryGcDue)


class _Seen:
    """What one term's steps have shown: which agent an offer or a stream is of."""

    def __init__(self) -> None:
        self.steps = 0
        self.offers: dict[OfferId, AgentId] = {}
        self.agents: dict[ConnId, AgentId] = {}
        self.asked: dict[tuple[FrameworkId, TaskId], None] = {}  # of agents that were away


class NothingPromisedTwice(Watch):
    def __init__(self, agents: dict[str, VirtualAgent]) -> None:
        """agents: by machine."""
        self._agents = agents
        self._seen: dict[str, tuple[MasterCore, _Seen]] = {}
        self._removed: dict[FrameworkId, None] = {}  # agents were told to end their tasks

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        if isinstance(event, MasterSaid) and isinstance(event.message, ShutdownFramework):
            self._removed[event.message.framework_id] = None

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        if master.process.epoch != master.process.disk.epoch:
            return  # deposed: what it promises is worth nothing, agents do not obey it
        core = master.core
        assert core is not None
        have = self._seen.get(master.name)
        if have is None or have[0] is not core:
            have = self._seen[master.name] = (core, _Seen())
        seen = have[1]
        seen.steps += 1
        for effect in output.effects:
            if isinstance(effect, ToAgent) and isinstance(effect.message, AgentReregistered):
                asked = effect.message.reconcile
                seen.asked.update(((each.framework_id, each.task_id), None) for each in asked)
        touched = None if seen.steps % _ALL_EVERY == 0 else _touched(core, seen, event, output)
        if isinstance(event, StreamClosed):
            _nothing_hangs_on(core, event.conn)
        agents = core.state.agents
        if touched is None:
            touched = dict.fromkeys(agents)
        for agent_id in touched:
            if agent_id in agents:
                honest = agents[agent_id].info.hostname in self._agents
                _check(core, agents[agent_id], seen, honest=honest)

    def container_started(self, machine: Machine, container: Container) -> None:
        taken = [port for each in machine.running() for port in _ports(each)]
        if len(set(taken)) < len(taken):
            raise Broken(f"promise 1: on {machine.name} two containers use one of ports {taken}")
        total = self._agents[machine.name].resources
        # As in Mesos, what a removed framework has is free at once for the master, while its
        # containers have their grace.
        running = [
            each
            for each in machine.running()
            if each.dies_at_s is None or each.spec.framework_id not in self._removed
        ]
        cpus = sum(each.spec.cpus for each in running)
        mem_mib = sum(each.spec.mem_mib for each in running)
        if cpus > total.cpus + 1e-6 or mem_mib > total.mem_mib + 1e-6:
            raise Broken(
                f"promise 1: {machine.name} has {total.cpus} cpus and {total.mem_mib} MiB, "
                f"{cpus} and {mem_mib} are in use"
            )


def _ports(container: Container) -> list[str]:
    """Those on the host, as Marathon tells its tasks."""
    told = next((value for name, value in container.spec.env if name in _PORTS), "")
    return told.split(",") if told else []


def _touched(
    core: MasterCore,
    seen: _Seen,
    event: Any,
    output: Output[Any],
) -> Iterable[AgentId] | None:
    """None: it may be any."""
    found: dict[AgentId, None] = {}
    match event:
        case AgentSaid(message=Pong()):
            return ()
        case AgentSaid(conn=conn):
            if conn in core.state.agent_of:
                seen.agents[conn] = core.state.agent_of[conn]
            if conn in seen.agents:
                found[seen.agents[conn]] = None
        case FrameworkSaid(call=Accept(offer_ids=ids) | Decline(offer_ids=ids)):
            found.update((seen.offers[i], None) for i in ids if i in seen.offers)
        case FrameworkSaid(call=Acknowledge(agent_id=agent_id)):
            found[agent_id] = None
        case FrameworkSaid(call=Kill() | Reconcile() | Revive() | Suppress()):
            pass  # as above
        case TimerFired(key=key) if type(key) in _QUIET_TIMERS:
            return ()
        case TimerFired(key=OfferTimeout() | AllocationDue() | CycleDue() | PingsDue()):
            pass  # what they do shows in their effects
        case _:
            return None
    for effect in output.effects:
        match effect:
            case ToAgent(message=Ping()) | ToFramework(event=Heartbeat()):
                pass
            case ToAgent(conn=conn):
                if conn in core.state.agent_of:
                    found[core.state.agent_of[conn]] = None
            case ToFramework(event=Offers(offers=offers)):
                for offer in offers:
                    seen.offers[offer.id] = offer.agent_id
                    found[offer.agent_id] = None
            case ToFramework(event=Rescind(offer_id=offer_id)):
                if offer_id in seen.offers:
                    found[seen.offers[offer_id]] = None
            case ToFramework(event=Update(status=status)):
                if status.agent_id is not None:
                    found[status.agent_id] = None
    return found


def _nothing_hangs_on(core: MasterCore, conn: ConnId) -> None:
    """A stream has ended: who is at its end can be promised nothing."""
    agents = [agent.id for agent in core.state.agents.values() if agent.conn == conn]
    frameworks = [each.id for each in core.state.frameworks.values() if each.conn == conn]
    if agents or frameworks:
        raise Broken(
            f"promise 1: {agents + frameworks} counts as connected, but its stream has ended"
        )


def _check(core: MasterCore, agent: AgentEntry, seen: _Seen, *, honest: bool) -> None:
    state = core.state
    for offer_id in agent.offers:
        framework = state.frameworks[state.offers[offer_id].framework_id]
        if not agent.connected or agent.record.deactivated or framework.conn is None:
            is_ = "deactivated" if agent.record.deactivated else agent.standing
            raise Broken(
                f"promise 1: {offer_id} promises what nobody can use: {agent.id} is {is_}, "
                f"{framework.info.name} has stream {framework.conn}"
            )
    if agent.standing is Standing.RECOVERED:
        return
    offered = Resources.total(state.offers[offer].resources for offer in agent.offers)
    allocated = Resources.total(
        entry.info.resources for entry in agent.tasks.values() if entry.holds_resources
    ) + Resources.total(executor.info.resources for executor in agent.executors.values())
    total = agent.info.resources
    if gone := [kind for kind, _ in offered.items() if kind.shared and total.get(kind) is None]:
        raise Broken(f"promise 1: {agent.id} has {total}, offered {gone}")
    offered, allocated, total = alone(offered), alone(allocated), alone(total)
    if not honest and not allocated <= total:
        return  # it tells of tasks for which it does not have enough: its own loss
    if not offered + allocated <= total and offered + alone(_certain(agent, seen)) <= total:
        return
    if not offered + allocated <= total or offered.overlaps(allocated):
        raise Broken(f"promise 1: {agent.id} has {total}, offered {offered}, allocated {allocated}")
    free = alone(state.allocator.available(agent.id))
    if free != total - (offered + allocated):
        raise Broken(
            f"promise 1: the allocator takes {free} of {agent.id} for free, but free is "
            f"{total - (offered + allocated)}"
        )


def _certain(agent: AgentEntry, seen: _Seen) -> Resources:
    """What is allocated without tasks that the agent, back again, has not told of. It never heard
    of their launch, perhaps not even of what was reserved for them: it is asked, and its answer
    ends them."""
    return Resources.total(
        entry.info.resources
        for key, entry in agent.tasks.items()
        if entry.holds_resources and not (key in seen.asked and entry.state in _UNTOLD)
    )
