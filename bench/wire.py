"""Records to bytes and back: what a busy master converts, timed inside one process. JSON lines, one
a case; microseconds of CPU per message, the median of the runs.

to    the record into its protobuf message, and that serialized
from  the bytes parsed, and a record made of the message

Messages of a case differ as they do in a cluster: task ids, uuids, hosts, free resources and ports
are each one's own, while frameworks are few.

    python bench/wire.py [--runs N] [--case WORDS]
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from mezzo.cluster.model import (
    Address,
    AgentCapability,
    AgentInfo,
    Attribute,
    Capability,
    CommandInfo,
    ContainerId,
    ContainerStatus,
    EnvironmentVariable,
    FaultDomain,
    Filters,
    FrameworkInfo,
    IpAddress,
    Label,
    NetworkInfo,
    Offer,
    Task,
    TaskInfo,
    TaskStatus,
    Url,
)
from mezzo.cluster.operations import Launch
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Source, TaskState
from mezzo.ids import AgentId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.messages.agent import (
    AgentMessage,
    MasterMessage,
    ReregisterAgent,
    RunTask,
    StatusUpdate,
    UpdateAcknowledged,
)
from mezzo.messages.scheduler import Accept, Acknowledge, Call, Event, Offers, Update
from mezzo.runtime import GC_THRESHOLDS
from mezzo.wire import agent as agent_wire
from mezzo.wire import scheduler as scheduler_wire

MASTER = "6f1c2d5e-3b0a-4c8e-9a51-2f7d8e9b0c1d"
TOTAL = Resources.of(cpus=24, mem=65536, disk=100000, ports=[(31000, 32000)])
SHAPES = [(0.1, 32), (0.5, 256), (1, 1024), (2, 4096), (4, 8192)]

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


class World:
    """Records with ids as long as real ones."""

    def __init__(self) -> None:
        self.rng = random.Random(1)
        self.frameworks = [self.framework(number) for number in range(3)]

    def framework(self, number: int) -> FrameworkInfo:
        return FrameworkInfo(
            "root",
            f"marathon-{number}",
            FrameworkId(f"{MASTER}-{number:04d}"),
            failover_timeout=604800.0,
            checkpoint=True,
            roles=(f"team-{number}",),
            hostname=f"scheduler-{number}.example.org",
            principal="marathon",
            webui_url=f"http://scheduler-{number}.example.org:8080",
            capabilities=(
                Capability.PARTITION_AWARE,
                Capability.MULTI_ROLE,
                Capability.TASK_KILLING_STATE,
            ),
        )

    def agent_id(self, number: int) -> AgentId:
        return AgentId(f"{MASTER}-S{number}")

    def task_id(self) -> TaskId:
        return TaskId(f"web.instance-{self.rng.getrandbits(64):016x}._app.1")

    def taken(self) -> Resources:
        cpus, mem = self.rng.choice(SHAPES)
        port = self.rng.randrange(31000, 32000)
        return Resources.of(cpus=cpus, mem=mem, ports=[(port, port)])

    def free(self) -> Resources:
        """What a few tasks have left of an agent."""
        left = TOTAL
        for _ in range(self.rng.randrange(5)):
            taken = self.taken()
            if taken <= left:
                left = left - taken
        return left

    def attributes(self, number: int) -> tuple[Attribute, ...]:
        return (Attribute("rack", text=f"r{number % 40}"), Attribute("gen", scalar=3.0))

    def task_info(self, number: int) -> TaskInfo:
        return TaskInfo(
            "web",
            self.task_id(),
            self.agent_id(number),
            self.taken(),
            command=CommandInfo(
                "exec ./serve --port $PORT0",
                environment=(EnvironmentVariable("STAGE", "production"),),
            ),
            labels=(Label("owner", "team-a"),),
        )

    def status(self, number: int) -> TaskStatus:
        address = IpAddress(f"10.{number % 256}.{self.rng.randrange(256)}.7")
        return TaskStatus(
            self.task_id(),
            TaskState.RUNNING,
            source=Source.EXECUTOR,
            agent_id=self.agent_id(number),
            executor_id=ExecutorId(""),
            timestamp=1.7e9 + self.rng.random(),
            uuid=self.rng.randbytes(16),
            container_status=ContainerStatus(
                ContainerId(f"{self.rng.getrandbits(128):032x}"),
                (NetworkInfo((address,)),),
                self.rng.randrange(1, 2**22),
            ),
        )

    def run_task(self, number: int) -> MasterMessage:
        framework = self.frameworks[number % 3]
        return RunTask(framework, self.task_info(number), framework.roles[0])

    def status_update(self, number: int) -> AgentMessage:
        status = self.status(number)
        return StatusUpdate(self.known(number), status, status.state)

    def update_acknowledged(self, number: int) -> MasterMessage:
        return UpdateAcknowledged(self.known(number), self.task_id(), self.rng.randbytes(16))

    def known(self, number: int) -> FrameworkId:
        known = self.frameworks[number % 3].id
        assert known is not None
        return known

    def reregister(self, tasks: int) -> Callable[[int], AgentMessage]:
        return lambda number: ReregisterAgent(
            AgentInfo(
                f"host-{number}.example.org",
                5051,
                TOTAL,
                self.attributes(number),
                self.agent_id(number),
                FaultDomain("eu", f"zone-{number % 3}"),
            ),
            "0.1.0",
            f"{self.rng.getrandbits(128):032x}",
            tuple(self.task(number) for _ in range(tasks)),
            tuple(self.frameworks[: min(tasks, 3)]),
            capabilities=tuple(AgentCapability),
        )

    def task(self, number: int) -> Task:
        status = self.status(number)
        return Task(
            "web",
            status.task_id,
            framework_id=self.known(number),
            agent_id=self.agent_id(number),
            state=TaskState.RUNNING,
            resources=self.taken(),
            statuses=(status,),
            status_update_state=TaskState.RUNNING,
            status_update_uuid=status.uuid,
            labels=(Label("owner", "team-a"),),
            role="team-0",
        )

    def offers(self, number: int) -> Event:
        return Offers(tuple(self.offer(100 * number + each) for each in range(100)))

    def offer(self, number: int) -> Offer:
        host = f"host-{number}.example.org"
        return Offer(
            OfferId(f"{MASTER}-O{number}"),
            self.known(0),
            self.agent_id(number),
            host,
            self.free(),
            self.attributes(number),
            role="team-0",
            domain=FaultDomain("eu", f"zone-{number % 3}"),
            url=Url("http", Address(5051, host), "/agent"),
        )

    def accept(self, number: int) -> Call:
        tasks = [self.task_info(number) for _ in range(10)]
        launches = tuple(Launch((task,)) for task in tasks)
        return Accept((OfferId(f"{MASTER}-O{number}"),), launches, Filters(0.0))

    def update(self, number: int) -> Event:
        return Update(self.status(number))

    def acknowledge(self, number: int) -> Call:
        return Acknowledge(self.agent_id(number), self.task_id(), self.rng.randbytes(16))


def from_agent(sample: AgentMessage) -> tuple[Encode, Decode]:
    parse = type(next(agent_wire.agent_batches_to_wire([sample]))).FromString
    return (
        lambda record: next(agent_wire.agent_batches_to_wire([record])).SerializeToString(),
        lambda data: agent_wire.agent_batch_from_wire(parse(data))[0],
    )


def from_master(sample: MasterMessage) -> tuple[Encode, Decode]:
    parse = type(next(agent_wire.master_batches_to_wire([sample], 1, 1))).FromString
    return (
        lambda record: next(agent_wire.master_batches_to_wire([record], 1, 1)).SerializeToString(),
        lambda data: agent_wire.master_batch_from_wire(parse(data))[1][0],
    )


def from_framework(sample: Call) -> tuple[Encode, Decode]:
    known = FrameworkId(f"{MASTER}-0000")
    parse = type(scheduler_wire.call_to_wire(sample, known)).FromString
    return (
        lambda record: scheduler_wire.call_to_wire(record, known).SerializeToString(),
        lambda data: scheduler_wire.call_from_wire(parse(data))[1],
    )


def to_framework(sample: Event) -> tuple[Encode, Decode]:
    parse = type(scheduler_wire.event_to_wire(sample, 1)).FromString

    def decode(data: bytes) -> Event:
        read = scheduler_wire.event_from_wire(parse(data))
        assert read is not None
        return read[1]

    return lambda record: scheduler_wire.event_to_wire(record, 1).SerializeToString(), decode


WORLD = World()
# How to make the n-th message, who sends it, and how many there are.
CASES: dict[str, tuple[Callable[[int], Any], Callable[[Any], tuple[Encode, Decode]], int]] = {
    "RunTask": (WORLD.run_task, from_master, 2000),
    "StatusUpdate": (WORLD.status_update, from_agent, 2000),
    "UpdateAcknowledged": (WORLD.update_acknowledged, from_master, 5000),
    "ReregisterAgent 2 tasks": (WORLD.reregister(2), from_agent, 500),
    "ReregisterAgent 20 tasks": (WORLD.reregister(20), from_agent, 100),
    "Offers 100": (WORLD.offers, to_framework, 50),
    "Accept 10 LAUNCH": (WORLD.accept, from_framework, 200),
    "Update": (WORLD.update, to_framework, 2000),
    "Acknowledge": (WORLD.acknowledge, from_framework, 5000),
}


def timed(convert: Callable[[Any], Any], inputs: Sequence[Any]) -> tuple[float, list[Any]]:
    """Microseconds of CPU for each, and the results: they live on, as they would in a master."""
    began = time.process_time()
    results = [convert(each) for each in inputs]
    took = time.process_time() - began
    return took / len(results) * 1e6, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--case", choices=list(CASES), help="only this one")
    options = parser.parse_args()
    gc.set_threshold(*GC_THRESHOLDS)  # as in every daemon
    for case in [options.case] if options.case else CASES:
        make, between, number = CASES[case]
        times: dict[str, list[float]] = {"to": [], "from": []}
        for run in range(options.runs):
            records = [make(run * number + each) for each in range(number)]
            encode, decode = between(records[0])
            took, data = timed(encode, records)
            times["to"].append(took)
            took, read = timed(decode, data)
            times["from"].append(took)
            assert read == records
        for way, each in times.items():
            value = round(statistics.median(each), 2)
            line = {"bench": "wire", "case": f"{case} {way}", "value": value, "unit": "us"}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
