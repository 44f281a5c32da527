"""Records through serialized bytes and back, and what is refused on the way."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, get_args

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzo.cluster.amounts import Items, Ranges
from mezzo.cluster.model import (
    Attribute,
    CommandInfo,
    ExecutorInfo,
    Filters,
    FrameworkInfo,
    Offer,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.operations import Launch, LaunchGroup, OtherOperation
from mezzo.cluster.resources import Kind, Reservation, Resources
from mezzo.cluster.states import TaskState
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import Record
from mezzo.wire import agent as agent_wire
from mezzo.wire import operator as operator_wire
from mezzo.wire import relay as relay_wire
from mezzo.wire import scheduler as scheduler_wire
from mezzo.wire.batches import MESSAGE_MAX_BYTES, PART_BYTES
from mezzo.wire.link import grpc_target
from mezzo.wire.v1 import agent_pb2, common_pb2, operator_pb2, scheduler_pb2
from mezzo.wire.values import CONVERTER, get_resources, put_resources

from .. import strategies as s

# Building these values takes hypothesis longer than the test itself takes.
few = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def through_bytes(message: Message) -> Any:
    return type(message).FromString(message.SerializeToString())


@functools.cache
def values(kind: type[Record]) -> st.SearchStrategy[Any]:
    # The biggest ones hold everything else, which has tests of its own.
    deep = kind not in (om.State, om.OperatorSubscribed, om.Tasks, am.ReregisterAgent)
    return s.records(kind, depth=3 if deep else 2)


def kinds(union: Any, *without: type[Record]) -> list[type[Record]]:
    """Of a union, or of a base of many."""
    found = [kind for kind in get_args(union) or union.__subclasses__() if kind not in without]
    assert found
    return found


# ---- round trips


@pytest.mark.parametrize("kind", kinds(sm.Call))
@few
@given(st.data())
def test_every_call_of_a_framework_comes_through(kind: type[Record], data: st.DataObject) -> None:
    call, framework_id = data.draw(values(kind)), data.draw(st.none() | s.words.map(FrameworkId))
    message = scheduler_wire.call_to_wire(call, framework_id)
    assert scheduler_wire.call_from_wire(through_bytes(message)) == (framework_id, call)


@pytest.mark.parametrize("kind", kinds(sm.Event))
@few
@given(st.data())
def test_every_event_of_a_framework_comes_through(kind: type[Record], data: st.DataObject) -> None:
    event = data.draw(values(kind))
    message = scheduler_wire.event_to_wire(event, 7)
    assert scheduler_wire.event_from_wire(through_bytes(message)) == (7, event)


def test_what_a_turn_has_to_say_is_one_batch_but_none_too_large_for_a_message() -> None:
    small = [sm.Rescind(OfferId(f"o{n}")) for n in range(10)]
    (batch,) = scheduler_wire.events_to_wire(small, 7)
    assert [scheduler_wire.event_from_wire(event) for event in batch.events] == [
        (7, event) for event in small
    ]
    large = sm.Message(AgentId("a"), ExecutorId("e"), bytes(PART_BYTES // 2))
    batches = list(scheduler_wire.calls_to_wire([large, sm.Revive(), large, large], None))
    assert [len(batch.calls) for batch in batches] == [2, 1, 1]
    assert list(scheduler_wire.events_to_wire([], 7)) == []
    data = [am.FrameworkMessage(FrameworkId("f"), ExecutorId("e"), large.data)] * 3
    pieces = list(agent_wire.master_batches_to_wire(data, 5, 1))
    assert [agent_wire.master_batch_from_wire(through_bytes(piece)) for piece in pieces] == [
        (5, data[:1]),
        (5, data[1:2]),
        (5, data[2:]),
    ]


def test_a_batch_that_is_too_large_for_a_relay_is_left_out_alone() -> None:
    large = relay_wire.said(1, bytes(MESSAGE_MAX_BYTES - 1000))
    left: list[int] = []
    messages = relay_wire.from_agents(
        [relay_wire.said(2, b"a"), large, relay_wire.said(3, b"b")],
        lambda entry, error: left.append(entry.stream),
    )
    assert [[entry.stream for entry in message.entries] for message in messages] == [[2, 3]]
    assert left == [1]


def test_a_mistake_in_one_message_leaves_the_others() -> None:
    left: list[Any] = []
    said: Any = [am.Pong(1), "no message", am.Pong(2)]
    (batch,) = agent_wire.agent_batches_to_wire(said, lambda what, _: left.append(what))
    assert agent_wire.agent_batch_from_wire(batch) == [am.Pong(1), am.Pong(2)]
    assert left == ["no message"]


@pytest.mark.parametrize("kinds", [am.AGENT_MESSAGES[1:], (*am.AGENT_MESSAGES, am.Ping)])
def test_a_message_that_proto_and_records_do_not_share_is_found(kinds: Any) -> None:
    with pytest.raises(TypeError, match=r"only one of agent.proto's AgentMessage"):
        agent_wire.bodies(agent_pb2.AgentMessage, kinds)


@pytest.mark.parametrize("kind", am.AGENT_MESSAGES)
@few
@given(st.data())
def test_everything_an_agent_says_comes_through(kind: type[Record], data: st.DataObject) -> None:
    messages = data.draw(st.lists(values(kind), min_size=1, max_size=2))
    (batch,) = agent_wire.agent_batches_to_wire(messages)
    assert agent_wire.agent_batch_from_wire(through_bytes(batch)) == messages


@pytest.mark.parametrize("kind", am.MASTER_MESSAGES)
@few
@given(st.data())
def test_everything_a_master_says_comes_through(kind: type[Record], data: st.DataObject) -> None:
    messages = data.draw(st.lists(values(kind), min_size=1, max_size=2))
    (batch,) = agent_wire.master_batches_to_wire(messages, 2**40, 3)
    assert agent_wire.master_batch_from_wire(through_bytes(batch)) == (2**40, messages)


@pytest.mark.parametrize("kind", kinds(om.OperatorCall))
@few
@given(st.data())
def test_every_call_of_an_operator_comes_through(kind: type[Record], data: st.DataObject) -> None:
    call = data.draw(values(kind))
    message = through_bytes(operator_wire.call_to_wire(call))
    assert operator_wire.call_from_wire(message) == call


@pytest.mark.parametrize("kind", kinds(om.OperatorResponse, om.Refused, om.Conflict))
@few
@given(st.data())
def test_every_answer_to_an_operator_comes_through(kind: type[Record], data: st.DataObject) -> None:
    response = data.draw(values(kind))
    message = through_bytes(operator_wire.response_to_wire(response, 9))
    assert operator_wire.response_from_wire(message) == (9, response)


@pytest.mark.parametrize("kind", kinds(om.OperatorEvent))
@few
@given(st.data())
def test_every_event_for_operators_comes_through(kind: type[Record], data: st.DataObject) -> None:
    event = data.draw(values(kind))
    message = through_bytes(operator_wire.event_to_wire(event, 5, 3))
    assert operator_wire.event_from_wire(message) == (5, 3, event)


# ---- golden bytes: what a client of Mesos' v1 API sends and reads


GOLDEN: list[tuple[Callable[[], Message], str]] = [
    (
        lambda: scheduler_wire.call_to_wire(sm.Subscribe(FrameworkInfo("root", "x")), None),
        # type 1; subscribe{framework_info{user, name, failover_timeout 0, role *, checkpoint no}}
        "1001 1a19 0a17 0a04726f6f74 120178 210000000000000000 2800 32012a",
    ),
    (
        lambda: scheduler_wire.call_to_wire(
            sm.Decline((OfferId("o1"),), Filters(1.0)), FrameworkId("f1")
        ),
        "0a040a026631 1004 2a11 0a040a026f31 1209 09000000000000f03f",
    ),
    (
        lambda: scheduler_wire.call_to_wire(
            sm.Acknowledge(AgentId("a1"), TaskId("t1"), b"0123456789abcdef"), FrameworkId("f1")
        ),
        "0a040a026631 1008 421e 0a040a026131 12040a027431 1a1030313233343536373839616263646566",
    ),
    (
        lambda: scheduler_wire.event_to_wire(sm.Rescind(OfferId("o1")), 3),
        "0803 2206 0a040a026f31 c03e03",
    ),
    (lambda: scheduler_wire.event_to_wire(sm.Heartbeat(), 3), "0808 c03e03"),
]


@pytest.mark.parametrize(("make", "golden"), GOLDEN)
def test_bytes_on_the_wire_do_not_change(make: Callable[[], Message], golden: str) -> None:
    made = make()
    assert made.SerializeToString(deterministic=True).hex() == golden.replace(" ", "")


def test_a_call_of_a_foreign_client_is_understood() -> None:
    """A DECLINE as a Mesos v1 client encodes it: framework f1, offer o1, for a second."""
    raw = bytes.fromhex("0a040a02663110042a110a040a026f31120909000000000000f03f")
    call = scheduler_wire.call_from_wire(scheduler_pb2.Call.FromString(raw))
    assert call == ("f1", sm.Decline((OfferId("o1"),), Filters(1.0)))


# ---- what is refused


def call_refused(call: scheduler_pb2.Call, complaint: str) -> None:
    with pytest.raises(BadRequest, match=complaint):
        scheduler_wire.call_from_wire(call)


def test_a_call_of_an_unknown_type_is_refused() -> None:
    call_refused(scheduler_pb2.Call(), "call UNKNOWN is not one")
    call_refused(scheduler_pb2.Call.FromString(b"\x10\x63"), "call UNKNOWN is not one")


@pytest.mark.parametrize("type_", ["SUBSCRIBE", "ACCEPT", "DECLINE", "KILL", "ACKNOWLEDGE"])
def test_a_call_without_its_body_is_refused(type_: str) -> None:
    call_refused(scheduler_pb2.Call(type=type_), f"{type_} lacks its body: fill the field")


@pytest.mark.parametrize("type_", ["REVIVE", "SUPPRESS", "TEARDOWN"])
def test_some_calls_need_no_body(type_: str) -> None:
    _, call = scheduler_wire.call_from_wire(scheduler_pb2.Call(type=type_))
    assert type(call).__name__.upper() == type_


def test_a_missing_field_is_named() -> None:
    call = scheduler_pb2.Call(type="ACKNOWLEDGE")
    call.acknowledge.agent_id.value = "a1"
    call.acknowledge.task_id.value = "t1"
    call_refused(call, r"Acknowledge\.uuid is missing: give it")


def test_a_capability_that_does_not_exist_is_refused() -> None:
    call = scheduler_wire.call_to_wire(sm.Subscribe(FrameworkInfo("root", "x")), None)
    call.subscribe.framework_info.capabilities.add()
    call_refused(call, "Type UNKNOWN is not supported here")


@pytest.mark.parametrize("field", ["name", "user", "principal"])
def test_text_that_is_not_utf8_is_refused(field: str) -> None:
    call = scheduler_wire.call_to_wire(
        sm.Subscribe(FrameworkInfo("MARK", "MARK", principal="MARK")), None
    )
    for other in {"name", "user", "principal"} - {field}:
        setattr(call.subscribe.framework_info, other, "fine")
    raw = call.SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc")
    call_refused(scheduler_pb2.Call.FromString(raw), "is not UTF-8")


def test_ids_and_resources_that_are_not_utf8_are_refused() -> None:
    call = scheduler_wire.call_to_wire(sm.Decline((OfferId("MARK"),)), None)
    raw = call.SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc")
    call_refused(scheduler_pb2.Call.FromString(raw), "is not UTF-8")
    named = scheduler_wire.call_to_wire(sm.Revive(), FrameworkId("MARK"))
    raw = named.SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc")
    call_refused(scheduler_pb2.Call.FromString(raw), "is not UTF-8")
    entry = resource("MARK", scalar=1.0)
    raw = entry.SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc")
    with pytest.raises(BadRequest, match="is not UTF-8"):
        get_resources([common_pb2.Resource.FromString(raw)])


def test_no_offers_are_none_and_no_mistake() -> None:
    call = scheduler_pb2.Call(type="DECLINE")
    call.decline.SetInParent()
    assert scheduler_wire.call_from_wire(call) == (None, sm.Decline(()))


def test_operators_are_told_what_is_not_served() -> None:
    with pytest.raises(BadRequest, match="operator call GET_FLAGS is not one"):
        operator_wire.call_from_wire(operator_pb2.Call(type="GET_FLAGS"))
    with pytest.raises(BadRequest, match="TEARDOWN lacks its body"):
        operator_wire.call_from_wire(operator_pb2.Call(type="TEARDOWN"))


def test_events_and_messages_of_a_later_version_are_skipped() -> None:
    assert scheduler_wire.event_from_wire(scheduler_pb2.Event()) is None
    assert operator_wire.event_from_wire(operator_pb2.Event()) is None
    batch = agent_pb2.AgentBatch()
    batch.messages.add()
    assert agent_wire.agent_batch_from_wire(batch) == []


def test_a_state_that_does_not_exist_is_refused() -> None:
    event = scheduler_wire.event_to_wire(sm.Update(TaskStatus(TaskId("t"), TaskState.LOST)), 1)
    raw = event.SerializeToString().replace(b"\x10\x05", b"\x10\x63")
    with pytest.raises(BadRequest, match=r"Update\.status\.state is missing"):
        scheduler_wire.event_from_wire(scheduler_pb2.Event.FromString(raw))


# ---- resources in the old and the new form


def resource(name: str, **fields: Any) -> Any:
    """A Resource message; `scalar`, `ranges` or `items` is its value."""
    out = common_pb2.Resource(name=name, type="SCALAR")
    if "scalar" in fields:
        out.scalar.value = fields.pop("scalar")
    for key, value in fields.items():
        setattr(out, key, value)
    return out


def test_a_role_in_the_old_form_is_a_static_reservation() -> None:
    made = get_resources([resource("cpus", scalar=1.0, role="ads"), resource("mem", scalar=5.0)])
    assert made == Resources.parse("cpus(ads):1;mem:5")


def test_a_reservation_in_the_old_form_is_a_dynamic_one() -> None:
    old = resource("cpus", scalar=1.0, role="ads")
    old.reservation.principal = "alice"
    old.reservation.labels.labels.add(key="k", value="v")
    kind = Kind("cpus", (Reservation("DYNAMIC", "ads", "alice", (("k", "v"),)),))
    assert get_resources([old]) == Resources({kind: 1000})


def test_several_entries_of_one_kind_add_up() -> None:
    made = get_resources([resource("cpus", scalar=0.1), resource("cpus", scalar=0.2, role="*")])
    assert made == Resources.of(cpus=0.3)


def test_ranges_and_sets_are_put_in_order() -> None:
    ports = common_pb2.Resource(name="ports", type="RANGES")
    for begin, end in [(5, 6), (1, 2), (3, 4)]:
        ports.ranges.range.add(begin=begin, end=end)
    zones = common_pb2.Resource(name="zones", type="SET")
    zones.set.item.extend(["b", "a"])
    made = get_resources([ports, zones])
    assert made == Resources({Kind("ports"): Ranges(((1, 6),)), Kind("zones"): Items(("a", "b"))})


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf"), 1e16, 1.7e308])
def test_amounts_that_are_none_are_refused(amount: float) -> None:
    with pytest.raises(BadRequest, match="resource cpus is"):
        get_resources([resource("cpus", scalar=amount)])


def test_a_resource_of_text_is_refused() -> None:
    with pytest.raises(BadRequest, match="resource x has type TEXT"):
        get_resources([common_pb2.Resource(name="x", type="TEXT")])


def test_a_disk_source_needs_a_type() -> None:
    disk = resource("disk", scalar=1.0)
    disk.disk.source.type = common_pb2.Resource.DiskInfo.Source.UNKNOWN
    with pytest.raises(BadRequest, match=r"disk\.source\.type is UNKNOWN"):
        get_resources([disk])


@given(s.resources)
def test_any_resources_come_through(resources: Resources) -> None:
    offer = common_pb2.Offer()
    put_resources(resources, offer.resources)
    assert get_resources(offer.resources) == resources


# ---- values that do not convert by name


def test_an_offer_tells_its_role_as_mesos_does() -> None:
    offer = Offer(OfferId("o"), FrameworkId("f"), AgentId("a"), "h", role="ads")
    message = common_pb2.Offer()
    CONVERTER.fill(offer, message)
    assert message.allocation_info.role == "ads"
    assert CONVERTER.read(Offer, message) == offer


@pytest.mark.parametrize(
    "attribute",
    [
        Attribute("rack", text="a"),
        Attribute("level", scalar=2.5),
        Attribute("ports", ranges=((1, 5),)),
        Attribute("zones", set=("a", "b")),
    ],
)
def test_attributes_keep_their_type(attribute: Attribute) -> None:
    offer = Offer(OfferId("o"), FrameworkId("f"), AgentId("a"), "h", attributes=(attribute,))
    message = common_pb2.Offer()
    CONVERTER.fill(offer, message)
    assert CONVERTER.read(Offer, message).attributes == (attribute,)


def test_unknown_operations_keep_their_name_and_id() -> None:
    operations = (
        Launch((TaskInfo("t", TaskId("t"), AgentId("a"), command=CommandInfo("true")),)),
        OtherOperation("CREATE_DISK", "r1"),
        LaunchGroup(ExecutorInfo(ExecutorId("e")), ()),
    )
    call = scheduler_wire.call_to_wire(sm.Accept((OfferId("o"),), operations), FrameworkId("f"))
    _, read = scheduler_wire.call_from_wire(through_bytes(call))
    assert isinstance(read, sm.Accept)
    assert read.operations == operations


def test_the_leaders_address_is_read_from_what_it_published() -> None:
    json = b'{"id":"x","address":{"hostname":"h","ip":"10.0.0.1","port":5050},"grpc_port":5055}'
    assert grpc_target(json) == "10.0.0.1:5055"
    assert grpc_target(b"10.0.0.1:5055") == "10.0.0.1:5055"
