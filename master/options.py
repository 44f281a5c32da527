"""The settings of `mezzo master`: those of the process, and the core's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mezzo.cluster.model import FaultDomain
from mezzo.errors import BadConfig, BadRequest
from mezzo.flags import (
    FAULT_DOMAIN,
    FILE,
    FOLDER,
    HOST_NAME,
    PORT,
    Flag,
    FlagsOf,
    Whole,
    or_off,
)
from mezzo.process.settings import STATE_ROOT, ZOOKEEPER, AllowedHosts, Ip, ZkSessionTimeout
from mezzo.units import PORT_MAX

from .config import MasterConfig
from .state.role_names import check_role


@dataclass(frozen=True, slots=True)
class MasterOptions:
    """Seconds end in `_s`; None leaves a feature off. zk: None: this master is the only one."""

    zk: Annotated[
        str | None,
        Flag(
            "ZooKeeper: zk://[user:password@]host:port,host:port/path. All masters of a cluster "
            "name the same. Without it this master is the only one and keeps its state in "
            "--work-dir.",
            ZOOKEEPER,
        ),
    ] = None
    work_dir: Annotated[Path, Flag("Where its state is kept.", FOLDER)] = STATE_ROOT / "master"
    ip: Ip = "127.0.0.1"
    port: Annotated[int, Flag("gRPC port: for agents, frameworks and gateways.", PORT)] = 5055
    hostname: Annotated[str, Flag("Name that others reach it by.", HOST_NAME, unset="--ip")] = ""
    domain: Annotated[FaultDomain | None, Flag("Where it is: region/zone.", FAULT_DOMAIN)] = None
    gateway_port: Annotated[
        int | None,
        Flag("HTTP port of its gateway; 0 runs none.", or_off(Whole(0, PORT_MAX))),
    ] = 5050
    core: FlagsOf[MasterConfig] = FlagsOf(MasterConfig)
    whitelist: Annotated[
        Path | None,
        Flag(
            "File with a hostname a line: only those agents are offered. Read every 5 seconds.",
            FILE,
        ),
    ] = None
    http_allowed_hosts: AllowedHosts = ()
    zk_session_timeout_s: ZkSessionTimeout = 10.0

    def check(self) -> None:
        """Raises BadConfig for what can't work, before anything is touched."""
        for role in self.core.values.get("roles") or ():
            try:
                check_role(role)
            except BadRequest as error:
                raise BadConfig(f"--roles: {error}") from error
        if self.gateway_port is not None and self.gateway_port == self.port:
            raise BadConfig(
                f"--port and --gateway-port are both {self.port}: give each a port of its own"
            )
