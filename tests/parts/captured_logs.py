"""What is logged meanwhile, whatever an earlier test of this process has made of the logs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog


@contextlib.contextmanager
def captured_logs() -> Iterator[list[MutableMapping[str, Any]]]:
    before = structlog.get_config()
    structlog.reset_defaults()  # a command that tells its errors itself silences the log
    try:
        with structlog.testing.capture_logs() as lines:  # noqa: TID251 - as it is meant to be used
            yield lines
    finally:
        structlog.configure(**before)
