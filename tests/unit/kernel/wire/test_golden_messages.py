"""Every release reads what the releases before have sent: see tests/golden."""

from __future__ import annotations

import base64
import json

import pytest

import mezzo
from mezzo.record import encode
from tests.golden import kept

CASES = [
    (version, name) for version in kept.releases() for name in kept.of_release(version)["wire"]
]


def test_all_messages_of_this_release_are_kept() -> None:
    assert kept.missing() == {}, "run python -m tests.golden"


@pytest.mark.parametrize(("version", "name"), CASES)
def test_a_message_says_what_it_said_when_it_was_kept(version: str, name: str) -> None:
    case = kept.of_release(version)["wire"][name]
    data = base64.b64decode(case["sent"])
    message = kept.read(name, data)
    assert message is not None
    assert not kept.lost(case["says"], json.loads(encode(message)))
    if version == mezzo.__version__:
        assert kept.sent(name, message) == data
