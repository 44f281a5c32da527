"""A server of ours on a real socket, and what it serves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mezzo.http.server import HttpServer
from tests.parts.served_app import App, serving


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def server(app: App) -> Iterator[HttpServer]:
    with serving(app) as running:
        yield running
