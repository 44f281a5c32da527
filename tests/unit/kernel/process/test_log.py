"""A log line never raises, never waits and never hides another: on real files and pipes."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
import structlog
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mezzo.process import log
from mezzo.process.log_output import LogOutput


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    config, root = structlog.get_config(), logging.getLogger()
    handlers, raises = list(root.handlers), logging.raiseExceptions
    yield
    structlog.configure(**config)
    root.handlers[:], logging.raiseExceptions = handlers, raises


class Pipe:
    """A pipe whose reader is the test. `stream` is what a log is told to write to."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        self.stream: TextIO = os.fdopen(writer, "w")

    def read(self) -> str:
        data = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._reader, 1 << 20):
                data += part
        return data.decode()

    def hang_up(self) -> None:
        os.close(self._reader)


def test_a_reader_that_hangs_stops_nobody_and_is_told_what_it_missed() -> None:
    pipe = Pipe()
    out = LogOutput(pipe.stream)
    lines = 30_000
    for number in range(lines):  # 3 MB: more than a pipe and the backlog hold
        out.line(f"{number:099}")
    assert os.get_blocking(pipe.stream.fileno()), "who else has this pipe still waits if he wants"
    read = pipe.read()
    while True:  # the reader goes on
        out.flush()
        part = pipe.read()
        if not part:
            break
        read += part
    out.line("again")
    read += pipe.read()
    *told, notice, last = read.splitlines()
    assert last == "again"
    assert [int(line) for line in told] == list(range(len(told))), "in order and whole"
    assert len(told) > 10_000
    count = lines - len(told)
    assert notice == f"log.lines_missing count={count} why=its reader does not read"


def test_a_pipe_that_may_not_be_opened_anew_is_asked_before_each_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a change of user, say."""
    opened = os.open

    def refuse(path: str, *args: Any, **kwargs: Any) -> int:
        if str(path).startswith("/proc/self/fd"):
            raise PermissionError(path)
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    pipe = Pipe()
    out = LogOutput(pipe.stream)
    for number in range(20_000):
        out.line(f"{number:099}")
    assert pipe.read().startswith(f"{0:099}\n{1:099}\n")


def test_a_reader_that_is_gone_stops_nobody() -> None:
    pipe = Pipe()
    out = LogOutput(pipe.stream)
    pipe.hang_up()
    for _ in range(20_000):
        out.line("x" * 99)
    out.flush()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here: only Linux has it")
def test_a_full_disk_stops_nobody_and_lines_come_out_once_there_is_room(tmp_path: Path) -> None:
    """By the limit of a file's size, which is as good as a full disk; and on /dev/full."""
    with open("/dev/full", "w") as full:
        LogOutput(full).line("lost")
    path = tmp_path / "log"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with path.open("a") as stream:
        out = LogOutput(stream)
        resource.setrlimit(resource.RLIMIT_FSIZE, (250, before[1]))
        try:
            for number in range(10):
                out.line(f"{number:049}")
            assert path.stat().st_size == 250
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        out.line("again")
    assert path.read_text().splitlines() == [f"{n:049}" for n in range(10)] + ["again"]


def test_a_log_never_writes_into_what_has_got_its_number() -> None:
    script = """
import os, sys
from mezzo.process import log
log.configure()
os.close(2)
with open(sys.argv[1], "w") as other:
    assert other.fileno() == 2
    log.get_logger("x").info("said")
"""
    _run_without(script, closed=())


@pytest.mark.parametrize("closed", [(2,), (0, 1, 2)])
def test_a_daemon_whose_standard_streams_are_closed_writes_into_no_other_file(
    closed: tuple[int, ...], tmp_path: Path
) -> None:
    script = """
import sys
from mezzo.process import log
log.configure()
with open(sys.argv[1], "wb", buffering=0) as other:
    assert other.fileno() > 2, other.fileno()
    log.get_logger("x").info("said")
    print("printed", file=sys.stderr)
    import logging
    logging.getLogger("docker").error("said")
"""
    _run_without(script, closed=closed)


def _run_without(script: str, *, closed: tuple[int, ...]) -> None:
    """A shell closes them: to run Python between fork and exec is no use where gRPC has threads."""
    import tempfile

    closing = " ".join(f"{number}>&-" for number in closed)
    with tempfile.NamedTemporaryFile() as other:
        command = ["sh", "-c", f'exec "$@" {closing}', "sh", sys.executable, "-c", script]
        assert subprocess.run([*command, other.name]).returncode == 0
        assert other.read() == b""


# ---- lines


class Bug(Exception):
    pass


class BadRepr:
    def __init__(self, error: type[BaseException] = Bug) -> None:
        self._error = error

    def __repr__(self) -> str:
        raise self._error("no")

    __str__ = __repr__


def said(tell: Callable[[Any], None], *, as_json: bool) -> str:
    stream = io.StringIO()
    log.configure(level="info", json=as_json, stream=stream)
    tell(log.get_logger("test"))
    return stream.getvalue()


BOTH = pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])


@BOTH
def test_a_value_whose_repr_raises_costs_only_its_own_place(as_json: bool) -> None:
    text = said(
        lambda to: to.info("it.is", bad=BadRepr(), deep=[BadRepr()], good=7), as_json=as_json
    )
    assert "it.is" in text
    assert "7" in text
    assert "BadRepr, whose repr raises Bug" in text


@BOTH
@pytest.mark.parametrize("key", ["event", "self", "method_name", "name", "level", "exc_info"])
def test_a_key_that_means_something_else_is_no_error(key: str, as_json: bool) -> None:
    text = said(lambda to: to.warning("it.is", **{key: "what was meant"}), as_json=as_json)
    assert text


@BOTH
def test_no_value_can_fake_a_line(as_json: bool) -> None:
    name = "x\n2026-01-01T00:00:00Z [info] framework.removed\x1b[2K\r"
    text = said(lambda to: to.info("task.launched", task=name, group=[name]), as_json=as_json)
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert "\r" not in text


def test_a_traceback_keeps_its_lines() -> None:
    def tell(to: Any) -> None:
        try:
            raise Bug("the cause")
        except Bug as error:
            to.error("it.failed", exc_info=error)

    assert "Bug: the cause\n" in said(tell, as_json=False)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())  # lone surrogates as well
    | st.binary()
    | st.builds(BadRepr)
    | st.builds(BadRepr, st.just(RecursionError)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


KEYS = st.text("abcdefgh_", min_size=1) | st.sampled_from(["event", "level", "stack", "exception"])
QUICK = settings(max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])


@BOTH
@QUICK
@given(facts=st.dictionaries(KEYS, VALUES, max_size=4))
def test_whatever_is_said_is_one_line(as_json: bool, facts: dict[str, Any]) -> None:
    (line,) = said(lambda to: to.info("it.is", **facts), as_json=as_json).split("\n")[:-1]
    assert "it.is" in line
    if as_json:
        assert isinstance(json.loads(line), dict)


@BOTH
def test_what_libraries_log_goes_the_same_way(as_json: bool) -> None:
    pipe = Pipe()
    logging.getLogger().handlers.clear()
    log.configure(json=as_json, stream=pipe.stream)
    logging.getLogger("docker").error("%s and %s", "too few")
    for _ in range(20_000):
        logging.getLogger("docker").error("x" * 99)
    assert "x" * 99 in pipe.read()


def test_what_is_below_the_level_is_not_even_looked_at() -> None:
    stream = io.StringIO()
    log.configure(level="warning", stream=stream)
    log.get_logger("test").info("it.is", bad=BadRepr())
    log.get_logger("test").debug("it.is", bad=BadRepr())
    assert stream.getvalue() == ""


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    log.flush()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_of_lines_that_peers_cause_only_some_are_told_and_the_rest_is_counted() -> None:
    now_s = 0.0
    stream = io.StringIO()
    log.configure(json=True, stream=stream)
    sparing = log.Sparing(log.get_logger("master"), lambda: now_s)
    for number in range(log.SPARING_MOST + 40):
        sparing.warning("message.denied", number=number)
    told = lines_of(stream)
    assert [line["number"] for line in told] == list(range(log.SPARING_MOST))
    sparing.error("message.unsent")
    assert lines_of(stream)[-1]["event"] == "message.unsent"  # another event has its own lines
    now_s = log.SPARING_EACH_S
    sparing.warning("message.denied")
    sparing.warning("message.denied")
    first, second = lines_of(stream)[-2:]
    assert first["lines_left_out"] == 40
    assert "lines_left_out" not in second


def test_who_tells_errors_itself_has_no_log_between() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    log.silence()
    structlog.get_logger(component="cli").error("x", event_="y", exception=object(), level=7)
    log.flush()
    assert stream.getvalue() == ""
