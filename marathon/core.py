"""Marathon as a pure state machine: events and time in, writes and effects out.

`State` holds what is known; the parts around it each do one job: `Commands` answers users,
`Deployer` takes apps to their targets, `Launcher` turns offers into tasks, `Killer` ends them,
`Updates` follows them, `Health` judges them. A step hands the event to the part that it is for and
then lets each part settle what follows.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final, assert_never

from mezzo.cluster.model import Capability, FrameworkInfo
from mezzo.core import Instant, Output, SetTimer, TimerFired
from mezzo.ids import ConnId, FrameworkId, IdSource
from mezzo.messages import scheduler as m

from . import incoming_updates
from .config import MarathonConfig
from .deployments.command_rules import Commands
from .deployments.deployer import Deployer
from .effects import Abort, Call, CallRefused, Effect, Ready, Registered, Reply, StandBy
from .events import ApiRequest, Event, HealthResult, LinkDown, LinkUp, MasterEvent, Started
from .health.rules import Health
from .incoming_updates import Updates
from .killing import killer
from .killing.killer import Killer
from .placement import backoff, launcher
from .placement.backoff import Backoffs
from .placement.launcher import Launcher
from .state.term_state import State

RECONCILE_TIMER: Final = "reconcile"
SCALE_TIMER: Final = "scale-check"
EXPUNGE_TIMER: Final = "expunge"
_OVERDUE_INITIAL_S: Final = 30.0
# What a master tells one whose framework another scheduler has subscribed.
_FAILED_OVER: Final = "failed over"
# What a master tells a framework whose time was over: its id can't be used any more.
_REMOVED: Final = "removed"
_ACCEPT: Final = "ACCEPT"


class MarathonCore:
    """One term of a leading Marathon. See `messages` for what goes in and out.

    stored: what the terms before have written.
    """

    def __init__(
        self,
        config: MarathonConfig,
        stored: Mapping[str, bytes],
        ids: IdSource,
        rng: random.Random,
    ) -> None:
        self._config = config
        self._state = State(config, stored, ids, rng)
        self._backoffs = Backoffs(self._state)
        self._killer = Killer(self._state)
        self._launcher = Launcher(self._state, self._backoffs)
        self._deployer = Deployer(self._state, self._killer, self._launcher, self._backoffs)
        self._health = Health(self._state, self._killer, self._backoffs)
        self._updates = Updates(
            self._state,
            self._killer,
            self._launcher,
            self._backoffs,
            self._deployer,
            self._health,
        )
        self._commands = Commands(self._state, self._killer, self._launcher, self._deployer)
        self._conn: ConnId | None = None  # the stream that is up
        self._subscribed: ConnId | None = None  # the same, once the master has taken us
        self._epoch = 0  # the newest seen

    @property
    def framework_id(self) -> FrameworkId | None:
        return self._state.framework_id

    def step(self, event: Event, now: Instant) -> Output[Effect]:
        state = self._state
        state.begin(now)
        match event:
            case Started():
                self._start()
            case LinkUp(conn):
                self._link_up(conn)
            case LinkDown(conn):
                self._link_down(conn)
            case MasterEvent(conn, epoch, said):
                self._master_said(conn, epoch, said)
            case ApiRequest():
                self._commands.on_request(event)
            case HealthResult():
                self._health.on_result(event)
            case TimerFired():
                self._timer(event)
            case _:
                assert_never(event)
        self._killer.settle(self._subscribed)
        while state.unbalanced:
            self._deployer.settle()
            self._killer.settle(self._subscribed)  # what it gives up changes the balance again
        self._launcher.settle(self._subscribed)
        state.show_changes()
        if isinstance(event, Started):
            state.do(Ready())
        return _replies_last(state.output)

    # ---- the term

    def _start(self) -> None:
        config, now_s = self._config, self._state.now.mono_s
        if self._state.framework_id is not None:
            self._state.do(Registered(self._state.framework_id))
        self._state.show_all()
        self._deployer.resume()
        for key, delay_s in (
            (SCALE_TIMER, config.scale_apps_initial_delay_s),
            (RECONCILE_TIMER, config.reconciliation_initial_delay_s),
            (EXPUNGE_TIMER, config.task_lost_expunge_initial_delay_s),
            (incoming_updates.OVERDUE_TIMER, _OVERDUE_INITIAL_S),
        ):
            self._state.do(SetTimer(key, now_s + delay_s))

    def _timer(self, fired: TimerFired) -> None:
        match fired.key:
            case killer.RETRY_TIMER:
                self._killer.retry(self._subscribed)
            case killer.MORE_TIMER:
                pass  # settling goes on where the last step was full
            case launcher.REVIVE_TIMER:
                self._launcher.revive_due()
            case launcher.TOKENS_TIMER:
                self._launcher.tokens_refilled()
            case (launcher.DELAY_TIMER, str(app_id)):
                self._launcher.delay_over(app_id)
            case backoff.SWEEP_TIMER:
                self._backoffs.sweep()
            case incoming_updates.OVERDUE_TIMER:
                self._updates.kill_overdue()
            case incoming_updates.ASK_AGAIN_TIMER:
                self._updates.ask_again(self._subscribed)
            case (incoming_updates.INACTIVE_TIMER, str(instance_id)):
                self._updates.inactive_due(instance_id)
            case _:
                self._periodic(fired)

    def _periodic(self, fired: TimerFired) -> None:
        config = self._config
        match fired.key:
            case "scale-check":
                every_s = config.scale_apps_interval_s
                for app_id in {**self._state.apps, **self._state.fleets}:
                    self._deployer.kill_surplus(app_id)
            case "reconcile":
                every_s = config.reconciliation_interval_s
                if self._subscribed is not None:
                    self._updates.reconcile(self._subscribed)
            case "expunge":
                every_s = config.task_lost_expunge_interval_s
                self._updates.expunge()
            case _:
                raise AssertionError(f"unknown timer {fired.key!r}")
        self._state.do(SetTimer(fired.key, self._state.now.mono_s + every_s))

    # ---- the master

    def _link_up(self, conn: ConnId) -> None:
        self._conn, self._subscribed = conn, None
        config = self._config
        info = FrameworkInfo(
            user=config.framework_user,
            name=config.framework_name,
            id=self._state.framework_id,
            failover_timeout=config.failover_timeout_s,
            checkpoint=config.checkpoint,
            role=config.mesos_role,
            hostname=config.hostname,
            webui_url=config.webui_url,
            capabilities=(Capability.PARTITION_AWARE, Capability.TASK_KILLING_STATE),
        )
        suppressed = (config.mesos_role,) if self._launcher.suppress() else ()
        self._state.still_ours()
        self._state.do(Call(conn, m.Subscribe(info, suppressed)))

    def _link_down(self, conn: ConnId) -> None:
        if conn != self._conn:
            return
        self._conn = None
        if self._subscribed is not None:
            self._subscribed = None
            self._killer.disconnected()
            self._state.publish("scheduler_disconnected_event")

    def _master_said(self, conn: ConnId, epoch: int, event: m.Event) -> None:
        if conn != self._conn or epoch < self._epoch:
            return  # a stream that is over, or a deposed master
        self._epoch = epoch
        match event:
            case m.Subscribed():
                self._subscribed_to(conn, event)
            case m.Offers(offers):
                self._launcher.on_offers(conn, offers)
            case m.Update(status):
                self._updates.on_update(conn, status)
            case m.Failure(agent_id, executor_id):
                if agent_id is not None and executor_id is None:
                    self._launcher.agent_lost(agent_id)
                    self._updates.agent_lost(conn, agent_id)
            case m.Message(agent_id, executor_id, data):
                self._state.publish(
                    "framework_message_event",
                    slaveId=agent_id,
                    executorId=executor_id,
                    message=data.decode(errors="replace"),
                )
            case m.Error(message):
                self._disowned(message)
            case m.Rescind() | m.Heartbeat() | m.UpdateOperationStatus():
                pass  # offers are used at once, the link notices silence, no operation has an id
            case m.InverseOffers() | m.RescindInverseOffer():
                pass  # advice only: what has to leave an agent is drained by the master
            case m.Answered(call=call, refusal=refusal):
                if refusal is not None:
                    self._refused(conn, call, refusal)
            case _:
                assert_never(event)

    def _disowned(self, why: str) -> None:
        """The master ends our stream for good."""
        if _FAILED_OVER in why.lower():
            self._state.do(StandBy(why))
            return
        if _REMOVED in why.lower():
            self._state.forget_framework_id()
        self._state.do(Abort(why))

    def _refused(self, conn: ConnId, call: str, why: str) -> None:
        """A call was not carried out. Which object it was for, and what of it is there, the master
        tells: a launch that came to nothing is answered as one, and backs off. Kills and
        acknowledgements are repeated anyway.
        """
        if self._subscribed is None:  # it was the subscription: without one nothing works
            self._state.do(Abort(f"the master refuses a {call} call: {why}"))
            return
        self._state.do(CallRefused(call, why))
        if call == _ACCEPT:
            self._updates.ask_for_launches(conn)

    def _subscribed_to(self, conn: ConnId, event: m.Subscribed) -> None:
        kind = "registered" if self._state.framework_id is None else "reregistered"
        self._subscribed = conn
        self._state.set_framework_id(event.framework_id)
        self._launcher.subscribed()
        self._updates.reconcile(conn)
        master = event.master_info.hostname if event.master_info else None
        self._state.publish(
            f"scheduler_{kind}_event", frameworkId=event.framework_id, master=master or ""
        )


def _replies_last(output: Output[Effect]) -> Output[Effect]:
    """Who asked reads what was done: pictures are renewed before the answer leaves."""
    replies = [effect for effect in output.effects if isinstance(effect, Reply)]
    if replies:
        output.effects = [e for e in output.effects if not isinstance(e, Reply)] + replies
    return output
