"""App definitions as files or arguments, read strictly: Marathon drops what it does not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from mezzo.json_types import Json, JsonValue
from mezzo.units import json_depth_problem

from ..words import files
from ..words.errors import Wrong


def read_definition(file: Path, *, allow_unknown: bool = False) -> Json:
    """The app in a file, "-" for the standard input. Raises Wrong, also for unknown keys."""
    shown = files.shown(file)
    try:
        definition = parse(files.read(file))
    except ValueError as error:
        raise Wrong(f"{shown} is no JSON: {error}") from error
    if not isinstance(definition, dict):
        raise Wrong(f"{shown} holds no JSON object: write one app, {{...}}")
    if not allow_unknown:
        check_keys(shown, definition)
    return definition


def check_keys(place: str, definition: Json) -> None:
    """Raises Wrong for keys that Marathon would drop without a word to us."""
    from mezzo.marathon.api.app_definition import AppDocument

    if unknown := AppDocument(definition).unknown_keys:
        keys = "a key that does not exist" if len(unknown) == 1 else "keys that do not exist"
        raise Wrong(
            f"{place} has {keys}: {', '.join(unknown)}. Mend it, or send it as it is with "
            "--allow-unknown"
        )


def value_of(text: str) -> object:
    """The value of a text: its JSON, or else the text itself."""
    try:
        return parse(text.encode())
    except ValueError:
        return text


def parse(data: bytes) -> JsonValue:
    """JSON as the standard has it, and no key twice. Raises ValueError."""
    if (why := json_depth_problem(data)) is not None:
        raise ValueError(f"it {why}")
    return json.loads(data, object_pairs_hook=_object, parse_constant=_no_number)


def _object(pairs: list[tuple[str, Any]]) -> Json:
    found: Json = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands twice in one object")
        found[key] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")
