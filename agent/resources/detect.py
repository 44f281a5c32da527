"""This machine: its resources, its boot, and how flags describe it. Reads, changes nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import psutil

from mezzo.cluster.amounts import Items, Ranges, Value, from_milli, parse_value, to_milli
from mezzo.cluster.model import AgentInfo, Attribute
from mezzo.cluster.resources import Kind, Resources
from mezzo.errors import BadConfig, BadRequest
from mezzo.record import replace

from ..container import Kind as Containerizer

MIB: Final = 1 << 20
DEFAULT_PORTS: Final = (31_000, 32_000)
_ENGINE_WITHIN_S: Final = 2.0
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The id of the machine's boot: another one after each."""
    return _BOOT_ID.read_text().strip()


def engine_problem(url: str) -> str | None:
    """Why nobody answers at a Docker engine's `unix://` or `tcp://` address; None if one does.

    Without a Docker client, which an agent that never needs one is spared.
    """
    where = urlsplit(url)
    try:
        if where.scheme == "unix" or (where.scheme == "tcp" and where.hostname and where.port):
            _connected(url).close()
        elif "://" not in url:
            return "this is no address: write unix:///path or tcp://host:port"
    except OSError as error:
        return error.strerror or str(error)
    return None


def engine_has(url: str, label: str) -> bool:
    """Does a Docker engine have containers with this `name=value`? As `engine_problem`, bare.

    False also if it can't be asked.
    """
    # A megabyte, and only an agent that has lost its store asks.
    from http.client import HTTPException, HTTPResponse

    filters = quote(json.dumps({"label": [label]}))
    try:
        with _connected(url) as connection:
            asked = f"GET /containers/json?all=1&filters={filters} HTTP/1.1\r\nHost: docker\r\n"
            connection.sendall(f"{asked}Connection: close\r\n\r\n".encode())
            connection.settimeout(_ENGINE_WITHIN_S)
            answer = HTTPResponse(connection)
            answer.begin()
            return answer.status == HTTPStatus.OK and bool(json.loads(answer.read()))
    except (OSError, HTTPException, ValueError):
        return False


def _connected(url: str) -> socket.socket:
    """Raises OSError, ValueError."""
    where = urlsplit(url)
    if where.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(where.path)
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection((where.hostname or "", where.port or 0), _ENGINE_WITHIN_S)


def resources_of(flag: str, work_dir: Path) -> Resources:
    """`--resources`, and for each of cpus, mem, disk, ports that it does not name what is there.

    Mesos' rules: mem is the total less 1 GB, disk (of the work directory) the total less 5 GB, or
    half of little. Raises BadConfig.
    """
    try:
        given = Resources.parse(flag)
    except BadRequest as error:
        raise BadConfig(f"--resources: {error}") from error
    for kind, value in given.items():
        wanted = {"ports": Ranges, "cpus": int, "mem": int, "disk": int, "gpus": int}.get(kind.name)
        if wanted is not None and not isinstance(value, wanted):
            example = "ports:[31000-32000]" if kind.name == "ports" else f"{kind.name}:4"
            raise BadConfig(f"--resources: {kind.name} has the wrong form: write e.g. {example}")
    named = {kind.name for kind, _ in given.items()} | _named_as_zero(flag)
    found: dict[str, Value] = {
        "cpus": to_milli(psutil.cpu_count() or 1),
        "mem": to_milli(without_reserve(psutil.virtual_memory().total // MIB, keep=1024)),
        "disk": to_milli(without_reserve(psutil.disk_usage(str(work_dir)).total // MIB, keep=5120)),
        "ports": Ranges.of([DEFAULT_PORTS]),
    }
    return given + Resources(
        {Kind(name): value for name, value in found.items() if name not in named}
    )


def _named_as_zero(flag: str) -> set[str]:
    """`gpus:0` or `disk:0` says that there is none, although Resources leave out zeros."""
    return {part.partition(":")[0].partition("(")[0].strip() for part in flag.split(";")}


def without_reserve(total: int, *, keep: int) -> int:
    """Leave `keep` to the machine itself, or half if there is less than twice that."""
    return total - keep if total >= 2 * keep else total // 2


def attributes_of(flag: str) -> tuple[Attribute, ...]:
    """`--attributes`, e.g. `rack:abc;level:10;keys:[1000-1500]`: type by look. Raises BadConfig."""
    return tuple(_attribute(part) for part in _parts(flag))


def _attribute(part: str) -> Attribute:
    name, colon, text = (piece.strip() for piece in part.partition(":"))
    if not name or not colon or not text:
        raise BadConfig(f"--attributes: {part!r} is not name:value: write e.g. rack:abc;level:10")
    if text[0] in "[{":
        try:
            value = parse_value(name, text)
        except BadRequest as error:
            raise BadConfig(f"--attributes: {error}") from error
        if isinstance(value, Ranges):
            return Attribute(name, ranges=value.pairs)
        if isinstance(value, Items):
            return Attribute(name, set=value.members)
    try:
        amount = parse_value(name, text)
    except BadRequest:
        return Attribute(name, text=text)
    assert isinstance(amount, int)
    return Attribute(name, scalar=from_milli(amount))


def containerizers_of(flag: str) -> tuple[Containerizer, ...]:
    """`--containerizers`: docker, process, or both with a comma. Raises BadConfig."""
    words = [word.strip() for word in flag.split(",") if word.strip()]
    unknown = [word for word in words if word not in tuple(Containerizer)]
    if unknown or not words:
        raise BadConfig(
            f"--containerizers={flag}: {unknown[0] if unknown else 'nothing'!r} is none: "
            "write docker, process or docker,process"
        )
    return tuple(dict.fromkeys(Containerizer(word) for word in words))


def check_reconfiguration(known: AgentInfo, now: AgentInfo, policy: str) -> None:
    """May an agent that is known as `known` come back as `now`? Raises BadConfig if not.

    Mesos' `--reconfiguration_policy`: `equal`, or `additive` (more resources, more attributes).
    Address and port may change: they are only where people look.
    """
    now = replace(now, id=known.id, port=known.port, ip=known.ip)
    if now == known:
        return
    differs = [
        field
        for field in ("hostname", "resources", "attributes", "domain")
        if getattr(now, field) != getattr(known, field)
    ]
    more = (
        now.hostname == known.hostname
        and known.resources <= now.resources
        and all(attribute in now.attributes for attribute in known.attributes)
        and known.domain in (None, now.domain)
    )
    if policy == "additive" and more:
        return
    allowed = "the same" if policy == "equal" else "the same or more"
    raise BadConfig(
        f"this agent is known as {_shown(known)}, now it is {_shown(now)}: {', '.join(differs)} "
        f"must be {allowed} under --reconfiguration-policy={policy}. Undo that change, or remove "
        "the folder meta in the work directory to join as a new agent (what it ran is then ended)"
    )


def _shown(info: AgentInfo) -> str:
    attributes = ";".join(f"{a.name}:{a.shown}" for a in info.attributes)
    return f"{info.hostname} [{info.resources}] [{attributes}]"


def _parts(flag: str) -> Iterable[str]:
    return filter(None, (part.strip() for part in flag.split(";")))
