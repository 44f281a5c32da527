"""Output of commands: tables for people, JSON for programs."""

from __future__ import annotations

import codecs
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import click

from mezzo.json_types import JsonValue

output_option: Final = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json prints the server's data and nothing else.",
)


# What a terminal would obey instead of showing it, or show in another order than it is: control
# characters, escapes, ends of lines, marks for the direction of text.
_OBEYED: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """One line for a terminal, whatever a task, a peer or a file has put into it: as Python would
    write it, an escape becomes four characters."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def is_text(text: str) -> bool:
    """Can the text be sent? Bytes of argv and of variables that are no UTF-8 are no text."""
    return _LONE.search(text) is None


_LONE: Final = re.compile("[\ud800-\udfff]")


def echo(text: str = "", *, err: bool = False) -> None:
    """Print one line. Commands print nothing from elsewhere in any other way."""
    click.echo(plain(text), err=err)


def warn(text: str) -> None:
    """Tell of something that does not keep the command from doing its work."""
    echo(f"mezzo: {text}", err=True)


def writer_of_bytes() -> Callable[[bytes], None]:
    """Prints output that comes in pieces, a log say: every byte, or as much as a terminal may get.

    There it may have colours and lines; whatever else would steer a terminal is shown.
    """
    if not sys.stdout.isatty():
        return _write_raw
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    held = ""  # the beginning of a colour, the rest of which may come with the next piece

    def write(piece: bytes) -> None:
        nonlocal held
        text = held + decode(piece)
        begun = _BEGUN_COLOUR.search(text)
        held = begun[0] if begun else ""
        parts = _COLOUR_OR_LINE.split(text.removesuffix(held))
        parts[::2] = [plain(part) for part in parts[::2]]
        sys.stdout.write("".join(parts))
        sys.stdout.flush()

    return write


def _write_raw(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


_COLOUR_OR_LINE: Final = re.compile(r"(\x1b\[[0-9;]{0,20}m|[\r\n]+)")
_BEGUN_COLOUR: Final = re.compile(r"\x1b(?:\[[0-9;]{0,20})?\Z")


def confirm(question: str) -> None:
    """Ends the command unless the answer is yes."""
    click.confirm(plain(question), abort=True)


_PIPE_WIDTH_CHARS: Final = 10_000  # no line is wrapped for a program


def print_json(data: JsonValue) -> None:
    click.echo(json.dumps(data, indent=2))  # which escapes all but ASCII


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A plain table, or the sentence `empty`. Never wrapped when it goes into a pipe."""
    if not rows:
        echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == columns[0])
    for row in rows:  # Text: names may hold [markup]
        table.add_row(*(Text(plain(str(cell))) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH_CHARS).print(table)


def amount(value: float) -> str:
    """A resource's amount as it is written: 1.5, 2."""
    from mezzo.cluster.amounts import decimal

    return decimal(value)


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
