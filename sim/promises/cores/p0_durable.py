"""What all promises stand on: nothing that the outside has seen can be forgotten by a crash.

A message that tells of a change leaves its process only once the change is on the disk. Messages
that others build on are checked as they leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mezzo.agent.effects import LaunchContainer, Send
from mezzo.cluster.operations import Launch
from mezzo.core import Delete, Output
from mezzo.ids import FrameworkId, TaskId
from mezzo.marathon.events import MasterEvent
from mezzo.marathon.model.instance import Instance
from mezzo.marathon.state.tables import INSTANCES
from mezzo.messages.agent import AgentRegistered, StatusUpdate
from mezzo.messages.scheduler import Accept, Acknowledge, Kill, Subscribed, Update
from mezzo.store.memory import MemoryDisk

from ...daemons.agents import VirtualAgent
from ...daemons.frameworks import VirtualFramework
from ...daemons.marathons import VirtualMarathon
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken


class WhatWasSeenIsDurable(Watch):
    def __init__(self, masters: Sequence[VirtualMaster]) -> None:
        self._master_disk: MemoryDisk = masters[0].process.disk
        self._left: dict[str, None] = {}  # records of agents that have left
        self._ends: dict[bytes, TaskId] = {}  # updates that told Marathon of an end, by uuid

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        for write in output.writes:
            if isinstance(write, Delete) and write.key.startswith("agent/"):
                self._left[write.key] = None

    def master_said(self, master: VirtualMaster, message: Any) -> None:
        key = None
        if isinstance(message, Subscribed):
            key = f"framework/{message.framework_id}"
        elif isinstance(message, AgentRegistered):
            core = master.core
            assert core is not None
            # One may leave again before it hears that it was admitted, and even be back.
            if message.agent_id in core.state.agents:
                key = f"agent/{message.agent_id}"
                key = None if key in self._left else key
        # A deposed master's word is in its own, older state; it carries an old epoch.
        deposed = master.process.epoch != self._master_disk.epoch
        if key is not None and not deposed and key not in self._master_disk.data:
            raise Broken(f"durability: {master.name} tells of {key}, which is not stored")

    def agent_did(self, agent: VirtualAgent, effect: Any) -> None:
        match effect:
            case LaunchContainer(spec=spec):
                self._agent_knows(agent, spec.framework_id, spec.task_id, "launches")
            case Send(message=StatusUpdate(framework_id=framework_id, status=status)):
                self._agent_knows(agent, framework_id, status.task_id, "tells of")

    def _agent_knows(
        self, agent: VirtualAgent, framework_id: FrameworkId, task_id: TaskId, does: str
    ) -> None:
        core = agent.core
        assert core is not None
        if core.state.checkpoint.has_forgotten(framework_id, task_id):
            return  # acknowledged, while this was waiting for an earlier commit
        if f"task/{framework_id}/{task_id}" not in agent.process.disk.data:
            raise Broken(f"durability: {agent.name} {does} {task_id}, which is not stored")

    def marathon_stepped(self, marathon: VirtualMarathon, event: Any, output: Any) -> None:
        if isinstance(event, MasterEvent) and isinstance(event.event, Update):
            status = event.event.status
            record = stored_instance(marathon.process.disk, status.task_id)
            # An agent may speak of what was launched on another one: that is no end.
            own = record is None or status.agent_id in (None, record.agent_id)
            if own and status.uuid is not None and status.state.terminal:
                self._ends[status.uuid] = status.task_id

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:
        if not isinstance(client, VirtualMarathon):
            return
        # A launch that was stored and then held back may leave when another leads, who has given it
        # up: its task is none of the successor's, and is killed. Of a deposed one nothing else may.
        deposed = client.process.epoch != client.process.disk.epoch
        match call:
            case Accept(operations=operations) if not deposed:
                for operation in operations:
                    assert isinstance(operation, Launch)
                    for task in operation.task_infos:
                        if stored_instance(client.process.disk, task.task_id) is None:
                            raise Broken(
                                f"durability: {client.name} launches {task.task_id}, which is not "
                                "stored"
                            )
            case Acknowledge(task_id=task_id, uuid=uuid) if self._ends.get(uuid) == task_id:
                if stored_instance(client.process.disk, task_id) is not None:
                    raise Broken(
                        f"durability: {client.name} acknowledges the end of {task_id}, which its "
                        "store still counts on"
                    )
            case Kill(task_id=task_id):
                record = stored_instance(client.process.disk, task_id)
                if record is not None and not record.doomed:
                    raise Broken(
                        f"durability: {client.name} kills {task_id}, which its store counts on"
                    )


def stored_instance(disk: MemoryDisk, task_id: TaskId) -> Instance | None:
    """The instance in Marathon's store; None: it has ended, or is none of Marathon's."""
    value = disk.data.get(f"instance/{task_id.rpartition('._app.')[0]}")
    return None if value is None else INSTANCES.decode(value)
