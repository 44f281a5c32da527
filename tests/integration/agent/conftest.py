"""A real agent, and a master in this process that it obeys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.agent_harness import Agent, Master, agent_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Master, Agent]]:
    yield from agent_world(tmp_path / "agent")
