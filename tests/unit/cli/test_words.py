"""What errors tell people to type can be typed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import mezzo
from mezzo.cli.main import cli
from mezzo.wire.v1 import operator_pb2

ROOT = Path(mezzo.__file__).parent.parent
FOLDERS = ("mezzo", "master", "agent", "marathon", "web", "cli", "frameworks")
CALLS = re.compile(
    "|".join(name for name in operator_pb2.Call.Type.keys() if "_" in name)  # noqa: SIM118 - protobuf's
)


def texts(*folders: str) -> Iterator[tuple[str, str]]:
    """All string literals, and where each is: with docstrings, which are help of commands."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def test_every_command_that_is_named_exists() -> None:
    named = [
        (place, words)
        for place, text in texts(*FOLDERS)
        for words in re.findall(r"`mezzo ([^`]*)", text)
    ]
    assert len(named) > 40
    for place, words in named:
        assert unknown(words) is None, f"{place}: mezzo {words}"


def unknown(words: str) -> str | None:
    """The first word that is no command where one has to be."""
    command: click.Command = cli
    context = click.Context(cli)
    for word in words.split():
        if not isinstance(command, click.Group):
            return None
        if word.startswith("-") or word == "..." or word.isupper():
            return None
        found = command.get_command(context, word.strip(",:"))
        if found is None:
            return word
        command = found
    return None


@pytest.mark.parametrize("words", ["mesos", "agent lsit", "app --marathon x"])
def test_the_test_itself_knows_what_exists(words: str) -> None:
    assert (unknown(words) is None) == (words == "app --marathon x")


def test_refusals_of_the_master_speak_of_commands_not_of_calls() -> None:
    """Operators type `mezzo agent list`; GET_AGENTS is for programs, which know what they sent."""
    for path in sorted((ROOT / "master").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise):
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        assert not CALLS.search(part.value), f"{path}:{part.lineno}"
