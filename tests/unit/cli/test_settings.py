"""What the settings of each daemon may be."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mezzo import __version__
from mezzo.cli.daemons.common import reachable_name
from mezzo.cli.main import cli
from mezzo.cli.option_types import Number
from mezzo.cli.words.errors import Wrong
from mezzo.flags import HOST_NAME
from mezzo.process.daemon import cli_command

from .conftest import Mezzo


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(group, click.Group):
        yield path
        return
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        assert found is not None
        yield from commands(found, (*path, name))


def command_at(path: tuple[str, ...]) -> click.Command:
    found: click.Command = cli
    for name in path:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name) or found
    return found


@pytest.mark.parametrize("path", sorted(commands(cli)), ids=" ".join)
def test_every_number_has_bounds(path: tuple[str, ...]) -> None:
    for param in command_at(path).params:
        kind = param.type
        if isinstance(kind, click.IntRange):
            assert kind.min is not None, param
            assert kind.max is not None, param
        elif not (isinstance(param, click.Option) and param.is_flag):
            assert kind not in (click.INT, click.FLOAT), param
            assert not isinstance(kind, click.FloatRange) or isinstance(kind, Number), param


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e9", "-inf", "x"])
def test_a_weight_is_a_number(mezzo: Mezzo, text: str) -> None:
    result = mezzo("weight", "set", "eng", text)
    assert result.exit_code == 2
    assert text.removesuffix("1e9") in result.stderr


@pytest.mark.parametrize("text", ["-1", "1e30", "9" * 30, "2147483648", "nan", "1.5", ""])
def test_instances_are_a_count(mezzo: Mezzo, text: str) -> None:
    result = mezzo("app", "scale", "/x", text)
    assert result.exit_code == 2
    assert "No such option" not in result.stderr
    assert text in result.stderr


@pytest.mark.parametrize("text", ["9" * 400, "16000weeks", "9223372037secs", "-1secs", "²secs"])
def test_a_duration_fits_the_wire(mezzo: Mezzo, text: str) -> None:
    for args in (
        ("app", "scale", "/x", "1", f"--timeout={text}"),
        ("up", f"--timeout={text}"),
        ("maintenance", "plan", "h", f"--in={text}"),
        ("master", f"--agent-removal-rate-limit=1/{text}"),
        ("agent", f"--gc-delay={text}"),
    ):
        result = mezzo(*args)
        assert result.exit_code == 2
        assert "Traceback" not in result.stderr
        assert len(result.stderr) < 400


@pytest.mark.parametrize("text", ["0/1secs", f"{'9' * 5000}/1secs", "²/1secs", "1/", "/"])
def test_what_is_no_rate_is_refused(mezzo: Mezzo, text: str) -> None:
    assert mezzo("master", "--agent-removal-rate-limit", text).exit_code == 2


@pytest.mark.parametrize("text", ["0", "70000", "-1", "1e3", "x"])
def test_a_port_is_one(mezzo: Mezzo, text: str) -> None:
    for args in (("up", "--marathon-port"), ("agent", "--port"), ("gateway", "--port")):
        result = mezzo(*args, text)
        assert result.exit_code == 2
        assert text in result.stderr


@pytest.mark.parametrize("command", ["agent", "gateway", "marathon", "relay"])
@pytest.mark.parametrize("wrong", ["", "nowhere", "zk:/x", "zk://zk1:2181", "solo:lock"])
def test_no_daemon_starts_with_a_master_that_is_no_address(
    mezzo: Mezzo, command: str, wrong: str
) -> None:
    result = mezzo(command, "--master", wrong)
    assert result.exit_code == 2
    assert "Invalid value for '--master'" in result.stderr


@pytest.mark.parametrize("command", ["master", "marathon"])
def test_no_daemon_starts_with_a_zookeeper_that_is_none(mezzo: Mezzo, command: str) -> None:
    result = mezzo(command, "--zk", "zk1:2181/mezzo")
    assert result.exit_code == 2
    assert "Invalid value for '--zk'" in result.stderr


@pytest.mark.parametrize(
    "wrong", ["zk//who:secret@zk1:2181/mezzo", "zk://who:secret@zk1:port/mezzo", "who:secret@zk1:1"]
)
def test_a_wrong_address_is_told_without_its_password(mezzo: Mezzo, wrong: str) -> None:
    result = mezzo("agent", "list", "--master", wrong)
    assert result.exit_code == 2
    assert "secret" not in result.stderr
    assert "zk://[user:password@]" in result.stderr


@pytest.mark.parametrize("wrong", ["x", "h:1,h:2", "h:0"])
def test_a_relay_listens_at_one_address(mezzo: Mezzo, wrong: str) -> None:
    result = mezzo("relay", env={"MEZZO_LISTEN": wrong})
    assert result.exit_code == 2
    assert f"MEZZO_LISTEN (environment): '{wrong}'" in result.stderr


def test_an_option_before_a_subcommand_is_not_overlooked(mezzo: Mezzo) -> None:
    result = mezzo("agent", "--master", "127.0.0.1:1", "list")
    assert (result.exit_code, result.stderr) == (
        2,
        "mezzo: --master stands before list: write mezzo agent list --master\n",
    )


@pytest.mark.parametrize("command", ["agent", "master", "marathon"])
def test_a_folder_that_cannot_be_made_is_a_usage_error(
    mezzo: Mezzo, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "folder"
    result = mezzo(command, "--work-dir", str(folder))
    assert result.exit_code == 2
    assert result.stderr == (
        f"mezzo: {folder} cannot be written (Not a directory): choose another with --work-dir\n"
    )


@pytest.mark.parametrize("command", ["agent", "master", "marathon"])
@pytest.mark.parametrize("wrong", ["", "a/b", "a b", "\x1b[2J", "http://h", "h\n", "ä", "h" * 254])
def test_what_can_be_no_hostname_is_a_usage_error(
    mezzo: Mezzo, tmp_path: Path, command: str, wrong: str
) -> None:
    (tmp_path / "file").touch()  # a daemon that got further would fail there
    result = mezzo(command, "--hostname", wrong, "--work-dir", str(tmp_path / "file/w"))
    assert result.exit_code == 2
    assert "Invalid value for '--hostname'" in result.stderr


@pytest.mark.parametrize("command", ["agent", "master", "marathon", "gateway"])
@pytest.mark.parametrize(
    "wrong", ["", "nonsense", "localhost", "10.0.0", "1.2.3.4:80", "0.0.0.0/0"]
)
def test_what_is_no_address_to_listen_on_is_a_usage_error(
    mezzo: Mezzo, tmp_path: Path, command: str, wrong: str
) -> None:
    (tmp_path / "file").touch()  # a daemon that got further would fail there
    rest = () if command == "gateway" else ("--work-dir", str(tmp_path / "file/w"))
    result = mezzo(command, "--ip", wrong, *rest)
    assert result.exit_code == 2
    assert "Invalid value for '--ip'" in result.stderr
    assert "is no IP address: give one of this machine" in result.stderr


def test_a_wrong_address_in_the_environment_is_told_where(mezzo: Mezzo) -> None:
    result = mezzo("gateway", env={"MEZZO_IP": "nonsense"})
    assert result.exit_code == 2
    assert "MEZZO_IP (environment): 'nonsense' is no IP address" in result.stderr
    result = mezzo("agent", "--docker-publish-ip", "nonsense")
    assert result.exit_code == 2
    assert "Invalid value for '--docker-publish-ip': 'nonsense' is no IP address" in result.stderr


@pytest.mark.parametrize("wrong", ["a b", "http://h", "h,*.h", "h/", "<i>"])
def test_a_host_that_no_request_can_name_is_a_usage_error(mezzo: Mezzo, wrong: str) -> None:
    for command in ("agent", "master", "marathon", "gateway"):
        result = mezzo(command, "--http-allowed-hosts", wrong)
        assert result.exit_code == 2
        assert "Invalid value for '--http-allowed-hosts'" in result.stderr


def test_service_ports_are_a_range(mezzo: Mezzo, tmp_path: Path) -> None:
    args = ("--work-dir", str(tmp_path), "--local-port-min", "20001")
    result = mezzo("marathon", *args)
    assert result.exit_code == 2
    assert "--local-port-min 20001 is more than --local-port-max 20000" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("app", "scale", "/x", "four"),
        ("up", "--agents", "four"),
        ("agent", "--output-max-mib", "four"),
    ],
)
def test_what_is_no_number_is_told_as_such(mezzo: Mezzo, args: tuple[str, ...]) -> None:
    result = mezzo(*args)
    assert result.exit_code == 2
    assert "'four' is not a valid integer." in result.stderr


@pytest.mark.parametrize("good", ["h", "node-1.rack_2.example", "10.0.0.1", "::1", "h" * 253])
def test_names_and_addresses_are_hostnames(good: str) -> None:
    assert HOST_NAME.parse(good) == reachable_name(good, "0.0.0.0") == good


def test_a_machine_whose_own_name_is_none_needs_another() -> None:
    assert reachable_name(None, "10.0.0.1") == "10.0.0.1"
    with pytest.raises(Wrong, match=r"calls itself 'fe80::1%lo', which must .* give --hostname"):
        reachable_name(None, "fe80::1%lo")


def test_a_lock_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    """It is another user's, say, or the disk is full."""
    (tmp_path / "agent.lock").mkdir()
    args = ("agent", "--work-dir", str(tmp_path), "--containerizers", "process")
    ended = subprocess.run(cli_command(*args), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert f"{tmp_path}/agent.lock can't be written (Is a directory)" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("args", [("--version",), ("version",)])
def test_the_version_is_that_of_the_package(mezzo: Mezzo, args: tuple[str, ...]) -> None:
    result = mezzo(*args)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"mezzo {__version__}\n", "")
