"""ZooKeeper clients: the one place that makes and ends a kazoo client."""

from __future__ import annotations

import logging
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import (
    ConnectionLoss,
    OperationTimeoutError,
    SessionExpiredError,
    SessionMovedError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import CREATOR_ALL_ACL, READ_ACL_UNSAFE

from .address import ZkAddress

_CLOSE_WITHIN_S = 5.0

# After any of these a request may have been carried out or not: read before you decide.
LOST_CONTACT = (
    ConnectionLoss,
    OperationTimeoutError,
    SessionExpiredError,
    SessionMovedError,
    KazooTimeoutError,
)


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
    had just died. Then we leave the client behind: the session expires by itself.
    """

    def close() -> None:
        client.stop()
        client.close()

    closing = threading.Thread(target=close, name="zk close", daemon=True)
    closing.start()
    closing.join(_CLOSE_WITHIN_S)


def drop_client(client: KazooClient) -> None:
    """Leave a client behind without waiting: its session expires by itself.

    A client remembers the newest transaction that it has seen, and a server that knows none so new
    refuses it for ever, as one does that came back empty or from a backup. Only a new one is heard.
    """
    threading.Thread(target=close_client, args=(client,), name="zk drop", daemon=True).start()


def _quiet_logger() -> logging.Logger:
    """A logger without kazoo's DEBUG lines: these show requests, credentials and stored values."""
    logger = logging.getLogger("kazoo.mezzo")
    logger.addFilter(_above_debug)  # adding the same function again changes nothing
    return logger


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
