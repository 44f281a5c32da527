"""Promise 8 for operators who ask why: the answer is about exactly those that they ask about.

Now and then, and right after a weight has changed, questions are asked as people ask them: by name
or id, of a role, of a host, of nobody, of too many, with a letter too much. What is answered is
about those who are called so, is what the allocator says, and ends when that ends, by the wall.
The shares in it, and who is served before whom, are added up anew from what everybody has.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mezzo.core import Instant, Output
from mezzo.errors import BadRequest
from mezzo.ids import FrameworkId
from mezzo.master.core import MasterCore
from mezzo.master.events import OperatorAsked
from mezzo.master.operators.calls import ANSWERS
from mezzo.master.state.agent_entry import AgentEntry, Standing
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.master.state.master_state import MasterState
from mezzo.master.state.step import Step
from mezzo.messages import operator as om

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..allocator.sums import of_role, scalars, taken

_ASK_EVERY: Final = 251  # steps of a master
_PAIRS_MAX: Final = 100
_COMPARED: Final = 4  # answers of a question, with what the allocator says
_SHOWN: Final = 5  # of those who are before
_ROUNDING: Final = 1e-9
_PLAIN: Final = re.compile(r"[\w.-]+")
Pair = tuple[FrameworkEntry, str, AgentEntry]


class WhoAsksIsTold(Watch):
    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"questions of {seed}")
        self._steps = 0

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        self._steps += 1
        weighs = type(event) is OperatorAsked and type(event.call) is om.UpdateWeights
        if self._steps % _ASK_EVERY and not weighs:
            return
        core = master.core
        assert core is not None
        _Questions(master.name, core, master.process.now(), self._rng).ask(all_roles=weighs)


class _Questions:
    """The questions of one moment."""

    def __init__(self, name: str, core: MasterCore, now: Instant, rng: random.Random) -> None:
        self._name = name
        self._state = core.state
        self._now = now
        self._rng = rng
        self._shares: _Shares | None = None

    def ask(self, *, all_roles: bool) -> None:
        state = self._state
        if all_roles:
            for agent in list(state.agents.values())[:1]:
                self._ask(om.Explain(None, None, agent.id))
            return
        self._ask(om.Explain(self._framework(), self._role(), self._agent()))

    # ---- what is asked

    def _framework(self) -> str | None:
        entries = list(self._state.frameworks.values())
        names = [name for each in entries for name in (each.id, each.info.name)]
        return self._one_of(names)

    def _role(self) -> str | None:
        entries = self._state.frameworks.values()
        return self._one_of([role for each in entries for role in each.info.all_roles])

    def _agent(self) -> str | None:
        state = self._state
        here = [name for each in state.agents.values() for name in (each.id, each.info.hostname)]
        away = [
            name for each in state.unreachable.values() for name in (each.id, each.info.hostname)
        ]
        return self._one_of(away if away and self._rng.random() < 0.5 else here)

    def _one_of(self, names: list[str]) -> str | None:
        """Mostly one of these; sometimes it is misspelt, or left out."""
        rng = self._rng
        dice = rng.random()
        if not names or dice < 0.3:
            return None
        name = rng.choice(names)
        if dice < 0.4:
            return f"{name}x"
        return name

    # ---- what is answered

    def _broken(self, call: om.Explain, why: str) -> Broken:
        return Broken(f"promise 8: {self._name} is asked {call}: {why}")

    def _ask(self, call: om.Explain) -> None:
        state, step = self._state, Step(self._state, self._now)
        asked = self._meant(call)
        try:
            told = ANSWERS.handle(state, step, call)
        except BadRequest as error:
            self._refused(call, str(error), asked)
            return
        if step.writes or step.effects:
            raise self._broken(call, f"it does {step.writes or step.effects}")
        assert isinstance(told, om.Explanations)
        unknown = not asked and self._is_unknown(call)
        if unknown or len(asked) > _PAIRS_MAX:
            raise self._broken(call, f"that means {len(asked)}, and it answers {told}")
        about = [
            (each.framework_id, each.framework_name, each.role, each.agent_id, each.hostname)
            for each in told.explanations
        ]
        expected = [(f.id, f.info.name, role, a.id, a.info.hostname) for f, role, a in asked]
        if about != expected:
            raise self._broken(call, f"it is told about {about}, asked was about {expected}")
        answers = list(zip(asked, told.explanations, strict=True))
        for (framework, role, agent), each in answers[:_COMPARED]:
            self._explained(call, framework, role, agent, each)
        self._in_order(call, answers)

    def _meant(self, call: om.Explain) -> list[Pair]:
        state = self._state
        return [
            (framework, role, agent)
            for framework in state.frameworks.values()
            if call.framework in (None, framework.id, framework.info.name)
            for role in framework.info.all_roles
            if call.role in (None, role)
            for agent in state.agents.values()
            if call.agent in (None, agent.id, agent.info.hostname)
        ]

    def _is_unknown(self, call: om.Explain) -> bool:
        """Somebody is named who is not there; where nobody is at all, all of them are none."""
        if call.agent is not None and not any(
            call.agent in (agent.id, agent.info.hostname) for agent in self._state.agents.values()
        ):
            return True
        return (call.framework is not None or call.role is not None) and not any(
            call.framework in (None, f.id, f.info.name) and call.role in (None, *f.info.all_roles)
            for f in self._state.frameworks.values()
        )

    def _refused(self, call: om.Explain, why: str, asked: list[Pair]) -> None:
        if len(asked) <= _PAIRS_MAX and (asked or not self._is_unknown(call)):
            raise self._broken(call, f"nothing is wrong with it, and it is answered {why!r}")
        if asked:
            if not all(str(n) in why for n in (len(asked), _PAIRS_MAX)):
                raise self._broken(call, f"{len(asked)} are too many: {why!r}")
            return
        state = self._state
        frameworks = [
            f for f in state.frameworks.values() if call.framework in (None, f.id, f.info.name)
        ]
        roles = [role for f in frameworks for role in f.info.all_roles]
        if call.framework is not None and not frameworks:
            known = [n for f in state.frameworks.values() for n in (f.id, f.info.name)]
            self._named(call, why, call.framework, known)
        elif call.role is not None and call.role not in roles:
            self._named(call, why, call.role, roles)
        elif call.agent is not None:
            lost = [n for u in state.unreachable.values() for n in (u.id, u.info.hostname)]
            if ("unreachable" in why) is not (call.agent in lost):
                raise self._broken(call, f"unreachable are {lost}: {why!r}")
            if call.agent not in lost:
                here = [n for a in state.agents.values() for n in (a.id, a.info.hostname)]
                self._named(call, why, call.agent, here)

    def _named(self, call: om.Explain, why: str, wrong: str, known: list[str]) -> None:
        """What is wrong, and of a name with a letter too much the right one."""
        near = wrong.removesuffix("x")
        if repr(wrong) not in why:
            raise self._broken(call, f"it is not told that {wrong!r} is wrong: {why!r}")
        others = [name for name in known if name != near and name.startswith(near[:-1])]
        if near != wrong and near in known and not others and near not in why:
            raise self._broken(call, f"it is not told of {near!r}: {why!r}")

    def _explained(
        self,
        call: om.Explain,
        framework: FrameworkEntry,
        role: str,
        agent: AgentEntry,
        told: om.Explanation,
    ) -> None:
        """As the allocator has it. Of who is not back since a failover that knows nothing, of who
        waits for its turn what was so before."""
        away = ["NOT_CONNECTED"] * (framework.recovered or framework.admission is not None)
        away += ["AGENT_INACTIVE"] * (agent.standing is Standing.RECOVERED)
        if away:
            vetoes = [each.veto for each in told.objections]
            if vetoes != away or told.offered or told.counters:
                raise self._broken(call, f"not back are {away}: {told}")
            return
        now = self._now
        verdict = self._state.allocator.explain(framework.id, role, agent.id, now.mono_s)
        said = [(each.veto, each.wanted, each.have, each.change) for each in told.objections]
        if (told.offered, told.counters, said) != (
            verdict.offered,
            dict(verdict.counters),
            [(each.veto, each.wanted, each.have, each.change) for each in verdict.objections],
        ):
            raise self._broken(call, f"it is told {told}, and so it is: {verdict}")
        for shown, own in zip(told.objections, verdict.objections, strict=True):
            if (shown.until is None) is not (own.until_s is None):
                raise self._broken(call, f"it ends at {own.until_s}: {shown}")
            if own.until_s is not None and shown.until is not None:
                ends_s = now.wall_s + (own.until_s - now.mono_s)
                if abs(shown.until - ends_s) > 1e-3:
                    raise self._broken(call, f"it ends at {ends_s}: {shown}")

    # ---- whose turn it is

    def _in_order(self, call: om.Explain, answers: list[tuple[Pair, om.Explanation]]) -> None:
        for (framework, role, _), told in answers:
            for each in told.objections:
                if each.veto == "SHARE":
                    self._before(call, (framework.id, role), each)

    def _before(
        self, call: om.Explain, client: tuple[FrameworkId, str], told: om.Objection
    ) -> None:
        if self._shares is None:
            self._shares = _Shares(self._state)
        shares = self._shares
        own = shares.standing(client)
        if told.wanted != own:
            raise self._broken(call, f"the standing of {client} is {told.wanted}, it is {own}")
        known = {
            shares.standing(other): other for other in shares.clients if other != client
        }  # of some it may be the same
        if not all(_PLAIN.fullmatch(name) for name in shares.names):
            return  # what is told can't be taken apart
        before, _, more = told.have.removeprefix("before it: ").partition(" and ")
        shown = before.split(", ")
        if more and len(shown) != _SHOWN:
            raise self._broken(call, f"{_SHOWN} of those before are to be shown: {told.have}")
        for standing in shown:
            other = known.get(standing)
            if other is None:
                raise self._broken(call, f"before {own} is {standing}, others are {list(known)}")
            if shares.is_later(other, client):
                raise self._broken(call, f"{standing} is served before {own}")


class _Shares:
    """The dominant shares of all clients, of what is offered to them or allocated."""

    def __init__(self, state: MasterState) -> None:
        back = {a.id: a for a in state.agents.values() if a.standing is not Standing.RECOVERED}
        self._weights: Mapping[str, float] = state.weights
        self._total = scalars(agent.info.resources for agent in back.values())
        self._held = [
            (framework_id, role, of)
            for at, framework_id, role, of in taken(state)
            if at in back and of
        ]
        self._held += [(o.framework_id, o.role, o.resources) for o in state.offers.values()]
        self._names = {f.id: f.info.name for f in state.frameworks.values()}
        self.clients = [
            (f.id, role) for f in state.frameworks.values() for role in f.info.all_roles
        ]
        self._levels: dict[tuple[FrameworkId, str], list[tuple[str, float, float]]] = {}

    @property
    def names(self) -> Iterable[str]:
        return self._names.values()

    def _share(self, parts: Iterable[Any]) -> float:
        held = scalars(parts)
        return max((held[name] / n for name, n in self._total.items() if n), default=0.0)

    def levels(self, client: tuple[FrameworkId, str]) -> list[tuple[str, float, float]]:
        """The node that is compared at each level, its share, its weight."""
        found = self._levels.get(client)
        if found is None:
            framework_id, role = client
            parts = role.split("/")
            paths = ["/".join(parts[: n + 1]) for n in range(len(parts))]
            both = [(own, of) for _, own, of in self._held]
            found = [
                (f"role {path}", self._share(of_role(path, both)), self._weights.get(path, 1.0))
                for path in paths
            ]
            own = [of for id_, at, of in self._held if (id_, at) == client]
            found.append((self._names[framework_id], self._share(own), 1.0))
            self._levels[client] = found
        return found

    def standing(self, client: tuple[FrameworkId, str]) -> str:
        return " > ".join(
            f"{name} {share:.4f}" + (f" / weight {weight:g}" if weight != 1 else "")
            for name, share, weight in self.levels(client)
        )

    def is_later(self, one: tuple[FrameworkId, str], two: tuple[FrameworkId, str]) -> bool:
        """At the first level at which they part, its share by weight is the larger one. Of roles
        below others only that is told which are siblings."""
        for (name, share, weight), (other, its_share, its_weight) in zip(
            self.levels(one), self.levels(two), strict=False
        ):
            if name != other:
                leaves = name.startswith("role ") is not other.startswith("role ")
                return not leaves and share / weight > its_share / its_weight + _ROUNDING
        return False
