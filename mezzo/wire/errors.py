"""Errors that never leave the wire by their own name. See mezzo/errors.py for the others."""

from __future__ import annotations

from mezzo.errors import BadRequest


class Misfit(BadRequest):
    """What a message holds makes no record. `path` as that of Unencodable."""

    def __init__(self, why: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(f"{'.'.join(path) or 'a text'} {why}")
        self.why = why
        self.path = path
