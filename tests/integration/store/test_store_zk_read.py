"""Many nodes in one request, from a real ZooKeeper."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import make_digest_acl

from mezzo.zk.multi_read import read_async
from tests.parts.zookeeper import ZkEnsemble

pytestmark = pytest.mark.zookeeper


@pytest.fixture
def client(zk: ZkEnsemble) -> Iterator[KazooClient]:
    made = KazooClient(zk.hosts)
    made.start()
    yield made
    made.stop()
    made.close()


def test_values_come_in_the_order_of_the_paths(client: KazooClient, zk: ZkEnsemble) -> None:
    root = zk.url().rpartition("/")[2]
    values = {f"/{root}/{n}": bytes([n]) * n for n in range(100)}
    for path, value in values.items():
        client.create(path, value, makepath=True)
    paths = sorted(values)
    assert read_async(client, paths).get(10) == [values[path] for path in paths]


def test_a_node_that_is_not_there_is_none(client: KazooClient, zk: ZkEnsemble) -> None:
    root = zk.url().rpartition("/")[2]
    client.create(f"/{root}/there", b"x", makepath=True)
    paths = [f"/{root}/{name}" for name in ("before", "there", "ünknown")]
    assert read_async(client, paths).get(10) == [None, b"x", None]


def test_nothing_is_read_of_no_paths(client: KazooClient) -> None:
    assert read_async(client, []).get(10) == []


def test_what_may_not_be_read_is_an_error(client: KazooClient, zk: ZkEnsemble) -> None:
    path = "/" + zk.url().rpartition("/")[2]
    client.create(path, b"secret", acl=[make_digest_acl("somebody", "else", all=True)])
    with pytest.raises(NoAuthError):
        read_async(client, [path]).get(10)
