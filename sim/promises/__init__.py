"""What the cluster promises, each as a small checker that looks at every step."""

from .agent.p2_runs_once import NothingRunsTwice
from .agent.p3_survival import WhatRunsRunsOn
from .agent.p4_agents import AgentsKeepTheirWord
from .agent.p4_checkpoints import TasksGoWithTheirAgents
from .agent.p4_health import AgentsAskHowTasksAre
from .agent.p4_launches import AgentsRunWhatTheyCan
from .agent.p4_sandboxes import SandboxesGo
from .agent.p4_verdicts import EndsAreToldAsTheyWere
from .agent.p4_volumes import VolumesAreThere
from .allocator.p1_nothing_twice import NothingPromisedTwice
from .allocator.p7_constraints import ConstraintsAreKept
from .allocator.p7_cycles import CyclesKeepQuota
from .allocator.p7_demand import NoMoreThanIsWanted
from .allocator.p7_ledgers import LedgersAddUp
from .allocator.p7_limits import LimitsAreKept
from .allocator.p7_no_starvation import NobodyStarves
from .allocator.p7_places import PlacesAreKept
from .allocator.p7_refusals import RefusalsHold
from .allocator.p7_turns import WhoHasLeastIsFirst
from .allocator.p7_visible import OffersAreOfUse
from .calls.p8_calls import CallsAreAnswered
from .cores.p0_cores import CoresAreInOrder
from .cores.p0_durable import WhatWasSeenIsDurable
from .marathon.p6_targets import AppsReachTheirTargets
from .marathon.p11_aside import WhatMakesNoSenseIsLeftAlone
from .marathon.p11_asking import QuestionsAreAsked
from .marathon.p11_health import HealthHasConsequences
from .marathon.p11_kills import KillsAreAsAsked
from .marathon.p11_launches import LaunchesAreAsAsked
from .marathon.p11_offers import OffersAreWanted
from .marathon.p11_orders import OrdersAreCarriedOut
from .marathon.p11_plans import PlansAreKept
from .marathon.p11_shown import WhatIsShownIsSo
from .marathon.p11_versions import VersionsAreKept
from .master.p4_ends_told_once import EndsAreToldOnce
from .master.p4_feedback import FeedbackIsPassedOn
from .master.p4_members import MembersAreKnown
from .master.p4_operations import OperationsAreToldOnce
from .master.p4_updates import UpdatesArePassedOn
from .master.p5_fencing import TheDeposedChangeNothing
from .master.p6_nothing_forgotten import NothingIsForgotten
from .master.p9_no_input_hurts import NoInputHurts
from .master.p10_nobody_speaks_for_others import NobodySpeaksForOthers
from .operators.p0_operators import OperatorsAreObeyed
from .operators.p8_absences import AbsencesAreAnnounced
from .operators.p8_asked import WhoAsksIsTold
from .operators.p8_explanations import EveryNoIsExplained
from .operators.p8_reads import ReadsAreTrue
from .operators.p8_wishes import WishesAreAnswered

__all__ = [
    "AbsencesAreAnnounced",
    "AgentsAskHowTasksAre",
    "AgentsKeepTheirWord",
    "AgentsRunWhatTheyCan",
    "AppsReachTheirTargets",
    "CallsAreAnswered",
    "ConstraintsAreKept",
    "CoresAreInOrder",
    "CyclesKeepQuota",
    "EndsAreToldAsTheyWere",
    "EndsAreToldOnce",
    "EveryNoIsExplained",
    "FeedbackIsPassedOn",
    "HealthHasConsequences",
    "KillsAreAsAsked",
    "LaunchesAreAsAsked",
    "LedgersAddUp",
    "LimitsAreKept",
    "MembersAreKnown",
    "NoInputHurts",
    "NoMoreThanIsWanted",
    "NobodySpeaksForOthers",
    "NobodyStarves",
    "NothingIsForgotten",
    "NothingPromisedTwice",
    "NothingRunsTwice",
    "OffersAreOfUse",
    "OffersAreWanted",
    "OperationsAreToldOnce",
    "OperatorsAreObeyed",
    "OrdersAreCarriedOut",
    "PlacesAreKept",
    "PlansAreKept",
    "QuestionsAreAsked",
    "ReadsAreTrue",
    "RefusalsHold",
    "SandboxesGo",
    "TasksGoWithTheirAgents",
    "TheDeposedChangeNothing",
    "UpdatesArePassedOn",
    "VersionsAreKept",
    "VolumesAreThere",
    "WhatIsShownIsSo",
    "WhatMakesNoSenseIsLeftAlone",
    "WhatRunsRunsOn",
    "WhatWasSeenIsDurable",
    "WhoAsksIsTold",
    "WhoHasLeastIsFirst",
    "WishesAreAnswered",
]
