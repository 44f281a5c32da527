"""Benchmarks whose daemon does not start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench"
WITHIN_S = 50.0  # none of them may wait for a minute for what can't come


@pytest.mark.parametrize("name", ["launch.py", "scale.py"])
def test_a_benchmark_ends_when_its_daemon_does(name: str) -> None:
    environment = os.environ | {"MEZZO_MASTER_OFFER_TIMEOUT": "soon"}
    done = subprocess.run(
        [sys.executable, str(BENCH / name)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert done.returncode == 1
    assert "has ended with code 2: nothing can be measured" in done.stderr
