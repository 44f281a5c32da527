"""Ports for servers that can't choose one themselves."""

from __future__ import annotations

import contextlib
import random
import socket
from collections import deque
from typing import Final

# Below those that the kernel gives to outgoing connections and to whoever binds port 0: one of them
# could be taken by the time that the server under test is started.
_PORTS: Final = range(20_000, 30_000, 8)
# A test that runs holds what it was given; what was given so long ago is in use, or no more.
_HELD: deque[socket.socket] = deque(maxlen=100)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free, all different, each with a few free ones behind it.

    No other process that asks here is given them: each is held by a name in the abstract namespace,
    which the kernel keeps as long as we live and for all users alike.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(_PORTS.start, _PORTS.stop, _PORTS.step)
        if all(_is_free(port + n) for n in range(_PORTS.step)) and _hold(port):
            found.append(port)
    return found


def _hold(port: int) -> bool:
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0mezzo-test-port-{port}")
    except OSError:
        name.close()
        return False
    if len(_HELD) == _HELD.maxlen:
        _HELD[0].close()
    _HELD.append(name)
    return True


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
