"""The Docker adapter and an engine that loses, delays and garbles what it says, in any order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError, NotFound
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mezzo.agent.container import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerRemoved,
    ContainerSpec,
    ContainerStarted,
    Kind,
    LaunchFailed,
    RuntimeEvent,
)
from mezzo.agent.containerizer.docker.body import DockerSettings
from mezzo.agent.containerizer.docker.containerizer import DockerRuntime
from mezzo.agent.containerizer.docker.engine import Engine, connect
from mezzo.cluster.model import ContainerInfo, ContainerType, DockerInfo
from mezzo.ids import AgentId, ContainerId, FrameworkId, TaskId

CID = ContainerId("c1")
NAME = "mezzo-c1"
NO_IMAGE = '{"message": "No such image: busybox:latest"}'
ENDS = (ContainerExited, ContainerLost, LaunchFailed, ContainerAbsent)
WITHIN_S = 60.0  # it hangs: on a busy machine a life of milliseconds may take seconds


@dataclass
class Made:
    id: str
    name: str
    labels: dict[str, str]
    state: str = "created"


@dataclass
class FakeEngine:
    """What an engine does with one kind of program. `faults`: of the calls to come, in order."""

    ends_at_once: bool = False
    faults: list[str] = field(default_factory=list)
    made: dict[str, Made] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)  # the names, once for each start
    log: list[tuple[str, str]] = field(default_factory=list)
    late: list[Callable[[], object]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    stopped: threading.Event = field(default_factory=threading.Event)
    count: int = 0

    def do(self, action: Callable[[], Any]) -> Any:
        with self.lock:
            fault = self.faults.pop(0) if self.faults else "well"
            late, self.late = self.late, []
            try:
                match fault:
                    case "refused":
                        raise requests.ConnectionError("refused")
                    case "lost":
                        with contextlib.suppress(APIError):
                            action()
                        raise requests.ConnectionError("the answer was lost")
                    case "broken":
                        raise APIError("out of order", response(HTTPStatus.INTERNAL_SERVER_ERROR))
                    case "late":
                        self.late.append(action)
                        raise requests.Timeout("no answer")
                    case "garbled":
                        with contextlib.suppress(APIError):
                            action()
                        return {"message": "of somebody else"}
                    case "twice":  # what is between us repeats the request
                        with contextlib.suppress(APIError):
                            action()
                        return action()
                    case _:
                        return action()
            finally:
                for each in late:  # after this one, and before the next
                    with contextlib.suppress(APIError):
                        each()

    def find(self, key: str) -> Made:
        for made in self.made.values():
            if key in (made.id, made.name):
                return made
        raise NotFound("no such container", response(HTTPStatus.NOT_FOUND))

    def create(self, name: str, labels: dict[str, str]) -> dict[str, str]:
        if any(made.name == name for made in self.made.values()):
            raise APIError("in use", response(HTTPStatus.CONFLICT))
        self.count += 1
        made = self.made[f"id{self.count}"] = Made(f"id{self.count}", name, labels)
        return {"Id": made.id}

    def start(self, key: str) -> None:
        made = self.find(key)
        if made.state != "running":
            self.started.append(made.name)
            self.log.append(("start", made.labels["mezzo.container"]))
            made.state = "exited" if self.ends_at_once else "running"

    def remove(self, key: str, force: bool) -> None:
        made = self.find(key)
        if made.state == "running" and not force:
            raise APIError("it runs", response(HTTPStatus.CONFLICT))
        del self.made[made.id]

    def inspect(self, key: str) -> dict[str, Any]:
        made = self.find(key)
        return {
            "Id": made.id,
            "State": {
                "Status": made.state,
                "Running": made.state == "running",
                "Pid": 1,
                "ExitCode": 0,
            },
            "Config": {"Labels": made.labels},
            "HostConfig": {"NetworkMode": "host"},
            "NetworkSettings": {},
        }


def response(status: int) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    return made


class FakeClient:
    """The part of docker.APIClient that the adapter uses."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def create_container_from_config(self, body: dict[str, Any], name: str) -> Any:
        return self._engine.do(lambda: self._engine.create(name, body["Labels"]))

    def start(self, key: str) -> None:
        self._engine.do(lambda: self._engine.start(key))

    def inspect_container(self, key: str) -> Any:
        return self._engine.do(lambda: self._engine.inspect(key))

    def remove_container(self, key: str, *, v: bool, force: bool = False) -> None:
        self._engine.do(lambda: self._engine.remove(key, force))

    def kill(self, key: str, signal: str) -> None:
        self._engine.do(lambda: setattr(self._engine.find(key), "state", "exited"))

    def containers(self, **_: object) -> Any:
        return self._engine.do(
            lambda: [
                {"Id": made.id, "Labels": made.labels, "State": made.state}
                for made in self._engine.made.values()
            ]
        )

    def events(
        self, *, since: int, filters: dict[str, str], until: int | None = None, decode: bool = False
    ) -> Iterator[object]:
        if until is None:
            self._engine.stopped.wait()  # a stream that hangs: it tells of nothing
            return iter(())
        asked = ("start", filters["label"].partition("=")[2])
        return self._engine.do(lambda: iter([e for e in self._engine.log if e == asked]))  # type: ignore[no-any-return]

    def logs(self, key: str, **_: object) -> Iterator[bytes]:
        self._engine.do(lambda: self._engine.find(key))
        return iter([b"output"])

    def close(self) -> None:
        self._engine.stopped.set()


class Adapter:
    """The runtime on a loop of its own, and what it has reported."""

    def __init__(self, engine: FakeEngine, sandbox: str) -> None:
        self.events: list[RuntimeEvent] = []
        self.crashes: list[BaseException] = []
        self.known = True
        self.spec = ContainerSpec(
            container_id=CID,
            kind=Kind.DOCKER,
            agent_id=AgentId("S1"),
            framework_id=FrameworkId("F1"),
            task_id=TaskId("t1"),
            sandbox=f"{sandbox}/box",
            env=(),
            cpus=0.1,
            mem_mib=32,
            container=ContainerInfo(ContainerType.DOCKER, docker=DockerInfo("busybox")),
        )
        self.runtime = DockerRuntime(
            self.events.append,
            self.crashes.append,
            DockerSettings("unix:///none", "127.0.0.1", "127.0.0.1", owner="me"),
            lambda _: self.known,
            Engine(
                "unix:///none",
                connect=lambda _: FakeClient(engine),  # type: ignore[arg-type, return-value]
                retry_min_s=0.001,
            ),
        )

    async def run(self, *kinds: type[RuntimeEvent]) -> RuntimeEvent:
        """Launch the container, until the first event of `kinds`."""
        self.runtime.start()
        self.runtime.launch(self.spec)
        return await self.until(*kinds)

    async def until(self, *kinds: type[RuntimeEvent]) -> RuntimeEvent:
        async with asyncio.timeout(WITHIN_S):
            while not self.crashes:
                for event in self.events:
                    if isinstance(event, kinds):
                        return event
                await asyncio.sleep(0.001)
        raise self.crashes[0]

    async def minutes_go_by(self) -> None:
        """In each the engine is asked what runs, and its answer may get lost."""
        while True:
            self.runtime._comparing.cancel()
            self.runtime._compare_again()
            await asyncio.sleep(0.02)


async def life(engine: FakeEngine, sandbox: str, *, agent_dies: bool, killed: bool) -> None:
    """A launch, perhaps the agent's death and return, the end, the removal."""
    adapter = Adapter(engine, sandbox)
    runtime = adapter.runtime
    runtime.start()
    runtime.launch(adapter.spec)
    if agent_dies:
        await asyncio.sleep(0.003)
        await runtime.close()
        engine.stopped = threading.Event()
        adapter = Adapter(engine, sandbox)
        runtime = adapter.runtime
        runtime.start()
        runtime.recover([adapter.spec])
        found = await adapter.until(ContainerStarted, *ENDS)
        if isinstance(found, ContainerAbsent):  # then the core launches it again
            adapter.events.clear()
            runtime.launch(adapter.spec)
    if killed:
        runtime.kill(CID, 0)
    first = await adapter.until(ContainerStarted, *ENDS)
    if isinstance(first, ContainerStarted) and not engine.ends_at_once:
        if killed:
            runtime.kill(CID, 0)
        else:
            with engine.lock:
                engine.find(NAME).state = "exited"  # no event tells of it
    minutes = asyncio.create_task(adapter.minutes_go_by())
    end = await adapter.until(*ENDS)
    minutes.cancel()
    if isinstance(end, LaunchFailed):
        assert killed, end.message
        assert not engine.started
    runtime.remove(CID, adapter.spec.sandbox)
    await adapter.until(ContainerRemoved)
    adapter.known = False
    runtime._compare_again()
    async with asyncio.timeout(WITHIN_S):
        while engine.made or engine.late:
            await asyncio.sleep(0.001)
            if engine.late:
                runtime._compare_again()
    await runtime.close()
    assert adapter.crashes == []
    assert sum(isinstance(event, ENDS) for event in adapter.events) == 1


FAULTS = st.lists(
    st.sampled_from(["well", "well", "refused", "lost", "late", "garbled"]), max_size=8
)


@settings(max_examples=150, deadline=None)
@given(ends_at_once=st.booleans(), faults=FAULTS, agent_dies=st.booleans(), killed=st.booleans())
@example(ends_at_once=True, faults=["well", "lost"], agent_dies=False, killed=False)
@example(ends_at_once=True, faults=["well", "late"], agent_dies=False, killed=False)
@example(ends_at_once=False, faults=["late", "late", "late"], agent_dies=False, killed=False)
@example(ends_at_once=True, faults=["lost", "lost", "late"], agent_dies=True, killed=False)
def test_whatever_answers_are_lost_a_task_starts_once_ends_once_and_leaves_nothing(
    ends_at_once: bool, faults: list[str], agent_dies: bool, killed: bool
) -> None:
    engine = FakeEngine(ends_at_once, list(faults))
    with tempfile.TemporaryDirectory() as sandbox:
        asyncio.run(life(engine, sandbox, agent_dies=agent_dies, killed=killed))
    assert len(engine.started) <= 1


def test_a_start_whose_answer_was_lost_is_not_repeated_on_that_container(tmp_path: Path) -> None:
    """Promise 2: it has run, and ended, before the engine answers again."""
    engine = FakeEngine(ends_at_once=True, faults=["well", "lost"])
    asyncio.run(life(engine, str(tmp_path), agent_dies=False, killed=False))
    assert engine.started == [NAME]


def test_a_start_that_comes_late_is_seen_though_the_task_was_killed_meanwhile(
    tmp_path: Path,
) -> None:
    """It has run: nobody may say that it was killed before it was started."""

    class Late(FakeEngine):
        def remove(self, key: str, force: bool) -> None:
            if not self.started:
                self.start(key)  # as it was asked to before
                adapter.runtime.kill(CID, 0)
            super().remove(key, force)

    async def launched() -> RuntimeEvent:
        nonlocal adapter
        adapter = Adapter(engine, str(tmp_path))
        event = await adapter.run(ContainerStarted, *ENDS)
        await adapter.runtime.close()
        return event

    adapter: Adapter
    engine = Late(faults=["well", "refused"])  # the answer to the start never comes
    assert isinstance(asyncio.run(launched()), ContainerStarted)


@pytest.mark.parametrize("stream", [b"garbage", b'{"Actor": 5}', b"[]", b'{"Actor": {}}', b"\xff"])
def test_events_that_are_none_do_no_harm(stream: bytes, tmp_path: Path) -> None:
    import json

    class Garbling(FakeClient):
        def events(self, **asked: Any) -> Iterator[object]:
            if asked.get("until") is None:
                return map(json.loads, [stream])
            return super().events(**asked)

    engine = FakeEngine(ends_at_once=True)
    adapter = Adapter(engine, str(tmp_path))
    adapter.runtime._engine._connect = lambda _: Garbling(engine)  # type: ignore[assignment, return-value]

    async def run() -> None:
        await adapter.run(ContainerExited)
        await adapter.runtime.close()

    asyncio.run(run())
    assert adapter.crashes == []


def test_an_engine_that_is_out_of_order_is_asked_again(tmp_path: Path) -> None:
    engine = FakeEngine(ends_at_once=True, faults=["well", "well", "broken", "broken"])
    asyncio.run(life(engine, str(tmp_path), agent_dies=False, killed=False))
    assert engine.started == [NAME]


def test_a_pull_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    """Eight of them would be the end of all launches."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    head = "HTTP/1.1 {} X\r\nContent-Type: application/json\r\n"
    whole = "Content-Length: {}\r\nConnection: close\r\n\r\n{}"

    def answer(connection: socket.socket) -> None:
        asked = connection.recv(65536).decode()
        if "/images/create" in asked:
            connection.sendall((head.format(200) + "Transfer-Encoding: chunked\r\n\r\n").encode())
            return  # and not a word
        found = '{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}'
        status, body = (200, found) if "/version" in asked else (404, NO_IMAGE)
        connection.sendall((head.format(status) + whole.format(len(body), body)).encode())
        connection.close()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                kept.append(listener.accept()[0])
                threading.Thread(target=answer, args=(kept[-1],), daemon=True).start()

    kept: list[socket.socket] = []
    threading.Thread(target=serve, daemon=True).start()
    adapter = Adapter(FakeEngine(), str(tmp_path))
    url = f"unix://{tmp_path}/s"
    adapter.runtime._engine = Engine(url, connect=lambda url: connect(url, silence_s=0.2))

    async def run() -> RuntimeEvent:
        end = await adapter.run(*ENDS)
        await adapter.runtime.close()
        return end

    end = asyncio.run(run())
    listener.close()
    for each in kept:
        each.close()
    assert isinstance(end, LaunchFailed)
    assert "no word of it" in end.message


def test_a_kill_that_the_engine_fails_to_carry_out_is_not_forgotten(tmp_path: Path) -> None:
    """As of one whose containerd does not answer in time: 500, and the container runs on."""

    async def run() -> None:
        engine = FakeEngine()
        adapter = Adapter(engine, str(tmp_path))
        await adapter.run(ContainerStarted)
        engine.faults = ["broken", "broken"]
        adapter.runtime.kill(CID, 0)
        async with asyncio.timeout(WITHIN_S):
            while engine.faults:
                await asyncio.sleep(0.001)
        assert engine.find(NAME).state == "running"
        minutes = asyncio.create_task(adapter.minutes_go_by())
        assert isinstance(await adapter.until(*ENDS), ContainerExited)
        minutes.cancel()
        await adapter.runtime.close()

    asyncio.run(run())


def test_a_kill_is_not_hurried_by_the_minutes_that_go_by(tmp_path: Path) -> None:
    async def run() -> None:
        engine = FakeEngine()
        adapter = Adapter(engine, str(tmp_path))
        await adapter.run(ContainerStarted)
        engine.faults = ["broken"]
        adapter.runtime.kill(CID, 1000)  # its grace is not over
        minutes = asyncio.create_task(adapter.minutes_go_by())
        await asyncio.sleep(0.2)
        minutes.cancel()
        assert engine.find(NAME).state == "running"
        await adapter.runtime.close()

    asyncio.run(run())
