"""The promises of design.md section 5, each as a small checker that looks at every step."""

from .p1_nothing_twice import NothingPromisedTwice
from .p2_runs_once import NothingRunsTwice
from .p3_survival import WhatRunsRunsOn
from .p4_ends_told_once import EndsAreToldOnce
from .p5_fencing import TheDeposedChangeNothing
from .p7_no_starvation import NobodyStarves

__all__ = [
    "EndsAreToldOnce",
    "NobodyStarves",
    "NothingPromisedTwice",
    "NothingRunsTwice",
    "TheDeposedChangeNothing",
    "WhatRunsRunsOn",
]
