"""What the cluster promises, each as a small checker that looks at every step."""

from .p0_cores import CoresAreInOrder
from .p0_durable import WhatWasSeenIsDurable
from .p0_operators import OperatorsAreObeyed
from .p1_nothing_twice import NothingPromisedTwice
from .p2_runs_once import NothingRunsTwice
from .p3_survival import WhatRunsRunsOn
from .p4_agents import AgentsKeepTheirWord
from .p4_checkpoints import TasksGoWithTheirAgents
from .p4_ends_told_once import EndsAreToldOnce
from .p4_feedback import FeedbackIsPassedOn
from .p4_health import AgentsAskHowTasksAre
from .p4_launches import AgentsRunWhatTheyCan
from .p4_members import MembersAreKnown
from .p4_operations import OperationsAreToldOnce
from .p4_sandboxes import SandboxesGo
from .p4_updates import UpdatesArePassedOn
from .p4_verdicts import EndsAreToldAsTheyWere
from .p4_volumes import VolumesAreThere
from .p5_fencing import TheDeposedChangeNothing
from .p6_nothing_forgotten import NothingIsForgotten
from .p7_constraints import ConstraintsAreKept
from .p7_cycles import CyclesKeepQuota
from .p7_demand import NoMoreThanIsWanted
from .p7_ledgers import LedgersAddUp
from .p7_limits import LimitsAreKept
from .p7_no_starvation import NobodyStarves
from .p7_places import PlacesAreKept
from .p7_refusals import RefusalsHold
from .p7_turns import WhoHasLeastIsFirst
from .p7_visible import OffersAreOfUse
from .p8_absences import AbsencesAreAnnounced
from .p8_asked import WhoAsksIsTold
from .p8_calls import CallsAreAnswered
from .p8_explanations import EveryNoIsExplained
from .p8_reads import ReadsAreTrue
from .p8_wishes import WishesAreAnswered
from .p9_no_input_hurts import NoInputHurts
from .p10_nobody_speaks_for_others import NobodySpeaksForOthers
from .p11_aside import WhatMakesNoSenseIsLeftAlone
from .p11_asking import QuestionsAreAsked
from .p11_health import HealthHasConsequences
from .p11_kills import KillsAreAsAsked
from .p11_launches import LaunchesAreAsAsked
from .p11_offers import OffersAreWanted
from .p11_orders import OrdersAreCarriedOut
from .p11_plans import PlansAreKept
from .p11_shown import WhatIsShownIsSo
from .p11_versions import VersionsAreKept

__all__ = [
    "AbsencesAreAnnounced",
    "AgentsAskHowTasksAre",
    "AgentsKeepTheirWord",
    "AgentsRunWhatTheyCan",
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
