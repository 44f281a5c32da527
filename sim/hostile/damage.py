"""Records that can't be read any more: the next leader sets them aside, says so, and goes on.

Records of odd apps, or of nobody, are damaged: everybody else has to go on as if nothing were.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mezzo.core import Output
from mezzo.ids import AgentId
from mezzo.marathon.commands import DropAside
from mezzo.marathon.effects import ShowAside
from mezzo.marathon.events import Started as MarathonStarted
from mezzo.marathon.model.instance import Instance
from mezzo.marathon.state.tables import INSTANCES
from mezzo.master.effects import NoteSetAside
from mezzo.master.events import Started
from mezzo.master.tables import QUOTAS, WEIGHTS
from mezzo.messages.operator import DeleteSetAside, QuotaConfig, WeightInfo

from ..daemons.marathons import VirtualMarathon
from ..daemons.masters import VirtualMaster
from ..watch import Watch
from ..world.disk import Disk
from ..world.watched import Broken
from ..world.world import START_WALL_S, World

_TIMES_MAX: Final = 3
_AGAIN_S: Final = 3.0
_NOBODYS: Final = ("quota/nobody", "weight/nobody", "framework/nobody-0000")
_LOST: Final = "nowhere.instance-00000000-0000-4000-8000-000000000000"
_BROKEN: Final = (b"", b"{", b"[]", b"\xff\x00", b'{"id":1}', b"[" * 3000, b'"text"', b"{}")
Key = tuple[str, str]  # the daemon's kind and the key in its store


class Damage(Watch):
    """damaged: what was written over, and with what; it may be replaced meanwhile."""

    def __init__(
        self,
        world: World,
        masters: Sequence[VirtualMaster],
        marathons: Sequence[VirtualMarathon],
        disks: tuple[Disk, Disk],
        rng: random.Random,
        odd: str,
    ) -> None:
        """disks: of the masters and of the Marathons. odd: the app whose records are damaged."""
        self._world = world
        self._masters = masters
        self._marathons = marathons
        self._disks = dict(zip(("master", "marathon"), disks, strict=True))
        self._rng = rng
        self._odd = odd
        self._active = False
        self._aside: dict[str, None] = {}  # by the Marathon that leads
        self.damaged: dict[Key, bytes] = {}

    def start(self) -> None:
        self._active = True
        for _ in range(self._rng.randint(1, _TIMES_MAX)):
            self._world.after(self._rng.uniform(5.0, 150.0), self._act)

    def stop(self) -> None:
        """The operator sees the records that are set aside, and deletes them."""
        self._active = False
        self._clean()

    def _act(self) -> None:
        """A leader is killed, and before the next one leads, a record is another."""
        if not self._active:
            return
        kind = self._rng.choice(("master", "marathon"))
        candidates = self._masters if kind == "master" else self._marathons
        for candidate in candidates:
            if candidate.process.up:
                candidate.crash(0.0)
        data = self._disks[kind].data
        keys = [*_NOBODYS] if kind == "master" else ["unheard/of", *self._odd_keys(data)]
        key = self._rng.choice(keys)
        before = data.get(key, b"")
        value = self._rng.choice((*_BROKEN, before[: len(before) // 2]))
        if (others := self._others(kind, data)) is not None:
            key, value = others
        data[key] = value
        self.damaged[kind, key] = data[key]
        self._world.tell(f"{key} of a {kind} is damaged")

    def _others(self, kind: str, data: Mapping[str, bytes]) -> tuple[str, bytes] | None:
        """Now and then nothing is wrong with the record, but that it is another's: a restore from
        two backups. An instance is one of an app that nobody has."""
        rng = random.Random(f"damage of {self._world.seed} at {self._world.now_s}")
        if rng.random() < 0.5:
            return None
        if kind == "marathon":
            at_s = START_WALL_S + self._world.now_s
            at_ms = int(at_s * 1000)
            lost = Instance(_LOST, "/nowhere", at_ms, at_ms, AgentId("nobody-S0"), "nobody", at_s)
            return INSTANCES.key(_LOST), INSTANCES.encode(lost)
        frameworks = [key for key in sorted(data) if key.startswith("framework/")]
        values = {
            "weight/nobody": WEIGHTS.encode(WeightInfo(2.0, "others")),
            "quota/nobody": QUOTAS.encode(QuotaConfig("others", {}, {"cpus": 1000})),
        }
        if frameworks:
            values["framework/nobody-0000"] = data[rng.choice(frameworks)]
        return rng.choice(list(values.items()))

    def _odd_keys(self, data: Mapping[str, bytes]) -> list[str]:
        heads = (f"app/{self._odd}", f"appversion/{self._odd}@")
        return [key for key in sorted(data) if key.startswith(heads)]

    # ---- what is looked at

    def _is_damaged(self, kind: str, key: str) -> bool:
        value = self.damaged.get((kind, key))
        return value is not None and self._disks[kind].data.get(key) == value

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        if isinstance(event, Started):
            told = [each.key for each in output.effects if isinstance(each, NoteSetAside)]
            self._look("master", master.name, told)

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,
        output: Output[Any],
    ) -> None:
        process = marathon.process
        for effect in output.effects if process.epoch == process.disk.epoch else ():  # not deposed
            if isinstance(effect, ShowAside) and effect.aside is None:
                self._aside.pop(effect.key, None)
        if isinstance(event, MarathonStarted):
            shown = [each for each in output.effects if isinstance(each, ShowAside)]
            told = [each.key for each in shown if each.aside is not None]
            self._aside = dict.fromkeys(told)
            # An app without its version makes no sense, nor does a plan for one that is not there.
            if self._odd_keys({key: b"" for of, key in self.damaged if of == "marathon"}):
                follow = ("deployment/", f"app/{self._odd}")
                told = [
                    k for k in told if not k.startswith(follow) or self._is_damaged("marathon", k)
                ]
            self._look("marathon", marathon.name, told)

    def _look(self, kind: str, name: str, told: list[str]) -> None:
        for key in told:
            if not self._is_damaged(kind, key):
                raise Broken(f"promise 9: {name} has stored {key}, and can't read it")
        for of, key in self.damaged:
            if of == kind and key not in told and self._is_damaged(kind, key):
                raise Broken(f"promise 9: {name} can't read {key}, and says nothing of it")

    # ---- in the end

    def _clean(self) -> None:
        """Delete records, again and again: a leader may die with the wish."""
        if not self.wrong():
            return
        for master in self._masters:
            for key in self._left("master") if master.process.up else ():
                master.ask(DeleteSetAside(key))
        for marathon in self._marathons:
            for key in self._aside if marathon.ready else ():
                marathon.ask(DropAside(key), lambda result: None)
        self._world.after(_AGAIN_S, self._clean)

    def _left(self, kind: str) -> list[str]:
        return [key for of, key in self.damaged if of == kind and self._is_damaged(of, key)]

    def wrong(self) -> str:
        left = [*self._left("master"), *self._left("marathon"), *self._aside]
        return f"{left[0]} is still set aside" if left else ""
