"""Weights and quota: what operators may set, what comes of it, and that it survives the master."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.cluster.model import Capability
from mezzo.cluster.resources import Resources
from mezzo.core import Put
from mezzo.ids import FrameworkId
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

from ..world import BIG, SMALL, Framework, World

NO_QUOTA = om.Quotas(om.QuotaStatus())


def quota(role: str, guarantees: dict[str, int] | None = None, **limits: int) -> om.QuotaConfig:
    """Amounts in whole units."""
    return om.QuotaConfig(
        role,
        {name: 1000 * amount for name, amount in (guarantees or {}).items()},
        {name: 1000 * amount for name, amount in limits.items()},
    )


def update(world: World, *configs: om.QuotaConfig, force: bool = False) -> om.OperatorResponse:
    return world.ask(om.UpdateQuota(configs, force))


def refusal(response: om.OperatorResponse) -> str:
    assert isinstance(response, om.Refused)
    return response.message


def role_of(world: World, name: str) -> om.RoleView:
    roles = world.ask(om.GetRoles())
    assert isinstance(roles, om.Roles)
    return next(role for role in roles.roles if role.name == name)


def follower(world: World, role: str, name: str = "") -> Framework:
    return world.framework(name or role, roles=(role,), capabilities=(Capability.MULTI_ROLE,))


# ---------------------------------------------------------------------------------- weights


def test_allocations_follow_the_weights(world: World) -> None:
    """Behaviour 66."""
    infos = (om.WeightInfo(2.0, "heavy"), om.WeightInfo(1.0, "light"))
    assert world.ask(om.UpdateWeights(infos)) == om.Done()
    assert world.ask(om.GetWeights()) == om.Weights(infos)
    light, heavy = follower(world, "light"), follower(world, "heavy")
    for _ in range(9):
        world.agent()
    assert (len(light.offers), len(heavy.offers)) == (3, 6)


def test_what_is_offered_is_offered_anew_by_new_weights(world: World) -> None:
    light, heavy = follower(world, "light"), follower(world, "heavy")
    for _ in range(9):
        world.agent()
    assert {len(light.offers), len(heavy.offers)} == {4, 5}
    assert world.ask(om.UpdateWeights((om.WeightInfo(5.0, "nobody"),))) == om.Done()
    assert light.heard(sm.Rescind) == heavy.heard(sm.Rescind) == []
    assert world.ask(om.UpdateWeights((om.WeightInfo(8.0, "heavy"),))) == om.Done()
    assert (len(light.offers), len(heavy.offers)) == (1, 8)


@pytest.mark.parametrize(
    ("role", "weight", "reason"),
    [
        ("a", 0.0, "above 0"),
        ("a", -1.0, "above 0"),
        ("a", float("nan"), "above 0"),
        ("a//b", 1.0, "must not be empty"),
        ("a b", 1.0, "white space"),
        ("a\x01b", 1.0, "control characters"),
    ],
)
def test_weights_are_set_all_or_none(world: World, role: str, weight: float, reason: str) -> None:
    before = dict(world.stored)
    answer = world.ask(om.UpdateWeights((om.WeightInfo(3.0, "good"), om.WeightInfo(weight, role))))
    assert reason in refusal(answer)
    assert world.ask(om.GetWeights()) == om.Weights()
    assert world.stored == before


def test_a_role_can_be_named_once_in_a_call(world: World) -> None:
    twice = (om.WeightInfo(1.0, "a"), om.WeightInfo(2.0, "a"))
    assert "named twice" in refusal(world.ask(om.UpdateWeights(twice)))
    assert "named twice" in refusal(update(world, quota("a", cpus=1), quota("a", cpus=2)))


def test_a_call_that_no_store_would_take_is_refused(world: World) -> None:
    many = tuple(om.WeightInfo(1.0, f"r{n}") for n in range(3000))
    long = tuple(om.WeightInfo(1.0, f"{n}{'r' * 10_000}") for n in range(30))
    quotas = tuple(om.QuotaConfig(info.role, {}, {"cpus": 1}) for info in long)
    for call in (om.UpdateWeights(many), om.UpdateWeights(long), om.UpdateQuota(quotas)):
        assert "fewer roles at a time" in refusal(world.ask(call))
    assert world.ask(om.UpdateWeights(many[:2000])) == om.Done()
    assert world.ask(om.UpdateQuota(quotas[:19])) == om.Done()


def test_roles_beyond_the_list_are_refused() -> None:
    world = World(roles=("a", "b"))
    assert "--roles" in refusal(world.ask(om.UpdateWeights((om.WeightInfo(1.0, "c"),))))
    assert "--roles" in refusal(update(world, quota("c", cpus=1)))
    stranger = follower(world, "c")
    assert "--roles" in stranger.heard(sm.Error)[0].message
    assert follower(world, "a").heard(sm.Subscribed)
    assert world.framework().heard(sm.Subscribed), "the role * is always allowed"


# ---------------------------------------------------------------------------------- quota


def test_a_limit_is_never_exceeded(world: World) -> None:
    """Behaviour 77: agents are split."""
    framework = follower(world, "r")
    assert update(world, quota("r", cpus=6)) == om.Done()
    agents = [world.agent() for _ in range(3)]
    assert framework.held.cpus == 6
    for number, agent in enumerate(agents):
        cpus = framework.offer(agent).resources.cpus
        framework.launch(f"t{number}", Resources.of(cpus=cpus, mem=100), agent=agent)
    world.agent()
    assert framework.held.cpus == 0, "of the last agent it may have memory, but no more cpus"
    assert framework.held.mem_mib


def test_what_is_guaranteed_to_an_idle_role_is_kept_from_others(world: World) -> None:
    """Behaviour 78."""
    world.agent()
    world.agent()
    assert update(world, quota("r", {"cpus": 5, "mem": 4000})) == om.Done()
    other = follower(world, "other")
    assert (other.held.cpus, other.held.mem_mib) == (3, 4000)
    owner = follower(world, "r")
    assert owner.held.cpus == 5


def test_offers_are_taken_back_to_make_room_for_a_guarantee(world: World) -> None:
    world.agent()
    world.agent()
    other = follower(world, "other")
    assert other.held.cpus == 8
    assert update(world, quota("r", {"cpus": 3})) == om.Done()
    assert len(other.heard(sm.Rescind)) == 1, "one agent is enough"
    assert other.held.cpus == 5


def test_a_limit_below_what_is_consumed_needs_force(world: World) -> None:
    """Behaviour 79."""
    world.agent()
    framework = follower(world, "r")
    framework.launch("t1", Resources.of(cpus=2, mem=100))
    why = refusal(update(world, quota("r", cpus=1)))
    assert "consumes 2 cpus already" in why
    assert "force" in why
    assert world.ask(om.GetQuota()) == NO_QUOTA
    assert update(world, quota("r", cpus=1), force=True) == om.Done()
    framework.say(sm.Revive())
    assert framework.held.cpus == 0


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (quota("r", {"cpus": 2}, cpus=1), "more than its limit"),
        (quota("*", cpus=1), "can't be set for role '*'"),
        (quota("a/b", cpus=1), "set it for 'a'"),
        (quota("-r", cpus=1), "invalid"),
        (quota("r", {"ports": 3}), "ports are ranges"),
        (quota("r", {"": 3}), "no name of a resource"),
        (om.QuotaConfig("r", {"cpus": -1}), "negative"),
        (quota("r", {"cpus": 100}), "exceed the cluster's 4"),
        (quota("r", {"fpga": 1}), "exceed the cluster's 0"),
    ],
)
def test_quotas_are_set_all_or_none(world: World, bad: om.QuotaConfig, reason: str) -> None:
    """Behaviour 80."""
    world.agent()
    before = dict(world.stored)
    assert reason in refusal(update(world, quota("good", {"cpus": 1}), bad))
    assert world.ask(om.GetQuota()) == NO_QUOTA
    assert world.stored == before


def test_guarantees_beyond_the_cluster_need_force(world: World) -> None:
    world.agent()
    assert update(world, quota("a", {"cpus": 3})) == om.Done()
    assert "guarantees of 5 cpus in all" in refusal(update(world, quota("b", {"cpus": 2})))
    assert update(world, quota("b", {"cpus": 2}), force=True) == om.Done()
    assert update(world, quota("a", {"cpus": 2})) == om.Done(), "lowering needs no force"


def test_a_tighter_limit_takes_enough_offers_back(world: World) -> None:
    """Behaviour 81."""
    framework = follower(world, "r")
    for _ in range(4):
        world.agent()
    assert framework.held.cpus == 16
    assert update(world, quota("r", cpus=9)) == om.Done()
    assert len(framework.heard(sm.Rescind)) == 2
    assert framework.held.cpus == 9, "and of an agent that came back it gets a part"


def test_reservations_count_as_consumed(world: World) -> None:
    """Behaviour 82."""
    world.agent(Resources.parse("cpus(r):3;cpus:5;mem:1000"))
    assert "consumes 3 cpus" in refusal(update(world, quota("r", cpus=2)))
    assert update(world, quota("r", cpus=4)) == om.Done()
    framework = follower(world, "r")
    assert framework.held.filter(role="r").cpus == 3
    assert framework.held.filter(role="*").cpus == 1


def test_without_quota_sharing_is_fair_again(world: World) -> None:
    """Behaviour 83."""
    framework = follower(world, "r")
    update(world, quota("r", cpus=1))
    world.agent()
    assert framework.held.cpus == 1
    assert world.ask(om.RemoveQuota("r")) == om.Done()
    framework.decline(0)
    world.advance(2)
    assert framework.held.cpus == 4
    assert "has no quota" in refusal(world.ask(om.RemoveQuota("r")))
    assert world.ask(om.GetQuota()) == NO_QUOTA


def test_quota_without_any_amount_is_no_quota(world: World) -> None:
    update(world, quota("r", cpus=1))
    assert "quota/r" in world.stored
    assert update(world, quota("r"), quota("never had any")) != om.Done(), "a name with spaces"
    assert update(world, quota("r"), quota("never-had-any")) == om.Done()
    assert world.ask(om.GetQuota()) == NO_QUOTA
    assert "quota/r" not in world.stored


def test_the_old_form_guarantees_and_limits_and_is_set_once(world: World) -> None:
    world.agent()

    def ask(guarantee: str, role: str | None = "r", *, force: bool = False) -> om.OperatorResponse:
        request = om.QuotaRequest(role, Resources.parse(guarantee), force)
        return world.ask(om.SetQuota(request))

    assert "no scalar" in refusal(ask("ports:[1-2]"))
    assert "must be plain" in refusal(ask("cpus(r):1"))
    assert "is empty" in refusal(ask(""))
    assert "name a role" in refusal(ask("cpus:1", None))
    assert "exceed the cluster" in refusal(ask("cpus:9"))
    assert ask("cpus:9", force=True) == om.Done()
    assert "has quota already" in refusal(ask("cpus:1"))
    assert world.ask(om.GetQuota()) == om.Quotas(om.QuotaStatus((quota("r", {"cpus": 9}, cpus=9),)))


# ---------------------------------------------------------------------------------- failover


def test_weights_and_quota_survive_the_master(world: World) -> None:
    """Behaviour 64."""
    world.agent()
    world.ask(om.UpdateWeights((om.WeightInfo(2.5, "eng/backend"), om.WeightInfo(1.0, "ops"))))
    update(world, quota("eng", {"cpus": 1}, cpus=2), quota("gone", cpus=1))
    world.ask(om.RemoveQuota("gone"))
    before = [world.ask(call) for call in (om.GetWeights(), om.GetQuota())]
    world.restart()
    assert [world.ask(call) for call in (om.GetWeights(), om.GetQuota())] == before
    role = role_of(world, "eng/backend")
    assert role.weight == 2.5
    assert role_of(world, "eng").quota == quota("eng", {"cpus": 1}, cpus=2)


def test_with_quota_a_new_leader_waits_for_most_agents(world: World) -> None:
    """Behaviour 61."""
    agents = [world.agent() for _ in range(5)]
    framework = follower(world, "f")
    update(world, quota("r", {"cpus": 1}))
    world.restart()
    framework.subscribe()
    for agent in agents[:3]:
        agent.reregister()
    assert not framework.offers
    agents[3].reregister()
    assert len(framework.offers) == 4


def test_with_quota_a_new_leader_waits_for_agents_10_minutes_at_most(world: World) -> None:
    """Behaviour 61."""
    agents = [world.agent() for _ in range(5)]
    framework = follower(world, "f")
    update(world, quota("r", {"cpus": 1}))
    world.restart()
    framework.subscribe()
    agents[0].reregister()
    framework.say(sm.Revive())
    world.advance(599)
    assert not framework.offers
    world.advance(2)
    assert len(framework.offers) == 1


def test_without_quota_a_new_leader_offers_at_once(world: World) -> None:
    agents = [world.agent() for _ in range(5)]
    framework = world.framework()
    world.restart()
    framework.subscribe()
    agents[0].reregister()
    assert len(framework.offers) == 1


def test_how_many_agents_are_awaited_can_be_set() -> None:
    world = World(allocator_agent_recovery_factor=0.2, allocator_recovery_timeout_s=10.0)
    agents = [world.agent() for _ in range(5)]
    framework = world.framework()
    update(world, quota("r", {"cpus": 1}))
    world.restart()
    framework.subscribe()
    agents[0].reregister()
    assert len(framework.offers) == 1


@given(st.data())
def test_what_a_new_leader_knows_is_what_the_last_one_answered(data: st.DataObject) -> None:
    """After every prefix of the steps; a call writes all or nothing."""
    world = World()
    names = st.sampled_from(["a", "b", "c"])
    amounts = st.dictionaries(st.sampled_from(["cpus", "mem"]), st.integers(0, 5), max_size=2)
    configs = st.builds(
        lambda role, guarantees, limits: quota(role, guarantees, **limits), names, amounts, amounts
    )
    calls = st.one_of(
        st.builds(
            lambda infos: om.UpdateWeights(tuple(infos)),
            st.lists(st.builds(om.WeightInfo, st.floats(0, 9), names), max_size=3),
        ),
        st.builds(
            lambda each, force: om.UpdateQuota(tuple(each), force),
            st.lists(configs, max_size=3),
            st.booleans(),
        ),
        st.builds(om.RemoveQuota, names),
    )
    world.agent()
    for call in data.draw(st.lists(calls, max_size=8)):
        before = dict(world.stored)
        if isinstance(world.ask(call), om.Refused):
            assert world.stored == before
        told = [world.ask(read) for read in (om.GetWeights(), om.GetQuota())]
        after = World(stored=world.stored)
        assert [after.ask(read) for read in (om.GetWeights(), om.GetQuota())] == told


def test_what_operators_set_is_written_once_and_in_one_step(world: World) -> None:
    world.writes.clear()
    update(world, quota("a", cpus=1), quota("b", cpus=1))
    assert [w.key for w in world.writes if isinstance(w, Put)] == ["quota/a", "quota/b"]
    world.writes.clear()
    world.ask(om.UpdateWeights((om.WeightInfo(2.0, "a"),)))
    world.ask(om.UpdateWeights((om.WeightInfo(2.0, "a"),)))
    assert [w.key for w in world.writes] == ["weight/a"], "nothing is written that is known"


# ---------------------------------------------------------------------------------- views


def test_a_role_is_shown_with_what_it_has_and_what_is_below_it(world: World) -> None:
    world.agent()
    framework = follower(world, "eng/backend")
    framework.launch("t1")
    framework.say(sm.Revive())
    update(world, quota("eng", cpus=4))
    top, leaf = role_of(world, "eng"), role_of(world, "eng/backend")
    assert leaf.frameworks == (framework.id,)
    assert top.frameworks == ()
    left = (BIG - SMALL).filter(role="*")
    for view in (top, leaf):
        assert (view.allocated, view.consumed) == (SMALL, {"cpus": 1000, "mem": 100_000})
        assert view.offered == Resources.of(cpus=left.cpus, mem=left.mem_mib)
        assert view.resources == view.allocated + view.offered
    assert top.share == 1.0, "all cpus are offered or allocated"


def test_a_role_that_nobody_is_in_any_more_is_not_shown(world: World) -> None:
    framework = follower(world, "r")
    framework.say(sm.Teardown())
    roles = world.ask(om.GetRoles())
    assert isinstance(roles, om.Roles)
    assert [role.name for role in roles.roles] == []
    assert world.core.state.completed[FrameworkId(framework.id)]
