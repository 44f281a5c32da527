"""What the commands that run a daemon have in common."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NoReturn

import click

STATE_ROOT: Final = Path("/var/lib/mezzo")
DIRECTORY: Final = click.Path(path_type=Path, file_okay=False, resolve_path=True)
FILE: Final = click.Path(path_type=Path, dir_okay=False, resolve_path=True)

# grpc reads it when it is imported. What it would say about broken connections, we log ourselves.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def reachable_name(hostname: str | None, ip: str) -> str:
    """What others are told to reach us by: the name given, else the address that we listen on,
    else, when that is "all of them", the machine's own name."""
    if hostname:
        return hostname
    return socket.gethostname() if ip in ("0.0.0.0", "::") else ip


def serve(
    name: str,
    main: Callable[[], Coroutine[Any, Any, int]],
    *,
    log_level: str,
    log_json: bool,
) -> NoReturn:
    """Run a daemon until it ends, and the process with it."""
    from mezzo import daemon, log

    log.configure(level=log_level, json=log_json)
    sys.exit(daemon.run(main, name=name))
