"""Regular expressions of users, matched by RE2: in time linear in the text, whatever they are.

Python's own `re` can be made to backtrack for ever, and where users' patterns are matched (the only
thread of a core) that would stop a daemon. So: `re` for patterns of ours, this for theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import re2  # type: ignore[import-untyped]

from mezzo.errors import BadPattern

# Beyond that RE2 counts in its own way, and a program that large is nobody's.
_MEM_MAX_BYTES: Final = 1024 * 1024


def compile_pattern(
    text: str, *, max_bytes: int, max_steps: int, max_mem_bytes: int = _MEM_MAX_BYTES
) -> Callable[[str], bool]:
    """A test whether a whole text matches.

    max_bytes: of the pattern. max_steps: of its program: the work per character of a text.
    max_mem_bytes: for the program and what RE2 remembers of earlier texts. Raises BadPattern.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadPattern("is no valid Unicode: it holds half of a surrogate pair") from None
    if size > max_bytes:
        raise BadPattern(f"has more than {max_bytes} bytes: shorten it")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = max_mem_bytes
    try:
        pattern = re2.compile(text, options)
    except re2.error as error:
        raise BadPattern(f"is no regular expression of RE2's syntax: {_reason(error)}") from None
    if pattern.programsize > max_steps:
        raise BadPattern(
            f"is too complex ({pattern.programsize} steps, at most {max_steps}): simplify it"
        )
    return lambda value: pattern.fullmatch(value) is not None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
