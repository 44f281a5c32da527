"""Deployments, the queue, and Marathon's words on itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from mezzo import BUILD

from ..commands import CancelDeployment, Deployed, Done, DropAside, QueueRead, ReadQueue, ResetDelay
from .errors import message
from .leadership import Node, Term, refusal
from .render import aside_json, deployment_json, queue_item_json
from .route_parts import accepts, answer, deployment_answer, flag, text

# Clients compare it: the API is that of this version.
MARATHON_VERSION: Final = "1.11.24"


class SystemRoutes:
    def __init__(self, node: Node, term: Callable[[], Term]) -> None:
        self._node = node
        self._term = term

    # ---- deployments and the queue

    def deployments(self) -> Response:
        views = self._term().model.deployments()
        return answer([deployment_json(view) for view in views])

    def cancel(self, deployment_id: str) -> Response:
        result = self._term().ask(CancelDeployment(deployment_id, flag("force")))
        if isinstance(result, Deployed):
            return deployment_answer(result)
        if isinstance(result, Done):  # also without force, where nobody knows what there was before
            return Response(status=202)
        raise refusal(result)

    def queue(self) -> Response:
        items = self._term().do(ReadQueue(), QueueRead).items
        with_offers = "lastUnusedOffers" in request.args.getlist("embed")
        return answer({"queue": [queue_item_json(item, with_offers=with_offers) for item in items]})

    def reset_delay(self, app_id: str) -> Response:
        self._term().do(ResetDelay(f"/{app_id}"), Done)
        return Response(status=204)

    # ---- stored records that could not be loaded

    def quarantine(self) -> Response:
        """The list, or the end of one record: `?key=`, since a key may hold two slashes in a row,
        of which paths keep one.
        """
        term = self._term()
        if request.method != "DELETE":
            return answer({"quarantine": [aside_json(each) for each in term.model.aside()]})
        key = request.args.get("key")
        if not key:
            raise message(400, "Say which record: ?key=KEY, as /v2/quarantine lists it.")
        term.do(DropAside(key), Done)
        return Response(status=204)

    # ---- Marathon itself

    def info(self) -> Response:
        node, term = self._node, self._term()
        return answer(
            {
                "name": "marathon",
                "version": MARATHON_VERSION,
                "buildref": BUILD,
                "elected": True,
                "leader": node.address,
                "frameworkId": term.framework_id,
                "marathon_config": node.settings,
                "zookeeper_config": node.zookeeper_settings,
                "http_config": node.http_settings,
            }
        )

    def leader(self) -> Response:
        if request.method == "DELETE":
            self._node.abdicate()
            return answer({"message": "Leadership abdicated"})
        return answer({"leader": self._node.address})

    def ping(self) -> Response:
        accept = request.headers.get("Accept", "*/*")
        if "text/plain" in accept or "*/*" in accept or "text/*" in accept:
            return text("pong")
        if "application/json" in accept:
            return answer("pong")
        return Response(status=204)

    def metrics(self) -> Response:
        if accepts("text/plain"):
            return self.prometheus()
        return answer(self._term().metrics.as_json())

    def prometheus(self) -> Response:
        registry = CollectorRegistry()
        registry.register(self._term().metrics)
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    # ---- the event stream

    def events(self) -> Response:
        if "text/event-stream" not in request.headers.get("Accept", ""):
            return text("ask with the header Accept: text/event-stream", 405)
        if request.method == "HEAD":
            return Response(content_type="text/event-stream")
        types = frozenset(request.args.getlist("event_type"))
        stream = self._term().hub.attach(types, request.remote_addr or "unknown")
        if stream is None:
            raise message(503, "Too many event streams are open: close some, or retry later.")
        return Response(stream, content_type="text/event-stream", direct_passthrough=True)
