"""What all promises stand on: a core knows what it has stored, and stores what it knows.

A life that began now would begin with the same: so a crash at any moment makes no difference.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import fields

from mezzo.agent.core import AgentCore
from mezzo.agent.state.checkpoint import Checkpoint
from mezzo.agent.state.loading import load as load_agent
from mezzo.cluster.resources import Resources
from mezzo.core import Put, Write
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.state.loading import load as load_marathon
from mezzo.master.core import MasterCore
from mezzo.master.loading import load as load_master
from mezzo.master.state.master_state import MasterState
from mezzo.master.state.records import AgentRecord
from mezzo.record import replace

from ...world.watched import Broken

_Picture = Mapping[str, object]


class Stored:
    """Of one core: what its store holds once all that it has wanted written is written."""

    def __init__(self, name: str, stored: Mapping[str, bytes]) -> None:
        """`stored`: what it has read. Nobody else writes, and no term before it any more."""
        self._name = name
        self._stored = dict(stored)

    def wrote(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if isinstance(write, Put):
                self._stored[write.key] = write.value
            else:
                self._stored.pop(write.key, None)

    def look_at_master(self, core: MasterCore) -> None:
        anew = MasterState.new(core.state.config, core.state.epoch, random.Random(0))
        load_master(anew, self._stored)
        self._same(_master_state(core.state), _master_state(anew))

    def look_at_agent(self, core: AgentCore) -> None:
        self._same(_checkpoint(core.state.checkpoint), _checkpoint(load_agent(self._stored)))

    def look_at_marathon(self, core: MarathonCore) -> None:
        aside = core.state.aside
        # Once the app is there again, an instance that was set aside for want of it can be read.
        stored = {key: value for key, value in self._stored.items() if key not in aside}
        self._same(_marathon(core), _of_marathon(stored))

    def _same(self, known: _Picture, anew: _Picture) -> None:
        for what, value in known.items():
            if value != anew[what]:
                raise Broken(
                    f"durability: {self._name} knows {what} as {value}, its next life would know "
                    f"{anew[what]}"
                )


def _checkpoint(checkpoint: Checkpoint) -> _Picture:
    ended, applied = checkpoint.ended, checkpoint.applied
    return {each.name: getattr(checkpoint, each.name) for each in fields(checkpoint)} | {
        "ended": (list(ended._keys), ended._count),
        "applied": (list(applied._keys), applied._count),
    }


def _marathon(core: MarathonCore) -> _Picture:
    state = core.state
    return {
        "its framework": state.framework_id,
        "apps": state.apps,
        "versions": {app_id: kept for app_id, kept in state.versions.items() if kept},
        "instances": {live.id: live.record for live in state.by_id.values()},
        "deployments": {each.plan.id: each.plan for each in state.running.values()},
    }


def _of_marathon(stored: Mapping[str, bytes]) -> _Picture:
    loaded = load_marathon(stored)
    return {
        "its framework": loaded.framework_id,
        "apps": loaded.apps,
        "versions": loaded.versions,
        "instances": {record.id: record for record in loaded.instances},
        "deployments": {plan.id: plan for plan in loaded.plans},
    }


def _master_state(state: MasterState) -> _Picture:
    return {
        "agents": {a.id: _bare(a.record) for a in state.agents.values()},
        "unreachable agents": {a.id: _bare(a.record) for a in state.unreachable.values()},
        "gone agents": state.gone_since_s,
        "frameworks": {f.id: f.stored for f in state.frameworks.values()},
        "completed frameworks": {f.id: f.stored for f in state.completed.values()},
        "weights": state.weights,
        "quotas": state.quotas,
        "maintenance": state.machines.record,
    }


def _bare(record: AgentRecord) -> AgentRecord:
    """Without the resources: what operations make of them only the agent remembers."""
    return replace(record, info=replace(record.info, resources=Resources()))
