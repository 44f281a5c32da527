"""Files that a child's output is appended to, kept within a bound.

The child goes on with the descriptor that it has got, so the file is copied and emptied, not moved
(copytruncate): lines written in the instant between are lost.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 10 * 1024 * 1024
KEPT: Final = 3  # older ones: FILE.1 is the newest


def rotate(path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> bool:
    """Make room if the file has grown beyond `max_bytes`; True if so. Never raises OSError.

    On a full disk the oldest goes first; if there still is no room, the newest is not kept.
    """
    try:
        if path.stat().st_size <= max_bytes:
            return False
        older = [path.with_name(f"{path.name}.{number}") for number in range(1, kept + 1)]
        older[-1].unlink(missing_ok=True)
        for number in range(kept - 1, 0, -1):
            if older[number - 1].exists():
                older[number - 1].replace(older[number])
        try:
            shutil.copyfile(path, older[0])
        except OSError:
            older[0].unlink(missing_ok=True)
        os.truncate(path, 0)
    except OSError:
        return False
    return True
