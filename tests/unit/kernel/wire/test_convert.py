"""Compiled converters: what they make of messages that no record of ours wrote."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any, get_args

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzo.cluster import operations
from mezzo.cluster.amounts import Ranges
from mezzo.cluster.model import (
    AgentInfo,
    Capability,
    CommandInfo,
    FrameworkInfo,
    KillPolicy,
    Offer,
    RoleOfferFilter,
    TaskInfo,
)
from mezzo.cluster.resources import Kind, Resources
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import Record, replace
from mezzo.wire import agent as agent_wire
from mezzo.wire import operator as operator_wire
from mezzo.wire import scheduler as scheduler_wire
from mezzo.wire.v1 import agent_pb2, common_pb2, operator_pb2, scheduler_pb2
from mezzo.wire.values import CONVERTER, get_resources, put_resources

from .. import strategies as s
from ..messages import class_of, messages

few = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@functools.cache
def values(kind: type[Record]) -> st.SearchStrategy[Any]:
    # The biggest ones hold everything else.
    deep = kind not in (om.State, om.OperatorSubscribed, om.Tasks, am.ReregisterAgent)
    return s.records(kind, depth=3 if deep else 2)


def body_of(record: Record) -> Any:
    """The message that a record travels as, out of its envelope; None if it needs none."""
    if isinstance(record, am.AgentMessage):
        entry: Any = next(agent_wire.agent_batches_to_wire([record])).messages[0]
    elif isinstance(record, am.MasterMessage):
        entry = next(agent_wire.master_batches_to_wire([record], 1, 1)).messages[0]
    elif isinstance(record, get_args(sm.Call)):
        entry = scheduler_wire.call_to_wire(record, None)
    elif isinstance(record, get_args(sm.Event)):
        entry = scheduler_wire.event_to_wire(record, 1)
    elif isinstance(record, om.OperatorCall):
        entry = operator_wire.call_to_wire(record)
    elif isinstance(record, om.OperatorResponse):
        entry = operator_wire.response_to_wire(record, 1)
    else:
        entry = operator_wire.event_to_wire(record, 1, 1)
    bodies = [value for field, value in entry.ListFields() if field.message_type]
    return bodies[0] if bodies else None


def thin_out(message: Message, rng: random.Random) -> None:
    """Drop optional fields and repeated ones, here and there."""
    for field, value in message.ListFields():
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if not field.is_required and rng.random() < 0.3:
            message.ClearField(field.name)
        elif field.message_type is not None and not is_map:
            for each in value if field.is_repeated else [value]:
                thin_out(each, rng)


UNIONS: tuple[Any, ...] = (
    sm.Call,
    sm.Event,
    om.OperatorCall,
    om.OperatorResponse,
    om.OperatorEvent,
)
ALL = [
    *am.AGENT_MESSAGES,
    *am.MASTER_MESSAGES,
    *(kind for union in UNIONS for kind in get_args(union) or union.__subclasses__()),
]
# An answer that travels as a status, and calls, answers and events that are their type alone.
WITHOUT_BODY = {om.Refused, om.Conflict, om.Done, om.OperatorHeartbeat, sm.Teardown, sm.Heartbeat}
CONVERTED = [kind for kind in ALL if kind.__struct_fields__ and kind not in WITHOUT_BODY]


@pytest.mark.parametrize("kind", CONVERTED, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
@few
@given(st.data())
def test_what_is_read_is_written_as_the_same(kind: type[Record], data: st.DataObject) -> None:
    """Message to record to message to record, also of messages that leave much out."""
    body = body_of(data.draw(values(kind)))
    thin_out(body, random.Random(data.draw(st.integers(0, 2**32))))
    try:
        record = CONVERTER.read(kind, body)
    except BadRequest:
        return  # what our records need is more than what the messages require
    again = type(body)()
    CONVERTER.fill(record, again)
    assert CONVERTER.read(kind, type(body).FromString(again.SerializeToString())) == record


# ---- messages of strangers: any field, any value


def survives(read: Callable[[Any], Any], write: Callable[[Any], Message], message: Message) -> None:
    """Refused, or it says the same when it is sent again and read again."""
    try:
        record = read(message)
    except BadRequest:
        return
    if record is None:
        return  # of a later version: left out
    if isinstance(record, sm.Accept):
        record = replace(record, unreadable=())  # answered where it was read
    again = write(record)
    assert read(type(again).FromString(again.SerializeToString())) == record


def read_call(message: Any) -> tuple[FrameworkId | None, sm.Call]:
    """Without what was answered where it was read."""
    framework_id, call = scheduler_wire.call_from_wire(message)
    if isinstance(call, sm.Accept):
        return framework_id, replace(call, unreadable=())
    return framework_id, call


# How a peer reads each of the top-level messages, and sends it.
TOP: dict[str, tuple[type[Message], Callable[[Any], Any], Callable[[Any], Message]]] = {
    "a framework's call": (
        scheduler_pb2.Call,
        read_call,
        lambda said: scheduler_wire.call_to_wire(said[1], said[0]),
    ),
    "an event for a framework": (
        scheduler_pb2.Event,
        scheduler_wire.event_from_wire,
        lambda said: scheduler_wire.event_to_wire(said[1], said[0]),
    ),
    "an operator's call": (
        operator_pb2.Call,
        operator_wire.call_from_wire,
        operator_wire.call_to_wire,
    ),
    "an answer to an operator": (
        operator_pb2.Response,
        operator_wire.response_from_wire,
        lambda said: operator_wire.response_to_wire(said[1], said[0]),
    ),
    "an event for operators": (
        operator_pb2.Event,
        operator_wire.event_from_wire,
        lambda said: operator_wire.event_to_wire(said[2], said[0], said[1]),
    ),
    "an agent's batch": (
        agent_pb2.AgentBatch,
        agent_wire.agent_batch_from_wire,
        lambda said: agent_pb2.AgentBatch(
            messages=[m for b in agent_wire.agent_batches_to_wire(said) for m in b.messages]
        ),
    ),
    "a master's batch": (
        agent_pb2.MasterBatch,
        agent_wire.master_batch_from_wire,
        lambda said: agent_pb2.MasterBatch(
            epoch=said[0],
            messages=[
                m
                for b in agent_wire.master_batches_to_wire(said[1], said[0], 1)
                for m in b.messages
            ],
        ),
    ),
}


def bodies() -> dict[type[Record], type[Message]]:
    """What the records travel as, inside their envelopes."""
    return {
        kind: class_of(envelope.DESCRIPTOR.fields_by_name[name.lower()].message_type)
        for envelope, kinds in (
            (agent_pb2.AgentMessage, agent_wire._AGENT),
            (agent_pb2.MasterMessage, agent_wire._MASTER),
            (scheduler_pb2.Call, scheduler_wire._CALLS),
            (scheduler_pb2.Event, scheduler_wire._EVENTS),
            (operator_pb2.Call, om.CALLS),
            (operator_pb2.Response, operator_wire._RESPONSES),
            (operator_pb2.Event, operator_wire._EVENTS),
        )
        for name, kind in kinds.items()
        if name.lower() in envelope.DESCRIPTOR.fields_by_name
    }


BODIES = bodies()


@pytest.mark.parametrize("what", TOP)
@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_a_message_is_refused_or_says_the_same_when_it_is_sent_again(
    what: str, data: st.DataObject
) -> None:
    kind, read, write = TOP[what]
    message = data.draw(messages(kind))
    survives(read, write, message)


@pytest.mark.parametrize("kind", CONVERTED, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
@settings(max_examples=15, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_a_body_is_refused_or_says_the_same_when_it_is_sent_again(
    kind: type[Record], data: st.DataObject
) -> None:
    message = data.draw(messages(BODIES[kind]))

    def write(record: Record) -> Message:
        again = BODIES[kind]()
        CONVERTER.fill(record, again)
        return again

    survives(lambda m: CONVERTER.read(kind, m), write, message)


# ---- presence and defaults


def test_what_is_absent_reads_as_the_record_has_it() -> None:
    assert CONVERTER.read(FrameworkInfo, common_pb2.FrameworkInfo(user="u", name="n")) == (
        FrameworkInfo("u", "n")
    )
    assert CONVERTER.read(CommandInfo, common_pb2.CommandInfo()) == CommandInfo()
    assert CONVERTER.read(AgentInfo, common_pb2.AgentInfo(hostname="h")) == AgentInfo("h")


def test_what_is_present_and_empty_is_no_default() -> None:
    message = common_pb2.FrameworkInfo(user="", name="", role="", principal="")
    assert CONVERTER.read(FrameworkInfo, message) == FrameworkInfo("", "", role="", principal="")


def test_a_record_without_anything_set_is_present_all_the_same() -> None:
    kill = sm.Kill(TaskId("t"), kill_policy=KillPolicy())
    message = scheduler_pb2.Call.Kill()
    CONVERTER.fill(kill, message)
    assert message.HasField("kill_policy")
    assert CONVERTER.read(sm.Kill, message) == kill


def test_dicts_of_two_records_are_not_one() -> None:
    message = common_pb2.QuotaConfig(role="r")
    one, other = (CONVERTER.read(om.QuotaConfig, message) for _ in range(2))
    assert one.limits == other.limits == {}
    assert one.limits is not other.limits


def test_records_of_one_name_keep_apart() -> None:
    disk = Resources({Kind("disk"): 1000})
    pairs: list[tuple[Record, Message]] = [
        (operations.GrowVolume(disk, disk), common_pb2.Offer.Operation.GrowVolume()),
        (om.GrowVolume(disk, disk, AgentId("a")), operator_pb2.Call.GrowVolume()),
    ]
    for record, message in pairs:
        CONVERTER.fill(record, message)
    assert [CONVERTER.read(type(record), message) for record, message in pairs] == [
        record for record, _ in pairs
    ]


def test_a_record_whose_field_no_message_has_is_a_mistake() -> None:
    with pytest.raises(TypeError, match=r"Pong\.number has no field in TaskID"):
        CONVERTER.fill(am.Pong(1), common_pb2.TaskID())


# ---- values that are remembered


def offer(resources: Resources) -> bytes:
    message = common_pb2.Offer()
    put_resources(resources, message.resources)
    return message.SerializePartialToString()


@given(s.resources)
def test_amounts_seen_before_are_the_same(resources: Resources) -> None:
    first = offer(resources)
    assert offer(resources) == first
    for _ in range(2):
        assert get_resources(common_pb2.Offer.FromString(first).resources) == resources


def test_more_amounts_than_are_remembered_are_the_same() -> None:
    for _ in range(2):
        for mem in range(5000):
            resources = Resources.of(cpus=0.1, mem=mem)
            message = common_pb2.Offer.FromString(offer(resources))
            assert get_resources(message.resources) == resources


def test_what_is_refused_once_is_refused_again() -> None:
    wrong = common_pb2.Resource(name="cpus", type="SCALAR", scalar={"value": -1.0})
    for _ in range(2):
        with pytest.raises(BadRequest, match="resource cpus is"):
            get_resources([wrong])


def test_long_lists_of_ports_come_through() -> None:
    resources = Resources({Kind("ports"): Ranges(tuple((n, n + 1) for n in range(0, 900, 3)))})
    assert get_resources(common_pb2.Offer.FromString(offer(resources)).resources) == resources


@pytest.mark.parametrize(
    "change",
    [
        {"capabilities": (Capability.MULTI_ROLE,)},
        {"webui_url": "http://example.org/" + "x" * 5000},
        {"offer_filters": (RoleOfferFilter("ads", ({"cpus": 1500},)),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_framework_that_changes_is_sent_as_it_is(change: dict[str, Any]) -> None:
    task = TaskInfo("t", TaskId("t"), AgentId("a"), command=CommandInfo("true"))
    for more in ({}, change, {}, change):
        run = am.RunTask(FrameworkInfo("root", "n", FrameworkId("f"), **more), task)
        batch = next(agent_wire.master_batches_to_wire([run], 1, 1)).SerializeToString()
        assert agent_wire.master_batch_from_wire(agent_pb2.MasterBatch.FromString(batch))[1] == [
            run
        ]


# ---- what is refused


def with_key(raw: bytes) -> bytes:
    return raw.replace(b"MARK", b"\xff\xfe\xfd\xfc")


def test_keys_of_maps_that_are_not_utf8_are_refused() -> None:
    quota = common_pb2.QuotaConfig(role="r", limits={"MARK": {"value": 1.0}})
    with pytest.raises(BadRequest, match="is not UTF-8"):
        CONVERTER.read(
            om.QuotaConfig, common_pb2.QuotaConfig.FromString(with_key(quota.SerializeToString()))
        )
    info = FrameworkInfo("u", "n", offer_filters=(RoleOfferFilter("MARK", ({"cpus": 1},)),))
    call = scheduler_wire.call_to_wire(sm.Subscribe(info), None)
    with pytest.raises(BadRequest, match="is not UTF-8"):
        scheduler_wire.call_from_wire(
            scheduler_pb2.Call.FromString(with_key(call.SerializeToString()))
        )


def test_a_disk_source_without_its_type_is_refused() -> None:
    disk = common_pb2.Resource(name="disk", type="SCALAR", scalar={"value": 1.0})
    disk.disk.source.path.root = "/mnt"
    with pytest.raises(BadRequest, match=r"disk\.source\.type is UNKNOWN"):
        get_resources([disk])


def test_an_offer_of_nobody_is_refused() -> None:
    message = common_pb2.Offer(framework_id={"value": "f"}, agent_id={"value": "a"})
    message.id.value = "o"
    with pytest.raises(BadRequest, match=r"Offer\.hostname is missing: give it"):
        CONVERTER.read(Offer, message)
