"""`mezzo version`."""

from __future__ import annotations

import click

from mezzo import __version__


@click.command("version")
def command() -> None:
    """Print the version."""
    click.echo(f"mezzo {__version__}")
