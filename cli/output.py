"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, Final

import click

output_option: Final = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json prints the server's data and nothing else.",
)


def print_json(data: Any) -> None:  # noqa: ANN401 - JSON
    click.echo(json.dumps(data, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A plain table, or the sentence `empty`. Never wrapped when it goes into a pipe."""
    if not rows:
        click.echo(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == columns[0])
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # Text: names may hold [markup]
    console = Console(highlight=False)
    console.print(table, width=None if console.is_terminal else 10_000)


def amount(value: float) -> str:
    """1.5, 2: without trailing zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def mib(value: float) -> str:
    """512 MiB, 1.5 GiB."""
    return f"{amount(value)} MiB" if value < 1024 else f"{value / 1024:.1f} GiB"


def ago(then_s: float | None) -> str:
    """How long since a moment in seconds since 1970."""
    if not then_s:
        return "-"
    age_s = max(0.0, time.time() - then_s)
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if age_s >= unit_s:
            return f"{int(age_s / unit_s)} {unit}"
    return f"{int(age_s)} s"
