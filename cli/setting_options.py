"""Options with three lower sources: environment, configuration file, default.

A value that is wrong is reported with the place that it came from: flag, variable or file and key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from mezzo.errors import BadConfig
from mezzo.guess import near
from mezzo.process.settings import read_config_file

from .option_types import LOG_LEVEL
from .words.errors import Wrong
from .words.output import is_text

F = TypeVar("F", bound=Callable[..., Any])

_FILE: Final = "mezzo.config_file"  # key in ctx.meta: the path of --config


class Setting(click.Option):
    """An option that also reads MEZZO_<COMMAND>_<NAME> and MEZZO_<NAME>."""

    @property
    def key(self) -> str:
        """The setting's name in files and in `mezzo up --set`: gc-delay."""
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
        """The variable that counts of those that are set."""
        return next((name for name in self.variables(ctx.command) if os.environ.get(name)), None)


def setting(*names: str, **attributes: Any) -> Callable[[F], F]:
    """As `click.option`, with the sources of `Setting`; defaults are shown."""
    given: dict[str, Any] = {"cls": Setting, "show_default": True}
    return click.option(*names, **(given | attributes))


def daemon_settings() -> list[Setting]:
    """The settings of every daemon: where its settings are and its logs go."""
    return [
        Setting(
            ["--config"],
            type=click.Path(path_type=Path),
            is_eager=True,
            expose_value=False,
            callback=_read_file,
            help="TOML or JSON file: settings at its top or in a table named as the command.",
        ),
        Setting(
            ["--log-level"],
            type=LOG_LEVEL,
            default="info",
            show_default=True,
            help="The least level that is logged.",
        ),
        Setting(["--log-json"], is_flag=True, help="Log JSON lines instead of text."),
    ]


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


def mistyped(
    environment: Mapping[str, str], commands: Callable[[], Iterable[click.Command]]
) -> Iterator[str]:
    """A sentence for each variable that is addressed to a daemon and is no setting of these.

    commands: asked for only if there is such a variable, since they load the daemons' options.
    """
    prefixes = tuple(f"MEZZO_{daemon.upper()}_" for daemon in DAEMONS)
    names = sorted(name for name in environment if name.startswith(prefixes))
    if not names:
        return
    known = {
        name
        for command in commands()
        for option in settings_of(command)
        for name in option.variables(command)
    }
    for name in names:
        if name not in known:
            yield f"{name} is no setting{near(name, known)}"
