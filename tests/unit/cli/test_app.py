"""`mezzo app` against a server that plays Marathon."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from .conftest import Mezzo
from .fake_server import FakeMarathon, FakeServer, app, serving, waiting

COMMANDS = (
    ("app", "list"),
    ("app", "show", "/web"),
    ("app", "scale", "/web", "2"),
    ("app", "update", "/web", "cpus=1"),
    ("app", "remove", "/web"),
    ("app", "restart", "/web"),
)


def test_an_app_is_not_renamed(mezzo: Mezzo, marathon: FakeMarathon, tmp_path: Path) -> None:
    """The id was left out without a word."""
    marathon.apps["/web"] = app()
    (tmp_path / "other.json").write_text('{"id": "/other", "cpus": 1}')
    for change in (("id=/other",), ("--file", "other.json")):
        result = mezzo("app", "update", "/web", *change, "--marathon", marathon.url)
        assert result.exit_code == 2
        assert result.stderr == (
            "mezzo: the change is of /other and not of /web: an app keeps its id\n"
        )
    assert not any(what.startswith("PUT") for what, _ in marathon.asked)


@pytest.mark.parametrize("args", COMMANDS)
def test_nobody_listening_is_exit_code_3_with_what_to_do(
    mezzo: Mezzo, args: tuple[str, ...]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = mezzo(*args, env={"MEZZO_MARATHON": f"127.0.0.1:{port}"})
    assert result.exit_code == 3
    assert result.stdout == ""
    assert (
        f"Marathon at http://127.0.0.1:{port} does not answer (Connection refused)" in result.stderr
    )
    assert "mezzo up" in result.stderr
    assert "MEZZO_MARATHON" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("args", COMMANDS[1:])
def test_an_app_that_is_not_there_is_exit_code_1(
    mezzo: Mezzo, marathon: FakeMarathon, args: tuple[str, ...]
) -> None:
    result = mezzo(*args, "--marathon", marathon.url)
    assert result.exit_code == 1
    assert result.stderr == (
        f"mezzo: there is no app /web at {marathon.url}: see `mezzo app list`\n"
    )
    assert not any(what.startswith(("PUT", "POST", "DELETE")) for what, _ in marathon.asked)


def test_a_cluster_without_a_leader_counts_as_not_reachable(mezzo: Mezzo) -> None:
    with serving(FakeServer({"GET /v2/apps": (503, {"message": "no leader yet"})})) as server:
        result = mezzo("app", "list", "--marathon", server.url)
    assert result.exit_code == 3
    assert "no leader yet" in result.stderr


def test_what_is_not_marathon_is_told_apart(mezzo: Mezzo) -> None:
    with serving(FakeServer({"GET /v2/apps": b"<html>hello</html>"})) as server:
        result = mezzo("app", "list", "--marathon", server.url)
    assert result.exit_code == 3
    assert "is not Marathon: it sent no JSON" in result.stderr


def test_add_waits_until_the_deployment_is_over(
    mezzo: Mezzo, marathon: FakeMarathon, tmp_path: Path
) -> None:
    marathon.looks = 2
    task = {"id": "t", "host": "h1", "ports": [31005], "state": "TASK_RUNNING"}
    (tmp_path / "web.json").write_text(json.dumps({"id": "web", "tasks": [task]}))
    result = mezzo("app", "add", str(tmp_path / "web.json"), "--marathon", marathon.url)
    assert result.exit_code == 0
    assert len(marathon.bodies("GET /v2/deployments")) == 3
    assert result.stdout == "/web is deployed: 1/1 running\n  h1:31005\n"


def test_add_reads_the_standard_input(mezzo: Mezzo, marathon: FakeMarathon) -> None:
    args = ("app", "add", "-", "--detach", "--marathon", marathon.url)
    result = mezzo(*args, stdin='{"id": "/web"}')
    assert result.exit_code == 0
    assert marathon.bodies("POST /v2/apps") == [{"id": "/web"}]
    assert result.stdout == "/web: deployment d1\n"


def test_an_app_that_exists_is_not_added_again(mezzo: Mezzo, marathon: FakeMarathon) -> None:
    marathon.apps["/web"] = app()
    result = mezzo("app", "add", "-", "--marathon", marathon.url, stdin='{"id": "/web"}')
    assert result.exit_code == 1
    assert (
        "An app with id [/web] already exists: change it with `mezzo app update`" in result.stderr
    )


def test_what_marathon_finds_wrong_is_told_with_its_place(
    mezzo: Mezzo, marathon: FakeMarathon
) -> None:
    args = ("app", "add", "-", "--marathon", marathon.url)
    result = mezzo(*args, stdin='{"id": "/web", "cpus": -1}')
    assert result.exit_code == 1
    assert "Object is not valid; /cpus must be >= 0" in result.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no JSON object"),
        ("{}", "names no app"),
        ('{"id": "/"}', "names no app"),
    ],
)
def test_a_bad_file_is_exit_code_2_and_nothing_is_asked(
    mezzo: Mezzo, marathon: FakeMarathon, text: str, problem: str
) -> None:
    result = mezzo("app", "add", "-", "--marathon", marathon.url, stdin=text)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert marathon.asked == []


def test_a_missing_file_is_named(mezzo: Mezzo) -> None:
    result = mezzo("app", "add", "/nowhere/web.json")
    assert result.exit_code == 2
    assert "/nowhere/web.json cannot be read: No such file" in result.stderr


def test_a_deployment_that_takes_too_long_is_exit_code_1_and_says_why(
    mezzo: Mezzo, marathon: FakeMarathon
) -> None:
    marathon.apps["/web"] = app(instances=3, tasksRunning=2, tasksHealthy=1, healthChecks=[{}])
    rows = [
        {"reason": "InsufficientCpus", "declined": 3, "processed": 3},
        {"reason": "InsufficientMemory", "declined": 0, "processed": 0},
    ]
    marathon.queue = [waiting(rejectSummaryLastOffers=rows)]
    marathon.looks = 1_000_000
    result = mezzo("app", "scale", "web", "3", "--timeout", "0", "--marathon", marathon.url)
    assert result.exit_code == 1
    progress = (
        "/web: 2/3 running, 1 healthy; waiting: InsufficientCpus on 3 agents (not enough CPUs)"
    )
    assert result.stderr.splitlines()[0] == progress
    assert f"not done after 0 s: {progress}. The deployment d1 goes on" in result.stderr


def test_a_deployment_that_takes_too_long_tells_how_the_last_task_failed(
    mezzo: Mezzo, marathon: FakeMarathon
) -> None:
    failure = {"timestamp": "t", "state": "TASK_FAILED", "host": "h", "message": "no such image"}
    marathon.apps["/web"] = app(instances=1, tasksRunning=0, lastTaskFailure=failure)
    marathon.queue = [waiting()]
    marathon.looks = 1_000_000
    result = mezzo("app", "scale", "web", "1", "--timeout", "0", "--marathon", marathon.url)
    assert result.exit_code == 1
    assert "; last failure: TASK_FAILED on h: no such image. The deployment d1" in result.stderr


def test_a_deployment_after_which_not_all_runs_is_no_success(
    mezzo: Mezzo, marathon: FakeMarathon
) -> None:
    marathon.apps["/web"] = app(instances=3, tasksRunning=0)
    marathon.queue = [waiting()]
    result = mezzo("app", "restart", "/web", "--marathon", marathon.url)
    assert result.exit_code == 1
    assert "the deployment d1 is over, and not all of it runs" in result.stderr


def test_scale_sends_the_number_and_shows_the_outcome(mezzo: Mezzo, marathon: FakeMarathon) -> None:
    marathon.apps["/web"] = app()
    result = mezzo("app", "scale", "web", "4", "--marathon", marathon.url)
    assert result.exit_code == 0
    assert marathon.bodies("PUT /v2/apps/web?force=false") == [{"instances": 4}]
    assert result.stdout == "/web is scaled: 4/4 running\n"


def test_a_locked_app_names_the_way_out(mezzo: Mezzo, marathon: FakeMarathon) -> None:
    marathon.apps["/web"] = app(locked=True)
    args = ("app", "scale", "web", "4", "--marathon", marathon.url)
    result = mezzo(*args)
    assert result.exit_code == 1
    assert "deployment d0 is not done with the app" in result.stderr
    assert "--force" in result.stderr
    assert mezzo(*args, "--force").exit_code == 0


def test_update_takes_json_values_and_plain_text(mezzo: Mezzo, marathon: FakeMarathon) -> None:
    marathon.apps["/web"] = app()
    changes = ("cpus=0.5", 'env={"A": "1"}', "cmd=sleep 1", "labels=null")
    result = mezzo("app", "update", "web", *changes, "--marathon", marathon.url)
    assert result.exit_code == 0
    (sent,) = marathon.bodies("PUT /v2/apps/web?force=false")
    assert sent == {"cpus": 0.5, "env": {"A": "1"}, "cmd": "sleep 1", "labels": None}


@pytest.mark.parametrize("changes", [(), ("cpus",), ("=1",)])
def test_an_update_of_nothing_is_a_usage_error(mezzo: Mezzo, changes: tuple[str, ...]) -> None:
    assert mezzo("app", "update", "web", *changes).exit_code == 2


def test_remove_waits_until_the_app_is_gone_and_needs_no_force(
    mezzo: Mezzo, marathon: FakeMarathon
) -> None:
    marathon.apps["/web"] = app(locked=True)
    result = mezzo("app", "remove", "/web", "--marathon", marathon.url)
    assert (result.exit_code, result.stdout) == (0, "/web is removed\n")
    assert marathon.apps == {}


def test_show_tells_why_instances_wait_and_hides_the_values_of_env(
    mezzo: Mezzo, marathon: FakeMarathon
) -> None:
    marathon.apps["/web"] = app(
        tasksRunning=0,
        env={"PASSWORD": "hunter2"},
        lastTaskFailure={
            "timestamp": "2026-01-01T00:00:00.000Z",
            "state": "TASK_FAILED",
            "host": "h1",
            "message": "exit status 3",
        },
    )
    marathon.queue = [waiting() | {"delay": {"timeLeftSeconds": 7, "overdue": False}}]
    result = mezzo("app", "show", "web", "--marathon", marathon.url)
    assert result.exit_code == 0
    assert "waiting    backing off after failures, next try in 7 s" in result.stdout
    assert "TASK_FAILED on h1: exit status 3" in result.stdout
    assert "PASSWORD" in result.stdout
    assert "hunter2" not in result.stdout


def test_json_output_is_json_and_nothing_else(mezzo: Mezzo, marathon: FakeMarathon) -> None:
    marathon.apps = {"/b": app("/b"), "/a": app("/a")}
    result = mezzo("app", "list", "-o", "json", "--marathon", marathon.url)
    assert [each["id"] for each in json.loads(result.stdout)] == ["/a", "/b"]
    shown = mezzo("app", "show", "a", "-o", "json", "--marathon", marathon.url)
    assert json.loads(shown.stdout) == {"app": app("/a"), "queue": None}


def test_a_list_shows_values_as_they_are(mezzo: Mezzo, marathon: FakeMarathon) -> None:
    marathon.apps["/web"] = app(cmd="[bold]echo[/bold]", mem=2048)
    result = mezzo("app", "list", "--marathon", marathon.url)
    assert "[bold]echo[/bold]" in result.stdout
    assert "2.0 GiB" in result.stdout


TYPOS = [
    ({"instnces": 3}, "/instnces (did you mean instances?)"),
    ({"helthChecks": []}, "/helthChecks (did you mean healthChecks?)"),
    (
        {"container": {"docker": {"imgae": "x"}}},
        "/container/docker/imgae (did you mean image?)",
    ),
    (
        {"healthChecks": [{"intervallSeconds": 5}]},
        "/healthChecks(0)/intervallSeconds (did you mean intervalSeconds?)",
    ),
    ({"docker.imgae": "x"}, "/docker.imgae"),
]


@pytest.mark.parametrize(("changes", "told"), TYPOS, ids=lambda each: str(each)[:20])
def test_a_key_that_does_not_exist_is_told_and_nothing_is_sent(
    mezzo: Mezzo, marathon: FakeMarathon, tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    file = tmp_path / "web.json"
    file.write_text(json.dumps({"id": "/web"} | changes))
    pairs = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    for args in (
        ("app", "add", str(file)),
        ("app", "update", "/web", "--file", str(file)),
        ("app", "update", "/web", "cpus=1", *pairs),
    ):
        result = mezzo(*args, "--marathon", marathon.url)
        assert result.exit_code == 2
        assert told in result.stderr
        assert "--allow-unknown" in result.stderr
    assert mezzo("up", "--demo", str(file), "--dir", str(tmp_path / "d")).exit_code == 2
    assert marathon.asked == []
    added = mezzo("app", "add", str(file), "--allow-unknown", "--marathon", marathon.url)
    assert added.exit_code == 0
    assert marathon.bodies("POST /v2/apps") == [{"id": "/web"} | changes]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"id": "/a", "cmd": "x", "cmd": "y"}', "'cmd' stands twice in one object"),
        ('{"id": "/a", "cpus": NaN}', "NaN is no number in JSON"),
        ('{"id": "/a", "env": ' + "[" * 100_000 + "}", "it is nested deeper than"),
        ('{"id": "/a" "cmd": "x"}', "line 1 column 13"),
        ("\ud800", "is no JSON"),
    ],
    ids=["twice", "nan", "deep", "comma", "surrogate"],
)
def test_json_is_read_strictly(mezzo: Mezzo, tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode(errors="surrogatepass"))
    result = mezzo("app", "add", str(tmp_path / "a.json"))
    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_key_that_is_given_twice_is_refused(mezzo: Mezzo, marathon: FakeMarathon) -> None:
    result = mezzo("app", "update", "/web", "cpus=1", "cpus=2", "--marathon", marathon.url)
    assert (result.exit_code, marathon.asked) == (2, [])
    assert "cpus is given more than once" in result.stderr


def test_a_change_that_changes_nothing_says_so(mezzo: Mezzo, marathon: FakeMarathon) -> None:
    marathon.apps["/web"] = app(cpus=0.5)
    same = mezzo("app", "update", "/web", "cpus=0.5", "--marathon", marathon.url)
    assert same.stdout == "/web is unchanged: 1/1 running\n"
    same = mezzo("app", "scale", "/web", "1", "--detach", "--marathon", marathon.url)
    assert same.stdout == "/web is unchanged\n"
    other = mezzo("app", "update", "/web", "cpus=0.6", "--marathon", marathon.url)
    assert other.stdout == "/web is updated: 1/1 running\n"


@pytest.mark.parametrize("field", ["cmd", "id", "version"])
def test_no_app_steers_the_terminal(mezzo: Mezzo, marathon: FakeMarathon, field: str) -> None:
    hostile = "\x1b]0;owned\x07\n/other: 9/9 running\u202e"
    marathon.apps["/web"] = app(**{field: hostile})
    marathon.apps["/web"]["lastTaskFailure"] = dict.fromkeys(
        ("timestamp", "state", "host", "message"), hostile
    )
    for args in (("list",), ("show", "/web"), ("scale", "/web", "2")):
        result = mezzo("app", *args, "--marathon", marathon.url)
        assert not set(result.output) & set("\x1b\x07\u202e")
        assert not any(line.startswith("/other") for line in result.output.splitlines())
