"""Structured logs: fixed event names, the same keys everywhere (framework, offer, task, agent).

The caller of a log does not notice if something is wrong with the line, its values or the place
where it goes.
"""

from __future__ import annotations

import atexit
import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from mezzo.errors import BadConfig
from mezzo.process.bare_structlog import structlog
from mezzo.process.log_output import LogOutput, keep_standard_descriptors, one_line, shown

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

LEVELS = ("debug", "info", "warning", "error")
SPARING_MOST: Final = 100  # lines
SPARING_EACH_S: Final = 60.0
# Keys that the lines carry by themselves, or that are shown over several lines.
_TAKEN: Final = frozenset({"event", "level", "timestamp", "exception", "stack"})


def configure(*, level: str = "info", json: bool = False, stream: TextIO | None = None) -> None:
    """Set up the process's logs once, to stderr by default: lines for people, or JSON lines.

    Raises BadConfig on an unknown level. kazoo's and docker's own loggers are kept at warnings.
    """
    if level not in LEVELS:
        raise BadConfig(f"log level {level!r} is unknown: use one of {', '.join(LEVELS)}")
    keep_standard_descriptors()
    global _out
    out = _out = LogOutput(stream or sys.stderr, _notice if json else None)
    _structured(level, json, out, final=True)
    logging.basicConfig(
        stream=cast(TextIO, out),
        level=logging.WARNING,
        format="%(levelname)s %(name)s %(message)s",
    )
    logging.raiseExceptions = False  # it would print, and that may wait
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # the election reports what matters


def silence() -> None:
    """For a command that tells what went wrong itself, once: no log comes between."""
    structlog.configure(wrapper_class=_careful(None, json=False))
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)


class Sparing:
    """Tells lines that peers can cause, as many as they like: of each event only so many in a
    while. How many were left out is said with the next that is told."""

    def __init__(
        self, log: FilteringBoundLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._clock = clock
        self._events: dict[str, _Told] = {}

    def warning(self, event: str, **facts: object) -> None:
        if self._may(event, facts):
            self._log.warning(event, **facts)

    def error(self, event: str, **facts: object) -> None:
        if self._may(event, facts):
            self._log.error(event, **facts)

    def _may(self, event: str, facts: dict[str, object]) -> bool:
        now = self._clock()
        told = self._events.setdefault(event, _Told(now))
        if now - told.since_s >= SPARING_EACH_S:
            told.since_s, told.lines = now, 0
        if told.lines >= SPARING_MOST:
            told.left_out += 1
            return False
        told.lines += 1
        if told.left_out:
            facts["lines_left_out"], told.left_out = told.left_out, 0
        return True


@dataclass(slots=True)
class _Told:
    """Lines of one event since then, and those that nobody was told of."""

    since_s: float
    lines: int = 0
    left_out: int = 0


def _notice(count: int, why: str) -> str:
    return dumps({"event": "log.lines_missing", "level": "warning", "count": count, "why": why})


def _structured(level: str, json: bool, out: LogOutput, *, final: bool) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=shown)
            if json
            else structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=28),
        ],
        wrapper_class=_careful(level, json),
        logger_factory=lambda *_: out,
        cache_logger_on_first_use=final,
    )


def _careful(level: str | None, json: bool) -> type[structlog.BoundLoggerBase]:
    """A logger class whose methods never raise. What is below `level` costs nothing; None: all."""

    def tell(name: str) -> Callable[..., None]:
        def method(self: structlog.BoundLoggerBase, event: str, /, **facts: object) -> None:
            try:
                if not _TAKEN.isdisjoint(facts):
                    facts = {f"{k}_" if k in _TAKEN else k: v for k, v in facts.items()}
                if not json:  # whose renderer escapes by itself
                    _keep_to_a_line(facts)
                self._proxy_to_logger(name, event, **facts)
            except Exception as error:
                _tell_roughly(self, name, event, facts, error)

        return method

    def nothing(self: structlog.BoundLoggerBase, event: str, /, **facts: object) -> None:
        pass

    told = LEVELS[LEVELS.index(level) :] if level is not None else ()
    methods = {name: tell(name) if name in told else nothing for name in LEVELS}
    return type("CarefulLogger", (structlog.BoundLoggerBase,), methods)


def _keep_to_a_line(facts: MutableMapping[str, Any]) -> None:
    for key, value in facts.items():
        if isinstance(value, str) and not value.isprintable():
            facts[key] = one_line(value)


def _tell_roughly(
    logger: structlog.BoundLoggerBase,
    name: str,
    event: str,
    facts: MutableMapping[str, Any],
    error: Exception,
) -> None:
    """The line could not be made: a key that means something else, a value that can't be shown."""
    try:
        rough = {f"{key}_": one_line(shown(value)) for key, value in facts.items()}
        logger._proxy_to_logger(name, one_line(str(event)), **rough, log_error=shown(error))
    except Exception:
        pass  # nobody is left to be told


def get_logger(component: str) -> FilteringBoundLogger:
    """A logger whose lines carry `component`: master, agent, marathon, gateway, ..."""
    return cast("FilteringBoundLogger", structlog.get_logger(component=component))


def flush() -> None:
    """Write lines that still wait, as far as they can be: the process ends in a way of its own."""
    _out.flush()


# For a program that does not configure them, such as a scheduler on the SDK: its stdout is its own.
_out = LogOutput(sys.stderr)
_structured("info", json=False, out=_out, final=False)
atexit.register(flush)
