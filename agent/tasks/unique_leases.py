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

All times are monotonic, if no unit says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mezzo.cluster.model import TaskInfo
from mezzo.messages.agent import Ping

from ..effects import RenewLease
from ..state.agent_state import AgentState
from ..state.facts import Proof
from ..state.step import Step
from .container_spec import kind_of
from .kill_grace import leased_grace_s

PONGS_MAX: Final = 100  # that are remembered; a master that answers needs two
_TICK_S: Final = 0.001  # two clocks may differ by what a float rounds


def recall(state: AgentState, step: Step, up_s: float | None) -> None:
    """Take over what an earlier life has stored. `up_s`: see `Started`."""
    if up_s is None:
        return
    booted_s = state.heard.booted_s = step.now.mono_s - up_s
    proof = state.checkpoint.proof
    if proof is not None and proof.boot_id == state.boot_id:
        state.heard.proven_s = booted_s + proof.up_s


# ---- what the master hears


def new_stream(state: AgentState) -> None:
    """A new stream may lead to another master, which counts its pings anew."""
    state.heard.asked_s = None
    state.heard.pongs_s.clear()


def asked(state: AgentState, step: Step) -> None:
    """A registration was sent. Which of those on one stream is answered nobody knows: the first
    counts."""
    if state.heard.asked_s is None:
        state.heard.asked_s = step.now.mono_s


def registered(state: AgentState, step: Step) -> None:
    """The master has agreed to what was `asked`."""
    if state.heard.asked_s is not None:
        _prove(state, step, state.heard.asked_s)


def pinged(state: AgentState, step: Step, ping: Ping) -> None:
    """A ping came, and its pong leaves now. A master that thinks us gone renews nothing."""
    pongs_s = state.heard.pongs_s
    if ping.number:  # else it does not count them
        pongs_s.setdefault(ping.number, step.now.mono_s)  # of repeated ones the first
    if len(pongs_s) > PONGS_MAX:
        del pongs_s[next(iter(pongs_s))]
    heard_s = pongs_s.get(ping.heard)
    if heard_s is not None and ping.connected:
        _prove(state, step, heard_s)


def _prove(state: AgentState, step: Step, at_s: float) -> None:
    if state.heard.proven_s is None or at_s > state.heard.proven_s:
        state.heard.proven_s = at_s
        live = state.checkpoint.live_tasks()
        unique = [task.info for task in live if task.info.unique_lease is not None]
        _pass_on(state, step, unique)


def _pass_on(state: AgentState, step: Step, unique: Iterable[TaskInfo]) -> None:
    """Tell later lives and keepers of the proof."""
    heard = state.heard
    kinds = dict.fromkeys(kind_of(info) for info in unique)
    if not kinds or heard.proven_s is None or heard.booted_s is None:
        return
    proof = Proof(state.boot_id, heard.proven_s - heard.booted_s)
    if proof != state.checkpoint.proof:
        state.checkpoint.set_proof(step, proof)
    for kind in kinds:
        step.do(RenewLease(kind, proof.up_s))


# ---- what a task may do


def begin(state: AgentState, step: Step, info: TaskInfo) -> None:
    """A unique task is about to be launched."""
    _pass_on(state, step, (info,))


def over_at_s(state: AgentState, info: TaskInfo) -> float:
    """When nothing of the task may run any more: the SIGKILL. Without a proof: at once."""
    assert info.unique_lease is not None
    proven_s = state.heard.proven_s
    return float("-inf") if proven_s is None else proven_s + info.unique_lease


def kill_at_s(state: AgentState, info: TaskInfo) -> float:
    """When the task is asked to end: the SIGTERM, with its grace of at most a quarter lease."""
    return over_at_s(state, info) - leased_grace_s(info)


def ends(state: AgentState, step: Step, info: TaskInfo) -> bool:
    """Is it time to kill the task?"""
    return step.now.mono_s + _TICK_S >= kill_at_s(state, info)


def left_s(state: AgentState, step: Step, info: TaskInfo) -> float:
    return max(0.0, over_at_s(state, info) - step.now.mono_s)
