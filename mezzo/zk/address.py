"""ZooKeeper addresses, and where in ZooKeeper things are. Without kazoo: it costs every daemon
memory, and on one machine nobody needs it (see `mezzo.zk.client` for clients).

An address is ``zk://[user:password@]host[:port][,host[:port]...]/path``, as for Mesos and Marathon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..errors import BadConfig
from ..units import PORT_MAX, whole_number

SCHEME: Final = "zk://"
DEFAULT_PORT: Final = 2181
SESSION_TIMEOUT_S: Final = 10.0

# What the names of candidates begin with.
MASTER_PREFIX: Final = "json.info_"  # content: a MasterInfo as JSON
LATCH_PREFIX: Final = "latch-"  # content: host:port


@dataclass(frozen=True, slots=True)
class ZkAddress:
    """The place of an ensemble, and of our node in it. Its texts never show the password.

    hosts: ``host:port``, comma separated. path: absolute, without a slash at its end.
    auth: ``user:password`` of ZooKeeper's digest scheme.
    """

    hosts: str
    path: str
    auth: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        who = f"{self.auth.partition(':')[0]}:***@" if self.auth else ""
        return f"{SCHEME}{who}{self.hosts}{self.path}"


def parse_zk_address(url: str) -> ZkAddress:
    """Read a ``zk://`` address. Raises BadConfig, whose text leaves the password out."""
    usage = "write zk://[user:password@]host:port[,host:port]/path"
    if not url.startswith(SCHEME):
        raise BadConfig(f"this is not a ZooKeeper address: {usage}")
    # The last @ counts: a password may hold one, a path hardly ever does.
    credentials, at, rest = url.removeprefix(SCHEME).rpartition("@")
    shown = f"{SCHEME}{'***@' if at else ''}{rest}"
    if at and not all(credentials.partition(":")):
        raise BadConfig(f"{shown}: what stands before @ is not user:password: {usage}")
    hosts, _, path = rest.partition("/")
    segments = path.removesuffix("/").split("/")
    if any(s in {"", ".", ".."} or not s.isprintable() for s in segments):
        raise BadConfig(f"{shown}: /{path} is not a path below ZooKeeper's root: {usage}")
    try:
        hosts = parse_hosts(hosts, DEFAULT_PORT)
    except BadConfig as e:
        raise BadConfig(f"{shown}: {e}: {usage}") from None
    return ZkAddress(hosts, "/" + "/".join(segments), credentials or None)


def parse_hosts(text: str, default_port: int | None = None) -> str:
    """Check ``host[:port][,host[:port]...]`` and give every host its port.

    An IPv6 address stands in brackets. Raises BadConfig; without `default_port` also for a host
    that has no port.
    """
    return ",".join(_host_and_port(each.strip(), default_port) for each in text.split(","))


def _host_and_port(text: str, default_port: int | None) -> str:
    if "@" in text:  # not shown: before it stands a password
        raise BadConfig("only zk://[user:password@]host:port/path has a user")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port or "")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host.replace(":", " ")
    if not bare or any(c in "[]/?#" or c.isspace() for c in bare):
        raise BadConfig(f"{text!r} is not host:port")
    if not whole_number(port, PORT_MAX):
        raise BadConfig(f"{text!r} has no port from 1 to 65535")
    return f"{host}:{port}"
