"""Marathon's read API for the page, through the gateway, so that the browser knows one origin.

Where Marathon is, it says itself: the `webui_url` that it registered with at the master.
"""

from __future__ import annotations

import http.client
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from mezzo.errors import MezzoError

from .replica import View

FRAMEWORK_NAME: Final = "marathon"
# What the page reads. Anything else of Marathon is not this gateway's to hand out.
READABLE: Final = frozenset({"apps", "deployments", "queue", "info"})
_TIMEOUT_S: Final = 5.0
_ANSWER_MAX_BYTES: Final = 64 * 1024 * 1024


class NoMarathon(MezzoError):
    """No Marathon is registered, or it does not answer."""


class Answer(NamedTuple):
    status: int
    content_type: str
    body: bytes


def marathon_url(view: View) -> str:
    """Of the Marathon that is registered and connected. Raises NoMarathon."""
    for framework in view.frameworks.values():
        info = framework.framework_info
        if info.name == FRAMEWORK_NAME and framework.connected and info.webui_url:
            return info.webui_url.rstrip("/")
    raise NoMarathon("no Marathon is connected to the master: start one with `mezzo marathon`")


def get(base_url: str, path_and_query: str) -> Answer:
    """One GET, redirects not followed. Raises NoMarathon when it can't be reached."""
    url = urlsplit(base_url)
    if url.scheme != "http" or not url.hostname:
        raise NoMarathon(f"Marathon registered with {base_url!r}, which is no http address")
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=_TIMEOUT_S)
    try:
        connection.request(
            "GET", f"{url.path}{path_and_query}", headers={"Accept": "application/json"}
        )
        response = connection.getresponse()
        body = response.read(_ANSWER_MAX_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise NoMarathon(f"Marathon at {base_url} does not answer: {error}") from error
    finally:
        connection.close()
    if len(body) > _ANSWER_MAX_BYTES:
        raise NoMarathon(f"Marathon's answer has more than {_ANSWER_MAX_BYTES} bytes")
    return Answer(response.status, response.headers.get_content_type(), body)
