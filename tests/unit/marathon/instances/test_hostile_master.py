"""Whatever a master says, and in whatever order, the core never raises; in the end all is well.

The wire has let through what is drawn here: right types, within their bounds, but without sense.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck as Suppressed
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mezzo.cluster.amounts import Items, Ranges, Value
from mezzo.cluster.model import (
    Attribute,
    ContainerStatus,
    FaultDomain,
    InverseOffer,
    IpAddress,
    NetworkInfo,
    Offer,
    TaskStatus,
    Unavailability,
)
from mezzo.cluster.operations import Launch
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.ids import AgentId, ConnId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.marathon.events import HealthResult, LinkDown, MasterEvent
from mezzo.marathon.model.app import Constraint, HealthCheck, HealthProtocol, Operator
from mezzo.marathon.model.instance import Condition
from mezzo.marathon.placement import launcher
from mezzo.marathon.state.census import Census
from mezzo.marathon.state.loading import load
from mezzo.messages import scheduler as m
from mezzo.units import INT64_MAX, SECONDS_MAX

from ..apps import ONE_PORT, TCP_CHECK, app
from ..world import World

# ---------------------------------------------------------------------------------- what is said

ODD_TEXT = st.sampled_from(["", " ", "a", "b", "\n", "é\u2028", "._app.", "x" * 300, "/", ".."])
TIMES = st.sampled_from([None, 0.0, 1.0, 1.7e9, float(SECONDS_MAX)])
STATUSES = st.fixed_dictionaries(
    {
        "state": st.sampled_from(list(TaskState)),
        "message": st.none() | ODD_TEXT,
        "source": st.none() | st.sampled_from(list(Source)),
        "reason": st.none() | st.sampled_from(list(Reason)),
        "data": st.none() | st.binary(max_size=4),
        "agent_id": st.sampled_from([None, AgentId("S0"), AgentId("S1"), AgentId("nobody")]),
        "timestamp": TIMES,
        "uuid": st.sampled_from([None, b"", b"short", b"0123456789abcdef"]),
        "healthy": st.sampled_from([None, True, False]),
        "container_status": st.sampled_from(
            [
                None,
                ContainerStatus(),
                ContainerStatus(network_infos=(NetworkInfo(),)),
                ContainerStatus(network_infos=(NetworkInfo((IpAddress(None), IpAddress(""))),)),
            ]
        ),
        "unreachable_time": TIMES,
    }
)
UNKNOWN_TASKS = st.sampled_from(
    ["", "x", "a.instance-x._app.1", "a.instance-._app.", "._app.1", "A B", "a_b.c._app.2", "é"]
).map(TaskId)

VALUES: st.SearchStrategy[Value] = st.sampled_from(
    [
        0,
        1,
        INT64_MAX,
        1000,
        Ranges(()),
        Ranges(((0, 0),)),
        Ranges(((0, 70_000),)),
        Ranges(((65_536, INT64_MAX),)),
        Ranges(((1, 2), (65_535, 65_536))),
        Items(()),
        Items(("a", "b")),
    ]
)
KINDS = st.sampled_from(
    [
        *(Kind(name) for name in ("cpus", "mem", "disk", "ports", "gpus", "odd", "")),
        Kind("cpus", revocable=True),
        Kind("ports", shared=True),
    ]
)
RESOURCES = st.dictionaries(KINDS, VALUES, max_size=6).map(Resources)
PLENTY = dict(Resources.of(cpus=4, mem=4096, disk=4096, ports=[(31_000, 31_010)]).items())
ATTRIBUTES = st.lists(
    st.builds(
        lambda name, value: Attribute(name, **value),
        st.sampled_from(["rack", "rack", "", "hostname", "@zone"]),
        st.sampled_from(
            [
                {},
                {"text": ""},
                {"text": "r1"},
                {"text": "x" * 100_000},
                {"scalar": 0.0},
                {"scalar": -1.5},
                {"scalar": 1.7e308},
                {"ranges": ()},
                {"ranges": ((0, INT64_MAX),)},
                {"set": ()},
                {"set": ("a", "")},
            ]
        ),
    ),
    max_size=3,
).map(tuple)
OFFERS = st.builds(
    Offer,
    id=st.sampled_from(["odd1", "odd2", "odd"]).map(OfferId),
    framework_id=st.sampled_from(["F-0000", "of another", ""]).map(FrameworkId),
    agent_id=st.sampled_from(["S0", "nobody", ""]).map(AgentId),
    hostname=ODD_TEXT,
    resources=st.one_of(
        RESOURCES,
        st.builds(lambda kind, value: Resources({**PLENTY, kind: value}), KINDS, VALUES),
        st.builds(lambda value: Resources({**PLENTY, Kind("ports"): value}), VALUES),
    ),
    attributes=ATTRIBUTES,
    role=st.sampled_from(["*", "", "odd"]),
    domain=st.none() | st.builds(FaultDomain, ODD_TEXT, ODD_TEXT),
    unavailability=st.none() | st.just(Unavailability(0.0, 1.0)),
)
MANY_OFFERS = st.lists(OFFERS, max_size=4).map(lambda offers: m.Offers(tuple(offers)))
EVENTS: st.SearchStrategy[m.Event] = st.one_of(
    MANY_OFFERS,
    st.builds(m.Rescind, st.sampled_from(["odd1", "O1", "?"]).map(OfferId)),
    st.builds(
        m.Failure,
        st.sampled_from([None, AgentId("S0"), AgentId("nobody")]),
        st.sampled_from([None, ExecutorId("e")]),
        st.sampled_from([None, -1, 9]),
    ),
    st.builds(m.Message, st.just(AgentId("S0")), st.just(ExecutorId("e")), st.binary(max_size=4)),
    st.just(m.Heartbeat()),
    st.just(m.InverseOffers(())),
    st.just(
        m.InverseOffers((InverseOffer(OfferId("i"), FrameworkId("F-0000"), Unavailability(0.0)),))
    ),
    st.just(m.RescindInverseOffer(OfferId("i"))),
    st.builds(
        m.Answered,
        st.sampled_from(["ACCEPT", "KILL", "SUBSCRIBE", "REVIVE", "", "?"]),
        st.sampled_from([None, "no"]),
    ),
    st.builds(m.Error, st.sampled_from(["", "Framework failed over", "no"])),
    st.builds(m.Subscribed, st.just(FrameworkId("F-0000"))),
)
NUMBER = st.integers(0, 7)
DEEDS = st.one_of(
    st.tuples(st.just("says"), EVENTS),
    st.tuples(st.just("says"), MANY_OFFERS),
    st.tuples(st.just("says late"), EVENTS),
    st.tuples(st.just("lies of"), st.tuples(NUMBER, STATUSES)),
    st.tuples(st.just("invents"), st.tuples(UNKNOWN_TASKS, STATUSES)),
    st.tuples(st.just("probes"), st.tuples(NUMBER, st.sampled_from([None, True, False]))),
    st.tuples(st.just("scale"), st.tuples(st.sampled_from(["/a", "/b", "/c"]), st.integers(0, 3))),
    st.tuples(st.just("change"), st.tuples(st.sampled_from(["/a", "/b", "/c"]), NUMBER)),
    st.tuples(st.just("delete"), st.sampled_from(["/a", "/b", "/c"])),
    st.tuples(st.just("time"), st.sampled_from([0.0, 1.0, 40.0, 700.0])),
    st.tuples(st.just("disconnect"), st.none()),
    st.tuples(st.just("link down again"), st.none()),
    st.tuples(st.just("leader"), st.none()),
)


class Odd(World):
    """Its master knows its own tasks and offers, and besides says anything."""

    def _called(self, call: m.Call) -> None:
        if isinstance(call, m.Accept) and any(id_.startswith("odd") for id_ in call.offer_ids):
            assert load(self.store).aside == {}, "what is launched can be loaded"
            for operation in call.operations:
                assert isinstance(operation, Launch)
                for info in operation.task_infos:
                    self._queue(m.Update(self._status(info.task_id, TaskState.DROPPED)))
            return
        super()._called(call)

    def deed(self, what: str, how: Any) -> None:
        if self.conn is None:
            self.connect()
        assert self.conn is not None
        tasks = list(self.tasks)
        match what:
            case "says":
                self.say(how)
            case "says late":
                self.step(MasterEvent(ConnId(self.conn - 1), self.epoch, how))
                self.step(MasterEvent(self.conn, self.epoch - 1, how))
            case "lies of" if tasks:
                number, status = how
                self.say(m.Update(TaskStatus(tasks[number % len(tasks)], **status)))
            case "invents":
                task_id, status = how
                self.say(m.Update(TaskStatus(task_id, **status)))
            case "probes" if self.checks:
                number, alive = how
                id_, index = list(self.checks)[number % len(self.checks)]
                self.step(HealthResult(id_, index, alive, "cause"))
                self.step(HealthResult("of nobody", index, alive))
            case "scale":
                self.put(APPS[how[0]](how[1]), force=True)
            case "change":
                self.put(APPS[how[0]](2, cmd=f"sleep {how[1]}"), force=True)
            case "delete":
                self.delete(how)
            case "time":
                self.advance(how)
            case "disconnect":
                self.disconnect()
            case "link down again":
                self.step(LinkDown(ConnId(self.conn - 1)))
            case "leader":
                self.restart()
        if self.aborted is not None or self.stands_by:
            self.restart()  # the process ends, and is started again
        self.run(rounds=4)


def plain(instances: int, **fields: Any) -> Any:
    return app("/a", instances, **fields)


def checked(instances: int, **fields: Any) -> Any:
    by_agent = HealthCheck(HealthProtocol.COMMAND, command="true", grace_s=0.0)
    return app("/b", instances, health_checks=(TCP_CHECK, by_agent), **fields)


def constrained(instances: int, **fields: Any) -> Any:
    constraints = (
        Constraint("rack", Operator.UNLIKE, "r[0-9]"),
        Constraint("@zone", Operator.UNLIKE, "x*"),
        Constraint("hostname", Operator.GROUP_BY),
        Constraint("hostname", Operator.LIKE, ".*"),
    )
    return app("/c", instances, constraints=constraints, port_definitions=ONE_PORT * 2, **fields)


def check_census(world: Odd) -> None:
    """What is counted of where instances are is what a count anew would say."""
    state = world.core.state
    for demand in state.queue.demands.values():
        kept, app_ = launcher._census(state, demand), demand.app
        config = app_.last_config_change_ms
        lives = state.fleet(app_.id).instances.values()
        records = [live.record for live in lives if live.alive and live.record.config_ms == config]
        anew = Census(app_.constraints, records)
        for constraint in app_.constraints:
            assert kept.by(constraint.field) == anew.by(constraint.field)


APPS = {"/a": plain, "/b": checked, "/c": constrained}


@given(st.lists(DEEDS, max_size=14))
@settings(max_examples=150, suppress_health_check=[Suppressed.too_slow])
@example([("says", m.Offers((Offer(OfferId("odd"), FrameworkId("F-0000"), AgentId("S0"), "\n"),)))])
def test_whatever_a_master_says_the_core_never_raises(deeds: list[tuple[str, Any]]) -> None:
    """And once it says what is so, every app has what it should have, and nothing was lost.

    One app takes whatever is offered, and never has enough.
    """
    world = Odd.of("a", "b")
    for make in APPS.values():
        world.put(make(2))
    nowhere_twenty_times = (Constraint("hostname", Operator.MAX_PER, "20"),)
    world.put(
        app(
            "/hungry",
            50,
            cpus=3.0,
            backoff_s=0.0,
            max_launch_delay_s=0.0,
            constraints=nowhere_twenty_times,
        )
    )
    world.run()
    for what, how in deeds:
        world.deed(what, how)
        assert load(world.store).aside == {}
        check_census(world)
    if world.conn is None:
        world.connect()
    world.put(app("/hungry", 0), force=True)
    for _ in range(60):
        for view in list(world.shown_instances.values()):
            if view.condition is Condition.KILLING and view.task_id in world.tasks:
                world.update(view.task_id, TaskState.KILLED)  # what was begun comes to its end
        for task_id in world.running("/b"):
            if (task_id.removesuffix("._app.1"), 0) in world.checks:
                world.probe(task_id, alive=True)
                world.update(task_id, TaskState.RUNNING, healthy=True)
        world.advance(100)
        if not world.shown_deployments:
            break
    world.advance(2000)
    assert world.shown_deployments == {}
    for app_id in APPS:
        view = world.shown_apps.get(app_id)
        assert len(world.running(app_id)) == (0 if view is None else view.app.instances)
    instances = [key.removeprefix("instance/") for key in world.store if "instance/" in key]
    assert sorted(f"{key}._app.1" for key in instances) == sorted(world.tasks)
