"""Marathon's read API for the page, through the gateway, so that the browser knows one origin.

Marathon says itself where it is: by the `webui_url` that it registered with at the master.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from mezzo.errors import NotForwarded
from mezzo.http.forward import Patience, Reply, exchange, next_via

from ..errors import NoMarathon
from ..replica.cluster_replica import View
from .masking import masked

FRAMEWORK_NAME: Final = "marathon"
# The parts of Marathon's API that the page reads. This gateway hands out no others.
READABLE: Final = frozenset({"apps", "deployments", "queue", "info"})
_PATIENCE: Final = Patience(connect_s=5.0, answer_s=10.0)
# Tells a Marathon that names this very gateway as its address.
_OWN_NAME: Final = f"gateway-{uuid.uuid4().hex[:12]}"
VIA: Final = "Via"


def marathon_url(view: View) -> str:
    """The URL of the Marathon that is registered and connected. Raises NoMarathon."""
    for framework in view.frameworks.values():
        info = framework.framework_info
        if info.name == FRAMEWORK_NAME and framework.connected and info.webui_url:
            return info.webui_url.rstrip("/")
    raise NoMarathon("no Marathon is connected to the master: start one with `mezzo marathon`")


def readable(target: str) -> bool:
    """Is this target of Marathon (`/v2/...`, still encoded) one that the page reads?"""
    path = target.partition("?")[0]
    return path.startswith("/v2/") and path.split("/")[2] in READABLE


def get(base_url: str, target: str, via: str) -> Reply:
    """One GET; the target goes on as it came. Secrets of apps are masked (see masking.py).

    Raises NoMarathon, NotForwarded.
    """
    try:
        url = urlsplit(base_url)
        host, port = url.hostname, url.port or 80
    except ValueError:
        host, port = None, 0
    if not host or url.scheme != "http" or not url.path.isascii():
        raise NoMarathon(f"Marathon registered with {base_url!r}, which is no http address")
    fields = [("Accept", "application/json"), (VIA, next_via(via, _OWN_NAME))]
    try:
        reply = exchange(host, port, "GET", f"{url.path}{target}", fields, b"", _PATIENCE)
        return replace(reply, body=masked(reply.body))
    except NotForwarded as error:
        raise NotForwarded(error.status, f"Marathon at {base_url}: {error}") from error
    except ValueError as error:
        raise NotForwarded(502, f"Marathon at {base_url}: its answer is no JSON") from error
