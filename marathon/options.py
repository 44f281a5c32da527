"""The settings of `mezzo marathon`: those of the process, and the core's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mezzo.flags import FOLDER, HOST_NAME, PORT, Flag, FlagsOf
from mezzo.process.settings import (
    MASTER,
    STATE_ROOT,
    ZOOKEEPER,
    AllowedHosts,
    Ip,
    Master,
    ZkSessionTimeout,
)

from .config import MarathonConfig


@dataclass(frozen=True, slots=True)
class MarathonOptions:
    """Seconds end in `_s`. zk: None: this Marathon is the only one."""

    master: Master = MASTER
    zk: Annotated[
        str | None,
        Flag(
            "ZooKeeper: zk://[user:password@]host:port,host:port/path. All Marathons that stand by "
            "for each other name the same. Without it this one is alone and keeps its state in "
            "--work-dir.",
            ZOOKEEPER,
        ),
    ] = None
    work_dir: Annotated[Path, Flag("Where its state is kept.", FOLDER)] = STATE_ROOT / "marathon"
    ip: Ip = "127.0.0.1"
    http_port: Annotated[int, Flag("HTTP port.", PORT)] = 8080
    hostname: Annotated[str, Flag("Name that others reach it by.", HOST_NAME, unset="--ip")] = ""
    mesos_user: Annotated[
        str | None,
        Flag("User that tasks run as unless their app names one.", unset="who runs Marathon"),
    ] = None
    default_network_name: Annotated[
        str | None, Flag("For container networks that an app does not name.")
    ] = None
    mesos_leader_ui_url: Annotated[str, Flag("A gateway's page, for links.")] = (
        "http://127.0.0.1:5050/"
    )
    core: FlagsOf[MarathonConfig] = FlagsOf(MarathonConfig)
    http_allowed_hosts: AllowedHosts = ()
    zk_session_timeout_s: ZkSessionTimeout = 10.0
    event_streams_max: int = 4096
