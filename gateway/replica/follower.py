"""Follows the leading master: keeps the replica fed, and wakes readers when it has changed.

One thread reads the stream; the detector's thread only says who leads. Everything that others may
see is behind one lock, and is handed out as immutable views.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from mezzo.election.base import LeaderChanged, LeaderDetector
from mezzo.errors import BadRequest, MezzoError
from mezzo.messages.operator import GetMaster, Master
from mezzo.process.log import get_logger
from mezzo.wire.clients.operator_client import OperatorClient, OperatorEvents
from mezzo.wire.link import grpc_target

from ..errors import ClusterUnknown, StreamGap
from .cluster_replica import Replica, View

_RETRY_MIN_S: Final = 0.1
_RETRY_MAX_S: Final = 3.0
# A stream that broke is most often back in a moment: until then the last view is good enough.
_STALE_OK_S: Final = 10.0


class Follower:
    """`start` it, then read `view`, `master` and `connected`; `wait` for changes."""

    def __init__(
        self, detector: LeaderDetector, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._detector = detector
        self._monotonic = monotonic
        self._log = get_logger("gateway")
        self._changed = threading.Condition()  # guards all that follows
        self._replica = Replica()
        self._anew = False  # the replica can't be gone on with
        self._version = 0  # grows with everything that a reader could notice
        self._master: Master | None = None
        self._targets: tuple[str, ...] = ()
        self._events: OperatorEvents | None = None
        self._problem: str | None = "no leading master is known yet"
        self._problem_since_s: float | None = None  # None: there was never anything to show
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        self._detector.start(self._on_leader)
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping.set()
            self._hang_up()
            self._changed.notify_all()
        self._detector.stop()
        self._thread.join()

    # ---- for readers, on any thread

    @property
    def problem(self) -> str | None:
        """Why the view is not up to date, in words; None: it is."""
        with self._changed:
            return self._problem

    def read(self) -> tuple[View, Master]:
        """The cluster as known now. Raises ClusterUnknown if that is nothing, or too old."""
        with self._changed:
            since_s = self._problem_since_s
            if self._problem is not None and (
                since_s is None or self._monotonic() - since_s > _STALE_OK_S
            ):
                raise ClusterUnknown(f"{self._problem}: try again in a few seconds")
            assert self._master is not None
            return self._replica.view(), self._master

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait for a change since `version` (from the last call, first 0), or time-out.

        Returns the present version.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout_s)
            return self._version

    # ---- the detector's thread

    def _on_leader(self, change: LeaderChanged) -> None:
        try:
            target = None if change.leader is None else grpc_target(change.leader)
        except ValueError as error:  # not what a master publishes
            self._log.warning("leader.unreadable", error=str(error))
            target = None
        with self._changed:
            self._targets = tuple(target.split(",")) if target else ()
            if not self._targets:
                # The last leader's view stands: there may be a new leader in a moment.
                self._fail("no master leads the cluster at the moment")
            self._hang_up()
            self._changed.notify_all()

    # ---- the follower's own thread

    def _follow(self) -> None:
        retry_s = _RETRY_MIN_S
        for attempt in itertools.count():
            with self._changed:
                self._changed.wait_for(lambda: self._targets or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                targets = self._targets
            target = targets[attempt % len(targets)]  # any one of several fixed addresses answers
            started_s = self._monotonic()
            reason = self._stream(target)
            if self._monotonic() - started_s > _RETRY_MAX_S:
                retry_s = _RETRY_MIN_S
            with self._changed:
                if self._stopping.is_set():
                    return
                if self._targets:  # else that is the problem
                    self._fail(reason)
            # Jitter spreads the return of many gateways.
            self._pause(retry_s * random.uniform(0.5, 1.0), targets)
            retry_s = min(2 * retry_s, _RETRY_MAX_S)

    def _pause(self, pause_s: float, targets: tuple[str, ...]) -> None:
        """Wait before the next attempt; a new leader is tried at once."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._targets != targets or self._stopping.is_set(), pause_s
            )

    def _stream(self, target: str) -> str:
        """Read the stream until it ends; returns why, in words for people."""
        client = OperatorClient(target)
        try:
            _, answer = client.call(GetMaster())
            if not isinstance(answer, Master):
                return f"what answers at {target} is no master"
            with self._changed:
                resume = None if self._anew else self._replica.position
            events = client.events(resume)
            with self._changed:
                if target not in self._targets or self._stopping.is_set():
                    return "another leads"
                self._events = events
            for sequence, epoch, event in events:
                with self._changed:
                    self._replica.apply(sequence, epoch, event)
                    self._anew = False
                    if self._problem is not None:
                        self._log.info("master.followed", master=target, epoch=epoch)
                    self._master = answer
                    self._problem = self._problem_since_s = None
                    self._touch()
            return f"the master at {target} has closed the stream"
        except StreamGap as error:
            with self._changed:
                self._anew = True
            return f"the master at {target} can't be followed: {error}"
        except BadRequest as error:  # an event that this version can't read: a snapshot may do
            with self._changed:
                self._anew = True
            return f"the master at {target} can't be understood: {error}"
        except MezzoError as error:
            self._log.debug("master.stream_ended", master=target, error=str(error))
            return f"the master at {target} does not answer"
        finally:
            with self._changed:
                self._events = None
            client.close()

    def _hang_up(self) -> None:
        if self._events is not None:
            self._events.close()

    def _fail(self, problem: str) -> None:
        if self._problem is None:
            self._problem_since_s = self._monotonic()
        if problem != self._problem:
            self._log.warning("master.not_followed", problem=problem)
        self._problem = problem
        self._touch()

    def _touch(self) -> None:
        self._version += 1
        self._changed.notify_all()
