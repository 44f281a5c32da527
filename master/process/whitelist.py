"""The file of `--whitelist`: the hosts whose agents are offered, one a line; read every while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mezzo.errors import BadConfig
from mezzo.process.log import get_logger

EVERY_S: Final = 5.0


def read(path: Path) -> tuple[str, ...]:
    """The hostnames, sorted, each once; empty lines count for nothing. Raises BadConfig."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"--whitelist {path} can't be read ({error}): name a text file with a hostname a line"
        ) from error
    return tuple(sorted({line.strip() for line in lines} - {""}))


async def follow(
    path: Path,
    known: tuple[str, ...],
    tell: Callable[[tuple[str, ...]], None],
    every_s: float = EVERY_S,
) -> None:
    """Tell what the file holds whenever that is not what was `known`. A file that can't be read
    changes nothing: one that is being replaced must not open the whole cluster."""
    log = get_logger("master")
    while True:
        await asyncio.sleep(every_s)
        try:
            hostnames = await asyncio.to_thread(read, path)
        except BadConfig as error:
            log.warning("whitelist.unreadable", error=str(error))
            continue
        if hostnames != known:
            log.info("whitelist.changed", hosts=len(hostnames))
            known = hostnames
            tell(hostnames)
