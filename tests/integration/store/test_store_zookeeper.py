"""What only the ZooKeeper store promises: real servers that die, messages that get lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from kazoo.client import KazooClient

from mezzo.core import Delete, Put
from mezzo.errors import Fenced, StoreError, StoreUnavailable
from mezzo.store.zookeeper import ZooKeeperStore
from mezzo.zk.address import parse_zk_address
from tests.parts.zookeeper import ZkEnsemble
from tests.parts.zookeeper_proxy import MULTI, Lose, ZkProxy

pytestmark = pytest.mark.zookeeper


@pytest.fixture
def client(zk: ZkEnsemble) -> Iterator[KazooClient]:
    """A bystander's view of the one server."""
    yield from connected(zk)


@pytest.fixture
def ensemble_client(zk_ensemble: ZkEnsemble) -> Iterator[KazooClient]:
    yield from connected(zk_ensemble)


def connected(zk: ZkEnsemble) -> Iterator[KazooClient]:
    client = KazooClient(hosts=zk.hosts)
    client.start()
    yield client
    client.stop()
    client.close()


def zk_store(
    url: str, *, patience_s: float = 30.0, session_timeout_s: float = 4.0
) -> ZooKeeperStore:
    return ZooKeeperStore(
        parse_zk_address(url), patience_s=patience_s, session_timeout_s=session_timeout_s
    )


def carried_out(client: KazooClient, path: str) -> int:
    """How many transactions ZooKeeper carried out on a store since its first term was opened."""
    return client.get(f"{path}/epoch")[1].version


def test_the_zookeeper_layout_is_kind_and_escaped_id(zk: ZkEnsemble, client: KazooClient) -> None:
    address = parse_zk_address(zk.url())
    store = zk_store(str(address))
    store.open_term()
    store.commit([Put("app//web/shop", b"x")])
    assert sorted(client.get_children(address.path)) == ["app", "epoch"]
    assert client.get(f"{address.path}/app/%2Fweb%2Fshop")[0] == b"x"
    store.close()


def test_a_leader_that_slept_through_its_deposition_cannot_open_a_term(
    zk: ZkEnsemble, client: KazooClient
) -> None:
    url = zk.url()
    alive = client.create("/candidates/c-", b"", ephemeral=True, sequence=True, makepath=True)
    gone = client.create("/candidates/c-", b"", ephemeral=True, sequence=True)
    client.delete(gone)
    leader, sleeper = zk_store(url), zk_store(url)
    assert leader.open_term(alive) == 1
    with pytest.raises(Fenced):
        sleeper.open_term(gone)
    leader.commit([Put("a/1", b"x")])
    assert leader.open_term(alive) == 2
    leader.close()
    sleeper.close()


@pytest.mark.parametrize("what", list(Lose))
def test_a_commit_whose_message_is_lost_is_carried_out_exactly_once(
    zk: ZkEnsemble, client: KazooClient, what: Lose
) -> None:
    address = parse_zk_address(zk.url())
    with ZkProxy(zk.hosts) as proxy:
        store = zk_store(f"zk://{proxy.host_port}{address.path}")
        store.open_term()
        model = {}
        for n in range(6):
            if n % 2 == 0:
                proxy.lose(what, MULTI)
            store.commit(
                [Put(f"a/{n}", b"x"), Put("a/last", str(n).encode()), Delete(f"a/{n - 2}")]
            )
            model = {"a/last": str(n).encode(), f"a/{n}": b"x", f"a/{n - 1}": b"x"}
            assert proxy.lost.is_set()
        assert store.load() == model
        assert carried_out(client, address.path) == 6
        store.close()


@pytest.mark.parametrize("what", list(Lose))
def test_opening_a_term_whose_message_is_lost_raises_the_epoch_once(
    zk: ZkEnsemble, what: Lose
) -> None:
    address = parse_zk_address(zk.url())
    with ZkProxy(zk.hosts) as proxy:
        store = zk_store(f"zk://{proxy.host_port}{address.path}")
        for epoch in (1, 2, 3):
            proxy.lose(what, MULTI)
            assert store.open_term() == epoch
            assert proxy.lost.is_set()
            store.commit([])
        store.close()


def test_a_commit_in_doubt_is_settled_when_the_servers_are_back(
    zk: ZkEnsemble, client: KazooClient
) -> None:
    address = parse_zk_address(zk.url())
    with ZkProxy(zk.hosts) as proxy:
        store = zk_store(f"zk://{proxy.host_port}{address.path}", patience_s=1.5)
        store.open_term()
        store.commit([Put("a/1", b"1")])
        proxy.lose(Lose.REPLY, MULTI)

        def cut_off() -> None:
            proxy.lost.wait()
            proxy.refuse()

        cutter = threading.Thread(target=cut_off)
        cutter.start()
        with pytest.raises(StoreUnavailable):
            store.commit([Put("a/2", b"2"), Delete("a/1")])
        cutter.join()
        proxy.allow()
        store.commit([Put("a/1", b"1 again"), Put("a/2", b"2 again")])
        assert store.load() == {"a/1": b"1 again", "a/2": b"2 again"}
        assert carried_out(client, address.path) == 3
        store.close()


def test_fencing_is_noticed_by_an_owner_that_was_cut_off(zk: ZkEnsemble) -> None:
    address = parse_zk_address(zk.url())
    with ZkProxy(zk.hosts) as proxy:
        store = zk_store(f"zk://{proxy.host_port}{address.path}", patience_s=1.5)
        store.open_term()
        proxy.refuse()
        with pytest.raises(StoreUnavailable):
            store.commit([Put("a/1", b"late")])
        heir = zk_store(str(address))
        heir.open_term()
        proxy.allow()
        with pytest.raises(Fenced):
            store.commit([Put("a/1", b"late")])
        assert heir.load() == {}
        store.close()
        heir.close()


def test_nodes_that_were_edited_by_hand_do_not_stop_the_owner(
    zk: ZkEnsemble, client: KazooClient
) -> None:
    address = parse_zk_address(zk.url())
    store = zk_store(str(address))
    store.open_term()
    store.commit([Put("a/1", b"x"), Put("a/2", b"x")])
    client.delete(f"{address.path}/a/1")
    client.create(f"{address.path}/a/3", b"by hand")
    store.commit([Put("a/1", b"y"), Put("a/3", b"y")])
    assert store.load() == {"a/1": b"y", "a/2": b"x", "a/3": b"y"}
    store.close()


def test_a_node_of_something_else_is_refused_and_left_alone(
    zk: ZkEnsemble, client: KazooClient
) -> None:
    address = parse_zk_address(zk.url())
    client.create(f"{address.path}/epoch", b"not ours", makepath=True)
    store = zk_store(str(address))
    with pytest.raises(StoreError, match="nothing else uses"):
        store.open_term()
    assert client.get(f"{address.path}/epoch")[0] == b"not ours"
    store.close()


def test_stored_state_is_closed_to_those_without_its_credentials(zk: ZkEnsemble) -> None:
    address = parse_zk_address(zk.url())
    owner = zk_store(f"zk://mezzo:s3cret@{zk.hosts}{address.path}")
    owner.open_term()
    owner.commit([Put("secret/db", b"x")])
    stranger = zk_store(str(address))
    with pytest.raises(StoreError, match="refuses access"):
        stranger.open_term()
    with pytest.raises(StoreError, match="refuses access"):
        stranger.load()
    assert owner.load() == {"secret/db": b"x"}
    owner.close()
    stranger.close()


def test_no_log_level_shows_credentials_or_values(
    zk: ZkEnsemble, caplog: pytest.LogCaptureFixture
) -> None:
    address = parse_zk_address(zk.url())
    with caplog.at_level(1), caplog.at_level(1, logger="kazoo"):
        store = zk_store(f"zk://mezzo:s3cret@{zk.hosts}{address.path}")
        store.open_term()
        store.commit([Put("a/1", b"private value")])
        store.close()
    assert "connection established" in caplog.text
    assert "s3cret" not in caplog.text
    assert "private" not in caplog.text


def test_commits_survive_the_death_of_any_one_of_three_servers(
    zk_ensemble: ZkEnsemble, ensemble_client: KazooClient
) -> None:
    address = parse_zk_address(zk_ensemble.url())
    store = zk_store(str(address))
    store.open_term()
    total = 120
    reached = {at: threading.Event() for at in (30, 80)}

    def killer() -> None:
        for event in reached.values():
            event.wait()
            victim = zk_ensemble.leader()
            victim.kill()
            victim.start()
            victim.wait_until_serving()

    chaos = threading.Thread(target=killer)
    chaos.start()
    for n in range(total):
        store.commit([Put(f"a/{n}", b"x"), Put("b/last", str(n).encode())])
        if n in reached:
            reached[n].set()
    chaos.join()
    heir = zk_store(str(address))
    assert heir.open_term() == 2
    assert heir.load() == {f"a/{n}": b"x" for n in range(total)} | {"b/last": b"119"}
    assert carried_out(ensemble_client, address.path) == total + 1
    store.close()
    heir.close()


def test_without_servers_the_store_is_unavailable_and_works_again_when_they_are_back(
    zk_ensemble: ZkEnsemble,
) -> None:
    store = zk_store(zk_ensemble.url(), patience_s=8.0)
    store.open_term()
    store.commit([Put("a/1", b"before")])
    zk_ensemble.stop()
    with pytest.raises(StoreUnavailable, match="majority"):
        store.commit([Put("a/1", b"during")])
    zk_ensemble.start()
    store.commit([Put("a/2", b"after")])
    assert store.load() == {"a/1": b"before", "a/2": b"after"}
    store.close()


def test_who_finds_zookeeper_emptied_is_fenced_and_does_not_ask_for_ever(
    zk: ZkEnsemble, client: KazooClient
) -> None:
    address = parse_zk_address(zk.url())
    store = zk_store(str(address))
    store.open_term(at_least=1000)
    store.commit([Put("a/1", b"x")])
    client.delete(address.path, recursive=True)
    with pytest.raises(Fenced):
        store.commit([Put("a/1", b"y")])
    heir = zk_store(str(address))
    assert heir.open_term(at_least=2000) == 2000
    assert heir.load() == {}
    with pytest.raises(Fenced):
        store.commit([Put("a/1", b"y")])
    store.close()
    heir.close()


@pytest.mark.parametrize("where", ["before it was ever reached", "in a commit"])
def test_a_store_that_waits_for_its_servers_can_be_closed(zk: ZkEnsemble, where: str) -> None:
    address = parse_zk_address(zk.url())
    with ZkProxy(zk.hosts) as proxy:
        if where != "in a commit":
            proxy.refuse()
        store = zk_store(f"zk://{proxy.host_port}{address.path}", patience_s=600.0)
        if where == "in a commit":
            store.open_term()
            proxy.refuse()
        ended: list[Exception] = []

        def wait() -> None:
            try:
                store.commit([]) if where == "in a commit" else store.open_term()
            except StoreUnavailable as error:
                ended.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        began_s = time.monotonic()
        store.close()
        waiting.join(20)
        assert ended
        assert time.monotonic() - began_s < 10
