"""How long an app waits before its next launch (8.1): longer with each failure, then forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mezzo.core import SetTimer

from ..model.app import App
from ..state.term_state import State

SWEEP_TIMER: Final = "backoff-sweep"
_SWEEP_S: Final = 10.0


@dataclass(slots=True)
class _Delay:
    """Times in monotonic seconds: delays die with the term, as in Marathon."""

    delay_s: float
    reference_s: float
    max_s: float


class Backoffs:
    """One delay per app and configuration. Times are monotonic seconds."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._delays: dict[tuple[str, int], _Delay] = {}
        self._sweeping = False

    def failed(self, app: App) -> None:
        key = (app.id, app.last_config_change_ms)
        have = self._delays.get(key)
        delay_s = app.backoff_s if have is None else have.delay_s * app.backoff_factor
        now_s = self._state.now.mono_s
        max_s = app.max_launch_delay_s
        self._delays[key] = _Delay(min(delay_s, max_s), now_s, max_s)
        if not self._sweeping:
            self._sweeping = True
            self._state.do(SetTimer(SWEEP_TIMER, now_s + _SWEEP_S))

    def progressed(self, app: App) -> None:
        """An instance stages, starts or runs: the delay counts from now, and grows no further."""
        if (delay := self._delays.get((app.id, app.last_config_change_ms))) is not None:
            delay.reference_s = self._state.now.mono_s

    def until_s(self, app: App) -> float | None:
        """Not before then; None if nothing is to be waited for."""
        delay = self._delays.get((app.id, app.last_config_change_ms))
        if delay is None or delay.reference_s + delay.delay_s <= self._state.now.mono_s:
            return None
        return delay.reference_s + delay.delay_s

    def reset(self, app_id: str) -> None:
        for key in [key for key in self._delays if key[0] == app_id]:
            del self._delays[key]

    def sweep(self) -> None:
        """Forget what has been quiet for as long as the largest delay.

        Counted from the end of the delay: from its start, one at the maximum would be forgotten
        before the launch that it delays.
        """
        now_s = self._state.now.mono_s
        for key, delay in list(self._delays.items()):
            if now_s > delay.reference_s + delay.delay_s + delay.max_s:
                del self._delays[key]
        self._sweeping = bool(self._delays)
        if self._sweeping:
            self._state.do(SetTimer(SWEEP_TIMER, now_s + _SWEEP_S))
