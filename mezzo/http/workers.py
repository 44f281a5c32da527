"""The threads that answer. They start when there is work, and end with the process.

Not the standard library's pool: its threads hold up the end of the process until the last of them
is through, and what they block on here (a master, an engine, a file) may never come.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

Job = Callable[[], None]

# Of so many jobs one is taken out of the second line, if there is one: it is slow, but it moves.
_SECOND_EACH: Final = 8


class Workers:
    """`submit` is for one thread only, the one of the server."""

    def __init__(self, name: str, threads_max: int, queue_max: int) -> None:
        self._name = name
        self._threads_max = threads_max
        self._queue_max = queue_max
        # A word for each job in the lines; False ends the thread that gets it.
        self._queue: SimpleQueue[bool] = SimpleQueue()
        self._first: deque[Job] = deque()
        self._second: deque[Job] = deque()
        self._taken = 0
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._free = 0  # threads that wait, less the jobs that nobody has taken yet

    def submit(self, job: Job, *, anyway: bool = False, second: bool = False) -> bool:
        """False if too many jobs wait already, or no thread is to be had. anyway: the job goes on
        with what was begun, and waits. second: its turn comes after the others', and such jobs may
        have half of the places."""
        most = self._queue_max // 2 if second else self._queue_max
        with self._lock:
            if not anyway and -self._free >= most:
                return False
            self._free -= 1
            more = self._free < 0 and len(self._threads) < self._threads_max
        if more and not self._start() and not self._threads and not anyway:
            with self._lock:
                self._free += 1
            return False
        (self._second if second else self._first).append(job)
        self._queue.put(True)
        return True

    def stop(self) -> None:
        """Jobs that wait are still done; those that block are left to the end of the process."""
        for _ in self._threads:
            self._queue.put(False)

    def _start(self) -> bool:
        """Start a thread; False: the system has none more to give. Others go on, and the next job
        asks again."""
        name = f"{self._name} {len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        with self._lock:
            self._threads.append(thread)
            self._free += 1
        return True

    def _work(self) -> None:
        while self._queue.get():
            self._next()()
            with self._lock:
                self._free += 1

    def _next(self) -> Job:
        with self._lock:
            self._taken += 1
            second = self._second and (not self._first or self._taken % _SECOND_EACH == 0)
            return (self._second if second else self._first).popleft()
