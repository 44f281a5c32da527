"""Elections and detectors, on real ZooKeeper servers and real lock files."""

from __future__ import annotations

import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from mezzo.election.base import (
    Confirmed,
    Doubt,
    Elected,
    Election,
    ElectionEvent,
    LeaderChanged,
    LeaderDetector,
    Lost,
)
from mezzo.election.detector import detector_for, election_for
from mezzo.election.zookeeper import LATCH_PREFIX
from mezzo.errors import BadConfig
from mezzo.zk import parse_zk_address
from tests.zookeeper import ZkEnsemble
from tests.zookeeper_proxy import CREATE, Lose, ZkProxy

WAIT_S = 60.0
SESSION_S = 2.0


class Heard:
    """A listener that keeps what it hears, in order."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[ElectionEvent | LeaderChanged] = queue.SimpleQueue()

    def __call__(self, event: ElectionEvent | LeaderChanged) -> None:
        self._events.put(event)

    def next(self) -> ElectionEvent | LeaderChanged:
        return self._events.get(timeout=WAIT_S)

    def nothing_more(self) -> bool:
        return self._events.empty()


class Cast:
    """Starts candidates and detectors at one address, and stops all of them after the test."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._running: list[Election | LeaderDetector] = []

    def campaign(
        self, data: bytes, *, address: str | None = None, prefix: str = "json.info_"
    ) -> tuple[Election, Heard]:
        election = election_for(
            address or self.address, data, prefix=prefix, session_timeout_s=SESSION_S
        )
        heard = Heard()
        election.start(heard)
        self._running.append(election)
        return election, heard

    def detect(self, *, prefix: str = "json.info_") -> Heard:
        detector = detector_for(self.address, prefix=prefix, session_timeout_s=SESSION_S)
        heard = Heard()
        detector.start(heard)
        self._running.append(detector)
        return heard

    def stop(self, each: Election) -> None:
        self._running.remove(each)
        each.stop()

    def stop_all(self) -> None:
        for each in reversed(self._running):
            each.stop()


@pytest.fixture(params=["solo", pytest.param("zookeeper", marks=pytest.mark.zookeeper)])
def cast(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cast]:
    if request.param == "solo":
        address = f"solo:{tmp_path}/election/lock"
    else:
        zk: ZkEnsemble = request.getfixturevalue("zk")
        address = zk.url()
    cast = Cast(address)
    yield cast
    cast.stop_all()


@pytest.fixture
def zk_cast(zk: ZkEnsemble) -> Iterator[Cast]:
    cast = Cast(zk.url())
    yield cast
    cast.stop_all()


@pytest.fixture
def client(zk: ZkEnsemble) -> Iterator[KazooClient]:
    """A bystander's view of the one server."""
    client = KazooClient(hosts=zk.hosts)
    client.start()
    yield client
    client.stop()
    client.close()


def until(children: Callable[[], list[str]], count: int) -> list[str]:
    """Read again and again until so many children are there."""
    while len(found := children()) != count:
        time.sleep(0.02)
    return sorted(found)


# ---- every kind of election


def test_one_of_three_leads_and_each_resignation_makes_exactly_one_next_leader(cast: Cast) -> None:
    heard_of = cast.detect()
    assert heard_of.next() == LeaderChanged(None)
    candidates = {name: cast.campaign(name) for name in (b"a", b"b", b"c")}
    for _ in range(3):
        changed = heard_of.next()
        assert isinstance(changed, LeaderChanged)
        if changed.leader is None:  # between two leaders on one machine
            changed = heard_of.next()
            assert isinstance(changed, LeaderChanged)
        assert changed.leader is not None
        election, heard = candidates.pop(changed.leader)
        assert isinstance(heard.next(), Elected)
        assert all(other.nothing_more() for _, other in candidates.values())
        cast.stop(election)
        assert heard.nothing_more()  # who resigns hears nothing of it
    assert heard_of.next() == LeaderChanged(None)


def test_a_detector_that_comes_later_hears_of_the_present_leader(cast: Cast) -> None:
    _, heard = cast.campaign(b"leader")
    heard.next()
    detectors = [cast.detect(), cast.detect()]
    assert [detector.next() for detector in detectors] == [LeaderChanged(b"leader")] * 2


def test_an_election_that_was_never_started_can_be_stopped(cast: Cast) -> None:
    election_for(cast.address, b"x").stop()


def test_a_fixed_address_is_reported_at_once() -> None:
    heard = Heard()
    detector = detector_for("m1:5055,m2:5055")
    detector.start(heard)
    detector.stop()
    assert heard.next() == LeaderChanged(b"m1:5055,m2:5055")


# ---- a lock file

LEADER = """
import sys, time
from mezzo.election.detector import election_for
election_for(sys.argv[1], sys.argv[2].encode()).start(lambda event: print(event, flush=True))
time.sleep(600)
"""


def test_when_the_leading_process_is_killed_the_waiting_process_leads(tmp_path: Path) -> None:
    address = f"solo:{tmp_path}/lock"
    cast = Cast(address)
    first = subprocess.Popen(
        [sys.executable, "-c", LEADER, address, "first"], stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "Elected(token=None)\n"
    second = subprocess.Popen(
        [sys.executable, "-c", LEADER, address, "second"], stdout=subprocess.PIPE, text=True
    )
    assert second.stdout is not None
    heard_of = cast.detect()
    assert heard_of.next() == LeaderChanged(b"first")
    first.kill()
    first.communicate()
    assert second.stdout.readline() == "Elected(token=None)\n"
    while heard_of.next() != LeaderChanged(b"second"):
        pass
    second.kill()
    second.communicate()
    assert heard_of.next() == LeaderChanged(None)  # although what it published is still there
    cast.stop_all()


def test_a_standby_that_gives_up_leaves_nothing_behind(tmp_path: Path) -> None:
    cast = Cast(f"solo:{tmp_path}/lock")
    leader, heard = cast.campaign(b"leader")
    heard.next()
    standby, _ = cast.campaign(b"standby")
    cast.stop(standby)
    cast.stop(leader)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_lock_that_cannot_be_made_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    election = election_for(f"solo:{tmp_path}/file/lock", b"x")
    with pytest.raises(BadConfig, match="name a file"):
        election.start(Heard())


# ---- ZooKeeper


@pytest.mark.zookeeper
def test_the_layout_is_that_of_mesos(zk_cast: Cast, client: KazooClient) -> None:
    path = parse_zk_address(zk_cast.address).path
    client.create(f"{path}/log_replicas", b"not a candidate", makepath=True)
    client.create(f"{path}/info_0000000000", b"of an older Mesos")
    client.create(f"{path}/json.info_backup", b"somebody's notes")
    heard_of = zk_cast.detect()
    assert heard_of.next() == LeaderChanged(None)
    _, heard = zk_cast.campaign(b'{"id": "m1"}')
    elected = heard.next()
    # Three children came before, and ZooKeeper numbers all children of a node together.
    assert elected == Elected(f"{path}/json.info_0000000003")
    assert heard_of.next() == LeaderChanged(b'{"id": "m1"}')
    content, stat = client.get(f"{path}/json.info_0000000003")
    assert content == b'{"id": "m1"}'
    assert stat.ephemeralOwner != 0


@pytest.mark.zookeeper
def test_two_kinds_of_daemons_elect_below_one_path_without_seeing_each_other(zk_cast: Cast) -> None:
    _, master = zk_cast.campaign(b"master:5050")
    _, marathon = zk_cast.campaign(b"marathon:8080", prefix=LATCH_PREFIX)
    assert isinstance(master.next(), Elected)
    assert isinstance(marathon.next(), Elected)
    assert zk_cast.detect(prefix=LATCH_PREFIX).next() == LeaderChanged(b"marathon:8080")


@pytest.mark.zookeeper
def test_a_leader_doubts_when_contact_is_lost_and_is_confirmed_in_the_same_session(
    zk: ZkEnsemble, zk_cast: Cast
) -> None:
    path = parse_zk_address(zk_cast.address).path
    with ZkProxy(zk.hosts) as proxy:
        election, heard = zk_cast.campaign(b"x", address=f"zk://{proxy.host_port}{path}")
        assert isinstance(heard.next(), Elected)
        for _ in range(2):
            proxy.refuse()
            assert heard.next() == Doubt()
            proxy.allow()
            assert heard.next() == Confirmed()
        zk_cast.stop(election)


@pytest.mark.zookeeper
def test_a_leader_whose_session_expired_has_lost_and_the_next_one_leads(
    zk: ZkEnsemble, zk_cast: Cast
) -> None:
    path = parse_zk_address(zk_cast.address).path
    heard_of = zk_cast.detect()
    heard_of.next()
    with ZkProxy(zk.hosts) as proxy:
        cut_off, heard = zk_cast.campaign(b"first", address=f"zk://{proxy.host_port}{path}")
        assert isinstance(heard.next(), Elected)
        _, standby = zk_cast.campaign(b"second")
        assert heard_of.next() == LeaderChanged(b"first")
        proxy.refuse()
        assert heard.next() == Doubt()
        assert isinstance(standby.next(), Elected)
        assert heard_of.next() == LeaderChanged(b"second")
        proxy.allow()
        assert heard.next() == Lost()
        zk_cast.stop(cut_off)
        assert heard.nothing_more()


@pytest.mark.zookeeper
def test_a_standby_whose_session_expired_stands_again(
    zk: ZkEnsemble, zk_cast: Cast, client: KazooClient
) -> None:
    path = parse_zk_address(zk_cast.address).path
    leader, heard = zk_cast.campaign(b"leader")
    heard.next()
    with ZkProxy(zk.hosts) as proxy:
        standby, hopeful = zk_cast.campaign(b"standby", address=f"zk://{proxy.host_port}{path}")
        until(lambda: client.get_children(path), 2)
        proxy.refuse()
        until(lambda: client.get_children(path), 1)
        proxy.allow()
        until(lambda: client.get_children(path), 2)
        zk_cast.stop(leader)
        assert isinstance(hopeful.next(), Elected)
        assert hopeful.nothing_more()
        zk_cast.stop(standby)


@pytest.mark.zookeeper
@pytest.mark.parametrize("what", list(Lose))
def test_a_candidate_whose_creation_was_not_answered_leaves_no_ghost(
    zk: ZkEnsemble, zk_cast: Cast, client: KazooClient, what: Lose
) -> None:
    path = parse_zk_address(zk_cast.address).path
    client.ensure_path(path)
    with ZkProxy(zk.hosts) as proxy:
        proxy.lose(what, CREATE)
        election, heard = zk_cast.campaign(b"x", address=f"zk://{proxy.host_port}{path}")
        elected = heard.next()
        assert proxy.lost.is_set()
        assert isinstance(elected, Elected)
        assert [f"{path}/{name}" for name in client.get_children(path)] == [elected.token]
        zk_cast.stop(election)
        assert client.get_children(path) == []


@pytest.mark.zookeeper
def test_a_leader_whose_node_was_deleted_by_hand_has_lost(
    zk_cast: Cast, client: KazooClient
) -> None:
    _, heard = zk_cast.campaign(b"x")
    elected = heard.next()
    assert isinstance(elected, Elected)
    assert elected.token is not None
    client.delete(elected.token)
    assert heard.next() == Lost()


@pytest.mark.zookeeper
def test_a_candidate_behind_a_standby_that_left_does_not_lead(
    zk_cast: Cast, client: KazooClient
) -> None:
    path = parse_zk_address(zk_cast.address).path
    client.ensure_path(path)
    trio = []
    for number, name in enumerate((b"first", b"second", b"third"), 1):
        trio.append(zk_cast.campaign(name))
        until(lambda: client.get_children(path), number)
    (first, leader), (second, _), (_, last) = trio
    assert isinstance(leader.next(), Elected)
    zk_cast.stop(second)
    until(lambda: client.get_children(path), 2)
    assert last.nothing_more()
    zk_cast.stop(first)
    assert isinstance(last.next(), Elected)


@pytest.mark.zookeeper
def test_with_credentials_everybody_may_read_who_leads_and_only_candidates_may_stand(
    zk: ZkEnsemble, zk_cast: Cast, client: KazooClient
) -> None:
    path = parse_zk_address(zk_cast.address).path
    _, heard = zk_cast.campaign(b"x", address=f"zk://mezzo:s3cret@{zk.hosts}{path}")
    assert isinstance(heard.next(), Elected)
    assert zk_cast.detect().next() == LeaderChanged(b"x")
    _, stranger = zk_cast.campaign(b"y")
    assert len(client.get_children(path)) == 1
    assert stranger.nothing_more()


@pytest.mark.zookeeper
def test_leadership_survives_the_death_of_the_server_it_was_won_on(
    zk_ensemble: ZkEnsemble,
) -> None:
    cast = Cast(zk_ensemble.url())
    _, heard = cast.campaign(b"x")
    assert isinstance(heard.next(), Elected)
    heard_of = cast.detect()
    assert heard_of.next() == LeaderChanged(b"x")
    for server in zk_ensemble.servers:
        server.kill()
        server.start()
        server.wait_until_serving()
    # One of the three deaths cut the leader off, if not also elections between the servers.
    assert heard.next() == Doubt()
    assert heard.next() == Confirmed()
    assert heard_of.nothing_more()
    cast.stop_all()
