"""A fresh world for each test."""

from __future__ import annotations

import pytest

from .liar import Liar
from .world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def liar(world: World) -> Liar:
    return Liar(world)
