"""Instances that were launched and don't come up: after how long each is replaced."""

from __future__ import annotations

from typing import Final

from .killing import killer
from .model.instance import Condition
from .state.marathon_state import MarathonState
from .state.step import Step
from .timers import OverdueCheckDue

_EVERY_S: Final = 5.0


def kill_overdue(state: MarathonState, step: Step) -> None:
    """Replace instances that were launched, and were not heard of, or do not run, for too long."""
    config = state.config
    for live in list(state.by_id.values()):
        if not live.condition.starting or live.unsure:
            continue
        if state.is_aside(live.record.app_id):
            continue
        if live.condition is Condition.PROVISIONED:
            limit_s = config.task_launch_confirm_timeout_s
        else:
            limit_s = config.task_launch_timeout_s
        if not step.now.is_within_s(live.record.staged_s, limit_s):
            killer.doom(state, live)
    step.timer(OverdueCheckDue(), _EVERY_S)
