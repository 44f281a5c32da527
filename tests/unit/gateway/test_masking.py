"""What the page is not told of apps."""

from __future__ import annotations

import json

import pytest

from mezzo.gateway.page.masking import masked


def test_environments_and_secrets_are_masked_wherever_they_stand() -> None:
    app = {
        "id": "/a",
        "env": {"PASSWORD": "hunter2", "X": {"secret": "s0"}},
        "labels": {"DB_PASSWORD": "hunter2", "owner": "me", "api-key": "hunter2"},
        "container": {"docker": {"parameters": [{"key": "env", "value": "A=1"}]}},
        "secrets": {"s0": {"source": "/db"}},
        "privileged": False,
    }
    for document in (app, {"apps": [app]}, {"queue": [{"app": app}]}, [[app]]):
        text = masked(json.dumps(document).encode())
        assert b"hunter2" not in text
        assert b"PASSWORD" in text
        assert b'"me"' in text
    shown = json.loads(masked(json.dumps(app).encode()))
    assert shown["env"] == {"PASSWORD": "***", "X": "***"}
    assert shown["secrets"] == app["secrets"]
    assert shown["privileged"] is False


@pytest.mark.parametrize("bad", [b"", b"<html>", b"[" * 5000 + b"]" * 5000, b"\xff"])
def test_what_is_no_document_is_refused(bad: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any: who asks says what it was
        masked(bad)
