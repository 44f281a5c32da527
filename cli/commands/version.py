"""`mezzo version`."""

from __future__ import annotations

import click

from mezzo import __version__

from ..words.output import echo


@click.command("version")
def command() -> None:
    """Print the version."""
    echo(f"mezzo {__version__}")
