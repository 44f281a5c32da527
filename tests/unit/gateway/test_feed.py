"""What the open pages are told: all of it first, then each change once, and what is wrong."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from mezzo.gateway.errors import ClusterUnknown
from mezzo.gateway.page.feed import Feed
from mezzo.gateway.replica.cluster_replica import Replica
from mezzo.gateway.replica.follower import Follower
from mezzo.http import limits
from mezzo.http.endless_answer import Stream
from mezzo.messages.operator import (
    AgentAdded,
    AgentRemoved,
    Agents,
    Frameworks,
    OperatorSubscribed,
    State,
    Tasks,
)

from .clusters import A1, A2, agent

WITHIN_S = 10.0


class FakeFollower:
    """Holds a cluster, and says that it has changed."""

    def __init__(self) -> None:
        self.replica = Replica()
        self.problem: str | None = None
        self.known = True
        self._sequence = 0
        self._version = 0
        self._changed = threading.Condition()
        self.replica.apply(0, 1, OperatorSubscribed(State(Tasks(), Frameworks(), Agents()), 15.0))

    def say(self, *events: Any) -> None:
        for event in events:
            self._sequence += 1
            self.replica.apply(self._sequence, 1, event)
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def wait(self, version: int, timeout_s: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout_s)
            return self._version

    def read(self) -> tuple[Any, None]:
        if not self.known:
            raise ClusterUnknown("nobody leads")
        return self.replica.view(), None


def opened(feed: Feed) -> Stream:
    page = feed.stream()
    assert page is not None
    return page


def feed_of(follower: FakeFollower) -> Feed:
    return Feed(cast(Follower, follower))


class Page:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._told: list[tuple[str, Any]] = []

    def told(self) -> list[tuple[str, Any]]:
        """Everything so far."""
        lines = self.stream.take()[0].decode().splitlines()
        for name, data in zip(lines[::3], lines[1::3], strict=True):
            event = name.removeprefix("event: ")
            self._told.append((event, json.loads(data.removeprefix("data: "))))
        return self._told


def eventually(condition: Callable[[], object]) -> None:
    ends_s = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def test_a_page_gets_all_first_and_then_what_changes() -> None:
    follower = FakeFollower()
    follower.say(AgentAdded(agent(A1)))
    feed = feed_of(follower)
    feed.start()
    page = Page(opened(feed))
    (snapshot, status) = page.told()
    assert (snapshot[0], list(snapshot[1]["agents"])) == ("snapshot", [A1])
    assert status == ("status", {"problem": None})
    follower.say(AgentAdded(agent(A2)))
    eventually(lambda: len(page.told()) == 3)
    late = Page(opened(feed))
    assert list(late.told()[0][1]["agents"]) == [A1, A2]
    follower.say(AgentRemoved(A1))
    eventually(lambda: len(page.told()) == 4)
    assert page.told()[3] == ("change", {"agents": {A1: None}}) == late.told()[2]
    stop(feed, follower)


def test_a_problem_is_told_and_the_last_state_stays() -> None:
    follower = FakeFollower()
    follower.say(AgentAdded(agent(A1)))
    feed = feed_of(follower)
    feed.start()
    page = Page(opened(feed))
    assert len(page.told()) == 2
    follower.known, follower.problem = False, "nobody leads"
    follower.say()
    eventually(lambda: len(page.told()) == 3)
    assert page.told()[2] == ("status", {"problem": "nobody leads"})
    assert list(Page(opened(feed)).told()[0][1]["agents"]) == [A1]
    stop(feed, follower)


def test_a_page_that_has_gone_is_forgotten_and_one_that_does_not_read_hurts_no_other() -> None:
    follower = FakeFollower()
    feed = feed_of(follower)
    feed.start()
    gone, deaf, page = opened(feed), opened(feed), Page(opened(feed))
    assert feed.open_streams == 3
    gone.ended()
    assert feed.open_streams == 2
    deaf.stalled = True
    for _ in range(limits.STREAM_MAX_FRAMES):
        deaf.push(b"x")
    follower.say(AgentAdded(agent(A1)))
    eventually(lambda: deaf.cut)
    eventually(lambda: len(page.told()) == 3)
    stop(feed, follower)


def test_the_end_closes_all_pages_and_none_comes_late() -> None:
    follower = FakeFollower()
    feed = feed_of(follower)
    feed.start()
    page = opened(feed)
    stop(feed, follower)
    assert page.take()[1]
    assert feed.stream() is None
    assert feed.open_streams == 0


def stop(feed: Feed, follower: FakeFollower) -> None:
    feed.stop()
    follower.say()
