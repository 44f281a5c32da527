"""Bounds at the wire's door: what is refused when it is read, and what is not written."""

from __future__ import annotations

import math
import re
import time
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck as TooSlow
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo import units
from mezzo.cluster.amounts import Ranges
from mezzo.cluster.model import (
    AgentInfo,
    Attribute,
    CommandInfo,
    EnvironmentVariable,
    ExecutorInfo,
    FrameworkInfo,
    HealthCheck,
    HealthCheckType,
    KillPolicy,
    Label,
    MachineId,
    Task,
    TaskInfo,
    TaskStatus,
    Unavailability,
)
from mezzo.cluster.operations import Launch
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import TaskState
from mezzo.errors import BadRequest, Unencodable
from mezzo.ids import AgentId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.master.offers.refuse_seconds import refusal_s
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import Record, replace
from mezzo.wire import operator as operator_wire
from mezzo.wire import scheduler as scheduler_wire
from mezzo.wire.v1 import common_pb2, operator_pb2, scheduler_pb2
from mezzo.wire.values import CONVERTER, get_resources

from ..strategies import records


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        (
            "http.port",
            70_000,
            r"HealthCheck\.http\.port is 70000: it must be a",
        ),
        (
            "consecutive_failures",
            2**31,
            r"HealthCheck\.consecutive_failures is 2147483648",
        ),
        ("delay_seconds", float("nan"), r"HealthCheck\.delay_seconds is nan: it must"),
        ("timeout_seconds", 1e300, r"HealthCheck\.timeout_seconds is 1e\+300: it must"),
        ("interval_seconds", -0.5, r"HealthCheck\.interval_seconds is -0\.5: it must"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_the_way_to_it(
    field: str, value: float, complaint: str
) -> None:
    message = common_pb2.HealthCheck(type="HTTP", http={"port": 80})
    owner, _, name = field.rpartition(".")
    setattr(getattr(message, owner) if owner else message, name, value)
    with pytest.raises(BadRequest, match=complaint):
        CONVERTER.read(HealthCheck, message)


@pytest.mark.parametrize("nanoseconds", [2**63 - 1, -1, 9_223_372_036_000_000_001])
def test_a_grace_that_no_float_of_seconds_gives_back_is_refused(nanoseconds: int) -> None:
    call = scheduler_wire.call_to_wire(sm.Kill(TaskId("t"), kill_policy=KillPolicy(1.0)), None)
    call.kill.kill_policy.grace_period.nanoseconds = nanoseconds
    with pytest.raises(BadRequest, match=r"Kill\.kill_policy\.grace_period is .*: it must be"):
        scheduler_wire.call_from_wire(call)


def call(type_: str, **body: Any) -> operator_pb2.Call:
    return operator_pb2.Call(type=type_, **{type_.lower(): body})


AGENT_ID = {"value": "a"}
DISK = {"name": "disk", "type": "SCALAR", "scalar": {"value": 1.0}}
MACHINES = [{"hostname": "h"}]
LONG = "h" * 300


def window(**unavailability: Any) -> dict[str, Any]:
    when = {"start": {"nanoseconds": 1}, **unavailability}
    return {"schedule": {"windows": [{"machine_ids": MACHINES, "unavailability": when}]}}


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (
            call("DRAIN_AGENT", agent_id=AGENT_ID, max_grace_period={"seconds": 10**12}),
            r"DrainAgent\.max_grace_period is 1000000000000000000000 ns: it must",
        ),
        (
            call("DRAIN_AGENT", agent_id=AGENT_ID, max_grace_period={"seconds": -1}),
            r"DrainAgent\.max_grace_period is -1000000000 ns: it must",
        ),
        (
            call("UPDATE_MAINTENANCE_SCHEDULE", **window(duration={"nanoseconds": -1})),
            r"UpdateMaintenanceSchedule\.schedule\.windows\.unavailability\.duration is -1 ns",
        ),
        (
            call("UPDATE_MAINTENANCE_SCHEDULE", **window(start={"nanoseconds": 2**63 - 1})),
            r"unavailability\.start is 9223372036854775807 ns: it must",
        ),
        (
            call("START_MAINTENANCE", machines=[{"hostname": LONG}]),
            r"StartMaintenance\.machines\.hostname must have at most 253 characters, not 300",
        ),
        (
            call("UPDATE_WEIGHTS", weight_infos=[{"role": "r", "weight": math.nan}]),
            r"UpdateWeights\.weight_infos\.weight is nan: it must",
        ),
        (
            call("UPDATE_WEIGHTS", weight_infos=[{"role": "r", "weight": math.inf}]),
            r"UpdateWeights\.weight_infos\.weight is inf: it must",
        ),
        *(
            (
                call(
                    "UPDATE_QUOTA",
                    quota_configs=[{"role": "r", "limits": {"cpus": {"value": amount}}}],
                ),
                rf"UpdateQuota\.quota_configs\.limits is {re.escape(str(amount))}: it must",
            )
            for amount in (math.nan, math.inf, 1e300, -1.0)
        ),
        (
            call("SHRINK_VOLUME", volume=DISK, subtract={"value": 1e300}),
            r"ShrinkVolume\.subtract is 1e\+300: it must",
        ),
    ],
    ids=str,
)
def test_what_an_operator_cannot_mean_is_refused_at_the_door(
    message: operator_pb2.Call, complaint: str
) -> None:
    """Nothing that is stored can be unrenderable: a drain of 1e12 s was, and all views failed."""
    with pytest.raises(BadRequest, match=complaint):
        operator_wire.call_from_wire(message)


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        ({"kill_policy": KillPolicy(1e10)}, r"TaskInfo\.kill_policy\.grace_period is 1000000000"),
        ({"kill_policy": KillPolicy(math.nan)}, r"TaskInfo\.kill_policy\.grace_period is nan"),
        ({"kill_policy": KillPolicy(-1.0)}, r"TaskInfo\.kill_policy\.grace_period is -1\.0: it"),
        ({"max_completion_time": 1e300}, r"TaskInfo\.max_completion_time is 1e\+300: it must"),
        ({"max_completion_time": -1.0}, r"TaskInfo\.max_completion_time is -1\.0: it must"),
        ({"max_completion_time": math.nan}, r"TaskInfo\.max_completion_time is nan: it must"),
        (
            {"executor": ExecutorInfo(ExecutorId("e"), shutdown_grace_period=-1.0)},
            r"TaskInfo\.executor\.shutdown_grace_period is -1\.0: it must",
        ),
        (
            {"health_check": HealthCheck(HealthCheckType.TCP, delay_seconds=math.inf)},
            r"TaskInfo\.health_check\.delay_seconds is inf: it must",
        ),
        ({"command": CommandInfo("\ud800")}, r"TaskInfo\.command\.value holds half of a surrogate"),
        ({"labels": (Label("k", "\udfff"),)}, r"TaskInfo\.labels\.value holds half of a surrogate"),
        ({"resources": Resources({Kind("cpus"): 10**19})}, r"TaskInfo\.resources can't be sent"),
        (
            {"resources": Resources({Kind("x"): Ranges(((0, 2**64),))})},
            r"TaskInfo\.resources can't",
        ),
        ({"data": 7}, r"TaskInfo\.data is of type int: it must be bytes"),
        ({"command": "ls"}, r"TaskInfo\.command is of type str: it must be CommandInfo or None"),
        ({"resources": "cpus:1"}, r"TaskInfo\.resources is of type str: it must be Resources"),
        (
            {"command": CommandInfo(7)},  # type: ignore[arg-type]
            r"TaskInfo\.command\.value is of type int: it must be str",
        ),
        (
            {"health_check": HealthCheck(HealthCheckType.TCP, delay_seconds="1")},
            r"TaskInfo\.health_check\.delay_seconds is of type str: it must be float",
        ),
        ({"labels": ("a",)}, r"TaskInfo\.labels is of type str: it must be Label"),
        ({"labels": Label("a")}, r"TaskInfo\.labels is of type Label: it must be a tuple of Label"),
    ],
    ids=str,
)
def test_what_a_message_cannot_hold_is_not_written_and_the_way_to_it_is_told(
    task: dict[str, Any], complaint: str
) -> None:
    info = TaskInfo("t", TaskId("t"), AgentId("a"), **task)
    with pytest.raises(Unencodable, match=complaint):
        CONVERTER.fill(info, common_pb2.TaskInfo())


@pytest.mark.parametrize("kind", get_args(sm.Call), ids=lambda kind: kind.__name__)
@settings(max_examples=60, deadline=None, suppress_health_check=[TooSlow.too_slow])
@given(data=st.data())
def test_what_is_of_another_type_than_its_field_is_unencodable_or_written(
    kind: type[Record], data: st.DataObject
) -> None:
    """A framework's author mixes up arguments. Anything else that is raised ends a stream."""
    wrong = _mistaken(data, data.draw(records(kind, depth=2)))
    told: list[Unencodable] = []
    sent = list(
        scheduler_wire.calls_to_wire([wrong], FrameworkId("f"), lambda _, error: told.append(error))
    )
    assert sent or told


def _mistaken(data: st.DataObject, value: Any) -> Any:
    """`value`, but one thing in it is of another type."""
    if isinstance(value, Record) and value.__struct_fields__:
        name = data.draw(st.sampled_from(value.__struct_fields__))
        return replace(value, **{name: _mistaken(data, getattr(value, name))})
    if isinstance(value, tuple) and value and data.draw(st.integers(0, 3)):
        place = data.draw(st.integers(0, len(value) - 1))
        return (*value[:place], _mistaken(data, value[place]), *value[place + 1 :])
    return data.draw(st.sampled_from([7, -1.5, "x", b"x", (), ("x",), (7,), {"x": 1}, Label("x")]))


def test_a_secret_that_cannot_be_written_is_not_shown() -> None:
    env = (EnvironmentVariable("PASSWORD", "hunter2\ud800"),)
    info = TaskInfo("t", TaskId("t"), AgentId("a"), command=CommandInfo("x", environment=env))
    with pytest.raises(Unencodable, match=r"TaskInfo\.command\.environment\.value") as refused:
        CONVERTER.fill(info, common_pb2.TaskInfo())
    assert "hunter2" not in str(refused.value)
    message = common_pb2.TaskInfo(name="t", task_id={"value": "t"}, agent_id={"value": "a"})
    message.command.environment.variables.add(name="PASSWORD", value="MARK")
    raw = message.SerializeToString().replace(b"MARK", b"hun\xff")
    with pytest.raises(
        BadRequest, match=r"TaskInfo\.command\.environment\.value is not UTF"
    ) as bad:
        CONVERTER.read(TaskInfo, common_pb2.TaskInfo.FromString(raw))
    assert "hun" not in str(bad.value)


def test_a_refusal_that_is_no_number_counts_as_mesos_counts_it() -> None:
    for asked, counts in [
        (math.nan, 5.0),
        (-math.inf, 5.0),
        (math.inf, 365 * 86400.0),
        (-1.0, 5.0),
        (7.5, 7.5),
    ]:
        call = scheduler_wire.call_to_wire(sm.Decline(()), None)
        call.decline.filters.refuse_seconds = asked
        read = scheduler_wire.call_from_wire(call)[1]
        assert isinstance(read, sm.Decline)
        assert math.isfinite(read.filters.refuse_seconds)
        assert refusal_s(read.filters) == counts


@given(st.integers(0, units.SECONDS_MAX * 10**9))
def test_seconds_come_back_as_the_nanoseconds_that_they_were(nanoseconds: int) -> None:
    """Exactly, as long as a double tells them apart."""
    message = common_pb2.Unavailability(start={"nanoseconds": nanoseconds})
    read = CONVERTER.read(Unavailability, message)
    again = common_pb2.Unavailability()
    CONVERTER.fill(read, again)
    assert CONVERTER.read(Unavailability, again) == read
    if nanoseconds < 2**53:
        assert again.start.nanoseconds == nanoseconds


def test_many_entries_of_one_kind_take_no_time_that_grows_with_their_square() -> None:
    """Sixty thousand took minutes when they were added one by one."""
    message = common_pb2.Offer()
    for n in range(60_000):
        entry = message.resources.add(name="ports", type="RANGES")
        entry.ranges.range.add(begin=2 * n, end=2 * n)
    began = time.process_time()
    resources = get_resources(message.resources)
    assert time.process_time() - began < 10
    assert resources.ports.size == 60_000


def test_more_ranges_and_members_than_a_value_can_have_are_refused() -> None:
    ports = common_pb2.Resource(name="ports", type="RANGES")
    ports.ranges.range.extend(
        [common_pb2.Value.Range(begin=n, end=n) for n in range(0, 140_000, 2)]
    )
    with pytest.raises(BadRequest, match="70000 ranges are given"):
        get_resources([ports])
    names = common_pb2.Resource(name="names", type="SET")
    names.set.item.extend(map(str, range(70_000)))
    with pytest.raises(BadRequest, match="a set has 70000 members"):
        get_resources([names])


@pytest.mark.parametrize("scalar", [math.nan, math.inf, -math.inf])
def test_an_attribute_that_is_no_number_is_refused(scalar: float) -> None:
    message = common_pb2.AgentInfo(hostname="h")
    message.attributes.add(name="load", type="SCALAR", scalar={"value": scalar})
    with pytest.raises(BadRequest, match=r"attribute load is .*: it must be a finite number"):
        CONVERTER.read(AgentInfo, message)
    info = AgentInfo("h", attributes=(Attribute("load", scalar=scalar),))
    with pytest.raises(Unencodable, match=r"AgentInfo\.attributes load must be a finite number"):
        CONVERTER.fill(info, common_pb2.AgentInfo())


# ---- texts


class Texts(Record):
    """Wherever the wire has texts: plain, perhaps absent, in a list, in a wrapper, in lists of
    these."""

    name: units.Name
    user: units.HostName
    hostname: units.HostName | None = None
    roles: tuple[units.HostName, ...] = ()
    id: units.HostName | None = None


class ListedIds(Record):
    offer_ids: tuple[units.HostName, ...]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": ""}, "name must not be empty"),
        ({"name": "a\nb"}, "name must not hold control characters"),
        ({"name": "n" * 1025}, "name must have at most 1024 characters, not 1025"),
        ({"hostname": "a b"}, "hostname must consist of letters"),
        ({"hostname": LONG}, "hostname must have at most 253 characters, not 300"),
        ({"roles": ("fine", "a b")}, "roles must consist of letters"),
        ({"id": "a b"}, "id must consist of letters"),
    ],
    ids=str,
)
def test_a_text_out_of_bounds_is_neither_read_nor_written_nor_shown(
    changes: dict[str, Any], complaint: str
) -> None:
    free = FrameworkInfo("u", "n")
    message = common_pb2.FrameworkInfo()
    CONVERTER.fill(replace(free, **changes | {"hostname": None}), message)
    if "hostname" in changes:
        message.hostname = changes["hostname"]
    with pytest.raises(BadRequest, match=rf"^Texts\.{complaint}") as unread:
        CONVERTER.read(Texts, message)
    with pytest.raises(Unencodable, match=rf"^Texts\.{complaint}") as unwritten:
        CONVERTER.fill(replace(Texts("n", "u"), **changes), common_pb2.FrameworkInfo())
    for error in (unread, unwritten):
        assert "a b" not in str(error.value), "it may be a secret"


def test_a_text_in_bounds_is_read_and_written() -> None:
    texts = Texts("n" * 1024, "u", "h.example.org", ("r", "s" * 253), "0-1")
    message = common_pb2.FrameworkInfo()
    CONVERTER.fill(texts, message)
    assert CONVERTER.read(Texts, message) == texts


def test_a_text_with_bounds_that_is_no_text_is_told_as_such() -> None:
    message = common_pb2.FrameworkInfo(name="n", user="MARK")
    raw = message.SerializeToString().replace(b"MARK", b"hun\xff")
    with pytest.raises(BadRequest, match=r"Texts\.user is not UTF-8"):
        CONVERTER.read(Texts, common_pb2.FrameworkInfo.FromString(raw))
    for wrong in (7, b"u", ("u",)):
        texts = Texts("n", wrong)  # type: ignore[arg-type]
        with pytest.raises(Unencodable, match=r"Texts\.user is of type .*: it must be str"):
            CONVERTER.fill(texts, common_pb2.FrameworkInfo())


def test_ids_in_a_list_have_their_bounds() -> None:
    message = scheduler_pb2.Call.Decline(offer_ids=[{"value": "fine"}, {"value": "a b"}])
    with pytest.raises(BadRequest, match=r"ListedIds\.offer_ids must consist of letters"):
        CONVERTER.read(ListedIds, message)
    with pytest.raises(Unencodable, match=r"ListedIds\.offer_ids must consist of letters"):
        CONVERTER.fill(ListedIds(("fine", "a b")), scheduler_pb2.Call.Decline())


@pytest.mark.parametrize("one", ["o1", b"o1"])
def test_a_text_where_a_list_of_texts_belongs_is_not_written(one: Any) -> None:
    """Its letters would be."""
    told: list[str] = []
    for call in (sm.Decline(one), sm.Revive(one), sm.Subscribe(FrameworkInfo("u", "n", roles=one))):
        sent = scheduler_wire.calls_to_wire([call], None, lambda _, error: told.append(str(error)))
        assert list(sent) == []
    for said, place in zip(
        told, ["Decline.offer_ids", "Revive.roles", "framework_info.roles"], strict=True
    ):
        assert f"{place} is of type {type(one).__name__}: it must be a tuple of str" in said


@pytest.mark.parametrize("wrong", ["t", 7, None, {"task_id": "t"}])
def test_what_is_no_task_or_operation_at_all_is_told_by_its_type(wrong: Any) -> None:
    task = TaskInfo("t", TaskId("t"), AgentId("a"), command=CommandInfo("x"))
    told: list[tuple[object, str]] = []
    for operations in ((Launch((task, wrong)),), (Launch((task,)), wrong)):
        (batch,) = scheduler_wire.calls_to_wire(
            [sm.Accept((OfferId("o"),), operations)],
            None,
            lambda what, error: told.append((what, str(error))),
        )
        assert [t.name for t in batch.calls[0].accept.operations[0].launch.task_infos] == ["t"]
    kind = type(wrong).__name__
    assert told == [
        (wrong, f"TaskInfo is of type {kind}: make one"),
        (wrong, f"Operation is of type {kind}: make one"),
    ]


@pytest.mark.parametrize("host", ["a b", "<i>", LONG, "a\n"])
def test_a_host_name_that_is_none_is_refused_of_frameworks_and_of_machines(host: str) -> None:
    with pytest.raises(BadRequest, match=r"FrameworkInfo\.hostname must"):
        CONVERTER.read(FrameworkInfo, common_pb2.FrameworkInfo(user="u", name="n", hostname=host))
    with pytest.raises(BadRequest, match=r"MachineId\.hostname must"):
        CONVERTER.read(MachineId, common_pb2.MachineID(hostname=host))


def test_a_host_name_that_is_left_empty_is_read() -> None:
    """As clients do that have none to give."""
    framework = common_pb2.FrameworkInfo(user="u", name="n", hostname="")
    assert CONVERTER.read(FrameworkInfo, framework).hostname == ""
    machine = common_pb2.MachineID(hostname="", ip="10.0.0.1")
    assert CONVERTER.read(MachineId, machine) == MachineId("", "10.0.0.1")


# ---- parts of what can't be written


def test_of_a_view_only_what_cannot_be_written_is_left_out() -> None:
    def task(name: str, **more: Any) -> Task:
        return Task(
            name,
            TaskId(name),
            AgentId("a"),
            framework_id=FrameworkId("f"),
            state=TaskState.RUNNING,
            **more,
        )

    bad_status = TaskStatus(TaskId("s"), TaskState.RUNNING, message="\ud800")
    told = TaskStatus(TaskId("s"), TaskState.STAGING)
    tasks = om.Tasks(
        (
            task("fine"),
            task("grace", kill_policy=KillPolicy(1e300)),
            task("status", statuses=(told, bad_status)),
        )
    )
    part, lost = CONVERTER.encodable_part(om.State(tasks), operator_pb2.Response.GetState)
    assert part == om.State(om.Tasks((task("fine"), task("status", statuses=(told,)))))
    assert [str(each) for each in lost] == [
        "Task.kill_policy.grace_period is 1e+300: it must be a number from 0 to 9223372036 "
        "(Task name='grace' task_id='grace' agent_id='a' framework_id='f')",
        "TaskStatus.message holds half of a surrogate pair, which is no text: leave it out "
        "(TaskStatus task_id='s')",
    ]


def test_of_a_record_that_is_wrong_itself_nothing_is_left() -> None:
    info = AgentInfo("h", port=70_000)
    assert CONVERTER.encodable_part(info, common_pb2.AgentInfo)[0] is None
