"""Promises 1 and 4 for operations, which reserve resources and let go of them.

- They take nothing away and make nothing: an agent has in all what its machine has.
- No agent does one twice, or refuses one that it can do.
- An agent forgets the outcome of one that has an id only once its framework has acknowledged it, or
  was removed; in the end all are forgotten.
- In the end the master counts with what the agents have, and waits for no operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mezzo.agent.core import AgentCore
from mezzo.agent.events import MasterSaid
from mezzo.agent.state.facts import Converted
from mezzo.agent.state.tables import RESOURCES
from mezzo.cluster.resources import Disk, Kind, Resources
from mezzo.core import Delete, Output, Put
from mezzo.messages.agent import ApplyOperation, OperationAcknowledged, ShutdownFramework
from mezzo.messages.scheduler import AcknowledgeOperationStatus

from ...daemons.agents import VirtualAgent
from ...daemons.frameworks import VirtualFramework
from ...daemons.marathons import VirtualMarathon
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..calls.p8_exchange import exchange, is_judged, repeats_a_volume


class OperationsAreToldOnce(Watch):
    def __init__(self, masters: Sequence[VirtualMaster], agents: Sequence[VirtualAgent]) -> None:
        self._masters = masters
        self._agents = agents
        self._applied: dict[bytes, AgentCore] = {}  # by which life of an agent
        self._heard: dict[bytes, None] = {}  # outcomes that their frameworks have acknowledged

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:
        if isinstance(call, AcknowledgeOperationStatus):
            self._heard[call.uuid] = None

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        message = event.message if isinstance(event, MasterSaid) else None
        if isinstance(message, ApplyOperation):
            self._apply(agent, message, output)
        for write in output.writes:
            if isinstance(write, Delete) and write.key.startswith("operation/"):
                acknowledged = isinstance(message, OperationAcknowledged) and (
                    message.status_uuid in self._heard
                )
                if not acknowledged and not isinstance(message, ShutdownFramework):
                    raise Broken(f"promise 4: {agent.name} forgets {write.key}, nobody knows of it")
            elif isinstance(write, Put) and write.key == "resources/agent":
                self._converted(agent, RESOURCES.decode(write.value))

    def _apply(self, agent: VirtualAgent, message: ApplyOperation, output: Output[Any]) -> None:
        core = agent.core
        assert core is not None
        if output.writes and self._applied.get(message.uuid) is core:
            raise Broken(f"promise 4: {agent.name} does {message.conversion} once more")
        if output.writes:
            self._applied[message.uuid] = core
            done = any(write.key == "resources/agent" for write in output.writes)
            if not done and _can_do(core, message.conversion):
                raise Broken(f"promise 4: {agent.name} refuses {message.conversion}")

    def _converted(self, agent: VirtualAgent, converted: Converted) -> None:
        total, has = _plain(converted.total), _plain(converted.given)
        if total != has:
            raise Broken(f"promise 1: operations made {total} of {has} of {agent.name}")

    def wrong(self) -> str:
        known = {
            entry.id: entry
            for master in self._masters
            if master.core is not None and master.process.epoch == master.process.disk.epoch
            for entry in master.core.state.agents.values()
        }
        for agent in self._agents:
            if agent.gone or agent.core is None:
                continue
            if left := [key for key in agent.process.disk.data if key.startswith("operation/")]:
                return f"{agent.name} has not got rid of {left}"
            view = agent.core.view()
            entry = known.get(view.agent_id) if view.agent_id is not None else None
            if entry is not None and entry.info.resources != view.resources:
                return (
                    f"{agent.name} has {view.resources}, its master counts with "
                    f"{entry.info.resources}"
                )
            if entry is not None and entry.operations:
                return f"the master still waits for operations of {agent.name}"
        return ""


def _can_do(core: AgentCore, operation: Any) -> bool:
    """Could the agent surely do a refused operation? Then it has in all what it had before."""
    view = core.view()
    change = exchange(operation) if is_judged(operation) else None
    if change is None or repeats_a_volume(view.resources, operation):
        return False
    taken = [kind for task in view.tasks if task.live for kind, _ in task.info.resources.items()]
    if any(change.before.get(kind) is not None for kind in taken):
        return False  # perhaps it is in use
    new = [kind.disk for kind, _ in change.after.items() if kind.disk is not None]
    return change.before <= view.resources and all(map(_has_place, new))


def _has_place(disk: Disk) -> bool:
    """A disk that is one volume may still be cleared of the one before."""
    path, source = disk.container_path or "", disk.source
    inside = ".." not in path.split("/") and path.isprintable()
    return inside and (source is None or (source.type == "PATH" and source.root is not None))


def _plain(resources: Resources) -> Resources:
    """The same resources, all unreserved and without volumes."""
    return Resources.total(
        Resources({kind._replace(reservations=(), disk=_source(kind), shared=False): value})
        for kind, value in resources.items()
    )


def _source(kind: Kind) -> Disk | None:
    source = None if kind.disk is None else kind.disk.source
    return None if source is None else Disk(source)
