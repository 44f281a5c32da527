"""Marathon's process: election, store, core, the stream to the master, and the HTTP API."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from mezzo.election.detector import detector_for, election_for
from mezzo.election.known_leader import KnownLeader
from mezzo.errors import Fenced, LeadershipLost, MezzoError, StoreUnavailable
from mezzo.frameworks.sdk.scheduler_link import SchedulerLink
from mezzo.http.server import HttpServer, raise_open_files
from mezzo.http.web_guard import hosts_of_machine
from mezzo.ids import ConnId, FrameworkId, IdSource
from mezzo.messages import scheduler as m
from mezzo.process.daemon import restart
from mezzo.process.log import Sparing, get_logger
from mezzo.process.term import lead
from mezzo.process.users import current_user
from mezzo.runtime import Runtime
from mezzo.store.base import StateStore
from mezzo.store.open import open_store
from mezzo.units import BODY_MAX_BYTES
from mezzo.zk.address import LATCH_PREFIX, parse_zk_address

from ..api.app_definition import Rules
from ..api.event_stream import EventStream
from ..api.leadership import Node, Term
from ..api.metrics import Metrics
from ..api.routes import make_api
from ..config import MarathonConfig
from ..core import MarathonCore
from ..effects import (
    Abort,
    Call,
    CallRefused,
    Effect,
    Faulted,
    Launched,
    Publish,
    Ready,
    Registered,
    Reply,
    ShowApp,
    ShowAside,
    ShowDeployment,
    ShowInstance,
    StandBy,
    StartHealthCheck,
    StopHealthChecks,
    UpdateDenied,
)
from ..events import Event, HealthResult, LinkDown, LinkUp, MasterEvent, Started
from ..health.probe import Checker
from ..options import MarathonOptions
from .news_log import NewsLog

_ABDICATE_AFTER_S: Final = 0.5
_HTTP_THREADS: Final = 24  # answers at the same time


async def run_marathon(options: MarathonOptions) -> int:
    """Run until cancelled. A lost term replaces the process by a fresh standby."""
    await asyncio.to_thread(options.work_dir.mkdir, parents=True, exist_ok=True)
    where = _election_place(options)
    stop_leading = asyncio.Event()
    session_s = options.zk_session_timeout_s
    known = KnownLeader(
        detector_for(where, prefix=LATCH_PREFIX, session_timeout_s=session_s), bytes.decode
    )
    node, server = await _serve(options, lambda: known.address, stop_leading)
    known.start()
    election = election_for(
        where, node.address.encode(), prefix=LATCH_PREFIX, session_timeout_s=session_s
    )
    shells: list[MarathonShell] = []

    def begin(epoch: int, stored: Mapping[str, bytes]) -> Runtime[Event]:
        shells.append(MarathonShell(options, store, node, epoch, stored, stop_leading))
        return shells[0].runtime

    try:
        store = open_store(_store_url(options))
        await lead(election, store, begin, name="marathon")
    except (Fenced, LeadershipLost, StoreUnavailable) as error:
        restart(str(error))
    finally:
        await asyncio.to_thread(known.stop)
        for shell in shells:
            await shell.close()
        await asyncio.to_thread(server.stop)
    return 0


async def _serve(
    options: MarathonOptions, leader: Callable[[], str | None], stop_leading: asyncio.Event
) -> tuple[Node, HttpServer]:
    loop = asyncio.get_running_loop()

    def abdicate() -> None:  # from an HTTP thread, whose answer has to get out first
        loop.call_soon_threadsafe(loop.call_later, _ABDICATE_AFTER_S, stop_leading.set)

    node = Node(
        address=f"{options.hostname}:{options.http_port}",
        rules=Rules(_config(options).mesos_role, options.default_network_name),
        settings=_settings(options),
        zookeeper_settings=_zookeeper_settings(options),
        http_settings={"http_port": options.http_port, "https_port": 8443},
        abdicate=abdicate,
        leader=leader,
    )
    raise_open_files()  # every listener is one
    server = HttpServer(
        make_api(node),
        ip=options.ip,
        port=options.http_port,
        threads=_HTTP_THREADS,
        hosts=hosts_of_machine(options.ip, options.hostname, *options.http_allowed_hosts),
        urgent=("/ping",),
        body_max_bytes=BODY_MAX_BYTES,
    )
    await asyncio.to_thread(server.start)
    if options.http_port == 0:
        node.address = f"{options.hostname}:{server.port}"
        node.http_settings["http_port"] = server.port
    get_logger("marathon").info("http.listening", address=f"{options.ip}:{server.port}")
    return node, server


class MarathonShell:
    """One term: the core between the master's stream, the store and the API."""

    def __init__(
        self,
        options: MarathonOptions,
        store: StateStore,
        node: Node,
        epoch: int,
        stored: Mapping[str, bytes],
        stop_leading: asyncio.Event,
    ) -> None:
        rng = random.Random()
        self._log = get_logger("marathon")
        self._sparing = Sparing(self._log)  # of lines that a master can cause
        self._node = node
        core = MarathonCore(_config(options), stored, IdSource(rng), rng)
        self.runtime: Runtime[Event] = Runtime(core, store, self.perform)
        self._metrics = Metrics()
        self._news = NewsLog(self._log, self._metrics)
        self._term = Term(
            self.runtime.post,
            lambda: self.runtime.held,
            EventStream(options.event_streams_max),
            self._metrics,
        )
        self._add_gauges()
        self._checker = Checker(self._health_result)
        self._link = SchedulerLink(
            options.master,
            on_up=lambda conn: self.runtime.post(LinkUp(conn)),
            on_event=self._master_said,
            on_down=lambda conn: self.runtime.post(LinkDown(conn)),
            name="marathon",
        )
        self._tasks = [
            asyncio.create_task(self._run_link()),
            asyncio.create_task(self._until_abdicated(stop_leading)),
        ]
        self.runtime.post(Started())

    async def _run_link(self) -> None:
        try:
            await self._link.run()
        except Exception as error:  # noqa: BLE001 - crash-only: without the link nothing works
            self.runtime.stop(error)

    async def _until_abdicated(self, stop_leading: asyncio.Event) -> None:
        await stop_leading.wait()
        self.runtime.stop(LeadershipLost("this Marathon was asked to abdicate"))

    async def close(self) -> None:
        """The term is over; the core steps no more."""
        self._node.term = None
        self._term.end()
        self._checker.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- what comes in

    def _master_said(self, conn: ConnId, epoch: int, event: m.Event) -> None:
        if isinstance(event, m.Offers):
            self._metrics.count("marathon.mesos.offers.incoming.counter", len(event.offers))
        elif isinstance(event, m.Update):
            state = event.status.state.value.lower()
            self._metrics.count(f"marathon.mesos.task-updates.{state}.counter")
        self.runtime.post(MasterEvent(conn, epoch, event))

    def _health_result(self, result: HealthResult) -> None:
        self.runtime.post(result)

    # ---- what goes out

    def perform(self, effect: Effect) -> None:
        match effect:
            case ShowApp() | ShowInstance() | ShowDeployment():
                self._term.model.apply(effect)
            case ShowAside(key, aside):
                self._term.model.apply(effect)
                if aside is not None:
                    self._log.error(
                        "record.set_aside", key=key, app=aside.app_id, reason=aside.reason
                    )
            case Reply(request_id, result):
                self._term.replied(request_id, result)
            case Call(conn, call):
                self._link.send(conn, call)
                self._count_call(call)
            case Publish():
                self._term.publish(effect)
                self._news.tell(effect.news)
            case Faulted(app_id, fault, news):
                self._metrics.count("marathon.apps.faults.counter")
                if news:
                    self._log.error("app.fault", app=app_id, fault=fault)
            case UpdateDenied(task_id, agent_id, status):
                self._sparing.warning(
                    "update.denied", task=task_id, agent=agent_id, state=status.value
                )
            case CallRefused(call, reason):
                self._metrics.count("marathon.mesos.calls.refused.counter")
                self._sparing.warning("call.refused", call=call, reason=reason)
            case Registered(framework_id):
                self._registered(framework_id)
            case StartHealthCheck():
                self._checker.start(effect)
            case StopHealthChecks(instance_id):
                self._checker.stop(instance_id)
            case Launched(app_id, task_id, agent_id):
                self._log.info("instance.launched", app=app_id, task=task_id, agent=agent_id)
            case Ready():
                self._node.term = self._term
            case StandBy(reason):
                self.runtime.stop(LeadershipLost(f"another has taken over: {reason}"))
            case Abort(reason):
                self.runtime.stop(MezzoError(f"the master refuses this framework: {reason}"))
            case _:
                raise AssertionError(f"the runtime performs {effect!r}")

    def _registered(self, framework_id: FrameworkId) -> None:
        self._term.framework_id = framework_id
        self._link.framework_id = framework_id

    def _count_call(self, call: m.Call) -> None:
        count = self._metrics.count
        match call:
            case m.Accept(offer_ids, operations):
                count("marathon.mesos.offers.used.counter", len(offer_ids))
                for operation in operations:
                    launched = len(getattr(operation, "task_infos", ()))
                    count("marathon.tasks.launched.counter", launched)
                    count("marathon.mesos.offer-operations.launch.counter")
            case m.Decline(offer_ids):
                count("marathon.mesos.offers.declined.counter", len(offer_ids))
            case m.Revive():
                count("marathon.mesos.calls.revive.counter")
            case m.Suppress():
                count("marathon.mesos.calls.suppress.counter")

    # ---- numbers

    def _add_gauges(self) -> None:
        model, gauge = self._term.model, self._metrics.gauge
        started_s = time.monotonic()
        gauge("marathon.apps.active.gauge", lambda: len(model.apps()))
        gauge("marathon.deployments.active.gauge", lambda: len(model.deployments()))
        gauge(
            "marathon.instances.running.gauge",
            lambda: sum(model.counts(view.app.id).running for view in model.apps()),
        )
        gauge(
            "marathon.instances.staged.gauge",
            lambda: sum(model.counts(view.app.id).staged for view in model.apps()),
        )
        gauge("marathon.quarantine.gauge", lambda: len(model.aside()))
        gauge("marathon.http.event-streams.active", lambda: self._term.hub.count)
        gauge("marathon.leadership.duration.gauge.seconds", lambda: time.monotonic() - started_s)
        gauge("marathon.uptime.gauge.seconds", lambda: time.monotonic() - self._node.started_s)


# ---------------------------------------------------------------------------------- settings


def _election_place(options: MarathonOptions) -> str:
    if options.zk is None:
        return f"solo:{(options.work_dir / 'marathon.lock').resolve()}"
    return options.zk.rstrip("/") + "/leader-curator"


def _store_url(options: MarathonOptions) -> str:
    if options.zk is None:
        return f"sqlite:{(options.work_dir / 'marathon.db').resolve()}"
    return options.zk.rstrip("/") + "/state"


def _config(options: MarathonOptions) -> MarathonConfig:
    return options.core.completed(
        framework_user=options.mesos_user or current_user(),
        hostname=options.hostname,
        webui_url=f"http://{options.hostname}:{options.http_port}",
    )


def _settings(options: MarathonOptions) -> dict[str, Any]:
    """`marathon_config` of /v2/info: exactly the keys that clients know. Times in ms."""
    core = _config(options)
    master = (
        str(parse_zk_address(options.master))
        if options.master.startswith("zk://")
        else (options.master)
    )
    return {
        "access_control_allow_origin": None,
        "checkpoint": core.checkpoint,
        "decline_offer_duration": _ms(core.decline_offer_s),
        "default_network_name": options.default_network_name,
        "env_vars_prefix": core.env_vars_prefix,
        "executor": "//cmd",
        "failover_timeout": round(core.failover_timeout_s),
        "features": ["task_killing"],
        "framework_name": core.framework_name,
        "ha": options.zk is not None,
        "hostname": options.hostname,
        "launch_token": core.launch_tokens,
        "launch_token_refresh_interval": _ms(core.launch_token_refresh_s),
        "leader_proxy_connection_timeout_ms": 5000,
        "leader_proxy_read_timeout_ms": 10000,
        "local_port_min": core.local_port_min,
        "local_port_max": core.local_port_max,
        "master": master,
        "max_instances_per_offer": core.max_instances_per_offer,
        "mesos_bridge_name": Rules().bridge_name,
        "mesos_heartbeat_failure_threshold": 5,
        "mesos_heartbeat_interval": 15000,
        "mesos_leader_ui_url": options.mesos_leader_ui_url,
        "mesos_role": core.mesos_role,
        "mesos_user": core.framework_user,
        "min_revive_offers_interval": _ms(core.min_revive_offers_s),
        "new_group_enforce_role": "off",
        "offer_matching_timeout": 3000,
        "on_elected_prepare_timeout": 180000,
        "reconciliation_initial_delay": _ms(core.reconciliation_initial_delay_s),
        "reconciliation_interval": _ms(core.reconciliation_interval_s),
        "scale_apps_initial_delay": _ms(core.scale_apps_initial_delay_s),
        "scale_apps_interval": _ms(core.scale_apps_interval_s),
        "store_cache": True,
        "task_launch_confirm_timeout": _ms(core.task_launch_confirm_timeout_s),
        "task_launch_timeout": _ms(core.task_launch_timeout_s),
        "task_lost_expunge_initial_delay": _ms(core.task_lost_expunge_initial_delay_s),
        "task_lost_expunge_interval": _ms(core.task_lost_expunge_interval_s),
        "task_reservation_timeout": 20000,
        "webui_url": core.webui_url,
        "maintenance_mode": False,
    }


def _zookeeper_settings(options: MarathonOptions) -> dict[str, Any]:
    """The settings of ZooKeeper, never with the password (behaviour 125)."""
    return {
        "zk": None if options.zk is None else str(parse_zk_address(options.zk)),
        "zk_compression": False,
        "zk_compression_threshold": 65536,
        "zk_connection_timeout": 10000,
        "zk_max_node_size": 1024000,
        "zk_max_versions": MarathonConfig().max_versions,
        "zk_session_timeout": _ms(options.zk_session_timeout_s),
        "zk_timeout": 10000,
    }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
