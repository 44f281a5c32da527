"""Errors form one tree, which `mezzo/errors.py` draws."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import mezzo.errors
from mezzo.errors import MezzoError

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("mezzo", "master", "agent", "frameworks", "marathon", "gateway", "relay", "sim", "cli")

# Whoever calls a library's function or click catches these; a verdict of the simulator is raised
# where the run ends.
OF_OTHERS = ("OSError", "ValueError", "ClickException")
DRAWN = re.compile(r"^((?:│   |    )*)(?:├── |└── )?([A-Z]\w+)(?:  |$)")


def modules() -> Iterator[str]:
    """All modules of mezzo but those that run and those that are generated."""
    for top in TOPS:
        for file in sorted((ROOT / top).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            if parts[-1] not in ("__init__", "__main__") and parts[:3] != ("mezzo", "wire", "v1"):
                yield ".".join(parts if top == "mezzo" else ("mezzo", *parts))


@cache
def public_errors() -> tuple[type[BaseException], ...]:
    """Every exception class without a `_` that any module of mezzo defines."""
    found: dict[type[BaseException], None] = {}
    for module in modules():
        for each in vars(importlib.import_module(module)).values():
            if inspect.isclass(each) and issubclass(each, BaseException):
                ours = each.__module__ == module and not each.__name__.startswith("_")
                if ours and not issubclass(each, AssertionError):
                    found[each] = None
    return tuple(found)


def drawn() -> Iterator[tuple[str, str]]:
    """(error, what it derives from), as the docstring of mezzo/errors.py shows it."""
    above: list[str] = []
    for line in (mezzo.errors.__doc__ or "").splitlines()[2:]:
        if not line:
            return
        match = DRAWN.match(line)
        assert match is not None, line
        branch = "── " in line
        depth = len(match[1]) // 4 + branch
        above = [*above[:depth], match[2]]
        if branch:
            yield match[2], above[-2]


def test_errors_stand_in_an_errors_module() -> None:
    assert len(public_errors()) > 30
    assert [e for e in public_errors() if e.__module__.rsplit(".", 1)[-1] != "errors"] == []


def test_an_error_is_one_of_mezzos_unless_others_catch_it_by_another_name() -> None:
    others = {e.__name__ for e in public_errors() if not issubclass(e, MezzoError)}
    for error in public_errors():
        if error.__name__ in others:
            assert error.__bases__[0].__name__ in {*OF_OTHERS, *others}, error


def test_each_error_has_a_name_of_its_own_and_says_what_it_means() -> None:
    names = Counter(error.__name__ for error in public_errors())
    assert [name for name, count in names.items() if count > 1] == []
    assert [error for error in public_errors() if not error.__doc__] == []


def test_the_drawing_is_the_tree() -> None:
    tree = {
        (error.__name__, error.__bases__[0].__name__)
        for error in public_errors()
        if error.__module__ == "mezzo.errors" and error is not MezzoError
    }
    assert sorted(drawn()) == sorted(tree)
