"""Durations and configuration files."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mezzo.cluster.resources import Resources
from mezzo.errors import BadConfig, BadRequest
from mezzo.process.log import configure
from mezzo.process.settings import parse_duration, read_config_file


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15secs", 15),
        ("10mins", 600),
        ("1weeks", 604_800),
        ("2days", 172_800),
        ("1.5hrs", 5400),
        ("250ms", 0.25),
        ("3us", 3e-6),
        ("7ns", 7e-9),
        (" 5 secs ", 5),
        ("5s", 5),
        ("0", 0),
        ("42.5", 42.5),
    ],
)
def test_durations_are_written_as_for_mesos(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "secs", "-1secs", "1fortnight", "1e3", "1.secs", "1 2"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadConfig, match=r"is no duration: write e\.g\. 15secs"):
        parse_duration(text)


def test_a_daemons_own_table_wins_over_the_top_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mezzo.toml"
    file.write_text(
        'zk = "zk://a:1/m"\nwork-dir = "/top"\n[master]\nwork_dir = "/own"\n[agent]\nx = 1'
    )
    assert read_config_file(file, "master") == {"zk": "zk://a:1/m", "work_dir": "/own"}
    assert read_config_file(file, "marathon") == {"zk": "zk://a:1/m", "work_dir": "/top"}


def test_json_is_read_as_well(tmp_path: Path) -> None:
    file = tmp_path / "mezzo.json"
    file.write_text('{"port": 1, "master": {"offer-timeout": "5mins"}}')
    assert read_config_file(file, "master") == {"port": 1, "offer_timeout": "5mins"}


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.toml", "port =", "mend the file"),
        ("a.json", "{", "mend the file"),
        ("a.json", "[1]", "holds no table"),
        ("a.toml", "master = 1", "master must be a table"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(BadConfig, match=complaint) as caught:
        read_config_file(file, "master")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("deep.json", "[" * 100_000, "nested too deeply"),
        ("deep.toml", "a = " + "[" * 100_000, "nested too deeply"),
        ("list.toml", "port = [1]", r"port is \[1\]: write a text"),
        ("date.toml", "port = 2026-11-29", "port is .*: write a text"),
        ("null.json", '{"port": null}', "port is None: write a text"),
        ("nul.toml", 'hostname = "a\\u0000b"', "without NUL"),
        ("table.toml", "[master]\nport = {a = 1}", "port is .*: write a text"),
    ],
)
def test_what_is_no_setting_is_refused_with_what_to_write(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(BadConfig, match=complaint):
        read_config_file(file, "master")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"nothing\.toml: No such file"):
        read_config_file(tmp_path / "nothing.toml", "master")


def test_an_unknown_log_level_is_refused() -> None:
    with pytest.raises(BadConfig, match="log level 'loud' is unknown: use one of debug, info"):
        configure(level="loud")


@pytest.mark.parametrize("read", [parse_duration, Resources.parse])
@pytest.mark.parametrize(
    "text", ["1{}!", "{}1{}!", "1.{}1", "a:{}x\ny", "a{}:{}1 \n!", "a({}):1\n2", "a{}", "a:{}[{}"]
)
@pytest.mark.parametrize("fill", [" ", "1", "(", "a ", "\t\n"])
def test_what_is_wrong_is_refused_in_linear_time(
    read: Callable[[str], object], text: str, fill: str
) -> None:
    begun_s = time.thread_time()
    with contextlib.suppress(BadConfig, BadRequest):
        read(text.replace("{}", fill * 60_000))
    assert time.thread_time() - begun_s < 2  # in quadratic time it takes ten times as long
