"""The master's core and a real agent's, over a stream that delivers late and breaks: in the end
both mean the same by what the agent has."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.config import AgentConfig
from mezzo.agent.container import ContainerExited, ContainerStarted, Kind
from mezzo.cluster.model import AgentInfo, Filters
from mezzo.cluster.operations import (
    Conversion,
    Create,
    Destroy,
    GrowVolume,
    Launch,
    Operation,
    Reserve,
    Unreserve,
)
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, ConnId, ContainerId
from mezzo.master.events import AgentSaid
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ...agent.fakes import World as AgentWorld
from ..reserved import ROOMY, ads, of, volume
from ..world import World, task

CONFIG = AgentConfig(
    AgentInfo("host", resources=ROOMY), "1.0", "127.0.0.1", "/w", containerizers=(Kind.PROCESS,)
)
RESERVED = of("cpus", 1) + of("disk", 100)
CONVERSIONS: tuple[Conversion, ...] = (
    Reserve(RESERVED),
    Unreserve(RESERVED),
    Unreserve(of("cpus", 1)),
    Create(volume(100, "a")),
    Create(volume(50, "b")),
    Destroy(volume(100, "a")),
    Destroy(volume(50, "b")),
    GrowVolume(volume(50, "b"), of("disk", 50)),
    Destroy(volume(100, "b")),
)


class Stream:
    """The master's end of it: what it says waits in `down`, what the agent says in `up`."""

    def __init__(self, master: World) -> None:
        self.master = master
        self.agent = AgentWorld(config=CONFIG)
        self.conn: ConnId | None = None
        self.down: list[am.MasterMessage] = []
        self.up: list[am.AgentMessage] = []
        self.running: list[ContainerId] = []

    @property
    def id(self) -> AgentId | None:
        return self.agent.core.view().agent_id

    def receive(self, message: am.MasterMessage) -> None:
        self.down.append(message)

    def connect(self) -> None:
        self.conn = self.master.open(self)  # type: ignore[arg-type]
        self.agent.connect()
        self._look()

    def cut(self) -> None:
        """What is on its way is lost."""
        self.down, self.up = [], []
        if self.conn is not None:
            self.master.close(self.conn)
        self.agent.step(e.MasterDown(self.agent.conn))
        self.agent.effects = []

    def restart(self) -> None:
        self.cut()
        self.agent = self.agent.crash(config=CONFIG)
        self._look()

    def step_down(self) -> None:
        self.agent.hear(self.down.pop(0), epoch=self.master.epoch)
        self._look()

    def step_up(self) -> None:
        assert self.conn is not None
        self.master.feed(AgentSaid(self.conn, self.up.pop(0)))

    def _look(self) -> None:
        """Its folders and processes come and go at once."""
        effects = self.agent.effects
        self.up += self.agent.sent()
        for effect in effects:
            if isinstance(effect, do.MakeVolume):
                self.agent.step(e.VolumeMade(effect.path))
            elif isinstance(effect, do.RemoveVolume):
                self.agent.step(e.VolumeRemoved(effect.path))
            elif isinstance(effect, do.LaunchContainer):
                self.running.append(effect.spec.container_id)
                self.agent.step(ContainerStarted(effect.spec.container_id))
            elif isinstance(effect, do.CloseMaster):  # it has missed its pings
                self.cut()
                self.connect()
                return
            else:
                continue
            self._look()

    def end_one(self) -> None:
        self.agent.step(ContainerExited(self.running.pop(0), exit_code=0))
        self._look()

    def settle(self) -> None:
        while self.down or self.up:
            if self.down:
                self.step_down()
            else:
                self.step_up()


class BothSides(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.master = World(refuse_min_s=0.0, agent_ping_timeout_s=1e6)
        self.stream = Stream(self.master)
        self.framework = ads(self.master)
        self.number = 0
        self.stream.connect()
        self.stream.settle()

    @rule(conversion=st.sampled_from(CONVERSIONS), told=st.booleans(), launches=st.booleans())
    def framework_converts(self, conversion: Conversion, told: bool, launches: bool) -> None:
        if not self.framework.offers:
            return
        self.number += 1
        operations: list[Operation] = [
            replace(conversion, id=f"o{self.number}") if told else conversion
        ]
        if launches:
            agent_id = next(iter(self.framework.offers.values())).agent_id
            wanted = Resources.of(mem=32) + volume(50, "b")
            operations.append(Launch((task(f"t{self.number}", agent_id, wanted),)))
        ids = tuple(self.framework.offers)
        self.framework.offers.clear()
        self.framework.say(sm.Accept(ids, tuple(operations), Filters(0)))

    @rule(back=st.booleans())
    def operator_reserves(self, back: bool) -> None:
        if self.stream.id is not None:
            call = om.UnreserveResources if back else om.ReserveResources
            self.master.ask(call(self.stream.id, RESERVED))

    @rule()
    @precondition(lambda self: self.stream.down)
    def agent_hears(self) -> None:
        self.stream.step_down()

    @rule()
    @precondition(lambda self: self.stream.up)
    def master_hears(self) -> None:
        self.stream.step_up()

    @rule(times=st.integers(1, 3))
    @precondition(lambda self: self.stream.down or self.stream.up)
    def all_is_heard(self, times: int) -> None:
        self.stream.settle()

    @rule(restarts=st.booleans())
    def stream_breaks(self, restarts: bool) -> None:
        if restarts:
            self.stream.restart()
        else:
            self.stream.cut()
        self.stream.connect()

    @rule()
    def master_fails_over(self) -> None:
        self.stream.cut()
        self.master.restart()
        self.framework.subscribe()
        self.stream.connect()

    @rule(seconds=st.sampled_from([1.0, 20.0]))
    def agent_repeats_itself(self, seconds: float) -> None:
        self.stream.agent.wait(seconds)
        self.stream._look()

    @rule()
    @precondition(lambda self: self.stream.running)
    def task_ends(self) -> None:
        self.stream.end_one()

    @rule()
    def framework_acknowledges(self) -> None:
        for event in self.framework.heard(sm.UpdateOperationStatus):
            status = event.status
            if status.uuid is not None and status.agent_id is not None:
                self.framework.say(
                    sm.AcknowledgeOperationStatus(
                        status.agent_id, status.uuid, status.operation_id or ""
                    )
                )
        for told in self.framework.updates():
            if told.uuid is not None:
                self.framework.acknowledge(told)

    def teardown(self) -> None:
        self.stream.settle()
        for _ in range(4):  # each acknowledgement lets the next update out
            self.framework_acknowledges()
            self.stream.settle()
            self.stream.agent.wait(100)
            self.stream._look()
            self.stream.settle()
        has = self.stream.agent.core.view()
        assert self.stream.id is not None
        known = self.master.core.state.agents[self.stream.id]
        assert known.info.resources == has.resources
        assert known.operations == {}
        assert known.connected
        used = Resources.total(
            entry.info.resources for entry in known.tasks.values() if entry.holds_resources
        )
        assert used <= has.resources
        self.framework.say(sm.Revive())
        self.framework.say(sm.Suppress())
        self.framework.decline(0)
        assert self.master.core.state.allocator.available(known.id) == has.resources - used


BothSides.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestBothSidesAgree = BothSides.TestCase
