"""Log files of children stay within their bound while the child goes on writing."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from mezzo.process.log_files import rotate


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_file_is_emptied_for_who_has_it_open_and_a_few_older_ones_are_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "agent.log"
    with path.open("a") as child:
        for number in range(6):
            child.write(f"{number}" * 99 + "\n")
            child.flush()
            assert rotate(path, max_bytes=50, kept=3)
        child.write("now\n")
        child.flush()
        assert not rotate(path, max_bytes=50, kept=3)
    assert lines(path) == ["now"], "no hole of zeroes before it"
    assert [lines(tmp_path / f"agent.log.{n}") for n in (1, 2, 3)] == [
        ["5" * 99],
        ["4" * 99],
        ["3" * 99],
    ]
    assert len(list(tmp_path.iterdir())) == 4


def test_without_room_for_a_copy_the_bound_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agent.log"
    path.write_text("x" * 100)

    def no_room(source: Path, target: Path) -> None:
        target.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", no_room)
    assert rotate(path, max_bytes=50)
    assert [each.name for each in tmp_path.iterdir()] == ["agent.log"]
    assert path.stat().st_size == 0


def test_a_file_that_is_not_there_is_nobodys_problem(tmp_path: Path) -> None:
    assert not rotate(tmp_path / "none" / "agent.log")
