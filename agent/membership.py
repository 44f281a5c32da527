"""The agent's standing with the master: connection, registration, epochs, pings. Pure.

    no stream --MasterUp--> asking --(Re)registered--> registered --MasterDown--> no stream

Spec: Mesos' agent life cycle.
"""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import AgentCapability
from mezzo.core import CancelTimer, Instant, SetTimer
from mezzo.ids import AgentId, ConnId
from mezzo.messages.agent import Ping, Pong, RegisterAgent, ReregisterAgent
from mezzo.record import replace

from .config import AgentConfig
from .effects import CloseMaster, Send
from .events import MasterDown, MasterSaid, MasterUp
from .resources.applying import Operations
from .state.agent_state import AgentState, Identity, Out
from .tasks.outgoing_updates import Updates
from .tasks.unique_leases import Leases
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

_PING: Final = PingOverdue()
_ASK: Final = AskAgain()


class Membership:
    """Registers on every new stream; once the master has agreed, updates may go their way."""

    def __init__(
        self,
        config: AgentConfig,
        state: AgentState,
        updates: Updates,
        operations: Operations,
        leases: Leases,
    ) -> None:
        self._config = config
        self._state = state
        self._updates = updates
        self._operations = operations
        self._leases = leases
        self._boot_id = ""
        self._ask_again_s = ASK_AGAIN_MIN_S
        self._ping_due = 0.0  # mono_s
        self.conn: ConnId | None = None
        self.registered = False

    def recall(self, boot_id: str, out: Out) -> bool:
        """Take over what an earlier life was registered as. True if the machine was rebooted."""
        self._boot_id = boot_id
        known = self._state.identity
        if known is None:
            return False
        info = replace(self._config.info, id=known.agent_id)
        if (known.info, known.boot_id) != (info, boot_id):
            self._state.set_identity(Identity(known.agent_id, info, boot_id), out)
        return known.boot_id != boot_id

    # ---- the stream

    def up(self, event: MasterUp, now: Instant, out: Out) -> None:
        self.conn = event.conn
        self._leases.new_stream()
        self._ask_again_s = ASK_AGAIN_MIN_S
        self._expect_ping(now, out)
        self._ask(now, out)

    def down(self, event: MasterDown, now: Instant, out: Out) -> None:
        if event.conn == self.conn:
            self._detach(out)

    def obeys(self, event: MasterSaid, out: Out) -> bool:
        """False for what is of an old stream or of a deposed master. Newer epochs are stored."""
        if event.conn != self.conn:
            return False
        if event.epoch < self._state.epoch:
            reason = (
                f"its epoch {event.epoch} is older than {self._state.epoch}, which this agent has "
                "obeyed: that master is deposed, or has lost its state"
            )
            out.effects.append(CloseMaster(event.conn, reason))
            self._detach(out)
            return False
        if event.epoch > self._state.epoch:
            self._state.set_epoch(event.epoch, out)
        return True

    def _detach(self, out: Out) -> None:
        self.conn = None
        self._close_way(out)
        out.effects += [CancelTimer(_PING), CancelTimer(_ASK)]

    def _close_way(self, out: Out) -> None:
        self.registered = False
        self._updates.disconnect(out)
        self._operations.disconnect(out)

    # ---- registration

    def registered_as(self, agent_id: AgentId, now: Instant, out: Out) -> None:
        if self._state.identity is None:  # else it answers a repeated question
            info = replace(self._config.info, id=agent_id)
            self._state.set_identity(Identity(agent_id, info, self._boot_id), out)
            self.welcomed_back(now, out)

    def welcomed_back(self, now: Instant, out: Out) -> None:
        assert self.conn is not None
        self.registered = True
        out.effects.append(CancelTimer(_ASK))
        self._leases.registered(out)
        self._updates.connect(self.conn, self._state.tasks.values(), now, out)
        self._operations.connect(self.conn, now, out)

    def _ask(self, now: Instant, out: Out) -> None:
        """Say who we are, again and again until the master agrees."""
        assert self.conn is not None
        config, state = self._config, self._state
        message: RegisterAgent | ReregisterAgent
        if state.identity is None:
            message = RegisterAgent(config.info, config.version, self._boot_id, CAPABILITIES)
        else:
            message = ReregisterAgent(
                replace(state.identity.info, resources=self._operations.total),
                config.version,
                self._boot_id,
                tasks=tuple(task.shown() for task in state.tasks.values()),
                frameworks=tuple(state.frameworks.values()),
                operations=tuple(state.operations.values()),
                capabilities=CAPABILITIES,
            )
        self._leases.asked(now)
        out.effects.append(Send(self.conn, message))
        out.effects.append(SetTimer(_ASK, now.mono_s + self._ask_again_s))
        self._ask_again_s = min(self._ask_again_s * 2, ASK_AGAIN_MAX_S)

    # ---- pings

    def pinged(self, ping: Ping, now: Instant, out: Out) -> None:
        assert self.conn is not None
        out.effects.append(Send(self.conn, Pong(ping.number)))
        self._leases.pinged(ping, now, out)
        self._expect_ping(now, out)
        if self.registered and not ping.connected:
            # The master has lost sight of us: what it sends is not for us until it agrees again.
            self._close_way(out)
            self._ask_again_s = ASK_AGAIN_MIN_S
            self._ask(now, out)

    def _expect_ping(self, now: Instant, out: Out) -> None:
        self._ping_due = now.mono_s + self._config.ping_timeout_s
        out.effects.append(SetTimer(_PING, self._ping_due))

    def ping_overdue(self, now: Instant, out: Out) -> None:
        if self.conn is None:
            return  # the stream ended while the timer was on its way
        if now.mono_s < self._ping_due:
            out.effects.append(SetTimer(_PING, self._ping_due))  # a ping came, or another stream
        else:
            reason = f"no ping for {self._config.ping_timeout_s:g} s"
            out.effects.append(CloseMaster(self.conn, reason))
            self._detach(out)

    def ask_again(self, now: Instant, out: Out) -> None:
        if self.conn is not None and not self.registered:
            self._ask(now, out)
