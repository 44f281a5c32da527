"""One call of a framework, and the state of the leader that it meets: see `p8_calls`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from mezzo.cluster.model import Capability, TaskInfo
from mezzo.cluster.operations import Launch, LaunchGroup
from mezzo.cluster.states import TaskState
from mezzo.core import CancelTimer, Output, SetTimer
from mezzo.ids import ConnId
from mezzo.master.effects import CloseStream, NoteDenied, ToAgent, ToFramework
from mezzo.master.events import FrameworkSaid
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.master.state.master_state import MasterState
from mezzo.messages import scheduler as sm

Check = Callable[[Output[Any]], str]
"""Looks at what came of a call; "" if it is right."""

_QUIET: Final = (SetTimer, CancelTimer, NoteDenied)
_NO_ID: Final = re.compile(r"[/\\\x00-\x1f\x7f]")
_ID_MAX_BYTES: Final = 255
_NEWER: Final = frozenset(
    {
        *(TaskState.DROPPED, TaskState.UNREACHABLE, TaskState.GONE),
        *(TaskState.GONE_BY_OPERATOR, TaskState.UNKNOWN),
    }
)


class Case:
    def __init__(
        self,
        state: MasterState,
        event: FrameworkSaid,
        framework: FrameworkEntry | None,
        now_s: float,
    ) -> None:
        self.state = state
        self.conn = event.conn
        self.named_id = event.framework_id
        self.call: Any = event.call
        self._framework = framework
        self.now_s = now_s

    @property
    def framework(self) -> FrameworkEntry:
        assert self._framework is not None
        return self._framework

    # ---- what came of it

    def told(self, output: Output[Any], kind: type | None = None) -> list[Any]:
        """The events that the caller gets."""
        return [
            each.event
            for each in output.effects
            if type(each) is ToFramework
            and each.conn == self.conn
            and (kind is None or type(each.event) is kind)
        ]

    def only_tells(self, output: Output[Any], *events: Any) -> str:
        """Was nothing done but to tell the caller this?"""
        if output.writes or orders_of(output):
            return f"it changes {output.writes or orders_of(output)}"
        others = [
            each
            for each in output.effects
            if not isinstance(each, _QUIET) and not (
                type(each) is ToFramework and each.conn == self.conn
            )
        ]  # fmt: skip
        told = self.told(output)
        if others or told != list(events):
            return f"it is answered {told} and {others}, not {list(events)}"
        return ""

    def refused(self, output: Output[Any], name: str) -> str:
        """Is the call refused, by a word that says why, and nothing else?"""
        told = self.told(output)
        if len(told) == 1 and type(told[0]) is sm.Answered and told[0].refusal:
            return self.only_tells(output, *told) if told[0].call == name else f"it is told {told}"
        return f"it has to be refused, and is told {told}"

    def stranger(self, output: Output[Any]) -> str:
        told = self.told(output)
        closed = [each for each in output.effects if isinstance(each, CloseStream)]
        if [type(each) for each in told] != [sm.Error] or [c.conn for c in closed] != [self.conn]:
            return f"it is not subscribed there, and is told {told}"
        if output.writes or orders_of(output):
            return "it is not subscribed there, and changes something"
        return ""

    def lost_form(self, state: TaskState) -> TaskState:
        aware = Capability.PARTITION_AWARE in self.framework.info.capabilities
        return TaskState.LOST if state in _NEWER and not aware else state


def orders_of(output: Output[Any]) -> list[tuple[ConnId, Any]]:
    return [(each.conn, each.message) for each in output.effects if type(each) is ToAgent]


def tasks_of(operation: Launch | LaunchGroup) -> tuple[TaskInfo, ...]:
    return operation.task_infos if isinstance(operation, Launch) else operation.tasks


def is_id(text: str) -> bool:
    """May a framework give this as an id?"""
    fits = 0 < len(text.encode()) <= _ID_MAX_BYTES
    return fits and text not in (".", "..") and _NO_ID.search(text) is None


def is_role(text: str) -> bool:
    """Mesos `roles::validate`."""
    return text == "*" or all(
        part not in ("", ".", "..", "*")
        and not part.startswith("-")
        and not any(ch.isspace() or ord(ch) < 32 or ord(ch) == 127 for ch in part)
        for part in text.split("/")
    )
