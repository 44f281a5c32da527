"""Errors that never leave the HTTP server. See mezzo/errors.py for the others."""

from __future__ import annotations

from mezzo.errors import MezzoError


class RequestRefused(MezzoError):
    """Answered with `status` and the text; then the connection is closed."""

    def __init__(self, status: int, text: str, *fields: tuple[str, str]) -> None:
        super().__init__(text)
        self.status = status
        self.fields = fields
