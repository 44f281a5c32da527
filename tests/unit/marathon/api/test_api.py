"""Requests, as the API answers them: what is refused, how, and that it changes nothing."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.marathon.api import apps
from mezzo.marathon.events import ApiRequest

from ..api_world import ApiWorld

SMALL = {"cmd": "sleep 1000", "cpus": 0.1, "mem": 32}


def with_app(**fields: Any) -> ApiWorld:
    world = ApiWorld.up()
    assert world.ask_api("POST", "/v2/apps", {"id": "/a", **SMALL, **fields}).status_code == 201
    world.run()
    return world


# ---------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"id": NaN}', 400),
        (b'{"id": "/x", "cpus": Infinity}', 400),
        (b'{"id": "/x", "cpus": 1e999}', 400),
        (b'{"id": "/x", "cmd": "\\ud800"}', 400),
        (b'{"id": "/x", "cmd": "\xff"}', 400),
        (b'{"x": ' + b"[" * 900 + b"]" * 900 + b"}", 400),
        (b'{"x": ' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"}", 400),
        (b"null", 422),
        (b'"x"', 422),
        (b"[]", 422),
        (b"[[]]", 422),
        (b"{}", 422),
        (b'{"id": "/x", "cmd": "y", "instances": ' + b"9" * 300 + b"}", 422),
        (b'{"id": "/x", "cmd": "y", "instances": ' + b"9" * 5000 + b"}", 400),
    ],
)
@pytest.mark.parametrize("path", ["/v2/apps", "/v2/apps/x"])
def test_a_body_that_is_no_app_is_refused_and_changes_nothing(
    path: str, raw: bytes, status: int
) -> None:
    world = ApiWorld.up()
    stored = dict(world.store)
    for method in ("POST", "PUT", "PATCH") if path == "/v2/apps" else ("PUT",):
        answer = world.ask_api(method, path, raw=raw)
        if raw == b"[]" and method != "POST" and path == "/v2/apps":
            continue  # a change of no app
        assert answer.status_code == status or (answer.status_code == 422 and status == 422)
        assert "message" in answer.get_json()
        assert world.store == stored


def test_the_last_of_two_equal_keys_counts() -> None:
    world = ApiWorld.up()
    raw = b'{"id": "/a", "cmd": "x", "id": "/b"}'
    assert world.ask_api("POST", "/v2/apps", raw=raw).get_json()["id"] == "/b"


def test_errors_in_a_list_tell_which_of_its_apps() -> None:
    world = with_app()
    stored = dict(world.store)
    good = {"id": "/b", **SMALL}

    def details(*documents: Any) -> dict[str, list[str]]:
        answer = world.ask_api("PUT", "/v2/apps", list(documents))
        assert answer.status_code == 422
        assert world.store == stored
        return {each["path"]: each["errors"] for each in answer.get_json()["details"]}

    low = ["error.min: must be at least 0"]
    assert details(good, {"id": "/a", "instances": -1}) == {"/(1)/instances": low}
    assert details(good, {"id": "/c", "cmd": "x", "instances": -1}) == {"/(1)/instances": low}
    assert list(details(good, {"id": "/c"})) == ["/(1)"]
    assert list(details(good, {"id": 3})) == ["/(1)/id"]
    assert list(details(good, {"cmd": "x"})) == ["/(1)/id"]
    assert list(details(good, 3)) == ["/(1)"]
    assert list(details(good, {"id": "/d", "check": {"x": 1}, **SMALL})) == ["/(1)/check"]


def test_a_list_without_end_is_refused() -> None:
    world = with_app()
    answer = world.ask_api("PUT", "/v2/apps", [{"id": f"/{n}"} for n in range(100_000)])
    assert answer.status_code == 422
    assert "at most 800 apps" in answer.get_json()["details"][0]["errors"][0]


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"version": 3}, 422),
        ({"version": {"a": 1}}, 422),
        ({"version": "x"}, 404),
        ({"version": "x" * 100_000}, 404),
        ({"version": "99999-01-01T00:00:00Z"}, 404),
        ({"version": "9999-12-31T23:59:59-23:59"}, 404),
        ({"version": "2020-01-01T00:00:00Z", "cmd": "x"}, 422),
        ({"version": "2020-01-01T00:00:00Z", "cmd": None, "id": "/a"}, 404),
        ({"version": None, "cmd": "x"}, 200),
    ],
)
def test_versions_of_odd_shapes(document: Any, status: int) -> None:
    world = with_app()
    answer = world.ask_api("PUT", "/v2/apps/a", document)
    assert answer.status_code == status, answer.text


# ---------------------------------------------------------------------------------- paths, queries


@pytest.mark.parametrize(
    "path",
    ["/v2/apps//a", "/v2/apps/%2Fa", "/v2/apps/%2fa/", "/v2/apps/./a", "/v2/apps/b/../a"],
)
def test_an_id_is_the_same_however_it_is_written(path: str) -> None:
    world = with_app()
    assert world.ask_api("GET", path).get_json()["app"]["id"] == "/a"
    assert world.ask_api("PUT", path, {"labels": {"x": "y"}}).status_code == 200
    assert list(world.shown_apps) == ["/a"]


HARD = ["%ff", "%", "%zz", "%00", "%0d%0a", "a" * 5000, "%F0%9F%92%A9", "..", "%2e%2e", "*", "a/*"]
READS = ["/v2/apps/{}", "/v2/apps/{}/tasks", "/v2/apps/{}/versions", "/v2/apps/a/versions/{}"]
QUERIES = ["/v2/apps?{0}={0}", "/v2/apps?label={}", "/v2/apps?id={}&id={}", "/v2/apps?cmd={}"]
OTHERS = ["/v2/tasks?status={}", "/v2/queue?embed={}", "/v2/apps?embed={}&embed=apps.{}", "/{}"]
CHANGES = [
    ("DELETE", "/v2/apps/{}x"),
    ("DELETE", "/v2/apps/a/tasks/{}"),
    ("DELETE", "/v2/apps/a/tasks?host=x{}"),
    ("DELETE", "/v2/deployments/{}"),
    ("DELETE", "/v2/deployments/{}?force={}"),
    ("DELETE", "/v2/queue/{}/delay"),
    ("DELETE", "/v2/quarantine?key={}"),
    ("POST", "/v2/apps/{}x/restart"),
]


@pytest.mark.parametrize("hard", HARD)
def test_no_path_and_no_query_is_too_hard(hard: str) -> None:
    world = with_app()
    reads = [("GET", path) for path in (*READS, *QUERIES, *OTHERS)]
    stored = dict(world.store)
    for method, path in (*reads, *CHANGES):
        answer = world.ask_api(method, path.replace("{0}", hard).replace("{}", hard))
        assert answer.status_code < 500, (method, path)
        assert len(answer.get_data()) < 20_000
    assert world.store == stored
    for method in ("PUT", "PATCH"):
        answer = world.ask_api(method, f"/v2/apps/{hard}", {"instances": -1, "cmd": "x"})
        assert 400 <= answer.status_code < 500
    assert world.store == stored


def test_killing_tasks_that_nobody_knows_starts_nothing() -> None:
    world = with_app()
    stored = dict(world.store)
    for query in ("", "?scale=true", "?scale=true&force=true"):
        ids = ["a.instance-x._app.1", "\0.", "." * 10_000]
        answer = world.ask_api("POST", f"/v2/tasks/delete{query}", {"ids": ids})
        assert (answer.status_code, answer.get_json()) == (200, {"tasks": []})
        answer = world.ask_api(
            "DELETE", f"/v2/apps/a/tasks{query}&host=nowhere".replace("s&", "s?")
        )
        assert (answer.status_code, answer.get_json()) == (200, {"tasks": []})
    assert world.store == stored
    assert world.ask_api("GET", "/v2/deployments").get_json() == []
    for ids in (None, "x", [1], {"a": 1}):
        assert world.ask_api("POST", "/v2/tasks/delete", {"ids": ids}).status_code == 422
    assert world.ask_api("POST", "/v2/tasks/delete", {"ids": ["x"]}).status_code == 400


# ---------------------------------------------------------------------------------- unknown keys


def test_unknown_keys_are_taken_and_told_in_a_header() -> None:
    world = ApiWorld.up()
    answer = world.ask_api("POST", "/v2/apps", {"id": "/a", **SMALL, "instnces": 3, "x": [[]]})
    assert answer.status_code == 201
    assert answer.headers["Warning"] == (
        '299 marathon "unknown keys were dropped: /instnces (did you mean instances?), /x"'
    )
    assert answer.get_json()["instances"] == 1
    for method in ("PUT", "PATCH"):
        many = world.ask_api(method, "/v2/apps", [{"id": "/a"}, {"id": "/a/b", "cdm": "x"}])
        assert "/(1)/cdm (did you mean cmd?)" in many.headers["Warning"]
        one = world.ask_api(method, "/v2/apps/a", {"container": {"docker": {"imgae": "x"}}})
        assert "/container/docker/imgae (did you mean image?)" in one.headers["Warning"]
    silent = world.ask_api("PUT", "/v2/apps/a", {"labels": {"x": "y"}, "storeUrls": [], "a": None})
    assert "Warning" not in silent.headers


@given(st.dictionaries(st.text(), st.integers(), min_size=1, max_size=60))
def test_the_header_is_short_plain_ascii_whatever_the_keys(keys: dict[str, int]) -> None:
    world = ApiWorld.up()
    document = {"id": "/a", **SMALL, "healthChecks": [{f"x {key}": 1 for key in keys}]}
    answer = world.ask_api("POST", "/v2/apps", document)
    warning = answer.headers["Warning"]
    assert len(warning) < 1200
    assert all(" " <= letter <= "~" for letter in warning)
    assert warning.count('"') == 2
    assert "\\" not in warning


# ---------------------------------------------------------------------------------- answers


def test_what_could_not_be_told_afterwards_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """No app is known that can't be rendered, so the bug has to be made."""
    world = with_app()
    before = dict(world.store)
    monkeypatch.setattr(apps, "app_json", lambda app: {"cpus": 2**64})
    for method, path in (("POST", "/v2/apps"), ("PUT", "/v2/apps/b"), ("PUT", "/v2/apps/a")):
        answer = world.ask_api(method, path, {"id": "/b", **SMALL, "labels": {"x": method}})
        assert answer.status_code == 500
        assert world.store == before


# ---------------------------------------------------------------------------------- many writers


@pytest.mark.parametrize("query", ["?force=true", ""])
def test_writers_of_one_app_take_turns(query: str) -> None:
    """Each of them is taken, none is told to retry. No deployment has steps, so none locks."""
    world = with_app(instances=0)
    statuses: list[int] = []

    def write(writer: int) -> None:
        for turn in range(8):
            label = {"labels": {f"w{writer}": str(turn)}}
            statuses.append(world.ask_api("PUT", f"/v2/apps/a{query}", label).status_code)
            if writer == 0:
                world.ask_api("POST", "/v2/apps/a/restart?force=true")

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 64
    versions = world.ask_api("GET", "/v2/apps/a/versions").get_json()["versions"]
    assert len(versions) == 50  # as many as are kept, of 65


def test_a_writer_is_not_overtaken_by_another_of_the_same_app() -> None:
    world = with_app(instances=0)
    others: list[threading.Thread] = []
    statuses: list[int] = []

    def write(name: str) -> None:
        answer = world.ask_api("PUT", "/v2/apps/a", {"labels": {"by": name}})
        statuses.append(answer.status_code)

    def overtake(request: ApiRequest) -> None:
        """Another writes whenever the first has read and not yet written."""
        if threading.current_thread() is threading.main_thread():
            others.append(threading.Thread(target=write, args=(f"other {len(others)}",)))
            others[-1].start()
            others[-1].join(0.05)  # it can't end before the first has: this is how long it may try

    world.on_request = overtake
    write("first")
    for thread in others:
        thread.join()
    assert statuses == [200, 200]  # the first was asked to begin again by nobody
    assert world.shown_apps["/a"].app.labels == {"by": "other 0"}


def test_writers_of_several_apps_do_not_wait_for_each_other_in_a_circle() -> None:
    world = ApiWorld.up()
    ids = [f"/{n}" for n in range(30)]
    statuses: list[int] = []

    def write(documents: list[dict[str, Any]]) -> None:
        for _ in range(5):
            statuses.append(world.ask_api("PUT", "/v2/apps?force=true", documents).status_code)

    forward: list[dict[str, Any]] = [{"id": i, **SMALL, "instances": 0} for i in ids]
    threads = [threading.Thread(target=write, args=(d,)) for d in (forward, forward[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 10


def test_who_creates_what_another_has_just_created_is_told() -> None:
    world = with_app()
    answer = world.ask_api("POST", "/v2/apps?force=true", {"id": "/a", **SMALL})
    assert answer.status_code == 409
    assert orjson.loads(answer.get_data())["message"] == "An app with id [/a] already exists."


@pytest.mark.parametrize("path", ["a%0Ab", "a%0D", "%0A", "a%0A/tasks", "a%0A/versions/b%0A"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_an_id_with_the_end_of_a_line_is_answered_as_any_other(path: str, method: str) -> None:
    answer = ApiWorld.up().ask_api(method, f"/v2/apps/{path}", SMALL if method == "PUT" else None)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("word", ["restart", "tasks", "versions"])
def test_an_app_with_a_word_of_paths_within_its_id_is_read_changed_and_deleted(word: str) -> None:
    world = with_app()
    path = f"/v2/apps/a/{word}/b"
    assert world.ask_api("PUT", path, SMALL).status_code == 201
    assert world.ask_api("GET", path).get_json()["app"]["id"] == f"/a/{word}/b"
    assert world.ask_api("GET", f"{path}/tasks").get_json() == {"tasks": []}
    assert world.ask_api("PATCH", f"{path}?force=true", {"cpus": 0.2}).status_code == 200
    assert world.ask_api("DELETE", f"{path}?force=true").status_code == 200
    assert world.ask_api("GET", path).status_code in (404, 405)
    assert world.ask_api("GET", "/v2/apps/a").status_code == 200
