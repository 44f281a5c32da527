"""ZooKeeper addresses and clients: the one place that reads ``zk://`` and makes a kazoo client.

An address is ``zk://[user:password@]host[:port][,host[:port]...]/path``, as for Mesos and Marathon.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from kazoo.client import KazooClient
from kazoo.exceptions import (
    ConnectionLoss,
    OperationTimeoutError,
    SessionExpiredError,
    SessionMovedError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import CREATOR_ALL_ACL, READ_ACL_UNSAFE

from .errors import BadConfig

SCHEME = "zk://"
DEFAULT_PORT = 2181
_CLOSE_WITHIN_S = 5.0

# After any of these a request may have been carried out or not: read before you decide.
LOST_CONTACT = (
    ConnectionLoss,
    OperationTimeoutError,
    SessionExpiredError,
    SessionMovedError,
    KazooTimeoutError,
)


@dataclass(frozen=True, slots=True)
class ZkAddress:
    """Where an ensemble is and below which node we live. Its texts never show the password.

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
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port or "")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host.replace(":", " ")
    if not bare or any(c in "[]/?#@" or c.isspace() for c in bare):
        raise BadConfig(f"{text!r} is not host:port")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise BadConfig(f"{text!r} has no port from 1 to 65535")
    return f"{host}:{port}"


def make_client(address: ZkAddress, session_timeout_s: float, *, public: bool) -> KazooClient:
    """A client that is not started yet, and that tries to reconnect for as long as it lives.

    With credentials in the address, the nodes it creates belong to them; `public`: others may
    read them. Without credentials everybody may do everything, as in Mesos.
    """
    acl = None
    if address.auth:
        acl = CREATOR_ALL_ACL + READ_ACL_UNSAFE if public else CREATOR_ALL_ACL
    return KazooClient(
        hosts=address.hosts,
        timeout=session_timeout_s,
        auth_data=[("digest", address.auth)] if address.auth else None,
        default_acl=acl,
        # kazoo's own back-off grows to an hour; a cluster has to notice its ZooKeeper sooner.
        connection_retry={"max_tries": -1, "delay": 0.1, "backoff": 2, "max_delay": 1.0},
        logger=_quiet_logger(),
    )


def close_client(client: KazooClient) -> None:
    """End the session: its nodes are removed at once if a server can be told.

    kazoo waits for its connection's thread without a limit, and minutes were seen where the server
    had just died. Then we leave it behind: the session expires by itself.
    """

    def close() -> None:
        client.stop()
        client.close()

    closing = threading.Thread(target=close, name="zk close", daemon=True)
    closing.start()
    closing.join(_CLOSE_WITHIN_S)


def _quiet_logger() -> logging.Logger:
    """Without kazoo's DEBUG lines: they show whole requests, with credentials and stored values."""
    logger = logging.getLogger("kazoo.mezzo")
    logger.addFilter(_above_debug)  # adding the same function again changes nothing
    return logger


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
