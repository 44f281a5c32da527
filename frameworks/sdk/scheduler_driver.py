"""Runs a `Scheduler`: connects, subscribes, follows the leader, delivers callbacks, sends calls."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from mezzo.cluster.model import FrameworkInfo
from mezzo.ids import ConnId
from mezzo.messages import scheduler as m
from mezzo.process.log import get_logger
from mezzo.record import replace

from .driver import Driver
from .scheduler import Scheduler
from .scheduler_link import SchedulerLink

_TEARDOWN_S: Final = 5.0
_UPDATE: Final = "UPDATE_FRAMEWORK"


class SchedulerDriver(Driver):
    """Thread-safe. One thread does I/O, another runs the scheduler's callbacks.

    `master` is `zk://...` or `host:port` of a master's gRPC server. With
    `implicit_acknowledgements` an update is acknowledged once `status_update` has returned without
    an exception; otherwise call `acknowledge_status_update`. A callback that raises stops the
    driver; `join` raises it again. So does what keeps the driver from running at all.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        framework: FrameworkInfo,
        master: str,
        *,
        implicit_acknowledgements: bool = True,
    ) -> None:
        self._scheduler = scheduler
        self._framework = framework
        self._master = master
        self._implicit = implicit_acknowledgements
        self._log = get_logger(framework.name)
        self._callbacks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._io = threading.Thread(target=self._run_io, name="scheduler driver", daemon=True)
        self._caller = threading.Thread(target=self._run_callbacks, name="scheduler", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._main: asyncio.Task[None] | None = None
        self._link: SchedulerLink | None = None
        self._conn: ConnId | None = None
        self._epoch = 0
        self._updates: deque[FrameworkInfo] = deque()  # on their way to the master
        self._subscribed = False
        self._tearing_down = False
        self._stopped = False  # by `stop`: no callback follows
        self._failure: BaseException | None = None

    # ---- life

    def start(self) -> None:
        self._io.start()
        self._caller.start()
        self._ready.wait()

    def stop(self, *, failover: bool = False) -> None:
        """See `Driver`."""
        self._stopped = True
        if not failover and self._io.is_alive():
            self._post(self._tear_down)
            self._io.join(_TEARDOWN_S)
        self._end()

    def join(self) -> None:
        """Wait until the driver has stopped. Raises what a callback raised."""
        self._caller.join()
        self._io.join()
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        """`start` and `join`."""
        self.start()
        self.join()

    @property
    def framework_info(self) -> FrameworkInfo:
        return self._framework

    # ---- calls

    def _call(self, call: m.Call) -> None:
        self._post(lambda: self._send(call))

    def _post(self, action: Callable[[], None]) -> None:
        """Run an action on the loop, unless that has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(action)

    # ---- the I/O thread

    def _run_io(self) -> None:
        try:
            asyncio.run(self._io_main())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()
            self._callbacks.put(None)

    async def _io_main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._link = SchedulerLink(
            self._master,
            on_up=self._on_up,
            on_event=self._on_event,
            on_down=self._on_down,
            name=self._framework.name,
        )
        self._main = asyncio.create_task(self._link.run())
        self._ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._main

    def _end(self) -> None:
        self._post(self._cancel_main)

    def _cancel_main(self) -> None:
        if self._main is not None:
            self._main.cancel()

    def _send(self, call: m.Call) -> None:
        if self._link is not None and self._conn is not None and self._subscribed:
            if isinstance(call, m.UpdateFramework):
                self._updates.append(call.framework_info)
            self._link.send(self._conn, call)

    def _tear_down(self) -> None:
        if not self._subscribed:
            self._cancel_main()
            return
        self._tearing_down = True
        self._send(m.Teardown())  # the master ends the stream: see _on_down

    def _on_up(self, conn: ConnId) -> None:
        assert self._link is not None
        self._conn = conn
        self._link.framework_id = self._framework.id
        self._link.send(conn, m.Subscribe(self._framework))

    def _on_down(self, conn: ConnId) -> None:
        self._conn = None
        self._updates.clear()
        was_subscribed, self._subscribed = self._subscribed, False
        if self._tearing_down:
            self._cancel_main()
        elif was_subscribed:
            self._callbacks.put(lambda: self._scheduler.disconnected(self))

    def _on_event(self, conn: ConnId, epoch: int, event: m.Event) -> None:
        assert self._link is not None
        if epoch < self._epoch:
            # It comes from a deposed leader, or from a cluster made anew, without this scheduler.
            self._log.warning("master.deposed", epoch=epoch, seen=self._epoch)
            self._link.close(conn)
            return
        self._epoch = epoch
        if isinstance(event, m.Subscribed):
            self._on_subscribed(event)
        elif isinstance(event, m.Error):
            message = event.message
            self._log.error("framework.refused", reason=message)
            self._callbacks.put(lambda: self._scheduler.error(self, message))
            self._cancel_main()
        elif not isinstance(event, m.Heartbeat):
            if isinstance(event, m.Answered) and event.call == _UPDATE and self._updates:
                info = self._updates.popleft()
                if event.refusal is None:
                    self._framework = info  # as it subscribes from now on
            self._callbacks.put(lambda: self._deliver(event))

    def _on_subscribed(self, event: m.Subscribed) -> None:
        assert self._link is not None
        first = self._framework.id is None
        self._framework = replace(self._framework, id=event.framework_id)
        self._link.framework_id = event.framework_id
        self._subscribed = True
        if first:
            self._callbacks.put(
                lambda: self._scheduler.registered(self, event.framework_id, event.master_info)
            )
        else:
            self._callbacks.put(lambda: self._scheduler.reregistered(self, event.master_info))

    # ---- the scheduler's thread

    def _run_callbacks(self) -> None:
        while (callback := self._callbacks.get()) is not None:
            if self._stopped:
                continue
            try:
                callback()
            except BaseException as error:
                self._failure = error
                self._end()
                return

    def _deliver(self, event: m.Event) -> None:
        scheduler = self._scheduler
        match event:
            case m.Offers(offers=offers):
                scheduler.resource_offers(self, list(offers))
            case m.Rescind(offer_id=offer_id):
                scheduler.offer_rescinded(self, offer_id)
            case m.Update(status=status):
                scheduler.status_update(self, status)
                if self._implicit:
                    self.acknowledge_status_update(status)
            case m.UpdateOperationStatus(status=operation_status):
                scheduler.operation_update(self, operation_status)
                if self._implicit:
                    self.acknowledge_operation_update(operation_status)
            case m.InverseOffers(inverse_offers=inverse_offers):
                scheduler.inverse_offers(self, list(inverse_offers))
            case m.RescindInverseOffer(inverse_offer_id=offer_id):
                scheduler.inverse_offer_rescinded(self, offer_id)
            case m.Answered(call=call, refusal=refusal) if refusal is not None:
                self._log.warning("call.refused", call=call, reason=refusal)
                scheduler.call_refused(self, call, refusal)
            case m.Message(agent_id=agent_id, executor_id=executor_id, data=data):
                scheduler.framework_message(self, agent_id, executor_id, data)
            case m.Failure(agent_id=agent_id, executor_id=None) if agent_id is not None:
                scheduler.agent_lost(self, agent_id)
            case m.Failure(agent_id=agent_id, executor_id=executor_id, status=status):
                if agent_id is not None and executor_id is not None:
                    code = -1 if status is None else status
                    scheduler.executor_lost(self, agent_id, executor_id, code)
            case _:
                pass  # a later version's event
