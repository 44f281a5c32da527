"""JSON that was parsed, or is to be written. No type of its own for each level: a checker would ask
for a cast at every step into a document, whose shape is checked where it comes in."""

from __future__ import annotations

from typing import Any

JsonValue = Any
Json = dict[str, JsonValue]  # an object, by its keys
