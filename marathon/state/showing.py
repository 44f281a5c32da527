"""Pictures of objects that a step has changed, for readers."""

from __future__ import annotations

from ..effects import ShowApp, ShowAside, ShowInstance
from ..model.instance import Live
from ..views import AppView, CheckView, InstanceView
from .marathon_state import MarathonState
from .step import Step


def show_all(state: MarathonState, step: Step) -> None:
    """A term begins: nothing was shown yet."""
    for app_id in state.apps:
        state.app_changed(app_id)
    for live in state.by_id.values():
        state.shown_instances[live.id] = live
    for key, aside in state.aside.items():
        step.do(ShowAside(key, aside))


def show_changes(state: MarathonState, step: Step) -> None:
    """Renew the pictures of objects that this step has changed, once each."""
    for app_id in state.shown_apps:
        app = state.apps.get(app_id)
        view = None
        if app is not None:
            kept = tuple(state.versions.get(app_id, {}).values())
            view = AppView(app, kept, state.failures.get(app_id), state.faults.get(app_id))
        step.do(ShowApp(app_id, view))
    for live in state.shown_instances.values():
        view_ = _picture(live) if live.id in state.by_id else None
        step.do(ShowInstance(live.record.app_id, live.id, view_))
    state.shown_apps.clear()
    state.shown_instances.clear()


def _picture(live: Live) -> InstanceView:
    record = live.record
    return InstanceView(
        id=record.id,
        task_id=record.task_id,
        app_id=record.app_id,
        version_ms=record.version_ms,
        config_ms=record.config_ms,
        agent_id=record.agent_id,
        host=record.host,
        condition=live.condition,
        state=live.state,
        staged_s=record.staged_s,
        healthy=live.healthy,
        doomed=live.doomed,
        started_s=live.started_s,
        ports=record.ports,
        ip_addresses=live.addresses,
        checks=tuple(
            CheckView(
                check.alive,
                check.consecutive_failures,
                check.first_success_s,
                check.last_success_s,
                check.last_failure_s,
                check.cause,
            )
            for check in live.checks
        ),
        region=record.region,
        zone=record.zone,
        role=record.role,
    )
