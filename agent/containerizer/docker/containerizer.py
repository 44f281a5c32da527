"""Tasks as containers of a Docker engine.

A launch is create and start; one inspect afterwards tells what TASK_RUNNING carries. Endings come
from the engine's event stream, followed by one thread; whenever that stream was interrupted, every
container is looked at again. A task's output stays in the engine (rotated, see DockerSettings)
until its container is removed: then it is saved into the sandbox, where Mesos has it. So fifty
tasks need no more threads than one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.utils import parse_repository_tag
from requests.exceptions import RequestException

from mezzo.cluster.model import CommandInfo
from mezzo.errors import BadRequest
from mezzo.ids import ContainerId
from mezzo.process.log import get_logger
from mezzo.record import Record

from ...container import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerRemoved,
    ContainerSpec,
    LaunchFailed,
    Report,
    RuntimeEvent,
    Stream,
    container_name,
)
from ...errors import CheckFailed, NoLogs
from ...sandbox import beneath
from ...sandbox.folder import make_sandbox, read_output
from ...sandbox.output_following import Followers
from ...sandbox.volume_folders import check_volumes
from ..blocking import Workers
from ..kills import Kills
from .body import (
    LABEL_CONTAINER,
    LABEL_OWNER,
    DockerSettings,
    as_exited,
    as_started,
    check_inspected,
    create_body,
    is_running,
    never_started,
    stop_signal,
)
from .engine import AWAY, GARBLED, RETRY_MAX_S, RETRY_MIN_S, SILENCE_MAX_S, Engine, refusal_text
from .errors import EngineClosed, EngineUnanswered
from .exec import Exec
from .run_options import Body

_LAUNCHES_AT_ONCE: Final = 8  # more make the engine slower, not faster
_CALLS_AT_ONCE: Final = 4
_CHECKS_AT_ONCE: Final = 16
_FOLLOWERS_MAX: Final = 64  # of output: each holds a thread, which waits for the engine
# The engine's clock may be a little behind: events twice do no harm, a missed one does.
_EVENTS_OVERLAP_S: Final = 5
_COMPARE_EVERY_S: Final = 60.0
_ATTEMPTS: Final = 10
_CONFLICT: Final = 409


class _Lost(Exception):
    """The container has run, and is gone; the text says what is known."""


class _Listed(Record):
    """One container that the engine lists. state: its own word, `running` among them."""

    id: str
    container_id: ContainerId
    state: str


@dataclass(slots=True)
class _Container:
    """A container that is being launched or runs. unwanted: killed before it was started."""

    spec: ContainerSpec
    started: bool = False
    stop_signal: str = "SIGTERM"
    unwanted: bool = False


class DockerRuntime:
    """See `ContainerRuntime`. crash: gets what a bug in a thread raises.

    knows: is this container one of a task, or of its remains? Asked on the loop.
    """

    def __init__(
        self,
        report: Report,
        crash: Callable[[BaseException], None],
        settings: DockerSettings,
        knows: Callable[[ContainerId], bool],
        engine: Engine | None = None,
    ) -> None:
        self._report = report
        self._crash = crash
        self._settings = settings
        self._knows = knows
        self._engine = Engine(settings.url) if engine is None else engine
        self._followers = Followers(_FOLLOWERS_MAX)
        self._log = get_logger("agent")
        self._containers: dict[ContainerId, _Container] = {}  # of the loop alone

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._launches = Workers(loop, "docker launch", _LAUNCHES_AT_ONCE, self._crash)
        # Pools of their own, so that a slow pull holds up no kill.
        self._calls = Workers(loop, "docker call", _CALLS_AT_ONCE, self._crash)
        self._checks = ThreadPoolExecutor(_CHECKS_AT_ONCE, thread_name_prefix="docker check")
        self._kills = Kills(loop, self._signal)
        self._comparing = loop.call_later(_COMPARE_EVERY_S, self._compare_again)
        threading.Thread(target=self._follow, name="docker events", daemon=True).start()

    # ---- launch

    def launch(self, spec: ContainerSpec) -> None:
        if spec.container_id not in self._containers:
            container = self._containers[spec.container_id] = _Container(spec)
            self._launches.run(self._launch, container)

    def _launch(self, container: _Container) -> None:
        """In a thread."""
        spec = container.spec
        try:
            make_sandbox(spec.sandbox, None)
            check_volumes(spec.volumes, None)
            self._bring_up(container)
        except (BadRequest, OSError) as error:
            self._calls.tell(self._over, LaunchFailed(spec.container_id, str(error)))
        except DockerException as error:
            self._calls.tell(self._over, LaunchFailed(spec.container_id, refusal_text(error)))
        except _Lost as error:
            self._calls.tell(self._over, ContainerLost(spec.container_id, str(error)))
        except EngineClosed:
            return
        else:
            # In the other pool: the next launch need not wait for it.
            self._calls.run(self._look, spec.container_id)

    def _bring_up(self, container: _Container) -> None:
        """Have a container started, or see that it has been. Raises as `_launch` expects.

        No container is ever asked to start twice: one whose answer was lost may still start, run
        and end, and a second request would run it again. So a container that has not started, and
        that we have not just made, is removed, and another one made.
        """
        cid = container.spec.container_id
        for _ in range(_ATTEMPTS):
            self._refuse_if_unwanted(container)  # each time: the engine may be away for long
            made = self._create(container)
            if made is not None:
                self._refuse_if_unwanted(container)
                try:
                    self._engine.ask(partial(_start, made))
                except EngineUnanswered:
                    pass
                except APIError:
                    if never_started(self._engine.call(partial(_inspect, cid))):
                        raise
                    return
                else:
                    return
            if self._has_started(cid):
                return
        raise BadRequest(f"the engine lost {_ATTEMPTS} answers: see whether it works")

    def _create(self, container: _Container) -> str | None:
        """The engine's id of a new container; None if there is one of that name, or may be.

        Raises as `_launch` expects.
        """
        spec = container.spec
        body = create_body(spec, self._settings)
        assert spec.container is not None
        assert spec.container.docker is not None
        if spec.container.docker.force_pull_image:
            self._pull(container)
        for attempt in (1, 2):
            self._refuse_if_unwanted(container)
            try:
                return self._engine.ask(lambda api: _create(api, body, spec.container_id))
            except EngineUnanswered:
                return None
            except ImageNotFound:
                # Only now: to ask for the image before each launch would cost every launch.
                if attempt == 2:
                    raise
                self._pull(container)
            except APIError as error:
                if error.status_code != _CONFLICT:
                    raise
                return None
        raise AssertionError("the second attempt returns or raises")

    def _has_started(self, cid: ContainerId) -> bool:
        """Has the container? If not, its name is free now. Raises _Lost if it has, and is gone."""
        for _ in range(_ATTEMPTS):
            try:
                inspected = self._engine.call(partial(_inspect, cid))
                if not never_started(inspected):
                    return True
                # If the container has started meanwhile, the engine refuses.
                self._engine.call(partial(_remove_idle, inspected["Id"]))
            except NotFound:
                pass  # it was removed by this call, whose answer was lost, or by an earlier life
            except APIError as error:
                if error.status_code != _CONFLICT:
                    raise
                continue  # it has started, or is being removed: another look tells
            self._refuse_what_has_run(cid)
            return False
        raise BadRequest(
            "the engine neither starts nor removes its container: see whether it works"
        )

    def _refuse_what_has_run(self, cid: ContainerId) -> None:
        """Raises _Lost if the engine remembers a start of a container that is gone."""
        if self._engine.call(partial(_starts, cid)):
            raise _Lost("it has ended while the engine did not answer, and nobody saw how")

    def _pull(self, container: _Container) -> None:
        spec = container.spec
        assert spec.container is not None
        assert spec.container.docker is not None
        image = spec.container.docker.image
        repository, tag = parse_repository_tag(image)

        def pull(api: docker.APIClient) -> None:
            self._refuse_if_unwanted(container)
            heard = time.monotonic()
            try:
                for line in api.pull(repository, tag or "latest", stream=True, decode=True):
                    heard = time.monotonic()
                    self._refuse_if_unwanted(container)
                    if "error" in line:
                        raise BadRequest(f"image {image} can't be pulled: {line['error']}")
            except AWAY:
                silent_s = time.monotonic() - heard
                if silent_s >= getattr(api, "silence_s", SILENCE_MAX_S):
                    # The engine or its registry hangs, and so would all launches in the end.
                    raise BadRequest(
                        f"image {image} can't be pulled: no word of it for {silent_s:.0f} s"
                    ) from None
                raise
            except GARBLED as error:  # also of the files with credentials for registries
                raise BadRequest(f"image {image} can't be pulled: {error!r}") from error

        try:
            self._engine.call(pull)
        except DockerException as error:
            raise BadRequest(f"image {image} can't be pulled: {refusal_text(error)}") from error

    def _refuse_if_unwanted(self, container: _Container) -> None:
        if container.unwanted:
            raise BadRequest("killed before it was started")

    # ---- what the engine says of a container

    def recover(self, specs: Sequence[ContainerSpec]) -> None:
        for spec in specs:
            self._containers.setdefault(spec.container_id, _Container(spec))
            self._calls.run(self._look, spec.container_id, recovering=True)

    def _look(
        self,
        cid: ContainerId,
        *,
        recovering: bool = False,
        exit_code: int | None = None,
    ) -> None:
        """In a thread: inspect, and report what is news.

        recovering: no trace of the container means that it was never launched.
        exit_code: the container has surely ended, with this one.
        """
        try:
            try:
                inspected = self._engine.call(partial(_inspect, cid))
            except NotFound:
                event: RuntimeEvent
                if exit_code is not None:
                    event = ContainerExited(cid, exit_code)
                elif recovering:
                    event = self._absent(cid)
                else:
                    event = ContainerLost(cid, "its container was removed from the engine")
                self._calls.tell(self._over, event)
                return
        except EngineClosed:
            return
        if never_started(inspected):
            if recovering:
                self._calls.tell(self._over, ContainerAbsent(cid))
            return  # its launch is under way
        self._calls.tell(self._saw, cid, inspected)

    def _absent(self, cid: ContainerId) -> RuntimeEvent:
        try:
            self._refuse_what_has_run(cid)
        except _Lost as error:
            return ContainerLost(cid, str(error))
        return ContainerAbsent(cid)

    def _saw(self, cid: ContainerId, inspected: dict[str, Any]) -> None:
        """On the loop: the container runs, or has run."""
        container = self._containers.get(cid)
        if container is None:
            return
        if not container.started:
            container.started = True
            container.stop_signal = stop_signal(inspected)
            self._report(as_started(cid, inspected, self._settings))
        if not is_running(inspected):
            self._over(as_exited(cid, inspected))

    def _over(self, event: RuntimeEvent) -> None:
        """On the loop: the container runs no longer, or never did. Nothing is reported twice."""
        if self._containers.pop(event.container_id, None) is not None:
            self._kills.forget(event.container_id)
            self._report(event)

    def _follow(self) -> None:
        """In a thread of its own: learn of endings, as long as the agent lives."""
        wait_s = RETRY_MIN_S
        try:
            while True:
                began = time.monotonic()
                self._follow_one_stream()
                lasted = time.monotonic() - began > RETRY_MAX_S
                wait_s = RETRY_MIN_S if lasted else min(wait_s * 2, RETRY_MAX_S)
                self._engine.pause(wait_s)
        except EngineClosed:
            return
        except BaseException as error:  # noqa: BLE001 - a thread that dies unseen loses endings
            self._crash(error)

    def _follow_one_stream(self) -> None:
        stream = self._engine.call(
            lambda api: api.events(
                since=int(time.time() - _EVENTS_OVERLAP_S),
                filters={"type": "container", "event": "die", "label": LABEL_CONTAINER},
                decode=True,
            )
        )
        # Those that ended while nobody listened; from now on no ending can escape us.
        self._calls.run(self._compare)
        try:
            for event in stream:
                attributes = event["Actor"]["Attributes"]
                cid = ContainerId(attributes[LABEL_CONTAINER])
                self._calls.tell(self._died, cid, int(attributes.get("exitCode", 0)))
        except AWAY:
            return
        except GARBLED as error:
            self._log.warning("docker.events_unreadable", error=repr(error)[:200])

    def _compare_again(self) -> None:
        """On the loop, now and then: an event may be lost without a trace, and a stream hang."""
        self._calls.run(self._compare)
        self._comparing = self._loop.call_later(_COMPARE_EVERY_S, self._compare_again)

    def _compare(self) -> None:
        """In a thread: compare the engine's containers of this agent with those believed to run."""
        try:
            listed = self._engine.call(partial(_list, self._settings.owner))
        except (DockerException, EngineClosed):
            return  # it is asked again
        self._calls.tell(self._compared, listed)

    def _compared(self, listed: list[_Listed]) -> None:
        """On the loop."""
        runs = {each.container_id for each in listed if each.state == "running"}
        for cid, container in self._containers.items():
            if container.started and cid not in runs:
                self._calls.run(self._look, cid)
            elif self._kills.is_overdue(cid):  # the engine could not, at that moment
                self._signal(cid, signal.SIGKILL)
        for each in listed:
            if not self._knows(each.container_id):
                # From a life of this agent whose store is lost: nobody else would ever end it.
                name = container_name(each.container_id)
                self._log.warning("docker.unknown", container=name, action="ended and removed")
                self._calls.run(self._wipe_out, each.id)

    def _wipe_out(self, id_: str) -> None:
        """In a thread."""
        with contextlib.suppress(NotFound, EngineClosed):
            try:
                self._engine.call(lambda api: api.remove_container(id_, v=True, force=True))
            except APIError as error:
                self._log.error("docker.not_removed", id=id_, error=refusal_text(error))

    def _died(self, cid: ContainerId, exit_code: int) -> None:
        if cid in self._containers:
            self._calls.run(self._look, cid, exit_code=exit_code)

    # ---- the rest of the contract

    def kill(self, container_id: ContainerId, grace_s: float) -> None:
        container = self._containers.get(container_id)
        if container is None:
            return
        if container.started:
            self._kills.order(container_id, grace_s)
        else:
            container.unwanted = True

    def _signal(self, container_id: ContainerId, number: signal.Signals) -> None:
        container = self._containers.get(container_id)
        if container is not None:
            name = container.stop_signal if number == signal.SIGTERM else number.name
            self._calls.run(self._send_signal, container_id, name)

    def _send_signal(self, cid: ContainerId, name: str) -> None:
        """In a thread. The engine refuses if the container has ended; its event tells us."""
        with contextlib.suppress(DockerException, EngineClosed):
            self._engine.call(lambda api: api.kill(container_name(cid), name))

    def remove(self, container_id: ContainerId, sandbox: str) -> None:
        self._calls.run(self._remove, container_id, sandbox)

    def _remove(self, cid: ContainerId, sandbox: str) -> None:
        """In a thread."""
        name = container_name(cid)
        try:
            if os.path.isdir(sandbox):  # else nobody would find them
                self._engine.call(lambda api: _save_logs(api, name, sandbox))
            self._engine.call(lambda api: api.remove_container(name, v=True, force=True))
        except NotFound:
            pass  # somebody was faster, or it was never made
        except (DockerException, _NotSaved) as error:
            # Nothing depends on it. It comes again after the next restart of the agent.
            text = refusal_text(error) if isinstance(error, DockerException) else str(error)
            self._log.warning("container.not_removed", container=name, error=text)
            return
        except EngineClosed:
            return
        self._calls.tell(self._report, ContainerRemoved(cid))

    def renew_lease(self, up_s: float) -> None:
        """The engine keeps no leases: while the agent is dead nobody kills."""

    async def check(self, container_id: ContainerId, command: CommandInfo) -> int:
        run = Exec(container_name(container_id), command)
        job = self._loop.run_in_executor(self._checks, self._engine.call_once, run.run)
        try:
            return await asyncio.shield(job)
        except APIError as error:
            raise CheckFailed(refusal_text(error)) from error
        except (OSError, DockerException) as error:
            raise CheckFailed(str(error)) from error
        except asyncio.CancelledError:
            run.stop()
            job.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    def logs(
        self, container_id: ContainerId, sandbox: str, stream: Stream, offset: int, follow: bool
    ) -> Iterator[bytes]:
        if follow and self._followers.full:
            raise NoLogs(
                f"{_FOLLOWERS_MAX} readers follow containers here already, which is the most: "
                "read it without follow",
                away=True,
            )
        # First the engine: as long as it has the container, a file of that name is a task's own.
        try:
            chunks = self._engine.call_once(
                lambda api: _log(api, container_name(container_id), stream, follow)
            )
        except NotFound:
            return read_output(sandbox, stream, offset, lambda: False)
        except APIError as error:
            raise NoLogs(f"the engine has none: {refusal_text(error)}") from error
        except (DockerException, OSError) as error:
            raise NoLogs(f"the engine does not answer: {error}", away=True) from error
        rest = _skip(chunks, offset)
        if not follow:
            return rest
        return self._followers.follow(rest, getattr(chunks, "close", lambda: None))

    async def close(self) -> None:
        self._comparing.cancel()
        self._kills.clear()
        self._engine.close()
        self._launches.close()
        self._calls.close()
        self._checks.shutdown(wait=False, cancel_futures=True)


def _log(api: docker.APIClient, name: str, stream: Stream, follow: bool) -> Iterator[bytes]:
    return api.logs(
        name,
        stdout=stream is Stream.STDOUT,
        stderr=stream is Stream.STDERR,
        stream=True,
        follow=follow,
    )


def _skip(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """All chunks but the first `count` bytes; they end when the engine goes away."""
    with contextlib.suppress(*AWAY, *GARBLED, DockerException):
        for chunk in chunks:
            if count < len(chunk):
                yield chunk[count:]
            count = max(0, count - len(chunk))


class _NotSaved(Exception):
    """The sandbox took no logs; the text says why. Not an OSError: the engine is not away."""


def _save_logs(api: docker.APIClient, name: str, sandbox: str) -> None:
    """Each output whole or not at all: `logs` reads a file that is there. Raises _NotSaved."""
    try:
        with beneath.folder(sandbox) as at:
            for stream in Stream:
                with beneath.whole_file(at, stream) as file:
                    for chunk in _log(api, name, stream, follow=False):
                        file.write(chunk)
    except RequestException:  # an OSError, too, but of the engine
        raise
    except OSError as error:
        raise _NotSaved(f"its logs can't be saved: {error}") from error


def _create(api: docker.APIClient, body: Body, cid: ContainerId) -> str:
    """The new container's id. The SDK's own bodies know fewer options than the engine."""
    made = api.create_container_from_config(body, container_name(cid))  # type: ignore[no-untyped-call]
    return str(made["Id"])


def _start(id_: str, api: docker.APIClient) -> None:
    api.start(id_)


def _remove_idle(id_: str, api: docker.APIClient) -> None:
    """The engine refuses if it runs."""
    api.remove_container(id_, v=True)


def _inspect(cid: ContainerId, api: docker.APIClient) -> dict[str, Any]:
    """Raises NotFound, and OSError for any other refusal: the engine can only be asked again."""
    try:
        return check_inspected(cid, api.inspect_container(container_name(cid)))
    except NotFound:
        raise
    except APIError as error:
        raise OSError(refusal_text(error)) from error


def _starts(cid: ContainerId, api: docker.APIClient) -> list[object]:
    """The starts that the engine remembers of this container of ours, however often it was made.

    Raises OSError as `_inspect`.
    """
    filters = {"event": "start", "label": f"{LABEL_CONTAINER}={cid}"}
    try:
        return list(api.events(since=0, until=int(time.time()) + 1, filters=filters))
    except APIError as error:
        raise OSError(refusal_text(error)) from error


def _list(owner: str, api: docker.APIClient) -> list[_Listed]:
    return [
        _Listed(each["Id"], ContainerId(each["Labels"][LABEL_CONTAINER]), each["State"])
        for each in api.containers(all=True, filters={"label": f"{LABEL_OWNER}={owner}"})
    ]
