"""The top of the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mezzo import __version__
from mezzo.cli.clients.definitions import read_definition

from .conftest import Mezzo

COMMANDS = (
    *("up", "app", "node", "framework", "task", "offer", "explain", "role", "quota", "weight"),
    "quarantine",
    *("maintenance", "master", "agent", "marathon", "gateway", "relay", "sim"),
)
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.json"))


def test_help_names_every_command_and_the_exit_codes(mezzo: Mezzo) -> None:
    shown = mezzo("--help").stdout
    for name in (*COMMANDS, "version"):
        assert f"\n  {name} " in shown
    assert "3  the cluster could not be reached" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(mezzo: Mezzo, name: str) -> None:
    result = mezzo(name, "--help")
    assert result.exit_code == 0
    assert "Usage: mezzo" in result.stdout


def test_the_version_is_that_of_the_package(mezzo: Mezzo) -> None:
    assert mezzo("version").stdout == f"mezzo {__version__}\n"


def test_an_unknown_command_is_a_usage_error(mezzo: Mezzo) -> None:
    result = mezzo("fly")
    assert result.exit_code == 2
    assert "No such command 'fly'" in result.stderr


@pytest.mark.parametrize("args", [("--", "-0"), ("--", "--context", "x"), ("--", "--", "-0")])
def test_a_command_that_looks_like_an_option_is_a_usage_error(
    mezzo: Mezzo, args: tuple[str, ...]
) -> None:
    result = mezzo(*args)
    assert result.exit_code == 2
    assert "No such" in result.stderr


@pytest.mark.parametrize(
    ("typed", "meant"), [("ofer", "offer"), ("agnt", "agent"), ("contxt", "context"), ("UP", "up")]
)
def test_an_unknown_command_is_told_with_what_may_be_meant(
    mezzo: Mezzo, typed: str, meant: str
) -> None:
    result = mezzo(typed, "list")
    assert result.exit_code == 2
    assert f"No such command '{typed}': did you mean {meant}" in result.stderr


def test_flags_may_be_written_as_mesos_has_them(mezzo: Mezzo) -> None:
    result = mezzo("gateway", "--zk_session_timeout", "never")
    assert "Invalid value for '--zk-session-timeout'" in result.stderr


@pytest.mark.parametrize(
    "command", [(), ("agent",), ("master",), ("marathon",), ("gateway",), ("relay",)]
)
def test_help_loads_nothing_that_is_slow(command: tuple[str, ...]) -> None:
    """It is what people wait for most often; no command's libraries may be loaded for it."""
    assert not _loaded_by(
        "from mezzo.cli.main import cli",
        f"cli({[*command, '--help']}, prog_name='mezzo', standalone_mode=False)",
    ) & {
        "grpc",
        "google",
        "flask",
        "rich",
        "docker",
        "kazoo",
        "structlog",
        "psutil",
    }


@pytest.mark.parametrize("daemon", ["master", "agent", "marathon", "relay"])
def test_a_daemon_loads_no_library_that_only_a_few_of_its_answers_need(daemon: str) -> None:
    """Each costs every machine of a cluster megabytes."""
    shell = "mezzo.relay.process" if daemon == "relay" else f"mezzo.{daemon}.process.shell"
    loaded = _loaded_by(f"import mezzo.cli.daemons.{daemon}, {shell}")
    assert not loaded & {"rich", "docker", "requests", "kazoo"}


def _loaded_by(*statements: str) -> set[str]:
    """The packages that a fresh interpreter has loaded then."""
    script = (
        "import sys, json",
        *statements,
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(script)], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_an_app_definition(file: Path) -> None:
    assert read_definition(file)["id"].startswith("/")


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("{", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"windows": [{}]}', "missing required field `machine_ids` - at `$.windows[0]`"),
        (
            '{"windows": [{"machine_ids": [{"hostname": 7}], "unavailability": '
            '{"start": {"nanoseconds": 1}}}]}',
            "got `int` - at `$.windows[0].machine_ids[0].hostname`",
        ),
    ],
)
def test_what_is_no_schedule_is_told_with_its_place(
    mezzo: Mezzo, schedule: str, problem: str
) -> None:
    result = mezzo("maintenance", "set", "-", stdin=schedule)
    assert result.exit_code == 2
    assert result.stderr.startswith("mezzo: the standard input is no schedule: ")
    assert problem in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [("maintenance", "set"), ("app", "add")])
def test_a_file_that_cannot_be_read_is_a_usage_error(mezzo: Mezzo, command: tuple[str]) -> None:
    result = mezzo(*command, "nowhere.json")
    assert (result.exit_code, result.stderr) == (
        2,
        "mezzo: nowhere.json cannot be read: No such file or directory\n",
    )
