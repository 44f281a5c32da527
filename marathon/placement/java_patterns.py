"""Patterns of constraints: Java's syntax, as far as RE2 matches it in the same way.

Marathon's users write for `java.util.regex`, which can backtrack for ever. Syntax that RE2 lacks,
or reads in another sense, is refused with its name; nothing is matched differently in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

from mezzo.errors import BadPattern
from mezzo.patterns import compile_pattern

PATTERN_MAX_BYTES: Final = 16 * 1024
# A list of 150 long host names has about 4,000; a text of 250 characters then takes milliseconds
# at the very worst.
PATTERN_MAX_STEPS: Final = 5_000
# No name is longer. An agent's attribute may be, and then it matches nothing.
TEXT_MAX_CHARS: Final = 1_024
# Of results: an app is matched against the same hosts again and again.
_REMEMBERED: Final = 65_536

_ATOMS: Final = re.compile(
    r"""
      (?P<quoted>    \\Q (?s:.*?) (?:\\E|\Z) )
    | (?P<backref>   \\[1-9] | \\k< )
    | (?P<escape>    \\(?:[pPx]\{[^}]*\}|(?s:.)) )
    | (?P<look>      \(\?<?[=!] )
    | (?P<atomic>    \(\?> )
    | (?P<flags>     \(\?[a-zA-Z-]+ (?=[:)]) )
    | (?P<possessive>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\}) \+ )
    | (?P<repeat>    \{[0-9]+(?:,[0-9]*)?\} )
    | (?P<brace>     \{ )
    | (?P<opens>     \[\^?\]? )
    """,
    re.VERBOSE,
)
_IN_CLASS: Final = re.compile(r"(?P<escape>\\(?s:.))|(?P<both>&&)|(?P<nested>\[)|(?P<closes>\])")
_SAME_FLAGS: Final = frozenset("ims-")
# Escapes that RE2 takes, too, but means otherwise.
_OTHER_ESCAPES: Final = {
    r"\v": r"\v (any vertical space): list the characters that are meant",
    r"\C": r"\C, which is no escape",
}


def matches(pattern: str, text: str) -> bool:
    """Does the whole text match? Raises BadPattern."""
    return len(text) <= TEXT_MAX_CHARS and _matches(pattern, text)


@lru_cache(maxsize=_REMEMBERED)
def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern)(text)


def pattern_problem(pattern: str) -> str | None:
    """Why a pattern can't be used; None if it can."""
    try:
        _compiled(pattern)
    except BadPattern as problem:
        return str(problem)
    return None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Callable[[str], bool]:
    for foreign in _foreign(pattern):
        raise BadPattern(
            f"has {foreign}, which is not supported: patterns are matched by RE2, in time linear "
            "in the text"
        )
    return compile_pattern(pattern, max_bytes=PATTERN_MAX_BYTES, max_steps=PATTERN_MAX_STEPS)


def _foreign(pattern: str) -> Iterator[str]:
    """The first syntax in a pattern that RE2 lacks, or reads in another sense."""
    at, in_class = 0, False
    while (atom := (_IN_CLASS if in_class else _ATOMS).search(pattern, at)) is not None:
        at = atom.end()
        match atom.lastgroup:
            case "escape" if atom[0] in _OTHER_ESCAPES:
                yield _OTHER_ESCAPES[atom[0]]
            case "backref":
                yield f"the backreference {atom[0]}"
            case "look":
                kind = "lookbehind" if "<" in atom[0] else "lookahead"
                yield f"the {kind} {atom[0]}...)"
            case "atomic":
                yield "the atomic group (?>...)"
            case "flags" if not _SAME_FLAGS.issuperset(atom[0][2:]):
                yield f"the flags {atom[0]})"
            case "possessive":
                yield f"the possessive quantifier {atom[0]}"
            case "brace":
                yield r"a { that begins no repetition (write \{ for the character)"
            case "opens":
                in_class = True
            case "closes":
                in_class = False
            case "both":
                yield "the intersection && of character classes"
            case "nested":
                yield r"a character class within another (write \[ for the character)"
