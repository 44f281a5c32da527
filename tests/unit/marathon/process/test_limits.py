"""What is bounded: the writes of a step, the work of a step, the time that users wait."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mezzo.cluster.states import TaskState
from mezzo.core import REQUEST_BYTES_MAX
from mezzo.marathon.api.errors import ApiError
from mezzo.marathon.api.event_stream import EventStream
from mezzo.marathon.api.leadership import Term
from mezzo.marathon.api.metrics import Metrics
from mezzo.marathon.commands import (
    CancelDeployment,
    Deployed,
    Done,
    NotFound,
    NotValid,
    ResetDelay,
    Result,
)
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.events import ApiRequest
from mezzo.store.memory import MemoryStore

from ..apps import app
from ..world import World

MANY = MarathonConfig(
    launch_tokens=10_000,
    max_instances_per_offer=10_000,
    kills_at_once=10_000,
    max_running_deployments=5000,
)


def test_no_step_writes_more_than_a_store_takes_at_once() -> None:
    """Behaviour 130: launching, killing and giving up thousands."""
    world = World.of("a", cpus=10_000, mem=10_000_000, config=MANY)
    limit = MemoryStore().max_commit_bytes
    world.put(app("/a", 3000, port_definitions=(), unreachable=None))
    world.run()
    assert len(world.tasks) == 3000
    for task_id in world.running("/a")[:1500]:
        world.update(task_id, TaskState.UNREACHABLE)
    world.delete("/a")
    world.advance(1)
    assert world.shown_instances == {}
    assert world.shown_deployments == {}
    assert max(world.written) < limit / 2
    assert len([size for size in world.written if size > limit / 4]) > 3  # it was not for nothing


def test_a_change_that_no_store_takes_is_refused() -> None:
    world = World.of("a")
    stored = dict(world.store)
    result = world.put(app("/a", env={f"BLOB{n}": "x" * 100_000 for n in range(8)}))
    assert isinstance(result, NotValid)
    assert "make the definitions smaller" in result.error
    assert world.store == stored


def test_a_change_is_taken_back_however_large_the_apps_were_before() -> None:
    """Their versions are stored already: 1.2 MB, in twelve changes."""
    world = World.of("a", auto_run=False)
    large = [app(f"/a{n}", 0, env={"BLOB": "x" * 100_000}) for n in range(12)]
    for each in large:
        world.deploy(each)
    before = {app_id: view.app for app_id, view in world.shown_apps.items()}
    result = world.put(*(app(each.id, 1) for each in large))
    assert isinstance(result, Deployed)
    assert isinstance(world.ask(CancelDeployment(result.deployment_id)), Deployed)
    assert {app_id: view.app for app_id, view in world.shown_apps.items()} == before
    assert max(world.written) < REQUEST_BYTES_MAX


def test_an_app_that_is_deleted_takes_its_versions_along_little_by_little() -> None:
    """A thousand instances, each launched by a version of its own, would make a step too large."""
    world = World.of("a", auto_kill=False, config=MarathonConfig(max_versions=2))
    for count in range(1, 21):
        world.deploy(app("/a", count))
        world.advance(10)
    world.delete("/a")
    world.run()
    deleted: list[int] = []
    while world.tasks:
        before = len(_versions(world))
        world.update(next(iter(world.tasks)), TaskState.KILLED)
        deleted.append(before - len(_versions(world)))
    assert sum(deleted) == 20
    assert max(deleted) <= 2
    assert list(world.store) == ["framework/id"]


def _versions(world: World) -> list[str]:
    return [key for key in world.store if key.startswith("appversion/")]


def test_a_step_shows_only_what_it_has_changed() -> None:
    """A thousand apps don't make every step look at all of them."""
    world = World.of("a", cpus=1000, mem=1_000_000, config=MANY)
    world.put(*(app(f"/apps/a{n}", 0, port_definitions=()) for n in range(300)))
    world.put(app("/apps/b"))
    world.run()
    (task_id,) = world.running("/apps/b")
    assert len(world.update(task_id, TaskState.RUNNING)) < 5
    assert len(world.update(task_id, TaskState.FAILED)) < 20


def term(post: Any, *, held: bool = False) -> Term:
    return Term(post, lambda: held, EventStream(1), Metrics())


def test_a_request_is_refused_at_once_while_leadership_is_in_doubt() -> None:
    posted: list[ApiRequest] = []
    with pytest.raises(ApiError) as raised:
        term(posted.append, held=True).ask(ResetDelay("/a"))
    assert raised.value.status == 503
    assert posted == []


def test_a_request_without_an_answer_ends_with_503() -> None:
    silent = Term(lambda request: None, lambda: False, EventStream(1), Metrics(), patience_s=0.01)
    with pytest.raises(ApiError) as raised:
        silent.ask(ResetDelay("/a"))
    assert raised.value.status == 503


def test_requests_that_wait_when_the_term_ends_are_answered() -> None:
    waiting = threading.Event()
    asked = term(lambda request: waiting.set())
    errors: list[ApiError] = []

    def ask() -> None:
        try:
            asked.ask(ResetDelay("/a"))
        except ApiError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert waiting.wait(10)
    asked.end()
    thread.join(10)
    assert [error.status for error in errors] == [503]


def test_answers_find_their_requests() -> None:
    asked: Term
    answers: dict[str, Result] = {
        "/a": Done(),
        "/b": NotFound("Application /b not found in tasks queue."),
    }

    def post(request: ApiRequest) -> None:
        command = request.command
        assert isinstance(command, ResetDelay)
        asked.replied(request.request_id, answers[command.app_id])

    asked = term(post)
    assert asked.do(ResetDelay("/a"), Done) == Done()
    with pytest.raises(ApiError) as raised:
        asked.do(ResetDelay("/b"), Done)
    assert raised.value.status == 404
