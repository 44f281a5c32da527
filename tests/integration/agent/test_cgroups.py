"""Control groups of this machine's kernel, of both versions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mezzo.agent.containerizer.native import shim
from mezzo.agent.containerizer.native.cgroups import Cgroups, usable_cgroups
from mezzo.ids import ContainerId
from tests.parts.agent_harness import alive

BOMB = """
import os
for _ in range(5): os.fork()
while True:
    if not os.fork(): os._exit(0)
    os.wait()
"""
C1 = ContainerId("c1")


def hierarchies() -> list[Path]:
    """Where a group can be made: with cgroup.kill, and with a freezer."""
    places = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]
    names = ("cgroup.controllers", "freezer")
    return [p for p in places if (p / names[0]).exists() or p.name == names[1]]


@pytest.mark.parametrize("root", hierarchies(), ids=str)
def test_all_of_a_group_ends_however_fast_it_forks(root: Path) -> None:
    if not os.access(root / "cgroup.procs", os.W_OK):
        pytest.skip(f"ONLY ROOT can make groups in {root}")
    groups = Cgroups(root / "mezzo" / f"test-{os.getpid()}")
    path = Path(groups.make(C1))
    (path / "below").mkdir()  # a task that is root may make some of its own
    join = f"open({str(path / 'below' / 'cgroup.procs')!r}, 'w').write('0')"
    bomb = subprocess.Popen([sys.executable, "-I", "-S", "-c", f"{join}\n{BOMB}"])
    members = path / "below/cgroup.procs"
    try:
        while len(members.read_text().split()) < 20:
            assert bomb.poll() is None
        pids = [int(pid) for pid in members.read_text().split()]
        assert groups.found() == [C1]
        assert groups.end(C1)
        assert bomb.wait(30) < 0
        assert not any(alive(pid) for pid in pids)
        assert groups.found() == []
        assert not groups.base.exists()
    finally:
        bomb.kill()
        shim.end_cgroup(str(path))


def test_what_was_never_made_is_ended_already() -> None:
    assert Cgroups(Path("/sys/fs/cgroup/no/such")).end(C1)
    assert Cgroups(Path("/sys/fs/cgroup/no/such")).found() == []


def test_looking_for_groups_leaves_none() -> None:
    found = usable_cgroups(f"test-look-{os.getpid()}")
    assert found is None or not found.base.exists()
