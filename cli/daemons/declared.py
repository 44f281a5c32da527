"""The command of a daemon, from what its options declare (mezzo/flags.py)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from mezzo.flags import Setting, Switch, filled, settings_of

from .. import setting_options
from ..option_types import typed
from .common import serve

C = TypeVar("C", bound=click.Command)
T = TypeVar("T")  # the options
Main = Callable[[], Coroutine[Any, Any, int]]


def daemon(
    name: str,
    options: type[T],
    kind: type[C],
    **attributes: Any,
) -> Callable[[Callable[[T], Main | None]], C]:
    """For a function that says what runs with these options, if anything: its docstring is the
    command's help."""

    def command(begin: Callable[[T], Main | None]) -> C:
        def run(log_level: str, log_json: bool, **values: object) -> None:
            given = {key.replace("_", "-"): value for key, value in values.items()}
            main = begin(filled(options, given))
            if main is not None:
                serve(name, main, log_level=log_level, log_json=log_json)

        params: list[click.Parameter] = [*map(_option, settings_of(options))]
        params += setting_options.daemon_settings()
        return kind(name, callback=run, help=begin.__doc__, params=params, **attributes)

    return command


def _option(setting: Setting) -> setting_options.Setting:
    name, kind = f"--{setting.name}", setting.flag.kind
    attributes: dict[str, Any] = {"help": setting.help, "show_default": True}
    if isinstance(kind, Switch):
        name += f"/--no-{setting.name}" if kind.pair else ""
        attributes |= {"is_flag": True, "default": setting.default}
    else:
        attributes |= {"type": typed(kind), "default": setting.written_default}
    return setting_options.Setting([name], **attributes)
