"""What the commands that run a daemon have in common."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import click

from mezzo.units import HostName, problem, shown

from ..setting_options import daemons_beside, mistyped
from ..words.errors import Wrong

# grpc reads this when it is imported. We log ourselves what it would say of broken connections.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def reachable_name(hostname: str | None, ip: str) -> str:
    """The name by which others reach us: the one given, else the address that we listen on,
    else, when that is "all of them", the machine's own name. Raises Wrong if that is no name."""
    if hostname:
        return hostname
    name = socket.gethostname() if ip in ("0.0.0.0", "::") else ip
    if (why := problem(HostName, name)) is not None:
        raise Wrong(f"this machine calls itself {shown(name)}, which {why}: give --hostname")
    return name


def made(work_dir: Path) -> Path:
    """The daemon's folder, which is there and can be written. Raises Wrong."""
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir):
            return work_dir
    except OSError as error:
        raise Wrong(
            f"{work_dir} cannot be written ({error.strerror}): choose another with --work-dir"
        ) from None


def serve(
    name: str,
    main: Callable[[], Coroutine[Any, Any, int]],
    *,
    log_level: str,
    log_json: bool,
) -> NoReturn:
    """Run a daemon until it ends, and the process with it."""
    from mezzo.process import daemon, log

    log.configure(level=log_level, json=log_json)
    ctx = click.get_current_context()
    for sentence in mistyped(os.environ, lambda: daemons_beside(ctx) or (ctx.command,)):
        log.get_logger(name).warning("setting.unknown", variable=sentence)
    sys.exit(daemon.run(main, name=name))
