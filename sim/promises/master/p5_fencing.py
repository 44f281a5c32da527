"""Promise 5: a deposed leader can change nothing.

Its writes are fenced. Its messages carry an old epoch: agents and Marathon drop them.
"""

from __future__ import annotations

from typing import Any

from mezzo.agent.effects import CloseMaster
from mezzo.agent.events import MasterSaid
from mezzo.core import CancelTimer, Output, SetTimer
from mezzo.marathon.events import MasterEvent

from ...daemons.agents import VirtualAgent
from ...daemons.marathons import VirtualMarathon
from ...watch import Watch
from ...world.virtual_process import Process
from ...world.watched import Broken


class TheDeposedChangeNothing(Watch):
    def __init__(self) -> None:
        self._newest: dict[str, int] = {}  # epoch of a master that was heard, by who heard it
        self._term: dict[str, int] = {}  # Marathons' own: what they know dies with it

    def committed(self, process: Process, epoch: int) -> None:
        if epoch != process.disk.epoch:
            raise Broken(
                f"promise 5: {process.name} has written in epoch {epoch}, but epoch "
                f"{process.disk.epoch} owns the store"
            )

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        if isinstance(event, MasterSaid):
            # One whose disk is new has heard nobody.
            self._heard(f"{agent.name} {agent.installations}", event.epoch, output)

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,
        output: Output[Any],
    ) -> None:
        if self._term.get(marathon.name) != marathon.process.epoch:
            self._term[marathon.name] = marathon.process.epoch
            self._newest.pop(marathon.name, None)
        if isinstance(event, MasterEvent):
            self._heard(marathon.name, event.epoch, output)

    def _heard(self, name: str, epoch: int, output: Output[Any]) -> None:
        newest = self._newest.get(name, 0)
        if epoch < newest:
            harmless = (SetTimer, CancelTimer, CloseMaster)
            acted = [e for e in output.effects if not isinstance(e, harmless)]
            if output.writes or acted:
                raise Broken(
                    f"promise 5: {name} has heard epoch {newest} and obeys {epoch}: {acted}"
                )
        self._newest[name] = max(newest, epoch)
