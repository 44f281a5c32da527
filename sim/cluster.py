"""One virtual cluster under faults, then healed: safety at every step, progress at the end."""

from __future__ import annotations

import random
from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from mezzo.cluster.model import Attribute, Capability, MasterInfo
from mezzo.cluster.resources import Resources
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.model.app import App
from mezzo.marathon.state.tables import DEPLOYMENTS, INSTANCES
from mezzo.master.config import MasterConfig
from mezzo.messages.operator import Done, OperatorResponse, QuotaConfig, UpdateQuota
from mezzo.record import replace

from .actors.admin import Admin
from .actors.ailments import Ailments
from .actors.app_owner import JOB, Operator, app_of, apps_on
from .actors.keepers import ROLE as KEEPERS
from .actors.keepers import VAULT, Steward, VirtualKeeper
from .actors.places import FAR, Listing, Map, Stray
from .actors.planners import VirtualPlanner
from .daemons.agents import Tidiness, VirtualAgent
from .daemons.askers import asker
from .daemons.containers import Container, Machine
from .daemons.frameworks import BATCH_WIDTH, SHAPE, Kind, VirtualFramework
from .daemons.marathons import VirtualMarathon
from .daemons.masters import VirtualMaster
from .faults.drill import Drill
from .faults.fault_mix import MACHINES_MIN, Faults, Victims
from .hostile.cast import Cast
from .hostile.people import ODD
from .promises import (
    AbsencesAreAnnounced,
    AgentsAskHowTasksAre,
    AgentsKeepTheirWord,
    AgentsRunWhatTheyCan,
    CallsAreAnswered,
    ConstraintsAreKept,
    CoresAreInOrder,
    CyclesKeepQuota,
    EndsAreToldAsTheyWere,
    EndsAreToldOnce,
    EveryNoIsExplained,
    FeedbackIsPassedOn,
    HealthHasConsequences,
    KillsAreAsAsked,
    LaunchesAreAsAsked,
    LedgersAddUp,
    LimitsAreKept,
    MembersAreKnown,
    NobodyStarves,
    NoMoreThanIsWanted,
    NothingIsForgotten,
    NothingPromisedTwice,
    NothingRunsTwice,
    OffersAreOfUse,
    OffersAreWanted,
    OperationsAreToldOnce,
    OperatorsAreObeyed,
    OrdersAreCarriedOut,
    PlacesAreKept,
    PlansAreKept,
    QuestionsAreAsked,
    ReadsAreTrue,
    RefusalsHold,
    SandboxesGo,
    TasksGoWithTheirAgents,
    TheDeposedChangeNothing,
    UpdatesArePassedOn,
    VersionsAreKept,
    VolumesAreThere,
    WhatIsShownIsSo,
    WhatMakesNoSenseIsLeftAlone,
    WhatRunsRunsOn,
    WhatWasSeenIsDurable,
    WhoAsksIsTold,
    WhoHasLeastIsFirst,
    WishesAreAnswered,
)
from .promises.marathon.marathon_books import Books
from .watch import Watch, Watchers
from .world.disk import Disk
from .world.network import Network
from .world.sessions import Election
from .world.watched import Broken
from .world.world import World

# After the last fault: ping timeouts, Marathon's reconciliation (600 s) and its unreachable job
# must have had their turn.
HEAL_S: Final = 1500.0
# Once everybody is there: what takes longer was forgotten, and is found again by a timer that is
# there for the worst. The rarest that is not: the master is asked for what it could not tell.
FORGOTTEN_S: Final = 100.0
_QUOTA_EVERY_S: Final = 20.0
_LOOK_S: Final = 5.0
_STABLE_LOOKS: Final = 4
_STARVES_S: Final = 30.0
_VAULTS: Final = 0.35  # of all clusters
_STEPS_MAX: Final = 1_000_000  # a hundred times what a seed takes
_IDLE_AWAY: Final = 1000  # as a default: see MasterConfig
_SERVICES: Final = "services"  # Marathon's role, if it has one of its own
# 4 apps at twice their size during an upgrade, half a cpu each, for each agent.
_UNITS_OF_APPS: Final = 8
_AGENT_HAS: Final = Resources.of(cpus=6, mem=2048, disk=1000, ports=[(31000, 31100)])


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a cluster is. batch, hoarders and so on: frameworks beside Marathon.

    None: the seed draws it.
    """

    masters: int = 3
    marathons: int = 2
    agents: int | None = None
    batch: int | None = None
    hoarders: int | None = None
    unique: int | None = None
    gluttons: int | None = None
    reservers: int | None = None
    hostile: bool | None = None
    vault: bool | None = None
    regions: bool | None = None
    planners: bool | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did. `faults` are the kinds that the seed drew."""

    seed: int
    steps: int
    containers: int
    changes: int
    healed_in_s: float
    faults: tuple[str, ...]


def _tidiness(seed: int) -> Tidiness | None:
    """Of a quarter of all clusters: what is left behind goes while somebody looks."""
    rng = random.Random(f"tidiness of {seed}")
    if rng.random() < 0.75:
        return None
    return Tidiness(rng.uniform(1, 20), rng.choice((5.0, 30.0, 120.0)))


def _batch_forgets(seed: int) -> bool:
    """Of some clusters: its tasks end with their agents."""
    return random.Random(f"batch of {seed}").random() < 0.25


def _small_steps(seed: int) -> bool:
    """Of some clusters: whatever writes much has to go on in another step, and another."""
    return random.Random(f"steps of {seed}").random() < 0.2


def _idle_away(seed: int) -> int:
    """How many may be away that have nothing. Of some clusters so few that some are given up."""
    rng = random.Random(f"away of {seed}")
    return rng.randint(0, 2) if rng.random() < 0.2 else _IDLE_AWAY


def _plans(seed: int) -> bool:
    """Does somebody declare what it wants?"""
    return random.Random(f"planner of {seed}").random() < 0.25


def _master_config(
    seed: int, offer_timeout_s: float, places: Map
) -> Callable[[MasterInfo], MasterConfig]:
    def made(info: MasterInfo) -> MasterConfig:
        config = MasterConfig(
            replace(info, domain=places.domain),
            offer_timeout_s=offer_timeout_s,
            require_agent_domain=places.strict,
            max_idle_frameworks_away=_idle_away(seed),
        )
        return replace(config, step_writes=2) if _small_steps(seed) else config

    return made


def _marathon_config(seed: int, role: str) -> MarathonConfig:
    """Of some the limits are so tight that most of what is to be done has to wait. Drawn by
    itself: a seed's cluster is the same with them as without."""
    rng = random.Random(f"limits of {seed}")
    prefix = random.Random(f"prefix of {seed}").choice((None, None, "M_"))
    few = random.Random(f"versions of {seed}").choice((50, 50, 3, 1))
    common = MarathonConfig(mesos_role=role, env_vars_prefix=prefix, max_versions=few)
    if few == 3:
        common = replace(common, max_running_deployments=2)
    if _small_steps(seed):
        common = replace(common, step_bytes=3000)
    if rng.random() < 0.7:
        return common
    return replace(
        common,
        launch_tokens=rng.randint(1, 3),
        kill_chunk_size=rng.randint(1, 2),
        max_instances_per_offer=rng.randint(1, 5),
    )


class Cluster(Watch):
    """A run is a pure function of the seed and the shape."""

    def __init__(self, seed: int, shape: Shape = Shape()) -> None:
        world = self.world = World(seed, steps_max=_STEPS_MAX)
        rng = world.rng
        self.network = Network(world)
        self.master_disk, self.marathon_disk = Disk(), Disk()
        self.masters_elect = Election(world, self.master_disk)
        self.marathons_elect = Election(world, self.marathon_disk)
        self.containers = 0
        count = rng.randint(1, 6) if shape.agents is None else shape.agents
        batch = world.chance(0.7) if shape.batch is None else shape.batch
        hoarders = world.chance(0.5) if shape.hoarders is None else shape.hoarders
        unique = world.chance(0.4) if shape.unique is None else shape.unique
        # Without guarantees one that takes everything leaves nothing to anybody, as it may.
        own_roles = world.chance(0.6)
        guaranteed = own_roles and world.chance(0.7)
        gluttons = (world.chance(0.6) and guaranteed) if shape.gluttons is None else shape.gluttons
        # What is reserved is not there for what was guaranteed to others.
        reserves = not guaranteed and world.chance(0.4)
        reservers = reserves if shape.reservers is None else shape.reservers
        hostile = world.chance(0.5) if shape.hostile is None else shape.hostile
        # Drawn by itself: a seed without one is the same as before there were any.
        drawn = random.Random(f"vault of {seed}").random() < _VAULTS
        vault = drawn if shape.vault is None else shape.vault
        offer_timeout_s = rng.choice((20.0, 300.0))
        places = Map(seed, regions=shape.regions)
        self._regions = places.domain is not None
        # What is guaranteed would be kept free in the other region as well, where few may have it.
        far = places.domain is not None and not guaranteed
        watch = self._watch = Watchers()
        self.ailments = Ailments(world)
        self.masters = [
            VirtualMaster(
                self.network,
                f"master{i}",
                self.master_disk,
                self.masters_elect,
                watch.master_stepped,
                _master_config(seed, offer_timeout_s, places),
            )
            for i in range(shape.masters)
        ]
        servers = {master.name: master for master in self.masters}
        self.agents = [
            VirtualAgent(
                self.network,
                name,
                has,
                Machine(
                    world,
                    name,
                    watch.container_started,
                    watch.container_ended,
                    watch.machine_woke,
                ),
                servers.get,
                watch.agent_stepped,
                (
                    Attribute("rack", text=f"r{i % 2}"),
                    Attribute("generation", scalar=2),
                    Attribute("zone", text="z"),
                ),
                self.ailments.examine,
                f"fd00::{i}" if i % 3 == 0 else f"10.0.0.{i}",
                _tidiness(seed),
                FAR if name == "far" else places.near(),
            )
            for i, (name, has) in enumerate(
                [
                    *((f"agent{i}", _AGENT_HAS) for i in range(count)),
                    *[("far", _AGENT_HAS)] * far,
                    *[("vault", VAULT)] * vault,
                ]
            )
        ]
        self.marathons = [
            VirtualMarathon(
                self.network,
                f"marathon{i}",
                self.marathon_disk,
                self.marathons_elect,
                servers.get,
                watch,
                _marathon_config(seed, _SERVICES if own_roles else "*"),
                self.ailments.examine,
            )
            for i in range(shape.marathons)
        ]
        kinds = [
            *[Kind.BATCH] * batch,
            *[Kind.HOARDER] * hoarders,
            *[Kind.UNIQUE] * unique,
            *[Kind.GLUTTON] * gluttons,
            *[Kind.RESERVER] * reservers,
        ]
        self.frameworks = [
            VirtualFramework(
                self.network,
                f"{kind}{i}",
                kind if own_roles or kind is Kind.RESERVER else "*",
                kind,
                watch,
                servers.get,
                asker(f"{kind}{i}", seed, hostile=hostile),
                forgetful=kind is Kind.BATCH and _batch_forgets(seed),
            )
            for i, kind in enumerate(kinds)
        ]
        for framework in self.frameworks:
            if places.is_aware():
                framework.abilities = (Capability.REGION_AWARE,)
        self._keepers = [VirtualKeeper(self.network, watch, servers.get)] if vault else []
        self.frameworks += self._keepers
        if _plans(seed) if shape.planners is None else shape.planners:
            asks = asker("planner", seed, hostile=hostile)
            self.frameworks.append(VirtualPlanner(self.network, watch, servers.get, asks))
        self._stewards = (
            [Steward(world, self.masters, lambda: self.agents[-1].id)]
            if vault and random.Random(f"steward in {seed}").random() < 0.6
            else []
        )
        role = _SERVICES if own_roles else "*"
        self.listing = Listing(world, self.masters, [agent.name for agent in self.agents])
        self._strays = [Stray(self.network, places, servers.get, seed)] if places.strays else []
        self.cast = Cast(
            self.network,
            watch,
            servers.get,
            (self.master_disk, self.marathon_disk),
            role,
            hostile=hostile,
        )
        self.frameworks += self.cast.frameworks
        # What is guaranteed must be so before one comes who leaves nothing.
        self._after_quotas = [each for each in self.frameworks if each.kind is Kind.GLUTTON]
        self.victims = Victims(
            self.masters,
            self.agents,
            self.marathons,
            self.frameworks,
            (self.master_disk, self.marathon_disk),
        )
        for process in self.victims.processes:
            process.on_commit = watch.committed
        for master in self.masters:
            master.on_said = watch.master_said
            master.process.about_to = partial(watch.master_steps, master)
        for agent in self.agents:
            agent.on_effect = watch.agent_did
        for client in (
            *self.victims.clients,
            *(each.client for each in self.cast.agents),
            *(each.client for each in self._strays),
        ):
            self.masters_elect.watch(client.leader_is)
        self.faults = Faults(world, self.network, self.victims, self.masters_elect)
        machines = [agent.machine for agent in self.agents]
        # What is guaranteed must fit also when a machine is lost.
        most = count if len(self.agents) < MACHINES_MIN else count - 1
        self.operator = Operator(
            world, self.marathons, self.marathon_disk, machines, max(1, most), role
        )
        guaranteed_roles = (_SERVICES, Kind.BATCH, Kind.UNIQUE) if guaranteed else ()
        own = dict.fromkeys(each.role for each in self.frameworks) if own_roles else {}
        limited = [each for each in own if each not in (*guaranteed_roles, KEEPERS)]
        self.admin = Admin(
            world, self.masters, self.agents, self.frameworks, self.master_disk, limited
        )
        self._quotas: tuple[QuotaConfig, ...] = ()
        if guaranteed:
            units = {_SERVICES: _UNITS_OF_APPS * most, Kind.BATCH: BATCH_WIDTH, Kind.UNIQUE: 1}
            self._quotas = tuple(
                QuotaConfig(each, {name: n * SHAPE.milli(name) for name in ("cpus", "mem")})
                for each, n in units.items()
            )
        # Who holds the last offer that it has keeps it until it times out. If that is all there is
        # it may have the next turn as well: others had more grants meanwhile, of small pieces.
        turns = 2 if hoarders >= count else 1
        self._forgotten_s = FORGOTTEN_S + (turns * offer_timeout_s if hoarders else 0.0)
        starves_s = _STARVES_S + (offer_timeout_s if hoarders >= count else 0.0)
        by_name = {agent.name: agent for agent in self.agents}
        forgetful = ChainMap(*(each.framework_ids for each in self.frameworks if each.forgetful))
        # Whose tasks are forgotten with their agents counts as having nothing, and is given up.
        crowded = _idle_away(seed) < _IDLE_AWAY
        fickle = ChainMap(self.cast.framework_ids, *(forgetful.maps if crowded else ()))
        self.survival = WhatRunsRunsOn(ChainMap(self.cast.framework_ids, *forgetful.maps))
        self.drill = Drill(world, self.network, self.victims, self.survival)
        kept = PlacesAreKept(self.listing.listed, [agent.name for agent in self.agents])
        watch.begin(
            (
                self.admin,
                self,
                self.ailments,
                OperatorsAreObeyed(self.admin, by_name, fickle),
                WhatWasSeenIsDurable(self.masters),
                CoresAreInOrder(),
                NothingPromisedTwice(by_name),
                NothingIsForgotten(world, offer_timeout_s),
                NothingRunsTwice(self.agents, self.cast.framework_ids),
                self.survival,
                EndsAreToldOnce(world, self.agents, self.cast.framework_ids),
                AgentsKeepTheirWord(world),
                AgentsRunWhatTheyCan(world),
                EndsAreToldAsTheyWere(),
                MembersAreKnown(),
                AgentsAskHowTasksAre(world),
                OperationsAreToldOnce(self.masters, self.agents),
                VolumesAreThere(self.agents),
                SandboxesGo(world, self.agents),
                TasksGoWithTheirAgents(forgetful),
                UpdatesArePassedOn(),
                TheDeposedChangeNothing(),
                LimitsAreKept(self.admin),
                LedgersAddUp(),
                CyclesKeepQuota(),
                ConstraintsAreKept(),
                self.listing,
                kept,
                OffersAreOfUse(),
                WhoHasLeastIsFirst(),
                NobodyStarves(
                    *(world, self.masters, self.marathons, self.frameworks, starves_s),
                    guaranteed=guaranteed,
                ),
                EveryNoIsExplained(world, self.masters, self.marathons, kept),
                WhoAsksIsTold(seed),
                ReadsAreTrue(),
                RefusalsHold(),
                NoMoreThanIsWanted(),
                CallsAreAnswered(),
                AbsencesAreAnnounced(),
                FeedbackIsPassedOn(),
                WishesAreAnswered(),
                Books(
                    (
                        LaunchesAreAsAsked(),
                        KillsAreAsAsked(),
                        HealthHasConsequences(),
                        OrdersAreCarriedOut(),
                        PlansAreKept(),
                        OffersAreWanted(),
                        QuestionsAreAsked(),
                        VersionsAreKept(),
                        WhatIsShownIsSo(),
                        WhatMakesNoSenseIsLeftAlone(world),
                    )
                ),
                *self.cast.watchers(self.masters, self.marathons),
            )
        )

    def start(self) -> None:
        """Everything is switched on."""
        for candidate in self.victims.candidates:
            candidate.stand()
        for agent in self.agents:
            agent.start()
        for framework in self.frameworks:
            if framework not in self._after_quotas:
                framework.start()
        if self._quotas:
            self._set_quotas()

    def _set_quotas(self) -> None:
        """Again and again: a leader may die with the wish, and it changes nothing twice."""
        leader = next((master for master in self.masters if master.process.up), None)
        if leader is not None:
            leader.ask(UpdateQuota(self._quotas, force=True), self._quotas_are_set)
        self.world.after(_QUOTA_EVERY_S, self._set_quotas)

    def _quotas_are_set(self, response: OperatorResponse) -> None:
        assert isinstance(response, Done), response
        waiting, self._after_quotas = self._after_quotas, []
        for framework in waiting:
            framework.start()

    def run(self) -> Report:
        """Raises Broken, or what a core raised: then `world.story()` tells what came before."""
        world = self.world
        self.faults.start()
        self.start()
        self.operator.start()
        self.admin.start()
        self.cast.start()
        self.listing.start()
        for stray in self._strays:
            stray.start()
        for steward in self._stewards:
            steward.start()
        world.run(until_s=self.faults.last_s + world.between(0, 180))
        self.operator.stop()
        self.faults.stop()
        self.ailments.stop()
        self.admin.stop()
        self.cast.stop()
        self.listing.stop()
        for keeper in self._keepers:
            keeper.tire()
        for framework in self.frameworks:
            if framework.asker is not None:
                framework.asker.over = True
        for steward in self._stewards:
            steward.stop()
        healed_in_s = self.heal()
        # More than a small task leaves behind; but a glutton leaves only such pieces.
        glutton = any(framework.kind is Kind.GLUTTON for framework in self.frameworks)
        self.operator.surge(cpus=0.5 if glutton else 1.5)
        self.heal()
        self.drill.run()
        self.heal()
        return Report(
            world.seed,
            world.steps,
            self.containers,
            self.operator.answered,
            healed_in_s,
            (
                *self.faults.summary,
                *self.faults.moments.summary,
                *self.ailments.summary,
                *self.admin.summary,
                *self.cast.summary,
                *(["a vault"] if self._keepers else []),
                *(["regions"] if self._regions else []),
                *(["a list of hosts"] if self.listing.kept else []),
            ),
        )

    def heal(self) -> float:
        """Promise 6: without faults every app reaches its target, with nobody's help.

        Returns how many seconds that took.
        """
        began_s = able_since_s = self.world.now_s
        stable = 0
        while stable < _STABLE_LOOKS:
            self.world.run(self.world.now_s + _LOOK_S)
            wrong = self._watch.wrong()
            if not (late := self.wrong()) or self._excuse():
                able_since_s = self.world.now_s
            elif self.world.now_s - able_since_s > self._forgotten_s:
                raise Broken(
                    f"promise 6: for {self._forgotten_s:.0f} s nothing has been in the way, and "
                    f"still {late}"
                )
            stable = 0 if wrong else stable + 1
            if self.world.now_s - began_s > HEAL_S:
                raise Broken(f"promise 6: {HEAL_S:.0f} s after the last fault: {wrong}")
        return self.world.now_s - began_s - _STABLE_LOOKS * _LOOK_S

    def _excuse(self) -> str:
        """Why apps may be late: who is not there, or not heard of yet."""
        leader = next((m for m in self.masters if m.process.leads), None)
        marathon = next((m for m in self.marathons if m.process.leads), None)
        if leader is None or leader.core is None or marathon is None or marathon.core is None:
            return "nobody leads"
        for agent in self.agents:
            if not agent.gone and not agent.process.up:
                return f"{agent.name} is down"
        state = leader.core.state
        for entry in state.agents.values():
            if not entry.connected:
                return f"{entry.info.hostname} is away"
        framework_id = marathon.core.state.framework_id
        framework = None if framework_id is None else state.frameworks.get(framework_id)
        if framework is None or framework.conn is None or framework.admission is not None:
            return "Marathon is not subscribed"
        if state.allocator.paused:
            return "nothing is offered"
        return self.admin.wrong()

    # ---- what it watches itself

    def container_started(self, machine: Machine, container: Container) -> None:
        self.containers += 1

    def wrong(self) -> str:
        for marathon in self.marathons:
            if marathon.process.leads and not marathon.ready:
                return f"{marathon.name} leads and answers nobody"
        apps = apps_on(self.marathon_disk)
        running: dict[str, int] = {}
        for agent in self.agents:
            for container in agent.machine.running():
                app_id = app_of(container.spec)
                if app_id is not None:
                    running[app_id] = running.get(app_id, 0) + 1
        apps.pop(ODD, None)  # its owner has it removed
        for app_id, app in apps.items():
            count = running.pop(app_id, 0)
            restarting = app_id == JOB
            if count > app.instances or (count < app.instances and not restarting):
                return f"{app_id} has {count} containers, its target is {app.instances}"
        if old := self._old(apps):
            return f"an upgrade has left {old}"
        if running:
            return f"containers run that belong to no app: {running}"
        for key, value in self.marathon_disk.data.items():
            if key.startswith("instance/"):
                instance = INSTANCES.decode(value)
                if instance.doomed and instance.app_id != JOB:
                    return f"{instance.id} is to end, and does not"
            # Of a job that ends again and again never all instances run at the same time.
            if key.startswith("deployment/") and JOB not in DEPLOYMENTS.decode(value).app_ids:
                return f"deployments do not end: {key}"
        return ""

    def _old(self, apps: dict[str, App]) -> list[str]:
        """What still runs in an older version than it should."""
        return [
            container.spec.task_id
            for agent in self.agents
            for container in agent.machine.running()
            if (app := apps.get(app_of(container.spec) or "")) is not None
            and app.id != JOB
            and app.id not in self.operator.mixed
            and dict(container.spec.env).get("CHANGE") != app.env.get("CHANGE")
        ]
