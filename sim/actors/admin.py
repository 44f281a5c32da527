"""The admin of a cluster: drains and deactivates agents, marks them gone, plans maintenance, sets
limits and weights, tears frameworks down. In the middle of faults, and at any leader.

When the faults are over everything is taken back, as people do: drains are waited for, machines
that were given up are installed anew.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from mezzo.cluster.amounts import Thousandths
from mezzo.cluster.model import DrainState, MachineId, Unavailability
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.state.machines import MaintenanceRecord
from mezzo.master.state.records import AgentRecord
from mezzo.master.tables import AGENTS, FRAMEWORKS, MAINTENANCE
from mezzo.messages.operator import (
    DeactivateAgent,
    Done,
    DrainAgent,
    MaintenanceSchedule,
    MaintenanceWindow,
    MarkAgentGone,
    OperatorCall,
    OperatorResponse,
    QuotaConfig,
    ReactivateAgent,
    StartMaintenance,
    StopMaintenance,
    Teardown,
    UpdateMaintenanceSchedule,
    UpdateQuota,
    UpdateWeights,
    WeightInfo,
)

from ..daemons.agents import VirtualAgent
from ..daemons.frameworks import SHAPE, Kind, VirtualFramework
from ..daemons.masters import VirtualMaster
from ..watch import Watch
from ..world.disk import Disk
from ..world.world import START_WALL_S, World

_LOOK_S: Final = 3.0
_LIMIT_MAX: Final = 6  # tasks of a role


class Admin(Watch):
    """Acts until `stop`, then takes everything back: `wrong` tells what is left of that.

    Wishes that hold, of calls that were answered and not taken back since:
    off: agents that get no offers. gone: agents that never come back. planned, down: hostnames.
    limits, in thousandths by resource, and weights: by role.

    asked_off, asked_away, torn: all that was ever asked, answered or not: agents to be drained,
    agents and hostnames to be shut down, frameworks to be ended.
    """

    def __init__(
        self,
        world: World,
        masters: Sequence[VirtualMaster],
        agents: Sequence[VirtualAgent],
        frameworks: Sequence[VirtualFramework],
        disk: Disk,
        limited: Sequence[str],
    ) -> None:
        """disk: that of the masters. limited: roles whose limits may change."""
        self.off: dict[AgentId, None] = {}
        self.gone: dict[AgentId, None] = {}
        self.planned: dict[str, None] = {}
        self.down: dict[str, None] = {}
        self.limits: dict[str, dict[str, Thousandths]] = {}
        self.weights: dict[str, float] = {}
        self.asked_off: dict[AgentId, None] = {}
        self.asked_away: dict[str, None] = {}
        self.torn: dict[FrameworkId, None] = {}
        self._world = world
        self._masters = masters
        self._agents = agents
        self._frameworks = frameworks
        self._disk = disk
        self._limited = limited
        self._plans = random.Random(f"plans of {world.seed}")
        self._waits_until_s = 0.0  # no plan begins before that
        self._active = False
        self._calls = 0
        self._latest: dict[str, int] = {}  # by what it is about, the call asked last
        kinds: dict[str, Callable[[], None]] = {
            "deactivate": self._deactivate,
            "reactivate": self._reactivate,
            "drain": self._drain,
            "mark gone": self._mark_gone,
            "maintenance": self._maintenance,
            "limits": self._limit,
            "weights": self._weigh,
            "teardown": self._tear_down,
        }
        busy = world.chance(0.5)
        self._kinds = {name: act for name, act in kinds.items() if busy and world.chance(0.5)}
        # A unique task may run twice if its agent is given up while it runs there.
        self._careful = any(each.kind is Kind.UNIQUE for each in frameworks)
        self.summary = [f"operators: {name}" for name in sorted(self._kinds)]

    def start(self) -> None:
        self._active = True
        if self._kinds:
            self._world.after(self._world.between(2, 30), self._act)

    def stop(self) -> None:
        self._active = False
        self._restore()

    def _act(self) -> None:
        if not self._active:
            return
        name = self._world.rng.choice(list(self._kinds))
        self._world.tell(f"operators: {name}")
        self._kinds[name]()
        self._world.after(self._world.between(2, 25), self._act)

    # ---- asking

    def _ask(self, call: OperatorCall, about: str, done: Callable[[], None] | None = None) -> None:
        """done: called when the call was carried out, and no other was about the same since."""
        leaders = [master for master in self._masters if master.process.up]
        if not leaders:
            return
        self._calls += 1
        number = self._latest[about] = self._calls

        def answered(response: OperatorResponse) -> None:
            if done is not None and isinstance(response, Done) and self._latest[about] == number:
                done()

        self._world.rng.choice(leaders).ask(call, answered)

    def _agent(self) -> AgentId | None:
        """An agent that was admitted and not marked gone; often one that is away."""
        names = {agent.name for agent in self._agents}  # those of impostors are nobody's business
        known = [
            agent_id
            for agent_id, record in self._records()
            if record.condition != "GONE" and record.info.hostname in names
        ]
        here = {agent.id: None for agent in self._agents if agent.process.up}
        away = [agent_id for agent_id in known if agent_id not in here]
        if away and self._world.chance(0.5):
            known = away
        return self._world.rng.choice(known) if known else None

    def _records(self) -> list[tuple[AgentId, AgentRecord]]:
        """The records of agents as the masters have stored them."""
        return [
            (AgentId(key.removeprefix("agent/")), AGENTS.decode(value))
            for key, value in sorted(self._disk.data.items())
            if key.startswith("agent/")
        ]

    # ---- the kinds

    def _deactivate(self) -> None:
        if (id_ := self._agent()) is not None:
            self._ask(DeactivateAgent(id_), f"agent {id_}", lambda: self._is_off(id_))

    def _reactivate(self) -> None:
        if self.off:
            self._take_back(self._world.rng.choice(list(self.off)))

    def _take_back(self, id_: AgentId) -> None:
        self.off.pop(id_, None)
        self._ask(ReactivateAgent(id_), f"agent {id_}")

    def _is_off(self, id_: AgentId) -> None:
        self.off[id_] = None

    def _drain(self) -> None:
        if (id_ := self._agent()) is None:
            return
        grace_s = self._world.rng.choice((None, 0.0, 2.0))
        for_good = self._world.chance(0.2)
        self.asked_off[id_] = None
        if for_good:
            self.asked_away[id_] = None
        self._ask(DrainAgent(id_, grace_s, for_good), f"agent {id_}", lambda: self._is_off(id_))

    def _mark_gone(self) -> None:
        """Mark an agent gone, rarely one that is well."""
        id_ = self._agent()
        if id_ is not None and not self._careful and self._world.chance(0.5):
            self._give_up(id_)

    def _give_up(self, id_: AgentId) -> None:
        self.asked_away[id_] = None
        self._ask(MarkAgentGone(id_), f"agent {id_}", lambda: self._is_gone(id_))

    def _is_gone(self, id_: AgentId) -> None:
        self.gone[id_] = None

    def _maintenance(self) -> None:
        """Plan maintenance for a machine or two, soon let it begin, let it end some time later. Or
        wait until everybody had time to leave, and change the plan meanwhile."""
        if self.down:
            self._end_maintenance(list(self.down))
        elif self.planned and self._plans.random() < 0.3:
            self._plan(list(self.planned))
        elif self.planned:
            self._begin_maintenance()
        else:
            names = [agent.name for agent in self._agents]
            self._plan(self._world.rng.sample(names, min(2, len(names))))
            if self._plans.random() < 0.5:
                self._waits_until_s = self._world.now_s + self._plans.uniform(10, 60)
            self._world.after(self._world.between(0.5, 10), self._begin_maintenance)

    def _plan(self, names: Sequence[str]) -> None:
        window = MaintenanceWindow(
            tuple(MachineId(name) for name in names),
            Unavailability(START_WALL_S + self._world.now_s, 3600.0),
        )

        def is_planned() -> None:
            self.planned = dict.fromkeys(names)

        call = UpdateMaintenanceSchedule(MaintenanceSchedule((window,)))
        self._ask(call, "maintenance", is_planned)

    def _begin_maintenance(self) -> None:
        if self._world.now_s < self._waits_until_s:
            return
        if self.planned and self._active and not self._careful:
            name = self._world.rng.choice(list(self.planned))
            self.asked_away[name] = None
            self._ask(
                StartMaintenance((MachineId(name),)), "maintenance", lambda: self._is_down(name)
            )

    def _is_down(self, name: str) -> None:
        self.down[name] = None

    def _end_maintenance(self, names: Sequence[str]) -> None:
        self.down.clear()
        self.planned.clear()
        self._ask(StopMaintenance(tuple(MachineId(name) for name in names)), "maintenance")

    def _maintained(self) -> MaintenanceRecord:
        value = self._disk.data.get("maintenance/machines")
        return MaintenanceRecord() if value is None else MAINTENANCE.decode(value)

    def _limit(self) -> None:
        if self._limited:
            role = self._world.rng.choice(self._limited)
            amounts = {"cpus": self._world.rng.randint(0, _LIMIT_MAX) * SHAPE.milli("cpus")}
            self._set_limits(role, amounts)

    def _set_limits(self, role: str, amounts: dict[str, Thousandths]) -> None:
        def are_set() -> None:
            self.limits[role] = amounts

        self.limits.pop(role, None)
        call = UpdateQuota((QuotaConfig(role, {}, amounts),), force=True)
        self._ask(call, f"quota {role}", are_set if amounts else None)

    def _weigh(self) -> None:
        role = self._world.rng.choice([each.role for each in self._frameworks] or ["*"])
        weight = self._world.rng.choice((0.5, 1.0, 3.0))

        def is_set() -> None:
            self.weights[role] = weight

        self.weights.pop(role, None)
        self._ask(UpdateWeights((WeightInfo(weight, role),)), f"weight {role}", is_set)

    def _tear_down(self) -> None:
        ids = [each.core.framework_id for each in self._frameworks if each.core is not None]
        if known := [id_ for id_ in ids if id_ is not None]:
            id_ = self._world.rng.choice(known)
            self.torn[id_] = None
            self._ask(Teardown(id_), f"framework {id_}")

    # ---- taking it back

    def _restore(self) -> None:
        """Take wishes back by what is stored, again and again: a leader may die with one."""
        self._restore_names()
        if self.wrong():
            self._restore_machines()
            agents = self._by_id()
            for id_, record in self._records():
                agent = agents.get(id_)
                if record.condition == "GONE":
                    if agent is not None and not agent.gone:
                        agent.renew()
                elif record.deactivated and (agent is None or agent.gone):
                    self._give_up(id_)
                elif record.deactivated and not _drains(record):
                    self._take_back(id_)
        self._world.after(_LOOK_S, self._restore)

    def _restore_names(self) -> None:
        """An agent whose id a liar took, while its machine was away, comes as a new one: so the
        master tells it to."""
        agents = self._by_id()
        for id_, record in self._records():
            agent = agents.get(id_)
            if agent is not None and not agent.gone and record.info.hostname != agent.name:
                agent.renew()

    def _restore_machines(self) -> None:
        record = self._maintained()
        if record.down:
            self._end_maintenance(record.down)
        elif record.schedule.windows:
            self.planned.clear()
            self._ask(UpdateMaintenanceSchedule(MaintenanceSchedule()), "maintenance")
        for role in self._limited:
            if f"quota/{role}" in self._disk.data:
                self._set_limits(role, {})

    def _by_id(self) -> dict[AgentId, VirtualAgent]:
        return {agent_id: agent for agent in self._agents if (agent_id := agent.id) is not None}

    def wrong(self) -> str:
        record = self._maintained()
        if record.down or record.schedule.windows:
            return f"machines are still planned to be away: {record}"
        for role in self._limited:
            if f"quota/{role}" in self._disk.data:
                return f"role {role} still has limits"
        agents = self._by_id()
        for id_, agent_record in self._records():
            agent = agents.get(id_)
            if agent_record.condition == "GONE":
                if agent is not None and not agent.gone:
                    return f"{agent.name} still is {id_}, which was marked gone"
            elif agent_record.deactivated:
                return f"{id_} is still off, {agent_record.drain}"
            elif agent is not None and agent.core is not None and agent.core.view().drain:
                return f"{agent.name} still drains, though its master does not want it to"
        return self._left_behind()

    def _left_behind(self) -> str:
        """Nothing of a framework that was removed runs on."""
        for agent in self._agents:
            for container in agent.machine.running():
                value = self._disk.data.get(f"framework/{container.spec.framework_id}")
                if value is None or FRAMEWORKS.decode(value).unregistered_s is not None:
                    return f"{container.spec.task_id} runs on, its framework was removed"
        return ""


def _drains(record: AgentRecord) -> bool:
    return record.drain is not None and record.drain.state is DrainState.DRAINING
