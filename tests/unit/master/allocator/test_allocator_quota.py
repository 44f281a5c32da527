"""Roles: hierarchy, weights, quota."""

from __future__ import annotations

import pytest

from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.terms import AgentTerms, Quota, Withdraw

from ..allocators import (
    ONE,
    add,
    allocator,
    back,
    client,
    cycle,
    decline,
    demand,
    framework,
    grants,
    use,
)

CPU = Resources.of(cpus=1, mem=64)


def cpus(**amounts: float) -> dict[str, int]:
    return {name: round(amount * 1000) for name, amount in amounts.items()}


def fill(a: Allocator, number: int, resources: Resources = ONE) -> dict[str, int]:
    """Add so many agents one by one; who got how many."""
    got: dict[str, int] = {}
    for at in range(number):
        add(a, f"n{at}", resources)
        for name, _ in cycle(a):
            got[name] = got.get(name, 0) + 1
    return got


# ---- hierarchy and weights


def test_siblings_share_equally_level_by_level() -> None:
    """Behaviour 68."""
    a = allocator()
    framework(a, "b", "a/b")
    framework(a, "c", "a/c")
    framework(a, "d", "d")
    assert fill(a, 8) == {"b": 2, "c": 2, "d": 4}


def test_a_role_competes_with_the_roles_below_it() -> None:
    a = allocator()
    framework(a, "own", "a")
    framework(a, "sub1", "a/b")
    framework(a, "sub2", "a/b")
    assert fill(a, 8) == {"own": 4, "sub1": 2, "sub2": 2}


def test_weights_divide_shares() -> None:
    a = allocator()
    framework(a, "one", "x")
    framework(a, "two", "y")
    a.set_weight("y", 2.0)
    assert fill(a, 9) == {"one": 3, "two": 6}
    a.set_weight("y", 1.0)
    assert fill_more(a, 3) == {"one": 3}


def fill_more(a: Allocator, number: int) -> dict[str, int]:
    got: dict[str, int] = {}
    for at in range(number):
        add(a, f"more{at}")
        for name, _ in cycle(a):
            got[name] = got.get(name, 0) + 1
    return got


def test_the_weight_of_a_subrole_counts_among_its_siblings() -> None:
    a = allocator()
    a.set_weight("a/b", 3.0)
    framework(a, "b", "a/b")
    framework(a, "c", "a/c")
    framework(a, "d", "d")
    assert fill(a, 16) == {"b": 6, "c": 2, "d": 8}


def test_suppressed_roles_are_left_out_of_the_order() -> None:
    a = allocator()
    framework(a, "b", "a/b")
    framework(a, "d", "d")
    a.suppress(FrameworkId("b"))
    assert fill(a, 4) == {"d": 4}


def test_excluded_resources_make_no_share() -> None:
    a = allocator("a", "b", config={"fair_sharing_excluded": ("mem",)})
    add(a, "s1", Resources.of(cpus=1, mem=1000))
    ((first, _),) = cycle(a)
    assert a.share((FrameworkId(first), "*")) == 1.0
    add(a, "s2", Resources.of(mem=1000))
    cycle(a)
    assert {a.share((FrameworkId(name), "*")) for name in "ab"} == {0.0, 1.0}


# ---- limits


def test_a_limit_splits_agents_and_is_never_exceeded() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("r", Quota({}, cpus(cpus=3, mem=128)))
    for at in range(3):
        add(a, f"s{at}", Resources.of(cpus=2, mem=200, ports=[(1, 9)]))
    got = [grant.resources for grant in grants(a)]
    assert got == [
        Resources.of(cpus=2, mem=128, ports=[(1, 9)]),
        Resources.of(cpus=1, ports=[(1, 9)]),
    ]
    assert grants(a) == []


def test_a_limit_holds_for_the_roles_below() -> None:
    a = allocator()
    framework(a, "x", "r/x")
    framework(a, "y", "r/y")
    a.set_quota("r", Quota({}, cpus(cpus=3, mem=300)))
    for at in range(4):
        add(a, f"s{at}", ONE)
    assert len(cycle(a)) == 3


def test_who_is_limited_is_offered_again_once_something_of_the_role_ends() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("r", Quota({}, cpus(cpus=1, mem=100)))
    add(a, "s1")
    add(a, "s2")
    (first,) = grants(a)
    use(a, [first])
    assert not a.wants_cycle
    a.set_agent_active(first.agent_id, False)
    a.release(client(first), first.agent_id, ONE)
    (second,) = grants(a)
    assert second.agent_id != first.agent_id


def test_what_limit_and_headroom_only_together_kept_back_is_offered_once_one_is_gone() -> None:
    a = allocator("a", roles=("r",))
    add(a, "s1")
    a.set_quota("idle", Quota(cpus(mem=100)))
    a.set_quota("r", Quota({}, cpus(cpus=0)))
    assert cycle(a) == []
    a.set_quota("r", None)
    assert [grant.resources for grant in grants(a)] == [Resources.of(cpus=1)]


def test_a_higher_limit_and_no_limit_are_used_at_once() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("r", Quota({}, cpus(cpus=1, mem=100)))
    for at in range(3):
        add(a, f"s{at}")
    assert len(cycle(a)) == 1
    a.set_quota("r", Quota({}, cpus(cpus=2, mem=200)))
    assert len(cycle(a)) == 1
    a.set_quota("r", None)
    assert len(cycle(a)) == 1


def test_a_tighter_limit_withdraws_the_newest_offers_and_only_enough() -> None:
    a = allocator("a", roles=("r",))
    for at in range(4):
        add(a, f"s{at}")
        a.cycle(float(at))
    a.set_quota("r", Quota({}, cpus(cpus=2)))
    assert a.wants_cycle
    withdrawn = [each for each in a.cycle(9.0) if isinstance(each, Withdraw)]
    assert [each.agent_id for each in withdrawn] == ["s3", "s2"]
    for each in withdrawn:
        a.decline(client(each), each.agent_id, ONE)
    # What comes back is not offered to the role again, except what is not limited.
    assert [grant.resources for grant in grants(a, 9.0)] == [Resources.of(mem=100)] * 2


def test_a_tighter_limit_withdraws_nothing_of_other_roles() -> None:
    a = allocator("a", roles=("r",))
    add(a, "s1")
    a.cycle(0.0)
    a.suppress(FrameworkId("a"))
    framework(a, "b", "other")
    add(a, "s2")
    assert cycle(a) == [("b", "s2")]
    a.set_quota("r", Quota({}, cpus(cpus=0.5)))
    withdrawn = [each for each in a.cycle(9.0) if isinstance(each, Withdraw)]
    assert [each.agent_id for each in withdrawn] == ["s1"]


def test_a_mount_disk_is_not_split_by_a_limit() -> None:
    mount = Kind("disk", disk=Disk(DiskSource("MOUNT", "/mnt/1")))
    a = allocator("a", roles=("r",))
    a.set_quota("r", Quota({}, cpus(disk=50)))
    add(a, "s1", ONE + Resources({mount: 100_000}))
    assert [grant.resources for grant in grants(a)] == [ONE]
    a.set_quota("r", Quota({}, cpus(disk=100)))
    back(a, "a", "s1", role="r")
    assert [grant.resources for grant in grants(a)] == [ONE + Resources({mount: 100_000})]


def test_reserved_and_other_resources_are_beyond_a_limit() -> None:
    a = allocator("a", roles=("r",), revocable=True)
    a.set_quota("r", Quota({}, cpus(cpus=0, mem=0)))
    reserved = Resources.parse("cpus(r):2")
    spot = Resources({Kind("cpus", revocable=True): 1000})
    add(a, "s1", ONE + reserved + spot)
    add(a, "s2", ONE)
    assert [grant.resources for grant in grants(a)] == [reserved + spot]


def test_unallocated_reservations_count_against_the_limit() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("r", Quota({}, cpus(cpus=2, mem=1000)))
    a.add_agent(AgentId("away"), AgentTerms(Resources.parse("cpus(r/x):1;mem:1")), {})
    a.set_agent_active(AgentId("away"), False)
    add(a, "s1", Resources.of(cpus=3, mem=10))
    (grant,) = grants(a)
    assert grant.resources.cpus == 1
    assert a.consumed("r") == cpus(cpus=1)
    use(a, [grant])
    assert a.consumed("r") == cpus(cpus=2, mem=10)
    assert a.consumed("r/x") == cpus(cpus=1)


# ---- guarantees


def test_nobody_gets_what_is_guaranteed_to_an_idle_role() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("idle", Quota(cpus(cpus=3, mem=300)))
    for at in range(4):
        add(a, f"s{at}")
    assert len(cycle(a)) == 1
    assert not a.wants_cycle
    framework(a, "late", "idle")
    assert [name for name, _ in cycle(a)] == ["late"] * 3


def test_the_guaranteed_come_first_whatever_their_share() -> None:
    a = allocator("poor", roles=("p",))
    framework(a, "rich", "r")
    fill_for(a, "rich", "r", 3)
    a.set_quota("r", Quota(cpus(cpus=5, mem=500)))
    add(a, "s1")
    assert cycle(a) == [("rich", "s1")]
    add(a, "s2")
    assert cycle(a) == [("rich", "s2")]
    add(a, "s3")
    assert cycle(a) == [("poor", "s3")]


def test_what_meets_no_guarantee_goes_by_share() -> None:
    a = allocator("poor", roles=("p",))
    framework(a, "rich", "r")
    fill_for(a, "rich", "r", 3)
    a.set_quota("r", Quota(cpus(cpus=5)))
    add(a, "s1", Resources.of(mem=100))
    assert cycle(a) == [("poor", "s1")]


def fill_for(a: Allocator, name: str, role: str, number: int) -> None:
    for at in range(number):
        running = {(FrameworkId(name), role): ONE}
        a.add_agent(AgentId(f"{name}{at}"), AgentTerms(ONE), running)
    cycle(a)


def test_what_headroom_kept_back_is_offered_once_the_headroom_shrinks() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("idle", Quota(cpus(cpus=2, mem=200)))
    add(a, "s1")
    add(a, "s2")
    assert cycle(a) == []
    a.set_quota("idle", Quota(cpus(cpus=1, mem=100)))
    assert len(cycle(a)) == 1
    a.set_quota("idle", None)
    assert len(cycle(a)) == 1


@pytest.mark.parametrize("how", ["away", "not listed", "removed"])
def test_what_is_free_where_nothing_is_offered_is_no_headroom(how: str) -> None:
    """Simulator, seed 2067: the guarantee was kept free on a machine that was gone."""
    a = allocator("a", roles=("r",))
    a.set_quota("idle", Quota(cpus(cpus=1, mem=100)))
    add(a, "s1", hostname="s1")
    if how == "not listed":
        a.set_whitelist(["s2"])
    else:
        a.set_agent_active(AgentId("s1"), False)
    add(a, "s2", hostname="s2")
    assert cycle(a) == [], "the guarantee is kept free there"
    if how == "removed":
        a.remove_agent(AgentId("s1"))
        assert cycle(a) == []
        return
    a.set_whitelist(None)
    a.set_agent_active(AgentId("s1"), True)
    assert len(cycle(a)) == 1


def test_headroom_is_kept_in_parts_of_agents() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("idle", Quota(cpus(cpus=1.5)))
    add(a, "s1", Resources.of(cpus=4, mem=100))
    assert [grant.resources for grant in grants(a)] == [Resources.of(cpus=2.5, mem=100)]


def test_a_guarantee_is_met_even_if_guarantees_exceed_the_cluster() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("r", Quota(cpus(cpus=2, mem=200)))
    a.set_quota("idle", Quota(cpus(cpus=100, mem=10_000)))
    add(a, "s1")
    assert cycle(a) == [("a", "s1")]


def test_a_guarantee_serves_the_roles_below() -> None:
    a = allocator()
    framework(a, "sub", "r/x")
    framework(a, "other", "b")
    a.set_quota("r", Quota(cpus(cpus=2, mem=200)))
    for at in range(2):
        add(a, f"s{at}")
    assert [name for name, _ in cycle(a)] == ["sub", "sub"]


def test_with_the_quota_gone_sharing_is_fair_again() -> None:
    a = allocator("x", roles=("x",))
    framework(a, "y", "y")
    a.set_quota("x", Quota(cpus(cpus=4, mem=400), cpus(cpus=4, mem=400)))
    assert fill(a, 2) == {"x": 2}
    a.set_quota("x", None)
    assert fill_more(a, 4) == {"y": 3, "x": 1}


def test_declared_demand_stays_within_limit_and_headroom() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("idle", Quota(cpus(cpus=2)))
    a.set_quota("r", Quota({}, cpus(cpus=4)))
    a.set_demand(FrameworkId("a"), (demand("r", 9, cpus=1, mem=1),))
    add(a, "s1", Resources.of(cpus=5, mem=100))
    assert [grant.resources.cpus for grant in grants(a)] == [3.0]
    a.set_quota("idle", None)
    assert [grant.resources.cpus for grant in grants(a)] == [1.0]


# ---- views


def test_the_books_of_roles_tell_what_is_reserved_offered_allocated_and_consumed() -> None:
    a = allocator()
    framework(a, "x", "a/x")
    a.set_weight("a", 2.0)
    a.set_weight("lonely", 3.0)
    quota = Quota(cpus(cpus=1), cpus(cpus=9))
    a.set_quota("a", quota)
    add(a, "s1", Resources.parse("cpus:2;mem:64;cpus(a):1"))
    (grant,) = grants(a)
    a.use(client(grant), grant.agent_id, Resources.parse("cpus:1;cpus(a):1"))
    books = {each.role: each for each in a.roles()}
    assert sorted(books) == ["a", "a/x", "lonely"]
    top = books["a"]
    assert (top.weight, top.quota, top.share) == (2.0, quota, 1.0)
    assert top.reserved == cpus(cpus=1)
    assert top.allocated == cpus(cpus=2)
    assert top.offered == cpus(cpus=1, mem=64)
    assert top.consumed == cpus(cpus=2)
    sub = books["a/x"]
    assert (sub.weight, sub.quota) == (1.0, None)
    assert (sub.reserved, sub.consumed) == ({}, cpus(cpus=1))
    assert books["lonely"].weight == 3.0


# ---- operations


def test_reserving_in_an_offer_moves_it_to_the_role() -> None:
    a = allocator("a", roles=("r",))
    framework(a, "b", "b")
    a.suppress(FrameworkId("b"))
    add(a, "s1", Resources.of(cpus=2, mem=64))
    (grant,) = grants(a)
    before, after = Resources.of(cpus=1), Resources.parse("cpus(r):1")
    a.convert(client(grant), AgentId("s1"), before, after)
    assert a.consumed("r") == cpus(cpus=1)
    a.suppress(FrameworkId("a"))
    a.revive(FrameworkId("b"))
    a.decline(client(grant), AgentId("s1"), grant.resources - before + after)
    assert [(g.framework_id, g.resources) for g in grants(a)] == [
        ("b", Resources.of(cpus=1, mem=64))
    ]
    assert a.available(AgentId("s1")) == after


def test_an_operator_reserves_what_is_free_and_nothing_else() -> None:
    a = allocator("a")
    add(a, "s1", Resources.of(cpus=2, mem=64))
    before, after = Resources.of(cpus=2), Resources.parse("cpus(r):2")
    a.convert(None, AgentId("s1"), before, after)
    assert [grant.resources for grant in grants(a)] == [Resources.of(mem=64)]
    with pytest.raises(ValueError, match="is not contained"):
        a.convert(None, AgentId("s1"), before, after)
    assert a.available(AgentId("s1")) == after
    a.convert(None, AgentId("s1"), after, before)
    assert [grant.resources for grant in grants(a)] == [before]


def test_a_volume_made_in_an_offer_is_offered_whole() -> None:
    reserved = Kind("disk", (Reservation("DYNAMIC", "r"),))
    disk = Resources({reserved: 5000})
    volume = Resources({reserved._replace(disk=Disk(persistence_id="v")): 5000})
    a = allocator("a", roles=("r",))
    add(a, "s1", ONE + disk)
    (grant,) = grants(a)
    a.convert(client(grant), grant.agent_id, disk, volume)
    decline(a, [grant._replace(resources=ONE + volume)])
    assert [each.resources for each in grants(a)] == [ONE + volume]


def test_a_shared_volume_in_use_is_offered_to_others_as_well() -> None:
    kind = Kind("disk", (Reservation("DYNAMIC", "r"),), Disk(persistence_id="v"), shared=True)
    volume = Resources({kind: 1000})
    a = allocator("a", roles=("r",), shared=True)
    add(a, "s1", ONE + ONE + volume)
    (grant,) = grants(a)
    a.use(client(grant), grant.agent_id, ONE + volume)
    a.suppress(FrameworkId("a"))
    framework(a, "b", "r", shared=True)
    a.decline(client(grant), grant.agent_id, ONE)
    (other,) = grants(a)
    assert (other.framework_id, other.resources) == ("b", ONE + volume)
    assert not a.wants_cycle, "the volume alone is no offer"
    framework(a, "c", "r")
    decline(a, [other], 1e9)
    assert [each.resources for each in grants(a)] == [ONE]
    a.release(client(grant), grant.agent_id, ONE + volume)
    back(a, "c", "s1", role="r")
    assert a.available(AgentId("s1")) == ONE + ONE + volume
