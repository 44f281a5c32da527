"""The narrow moments: something happens right before or after the n-th message, effect or write of
one kind. The kind is drawn from all there are, so that a rare one is met as often as a common one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from mezzo.agent import effects as of_agent
from mezzo.marathon import effects as of_marathon
from mezzo.master import effects as of_master
from mezzo.messages import agent as am
from mezzo.messages import scheduler as sm

from .network import Network
from .world import World

_WRITES: Final = (
    *(
        "agent",
        "identity",
        "obeyed",
        "resources",
        "proof",
        "framework",
        "task",
        "ended",
        "remains",
        "operation",
        "applied",
        "volume",
    ),
    *("instance", "app", "deployment", "version", "quota", "weight", "maintenance"),
)
_EFFECTS: Final = (
    *get_args(sm.Call),
    *get_args(sm.Event),
    *am.AGENT_MESSAGES,
    *am.MASTER_MESSAGES,
    of_agent.LaunchContainer,
    of_agent.KillContainer,
    of_agent.RecoverContainers,
    of_agent.RemoveContainer,
    of_agent.CloseMaster,
    of_marathon.Reply,
    of_marathon.StartHealthCheck,
    of_marathon.StopHealthChecks,
    of_marathon.ShowDeployment,
    of_master.Answer,
    of_master.CloseStream,
)
KINDS: Final = (
    *dict.fromkeys(kind.__name__ for kind in _EFFECTS),
    *(f"write {kind}" for kind in _WRITES),
)
_NTH_MAX: Final = 6
_PAUSE_MAX_S: Final = 25.0


def kind_of(effect: Any) -> str:
    """The kind of a thing; if it carries a message, that of the message."""
    for carries in ("message", "call", "event"):
        inner = getattr(effect, carries, None)
        if inner is not None and not isinstance(inner, str):
            return type(inner).__name__
    return type(effect).__name__


@dataclass(slots=True)
class _Rule:
    kind: str
    left: int  # so many more of the kind, and it happens
    before: bool
    act: Callable[[Any], None]


class Moments:
    """Rules for one run. `met` is asked at each point, and may end the process that asks."""

    def __init__(self, world: World, network: Network, count: int) -> None:
        self._world = world
        self._network = network
        acts = (self._kill, self._kill, self._cut, self._cut_all, self._pause)
        self._rules = [
            _Rule(
                world.rng.choice(KINDS),
                world.rng.randint(1, _NTH_MAX),
                world.chance(0.4),
                world.rng.choice(acts),
            )
            for _ in range(count)
        ]
        self.active = False

    @property
    def summary(self) -> Sequence[str]:
        return [f"moment: {rule.kind}" for rule in self._rules]

    def met(self, process: Any, kind: str, *, before: bool) -> None:
        if not self.active:
            return
        for rule in self._rules:
            if rule.kind != kind or rule.before != before or rule.left == 0:
                continue
            rule.left -= 1
            if rule.left == 0:
                order = "before" if before else "after"
                self._world.tell(f"a moment: {process.name}, right {order} its {kind}")
                rule.act(process)

    def _kill(self, process: Any) -> None:
        process.crash("killed at a narrow moment")

    def _cut(self, process: Any) -> None:
        """Cut the streams of a process; of a server's clients some."""
        self._network.cut(lambda name: name == process.name or self._world.chance(0.3))

    def _cut_all(self, process: Any) -> None:
        del process
        self._network.cut(lambda name: True)

    def _pause(self, process: Any) -> None:
        process.stop_for(self._world.between(0.1, _PAUSE_MAX_S))
