"""Which of the core's news stand in the log, and which are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from ..api.metrics import Metrics
from ..model.app import App
from ..model.deployment import Deployment
from ..model.instance import Condition
from ..news import (
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

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

# Conditions on the way up and down.
_UNTOLD: Final = (Condition.PROVISIONED, Condition.STAGING, Condition.STARTING, Condition.KILLING)


class NewsLog:
    def __init__(self, log: FilteringBoundLogger, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    def tell(self, news: News) -> None:
        info = self._log.info
        match news:
            case InstanceChanged():
                if news.condition not in _UNTOLD:
                    info(
                        "instance.changed",
                        instance=news.instance_id,
                        condition=news.condition.value,
                        app=news.app_id,
                        agent=news.agent_id,
                    )
            case UnhealthyInstanceKilled():
                info(
                    "instance.unhealthy",
                    app=news.app_id,
                    task=news.task_id,
                    instance=news.instance_id,
                    reason=news.reason,
                    agent=news.agent_id,
                )
            case AppPosted(app=app):
                name = "app.configured" if _is_configured(app) else "app.scaled"
                info(name, app=app.id, instances=app.instances)
            case AppTerminated(app_id):
                info("app.terminated", app=app_id)
            case DeploymentStepBegan(plan, step):
                self._plan(
                    "deployment.started" if step is plan.steps[0] else "deployment.step", plan
                )
            case DeploymentSucceeded(plan):
                self._metrics.count("marathon.deployments.counter")
                self._plan("deployment.succeeded", plan)
            case DeploymentFailed(plan, reason):
                self._metrics.count("marathon.deployments.dismissed.counter")
                self._plan("deployment.failed", plan, reason=reason)
            case SchedulerRegistered(framework_id, master):
                info("framework.registered", framework=framework_id, master=master)
            case SchedulerReregistered(framework_id, master):
                info("framework.reregistered", framework=framework_id, master=master)
            case SchedulerDisconnected():
                info("framework.disconnected")
            case StatusUpdated() | UnknownInstanceTerminated() | ExecutorSaid():
                pass
            case HealthCheckFailed() | HealthStatusChanged() | InstanceHealthChanged():
                pass
            case DeploymentStepSucceeded() | GroupChanged():
                pass
            case _:
                assert_never(news)

    def _plan(self, name: str, plan: Deployment, **facts: str) -> None:
        self._log.info(name, **facts, deployment=plan.id, apps=",".join(plan.app_ids))


def _is_configured(app: App) -> bool:
    """Was the app's last change one of more than the number of its instances?"""
    return app.version_ms == app.last_config_change_ms == app.last_scaling_ms
