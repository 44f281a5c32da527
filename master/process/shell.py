"""The master's process: election, store, core, gRPC server, and the gateway beside it."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path

import psutil

from mezzo import MESOS_VERSION
from mezzo.cluster.model import Address, MasterInfo
from mezzo.election.detector import detector_for, election_for
from mezzo.election.known_leader import KnownLeader
from mezzo.errors import BadConfig, Fenced, LeadershipLost, StoreUnavailable
from mezzo.ids import ConnId, FrameworkId
from mezzo.mesos_json import domain_json
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.process.daemon import Sidecar, cli_command, restart
from mezzo.process.log import Sparing, get_logger
from mezzo.process.term import lead
from mezzo.record import Record, encode
from mezzo.runtime import Runtime
from mezzo.store.base import StateStore
from mezzo.store.open import open_store
from mezzo.wire.grpc_server import MasterServer
from mezzo.wire.link import grpc_target

from ..core import MasterCore
from ..effects import (
    Answer,
    CloseStream,
    GiveUp,
    MasterEffect,
    NoteDenied,
    NoteIgnored,
    NoteSetAside,
    Publish,
    ToAgent,
    ToFramework,
    ToOperator,
)
from ..events import (
    AgentSaid,
    FrameworkSaid,
    LaunchUnsent,
    MasterEvent,
    OperatorAsked,
    OperatorJoined,
    Started,
    StreamClosed,
    WhitelistChanged,
)
from ..options import MasterOptions
from . import whitelist
from .timing import Series, TimedCore, TimedStore, completed


async def run_master(options: MasterOptions) -> int:
    """Run until cancelled. A lost term replaces the process by a fresh standby."""
    options.check()  # a standby says so at once
    if options.whitelist is not None:
        await asyncio.to_thread(whitelist.read, options.whitelist)
    await asyncio.to_thread(options.work_dir.mkdir, parents=True, exist_ok=True)
    where = options.zk or f"solo:{(options.work_dir / 'master.lock').resolve()}"
    session_s = options.zk_session_timeout_s
    known = KnownLeader(detector_for(where, session_timeout_s=session_s), grpc_target)
    server = MasterServer(leader=lambda: known.address)
    port = await server.start(options.ip, options.port)
    known.start()
    info = master_info(options, port)
    election = election_for(where, published(info), session_timeout_s=session_s)
    sidecar = _gateway(options, port)
    try:
        store = open_store(_store_url(options))
        await lead(
            election,
            store,
            lambda epoch, stored: _begin(options, info, server, store, epoch, stored),
            name="master",
        )
    except (Fenced, LeadershipLost, StoreUnavailable) as error:
        restart(str(error))
    finally:
        await asyncio.to_thread(known.stop)
        await server.stop()
        if sidecar is not None:
            await asyncio.to_thread(sidecar.stop)
    return 0


def _begin(
    options: MasterOptions,
    info: MasterInfo,
    server: MasterServer,
    store: StateStore,
    epoch: int,
    stored: Mapping[str, bytes],
) -> Runtime[MasterEvent]:
    config = options.core.completed(info=info, started_s=psutil.Process().create_time())
    core = MasterCore(config, epoch, stored, random.Random())
    shell = MasterShell(core, server, store)
    server.lead(shell, epoch)
    shell.runtime.post(Started())
    if options.whitelist is not None:
        shell.follow_whitelist(options.whitelist)
    return shell.runtime


class MasterShell:
    """Between the core and its server: a `grpc_server.Handler` that performs the effects."""

    def __init__(self, core: MasterCore, server: MasterServer, store: StateStore) -> None:
        self._runs, self._commits = Series(), Series()
        self.runtime: Runtime[MasterEvent] = Runtime(
            TimedCore(core, self._runs), TimedStore(store, self._commits), self.perform
        )
        self._server = server
        self._log = get_logger("master")
        self._sparing = Sparing(self._log)  # of lines that peers cause

    # ---- what comes in

    def follow_whitelist(self, path: Path) -> None:
        """Raises BadConfig if it can't be read now."""
        known = whitelist.read(path)
        self.runtime.post(WhitelistChanged(known))
        self._whitelist = asyncio.ensure_future(
            whitelist.follow(path, known, lambda hosts: self.runtime.post(WhitelistChanged(hosts)))
        )

    def agent_said(self, conn: ConnId, messages: list[am.AgentMessage]) -> None:
        for message in messages:
            self.runtime.post(AgentSaid(conn, message))

    def framework_said(self, conn: ConnId, framework_id: FrameworkId | None, call: sm.Call) -> None:
        self.runtime.post(FrameworkSaid(conn, framework_id, call))

    def operator_joined(self, conn: ConnId, resume: om.Resume | None) -> None:
        self.runtime.post(OperatorJoined(conn, resume))

    def operator_asked(self, request: int, call: om.OperatorCall) -> None:
        self.runtime.post(OperatorAsked(request, call))

    def closed(self, conn: ConnId) -> None:
        self.runtime.post(StreamClosed(conn))

    def unsent(self, conn: ConnId, message: Record, why: str) -> None:
        """A launch that could not be sent ends its tasks. All else is repeated, asked for again or
        of no importance: the line in the log is enough."""
        if isinstance(message, (am.RunTask, am.RunGroup)):
            self.runtime.post(LaunchUnsent(conn, message, why))

    # ---- what goes out

    def perform(self, effect: MasterEffect) -> None:
        match effect:
            case ToAgent(conn=conn, message=message):
                self._server.send(conn, message)
                self._log_to_agent(message)
            case ToFramework(conn=conn, event=event):
                self._server.send(conn, event)
                self._log_to_framework(event)
            case Publish(sequence=sequence, event=event):
                self._server.publish(sequence, event)
                self._log_published(event)
            case ToOperator(conn=conn, sequence=sequence, event=event):
                self._server.send_snapshot(conn, sequence, event)
            case Answer(request=request, sequence=sequence, response=response):
                if isinstance(response, om.Metrics):
                    response = completed(response, self._runs, self._commits, self._server.unsent)
                self._server.answer(request, sequence, response)
            case CloseStream(conn=conn):
                self._server.close(conn)
            case NoteIgnored(reason=reason):
                self._sparing.warning("agent.ignored", reason=reason)
            case NoteDenied(peer=peer, what=what, reason=reason):
                self._sparing.warning("message.denied", peer=peer, what=what, reason=reason)
            case NoteSetAside(key=key, reason=reason):
                self._log.error("record.set_aside", key=key, reason=reason)
            case GiveUp(reason=reason):
                self._log.error("term.given_up", reason=reason)
                self.runtime.stop(LeadershipLost(reason))
            case _:
                raise AssertionError(f"the runtime performs {effect!r}")

    def _log_to_agent(self, message: am.MasterMessage) -> None:
        log = self._log
        match message:
            case am.AgentRegistered(agent_id=agent):
                log.info("agent.registered", agent=agent)
            case am.AgentReregistered(agent_id=agent):
                log.info("agent.reregistered", agent=agent)
            case am.RunTask(framework=framework, task=task):
                log.info(
                    "task.launched", task=task.task_id, framework=framework.id, agent=task.agent_id
                )
            case am.KillTask(framework_id=framework_id, task_id=task_id):
                log.info("task.kill_sent", task=task_id, framework=framework_id)
            case am.ShutdownFramework(framework_id=framework_id):
                log.info("framework.shutdown_sent", framework=framework_id)
            case am.ShutdownAgent(message=why):
                log.warning("agent.refused", reason=why)
            case am.RunGroup(framework=framework, tasks=tasks):
                for task in tasks:
                    log.info(
                        "task.launched",
                        task=task.task_id,
                        framework=framework.id,
                        agent=task.agent_id,
                    )
            case am.ApplyOperation(conversion=conversion, framework_id=framework_id):
                log.info("operation.sent", type=type(conversion).__name__, framework=framework_id)
            case (
                am.Ping()
                | am.UpdateAcknowledged()
                | am.OperationAcknowledged()
                | am.FrameworkMessage()
            ):
                pass
            case _:
                log.info("agent.told", message=type(message).__name__)

    def _log_to_framework(self, event: sm.Event) -> None:
        log = self._log
        match event:
            case sm.Subscribed(framework_id=framework):
                log.info("framework.subscribed", framework=framework)
            case sm.Update(status=status) if status.uuid is None:
                log.info(
                    "task.status_made",
                    task=status.task_id,
                    state=str(status.state),
                    reason=str(status.reason),
                )
            case sm.Error(message=why):
                log.warning("framework.refused", reason=why)
            case sm.Rescind(offer_id=offer):
                log.info("offer.rescinded", offer=offer)
            case _:
                log.debug("framework.event", type=type(event).__name__)

    def _log_published(self, event: om.OperatorEvent) -> None:
        match event:
            case om.AgentRemoved(agent_id=agent):
                self._log.warning("agent.removed", agent=agent)
            case om.FrameworkRemoved(framework_info=info):
                self._log.info("framework.removed", framework=info.id)
            case _:
                pass


def _gateway(options: MasterOptions, port: int) -> Sidecar | None:
    if options.gateway_port is None:
        return None
    master = options.zk or f"{_reachable_ip(options)}:{port}"
    sidecar = Sidecar(
        "gateway",
        cli_command(
            *("gateway", "--ip", options.ip, "--port", str(options.gateway_port)),
            *("--http-allowed-hosts", ",".join((options.hostname, *options.http_allowed_hosts))),
        ),
        env={"MEZZO_GATEWAY_MASTER": master},  # an address may hold a password: not for `ps`
    )
    sidecar.start()
    return sidecar


def _store_url(options: MasterOptions) -> str:
    if options.zk is not None:
        # Beside, not below, the election's path: clients there take the least child's name as the
        # leader's, whatever it is.
        return f"{options.zk.rstrip('/')}-state/master"
    return f"sqlite:{(options.work_dir / 'master.db').resolve()}"


def _reachable_ip(options: MasterOptions) -> str:
    """The address that others can connect to: that of the hostname when we listen everywhere."""
    if options.ip not in ("0.0.0.0", "::"):
        return options.ip
    try:
        return socket.gethostbyname(options.hostname)
    except OSError as error:
        raise BadConfig(
            f"--hostname {options.hostname} has no address: name this machine as others reach it"
        ) from error


def master_info(options: MasterOptions, port: int) -> MasterInfo:
    """What this master tells of itself. Its id is new with every process, as in Mesos."""
    ip = _reachable_ip(options)
    http_port = options.gateway_port or port
    return MasterInfo(
        id=str(uuid.uuid4()),
        # Mesos' historic form: the four bytes in network order, read as a little-endian number.
        ip=struct.unpack("<I", socket.inet_aton(ip))[0],
        port=http_port,
        pid=f"master@{ip}:{http_port}",
        hostname=options.hostname,
        version=MESOS_VERSION,  # what clients compare: the behaviour is that of it
        address=Address(http_port, options.hostname, ip),
        domain=options.domain,
        grpc_port=port,
    )


def published(info: MasterInfo) -> bytes:
    """The content of the candidate's node: MasterInfo as JSON, read by Mesos' clients as well."""
    plain = {key: value for key, value in json.loads(encode(info)).items() if value is not None}
    if info.domain is not None:
        plain["domain"] = domain_json(info.domain)
    plain["capabilities"] = [
        {"type": name} for name in ("AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2")
    ]
    return json.dumps(plain).encode()
