"""Refusals as the API words them (section 1 of the API's description: status and body)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mezzo.errors import MezzoError

VIOLATIONS_MAX: Final = 100
_PATH_MAX_CHARS: Final = 300


class ApiError(MezzoError):
    """Answered with `status` and `body`."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body.get('message', '')}")
        self.status = status
        self.body = body

    def below(self, path: str) -> ApiError:
        """The same error about a part of a larger document, which is at `path`."""
        details = self.body.get("details")
        if not isinstance(details, list):
            return self
        placed = [
            {**each, "path": path + (each["path"] if each["path"] != "/" else "")}
            for each in details
        ]
        return ApiError(self.status, {**self.body, "details": placed})


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong at `path`: `/container/docker/image`, `/constraints(0)`, `/` for the whole."""

    path: str
    error: str


def message(status: int, text: str) -> ApiError:
    return ApiError(status, {"message": text})


def not_json(parser_text: str) -> ApiError:
    return ApiError(400, {"message": "Invalid JSON", "details": parser_text})


def wrong_shape(violations: Sequence[Violation]) -> ApiError:
    return ApiError(422, {"message": "Invalid JSON", "details": _details(violations)})


def not_valid(violations: Sequence[Violation]) -> ApiError:
    return ApiError(422, {"message": "Object is not valid", "details": _details(violations)})


def _details(violations: Sequence[Violation]) -> list[dict[str, Any]]:
    """Violations by path. Paths hold a client's words, so both count and length are bounded."""
    by_path: dict[str, list[str]] = {}
    for violation in violations[:VIOLATIONS_MAX]:
        by_path.setdefault(_shortened(violation.path), []).append(violation.error)
    if (more := len(violations) - VIOLATIONS_MAX) > 0:
        by_path.setdefault("/", []).append(f"and {more} more")
    return [{"path": path, "errors": errors} for path, errors in by_path.items()]


def _shortened(path: str) -> str:
    return path if len(path) <= _PATH_MAX_CHARS else f"{path[:_PATH_MAX_CHARS]}…"


def locked(deployment_ids: Iterable[str]) -> ApiError:
    return ApiError(
        409,
        {
            "message": "App is locked by one or more deployments. Override with the option "
            "'?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
            "deployments": [{"id": deployment_id} for deployment_id in deployment_ids],
        },
    )
