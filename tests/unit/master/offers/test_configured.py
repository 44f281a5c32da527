"""What the master's flags say about offers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mezzo.cluster.model import Capability, FaultDomain, RoleOfferFilter
from mezzo.cluster.resources import Resources
from mezzo.errors import BadConfig
from mezzo.master.allocator.terms import AllocatorConfig
from mezzo.master.events import WhitelistChanged
from mezzo.master.process import whitelist
from mezzo.messages import scheduler as sm

from ..world import BIG, World


def test_only_listed_hosts_are_offered(world: World) -> None:
    """Behaviour 71."""
    world.feed(WhitelistChanged(("h1",)))
    listed, other = world.agent(hostname="h1"), world.agent(hostname="h2")
    framework = world.framework()
    assert [offer.agent_id for offer in framework.offers.values()] == [listed.id]
    world.feed(WhitelistChanged(("h2",)))
    framework.say(sm.Revive())
    assert {offer.agent_id for offer in framework.offers.values()} == {listed.id, other.id}
    framework.decline(0)
    world.advance(1)
    assert [offer.agent_id for offer in framework.offers.values()] == [other.id]
    world.feed(WhitelistChanged(None))
    world.advance(1)
    assert len(framework.offers) == 2


def test_an_agent_without_a_stream_is_not_offered(world: World) -> None:
    """Behaviour 71."""
    agent = world.agent()
    agent.disconnect()
    framework = world.framework()
    assert framework.offers == {}
    agent.reregister()
    assert len(framework.offers) == 1


def test_what_is_below_the_minimum_is_not_offered_unless_a_role_wants_less() -> None:
    """Behaviour 72."""
    config = AllocatorConfig(min_allocatable=({"cpus": 1000, "mem": 1_000_000},))
    world = World(allocator=config)
    world.agent(Resources.of(cpus=4, mem=999))
    modest = RoleOfferFilter("modest", ({"cpus": 1000},))
    proud, other = (
        world.framework(
            role, roles=(role,), capabilities=(Capability.MULTI_ROLE,), offer_filters=(modest,) * n
        )
        for n, role in ((0, "proud"), (1, "modest"))
    )
    assert proud.offers == {}
    assert len(other.offers) == 1


def test_reserved_and_revocable_resources_are_seen_by_whom_they_are_for(world: World) -> None:
    """Behaviour 73."""
    world.agent(Resources.parse("cpus(eng):2;cpus:1;mem(ops):64;mem:64"))
    for role, cpus, mem in (("other", 1, 64), ("eng/web", 3, 64), ("ops", 1, 128)):
        framework = world.framework(roles=(role,), capabilities=(Capability.MULTI_ROLE,))
        assert (framework.held.cpus, framework.held.mem_mib) == (cpus, mem)
        framework.say(sm.Teardown())


@pytest.mark.parametrize("filtered", [True, False])
def test_agents_with_gpus_are_for_frameworks_that_use_them(filtered: bool) -> None:
    """Behaviour 74."""
    world = World(allocator=AllocatorConfig(filter_gpu_resources=filtered))
    world.agent(Resources.parse("cpus:2;mem:100;gpus:1"))
    plain = world.framework()
    assert bool(plain.offers) is not filtered
    plain.say(sm.Teardown())
    assert world.framework(capabilities=(Capability.GPU_RESOURCES,)).held.gpus == 1


def test_agents_of_another_region_are_for_frameworks_that_know_regions() -> None:
    world = World(domain=FaultDomain("here", "a"))
    near = world.agent(domain=FaultDomain("here", "b"))
    far = world.agent(domain=FaultDomain("there", "a"))
    plain = world.framework()
    assert [offer.agent_id for offer in plain.offers.values()] == [near.id]
    aware = world.framework(capabilities=(Capability.REGION_AWARE,))
    assert [offer.agent_id for offer in aware.offers.values()] == [far.id]


def test_what_is_excluded_does_not_count_for_shares() -> None:
    world = World(allocator=AllocatorConfig(fair_sharing_excluded=("gpus",)))
    gpus = world.framework("gpus", capabilities=(Capability.GPU_RESOURCES,))
    world.agent(Resources.parse("cpus:1;mem:100;gpus:8"))
    assert gpus.held.gpus == 8
    other = world.framework("other", capabilities=(Capability.GPU_RESOURCES,))
    for _ in range(3):
        world.agent(Resources.parse("cpus:1;mem:100"))
    assert (len(gpus.offers), len(other.offers)) == (2, 2)


# ---------------------------------------------------------------------------------- the file


def test_the_whitelist_is_a_hostname_a_line(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("h2\n\n  h1 \nh2\n")
    assert whitelist.read(file) == ("h1", "h2")
    for bad in (tmp_path / "none", tmp_path):
        with pytest.raises(BadConfig, match="--whitelist"):
            whitelist.read(bad)
    file.write_bytes(b"\xff")
    with pytest.raises(BadConfig, match="--whitelist"):
        whitelist.read(file)


def test_a_change_of_the_whitelist_is_told_and_a_missing_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("h1\n")

    async def main() -> None:
        told: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        following = asyncio.ensure_future(
            whitelist.follow(file, ("h1",), told.put_nowait, every_s=0.001)
        )
        file.write_text("h2\n")
        async with asyncio.timeout(20):
            assert await told.get() == ("h2",)
        file.unlink()
        file.write_text("")
        async with asyncio.timeout(20):
            assert await told.get() == ()
        following.cancel()

    asyncio.run(main())


def test_a_whole_agent_is_offered_by_default(world: World) -> None:
    world.agent()
    assert world.framework().held == BIG
