"""What operators read of the core's news, and what is counted of it."""

from __future__ import annotations

import pytest

from mezzo.marathon.api.metrics import Metrics
from mezzo.marathon.model.instance import Condition
from mezzo.marathon.news import (
    AppPosted,
    DeploymentFailed,
    DeploymentStepBegan,
    DeploymentSucceeded,
    InstanceChanged,
    News,
)
from mezzo.marathon.process.news_log import NewsLog
from mezzo.process.log import get_logger
from mezzo.record import replace
from tests.parts.captured_logs import captured_logs

from ..news import APP, ONE_OF_EACH, PLAN, SECOND

_OF_PLAN = "deployment=d1 apps=/shop/web"
_LINES = [
    "framework.registered framework=F master=m1",
    "framework.reregistered framework=F master=",
    "framework.disconnected",
    "app.scaled app=/shop/web instances=1",
    f"deployment.started {_OF_PLAN}",
    f"deployment.succeeded {_OF_PLAN}",
    f"deployment.failed reason=The deployment was cancelled. {_OF_PLAN}",
    "app.terminated app=/shop/web",
    "instance.changed instance=i1 condition=UnreachableInactive app=/shop/web agent=S0",
    "instance.unhealthy app=/shop/web task=i1._app.1 instance=i1 reason=refused agent=S0",
]


def told(*news: News, metrics: Metrics | None = None) -> list[str]:
    with captured_logs() as lines:
        log = NewsLog(get_logger("marathon"), metrics or Metrics())
        for each in news:
            log.tell(each)
    return [_shown(dict(line)) for line in lines]


def _shown(line: dict[str, object]) -> str:
    assert line.pop("log_level") == "info"
    assert line.pop("component") == "marathon"
    name = str(line.pop("event"))
    return " ".join([name, *(f"{key}={value}" for key, value in line.items())])


def test_the_log_has_what_operators_look_for() -> None:
    assert told(*ONE_OF_EACH) == _LINES


def test_a_step_is_the_beginning_or_a_later_one() -> None:
    assert told(DeploymentStepBegan(PLAN, SECOND)) == [f"deployment.step {_OF_PLAN}"]


def test_a_new_definition_is_told_from_another_number_of_instances() -> None:
    posted = next(news for news in ONE_OF_EACH if isinstance(news, AppPosted))
    new = replace(posted, app=replace(APP, last_config_change_ms=APP.version_ms))
    assert told(new) == ["app.configured app=/shop/web instances=1"]


@pytest.mark.parametrize("condition", Condition)
def test_conditions_on_the_way_up_and_down_are_left_out(condition: Condition) -> None:
    changed = next(news for news in ONE_OF_EACH if isinstance(news, InstanceChanged))
    on_its_way = condition.starting or condition is Condition.KILLING
    assert len(told(replace(changed, condition=condition))) == (not on_its_way)


def test_ends_of_deployments_are_counted() -> None:
    metrics = Metrics()
    told(DeploymentSucceeded(PLAN), DeploymentFailed(PLAN, "x"), metrics=metrics)
    counters, _ = metrics.values()
    assert {name for name, count in counters.items() if count} == {
        "marathon.deployments.counter",
        "marathon.deployments.dismissed.counter",
    }
