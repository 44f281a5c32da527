"""A file system that is soon full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def small_disk_at(disk: Path, size: str) -> Iterator[Path]:
    """A real one, of `size` ("24m"), in memory: the body of a fixture. Only root may mount it."""
    if os.geteuid() != 0:
        pytest.skip(f"ONLY ROOT may mount the file system of {size} that this needs")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> Path:
    """Until not a byte more fits; the file that takes them."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return ballast
