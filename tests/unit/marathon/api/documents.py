"""Documents of apps, read."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.marathon.api.app_definition import Rules, changed_app, new_app
from mezzo.marathon.api.errors import ApiError
from mezzo.marathon.model.app import (
    App,
)

RULES = Rules(default_network_name="overlay")


def read(**document: Any) -> App:
    return new_app({"id": "/a", "cmd": "sleep 1", **document}, RULES)


def errors(document: Any, before: App | None = None, rules: Rules = RULES) -> dict[str, list[str]]:
    with pytest.raises(ApiError) as raised:
        changed_app(document, before, rules) if before else new_app(document, rules)
    assert raised.value.status == 422
    return {detail["path"]: detail["errors"] for detail in raised.value.body["details"]}


def refused(**document: Any) -> dict[str, list[str]]:
    return errors({"id": "/a", "cmd": "sleep 1", **document})


BRIDGED = {"type": "DOCKER", "docker": {"image": "busybox"}, "portMappings": []}
