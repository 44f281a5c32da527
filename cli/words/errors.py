"""How a command fails: one sentence on stderr (what, where, what to do) and an exit code."""

from __future__ import annotations

from typing import IO, Any, Final

import click

from mezzo.json_types import JsonValue

from .output import plain

EXIT_CODES: Final = """\b
Exit codes:
  0  it worked
  1  it failed: the app or task does not exist, a deployment failed or took too long
  2  the command line, an environment variable or a file is wrong, or names what nobody knows;
     nothing was tried
  3  the cluster could not be reached"""


class Failed(click.ClickException):
    """Exit code 1: the cluster was asked, and it did not work."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"mezzo: {plain(self.format_message())}", file=file, err=file is None)


class Wrong(Failed):
    """Exit code 2: what the user gave is wrong, and nothing was tried."""

    exit_code = 2


class Unreachable(Failed):
    """Exit code 3: nobody answers."""

    exit_code = 3


class HttpError(Failed):
    """The server refused. Carries the status and the body of its answer."""

    def __init__(self, message: str, status: int, body: JsonValue) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
