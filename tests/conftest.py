"""Fixtures that start real parts are plugins, one line each."""

import re
import signal

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.parts.docker_engine",
    "tests.parts.whole_cluster",
    "tests.parts.zookeeper",
    "tests.deep",
]

# Started by nohup we would ignore it, and so would whatever we start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes is a matter of the machine and of what else it does.
settings.register_profile("mezzo", deadline=None, print_blob=True)
settings.load_profile("mezzo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each process of a parallel run must collect the same names, or none of them runs anything."""
    for item in items:
        if re.search(r" at 0x[0-9a-f]+>", item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} is named by an address: give its values `ids`")
