"""How long an app waits before its next launch (8.1): longer with each failure, then forgotten.

There is one delay for each app and configuration.
"""

from __future__ import annotations

from typing import Final

from ..model.app import App
from ..state.launch_queue import Delay
from ..state.marathon_state import MarathonState
from ..state.step import Step
from ..timers import BackoffSweepDue

_SWEEP_S: Final = 10.0


def failed(state: MarathonState, step: Step, app: App) -> None:
    queue = state.queue
    key = (app.id, app.last_config_change_ms)
    have = queue.delays.get(key)
    delay_s = app.backoff_s if have is None else have.delay_s * app.backoff_factor
    max_s = app.max_launch_delay_s
    queue.delays[key] = Delay(min(delay_s, max_s), step.now.mono_s, max_s)
    if not queue.sweeping:
        queue.sweeping = True
        step.timer(BackoffSweepDue(), _SWEEP_S)


def progressed(state: MarathonState, step: Step, app: App) -> None:
    """An instance stages, starts or runs: the delay counts from now, and grows no further."""
    if (delay := state.queue.delays.get((app.id, app.last_config_change_ms))) is not None:
        delay.reference_s = step.now.mono_s


def until_s(state: MarathonState, step: Step, app: App) -> float | None:
    """The app launches not before this time (mono); None if it need not wait."""
    delay = state.queue.delays.get((app.id, app.last_config_change_ms))
    if delay is None or delay.reference_s + delay.delay_s <= step.now.mono_s:
        return None
    return delay.reference_s + delay.delay_s


def reset(state: MarathonState, app_id: str) -> None:
    delays = state.queue.delays
    for key in [key for key in delays if key[0] == app_id]:
        del delays[key]


def sweep(state: MarathonState, step: Step) -> None:
    """Forget delays that have been quiet for as long as the largest one.

    Counted from the end of the delay: from its start, one at the maximum would be forgotten
    before the launch that it delays.
    """
    queue, now_s = state.queue, step.now.mono_s
    for key, delay in list(queue.delays.items()):
        if now_s > delay.reference_s + delay.delay_s + delay.max_s:
            del queue.delays[key]
    queue.sweeping = bool(queue.delays)
    if queue.sweeping:
        step.timer(BackoffSweepDue(), _SWEEP_S)
