"""The SDK's driver against a real master."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from mezzo.cluster.model import (
    CommandInfo,
    Filters,
    FrameworkInfo,
    KillPolicy,
    MasterInfo,
    TaskInfo,
)
from mezzo.cluster.operations import Launch, OperationState, OperationStatus, Reserve
from mezzo.cluster.resources import Kind, Reservation, Resources
from mezzo.election.detector import detector_for
from mezzo.errors import BadConfig
from mezzo.frameworks.sdk import (
    Driver,
    Offer,
    Scheduler,
    SchedulerDriver,
    TaskState,
    TaskStatus,
    framework_info,
)
from mezzo.ids import AgentId, ConnId, FrameworkId, OfferId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import scheduler as m
from mezzo.record import replace
from mezzo.wire import scheduler as scheduler_wire
from mezzo.wire.clients.scheduler_link import SchedulerLink
from mezzo.wire.v1 import scheduler_pb2, scheduler_pb2_grpc
from tests.parts.captured_logs import captured_logs
from tests.parts.masters import Cluster, MasterProcess, Recorder, cluster, until

__all__ = ["cluster"]

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "run_commands.py"


@pytest.fixture
def master(cluster: Cluster) -> MasterProcess:
    return cluster.master().until_it_leads()


@contextlib.contextmanager
def serving(servicer: scheduler_pb2_grpc.SchedulerServicer) -> Iterator[str]:
    """At this address, as a master that says what a real one never would."""
    server = grpc.server(ThreadPoolExecutor(4))
    scheduler_pb2_grpc.add_SchedulerServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


def task_info(name: str, policy: KillPolicy | None = None) -> TaskInfo:
    command = CommandInfo("true")
    resources = Resources.of(cpus=0.1, mem=10)
    return TaskInfo(name, TaskId(name), AgentId(""), resources, command=command, kill_policy=policy)


def connected(master: MasterProcess) -> list[bool]:
    return [view.connected for view in master.state().get_frameworks.frameworks]


def test_a_callback_that_raises_stops_the_driver_and_spares_the_tasks(
    cluster: Cluster, master: MasterProcess
) -> None:
    class Clumsy(Recorder):
        def status_update(self, driver: Driver, status: TaskStatus) -> None:
            raise ZeroDivisionError(status.task_id)

    agent = cluster.agent(master.target)
    driver = cluster.driver(Clumsy("t1"), master.target)
    with pytest.raises(ZeroDivisionError, match="t1"):
        driver.join()
    until("it is away", lambda: connected(master) == [False])
    assert [task.task_id for task in master.state().get_tasks.tasks] == ["t1"]
    (task,) = agent.tasks.values()
    assert task.state is TaskState.RUNNING
    # What was not acknowledged waits for its successor, which has the same id.
    successor = Recorder()
    info = replace(framework_info("test", user="nobody"), id=driver.framework_id)
    cluster.driver(successor, master.target, info).reconcile_tasks()
    successor.until("reregistered")


def test_stop_tears_the_framework_down(cluster: Cluster, master: MasterProcess) -> None:
    agent = cluster.agent(master.target)
    scheduler = Recorder("t1")
    driver = cluster.driver(scheduler, master.target)
    scheduler.until_state("t1", TaskState.RUNNING)
    driver.stop()
    driver.join()
    assert agent.until(am.ShutdownFramework).framework_id == driver.framework_id
    state = master.state()
    assert [f.framework_info.id for f in state.get_frameworks.completed_frameworks] == [
        driver.framework_id
    ]
    assert state.get_frameworks.frameworks == ()
    assert scheduler.calls.empty(), "no callback follows"


def test_stop_for_a_failover_leaves_everything_to_the_successor(
    cluster: Cluster, master: MasterProcess
) -> None:
    cluster.agent(master.target)
    first = Recorder("t1")
    driver = cluster.driver(first, master.target)
    first.until_state("t1", TaskState.RUNNING)
    driver.stop(failover=True)
    driver.join()
    until("it is away", lambda: connected(master) == [False])
    second = Recorder()
    info = replace(framework_info("test", user="nobody"), id=driver.framework_id)
    successor = cluster.driver(second, master.target, info)
    second.until("reregistered")
    successor.reconcile_tasks()
    assert second.until("status").task_id == "t1"


def test_a_second_driver_of_one_id_ends_the_first(cluster: Cluster, master: MasterProcess) -> None:
    first = Recorder()
    driver = cluster.driver(first, master.target)
    first.until("registered")
    second = Recorder()
    info = replace(framework_info("test", user="nobody"), id=driver.framework_id)
    cluster.driver(second, master.target, info)
    assert first.until("error") == "Framework failed over"
    driver.join()
    second.until("reregistered")
    assert connected(master) == [True]


def test_a_framework_that_was_removed_is_told_so(cluster: Cluster, master: MasterProcess) -> None:
    scheduler = Recorder()
    driver = cluster.driver(scheduler, master.target)
    scheduler.until("registered")
    driver.stop()
    again = Recorder()
    info = replace(framework_info("test", user="nobody"), id=driver.framework_id)
    with captured_logs() as logged:
        late = cluster.driver(again, master.target, info)
        assert "Framework has been removed" in again.until("error")
        late.join()
    # Whoever has not overridden `error` would see a driver that ends without a word.
    (refused,) = [line for line in logged if line["event"] == "framework.refused"]
    assert "Framework has been removed" in refused["reason"]


def test_an_update_is_acknowledged_by_hand_if_the_scheduler_wants_so(
    cluster: Cluster, master: MasterProcess
) -> None:
    agent = cluster.agent(master.target)
    scheduler = Recorder("t1")
    driver = cluster.driver(scheduler, master.target, implicit_acknowledgements=False)
    status = scheduler.until_state("t1", TaskState.RUNNING)
    driver.reconcile_tasks()
    made = scheduler.until("status")
    assert made.uuid is None
    driver.acknowledge_status_update(made)  # needs none, and is none
    driver.kill_task(status.task_id)
    heard = []
    while not isinstance(message := agent.heard.get(timeout=60), am.KillTask):
        heard.append(type(message))
    assert am.UpdateAcknowledged not in heard
    driver.acknowledge_status_update(status)
    assert agent.until(am.UpdateAcknowledged).uuid == status.uuid


def test_offers_can_be_declined_suppressed_and_revived(
    cluster: Cluster, master: MasterProcess
) -> None:
    class Picky(Recorder):
        def resource_offers(self, driver: Driver, offers: list[Offer]) -> None:
            self.calls.put(("offers", offers))
            for offer in offers:
                driver.decline_offer(offer.id)
            driver.suppress_offers()

    cluster.agent(master.target)
    scheduler = Picky()
    driver = cluster.driver(scheduler, master.target)
    (first,) = scheduler.until("offers")
    until("it is given back", lambda: _offered(master) == 0)
    driver.revive_offers()
    (second,) = scheduler.until("offers")
    assert second.id != first.id


def _offered(master: MasterProcess) -> float:
    return sum(view.offered_resources.cpus for view in master.state().get_agents.agents)


@pytest.mark.parametrize("address", ["nonsense", "zk://", "127.0.0.1:notaport"])
def test_an_address_that_is_none_is_told_by_join(address: str) -> None:
    driver = SchedulerDriver(Scheduler(), framework_info("x", user="nobody"), address)
    with pytest.raises(BadConfig):
        driver.run()


_TASK = task_info("t")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda d: d.accept_offers("o1", ()), "accept_offers: offer_ids is 'o1', which is"),
        (lambda d: d.accept_offers(["o1"], Launch((_TASK,))), "accept_offers: operations is"),
        (lambda d: d.launch_tasks("o1", [_TASK]), "launch_tasks: offer_ids is 'o1', which is"),
        (lambda d: d.launch_tasks(["o1"], _TASK), "launch_tasks: tasks is a TaskInfo, which is"),
        (lambda d: d.launch_tasks(None, [_TASK]), "launch_tasks: offer_ids is None, which is"),
        (lambda d: d.request_resources(m.DemandRequest(Resources())), "requests is a Demand"),
        (lambda d: d.reconcile_tasks("t"), "reconcile_tasks: tasks is 't', which is no list"),
        (lambda d: d.reconcile_operations("o"), "reconcile_operations: operations is 'o', which"),
        (lambda d: d.accept_inverse_offers("o1"), "accept_inverse_offers: offer_ids is 'o1'"),
        (lambda d: d.decline_inverse_offers("o1"), "decline_inverse_offers: offer_ids is 'o1'"),
        (lambda d: d.revive_offers(["ads"]), r"revive_offers: a role is \['ads'\], which is no t"),
        (lambda d: d.suppress_offers(("a",)), r"suppress_offers: a role is \('a',\), which is no"),
    ],
)
def test_one_thing_where_a_list_belongs_is_told_where_it_is_given(
    call: Callable[[Any], None], said: str
) -> None:
    """A text would count as a list of its letters."""
    driver = SchedulerDriver(Scheduler(), framework_info("x", user="nobody"), "127.0.0.1:1")
    with pytest.raises(TypeError, match=said):
        call(driver)


def test_roles_that_are_one_text_are_refused(cluster: Cluster, master: MasterProcess) -> None:
    scheduler = Recorder()
    info = framework_info("x", user="nobody", roles="ads")  # type: ignore[arg-type]
    cluster.driver(scheduler, master.target, info)
    assert "framework_info.roles is of type str: it must be" in scheduler.until("error")


def test_a_driver_may_be_stopped_before_it_found_a_master(cluster: Cluster) -> None:
    scheduler = Recorder()
    driver = cluster.driver(scheduler, "127.0.0.1:1")
    driver.stop()
    driver.join()
    assert scheduler.calls.empty()


def test_the_example_runs_its_commands(cluster: Cluster, master: MasterProcess) -> None:
    agent = cluster.agent(master.target)
    agent.finishes_at_once = True
    command = [sys.executable, str(EXAMPLE), master.target, *(f"echo {n}" for n in range(30))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    finished = [line for line in done.stdout.splitlines() if "TASK_FINISHED" in line]
    assert len(finished) == 30
    others = [line for line in done.stdout.splitlines() if not line.startswith("command-")]
    assert others == [], "logs are not for stdout"


@pytest.mark.parametrize(
    ("args", "said"), [((), "python examples/run_commands.py"), (("nowhere", "true"), "host:port")]
)
def test_the_example_says_what_it_is_called_with(args: tuple[str, ...], said: str) -> None:
    command = [sys.executable, str(EXAMPLE), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_fails_if_the_master_refuses_it() -> None:
    class Refusing(scheduler_pb2_grpc.SchedulerServicer):
        def Subscribe(self, requests: Any, context: Any) -> Iterator[Any]:
            yield from scheduler_wire.events_to_wire([m.Error("not you")], 1)

    with serving(Refusing()) as target:
        command = [sys.executable, str(EXAMPLE), target, "true"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "not you" in done.stderr


def test_events_of_a_deposed_master_are_not_heard() -> None:
    """It still answers at the address, and does not know yet that another leads."""
    epochs = iter([5, 4, 6])

    class TwoFaced(scheduler_pb2_grpc.SchedulerServicer):
        def Subscribe(self, requests: Any, context: Any) -> Iterator[Any]:
            epoch = next(epochs)
            events = (m.Subscribed(FrameworkId("f")), m.Rescind(OfferId(f"o{epoch}")))
            yield from scheduler_wire.events_to_wire(events, epoch)
            if epoch != 5:
                for _ in requests:  # until the driver hangs up
                    pass

    scheduler = Recorder()
    with serving(TwoFaced()) as target:
        driver = SchedulerDriver(scheduler, framework_info("x", user="nobody"), target)
        driver.start()
        try:
            scheduler.until("registered")
            heard = [scheduler.until("rescinded") for _ in range(2)]
            assert heard == ["o5", "o6"]
        finally:
            driver.stop(failover=True)
            driver.join()


def test_nothing_more_is_heard_of_a_batch_over_whose_first_event_the_link_was_closed() -> None:
    class Server(scheduler_pb2_grpc.SchedulerServicer):
        def Subscribe(self, requests: Any, context: Any) -> Iterator[Any]:
            yield from scheduler_wire.events_to_wire([m.Heartbeat(), m.Rescind(OfferId("o"))], 1)

    heard: list[m.Event] = []

    async def main(target: str) -> None:
        twice = asyncio.Event()

        def on_event(conn: ConnId, epoch: int, event: m.Event) -> None:
            heard.append(event)
            link.close(conn)
            if conn == 2:
                twice.set()

        link = SchedulerLink(
            detector_for(target),
            on_up=lambda conn: None,
            on_event=on_event,
            on_down=lambda conn: None,
            name="test",
        )
        job = asyncio.create_task(link.run())
        async with asyncio.timeout(60):
            await twice.wait()
        job.cancel()
        await asyncio.wait([job])

    with serving(Server()) as target:
        asyncio.run(main(target))
    assert heard == [m.Heartbeat()] * 2


def test_a_scheduler_declares_its_demand_reserves_and_is_told(
    cluster: Cluster, master: MasterProcess
) -> None:
    shape = Resources.of(cpus=0.5, mem=128)

    class Reserving(Recorder):
        def registered(
            self, driver: Driver, framework_id: FrameworkId, master: MasterInfo | None
        ) -> None:
            driver.request_resources([m.DemandRequest(shape, count=1)])

        def resource_offers(self, driver: Driver, offers: list[Offer]) -> None:
            operations = []
            if self.wanted and offers[0].resources == shape:
                self.wanted.clear()
                mine = Reservation("DYNAMIC", "ads")
                operations = [Reserve(Resources({Kind("cpus", (mine,)): 500}), id="r1")]
            driver.accept_offers([offers[0].id], operations)

        def operation_update(self, driver: Driver, status: OperationStatus) -> None:
            self.calls.put(("operation", status))

    cluster.agent(master.target)
    scheduler = Reserving("once")
    info = framework_info("test", user="nobody", roles=("ads",))
    cluster.driver(scheduler, master.target, info)
    status = scheduler.until("operation")
    assert (status.operation_id, status.state) == ("r1", OperationState.FINISHED)


def test_a_call_that_makes_no_sense_is_refused_alone(
    cluster: Cluster, master: MasterProcess
) -> None:
    class Wrong(Recorder):
        def call_refused(self, driver: Driver, call: str, reason: str) -> None:
            self.calls.put((call, reason))

    scheduler = Wrong()
    driver = cluster.driver(scheduler, master.target)
    scheduler.until("registered")
    driver.update_framework(framework_info("test", user="nobody", roles=("a//b",)))
    assert "a//b" in scheduler.until("UPDATE_FRAMEWORK")
    driver.request_resources([m.DemandRequest(Resources.of(cpus=1), count=1, role="nobody's")])
    assert "nobody's" in scheduler.until("REQUEST")
    driver.update_framework(framework_info("renamed", user="nobody"))

    def names() -> list[str]:
        return [view.framework_info.name for view in master.state().get_frameworks.frameworks]

    until("the good one counts", lambda: names() == ["renamed"])


def test_a_task_that_no_message_can_hold_is_an_error_and_its_neighbour_runs(
    cluster: Cluster, master: MasterProcess
) -> None:
    class Wild(Recorder):
        def resource_offers(self, driver: Driver, offers: list[Offer]) -> None:
            for offer in offers:
                tasks = [
                    replace(task, agent_id=offer.agent_id)
                    for task in (task_info("good"), task_info("bad", KillPolicy(1e10)))
                ]
                driver.launch_tasks([offer.id], tasks, Filters(3600))

        def call_refused(self, driver: Driver, call: str, reason: str) -> None:
            self.calls.put((call, reason))

    cluster.agent(master.target)
    scheduler = Wild()
    driver = cluster.driver(scheduler, master.target)
    told = [scheduler.until("status") for _ in range(2)]
    states = {status.task_id: status.state for status in told}
    assert states == {"good": TaskState.RUNNING, "bad": TaskState.ERROR}
    (why,) = [status.message for status in told if status.task_id == "bad"]
    assert "TaskInfo.kill_policy.grace_period is 10000000000.0: it must be" in why
    driver.kill_task(TaskId("good"), grace_s=float("nan"))
    assert "grace_period is nan" in scheduler.until("KILL")
    assert connected(master) == [True]


def test_a_grace_that_only_nanoseconds_can_say_hurts_its_task_alone(
    cluster: Cluster, master: MasterProcess
) -> None:
    """A client of its own said 2^63-1 ns: the other tasks of its ACCEPT were lost, and from then on
    nobody could be shown the state of the cluster."""
    agent = cluster.agent(master.target)
    info = framework_info("raw", user="nobody")
    with raw_framework(master, info) as (say, events):
        (offer,) = next(event for event in events if isinstance(event, m.Offers)).offers
        tasks = tuple(replace(task_info(each), agent_id=offer.agent_id) for each in ("bad", "good"))
        launch = m.Accept((offer.id,), (Launch(tasks),), Filters(3600))
        accept = scheduler_wire.call_to_wire(launch, None)
        policy = accept.accept.operations[0].launch.task_infos[0].kill_policy
        policy.grace_period.nanoseconds = 2**63 - 1
        kill = scheduler_wire.call_to_wire(m.Kill(TaskId("good"), None, KillPolicy(1.0)), None)
        kill.kill.kill_policy.grace_period.nanoseconds = 2**63 - 1
        say(accept, kill)
        told = (event for event in events if isinstance(event, (m.Answered, m.Update)))
        heard = list(itertools.islice(told, 3))
        (refused,) = [event for event in heard if isinstance(event, m.Answered)]
        assert refused.call == "KILL"
        assert "Kill.kill_policy.grace_period is 9223372036854775807 ns" in (refused.refusal or "")
        states = {e.status.task_id: e.status.state for e in heard if isinstance(e, m.Update)}
        assert states == {"bad": TaskState.ERROR, "good": TaskState.RUNNING}
        assert agent.until(am.RunTask).task.task_id == "good"
        assert [task.task_id for task in master.state().get_tasks.tasks] == ["good"]


@contextlib.contextmanager
def raw_framework(
    master: MasterProcess, info: FrameworkInfo
) -> Iterator[tuple[Callable[..., None], Iterator[m.Event]]]:
    """A subscribed framework without the SDK: how it says wire calls, and what it hears."""
    calls: queue.Queue[Any] = queue.Queue()
    for batch in scheduler_wire.calls_to_wire([m.Subscribe(info)], None):
        calls.put(batch)
    with grpc.insecure_channel(master.target) as channel:
        stub = scheduler_pb2_grpc.SchedulerStub(channel)  # type: ignore[no-untyped-call]
        events = (
            known[1]
            for batch in stub.Subscribe(iter(calls.get, None), timeout=60)
            for event in batch.events
            if (known := scheduler_wire.event_from_wire(event))
        )
        try:
            yield (lambda *said: calls.put(scheduler_pb2.CallBatch(calls=said))), events
        finally:
            calls.put(None)


def test_a_call_that_cannot_be_read_does_not_end_the_stream(master: MasterProcess) -> None:
    calls: queue.Queue[Any] = queue.Queue()
    info = framework_info("raw", user="nobody")
    (subscribe,) = scheduler_wire.calls_to_wire([m.Subscribe(info)], None)
    calls.put(subscribe)
    with grpc.insecure_channel(master.target) as channel:
        stub = scheduler_pb2_grpc.SchedulerStub(channel)  # type: ignore[no-untyped-call]
        events = stub.Subscribe(iter(calls.get, None), timeout=60)

        def told(kind: type[Any]) -> Any:
            return next(
                known[1]
                for batch in events
                for event in batch.events
                if (known := scheduler_wire.event_from_wire(event)) and isinstance(known[1], kind)
            )

        told(m.Subscribed)
        accept, unknown = scheduler_pb2.Call(type="ACCEPT"), scheduler_pb2.Call(type="UNKNOWN")
        calls.put(scheduler_pb2.CallBatch(calls=[accept]))
        refused = told(m.Answered)
        assert (refused.call, "lacks its body" in refused.refusal) == ("ACCEPT", True)
        calls.put(scheduler_pb2.CallBatch(calls=[unknown]))
        assert told(m.Answered).call == "UNKNOWN"
        calls.put(None)
