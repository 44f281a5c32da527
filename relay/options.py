"""The settings of a relay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mezzo.flags import Flag
from mezzo.process.settings import HOST_AND_PORT, MASTER, Master, ZkSessionTimeout


@dataclass(frozen=True, slots=True)
class RelayOptions:
    master: Master = MASTER
    listen: Annotated[str, Flag("host:port for agents: their --master.", HOST_AND_PORT)] = (
        "127.0.0.1:5056"
    )
    zk_session_timeout_s: ZkSessionTimeout = 10.0
