"""Types of values: seconds, counts, amounts, ports, names, each with its bounds.

The bounds are those of the narrowest hop that the value takes on its way: JSON knows only finite
numbers, the wire has int32, int64 and durations in int64 nanoseconds, a name becomes a path or a
label of the container engine. Every door reads these types (the wire's converter, the documents of
the API, the options of the CLI, the calls of operators, the store), so a value that one hop can't
carry is refused at the first, with its place, the value and the bound, and nothing is changed.

    class HttpCheck(Record):
        port: Port

    check("http.port", Port, 70_000)  # BadRequest: http.port is 70000: it must be ...
"""

from __future__ import annotations

import functools
import math
import re
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Final, Union, get_args, get_origin

from msgspec import Meta

from mezzo.errors import BadRequest

INT32_MAX: Final = 2**31 - 1
UINT32_MAX: Final = 2**32 - 1
INT64_MAX: Final = 2**63 - 1
NANOS: Final = 1_000_000_000
# DurationInfo and TimeInfo hold nanoseconds in an int64: 292 years, or until 2262.
SECONDS_MAX: Final = INT64_MAX // NANOS
# Fixed point with three decimals: a thousand agents of that much still are an int64. It is more
# than the largest machine by far, and in MiB an exabyte.
AMOUNT_MAX: Final = 1e12
PORT_MAX: Final = 65_535
ID_MAX_BYTES: Final = 255  # what a file name may have: ids of tasks and executors become folders
# Deeper than any document that means something, and far from the limit of any parser's stack.
JSON_DEPTH_MAX: Final = 64
BODY_MAX_BYTES: Final = 16 * 1024 * 1024

# ---------------------------------------------------------------------------------- the types

Count = Annotated[int, Meta(ge=0, le=INT32_MAX)]
Int32 = Annotated[int, Meta(ge=-INT32_MAX - 1, le=INT32_MAX)]
UInt32 = Annotated[int, Meta(ge=0, le=UINT32_MAX)]
Int64 = Annotated[int, Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
Serial = Annotated[int, Meta(ge=0, le=INT64_MAX)]  # counts up for ever: pings, epochs, events
Port = Annotated[int, Meta(ge=0, le=PORT_MAX)]
Seconds = Annotated[float, Meta(ge=0, le=SECONDS_MAX)]
WallSeconds = Annotated[float, Meta(ge=0, le=SECONDS_MAX)]  # since 1970, UTC
WallMillis = Annotated[int, Meta(ge=0, le=SECONDS_MAX * 1000)]  # likewise
Amount = Annotated[float, Meta(ge=0, le=AMOUNT_MAX)]  # cpus in cores, mem and disk in MiB
Ratio = Annotated[float, Meta(ge=0, le=1)]
# What Marathon's API takes as a whole number of 32 bits: 68 years.
ShortSeconds = Annotated[float, Meta(ge=0, le=INT32_MAX)]
# What delays grow by. From the largest on, the first failure leads to the longest of delays.
Growth = Annotated[float, Meta(ge=1, le=INT32_MAX)]
# A number that only has to be one: neither infinite nor nan.
_NUMBER_MAX: Final = 1.7976931348623157e308
_ENDLESS_VALUE: Final = 1e300
Finite = Annotated[float, Meta(ge=-_NUMBER_MAX, le=_NUMBER_MAX)]

# The longest text that Linux gives a program, with the NUL that ends it (MAX_ARG_STRLEN).
ARGUMENT_MAX_BYTES: Final = 128 * 1024 - 1
# An argument, the value of a variable or of a label: C ends a text at the first NUL.
Text = Annotated[
    str,
    Meta(
        max_length=ARGUMENT_MAX_BYTES,
        pattern=r"\A[^\x00]*\Z",
        description="must not hold a NUL character",
    ),
]
# What is written on one line: a user, an image, a path, the key of a label.
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1024,
        pattern=r"\A[^\x00-\x1f\x7f]*\Z",
        description="must not hold control characters",
    ),
]
VariableName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1024,
        pattern=r"\A[^=\x00-\x1f\x7f]*\Z",
        description="must not hold '=' or control characters",
    ),
]
# A name or an address that machines are reached by: it becomes part of URLs, pages, variables of
# tasks and of `host:port`. As long as DNS has it; `_` and `:` are not DNS's, but occur.
_OF_HOST: Final = {
    "max_length": 253,
    "pattern": r"\A[A-Za-z0-9._:-]*\Z",
    "description": "must consist of letters, digits and . - _ :",
}
HostName = Annotated[str, Meta(min_length=1, **_OF_HOST)]
MaybeHostName = Annotated[str, Meta(**_OF_HOST)]  # clients that have none send an empty one

# ---------------------------------------------------------------------------------- asking


def check(place: str, kind: Any, value: Any) -> None:
    """Raise BadRequest, naming `place`, the value and the bound, if the value is out of bounds.

    None passes: whether a value may be absent is not a matter of bounds.
    """
    why = problem(kind, value)
    if why is not None:
        raise BadRequest(f"{place} is {shown(value)}: it {why}")


def problem(kind: Any, value: Any) -> str | None:
    """`must be ...` if the value is out of the bounds of the type, else None."""
    meta = meta_of(kind)
    if meta is None or value is None:
        return None
    if isinstance(value, str):
        return text_test(kind)(value)
    # Written so that nan, which compares with nothing, is out of bounds.
    if (meta.ge is None or value >= meta.ge) and (meta.le is None or value <= meta.le):
        return None
    return _sentence(meta, whole=isinstance(value, int))


@functools.cache
def text_test(kind: Any) -> Callable[[str], str | None]:
    """What `problem` says of texts of a type that has bounds."""
    meta = meta_of(kind)
    assert meta is not None
    least, most = meta.min_length or 0, meta.max_length
    fits = None if meta.pattern is None else re.compile(meta.pattern).search

    def test(value: str) -> str | None:
        if len(value) < least:
            return "must not be empty" if least == 1 else f"must have at least {least} characters"
        if most is not None and len(value) > most:
            return f"must have at most {most} characters, not {len(value)}"
        if fits is not None and fits(value) is None:
            return meta.description or f"must match {meta.pattern}"
        return None

    return test


def _sentence(meta: Meta, *, whole: bool) -> str:
    low, high = meta.ge, meta.le
    if low is None or high is None or abs(high) > _ENDLESS_VALUE:
        return "must be a finite number"
    return f"must be a {'whole ' if whole else ''}number from {_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def to_nanos(seconds: float) -> int:
    """The nearest whole number of nanoseconds; divided by NANOS again it gives the same seconds,
    if these came from nanoseconds. The product of floats would be off by hundreds of them."""
    above, below = seconds.as_integer_ratio()
    return (above * NANOS * 2 + below) // (below * 2)


def whole_number(text: str, most: int) -> int | None:
    """The number that plain digits write, if it is from 0 to `most`; else None.

    int() also takes blanks, underscores and the digits of every script, and raises an error of its
    own where there are thousands of them.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)):
        return None
    number = int(text)
    return number if number <= most else None


def shown(value: object, most: int = 60) -> str:
    """A value for an error's text: short, whatever somebody has sent."""
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a whole number of {int(value.bit_length() * math.log10(2)) + 1} digits"
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


@functools.cache
def meta_of(kind: Any) -> Meta | None:
    """The bounds of a type that may be `| None` or a NewType; None if it has none."""
    while True:
        if get_origin(kind) is Annotated:
            base, *extras = get_args(kind)
            found = next((extra for extra in extras if isinstance(extra, Meta)), None)
            if found is not None:
                return found
            kind = base
        elif get_origin(kind) in (Union, types.UnionType):
            rest = [each for each in get_args(kind) if each is not type(None)]
            if len(rest) != 1:
                return None
            (kind,) = rest
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        else:
            return None


def json_depth_problem(data: bytes, most: int = JSON_DEPTH_MAX) -> str | None:
    """Why a JSON text is nested too deeply to be parsed; None if it is not. Strings are skipped."""
    if data.count(b"[") + data.count(b"{") <= most:
        return None
    depth = 0
    for token in _BRACKETS.finditer(data):
        if (first := token[0][0]) in b"[{":
            depth += 1
            if depth > most:
                return f"is nested deeper than {most} levels"
        elif first in b"]}":
            depth -= 1
    return None


_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
