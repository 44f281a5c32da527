"""The settings of a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mezzo.flags import PORT, Flag, Whole
from mezzo.process.settings import MASTER, AllowedHosts, Ip, Master, ZkSessionTimeout


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    master: Master = MASTER
    ip: Ip = "127.0.0.1"
    port: Annotated[int, Flag("HTTP port.", PORT)] = 5050
    threads: Annotated[
        int, Flag("Answers at the same time. An open page takes none.", Whole(4, 4096))
    ] = 16
    http_allowed_hosts: AllowedHosts = ()
    zk_session_timeout_s: ZkSessionTimeout = 10.0
