"""Structured logs: fixed event names, the same keys everywhere (framework, offer, task, agent)."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger

from mezzo.errors import BadConfig

LEVELS = ("debug", "info", "warning", "error")


def configure(*, level: str = "info", json: bool = False, stream: TextIO | None = None) -> None:
    """Set up the process's logs once, to stderr by default: lines for people, or JSON lines.

    Raises BadConfig on an unknown level. kazoo's and docker's own loggers are kept at warnings.
    """
    if level not in LEVELS:
        raise BadConfig(f"log level {level!r} is unknown: use one of {', '.join(LEVELS)}")
    out = stream or sys.stderr
    _structured(level, json, out, final=True)
    logging.basicConfig(
        stream=out, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # the election reports what matters


def _structured(level: str, json: bool, out: TextIO, *, final: bool) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer()
            if json
            else structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=28),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=final,
    )


def get_logger(component: str) -> FilteringBoundLogger:
    """A logger whose lines carry `component`: master, agent, marathon, gateway, ..."""
    return cast("FilteringBoundLogger", structlog.get_logger(component=component))


# For a program that does not configure them, such as a scheduler on the SDK: its stdout is its own.
_structured("info", json=False, out=sys.stderr, final=False)
