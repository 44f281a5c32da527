"""How long unique tasks may run without a master. Pure.

A task with a `unique_lease` of L seconds must not run when its framework may start it elsewhere,
which it does once the master calls this agent unreachable: L seconds after the master last heard
from it, or later. The agent can't know when a message arrived, but it knows when it sent it, which
was earlier. So the lease counts from the sending of the newest message of which the master has said
that it arrived: a pong, or the (re)registration. L seconds later nothing of the task is left: it is
asked to end a little sooner.

The proof is stored, in the machine's uptime, which outlives the agent and which nobody can set. So
after a restart the task goes on as long as that lease allows, and is over if there is no such
proof. While the agent is dead the keepers of process tasks watch the lease (`RenewLease`). A Docker
engine watches nothing: a unique Docker task runs on until its agent, or its machine, is back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mezzo.cluster.model import TaskInfo
from mezzo.core import Instant
from mezzo.messages.agent import Ping

from ..effects import RenewLease
from ..state.agent_state import AgentState, Out, Proof
from .container_spec import kind_of
from .kill_grace import grace_within_lease

PONGS_MAX: Final = 100  # that are remembered; a master that answers needs two


class Leases:
    """All times are monotonic seconds, if no unit says otherwise."""

    def __init__(self, state: AgentState) -> None:
        self._state = state
        self._boot_id = ""
        self._booted: float | None = None
        self._asked: float | None = None
        self._pongs: dict[int, float] = {}  # of this stream: number -> when it was sent
        self._proven: float | None = None

    def recall(self, boot_id: str, up_s: float | None, now: Instant) -> None:
        """Take over what an earlier life has stored. `up_s`: see `Started`."""
        self._boot_id = boot_id
        if up_s is None:
            return
        self._booted = now.mono_s - up_s
        proof = self._state.proof
        if proof is not None and proof.boot_id == boot_id:
            self._proven = self._booted + proof.up_s

    # ---- what the master hears

    def new_stream(self) -> None:
        """Another master may be at its end, which counts its pings anew."""
        self._asked = None
        self._pongs.clear()

    def asked(self, now: Instant) -> None:
        """A registration was sent. Of all on one stream nobody knows which is answered, not even
        when one has been: the first."""
        if self._asked is None:
            self._asked = now.mono_s

    def registered(self, out: Out) -> None:
        """The master has agreed to what was `asked`."""
        if self._asked is not None:
            self._prove(self._asked, out)

    def pinged(self, ping: Ping, now: Instant, out: Out) -> None:
        """Its answer leaves now. A master that thinks us gone renews nothing."""
        if ping.number:  # else it does not count them
            self._pongs.setdefault(ping.number, now.mono_s)  # of repeated ones the first
        if len(self._pongs) > PONGS_MAX:
            del self._pongs[next(iter(self._pongs))]
        heard = self._pongs.get(ping.heard)
        if heard is not None and ping.connected:
            self._prove(heard, out)

    def _prove(self, at: float, out: Out) -> None:
        if self._proven is None or at > self._proven:
            self._proven = at
            unique = [
                task.info
                for task in self._state.tasks.values()
                if task.live and task.info.unique_lease is not None
            ]
            self._pass_on(unique, out)

    def _pass_on(self, unique: Iterable[TaskInfo], out: Out) -> None:
        """To later lives, and to keepers."""
        kinds = dict.fromkeys(kind_of(info) for info in unique)
        if not kinds or self._proven is None or self._booted is None:
            return
        proof = Proof(self._boot_id, self._proven - self._booted)
        if proof != self._state.proof:
            self._state.set_proof(proof, out)
        out.effects += [RenewLease(kind, proof.up_s) for kind in kinds]

    # ---- what a task may do

    def begin(self, info: TaskInfo, out: Out) -> None:
        """A unique task is about to be launched."""
        self._pass_on((info,), out)

    def over_at(self, info: TaskInfo) -> float:
        """When nothing of it may run any more: the SIGKILL. Without a proof: at once."""
        assert info.unique_lease is not None
        return float("-inf") if self._proven is None else self._proven + info.unique_lease

    def kill_at(self, info: TaskInfo) -> float:
        """When it is asked to end: the SIGTERM, with as much grace as a quarter of the lease."""
        return self.over_at(info) - grace_within_lease(info)
