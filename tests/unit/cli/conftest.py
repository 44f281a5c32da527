"""The command line in this process, and servers that play the cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mezzo.cli.main import cli

from .fake_server import FakeMarathon, serving

Mezzo = Callable[..., Result]


@pytest.fixture
def mezzo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mezzo:
    """`mezzo("app", "list")`, without the caller's own settings; `env` and `stdin` by keyword."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # no clusters of the caller
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MEZZO_")]:
        monkeypatch.delenv(name)

    def run(*args: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Result:
        return CliRunner().invoke(cli, args, env=env, input=stdin, prog_name="mezzo")

    return run


@pytest.fixture
def marathon() -> Iterator[FakeMarathon]:
    fake = FakeMarathon()
    with serving(fake):
        yield fake
