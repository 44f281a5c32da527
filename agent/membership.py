"""The agent's standing with the master: connection, registration, epochs, pings. Pure.

    no stream --MasterUp--> asking --(Re)registered--> registered --MasterDown--> no stream

The agent registers on every new stream; once the master has agreed, updates may go their way.
Spec: Mesos' agent life cycle.
"""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import AgentCapability
from mezzo.messages.agent import (
    AgentRegistered,
    AgentReregistered,
    Ping,
    Pong,
    RegisterAgent,
    ReregisterAgent,
)
from mezzo.record import replace

from . import resending
from .effects import CloseMaster
from .events import MasterDown, MasterSaid, MasterUp
from .resources import applying
from .state.agent_state import AgentState
from .state.facts import Identity
from .state.step import Step
from .tasks import launches, outgoing_updates, unique_leases
from .timers import AskAgain, PingOverdue

ASK_AGAIN_MIN_S: Final = 5.0
ASK_AGAIN_MAX_S: Final = 60.0
CAPABILITIES: Final = (
    AgentCapability.MULTI_ROLE,
    AgentCapability.HIERARCHICAL_ROLE,
    AgentCapability.RESERVATION_REFINEMENT,
    AgentCapability.RESIZE_VOLUME,
    AgentCapability.AGENT_OPERATION_FEEDBACK,
    AgentCapability.AGENT_DRAINING,
)


def recall(state: AgentState, step: Step) -> bool:
    """Take over the identity of an earlier life. True if the machine was rebooted."""
    known = state.checkpoint.identity
    if known is None:
        return False
    info = replace(state.config.info, id=known.agent_id)
    if (known.info, known.boot_id) != (info, state.boot_id):
        identity = Identity(known.agent_id, info, state.boot_id)
        state.checkpoint.set_identity(step, identity)
    return known.boot_id != state.boot_id


# ---- the stream


def up(state: AgentState, step: Step, event: MasterUp) -> None:
    state.conn = event.conn
    unique_leases.new_stream(state)
    state.ask_again_s = ASK_AGAIN_MIN_S
    _expect_ping(state, step)
    _ask(state, step)


def down(state: AgentState, step: Step, event: MasterDown) -> None:
    if event.conn == state.conn:
        _detach(state, step)


def obeys(state: AgentState, step: Step, event: MasterSaid) -> bool:
    """Does a message count? Not of an old stream or a deposed master. Newer epochs are stored."""
    if event.conn != state.conn:
        return False
    obeyed = state.checkpoint.epoch
    if event.epoch < obeyed:
        reason = (
            f"its epoch {event.epoch} is older than {obeyed}, which this agent has obeyed: that "
            "master is deposed, or has lost its state"
        )
        step.do(CloseMaster(event.conn, reason))
        _detach(state, step)
        return False
    if event.epoch > obeyed:
        state.checkpoint.set_epoch(step, event.epoch)
    return True


def _detach(state: AgentState, step: Step) -> None:
    state.conn = None
    _close_way(state, step)
    step.cancel(PingOverdue())
    step.cancel(AskAgain())


def _close_way(state: AgentState, step: Step) -> None:
    state.registered = False
    resending.disconnect(state.updates, step)
    resending.disconnect(state.outcomes, step)


# ---- registration


def registered(state: AgentState, step: Step, message: AgentRegistered) -> None:
    if state.checkpoint.identity is None:  # else it answers a repeated question
        info = replace(state.config.info, id=message.agent_id)
        identity = Identity(message.agent_id, info, state.boot_id)
        state.checkpoint.set_identity(step, identity)
        _welcomed(state, step)


def reregistered(state: AgentState, step: Step, message: AgentReregistered) -> None:
    state.drain = None  # the master says it again
    _welcomed(state, step)
    for known in message.reconcile:
        launches.reconcile(state, step, known)


def _welcomed(state: AgentState, step: Step) -> None:
    assert state.conn is not None
    state.registered = True
    step.cancel(AskAgain())
    unique_leases.registered(state, step)
    outgoing_updates.connect(state, step, state.conn)
    applying.connect(state, step, state.conn)


def _ask(state: AgentState, step: Step) -> None:
    """Say who we are, again and again until the master agrees."""
    assert state.conn is not None
    config, checkpoint = state.config, state.checkpoint
    message: RegisterAgent | ReregisterAgent
    if checkpoint.identity is None:
        message = RegisterAgent(config.info, config.version, state.boot_id, CAPABILITIES)
    else:
        message = ReregisterAgent(
            replace(checkpoint.identity.info, resources=state.total),
            config.version,
            state.boot_id,
            tasks=tuple(task.shown() for task in checkpoint.tasks.values()),
            frameworks=tuple(checkpoint.frameworks.values()),
            operations=tuple(checkpoint.operations.values()),
            capabilities=CAPABILITIES,
        )
    unique_leases.asked(state, step)
    step.send(state.conn, message)
    step.timer(AskAgain(), state.ask_again_s)
    state.ask_again_s = min(state.ask_again_s * 2, ASK_AGAIN_MAX_S)


def ask_again(state: AgentState, step: Step) -> None:
    if state.conn is not None and not state.registered:
        _ask(state, step)


# ---- pings


def pinged(state: AgentState, step: Step, ping: Ping) -> None:
    assert state.conn is not None
    step.send(state.conn, Pong(ping.number))
    unique_leases.pinged(state, step, ping)
    _expect_ping(state, step)
    if state.registered and not ping.connected:
        # The master has lost sight of us: what it sends is not for us until it agrees again.
        _close_way(state, step)
        state.ask_again_s = ASK_AGAIN_MIN_S
        _ask(state, step)


def _expect_ping(state: AgentState, step: Step) -> None:
    state.ping_due_s = step.now.mono_s + state.config.ping_timeout_s
    step.timer_at(PingOverdue(), state.ping_due_s)


def ping_overdue(state: AgentState, step: Step) -> None:
    if state.conn is None:
        return  # the stream ended while the timer was on its way
    if step.now.mono_s < state.ping_due_s:
        step.timer_at(PingOverdue(), state.ping_due_s)  # a ping came, or another stream
    else:
        reason = f"no ping for {state.config.ping_timeout_s:g} s"
        step.do(CloseMaster(state.conn, reason))
        _detach(state, step)
