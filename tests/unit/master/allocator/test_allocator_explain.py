"""Every no can be explained: one test for each kind of reason, and that a yes has none."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import Attribute, AttributeConstraint, FaultDomain, Predicate
from mezzo.cluster.resources import Disk, Kind, Reservation, Resources
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.offer_constraints import compile_constraints
from mezzo.master.allocator.reasons import Objection, Verdict, Veto
from mezzo.master.allocator.terms import AgentTerms, Quota

from ..allocators import ONE, add, allocator, back, cycle, decline, demand, framework, grants, use


def verdict(a: Allocator, name: str = "a", agent: str = "s1", role: str = "*") -> Verdict:
    return a.explain(FrameworkId(name), role, AgentId(agent), 7.0)


def only(a: Allocator, name: str = "a", agent: str = "s1", role: str = "*") -> Objection:
    (objection,) = verdict(a, name, agent, role).objections
    return objection


def test_a_yes_has_no_reasons() -> None:
    a = allocator("a")
    add(a, "s1")
    assert verdict(a) == Verdict(
        Resources(),
        ONE,
        (),
        {
            "offered": 0,
            "used": 0,
            "declined": 0,
            "withdrawn": 0,
            "outstanding": 0,
            "refusals": 0,
        },
    )


def test_what_is_offered_is_told_with_the_counters() -> None:
    a = allocator("a")
    add(a, "s1")
    cycle(a)
    told = verdict(a)
    assert told.offered == ONE
    assert (told.counters["offered"], told.counters["outstanding"]) == (1, 1)
    back(a, "a", "s1", refused_until_s=9.0)
    assert verdict(a).counters["declined"] == 1
    assert verdict(a).counters["refusals"] == 1


def test_explaining_changes_nothing() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("r", Quota({}, {"cpus": 0, "mem": 0}))
    add(a, "s1")
    cycle(a)
    for _ in range(3):
        assert only(a, role="r").veto is Veto.QUOTA_LIMIT
    assert not a.wants_cycle
    a.set_quota("r", None)
    assert cycle(a) == [("a", "s1")]


def test_who_is_disconnected() -> None:
    a = allocator("a")
    add(a, "s1")
    a.deactivate_framework(FrameworkId("a"))
    assert only(a) == Objection(
        Veto.NOT_CONNECTED,
        "a connected framework",
        "it is disconnected",
        "it has to subscribe in the role",
    )


def test_who_has_suppressed() -> None:
    a = allocator("a")
    add(a, "s1")
    a.suppress(FrameworkId("a"))
    assert only(a) == Objection(
        Veto.SUPPRESSED, "offers", "it suppressed them in the role", "it has to revive"
    )


def test_a_pause() -> None:
    a = allocator("a")
    add(a, "s1")
    a.pause()
    assert only(a).veto is Veto.PAUSED
    assert not a.wants_cycle
    assert (a.cycle(0.0), a.next_due_s) == ([], None)
    a.resume()
    assert cycle(a) == [("a", "s1")]


def test_an_inactive_agent() -> None:
    a = allocator("a")
    add(a, "s1")
    a.set_agent_active(AgentId("s1"), False)
    assert only(a).veto is Veto.AGENT_INACTIVE


def test_a_host_that_is_not_on_the_whitelist() -> None:
    a = allocator("a")
    add(a, "s1", hostname="h1")
    a.set_whitelist(["h2"])
    objection = only(a)
    assert (objection.veto, objection.have) == (Veto.WHITELIST, "h1")
    assert cycle(a) == []
    a.set_whitelist(None)
    assert cycle(a) == [("a", "s1")]


def test_gpus() -> None:
    a = allocator("a")
    add(a, "s1", ONE + Resources.of(gpus=2))
    objection = only(a)
    assert objection[:3] == (
        Veto.GPU,
        "the capability GPU_RESOURCES",
        "an agent with 2 gpus",
    )
    unfiltered = allocator("a", config={"filter_gpu_resources": False})
    add(unfiltered, "s1", ONE + Resources.of(gpus=2))
    assert cycle(unfiltered) == [("a", "s1")]


def test_another_region() -> None:
    a = allocator("a", config={"region": "north"})
    add(a, "s1", domain=FaultDomain("south", "z1"))
    add(a, "s2", domain=FaultDomain("north", "z1"))
    add(a, "s3")
    assert only(a)[:3] == (
        Veto.REGION,
        "an agent of the master's region north",
        "region south",
    )
    for near in ("s2", "s3"):
        assert Veto.REGION not in [each.veto for each in verdict(a, agent=near).objections]
    assert {agent for _, agent in cycle(a)} == {"s2", "s3"}
    framework(a, "far", region_aware=True)
    assert cycle(a) == [("far", "s1")]


def test_offer_constraints() -> None:
    rack = AttributeConstraint(Predicate.TEXT_EQUALS, "rack", text="r1")
    host = AttributeConstraint(Predicate.TEXT_MATCHES, pseudo="HOSTNAME", text="web-.*")
    a = allocator("a", constraints={"*": compile_constraints("*", [[rack], [host]])})
    add(a, "s1", hostname="db-1", attributes=(Attribute("rack", text="r2"),))
    told = [o[:3] for o in verdict(a).objections]
    assert told == [
        (Veto.CONSTRAINT, "rack text_equals 'r1'", "r2"),
        (Veto.CONSTRAINT, "HOSTNAME text_matches 'web-.*'", "db-1"),
    ]
    assert cycle(a) == []
    add(a, "s2", hostname="web-1")
    assert cycle(a) == [("a", "s2")]


def test_what_is_offered_to_others_and_who_is_served_before() -> None:
    a = allocator("a", "b")
    running = {(FrameworkId("b"), "*"): ONE + ONE}
    a.add_agent(AgentId("s0"), AgentTerms(ONE + ONE), running)
    add(a, "s1")
    add(a, "s2")
    a.set_agent_active(AgentId("s2"), False)
    a.cycle(2.0)
    offered, small, share = verdict(a, "b").objections
    assert offered == Objection(
        Veto.OFFERED,
        "cpus:1;mem:100",
        "cpus:1;mem:100 offered to a in role * for 5.0 s",
        "it has to answer its offer",
    )
    assert (small.veto, small.have) == (
        Veto.TOO_SMALL,
        "nothing free; 0.01 cpus missing",
    )
    assert share[:3] == (
        Veto.SHARE,
        "role * 0.7500 > b 0.5000",
        "before it: role * 0.7500 > a 0.2500",
    )


def test_a_role_before_it_is_told_with_its_weight() -> None:
    a = allocator()
    framework(a, "a", "x")
    framework(a, "b", "y/z")
    a.set_weight("y", 4.0)
    a.add_agent(
        AgentId("s0"),
        AgentTerms(ONE + ONE),
        {(FrameworkId("a"), "x"): ONE, (FrameworkId("b"), "y/z"): ONE},
    )
    add(a, "s1", ONE + ONE)
    objection = only(a, "a", role="x")
    assert objection[:3] == (
        Veto.SHARE,
        "role x 0.2500 > a 0.2500",
        "before it: role y 0.2500 / weight 4 > role y/z 0.2500 > b 0.2500",
    )
    assert verdict(a, "b", role="y/z").objections == ()


def test_reservations_of_others() -> None:
    a = allocator("a")
    add(a, "s1", Resources.parse("cpus(r):2;mem:1"))
    reserved, small = verdict(a).objections
    assert reserved == Objection(
        Veto.RESERVED,
        "cpus for role *",
        "cpus(r):2 is reserved to role r",
        "it has to be unreserved, or the framework to subscribe in role r",
    )
    assert (small.wanted, small.have) == (
        "0.01 cpus or 32 mem",
        "mem:1 free; 0.01 cpus missing",
    )


def test_revocable_shared_and_refined_resources_need_capabilities() -> None:
    spot = Resources({Kind("cpus", revocable=True): 1000})
    refined = (Reservation("DYNAMIC", "r"), Reservation("DYNAMIC", "r/x"))
    shared = Kind("disk", refined[:1], Disk(persistence_id="v"), shared=True)
    a = allocator("a", roles=("r/x",))
    add(a, "s1", spot + Resources({Kind("mem", refined): 99_000, shared: 1000}))
    told = {o.veto: o.wanted for o in verdict(a, role="r/x").objections}
    assert told.pop(Veto.TOO_SMALL)
    assert told == {
        Veto.REVOCABLE: "the capability REVOCABLE_RESOURCES",
        Veto.CAPABILITY: "the capability SHARED_RESOURCES",
    }
    framework(a, "able", "r/x", revocable=True, reservation_refinement=True)
    (grant,) = grants(a)
    assert (grant.framework_id, grant.resources.mem_mib) == ("able", 99)


def test_a_limit_that_is_reached() -> None:
    a = allocator("a", roles=("r",))
    a.set_quota("r", Quota({}, {"cpus": 1500, "mem": 100_000}))
    add(a, "s0")
    use(a, grants(a))
    add(a, "s1")
    assert only(a, role="r") == Objection(
        Veto.QUOTA_LIMIT,
        "1 cpus, 100 mem",
        "0.5 cpus left of role r's limit of 1.5 cpus, 100 mem",
        "a task of the role has to end, or an operator to raise the limit",
    )


def test_headroom_for_the_guarantees_of_others() -> None:
    a = allocator("a")
    a.set_quota("idle", Quota({"cpus": 2000, "mem": 64_000}))
    a.set_quota("lazy", Quota({"mem": 64_000}))
    add(a, "s1")
    assert only(a) == Objection(
        Veto.HEADROOM,
        "1 cpus, 100 mem",
        "0 beyond what is guaranteed to idle (2 cpus, 64 mem), lazy (64 mem)",
        "those roles have to use their guarantees, or more has to come free",
    )


def test_a_refusal_and_when_it_ends() -> None:
    a = allocator("a")
    add(a, "s1")
    decline(a, grants(a), 12.0)
    assert only(a) == Objection(
        Veto.FILTERED,
        "cpus:1;mem:100",
        "it refused cpus:1;mem:100",
        "the framework has to revive, or more to come free on the agent",
        12.0,
    )


def test_the_nearest_miss_of_what_is_too_small() -> None:
    a = allocator("a", min_allocatable={"*": ({"cpus": 4000, "mem": 1000}, {"mem": 150_000})})
    add(a, "s1")
    assert only(a)[:3] == (
        Veto.TOO_SMALL,
        "4 cpus, 1 mem or 150 mem",
        "cpus:1;mem:100 free; 3 cpus missing",
    )


def test_a_shape_that_does_not_fit_and_demand_that_is_met() -> None:
    a = allocator("a")
    a.set_demand(FrameworkId("a"), (demand(count=1, cpus=2, mem=50),))
    add(a, "s1")
    assert only(a)[:3] == (
        Veto.DEMAND,
        "2 cpus, 50 mem",
        "cpus:1;mem:100 free; 1 cpus missing",
    )
    a.set_demand(FrameworkId("a"), (demand(count=1, cpus=1, mem=50),))
    assert cycle(a) == [("a", "s1")]
    objection = only(a)
    assert objection.have == "all that was declared is used or offered (1 units are offered)"


def test_the_unknown_are_named() -> None:
    a = allocator("a")
    add(a, "s1")
    with pytest.raises(BadRequest, match="framework b is not known in role"):
        verdict(a, "b")
    with pytest.raises(BadRequest, match="agent s9 is not registered"):
        verdict(a, agent="s9")


def test_every_kind_of_reason_has_a_test() -> None:
    """A new one must not go without: this file names each."""
    with open(__file__) as file:
        text = file.read()
    assert [veto for veto in Veto if f"Veto.{veto.name}" not in text] == []
