"""What is said of a Docker engine that can't be used."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mezzo.cli.up.engine import engine_problem


def test_an_engine_that_is_not_there_is_told(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/none.sock"
    assert engine_problem(url) == f"no Docker engine answers at {url}"
    assert "no Docker engine answers at nonsense" in (engine_problem("nonsense") or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="ONLY A NORMAL USER is refused: `make usertest`")
def test_an_engine_that_this_user_may_not_use_is_told_as_that(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "docker.sock"))
        engine.listen()
        (tmp_path / "docker.sock").chmod(0)
        problem = engine_problem(f"unix://{tmp_path}/docker.sock") or ""
    assert "may not use the Docker engine at unix://" in problem
    assert "join the group of its socket" in problem
