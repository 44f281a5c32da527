"""Which cluster a command means."""

from __future__ import annotations

import fcntl
import os
import pwd
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from mezzo.cli.clients.saved_contexts import (
    LOCK,
    Context,
    claim,
    forget_name,
    publish,
    registered,
    withdraw,
)
from mezzo.cli.words.errors import Wrong
from mezzo.process.daemon import cli_command

from .conftest import Mezzo
from .fake_server import FakeServer, app, serving

AS_JSON = '{"name": "%s", "directory": "%s", "marathon": "%s", "gateway": "%s", "master": "%s"}'


@contextmanager
def running(folder: Path, name: str, url: str = "http://127.0.0.1:1") -> Iterator[Context]:
    """A cluster whose `mezzo up` runs in `folder`; all of its parts are one server."""
    with locked(folder):
        context = claimed(folder, name, url)
        publish(context)
        yield context


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Its `mezzo up` runs."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(lock)


def claimed(folder: Path, name: str | None = None, url: str = "http://127.0.0.1:1") -> Context:
    context, problem = claim(folder, name, marathon=url, gateway=url, master="127.0.0.1:1")
    assert problem is None
    return context


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
    forget_name(tmp_path / ".mezzo")  # as when it is stopped
    result = mezzo("app", "list")
    assert "the cluster old does not run any more" in result.stderr
    assert server.asked == []
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
    with locked(second):
        with locked(first):
            assert claimed(first).name == "shop"
            assert claimed(first).name == claimed(first, "shop").name == "shop"
            assert claimed(second).name == "shop-2"
            with pytest.raises(Wrong, match=r"choose another --name"):
                claimed(second, "shop")
            assert {each.name for each in registered()} == {"shop"}
        assert claimed(second).name == "shop"
    assert claimed(tmp_path / "=%/.mezzo").name == "mezzo"
    assert claimed(tmp_path / "data").name == "data"


def test_clusters_that_are_started_at_one_moment_get_names_of_their_own(
    state: Path, tmp_path: Path
) -> None:
    """Long before the first of them is ready."""
    folders = [tmp_path / f"{number}/shop/.mezzo" for number in range(8)]
    together = threading.Barrier(len(folders))

    def start(folder: Path) -> str:
        together.wait(10)
        return claimed(folder).name

    with ExitStack() as running_all, ThreadPoolExecutor(len(folders)) as pool:
        for folder in folders:
            running_all.enter_context(locked(folder))
        names = list(pool.map(start, folders))
        assert sorted(names) == sorted(["shop", *(f"shop-{number}" for number in range(2, 9))])
        assert sorted(each.name for each in registered()) == sorted(names)


def test_a_name_that_is_taken_is_refused_before_anything_starts(
    state: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    args = ("up", "--containerizer=process", "--name=shop", f"--dir={mine}")
    with locked(tmp_path / "theirs"):
        claimed(tmp_path / "theirs", "shop")  # it is not ready, nor published
        result = subprocess.run(cli_command(*args), capture_output=True, text=True, timeout=30)
    assert result.returncode == 2
    assert f"the cluster in {tmp_path}/theirs is called shop: choose another" in result.stderr
    assert [each.name for each in mine.iterdir()] == [LOCK]


def test_a_user_without_a_home_is_found_by_folder_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    (tmp_path / "c").mkdir()
    context, problem = claim(tmp_path / "c", "x", marathon="h:1", gateway="h:1", master="h:1")
    assert problem is not None
    assert "Not a directory" in problem
    publish(context)
    assert (tmp_path / "c/context.json").exists()


def test_a_user_with_a_number_alone_has_no_contexts_and_no_traceback(
    mezzo: Mezzo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in containers: without a name, a home or HOME."""

    def unknown(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    result = mezzo("context", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("no contexts")
    assert mezzo("--context", "shop", "app", "list").exit_code == 2


def test_a_command_in_a_folder_that_was_removed_means_the_chosen_cluster(
    mezzo: Mezzo, tmp_path: Path
) -> None:
    with cluster(tmp_path / "c", "shop"):
        assert mezzo("context", "use", "shop").exit_code == 0
        with removed(tmp_path / "gone"):
            assert "/shop" in mezzo("app", "list").stdout
            assert "shop" in mezzo("context", "list").stdout


@pytest.mark.parametrize(
    "args",
    [("up",), ("up", "--dir", "x"), ("agent", "--work-dir", "x"), ("master", "--whitelist", "x")],
)
def test_a_path_that_begins_in_a_folder_that_was_removed_is_a_usage_error(
    mezzo: Mezzo, tmp_path: Path, args: tuple[str, ...]
) -> None:
    with removed(tmp_path / "gone"):
        result = mezzo(*args)
    assert result.exit_code == 2
    assert "this folder was removed: change to another" in result.stderr


@contextmanager
def removed(folder: Path) -> Iterator[None]:
    """We are in it."""
    before = Path.cwd()
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()
    try:
        yield
    finally:
        os.chdir(before)
