"""What click must know of the kinds of values (mezzo/flags.py)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import click

from mezzo import flags
from mezzo.errors import BadConfig
from mezzo.units import INT32_MAX, PORT_MAX, Finite, problem


def typed(kind: flags.Kind) -> click.ParamType[Any]:
    """click's type for a kind that an option may have."""
    match kind:
        case flags.Written():
            return _written(kind)
        case flags.Whole(least, most):
            return Whole(least, most)
        case flags.Number(least, most):
            return Number(least, most)
        case flags.Choice(words):
            return click.Choice(words)
        case flags.Place(folder):
            return _Resolved(file_okay=not folder, dir_okay=folder)
        case flags.Text():
            return click.STRING
        case _:
            raise AssertionError(f"{kind} is no type of a value")


def _written(kind: flags.Written) -> click.ParamType[Any]:
    def convert(value: object) -> Any:
        try:
            return kind.parse(str(value))
        except BadConfig as error:
            raise click.BadParameter(str(error)) from error

    convert.__name__ = kind.name  # what click shows
    return click.types.FuncParamType(convert)


class Whole(click.IntRange):
    """A whole number."""

    name = "integer"  # click's, "integer range", is what no text "is not a valid" one of


def count(least: int = 0, most: int = INT32_MAX) -> Whole:
    """A whole number that every hop can carry."""
    return Whole(least, most)


class Number(click.FloatRange):
    """A finite number, which nan and infinity are not."""

    name = "number"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if (why := problem(Finite, number)) is not None:
            self.fail(f"{value} {why}", param, ctx)
        return number


class _Resolved(click.Path):
    """A path, made absolute: the daemon may go elsewhere."""

    def __init__(self, *, file_okay: bool, dir_okay: bool) -> None:
        super().__init__(path_type=Path, file_okay=file_okay, dir_okay=dir_okay, resolve_path=True)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        try:
            return super().convert(value, param, ctx)
        except FileNotFoundError:
            self.fail(
                f"{str(value)!r} is meant from here on, and this folder was removed: change to "
                "another, or give a path that begins with /",
                param,
                ctx,
            )


class Command(click.Command):
    """A command whose arguments are numbers: -1 is then a wrong number and no unknown option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for text in args:
            if _NEGATIVE.fullmatch(text):
                raise click.BadParameter(f"no number here can be negative, and {text} is", ctx)
        return super().parse_args(ctx, args)


_NEGATIVE: Final = re.compile(r"-[0-9.].*|-inf.*", re.IGNORECASE)
DURATION: Final = typed(flags.DURATION)
DIRECTORY: Final = typed(flags.FOLDER)
PORT: Final = Whole(1, PORT_MAX)
LOG_LEVEL: Final = click.Choice(["debug", "info", "warning", "error"])  # as process/log.py has them
