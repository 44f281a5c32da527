"""A setting is declared once: as the field that is set, with what others must know of it.

    class AgentConfig(Record):
        gc_delay_s: Annotated[float, Flag("How long sandboxes are kept.", DURATION)] = 604800.0

From this follow `--gc-delay` with its help and its default, MEZZO_AGENT_GC_DELAY, the key of files
and `mezzo up --set agent.gc-delay=1days`: see cli/daemons/declared.py. A field without a Flag is no
setting. What a core needs is declared in its config, what the process needs in its options, which
hold the config's flags as `FlagsOf`. Nothing here is impure, and nothing knows click.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    NamedTuple,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from .errors import BadConfig, BadRequest
from .units import INT32_MAX, PORT_MAX, HostName, Seconds, problem, shown

if TYPE_CHECKING:
    from .cluster.model import FaultDomain

R = TypeVar("R")
K = TypeVar("K", bound="Kind")

# ---------------------------------------------------------------------------- kinds of values


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How values are written. off: 0, or an empty text, is written for None: this is turned off."""

    off: bool = False

    def show(self, value: Any) -> str:
        """A value as it is written. Empty for None and what else needs no words."""
        return "" if value is None else str(value)


@dataclass(frozen=True)
class Written(Kind):
    """A form of our own. name: of the form, in `--help`. parse: from a text; raises BadConfig."""

    name: str
    parse: Callable[[str], Any]
    shown_as: Callable[[Any], str] = str

    def show(self, value: Any) -> str:
        return "" if value is None else self.shown_as(value)


# Kinds that any command line reads by itself: only their bounds are told.


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number that every hop can carry, with its bounds."""

    least: int = 0
    most: int = INT32_MAX


@dataclass(frozen=True)
class Number(Kind):
    """A finite number, with its bounds."""

    least: float
    most: float


@dataclass(frozen=True)
class Choice(Kind):
    """A value that is one of these words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Switch(Kind):
    """Yes or no, as `--x` and `--no-x`. Not a pair: it can only be turned on."""

    pair: bool = True


@dataclass(frozen=True)
class Text(Kind):
    """Any text."""


@dataclass(frozen=True)
class Place(Kind):
    """The absolute path of a file, or of a folder."""

    folder: bool


def or_off(kind: K) -> K:
    """The same kind with None for "off", which is written as 0 or as an empty text."""
    return replace(kind, off=True)


def _duration_s(text: str) -> float:
    """Seconds out of Mesos' form: number and ns, us, ms, secs, mins, hrs, days, weeks.

    A bare number is seconds. Raises BadConfig, also beyond what the wire's durations hold.
    """
    match = _DURATION.fullmatch(text.strip())
    unit = match[2] if match else None
    if match is None or (unit is not None and unit not in _UNITS_S):
        raise BadConfig(f"{shown(text)} is no duration: write e.g. 15secs, 10mins, 1weeks")
    seconds = float(match[1]) * (_UNITS_S[unit] if unit else 1.0)
    why = problem(Seconds, seconds)
    if why is not None:
        raise BadConfig(f"{shown(text)} is {seconds:g} seconds: it {why}")
    return seconds


def _show_duration(seconds: float) -> str:
    """A duration in the largest unit of which it is a whole number."""
    for name, unit_s in reversed(_UNITS_S.items()):
        count = round(seconds / unit_s)
        if count >= 1 and count * unit_s == seconds:
            return f"{count}{name}"
    return f"{seconds:f}secs"


def _rate(text: str) -> float:
    """How many seconds apart, from Mesos' form: 1/20mins is 1200."""
    found = _RATE.fullmatch(text)
    if found is None or int(found[1]) < 1:
        raise BadConfig(f"{text!r} is no rate: write count/duration, as 1/20mins")
    return _duration_s(found[2]) / int(found[1])


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BadConfig(f"{text!r} is no part of a whole: write a number from 0 to 1")
    return value


def _percentage(text: str) -> float:
    number, sign, rest = text.strip().partition("%")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not sign or rest or not 0 <= value <= 100:
        raise BadConfig(f"{text!r} is no percentage: write 0% to 100%")
    return value / 100


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def _own_ip(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise BadConfig(
            f"{shown(text)} is no IP address: give one of this machine, or 0.0.0.0 for all"
        ) from None
    return text


def _host_name(text: str) -> str:
    if (why := problem(HostName, text)) is not None:
        raise BadConfig(f"{shown(text)} {why}")
    return text


def _allowed_hosts(text: str) -> tuple[str, ...]:
    found = _names(text)
    for name in found:
        why = problem(HostName, name.removeprefix("[").removesuffix("]"))
        if why is not None and name != "*":
            raise BadConfig(f"{shown(name)} {why}, or be * for any")
    return found


def _quantity_sets(text: str) -> tuple[Mapping[str, int], ...]:
    from .cluster.resources import Resources  # only the master waits for it

    try:
        parts = [Resources.parse(part) for part in text.split("|") if part.strip()]
    except BadRequest as error:
        raise BadConfig(str(error)) from error
    return tuple(part.quantities() for part in parts)


def _show_quantity_sets(sets: tuple[Mapping[str, int], ...]) -> str:
    from .cluster.amounts import from_milli

    return "|".join(
        ";".join(f"{name}:{from_milli(milli):.15g}" for name, milli in each.items())
        for each in sets
    )


def _fault_domain(text: str) -> FaultDomain:
    from .cluster.model import FaultDomain

    region, _, zone = text.partition("/")
    if text.lstrip().startswith("{"):
        try:
            fault = json.loads(text)["fault_domain"]
            region, zone = fault["region"]["name"], fault["zone"]["name"]
        except (ValueError, LookupError, TypeError):
            region = zone = ""
    if not (isinstance(region, str) and isinstance(zone, str) and region and zone):
        raise BadConfig(f"{text!r} is no domain: write region/zone")
    return FaultDomain(region, zone)


_UNITS_S: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "secs": 1.0,
    "mins": 60.0,
    "hrs": 3600.0,
    "days": 86400.0,
    "weeks": 604800.0,
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)?")
_RATE: Final = re.compile(r"\s*([0-9]{1,9})\s*/(.*)")

TEXT: Final = Text()
SWITCH: Final = Switch()
FOLDER: Final = Place(folder=True)
FILE: Final = Place(folder=False)
COUNT: Final = Whole()
PORT: Final = Whole(1, PORT_MAX)
# Seconds, as 15secs, 10mins, 1weeks, or a bare number.
DURATION: Final = Written("duration", _duration_s, _show_duration)
# Seconds between two of them, as 1/20mins.
RATE: Final = Written("rate", _rate, lambda apart_s: f"1/{_show_duration(apart_s)}")
FRACTION: Final = Written("fraction", _fraction)  # from 0 to 1
PERCENTAGE: Final = Written("percentage", _percentage, lambda part: f"{part * 100:g}%")  # likewise
NAMES: Final = Written("names", _names, ",".join)  # words between commas
OWN_IP: Final = Written("own_ip", _own_ip)  # an address of this machine, and no name
HOST_NAME: Final = Written("host_name", _host_name)  # what others reach this machine by
# Between commas, IPv6 with brackets or without; or *.
ALLOWED_HOSTS: Final = Written("allowed_hosts", _allowed_hosts, ",".join)
# As Mesos' `--min_allocatable_resources`: sets of amounts between bars, in thousandths by name.
QUANTITY_SETS: Final = Written("quantity_sets", _quantity_sets, _show_quantity_sets)
# region/zone, or Mesos' JSON form of it.
FAULT_DOMAIN: Final = Written("fault_domain", _fault_domain, lambda d: f"{d.region}/{d.zone}")

# ---------------------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True)
class Flag:
    """In the annotation of a field: `Annotated[float, Flag(...)]`.

    name: without dashes; as a default that of the field without its `_s`. unset: what the help says
    of a default that has no value, or one that is found at the start.
    """

    help: str
    kind: Kind = TEXT
    name: str | None = None
    unset: str | None = None


# In the annotation of a field whose value is a record with flags: they are flags of the whole.
HAS_FLAGS: Final = object()


@dataclass(frozen=True, slots=True)
class FlagsOf(Generic[R]):
    """What flags say of a record that is made later, by who knows the rest of it."""

    record: type[R]
    values: Mapping[str, Any] = field(default_factory=dict)  # by field

    def completed(self, **rest: Any) -> R:
        return self.record(**self.values, **rest)


class Setting(NamedTuple):
    """One flag. name: without dashes. default: of the field."""

    name: str
    flag: Flag
    default: Any

    @property
    def help(self) -> str:
        unset = self.flag.unset
        return self.flag.help if unset is None else f"{self.flag.help}  [default: {unset}]"

    @property
    def written_default(self) -> str | None:
        """The default as it is written; None: it needs no words."""
        return None if self.flag.unset else self.flag.kind.show(self.default) or None


class _Field(NamedTuple):
    name: str
    setting: Setting | None  # else there are those of `inner`
    inner: Any = None  # a type of records
    later: bool = False  # FlagsOf the inner ones


@functools.cache
def _fields(record: type) -> tuple[_Field, ...]:
    """The fields that are flags or have some, in their order."""
    found = []
    hints = get_type_hints(record, include_extras=True)
    for name, parameter in inspect.signature(record).parameters.items():
        hint = hints[name]
        if get_origin(hint) is FlagsOf:
            found.append(_Field(name, None, get_args(hint)[0], later=True))
        elif get_origin(hint) is Annotated:
            inner, *extras = get_args(hint)
            if HAS_FLAGS in extras:
                found.append(_Field(name, None, inner))
            for flag in extras:
                if isinstance(flag, Flag):
                    own = name.removesuffix("_s").replace("_", "-")
                    found.append(_Field(name, Setting(flag.name or own, flag, parameter.default)))
    return tuple(found)


def settings_of(record: type) -> Iterator[Setting]:
    """All flags that a record of options declares, and the records in it."""
    for each in _fields(record):
        if each.setting is not None:
            yield each.setting
        else:
            yield from settings_of(each.inner)


def filled(record: type[R], values: Mapping[str, Any]) -> R:
    """The record, with values by flag. A field whose value is None or missing keeps its default."""
    return record(**_given(record, values))


def _given(record: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by field."""
    given: dict[str, Any] = {}
    for name, setting, inner, later in _fields(record):
        if setting is None:
            given[name] = FlagsOf(inner, _given(inner, values)) if later else filled(inner, values)
        elif (value := values.get(setting.name)) is not None:
            given[name] = None if setting.flag.kind.off and not value else value
    return given
