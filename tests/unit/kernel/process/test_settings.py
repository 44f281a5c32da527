"""Configuration files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mezzo.errors import BadConfig
from mezzo.process.log import configure
from mezzo.process.settings import read_config_file


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
