"""One message through the wire: to bytes, and to what the other end reads of them.

For simulations and tests, which have no network between two processes. Each raises Unencodable or
BadRequest as the two ends would, and returns None for what would be lost on the way.
"""

from __future__ import annotations

from mezzo.ids import FrameworkId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

from . import agent, operator, scheduler
from .v1 import agent_pb2, operator_pb2, scheduler_pb2


def call(said: sm.Call, framework_id: FrameworkId | None) -> tuple[FrameworkId | None, sm.Call]:
    sent = scheduler.call_to_wire(said, framework_id).SerializeToString()
    return scheduler.call_from_wire(scheduler_pb2.Call.FromString(sent))


def event(told: sm.Event, epoch: int) -> tuple[int, sm.Event] | None:
    sent = scheduler.event_to_wire(told, epoch).SerializeToString()
    return scheduler.event_from_wire(scheduler_pb2.Event.FromString(sent))


def agent_message(said: am.AgentMessage) -> am.AgentMessage | None:
    for batch in agent.agent_batches_to_wire([said]):
        sent = agent_pb2.AgentBatch.FromString(batch.SerializeToString())
        for message in agent.agent_batch_from_wire(sent):
            return message
    return None


def master_message(told: am.MasterMessage, epoch: int) -> am.MasterMessage | None:
    for batch in agent.master_batches_to_wire([told], epoch, streams=1):
        sent = agent_pb2.MasterBatch.FromString(batch.SerializeToString())
        for message in agent.master_batch_from_wire(sent)[1]:
            return message
    return None


def operator_call(asked: om.OperatorCall) -> om.OperatorCall:
    sent = operator.call_to_wire(asked).SerializeToString()
    return operator.call_from_wire(operator_pb2.Call.FromString(sent))
