"""Killing: a bounded number in flight, each repeated until the end is reported (8.2)."""

from __future__ import annotations

from typing import Final

from mezzo.core import SetTimer
from mezzo.ids import ConnId
from mezzo.messages.scheduler import Kill

from ..effects import Call
from ..model.instance import Condition, Live
from ..state.term_state import State

RETRY_TIMER: Final = "kill-retry"
MORE_TIMER: Final = "kill-more"


class Killer:
    """Dooms instances. A doomed one never counts towards a target again."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._new: dict[str, Live] = {}  # doomed, to be stored as such
        self._waiting: dict[str, Live] = {}  # stored, to be told
        self._sent: dict[str, tuple[Live, float]] = {}  # and when, monotonic seconds
        self._timer_set = False
        for live in state.by_id.values():
            if live.doomed:
                self._waiting[live.id] = live

    @property
    def in_flight(self) -> int:
        return len(self._sent)

    def doom(self, live: Live) -> None:
        """End it. It counts no more from now on; all else happens when the step is settled."""
        if not live.doomed:
            self._state.doom(live)
            self._new[live.id] = live

    def ended(self, live: Live) -> None:
        """No more to be killed."""
        self._new.pop(live.id, None)
        self._waiting.pop(live.id, None)
        self._sent.pop(live.id, None)

    def disconnected(self) -> None:
        """What was sent may be lost: send it again to the next master."""
        self._waiting = {id_: live for id_, (live, _) in self._sent.items()} | self._waiting
        self._sent.clear()

    def settle(self, conn: ConnId | None) -> None:
        """At the end of a step: store what is doomed, and send what fits."""
        self._store_new()
        if conn is None:
            return
        now_s = self._state.now.mono_s
        while self._waiting and len(self._sent) < self._state.config.kill_chunk_size:
            live = self._waiting.pop(next(iter(self._waiting)))
            self._sent[live.id] = (live, now_s)
            self._send(conn, live)
        if self._sent and not self._timer_set:
            self._timer_set = True
            self._state.do(SetTimer(RETRY_TIMER, now_s + self._state.config.kill_retry_s))

    def _store_new(self) -> None:
        while self._new:
            if self._state.full:
                self._state.do(SetTimer(MORE_TIMER, self._state.now.mono_s))
                return
            live = self._new.pop(next(iter(self._new)))
            if live.condition.unreachable:
                # It can't be told, so it is given up: back again it is unknown, and killed as such.
                self._state.forget(live, Condition.KILLED)
            else:
                self._state.store_doom(live)
                self._waiting[live.id] = live

    def retry(self, conn: ConnId | None) -> None:
        """The retry timer fired: repeat the overdue ones, and see again after the youngest."""
        self._timer_set = False
        now_s, every_s = self._state.now.mono_s, self._state.config.kill_retry_s
        if conn is None or not self._sent:
            return
        for id_, (live, sent_s) in self._sent.items():
            if now_s - sent_s >= every_s:
                self._sent[id_] = (live, now_s)
                self._send(conn, live)
        oldest_s = min(sent_s for _, sent_s in self._sent.values())
        self._timer_set = True
        self._state.do(SetTimer(RETRY_TIMER, oldest_s + every_s))

    def _send(self, conn: ConnId, live: Live) -> None:
        self._state.do(Call(conn, Kill(live.record.task_id, live.record.agent_id)))
