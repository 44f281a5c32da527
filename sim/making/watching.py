"""Who looks at every step of a cluster, and at what comes of it: all promises."""

from __future__ import annotations

from collections import ChainMap
from typing import Final

from ..hostile.people import ODD
from ..promises import (
    AbsencesAreAnnounced,
    AgentsAskHowTasksAre,
    AgentsKeepTheirWord,
    AgentsRunWhatTheyCan,
    AppsReachTheirTargets,
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
from ..promises.marathon.marathon_books import Books
from ..watch import Watch
from .drawn_configs import gives_up_who_is_away
from .fleet import Fleet
from .ground import Ground
from .population import Population
from .shape import Drawn
from .staff import Staff

_STARVES_S: Final = 30.0


class Promises:
    """targets and survival: whoever runs the cluster asks the one what is wrong yet, and tells the
    other when nothing may end."""

    def __init__(
        self, ground: Ground, drawn: Drawn, fleet: Fleet, population: Population, staff: Staff
    ) -> None:
        self._ground = ground
        self._drawn = drawn
        self._fleet = fleet
        self._population = population
        self._staff = staff
        self.targets = AppsReachTheirTargets(
            fleet.masters,
            fleet.agents,
            fleet.marathons,
            ground.marathon_disk,
            mixed=staff.owner.mixed,
            odd=ODD,
        )
        self.survival = WhatRunsRunsOn(ChainMap(population.liars, *population.forgetful.maps))

    @property
    def watchers(self) -> tuple[Watch, ...]:
        """In the order in which they are told."""
        hosts = [agent.name for agent in self._fleet.agents]
        places = PlacesAreKept(self._staff.listing.listed, hosts)
        return (
            self.targets,
            *self._of_cores(),
            *self._of_agents(),
            *self._of_masters(),
            *self._of_allocators(places),
            *self._of_operators(places),
            self._of_marathons(),
            *self._population.cast.watchers(self._fleet.masters, self._fleet.marathons),
        )

    def _of_cores(self) -> tuple[Watch, ...]:
        return WhatWasSeenIsDurable(self._fleet.masters), CoresAreInOrder()

    def _of_agents(self) -> tuple[Watch, ...]:
        world, agents = self._ground.world, self._fleet.agents
        return (
            NothingRunsTwice(agents, self._population.liars),
            self.survival,
            AgentsKeepTheirWord(world),
            AgentsRunWhatTheyCan(world),
            EndsAreToldAsTheyWere(),
            AgentsAskHowTasksAre(world),
            VolumesAreThere(agents),
            SandboxesGo(world, agents),
            TasksGoWithTheirAgents(self._population.forgetful),
        )

    def _of_masters(self) -> tuple[Watch, ...]:
        world, masters, agents = self._ground.world, self._fleet.masters, self._fleet.agents
        return (
            NothingIsForgotten(world, self._drawn.offer_timeout_s),
            EndsAreToldOnce(world, agents, self._population.liars),
            MembersAreKnown(),
            OperationsAreToldOnce(masters, agents),
            UpdatesArePassedOn(),
            FeedbackIsPassedOn(),
            TheDeposedChangeNothing(),
        )

    def _of_allocators(self, places: PlacesAreKept) -> tuple[Watch, ...]:
        drawn, fleet = self._drawn, self._fleet
        return (
            NothingPromisedTwice(fleet.agents_by_name),
            LimitsAreKept(self._staff.admin),
            LedgersAddUp(),
            CyclesKeepQuota(),
            ConstraintsAreKept(),
            places,
            OffersAreOfUse(),
            WhoHasLeastIsFirst(),
            NobodyStarves(
                self._ground.world,
                fleet.masters,
                fleet.marathons,
                self._population.frameworks,
                _STARVES_S + (drawn.offer_timeout_s if drawn.all_is_hoarded else 0.0),
                guaranteed=drawn.guaranteed,
            ),
            RefusalsHold(),
            NoMoreThanIsWanted(),
        )

    def _of_operators(self, places: PlacesAreKept) -> tuple[Watch, ...]:
        fleet, population = self._fleet, self._population
        # Whose tasks are forgotten with their agents counts as having nothing, and is given up.
        crowded = gives_up_who_is_away(self._drawn.seed)
        fickle = ChainMap(population.liars, *(population.forgetful.maps if crowded else ()))
        return (
            OperatorsAreObeyed(self._staff.admin, fleet.agents_by_name, fickle),
            EveryNoIsExplained(self._ground.world, fleet.masters, fleet.marathons, places),
            WhoAsksIsTold(self._drawn.seed),
            ReadsAreTrue(),
            CallsAreAnswered(),
            AbsencesAreAnnounced(),
            WishesAreAnswered(),
        )

    def _of_marathons(self) -> Watch:
        return Books(
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
                WhatMakesNoSenseIsLeftAlone(self._ground.world),
            )
        )
