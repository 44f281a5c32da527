"""A framework's asyncio stream to the leading master, in records: for schedulers with own loops.

Most frameworks want `SchedulerDriver` instead: callbacks, no asyncio.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.election.detector import detector_for
from mezzo.ids import ConnId
from mezzo.messages.scheduler import Event
from mezzo.wire.clients import scheduler_link


class SchedulerLink(scheduler_link.SchedulerLink):
    """Follows the leader named by `master`: `zk://...`, or `host:port` of a master's gRPC server.

    The owner sends `Subscribe` first whenever `on_up` reports a connection, and sets `framework_id`
    once SUBSCRIBED told it: it goes into every later call.
    """

    def __init__(
        self,
        master: str,
        *,
        on_up: Callable[[ConnId], None],
        on_event: Callable[[ConnId, int, Event], None],
        on_down: Callable[[ConnId], None],
        name: str,
    ) -> None:
        super().__init__(
            detector_for(master), on_up=on_up, on_event=on_event, on_down=on_down, name=name
        )
