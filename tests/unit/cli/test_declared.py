"""A field with a Flag is a setting: from the command line, the environment, a file, or its default.

The daemon here has options and a core's config of its own, and nothing else is written for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, NamedTuple

import click
import pytest
from click.testing import CliRunner, Result

from mezzo.cli.daemons.declared import daemon
from mezzo.flags import (
    DURATION,
    FOLDER,
    HAS_FLAGS,
    NAMES,
    PERCENTAGE,
    PORT,
    RATE,
    SWITCH,
    Choice,
    Flag,
    FlagsOf,
    Number,
    Switch,
    Whole,
    or_off,
)
from mezzo.process.settings import MASTER, ZOOKEEPER, Master, ZkSessionTimeout
from mezzo.record import Record


class Part(NamedTuple):
    patience_s: Annotated[
        float | None, Flag("How long.", or_off(DURATION), name="offer-patience")
    ] = 1.0


class Config(Record):
    """A core's."""

    node: str  # known only when it starts
    gc_delay_s: Annotated[float, Flag("How long they are kept.", DURATION)] = 604800.0
    headroom: Annotated[float, Flag("What is kept free.", Number(0, 1))] = 0.1
    part: Annotated[Part, HAS_FLAGS] = Part()
    roles: Annotated[tuple[str, ...] | None, Flag("Which.", or_off(NAMES), unset="all")] = None
    step_bytes: int = 7  # no setting


@dataclass(frozen=True)
class Options:
    """The process'."""

    master: Master = MASTER
    port: Annotated[int, Flag("Where it listens.", PORT)] = 1
    spare_port: Annotated[int | None, Flag("0: none.", or_off(Whole(0, 9)))] = 2
    zk: Annotated[str | None, Flag("Where it is stored.", ZOOKEEPER)] = None
    rate_s: Annotated[float | None, Flag("How often.", RATE, unset="no limit")] = None
    share: Annotated[float, Flag("How much.", PERCENTAGE)] = 1.0
    work_dir: Annotated[Path, Flag("Where.", FOLDER)] = Path("/tmp")
    pace: Annotated[str, Flag("How.", Choice(("fast", "slow")))] = "fast"
    tidy: Annotated[bool, Flag("Whether.", SWITCH)] = True
    eager: Annotated[bool, Flag("Whether.", Switch(pair=False))] = False
    note: Annotated[str | None, Flag("Any text.", unset="none")] = None
    core: FlagsOf[Config] = FlagsOf(Config)
    zk_session_timeout_s: ZkSessionTimeout = 10.0
    streams_max: int = 8  # no setting


@daemon("gateway", Options, click.Command)
def gateway(options: Options) -> None:
    """Run something."""
    core = options.core.completed(node="n1")
    params = click.get_current_context().params
    click.echo(f"{options.port} {core.gc_delay_s:g} {params['log_level']} {params['log_json']}")
    click.echo(repr(replace(options, core=FlagsOf(Config))))
    click.echo(repr(core))


def run(*args: str, **env: str) -> Result:
    return CliRunner().invoke(gateway, args, env=env)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mezzo.toml"


def test_what_nobody_sets_has_the_default_of_its_field() -> None:
    assert run().stdout.splitlines()[1:] == [repr(Options()), repr(Config("n1"))]


def test_flags_win_over_environment_over_file_over_default(file: Path) -> None:
    def first(*args: str, **env: str) -> str:
        return run(*args, **env).stdout.splitlines()[0]

    file.write_text(
        'port = 2\nlog-level = "debug"\ngc_delay = "1days"\n[gateway]\nport = 3\nlog_json = true\n'
    )
    config = ("--config", str(file))
    assert first() == "1 604800 info False"
    assert first(*config) == "3 86400 debug True"
    assert first(*config, MEZZO_PORT="4", MEZZO_GC_DELAY="60") == "4 60 debug True"
    assert first(*config, MEZZO_PORT="4", MEZZO_GATEWAY_PORT="5") == "5 86400 debug True"
    assert first(*config, "--port", "6", MEZZO_GATEWAY_PORT="5") == "6 86400 debug True"
    assert first(*config, "--gc-delay=2hrs", MEZZO_GC_DELAY="60") == "3 7200 debug True"


@pytest.mark.parametrize(
    ("arg", "field"),
    [
        ("--offer-patience=0", "patience_s=None"),
        ("--offer-patience=1mins", "patience_s=60.0"),
        ("--spare-port=0", "spare_port=None"),
        ("--spare-port=3", "spare_port=3"),
        ("--roles=", "roles=None"),
        ("--roles=a,b", "roles=('a', 'b')"),
        ("--headroom=0", "headroom=0.0"),
        ("--no-tidy", "tidy=False"),
        ("--eager", "eager=True"),
        ("--work-dir=/x/../y", f"work_dir={Path('/y')!r}"),
        ("--pace=slow", "pace='slow'"),
        ("--note=", "note=''"),
    ],
)
def test_each_kind_of_value_reaches_its_field(arg: str, field: str) -> None:
    assert field in run(arg).stdout


def test_the_file_itself_can_be_named_by_the_environment(file: Path) -> None:
    file.write_text("port = 2")
    assert run(MEZZO_CONFIG=str(file)).stdout.startswith("2 ")


@pytest.mark.parametrize(
    ("key", "wrong", "sentence"),
    [
        ("port", "0", "0 is not in the range 1<=x<=65535."),
        ("port", "x", "'x' is not a valid integer."),
        ("headroom", "2", "2.0 is not in the range 0<=x<=1."),
        ("gc-delay", "soon", "'soon' is no duration: write e.g. 15secs, 10mins, 1weeks"),
        ("offer-patience", "-1secs", "'-1secs' is no duration: write e.g. 15secs, 10mins, 1weeks"),
        ("pace", "lame", "'lame' is not one of 'fast', 'slow'."),
        ("tidy", "maybe", "'maybe' is not a valid boolean"),
        ("master", "nowhere", "'nowhere' has no port from 1 to 65535: write host:port"),
        ("work-dir", "/etc/passwd", "Directory '/etc/passwd' is a file."),
    ],
)
def test_a_wrong_value_names_where_it_came_from(
    file: Path, key: str, wrong: str, sentence: str
) -> None:
    file.write_text(f'{key} = "{wrong}"')
    name = key.upper().replace("-", "_")
    places = [
        (run(**{f"MEZZO_{name}": wrong}), f"MEZZO_{name} (environment)"),
        (run(**{f"MEZZO_GATEWAY_{name}": wrong}), f"MEZZO_GATEWAY_{name} (environment)"),
        (run("--config", str(file)), f"{key.replace('-', '_')} (in {file})"),
    ]
    if key != "tidy":
        places.append((run(f"--{key}", wrong), f"'--{key}'"))
    for result, place in places:
        assert result.exit_code == 2
        assert f"Invalid value for {place}: {sentence}" in result.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("prot = 2", "prot is not a setting of mezzo gateway"),
        ("step_bytes = 2", "step_bytes is not a setting of mezzo gateway"),
        ("streams_max = 2", "streams_max is not a setting of mezzo gateway"),
        ("port = ", "mend the file"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    result = run("--config", str(file))
    assert result.exit_code == 2
    assert problem in result.stderr
    assert str(file) in result.stderr


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("share = 5", "'5' is no percentage"),
        ("rate = 5", "'5' is no rate"),
        ("zk = 5", "this is not a ZooKeeper address"),
        ("gc_delay = true", "'True' is no duration"),
    ],
)
def test_a_number_in_a_file_is_read_as_its_text(file: Path, line: str, sentence: str) -> None:
    file.write_text(line)
    result = run("--config", str(file))
    assert result.exit_code == 2
    assert f"Invalid value for {line.split()[0]} (in {file}): {sentence}" in result.stderr


def test_a_file_that_is_not_there_is_refused() -> None:
    result = run("--config", "/nowhere/mezzo.toml")
    assert result.exit_code == 2
    assert "/nowhere/mezzo.toml" in result.stderr


def test_the_help_is_made_of_what_is_declared() -> None:
    words = " ".join(run("--help").stdout.split())
    for part in (
        "Run something.",
        "--gc-delay DURATION How long they are kept. [default: 1weeks]",
        "--offer-patience DURATION How long. [default: 1secs]",
        "--headroom NUMBER What is kept free. [default: 0.1; 0<=x<=1]",
        "--rate RATE How often. [default: no limit]",
        "--share PERCENTAGE How much. [default: 100%]",
        "--roles NAMES Which. [default: all]",
        "--port INTEGER Where it listens. [default: 1; 1<=x<=65535]",
        "--pace [fast|slow] How. [default: fast]",
        "--tidy / --no-tidy Whether. [default: tidy]",
        "--eager Whether. --note TEXT Any text. [default: none]",
        "--work-dir DIRECTORY Where. [default: /tmp]",
    ):
        assert part in words
    assert "step" not in words
