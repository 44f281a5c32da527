"""A key of the API's JSON, declared at the field of the record that holds its value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JsonKey:
    """In a field's annotation: users write and read the field under this key.

    Key, type, bounds and default of the document, reading and showing are derived from the field
    (`marathon.api.record_keys`). by_rule: a rule reads it, and maybe another form in the document,
    which declares it itself. None is not shown, and an empty value only if `shown_empty`.
    """

    name: str
    by_rule: bool = False
    shown_empty: bool = True
