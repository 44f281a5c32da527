"""Many agents' streams over one: what the master's end and the relay's own make of `relay.proto`.

The batches themselves are passed on as bytes: only agents and masters read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mezzo.ids import ConnId
from mezzo.messages import agent as am
from mezzo.wire.v1 import agent_pb2 as agent_pb
from mezzo.wire.v1 import relay_pb2 as pb

from . import agent as agent_wire
from .batches import MESSAGE_MAX_BYTES, Refused, parts
from .served_stream import Stream, received

# For a message of an agent or its master, with the number of the stream.
_ENTRY_MAX_BYTES = MESSAGE_MAX_BYTES - 1024


class Member:
    """At the master: one agent's stream behind a relay. To be used as a `Stream`."""

    __slots__ = ("_relay", "closing", "conn", "number", "outbox")

    def __init__(self, conn: ConnId, number: int, relay: Stream) -> None:
        """`number`: what the relay calls it."""
        self.conn = conn
        self.number = number
        self.outbox: list[am.MasterMessage] = []
        self.closing = False
        self._relay = relay

    def put(self, message: am.MasterMessage) -> None:
        if not self.outbox:
            self._relay.put(self)
        self.outbox.append(message)

    def close(self) -> None:
        self.closing = True
        self._relay.put(self)

    def abort(self, why: str) -> None:
        """The agent is told no more than that it is over."""
        self.outbox = []
        self.close()


def to_agents(
    members: Iterable[Member],
    batches_of: Callable[[ConnId, list[am.MasterMessage]], Iterable[bytes]],
) -> Iterator[pb.ToAgents]:
    """The messages for each agent. A member may be named more than once."""
    entries = []
    for member in dict.fromkeys(members):
        messages, member.outbox = member.outbox, []
        batches = list(batches_of(member.conn, messages))
        for data in batches:
            entries.append(pb.ToAgents.Entry(stream=member.number, batch=data))
        if member.closing:
            if not batches:
                entries.append(pb.ToAgents.Entry(stream=member.number))
            entries[-1].close = True
    return (
        pb.ToAgents(entries=part)
        for part in parts(entries, lambda entry: entry, most_bytes=_ENTRY_MAX_BYTES)
    )


def from_agents(entries: list[pb.FromAgents.Entry], refused: Refused) -> Iterator[pb.FromAgents]:
    """`refused` gets an entry that is too large to be passed on."""
    for part in parts(entries, lambda entry: entry, refused, most_bytes=_ENTRY_MAX_BYTES):
        yield pb.FromAgents(entries=part)


def said(stream: int, batch: bytes) -> pb.FromAgents.Entry:
    return pb.FromAgents.Entry(stream=stream, batch=batch)


def ended(stream: int) -> pb.FromAgents.Entry:
    return pb.FromAgents.Entry(stream=stream)


def read_batch(data: bytes) -> list[am.AgentMessage]:
    """Raises BadRequest."""
    return received(agent_pb.AgentBatch, data, agent_wire.agent_batch_from_wire)
