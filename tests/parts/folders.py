"""Folders of tests that other users have to get through."""

from __future__ import annotations

import os
from pathlib import Path


def open_the_way_to(path: Path) -> None:
    """Let everybody pass the folders above `path` that are ours; pytest closes them."""
    for folder in path.parents:
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
