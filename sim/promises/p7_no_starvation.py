"""Promise 7: no framework starves while another holds unused offers past the offer timeout.

Beside Marathon run a framework that takes every offer and answers none, and a modest one that works
through small tasks. Once no fault is left the modest one gets something again and again, within the
offer timeout and some time for the allocation; where its role has a guarantee, at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mezzo.core import Output
from mezzo.messages.scheduler import Accept

from ..frameworks import BatchCore, Kind, VirtualFramework
from ..watch import Broken, Watch
from ..world import World

_SLACK_S: Final = 60.0
_GUARANTEED_S: Final = 15.0


class NobodyStarves(Watch):
    def __init__(
        self,
        world: World,
        frameworks: Sequence[VirtualFramework],
        offer_timeout_s: float,
        *,
        guaranteed: bool,
    ) -> None:
        """guaranteed: what they want at most is guaranteed to their roles."""
        self._world = world
        self._modest = [each for each in frameworks if each.kind is not Kind.HOARDER]
        # A hoarder may be offered all of it once more, before its turn is over for good.
        self._bound_s = _GUARANTEED_S if guaranteed else 2 * offer_timeout_s + _SLACK_S
        self._since_s: dict[str, float] = {}  # it has wanted and got nothing since

    def framework_stepped(
        self,
        framework: VirtualFramework,
        event: Any,  # noqa: ANN401
        output: Output[Any],
    ) -> None:
        core = framework.core
        if isinstance(core, BatchCore) and core.wants == 0:
            self._since_s.pop(framework.name, None)

    def called(self, client: object, call: Any) -> None:  # noqa: ANN401
        if isinstance(call, Accept) and isinstance(client, VirtualFramework):
            self._since_s.pop(client.name, None)

    def wrong(self) -> str:
        for framework in self._modest:
            core = framework.core
            if not isinstance(core, BatchCore):
                return f"{framework.name} is not up"
            if core.wants == 0:
                continue
            since_s = self._since_s.setdefault(framework.name, self._world.now_s)
            if self._world.now_s - since_s > self._bound_s:
                raise Broken(
                    f"promise 7: {framework.name} wants {core.wants} small tasks and has got "
                    f"nothing for {self._bound_s:.0f} s"
                )
        return ""
