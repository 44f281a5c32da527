"""One of each of the core's news, for tests; of health that may be unknown, two."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import IpAddress
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, ExecutorId, FrameworkId, TaskId
from mezzo.marathon.commands import Origin
from mezzo.marathon.model.app import HealthCheck
from mezzo.marathon.model.deployment import Action, ActionKind, Change, Deployment, Step
from mezzo.marathon.model.instance import Condition
from mezzo.marathon.news import (
    AppPosted,
    AppTerminated,
    DeploymentFailed,
    DeploymentStepBegan,
    DeploymentStepSucceeded,
    DeploymentSucceeded,
    ExecutorSaid,
    GroupChanged,
    HealthCheckFailed,
    HealthStatusChanged,
    InstanceChanged,
    InstanceHealthChanged,
    News,
    SchedulerDisconnected,
    SchedulerRegistered,
    SchedulerReregistered,
    StatusUpdated,
    UnhealthyInstanceKilled,
    UnknownInstanceTerminated,
)

from .apps import app

WEB: Final = "/shop/web"
_MS: Final = 1_600_000_000_123
_TASK: Final = TaskId("i1._app.1")
_AGENT: Final = AgentId("S0")
APP: Final = app(WEB, version_ms=_MS, last_scaling_ms=_MS, last_config_change_ms=_MS - 1000)
FIRST: Final = Step((Action(ActionKind.START, WEB),))
SECOND: Final = Step((Action(ActionKind.SCALE, WEB),))
PLAN: Final = Deployment("d1", _MS, (FIRST, SECOND), (Change(WEB, None, APP),))

ONE_OF_EACH: Final[tuple[News, ...]] = (
    SchedulerRegistered(FrameworkId("F"), "m1"),
    SchedulerReregistered(FrameworkId("F"), ""),
    SchedulerDisconnected(),
    ExecutorSaid(_AGENT, ExecutorId("x"), b'"hi\xff"'),
    AppPosted(Origin("10.0.0.9", "/v2/apps"), APP),
    GroupChanged("/shop", _MS),
    DeploymentStepBegan(PLAN, FIRST),
    DeploymentStepSucceeded(PLAN, FIRST),
    DeploymentSucceeded(PLAN),
    DeploymentFailed(PLAN, "The deployment was cancelled."),
    AppTerminated(WEB),
    InstanceChanged(WEB, "i1", _AGENT, "a", _MS, Condition.UNREACHABLE_INACTIVE),
    UnknownInstanceTerminated(WEB, "i1", Condition.GONE),
    StatusUpdated(
        WEB,
        _TASK,
        _AGENT,
        "a",
        _MS,
        TaskState.RUNNING,
        "up",
        (IpAddress("10.0.0.7"), IpAddress("fd00::7", "IPv6")),
        (31000, 31001),
    ),
    HealthCheckFailed(WEB, _TASK, "i1", HealthCheck(path="/up", port_index=0)),
    HealthStatusChanged(WEB, "i1", _MS, alive=True),
    InstanceHealthChanged(WEB, "i1", _MS, healthy=False),
    InstanceHealthChanged(WEB, "i1", _MS, healthy=None),
    UnhealthyInstanceKilled(WEB, _TASK, "i1", _AGENT, "a", _MS, "refused"),
)
