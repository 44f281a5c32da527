"""Ids. NewTypes, because an id is the easiest thing to swap; forms as in Mesos v1."""

from __future__ import annotations

import random
import re
import uuid
from typing import Final, NewType

from mezzo.errors import BadRequest

FrameworkId = NewType("FrameworkId", str)  # <master id>-%04d
AgentId = NewType("AgentId", str)  # <master id>-S<n>
OfferId = NewType("OfferId", str)  # <master id>-O<n>
TaskId = NewType("TaskId", str)  # chosen by the framework
ExecutorId = NewType("ExecutorId", str)  # chosen by the framework
ContainerId = NewType("ContainerId", str)  # a uuid, chosen by the agent
# One stream of one peer, unique in this process. A later stream has a larger number.
ConnId = NewType("ConnId", int)

USER_ID_MAX_BYTES = 255
_NOT_IN_USER_IDS: Final = re.compile(r"[/\\\x00-\x1f\x7f]")


class IdSource:
    """Ids out of an injected generator: the same seed gives the same ids."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def uuid_bytes(self) -> bytes:
        """16 bytes: the `uuid` of a status update."""
        return uuid.UUID(int=self._rng.getrandbits(128), version=4).bytes


def check_user_id(what: str, value: str) -> None:
    """Raise BadRequest if a framework-chosen id breaks the rule of Mesos `common/validation.cpp`.

    1 to 255 bytes, not `.` or `..`, no control characters, no `/` or `\\`.
    """
    if not value:
        raise BadRequest(f"{what} is empty: give one")
    if len(value.encode()) > USER_ID_MAX_BYTES:
        raise BadRequest(f"{what} has more than {USER_ID_MAX_BYTES} bytes: shorten it")
    if value in (".", ".."):
        raise BadRequest(f"{what} {value!r} is reserved: choose another")
    if _NOT_IN_USER_IDS.search(value):
        raise BadRequest(f"{what} {value!r} holds '/', '\\' or a control character: remove it")
