"""Files that the user names; "-" is the standard input."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import Wrong


def read(file: Path) -> bytes:
    """All of a file. Raises Wrong."""
    try:
        with click.open_file(str(file), "rb") as opened:
            return bytes(opened.read())
    except OSError as error:
        raise Wrong(f"{shown(file)} cannot be read: {error.strerror}") from error


def shown(file: Path) -> str:
    """A file's name in a message."""
    return "the standard input" if str(file) == "-" else str(file)
