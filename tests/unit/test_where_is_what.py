"""docs/where-is-what.md answers with files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("mezzo", "master", "agent", "frameworks", "marathon", "gateway", "relay", "sim", "cli")


def test_each_question_is_answered_by_a_file_that_is_there() -> None:
    page = (ROOT / "docs" / "where-is-what.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and "?" in line]
    assert len(rows) >= 30
    for row in rows:
        named = re.findall(r"`([a-z_/0-9]+\.py)`", row)
        assert named, row
        assert [name for name in named if not (ROOT / name).is_file()] == []


def test_each_room_says_what_lives_in_it() -> None:
    silent = [
        str(room.relative_to(ROOT))
        for top in TOPS
        for room in (ROOT / top).rglob("__init__.py")
        if not room.read_text().startswith('"""') and room.parent.name != "v1"
    ]
    assert silent == []
