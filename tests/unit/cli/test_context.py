"""Which cluster a command means."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mezzo.cli.context import LOCK, Context, name_for, publish, registered, withdraw
from mezzo.cli.errors import Wrong

from .conftest import Mezzo
from .fake_server import FakeServer, app, serving

AS_JSON = '{"name": "%s", "directory": "%s", "marathon": "%s", "gateway": "%s", "master": "%s"}'


@contextmanager
def running(folder: Path, name: str, url: str = "http://127.0.0.1:1") -> Iterator[Context]:
    """A cluster whose `mezzo up` runs in `folder`; all of its parts are one server."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX)
    context = Context(name, str(folder), url, url, "127.0.0.1:1")
    assert publish(context) is None
    try:
        yield context
    finally:
        os.close(lock)


@contextmanager
def cluster(folder: Path, name: str) -> Iterator[FakeServer]:
    """One whose only app is called as the cluster."""
    fake = FakeServer({"GET /v2/apps": (200, {"apps": [app(f"/{name}")]})})
    with serving(fake), running(folder, name, fake.url):
        yield fake


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/mezzo/contexts"


def test_the_most_explicit_wins(
    mezzo: Mezzo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "here/a/b"
    below.mkdir(parents=True)
    with (
        cluster(tmp_path / "here/.mezzo", "folder"),
        cluster(tmp_path / "1/.mezzo", "used"),
        cluster(tmp_path / "2/.mezzo", "env"),
        cluster(tmp_path / "3/.mezzo", "flag"),
        cluster(tmp_path / "4/.mezzo", "variable") as by_variable,
        cluster(tmp_path / "5/.mezzo", "option") as by_option,
    ):

        def listed(*args: str, before: tuple[str, ...] = (), **env: str) -> str:
            result = mezzo(*before, "app", "list", *args, env=env)
            assert result.exit_code == 0, result.stderr
            return result.stdout

        assert mezzo("context", "use", "used").exit_code == 0
        assert "/used " in listed()
        monkeypatch.chdir(below)
        assert "/folder " in listed()
        env = {"MEZZO_CONTEXT": "env"}
        assert "/env " in listed(**env)
        env["MEZZO_MARATHON"] = by_variable.url
        assert "/variable " in listed(**env)
        flag = ("--context", "flag")
        assert "/flag " in listed(before=flag, **env)
        assert "/option " in listed("--marathon", by_option.url, before=flag, **env)
        assert mezzo("context", "use", "--none").exit_code == 0
        monkeypatch.chdir(tmp_path)
        assert mezzo("context", "show").exit_code == 1


def test_a_cluster_that_is_gone_is_told_and_not_asked(
    mezzo: Mezzo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cluster(tmp_path / ".mezzo", "old") as server:
        pass
    result = mezzo("app", "list")
    assert result.exit_code == 3
    assert "the cluster old does not run any more" in result.stderr
    assert "mezzo up --dir" in result.stderr
    assert server.asked == []
    assert mezzo("app", "list", "--help").exit_code == 0
    assert "gone" in mezzo("context", "list").stdout
    withdraw(tmp_path / ".mezzo")
    assert mezzo("context", "list").stdout.startswith("no contexts")


def test_a_name_that_nobody_has_is_a_usage_error(mezzo: Mezzo, tmp_path: Path) -> None:
    with running(tmp_path / "x", "staging"):
        result = mezzo("--context", "stagign", "app", "list")
        assert result.exit_code == 2
        assert "no context 'stagign': did you mean staging?" in result.stderr
        for name in ("../x", "", "a/b", "\x1b[2J"):
            assert mezzo("--context", name, "app", "list").exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"name": "x"}',
        AS_JSON % ("\\u001b[2J", "/x", "h:1", "h:1", "h:1"),
        AS_JSON % ("x", "/x", "file:///x", "h:1", "h:1"),
        AS_JSON % ("x", "/x", "h:1", "h:1", "nowhere"),
        AS_JSON % ("x", "relative", "h:1", "h:1", "h:1"),
        AS_JSON % ("x", "/x\\u0000", "http://h:1", "http://h:1", "h:1"),
    ],
)
def test_a_file_that_is_no_context_is_passed_over_with_a_word(
    mezzo: Mezzo, tmp_path: Path, text: str
) -> None:
    (tmp_path / ".mezzo").mkdir()
    (tmp_path / ".mezzo/context.json").write_text(text)
    result = mezzo("context", "show")
    assert result.exit_code == 1
    assert f"the context in {tmp_path}/.mezzo/context.json is not used: " in result.stderr
    assert "\x1b" not in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can give a file away")
def test_nobody_elses_context_is_followed(mezzo: Mezzo, tmp_path: Path) -> None:
    """In /tmp, say: it could lead our commands to a cluster of theirs."""
    with cluster(tmp_path / ".mezzo", "theirs"):
        withdraw(Path("/nowhere"))
        os.chown(tmp_path / ".mezzo/context.json", 65534, 65534)
        result = mezzo("context", "show")
    assert result.exit_code == 1
    assert "it belongs to another user" in result.stderr


def test_a_context_that_others_can_write_to_is_not_followed(mezzo: Mezzo, tmp_path: Path) -> None:
    with cluster(tmp_path / ".mezzo", "ours"):
        withdraw(Path("/nowhere"))
        (tmp_path / ".mezzo/context.json").chmod(0o666)
        result = mezzo("context", "show")
    assert result.exit_code == 1
    assert "others can write to it: chmod go-w" in result.stderr


def test_a_pipe_in_its_place_blocks_nobody(mezzo: Mezzo, tmp_path: Path) -> None:
    (tmp_path / ".mezzo").mkdir()
    os.mkfifo(tmp_path / ".mezzo/context.json")
    assert "it is no file" in mezzo("context", "show").stderr


def test_what_is_written_is_for_its_user_alone(state: Path, tmp_path: Path) -> None:
    with running(tmp_path / "c", "mine"):
        for path in (tmp_path / "c/context.json", state / "mine.json"):
            assert path.stat().st_mode & 0o777 == 0o600
        assert state.stat().st_mode & 0o777 == 0o700
        assert [each.name for each in registered()] == ["mine"]


def test_no_two_clusters_that_run_have_one_name(state: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1/shop/.mezzo", tmp_path / "2/shop/.mezzo"
    assert name_for(first, None) == "shop"
    with running(first, "shop"):
        assert name_for(first, None) == name_for(first, "shop") == "shop"
        assert name_for(second, None) == "shop-2"
        with pytest.raises(Wrong, match=r"choose another --name"):
            name_for(second, "shop")
    assert name_for(second, None) == "shop"
    assert name_for(tmp_path / "=%/.mezzo", None) == "mezzo"
    assert name_for(tmp_path / "data", None) == "data"


def test_a_user_without_a_home_is_found_by_folder_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    (tmp_path / "c").mkdir()
    problem = publish(Context("x", str(tmp_path / "c"), "h:1", "h:1", "h:1"))
    assert problem is not None
    assert "Not a directory" in problem
    assert (tmp_path / "c/context.json").exists()
