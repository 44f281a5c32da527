"""Documents of apps, read."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.marathon.api.app_definition import AppDocument, Rules, changed_app, new_app
from mezzo.marathon.api.errors import ApiError
from mezzo.marathon.model.app import (
    App,
)

RULES = Rules(default_network_name="overlay")


def read(**document: Any) -> App:
    return app_of({"id": "/a", "cmd": "sleep 1", **document})


def app_of(document: Any) -> App:
    return new_app(AppDocument(document), RULES)


def errors(document: Any, before: App | None = None, rules: Rules = RULES) -> dict[str, list[str]]:
    given = AppDocument(document)
    with pytest.raises(ApiError) as raised:
        changed_app(given, before, rules) if before else new_app(given, rules)
    assert raised.value.status == 422
    return {detail["path"]: detail["errors"] for detail in raised.value.body["details"]}


def refused(**document: Any) -> dict[str, list[str]]:
    return errors({"id": "/a", "cmd": "sleep 1", **document})


BRIDGED = {"type": "DOCKER", "docker": {"image": "busybox"}, "portMappings": []}
