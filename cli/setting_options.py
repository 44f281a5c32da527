"""Options with three lower sources: environment, configuration file, default.

A value that is wrong is reported with the place that it came from: flag, variable or file and key.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from mezzo.errors import BadConfig
from mezzo.guess import near
from mezzo.process.settings import parse_duration, read_config_file
from mezzo.units import INT32_MAX, PORT_MAX, Finite, HostName, problem, shown

from .words.failures import Wrong
from .words.output import is_text

if TYPE_CHECKING:
    from mezzo.cluster.model import FaultDomain

F = TypeVar("F", bound=Callable[..., Any])

_FILE: Final = "mezzo.config_file"  # key in ctx.meta: the path of --config


class Setting(click.Option):
    """An option that also reads MEZZO_<COMMAND>_<NAME> and MEZZO_<NAME>."""

    @property
    def key(self) -> str:
        """Its name in files and in `mezzo up --set`: gc-delay."""
        return self.opts[0].lstrip("-")

    def variables(self, command: click.Command) -> tuple[str, ...]:
        name = self.key.replace("-", "_").upper()
        return f"MEZZO_{(command.name or '').upper()}_{name}", f"MEZZO_{name}"

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        variable = self.variable(ctx)
        if variable is None:
            return None
        if not is_text(os.environ[variable]):
            raise Wrong(f"{variable} (environment) is no text in UTF-8: set it anew")
        return os.environ[variable]

    def get_error_hint(self, ctx: click.Context | None) -> str:
        if ctx is not None and self.name is not None:
            source = ctx.get_parameter_source(self.name)
            if source is ParameterSource.ENVIRONMENT:
                return f"{self.variable(ctx)} (environment)"
            if source is ParameterSource.DEFAULT_MAP:
                return f"{self.name} (in {ctx.meta.get(_FILE)})"
        return super().get_error_hint(ctx)

    def variable(self, ctx: click.Context) -> str | None:
        """The one that counts of those that are set."""
        return next((name for name in self.variables(ctx.command) if os.environ.get(name)), None)


def setting(*names: str, **attributes: Any) -> Callable[[F], F]:  # noqa: ANN401 - as click.option
    """As `click.option`, with the sources of `Setting`; defaults are shown."""
    given: dict[str, Any] = {"cls": Setting, "show_default": True}
    return click.option(*names, **(given | attributes))


def duration(text: str) -> float:
    """Option type: seconds, from Mesos' form: 15secs, 10mins, 1weeks, or a bare number."""
    try:
        return parse_duration(str(text))
    except BadConfig as error:
        raise click.BadParameter(str(error)) from error


def fraction(text: str) -> float:
    """Option type: from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise click.BadParameter(f"{text!r} is no part of a whole: write a number from 0 to 1")
    return value


def percentage(text: str) -> float:
    """Option type: 55% is 0.55."""
    number, sign, rest = text.strip().partition("%")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not sign or rest or not 0 <= value <= 100:
        raise click.BadParameter(f"{text!r} is no percentage: write 0% to 100%")
    return value / 100


def rate(text: str) -> float:
    """Option type: how many seconds apart, from Mesos' form: 1/20mins is 1200."""
    found = _RATE.fullmatch(text)
    if found is None or int(found[1]) < 1:
        raise click.BadParameter(f"{text!r} is no rate: write count/duration, as 1/20mins")
    return duration(found[2]) / int(found[1])


def names(text: str) -> tuple[str, ...]:
    """Option type: words between commas."""
    return tuple(filter(None, (part.strip() for part in str(text).split(","))))


def own_ip(text: str) -> str:
    """Option type: an address of this machine, and no name."""
    try:
        ip_address(text)
    except ValueError:
        raise click.BadParameter(
            f"{shown(text)} is no IP address: give one of this machine, or 0.0.0.0 for all"
        ) from None
    return text


def allowed_hosts(text: str) -> tuple[str, ...]:
    """Option type: hosts between commas, IPv6 with brackets or without; or *."""
    found = names(text)
    for name in found:
        why = problem(HostName, name.removeprefix("[").removesuffix("]"))
        if why is not None and name != "*":
            raise click.BadParameter(f"{shown(name)} {why}, or be * for any")
    return found


def quantity_sets(text: str) -> tuple[dict[str, int], ...]:
    """Option type, as Mesos' `--min_allocatable_resources`: sets of amounts between bars, in
    thousandths by name. Empty: none."""
    from mezzo.cluster.resources import Resources
    from mezzo.errors import BadRequest

    try:
        parts = [Resources.parse(part) for part in str(text).split("|") if part.strip()]
    except BadRequest as error:
        raise click.BadParameter(str(error)) from error
    return tuple(part.quantities() for part in parts)


def fault_domain(text: str) -> FaultDomain:
    """Option type: region/zone, or Mesos' JSON form of it."""
    from mezzo.cluster.model import FaultDomain

    region, _, zone = str(text).partition("/")
    if str(text).lstrip().startswith("{"):
        try:
            fault = json.loads(text)["fault_domain"]
            region, zone = fault["region"]["name"], fault["zone"]["name"]
        except (ValueError, LookupError, TypeError):
            region = zone = ""
    if not (isinstance(region, str) and isinstance(zone, str) and region and zone):
        raise click.BadParameter(f"{text!r} is no domain: write region/zone")
    return FaultDomain(region, zone)


def port_range(text: str) -> tuple[int, int]:
    """Option type: 31000-32000, both included."""
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text.strip())
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= last <= PORT_MAX:
        raise click.BadParameter(f"{text!r} is no range of ports: write e.g. 31000-32000")
    return first, last


def address(text: str) -> str:
    """Option type: where the leading master is. What is wrong is told without its password."""
    from mezzo.election.detector import detector_for

    if text.startswith("zk://"):
        return zookeeper(text)
    try:
        detector_for(text)  # it does nothing before it is started
    except BadConfig as error:
        raise click.BadParameter(str(error)) from error
    return text


def url(text: str) -> str:
    """Option type: `http://host:port` or `host:port`; no slash at its end."""
    full = text.rstrip("/") if "://" in text else f"http://{text.rstrip('/')}"
    try:
        parts = urlsplit(full)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        fits = fits and full.isascii() and full.isprintable() and " " not in full
    except ValueError:
        fits = False
    if not fits:
        raise click.BadParameter(f"{text!r} is no address: write http://host:port")
    return full


def host_name(text: str) -> str:
    """Option type: what others reach this machine by."""
    if (why := problem(HostName, text)) is not None:
        raise click.BadParameter(f"{shown(text)} {why}")
    return text


def zookeeper(text: str) -> str:
    """Option type: zk://[user:password@]host:port,host:port/path."""
    from mezzo.zk.address import parse_zk_address

    try:
        parse_zk_address(text)
    except BadConfig as error:
        raise click.BadParameter(str(error)) from error
    return text


class Whole(click.IntRange):
    """Option type: a whole number."""

    name = "integer"  # click's, "integer range", is what no text "is not a valid" one of


def count(least: int = 0, most: int = INT32_MAX) -> Whole:
    """Option type: a whole number that every hop can carry."""
    return Whole(least, most)


class Number(click.FloatRange):
    """Option type: a finite number, which nan and infinity are not."""

    name = "number"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if (why := problem(Finite, number)) is not None:
            self.fail(f"{value} {why}", param, ctx)
        return number


class Command(click.Command):
    """One whose arguments are numbers: -1 is then a wrong number and no unknown option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for text in args:
            if _NEGATIVE.fullmatch(text):
                raise click.BadParameter(f"no number here can be negative, and {text} is", ctx)
        return super().parse_args(ctx, args)


_NEGATIVE: Final = re.compile(r"-[0-9.].*|-inf.*", re.IGNORECASE)
_RATE: Final = re.compile(r"\s*([0-9]{1,9})\s*/(.*)")
PORT: Final = Whole(1, PORT_MAX)
LOG_LEVEL: Final = click.Choice(["debug", "info", "warning", "error"])  # as process/log.py has them

master_option = setting(
    "--master",
    type=address,
    default="127.0.0.1:5055",
    help="Where the leading master is: host:port, zk://host:port,host:port/path or "
    "solo:/path/of/lock.",
)
http_allowed_hosts_option = setting(
    "--http-allowed-hosts",
    type=allowed_hosts,
    default="",
    show_default=False,
    help="More names that its HTTP is asked by, between commas, e.g. of a balancer in front; * is "
    "any. This machine's own names and addresses are known.",
)
ip_option = setting("--ip", type=own_ip, default="127.0.0.1", help="Address to listen on.")
zk_session_timeout_option = setting(
    "--zk-session-timeout", type=duration, default="10secs", help="ZooKeeper session."
)


def daemon_options(function: F) -> F:
    """What every daemon has: where its settings and its logs go."""
    for option in reversed(
        [
            setting(
                "--config",
                type=click.Path(path_type=Path),
                is_eager=True,
                expose_value=False,
                callback=_read_file,
                help="TOML or JSON file: settings at its top or in a table named as the command.",
            ),
            setting(
                "--log-level",
                type=LOG_LEVEL,
                default="info",
                help="The least level that is logged.",
            ),
            setting("--log-json", is_flag=True, help="Log JSON lines instead of text."),
        ]
    ):
        function = option(function)
    return function


def _read_file(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    command = ctx.command
    try:
        values = read_config_file(path, command.name or "")
    except BadConfig as error:
        raise Wrong(str(error)) from error
    known = _names(command)
    # One file may serve all daemons, with keys at its top that not all of them have.
    for key in sorted(values.keys() - known):
        if not any(key in _names(other) for other in daemons_beside(ctx)):
            raise Wrong(
                f"--config {path}: {key} is not a setting of mezzo {command.name}: remove it"
            )
    ctx.meta[_FILE] = path
    ctx.default_map = {key: value for key, value in values.items() if key in known}


def _names(command: click.Command) -> frozenset[str]:
    return frozenset(p.name for p in command.params if isinstance(p, Setting) and p.name)


def daemons_beside(ctx: click.Context) -> Sequence[click.Command]:
    """All daemons that this command line can run; none if this is not one of its commands."""
    parent = ctx.parent
    if parent is None or not isinstance(parent.command, click.Group):
        return ()
    found = (parent.command.get_command(parent, name) for name in DAEMONS)
    return [command for command in found if command is not None]


DAEMONS: Final = ("master", "agent", "marathon", "gateway", "relay")


def settings_of(command: click.Command) -> list[Setting]:
    return [param for param in command.params if isinstance(param, Setting)]


def mistyped(environment: Mapping[str, str], commands: Iterable[click.Command]) -> Iterator[str]:
    """A sentence for each variable that is addressed to a daemon and is no setting of these."""
    known = {
        name
        for command in commands
        for option in settings_of(command)
        for name in option.variables(command)
    }
    prefixes = tuple(f"MEZZO_{daemon.upper()}_" for daemon in DAEMONS)
    for name in sorted(environment.keys() - known):
        if name.startswith(prefixes):
            yield f"{name} is no setting{near(name, known)}"
