"""From two states of the apps to the steps between them (6.1)."""

from __future__ import annotations

from collections.abc import Iterable

from mezzo.record import replace

from ..model.app import App
from ..model.deployment import Action, ActionKind, Change, Step


def same_configuration(a: App, b: App) -> bool:
    """Do two definitions differ in nothing that asks for new instances? Versions don't count."""
    return (
        replace(
            a,
            instances=b.instances,
            version_ms=b.version_ms,
            last_scaling_ms=b.last_scaling_ms,
            last_config_change_ms=b.last_config_change_ms,
        )
        == b
    )


def make_steps(changes: Iterable[Change]) -> tuple[Step, ...]:
    """Stop apps that go, then create new ones, then bring all to their targets."""
    stop: list[Action] = []
    start: list[Action] = []
    reach: list[Action] = []
    for change in sorted(changes, key=lambda c: c.app_id):
        original, target, app_id = change.original, change.target, change.app_id
        if target is None:
            if original is not None:
                stop.append(Action(ActionKind.STOP, app_id))
        elif original is None:
            start.append(Action(ActionKind.START, app_id))
            reach.append(Action(ActionKind.SCALE, app_id))
        elif original.last_config_change_ms != target.last_config_change_ms:
            reach.append(Action(ActionKind.RESTART, app_id))
        elif original.instances != target.instances:
            reach.append(Action(ActionKind.SCALE, app_id))
    return tuple(Step(tuple(actions)) for actions in (stop, start, reach) if actions)
