"""Who may ask: the hosts that we are, and the requests that a web page may make a browser send.

A browser on a machine that can reach a port carries out requests for any page that its user looks
at. Pages can't forge what tells them apart:

1. Host (or the target's authority) must name this machine, else 421. A page that has rebound its
   own name to our address still sends its own name.
2. A write, and opening an event stream, is refused (403) if Origin, Sec-Fetch-Site or Referer says
   that another page asks. Programs other than browsers send none of them.
3. The body of a write must be JSON by its media type, else 415: a page can't send that elsewhere
   without asking first (a CORS preflight), and nobody here says yes. Only a client without a sign
   of a browser may leave the type out or call it a form, as `curl -d` does.

Reading needs no rule: without CORS fields in our answers a browser keeps them from foreign pages.
Pure, and the same for all ports.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mezzo.units import shown

from .errors import RequestRefused
from .request import Head, host_of

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = re.compile(r"application/(?:json|[a-z0-9!#$&^_.\-]+\+json)")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
# What Mesos-DNS and its like call the leaders: their domain is no one's to register.
_CLUSTER_NAMES: Final = ("leader.mesos", "master.mesos", "marathon.mesos", "slave.mesos")
FLAG: Final = "--http-allowed-hosts"


class Hosts:
    """The names and addresses that a request may be meant for. Ports are not looked at: a port map
    or a balancer in front may have another."""

    def __init__(self, names: Iterable[str]) -> None:
        """`*` among the names: any."""
        known = [name.strip().lower() for name in names]
        self._any = "*" in known
        self._names = frozenset(_plain(name) for name in known if name)

    def knows(self, host: str, local_ip: str) -> bool:
        """local_ip: the address that the connection has come to, which is ours as well."""
        address = _address(host)
        if self._any or (address or host) in self._names:
            return True
        return address is not None and (address == _address(local_ip) or _loopback(address))


def hosts_of_machine(*more: str) -> Hosts:
    """The names of this machine, and `more`: the one the daemon gives to others, those allowed."""
    return Hosts(("localhost", *_own_names(), *_CLUSTER_NAMES, *more))


def _own_names(table: Path = Path("/etc/hosts")) -> list[str]:
    """Names from the local table only: no name server has a say in what we are called."""
    own = socket.gethostname().lower()
    names = [own]
    try:
        lines = table.read_text(errors="replace").lower().splitlines()
    except OSError:
        return names
    for line in lines:
        _, *aliases = line.partition("#")[0].split() or [""]
        if own in aliases:
            names += aliases
    return names


def _plain(name: str) -> str:
    try:
        host = host_of(name if not _is_v6(name) else f"[{name}]")
        return _address(host) or host
    except RequestRefused:
        return name  # no request can name it


def _is_v6(name: str) -> bool:
    return name.count(":") > 1 and not name.startswith("[")


@lru_cache(maxsize=64)  # of a server there are few names
def _address(text: str) -> str | None:
    """An address as it is written shortest, IPv4 within IPv6 as IPv4; None if it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


@lru_cache(maxsize=64)
def _loopback(address: str) -> bool:
    return ip_address(address).is_loopback


def judge(head: Head, hosts: Hosts, local_ip: str) -> None:
    """Raises RequestRefused: 421, 403, 415."""
    if head.host is not None and not hosts.knows(head.host, local_ip):
        raise RequestRefused(
            421,
            f"{shown(head.host)} is none of this server's names: use its address, or start it with "
            f"{FLAG}={head.host}",
        )
    if head.method in READS and not _is_event_stream(head):
        return
    _judge_origin(head)
    if head.method not in READS and head.has_body:
        _judge_type(head)


def _is_event_stream(head: Head) -> bool:
    return "text/event-stream" in (head.field("accept") or "").lower()


def _judge_origin(head: Head) -> None:
    origin, site = head.field("origin"), head.field("sec-fetch-site")
    if origin is None:
        # Old browsers send no Origin with a form, but where it was.
        origin = head.field("referer")
    if origin is not None and not _same(origin, head.authority):
        raise RequestRefused(
            403,
            f"this comes from a page of {shown(origin)}: only pages of this server itself may ask "
            "for it in a browser",
        )
    if site is not None and site.lower() not in ("same-origin", "none"):
        raise RequestRefused(
            403,
            f"a browser says that a page from elsewhere asks (Sec-Fetch-Site: {shown(site)}): only "
            "pages of this server itself may",
        )


def _same(origin: str, authority: str | None) -> bool:
    """Is the page's origin (`http://host:port`, `null`) the server that it asks?"""
    if authority is None:
        return False
    try:
        parts = urlsplit(origin)
        port = _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return False
    if port is None or not parts.netloc:
        return False
    return _with_port(parts.netloc, port) == _with_port(authority, port)


def _with_port(authority: str, default: str) -> str:
    host, colon, port = authority.lower().rpartition(":")
    if not colon or port.endswith("]"):
        host, port = authority.lower(), ""
    return f"{host}:{port or default}"


def _judge_type(head: Head) -> None:
    kind = (head.field("content-type") or "").partition(";")[0].strip().lower()
    if _JSON.fullmatch(kind):
        return
    if kind in ("", _FORM) and not _looks_like_browser(head):
        return
    raise RequestRefused(
        415,
        f"the body's type is {shown(kind) if kind else 'not given'}: send it with the header "
        "Content-Type: application/json",
    )


def _looks_like_browser(head: Head) -> bool:
    return any(
        name in ("origin", "referer", "cookie")
        or name.startswith("sec-fetch-")
        or (name == "user-agent" and value.startswith("Mozilla/"))
        for name, value in head.fields
    )
