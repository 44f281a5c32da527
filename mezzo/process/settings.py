"""Settings: flags win over `MEZZO_*` environment, over a configuration file, over defaults.

Each is declared once (mezzo/flags.py), and cli/setting_options.py looks into these places. Here are
the TOML or JSON file given by `--config`, whose keys are the names of flags (with dashes or
underscores), either at the top or in a table named as the daemon, the kinds of values that say
where another process is, and what the options of several daemons have.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

from mezzo.errors import BadConfig
from mezzo.flags import ALLOWED_HOSTS, DURATION, OWN_IP, Flag, Written
from mezzo.units import shown


def _leader(text: str) -> str:
    """The address of a leader. What is wrong is told without its password."""
    from mezzo.election.detector import detector_for  # asyncio: not for `--help`

    if text.startswith("zk://"):
        return _zookeeper(text)
    detector_for(text)  # it does nothing before it is started
    return text


def _zookeeper(text: str) -> str:
    from mezzo.zk.address import parse_zk_address

    parse_zk_address(text)
    return text


def _host_and_port(text: str) -> str:
    from mezzo.zk.address import parse_hosts

    address = parse_hosts(text)
    if "," in address:
        raise BadConfig(f"{text!r} is more than one host:port: give one")
    return address


# Where the leading master is: host:port, zk://... or solo:/path/of/lock.
LEADER: Final = Written("address", _leader)
# zk://[user:password@]host:port,host:port/path
ZOOKEEPER: Final = Written("zookeeper", _zookeeper)
HOST_AND_PORT: Final = Written("host_and_port", _host_and_port)  # one

# Fields that the options of several daemons have. A master is found as `detector_for` does it.
Master = Annotated[
    str,
    Flag(
        "Where the leading master is: host:port, zk://host:port,host:port/path or "
        "solo:/path/of/lock.",
        LEADER,
    ),
]
Ip = Annotated[str, Flag("Address to listen on.", OWN_IP)]
AllowedHosts = Annotated[
    tuple[str, ...],
    Flag(
        "More names that its HTTP is asked by, between commas, e.g. of a balancer in front; * is "
        "any. This machine's own names and addresses are known.",
        ALLOWED_HOSTS,
    ),
]
ZkSessionTimeout = Annotated[float, Flag("ZooKeeper session.", DURATION)]

MASTER: Final = "127.0.0.1:5055"  # where a master listens unless it is told otherwise
STATE_ROOT: Final = Path("/var/lib/mezzo")


def read_config_file(path: Path, daemon: str) -> dict[str, Any]:
    """The settings of `daemon` in a file, by option name with underscores. Raises BadConfig."""
    try:
        text = path.read_text()
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise BadConfig(f"--config {path}: {error.strerror}: give a readable file") from error
    except ValueError as error:
        raise BadConfig(f"--config {path}: {error}: mend the file") from error
    except RecursionError:
        raise BadConfig(f"--config {path} is nested too deeply: mend the file") from None
    if not isinstance(data, dict):
        raise BadConfig(f"--config {path} holds no table: write name = value lines")
    own = data.get(daemon, {})
    if not isinstance(own, dict):
        raise BadConfig(f"--config {path}: {daemon} must be a table")
    merged = {k: v for k, v in data.items() if not isinstance(v, dict)} | own
    for key, value in merged.items():
        if not isinstance(value, str | int | float) or "\0" in str(value):
            raise BadConfig(
                f"--config {path}: {key} is {shown(value)}: write a text without NUL characters, a "
                "number, true or false"
            )
    return {key.replace("-", "_"): value for key, value in merged.items()}
