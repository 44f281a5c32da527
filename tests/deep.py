"""`--examples-times N`: every property and state machine with N times its examples.

The usual number is what a run of all tests has time for; `make deep` takes its time.
"""

from __future__ import annotations

import unittest
from typing import Any

import pytest
from hypothesis import HealthCheck, settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--examples-times",
        type=int,
        default=1,
        help="every hypothesis test with so many times its examples",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    times = config.getoption("--examples-times")
    if times == 1:
        return
    deepened: set[type] = set()
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        owner: Any = item.cls
        if owner is not None and issubclass(owner, unittest.TestCase):  # a state machine's
            if owner not in deepened and isinstance(getattr(owner, "settings", None), settings):
                deepened.add(owner)
                owner.settings = _times(owner.settings, times)
        elif getattr(item.obj, "is_hypothesis_test", False):
            test = getattr(item.obj, "__func__", item.obj)
            usual = getattr(test, "_hypothesis_internal_use_settings", None) or settings.default
            test._hypothesis_internal_use_settings = _times(usual, times)


def _times(usual: settings, times: int) -> settings:
    return settings(
        usual,
        max_examples=usual.max_examples * times,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
