"""The threads that answer. They start when there is work, and end with the process.

Not the standard library's pool: its threads hold up the end of the process until the last of them
is through, and what they block on here (a master, an engine, a file) may never come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Job = Callable[[], None]


class Workers:
    """`submit` is for one thread only, the one of the server."""

    def __init__(self, name: str, threads_max: int, queue_max: int) -> None:
        self._name = name
        self._threads_max = threads_max
        self._queue_max = queue_max
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._free = 0  # threads that wait, less the jobs that nobody has taken yet

    def submit(self, job: Job, *, anyway: bool = False) -> bool:
        """False if too many wait already, or there is nobody to do it. anyway: it goes on with what
        was begun, and waits."""
        with self._lock:
            if not anyway and -self._free >= self._queue_max:
                return False
            self._free -= 1
            more = self._free < 0 and len(self._threads) < self._threads_max
        if more and not self._start() and not self._threads and not anyway:
            with self._lock:
                self._free += 1
            return False
        self._queue.put(job)
        return True

    def stop(self) -> None:
        """What waits is still done; what blocks is left to the end of the process."""
        for _ in self._threads:
            self._queue.put(None)

    def _start(self) -> bool:
        """False: the system has no thread more to give. Those that there are go on, and the next
        job asks again."""
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
        while (job := self._queue.get()) is not None:
            job()
            with self._lock:
                self._free += 1
