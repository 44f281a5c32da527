"""What the store holds is loaded record by record: one that makes no sense hurts nothing else."""

from __future__ import annotations

import enum
import functools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzo.cluster.model import Capability, MachineId, Unavailability
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import encode

from ..world import BIG, World


@functools.cache
def stored() -> dict[str, bytes]:
    """The store of a cluster that has something of everything."""
    world = World()
    world.framework("first", role="ads")
    world.framework(
        "second", roles=("ads", "web"), capabilities=(Capability.MULTI_ROLE,)
    ).disconnect()
    world.framework("over").say(sm.Teardown())
    agents = [world.agent(hostname=f"h{number}") for number in range(4)]
    world.ask(om.MarkAgentGone(agents[1].id))
    world.ask(om.DrainAgent(agents[2].id))
    agents[3].ignores.add(am.Ping)
    agents[3].disconnect()
    world.advance(100.0)
    world.ask(om.UpdateWeights((om.WeightInfo(2.0, "ads"), om.WeightInfo(3.0, "web"))))
    world.ask(om.UpdateQuota((om.QuotaConfig("ads", {"cpus": 1000}, {"cpus": 2000}),), True))
    window = om.MaintenanceWindow((MachineId("h9"), MachineId("h8")), Unavailability(1.0))
    world.ask(om.UpdateMaintenanceSchedule(om.MaintenanceSchedule((window,))))
    world.ask(om.StartMaintenance((MachineId("h9"),)))
    return world.stored


KINDS = ("agent", "framework", "maintenance", "quota", "weight")


def test_the_store_of_these_tests_has_all_kinds() -> None:
    assert {key.partition("/")[0] for key in stored()} == set(KINDS)
    assert World(stored=stored()).set_aside == {}


# ---- corruption


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        found += [p for key, each in value.items() for p in _paths(each, (*path, key))]
    elif isinstance(value, list):
        found += [p for at, each in enumerate(value) for p in _paths(each, (*path, at))]
    return found


def _changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if new is _CUT and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = _changed(value[path[0]], path[1:], new)
    return copy


class _Cut(enum.Enum):
    """In the place of a value: it is left out, and its key with it."""

    CUT = "cut"


_CUT = _Cut.CUT
ODD = [
    *(None, True, False, 0, -1, 2**31, 2**63, 2**70, -1e300, 1e308, 0.5, "", "x", "a//b"),
    *("\x00", "__proto__", "é" * 300, [], [[]], [1], ["a"], {}, {"": None}, {"value": 1}, _CUT),
    *(["Ranges", [[5, 1]]], ["Ranges", [["a", "b"]]], ["Items", [1, None]], ["Nothing", 5]),
    [[["cpus", [], None, False, False], {}]],
    [[["cpus", [["DYNAMIC", "a//b", 5, []]], [None], 1, 2], -5]],
    [[[{}, [], None, False, False], 5]],
    [[[5, [], None, False, False], 5]],
    *(
        [[["ports", [], None, False, False], value]]
        for value in (
            *(["Ranges", [["a", "b"]]], ["Ranges", [[5, 1]]], ["Ranges", [[0.5, 1.5]]]),
            *(["Ranges", [[-5, 2**70]]], ["Items", [1]], ["Items", None], True, 0, 5, {}, []),
        )
    ),
    [[["cpus", [["STATIC", 5, None, []]], None, False, False], 5]],
    [[["cpus", [["DYNAMIC", "ads", 5, [["k"]]]], None, False, False], 5]],
    [[["cpus", [], None, 1, "x"], 5]],
    [[["disk", [], [None, 5, None, None], False, False], 5]],
    [[["gems", [], None, False, False], ["Items", ["a"]]]],
]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """One record of the store, in some way not as it was written."""
    key = draw(st.sampled_from(sorted(stored())))
    data = stored()[key]
    match draw(st.integers(0, 5)):
        case 0:
            return key, draw(st.binary(max_size=20))
        case 1:
            return key, data[: draw(st.integers(0, len(data)))]
        case 2:
            return key, b"[" * 100_000
        case 3:  # another's, of any kind
            return key, stored()[draw(st.sampled_from(sorted(stored())))]
        case 4:
            at = draw(st.integers(0, len(data) - 1))
            return key, data[:at] + draw(st.binary(max_size=3)) + data[at + 1 :]
        case _:
            plain = json.loads(data)
            path = draw(st.sampled_from(_paths(plain)))
            new = draw(st.sampled_from(ODD))
            new = {} if new is _CUT and not path else new
            return key, json.dumps(_changed(plain, path, new)).encode()


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_a_damaged_record_hurts_only_what_it_is_about(record: tuple[str, bytes]) -> None:
    check_that_it_hurts_nobody_else(*record)


def check_that_it_hurts_nobody_else(key: str, data: bytes) -> None:
    """A cluster goes on with it: agents come, offers are made, everything is shown."""
    world = World(stored=stored() | {key: data})
    state = world.core.state
    if key in world.set_aside:
        assert world.stored[key] == data
        answer = world.ask(om.GetSetAside())
        assert answer == om.SetAside((om.SetAsideRecord(key, world.set_aside[key]),))
    others = {each for each in stored() if each != key}
    known = {f"agent/{id_}" for id_ in [*state.agents, *state.unreachable, *state.gone_since_s]}
    known |= {f"framework/{id_}" for id_ in [*state.frameworks, *state.completed]}
    known |= {f"weight/{role}" for role in state.weights}
    known |= {f"quota/{role}" for role in state.quotas}
    assert others - {"maintenance/machines"} <= known
    assert state.machines.planned or key == "maintenance/machines"
    framework = world.framework("new", role="web")
    agent = world.agent(BIG, hostname="new")
    world.advance(1000.0)
    assert world.gave_up == []
    assert agent.conn is not None
    assert framework.conn is not None
    assert isinstance(world.ask(om.GetState()), om.State)
    assert isinstance(world.ask(om.GetRoles()), om.Roles)
    assert isinstance(world.ask(om.GetMetrics()), om.Metrics)
    assert isinstance(world.ask(om.Explain(agent=agent.id)), om.Explanations)
    for kind in (om.GetQuota, om.GetWeights, om.GetMaintenanceSchedule, om.GetMaintenanceStatus):
        assert not isinstance(world.ask(kind()), om.Refused)
    world.restart()


@pytest.mark.parametrize("kind", ["agent", "framework", "quota", "weight"])
def test_a_record_under_the_name_of_another_is_set_aside(kind: str) -> None:
    """A backup that was put together by hand, say: nobody may get what is another's."""
    keys = [each for each in sorted(stored()) if each.startswith(kind)]
    other = f"{kind}/other"
    world = World(stored=stored() | {other: stored()[keys[0]]})
    assert list(world.set_aside) == [other]


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_set_aside_can_be_deleted(kind: str) -> None:
    key = next(each for each in sorted(stored()) if each.startswith(kind))
    world = World(stored=stored() | {key: b"{"})
    assert "stored bytes are no" in world.set_aside[key]
    assert isinstance(world.ask(om.DeleteSetAside("agent/x")), om.Refused)
    assert key in world.stored
    assert world.ask(om.DeleteSetAside(key)) == om.Done()
    assert key not in world.stored
    assert world.ask(om.GetSetAside()) == om.SetAside()


def test_an_agent_whose_record_is_set_aside_comes_back_and_mends_it() -> None:
    world = World()
    agent = world.agent()
    world.stored[f"agent/{agent.id}"] = b"{}"
    world.restart()
    assert list(world.set_aside) == [f"agent/{agent.id}"]
    agent.reregister()
    assert agent.heard(am.AgentReregistered)
    assert world.ask(om.GetSetAside()) == om.SetAside()
    world.set_aside.clear()
    world.restart()
    assert world.set_aside == {}


def test_an_agent_that_is_gone_stays_so_whatever_else_its_record_says() -> None:
    world = World()
    agent = world.agent()
    world.ask(om.MarkAgentGone(agent.id))
    key = f"agent/{agent.id}"
    version, plain = json.loads(world.stored[key])
    world.stored[key] = encode((version, plain | {"boot_id": 5}))
    world.restart()
    assert key in world.set_aside
    agent.reregister()
    assert "marked gone" in agent.heard(am.ShutdownAgent)[0].message
    world.advance(100 * 86400.0)
    assert key in world.stored
    agent.reregister()
    assert agent.heard(am.ShutdownAgent)
    assert world.ask(om.DeleteSetAside(key)) == om.Done()
    agent.reregister()
    assert agent.heard(am.AgentReregistered)


def test_the_numbers_of_records_that_are_set_aside_are_a_metric() -> None:
    world = World(stored=stored() | {"quota/ads": b"[]", "weight/web": b""})
    metrics = world.ask(om.GetMetrics())
    assert isinstance(metrics, om.Metrics)
    assert {m.name: m.value for m in metrics.metrics}["master/set_aside_records"] == 2


@pytest.mark.parametrize("place", [("info", "resources"), ("info", "attributes"), ("info",)])
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_an_agent_of_odd_resources_is_set_aside_alone(odd: Any, place: tuple[str, ...]) -> None:
    world = World(stored=stored())
    (agent_id, *_) = world.core.state.agents
    key = f"agent/{agent_id}"
    version, plain = json.loads(stored()[key])
    if place == ("info", "attributes"):
        plain["info"]["attributes"] = [{"name": "a", "text": "b"}]
    check_that_it_hurts_nobody_else(
        key, json.dumps([version, _changed(plain, place, odd)]).encode()
    )
