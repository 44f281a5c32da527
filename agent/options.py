"""The settings of `mezzo agent`: those of the process, and the core's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mezzo.cluster.model import FaultDomain
from mezzo.flags import (
    FAULT_DOMAIN,
    FOLDER,
    HOST_NAME,
    OWN_IP,
    PORT,
    SWITCH,
    Choice,
    Flag,
    FlagsOf,
    Switch,
    Whole,
)
from mezzo.process.settings import MASTER, STATE_ROOT, AllowedHosts, Ip, Master

from .config import AgentConfig


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """Names as in Mesos; None: chosen at the start.

    resources, attributes, containerizers: see `mezzo.agent.resources.detect`.
    launcher: `linux` is refused where no control group can be made.
    """

    master: Master = MASTER
    work_dir: Annotated[
        Path, Flag("Where its state and the sandboxes of its tasks are kept.", FOLDER)
    ] = STATE_ROOT / "agent"
    ip: Ip = "127.0.0.1"
    port: Annotated[int, Flag("HTTP port: state, metrics, logs of tasks.", PORT)] = 5051
    hostname: Annotated[
        str | None, Flag("Name that tasks are reached by.", HOST_NAME, unset="--ip")
    ] = None
    resources: Annotated[
        str,
        Flag(
            'What it offers, e.g. "cpus:4;mem:8192;ports:[31000-32000]". What is not named is what '
            "the machine has."
        ),
    ] = ""
    attributes: Annotated[str, Flag('For constraints: "rack:a;zone:eu-1".')] = ""
    domain: Annotated[
        FaultDomain | None,
        Flag("Where it is: region/zone. Needs masters with a --domain of their own.", FAULT_DOMAIN),
    ] = None
    containerizers: Annotated[
        str,
        Flag("How it runs tasks: docker, process, or both. Process tasks are not isolated."),
    ] = "docker,process"
    docker_host: Annotated[
        str | None, Flag("Docker engine.", unset="DOCKER_HOST, else its own socket")
    ] = None
    docker_publish_ip: Annotated[
        str | None,
        Flag(
            "Where published ports listen.",
            OWN_IP,
            unset="everywhere, but 127.0.0.1 if that is --ip",
        ),
    ] = None
    docker_cfs: Annotated[
        bool,
        Flag("Whether the CPUs of Docker tasks are a limit too, not only a weight.", SWITCH),
    ] = True
    core: FlagsOf[AgentConfig] = FlagsOf(AgentConfig)
    output_max_mib: Annotated[
        int,
        Flag(
            "How much of each output of a process task is kept, the newest; 0: all.",
            Whole(0, 1 << 30),
        ),
    ] = 100
    forget_set_aside: Annotated[
        bool,
        Flag(
            "Delete what is stored and can't be read; else it is kept, and shown in /state.",
            Switch(pair=False),
        ),
    ] = False
    launcher: Annotated[
        str | None,
        Flag(
            "What holds a process task together: a control group, or only its session.",
            Choice(("linux", "posix")),
            unset="linux where control groups can be made",
        ),
    ] = None
    recover: Annotated[
        str,
        Flag(
            "What becomes of the tasks of the last run: found again, or killed.",
            Choice(("reconnect", "cleanup")),
        ),
    ] = "reconnect"
    reconfiguration_policy: Annotated[
        str,
        Flag(
            "What may have changed since the last run: nothing, or there may be more of "
            "everything.",
            Choice(("equal", "additive")),
        ),
    ] = "equal"
    http_allowed_hosts: AllowedHosts = ()
