"""Ids of apps and groups: absolute paths like `/shop/web`, and names derived from them."""

from __future__ import annotations

import re
from typing import Final

from mezzo.units import ID_MAX_BYTES, INT32_MAX

ROOT: Final = "/"
SEGMENT_PATTERN: Final = (
    r"(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)"
)
PATH_PATTERN: Final = rf"^{SEGMENT_PATTERN}$"
RESERVED: Final = ("restart", "tasks", "versions", ".", "..")
_SEGMENT: Final = re.compile(SEGMENT_PATTERN)
# An app's id is the head of its tasks' ids: `shop_web.instance-<uuid>._app.<incarnation>`.
_UUID_CHARS: Final = 36
APP_ID_MAX: Final = ID_MAX_BYTES - len(f".instance-._app.{INT32_MAX}") - _UUID_CHARS


def absolute(path: str, base: str = ROOT) -> str:
    """Resolve `path` against the group `base`: no doubled or trailing slash, no `.` or `..`."""
    segments = [] if path.startswith("/") else [s for s in base.split("/") if s]
    for segment in path.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(segment)
    return "/" + "/".join(segments)


def problems(path: str) -> list[str]:
    """Why an absolute path can't be the id of an app; empty if it can."""
    segments = [segment for segment in path.split("/") if segment]
    if not segments:
        return ["must not be root"]
    if (length := len(underscored(path))) > APP_ID_MAX:
        # No pattern is tried on what may be megabytes.
        why = f"the id of a task is made of it and has at most {ID_MAX_BYTES} bytes"
        return [f"must have at most {APP_ID_MAX} characters, not {length}: {why}"]
    found = []
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        found.append(f"must fully match regular expression '{PATH_PATTERN}'")
    if segments[-1] in RESERVED:
        found.append(
            f"must not end with any of the following reserved keywords: {', '.join(RESERVED)}"
        )
    return found


def below(path: str, group: str) -> bool:
    """Is `path` inside `group`, at any depth? A path is not inside itself."""
    return path != group and path.startswith(group.rstrip("/") + "/")


def parent(path: str) -> str:
    """The group that an app is in."""
    return path.rpartition("/")[0] or ROOT


def underscored(path: str) -> str:
    """`/shop/web` -> `shop_web`: the head of instance ids."""
    return path.strip("/").replace("/", "_")


def task_name(path: str) -> str:
    """`/shop/web` -> `web.shop`: the name of the task, which service discovery publishes."""
    return ".".join(reversed(path.strip("/").split("/")))
