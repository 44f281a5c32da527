"""What reaches a terminal."""

from __future__ import annotations

import ast
import io
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.cli.words.output import echo, plain, print_table, writer_of_bytes

CLI = Path(__file__).parents[3] / "cli"
# The functions themselves; errors are made plain in one place.
MAY_PRINT = {"output.py", "errors.py"}


@given(st.text())
def test_no_text_can_steer_a_terminal(text: str) -> None:
    shown = plain(text)
    shown.encode()
    kinds = {unicodedata.category(char) for char in shown if char != "\t"}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    directions = {unicodedata.bidirectional(char) for char in shown}
    assert not directions & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    if text.isprintable():
        assert shown == text


def test_an_escape_is_shown_as_what_it_is() -> None:
    assert plain("a\x1b[2Jb\nc\u202e") == "a\\x1b[2Jb\\nc\\u202e"


def test_a_line_and_a_cell_stay_one(capsys: pytest.CaptureFixture[str]) -> None:
    echo("a\nb\x1b[1m")
    print_table(["NAME"], [["x\ny\x1b]0;title\x07"]], empty="")
    line, _, cell = capsys.readouterr().out.splitlines()
    assert line == "a\\nb\\x1b[1m"
    assert cell.strip() == "x\\ny\\x1b]0;title\\x07"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(
    st.lists(st.binary(max_size=8) | st.sampled_from([b"\x1b[31m", b"\x1b[2J", b"a\n", b"\x9b"]))
)
def test_a_log_on_a_terminal_has_colours_and_lines_and_no_more(pieces: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        screen = Terminal()
        patch.setattr(sys, "stdout", screen)
        write = writer_of_bytes()
        for piece in pieces:
            write(piece)
    left = re.sub(r"\x1b\[[0-9;]*m|[\r\n]", "", screen.getvalue())
    assert plain(left) == left
    whole = b"".join(pieces)
    if whole.isascii() and whole.decode().isprintable():
        assert screen.getvalue() == whole.decode()


def test_a_colour_in_two_pieces_is_one() -> None:
    with pytest.MonkeyPatch.context() as patch:
        screen = Terminal()
        patch.setattr(sys, "stdout", screen)
        write = writer_of_bytes()
        for piece in (b"a\x1b", b"[3", b"1mred\x1b[0m\n\x1b]0;x\x07\n"):
            write(piece)
    assert screen.getvalue() == "a\x1b[31mred\x1b[0m\n\\x1b]0;x\\x07\n"


@pytest.mark.parametrize(
    "path", sorted(p for p in CLI.rglob("*.py") if p.name not in MAY_PRINT), ids=lambda p: p.stem
)
def test_commands_print_through_echo_alone(path: Path) -> None:
    """Whoever prints otherwise would have to make plain himself what comes from the cluster."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls}
    assert not names & {"print", "click.echo", "click.secho", "click.confirm", "click.prompt"}
