"""An exception from a rule of the linter has its reason; what repeats is a setting."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPS = (
    *("mezzo", "master", "agent", "frameworks", "marathon", "gateway", "relay", "sim", "cli"),
    *("tests", "bench", "scripts", "examples"),
)
NOQA = re.compile(r"# noqa(?:: (?P<rules>[A-Z0-9, ]+?)(?: - (?P<reason>.+))?)?$")


def test_each_exception_from_a_rule_says_why_and_no_two_say_the_same() -> None:
    found = [
        (f"{file.relative_to(ROOT)}:{number}", match["reason"])
        for top in TOPS
        for file in (ROOT / top).rglob("*.py")
        if "wire/v1" not in file.as_posix()
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (match := NOQA.search(line)) is not None
    ]
    assert len(found) > 10
    assert [place for place, reason in found if not reason] == []
    reasons = Counter(reason for _, reason in found)
    assert [reason for reason, count in reasons.items() if count > 1] == []
