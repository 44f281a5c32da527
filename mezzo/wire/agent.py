"""The agent protocol: `mezzo.messages.agent` <-> `agent.proto`, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final, TypeVar

from google.protobuf.message import Message

from mezzo.cluster.model import TaskStatus
from mezzo.errors import Unencodable
from mezzo.messages import agent as m
from mezzo.messages.wire_name import wire_name
from mezzo.record import Record, replace
from mezzo.wire.v1 import agent_pb2 as pb

from .batches import Refused, parts, reraise
from .values import CONVERTER

M = TypeVar("M", pb.AgentMessage, pb.MasterMessage)


def bodies(message: type[Message], kinds: Iterable[type[Record]]) -> dict[str, type[Record]]:
    """The records by the fields of their bodies: RunTask by `run_task`. Raises TypeError if
    agent.proto has other bodies than there are records."""
    named = {wire_name(kind).lower(): kind for kind in kinds}
    known = {field.name for field in message.DESCRIPTOR.oneofs_by_name["body"].fields}
    if differ := sorted(named.keys() ^ known):
        name = message.DESCRIPTOR.name
        raise TypeError(f"only one of agent.proto's {name} and the records has {differ}")
    return named


_AGENT: Final = bodies(pb.AgentMessage, m.AGENT_MESSAGES)
_MASTER: Final = bodies(pb.MasterMessage, m.MASTER_MESSAGES)
_AGENT_FIELDS: Final = {kind: name for name, kind in _AGENT.items()}
_MASTER_FIELDS: Final = {kind: name for name, kind in _MASTER.items()}


def agent_batches_to_wire(
    messages: Iterable[m.AgentMessage], refused: Refused = reraise
) -> Iterator[pb.AgentBatch]:
    """An agent's reports are the truth that the cluster needs: if one can't be sent whole, a part
    goes, and `refused` is told of the rest."""

    def instead(message: m.AgentMessage, error: Unencodable) -> pb.AgentMessage:
        return _to_master(_sendable_part(message, error, refused))

    for part in parts(messages, _to_master, refused, instead=instead):
        yield pb.AgentBatch(messages=part)


def _sendable_part(message: m.AgentMessage, error: Unencodable, refused: Refused) -> Record:
    """Raises the error if there is none. An update is repeated until it is acknowledged, so it goes
    as the bare fact if the whole can't: what is left came to the agent over the wire."""
    body = type(getattr(pb.AgentMessage(), _AGENT_FIELDS[type(message)]))
    part, lost = CONVERTER.encodable_part(message, body)
    if part is None and isinstance(message, m.StatusUpdate):
        told, lost = message.status, [error]
        bare = TaskStatus(
            told.task_id,
            told.state,
            message=f"its status could not be sent whole: {error}",
            source=told.source,
            reason=told.reason,
            agent_id=told.agent_id,
            executor_id=told.executor_id,
            uuid=told.uuid,
        )
        part = replace(message, status=bare)
    if part is None:
        raise error
    for each in lost:
        refused(message, each)
    return part


def agent_batch_from_wire(batch: pb.AgentBatch) -> list[m.AgentMessage]:
    """Raises BadRequest. A message of a newer agent that this version does not know is left out."""
    return _read_all(_AGENT, batch)  # type: ignore[return-value]


def master_batches_to_wire(
    messages: Iterable[m.MasterMessage],
    epoch: int,
    streams: int,
    refused: Refused = reraise,
) -> Iterator[pb.MasterBatch]:
    """`streams`: how many the master serves."""
    for part in parts(messages, _to_agent, refused):
        yield pb.MasterBatch(epoch=epoch, streams=streams, messages=part)


def master_batch_from_wire(batch: pb.MasterBatch) -> tuple[int, list[m.MasterMessage]]:
    """The epoch and the messages. Raises BadRequest."""
    return batch.epoch, _read_all(_MASTER, batch)  # type: ignore[return-value]


def _filled(make: type[M], fields: dict[type[Record], str], message: Record) -> M:
    out = make()
    body = getattr(out, fields[type(message)])
    body.SetInParent()
    CONVERTER.fill(message, body)
    return out


_to_master: Final = partial(_filled, pb.AgentMessage, _AGENT_FIELDS)
_to_agent: Final = partial(_filled, pb.MasterMessage, _MASTER_FIELDS)


def _read_all(
    kinds: dict[str, type[Record]], batch: pb.AgentBatch | pb.MasterBatch
) -> list[Record]:
    out = []
    for entry in batch.messages:
        field = entry.WhichOneof("body")
        if field is not None:
            out.append(CONVERTER.read(kinds[field], getattr(entry, field)))
    return out
