"""Data of an app that makes something impossible.

One app's data hurts only that app. The border: a function that is given an object's data and
changes nothing of the state (matching an offer, making a task) may fail by that data with a
`DATA_ERRORS`; its caller catches exactly these around exactly that, and hands them to `blame`. Data
in the state has passed the checks of its door (`loading`, `command_rules`), so past them an
exception, also a KeyError, is a broken invariant: a bug, and it ends the process.
"""

from __future__ import annotations

from typing import Final

from mezzo.errors import MezzoError

from ..effects import Faulted
from .marathon_state import MarathonState
from .step import Step

# Errors that an object's data can cause in a function that only computes with it.
DATA_ERRORS: Final = (
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
    MezzoError,
)
_FAULT_MAX_CHARS: Final = 300


def blame(state: MarathonState, step: Step, app_id: str, doing: str, error: Exception) -> None:
    """An attempt for the app failed by its data: see DATA_ERRORS."""
    fault = f"{doing} fails: {type(error).__name__}: {error}"[:_FAULT_MAX_CHARS]
    news = state.faults.get(app_id) != fault
    if news:
        state.faults[app_id] = fault
        state.shown_apps[app_id] = None
    step.do(Faulted(app_id, fault, news))


def absolve(state: MarathonState, app_id: str) -> None:
    """The app works now, or its data is another."""
    if state.faults.pop(app_id, None) is not None:
        state.shown_apps[app_id] = None
