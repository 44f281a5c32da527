"""Parts of every route: query, body, answer."""

from __future__ import annotations

import gzip
from typing import Final

import orjson
from flask import Response, request

from mezzo.json_types import JsonValue
from mezzo.units import json_depth_problem

from ..commands import Deployed
from ..model.timestamps import format_ms
from .errors import not_json

_GZIP_MIN_BYTES: Final = 1024
_GZIP_LEVEL: Final = 4
HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
}


def flag(name: str, *, default: bool = False) -> bool:
    """A boolean of the query: the word `true`, in any case. A bare `?name` is false."""
    value = request.args.get(name)
    return default if value is None else value.lower() == "true"


def body() -> JsonValue:
    """The request's JSON. Raises ApiError (400), also if it is nested too deeply."""
    data = request.get_data()
    if (problem := json_depth_problem(data)) is not None:
        raise not_json(f"the document {problem}")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise not_json(str(error)) from None


def answer(value: JsonValue, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers=headers, content_type="application/json")


def deployment_header(deployed: Deployed) -> dict[str, str]:
    return {"Marathon-Deployment-Id": deployed.deployment_id}


def deployment_answer(
    deployed: Deployed, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The answer to a request that has started a deployment."""
    return answer(
        {"version": format_ms(deployed.version_ms), "deploymentId": deployed.deployment_id},
        status,
        deployment_header(deployed) | (headers or {}),
    )


def text(value: str, status: int = 200) -> Response:
    return Response(value, status, content_type="text/plain; charset=utf-8")


def compressed(response: Response) -> Response:
    """gzip a long answer, for clients that take it."""
    if (
        response.is_streamed
        or "gzip" not in request.headers.get("Accept-Encoding", "")
        or "Content-Encoding" in response.headers
    ):
        return response
    data = response.get_data()
    if len(data) >= _GZIP_MIN_BYTES:
        response.set_data(gzip.compress(data, _GZIP_LEVEL))
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    return response


def accepts(kind: str) -> bool:
    """Does the client prefer this type to JSON?"""
    best = request.accept_mimetypes.best_match([kind, "application/json"])
    return best == kind and kind in request.headers.get("Accept", "")
