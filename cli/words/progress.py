"""A line on stderr that says what a command waits for; in a pipe, a line per news."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from .output import echo, plain


@contextlib.contextmanager
def live_line() -> Iterator[Callable[[str], None]]:
    """Yields the function that sets the text."""
    if not sys.stderr.isatty():
        last = ""

        def say(text: str) -> None:
            nonlocal last
            if text != last:
                last = text
                echo(text, err=True)

        yield say
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True, highlight=False).status("") as status:
        yield lambda text: status.update(escape(plain(text)))
