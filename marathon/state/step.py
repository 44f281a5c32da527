"""One step of Marathon's core: its output under construction, and the words of its handlers."""

from __future__ import annotations

from mezzo import core
from mezzo.core import Instant, Write
from mezzo.messages import scheduler

from ..effects import Call, Effect, Publish, ShowAside
from ..news import News
from .marathon_state import MarathonState


class Step(core.Step[Effect]):
    __slots__ = ("state",)

    def __init__(self, state: MarathonState, now: Instant) -> None:
        super().__init__(now)
        self.state = state

    @property
    def full(self) -> bool:
        """Has this step written enough? Then further records have to wait for another."""
        return self.bytes >= self.state.config.step_bytes

    def write(self, write: Write) -> None:
        super().write(write)
        if self.state.no_more_aside(write.key):
            self.do(ShowAside(write.key, None))

    def call(self, call: scheduler.Call) -> None:
        """Call the master, on the stream that is up."""
        conn = self.state.conn
        assert conn is not None
        self.do(Call(conn, call))

    def publish(self, news: News) -> None:
        self.do(Publish(news, self.now.wall_s))
