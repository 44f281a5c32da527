"""Addresses of stores, elections and leaders: what is read, what is refused and how."""

from __future__ import annotations

import pytest

from mezzo.election.detector import detector_for, election_for
from mezzo.errors import BadConfig
from mezzo.store.open import open_store
from mezzo.zk.address import parse_zk_address


@pytest.mark.parametrize(
    "url", ["", "redis://h/0", "sqlite:relative.db", "sqlite:/dir/", "memory:x"]
)
def test_an_address_of_no_store_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(BadConfig, match="write memory:, sqlite:"):
        open_store(url)


@pytest.mark.parametrize(
    "url",
    [
        *("zk://h1", "zk:///path", "zk://h1/", "zk://h1:x/p", "zk://h1:0/p", "zk://h1,,h2/p"),
        *("zk://:pw@h/p", "zk://user@h/p", "zk://h/a//b", "zk://h/../b", "zk://a b/p"),
        *("zk://::1/p", "zk:h/p", f"zk://h1:{'9' * 5_000}/p"),
    ],
)
def test_a_bad_zookeeper_address_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(BadConfig, match="write zk://"):
        open_store(url)


def test_a_zookeeper_address_never_shows_its_password() -> None:
    address = parse_zk_address("zk://me:s3/cr@t:@h1,[::1]:99/a/b/")
    assert address.hosts == "h1:2181,[::1]:99"
    assert address.path == "/a/b"
    assert address.auth == "me:s3/cr@t:"
    assert str(address) == "zk://me:***@h1:2181,[::1]:99/a/b"
    assert "s3" not in repr(address)
    with pytest.raises(BadConfig) as caught:
        parse_zk_address("zk://me:s3/cr@t:@h1:x/a")
    assert "s3" not in str(caught.value)
    with pytest.raises(BadConfig, match="write host:port") as caught:
        detector_for("zk//me:s3cret@h1:2181/a")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["", "host", "host:", "h1:5050,h2", "http://h:1", "solo:here", "solo:/"]
)
def test_an_address_of_no_leader_is_refused_with_what_to_write(address: str) -> None:
    with pytest.raises(BadConfig, match=r"write host:port|absolute path"):
        detector_for(address)


@pytest.mark.parametrize("address", ["", "host:1", "solo:here"])
def test_a_place_of_no_election_is_refused_with_what_to_write(address: str) -> None:
    with pytest.raises(BadConfig, match="absolute"):
        election_for(address, b"me")
