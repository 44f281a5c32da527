"""EXPLAIN: every "no" has a reason, for who asks by name or by id."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import Capability
from mezzo.cluster.resources import Resources
from mezzo.master.operators.explaining import PAIRS_MAX
from mezzo.master.timers import AdmissionDue
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import BIG, World


def ask(
    world: World, framework: str | None = None, role: str | None = None, agent: str | None = None
) -> tuple[om.Explanation, ...]:
    answer = world.ask(om.Explain(framework, role, agent))
    assert isinstance(answer, om.Explanations), answer
    return answer.explanations


def refusal(world: World, **call: str) -> str:
    answer = world.ask(om.Explain(**call))
    assert isinstance(answer, om.Refused)
    return answer.message


def vetoes(explanation: om.Explanation) -> list[str]:
    return [each.veto for each in explanation.objections]


def test_what_is_offered_is_shown_with_the_counters(world: World) -> None:
    agent, framework = world.agent(hostname="h1"), world.framework("spark")
    (answer,) = ask(world)
    assert (answer.framework_id, answer.framework_name) == (framework.id, "spark")
    assert (answer.role, answer.agent_id, answer.hostname) == ("*", agent.id, "h1")
    assert answer.offered == BIG
    assert vetoes(answer) == ["TOO_SMALL"], "more is not free"
    assert answer.counters["offered"] == answer.counters["outstanding"] == 1


def test_a_refusal_is_named_with_the_wall_time_of_its_end(world: World) -> None:
    world.agent()
    framework = world.framework()
    framework.decline(refuse_s=100)
    world.advance(40)
    (answer,) = ask(world)
    (objection,) = answer.objections
    assert objection.veto == "FILTERED"
    assert objection.until == pytest.approx(world.now.wall_s + 60, abs=1)


def test_who_waits_for_its_turn_is_explained_and_nobody_elses_answer_is_refused(
    world: World,
) -> None:
    """Simulator, seed 1534: in a role that it has not had so far the allocator does not know it."""
    world.agent()
    world.framework("spark")
    hasty = world.framework("hasty", roles=("a",), capabilities=(Capability.MULTI_ROLE,))
    for _ in range(2):
        hasty.subscribe()
    hasty.info = replace(hasty.info, roles=("a", "b"))
    hasty.subscribe()
    assert AdmissionDue(hasty.id) in world.timers
    answers = {(each.framework_name, each.role): each for each in ask(world)}
    assert set(answers) == {("spark", "*"), ("hasty", "a"), ("hasty", "b")}
    (why,) = answers["hasty", "b"].objections
    assert (why.veto, "wait for its turn" in why.have) == ("NOT_CONNECTED", True)
    world.advance(10)
    answers = {(each.framework_name, each.role): each for each in ask(world)}
    assert "NOT_CONNECTED" not in vetoes(answers["hasty", "b"])


def test_names_and_ids_mean_the_same(world: World) -> None:
    agent, other = world.agent(hostname="h1"), world.agent(hostname="h2")
    framework = world.framework("spark")
    world.framework("dask", roles=("a", "b"), capabilities=(Capability.MULTI_ROLE,))
    assert ask(world, "spark", "*", "h1") == ask(world, framework.id, None, agent.id)
    assert {(e.framework_name, e.role) for e in ask(world, agent="h2")} == {
        ("spark", "*"),
        ("dask", "a"),
        ("dask", "b"),
    }
    assert {e.agent_id for e in ask(world, "dask", "b")} == {agent.id, other.id}
    assert [e.role for e in ask(world, role="a", agent="h1")] == ["a"]


def test_agents_of_one_host_are_all_meant(world: World) -> None:
    world.framework()
    for port in (5051, 5052):
        world.agent(hostname="h1", port=port)
    assert len(ask(world, agent="h1")) == 2


def test_unknown_names_are_refused_with_near_ones(world: World) -> None:
    world.agent(hostname="rack1-node1")
    world.framework("spark", roles=("eng",), capabilities=(Capability.MULTI_ROLE,))
    assert "did you mean spark?" in refusal(world, framework="spork")
    assert "did you mean rack1-node1?" in refusal(world, agent="node1")
    assert "did you mean eng?" in refusal(world, role="engg")
    assert "known are spark" in refusal(world, framework="xyz")
    assert refusal(world, framework="spark", role="ops").startswith("framework 'spark' is not in")


def test_an_agent_that_is_away_has_a_reason_too(world: World) -> None:
    agent = world.agent(hostname="h1")
    world.framework("spark", failover_timeout=1e6)
    agent.disconnect()
    (answer,) = ask(world)
    assert "AGENT_INACTIVE" in vetoes(answer)
    world.restart()
    (answer,) = ask(world, agent="h1")
    assert vetoes(answer) == ["NOT_CONNECTED", "AGENT_INACTIVE"]
    assert all("has not come back" in each.have for each in answer.objections)
    world.advance(700)
    assert "unreachable" in refusal(world, agent="h1")


def test_reasons_of_the_whole_master_reach_the_operator(world: World) -> None:
    world.agent(Resources.of(cpus=4, mem=1000))
    idle = world.framework("idle", suppressed=("*",))
    world.framework("holder")
    (answer,) = ask(world, "idle")
    assert {"SUPPRESSED", "OFFERED"} <= set(vetoes(answer))
    assert "holder" in next(o.have for o in answer.objections if o.veto == "OFFERED")
    idle.disconnect()
    (answer,) = ask(world, "idle")
    assert "NOT_CONNECTED" in vetoes(answer)


def test_an_answer_is_bounded(world: World) -> None:
    for _ in range(PAIRS_MAX // 2 + 1):
        world.agent(Resources.of(cpus=1, mem=100))
    world.framework("one")
    assert len(ask(world)) == PAIRS_MAX // 2 + 1
    world.framework("two")
    assert "name a framework" in refusal(world)
    assert len(ask(world, "two")) == PAIRS_MAX // 2 + 1


def test_explaining_changes_nothing(world: World) -> None:
    world.agent()
    framework = world.framework()
    world.framework("other")
    before = dict(framework.offers)
    ask(world)
    world.settle()
    assert framework.offers == before
    assert framework.heard(sm.Rescind) == []
