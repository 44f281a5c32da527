"""A framework's asyncio stream to the leading master, in records: for schedulers with own loops.

Most frameworks want `mezzo.frameworks.sdk.driver` instead: callbacks, no asyncio.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.election.detector import detector_for
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages.scheduler import Event
from mezzo.wire import clients


class SchedulerLink(clients.SchedulerLink):
    """Follows the leader named by `master`: `zk://...`, or `host:port` of a master's gRPC server.

    The owner sends `Subscribe` first whenever `on_up` reports a connection.
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

    def set_framework_id(self, framework_id: FrameworkId) -> None:
        """Call it once SUBSCRIBED told the id: it goes into every later call."""
        self.framework_id = framework_id
