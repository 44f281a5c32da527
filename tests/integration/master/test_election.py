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
from kazoo.exceptions import NoAuthError

from mezzo.core import Put
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
from mezzo.election.session import Session
from mezzo.errors import BadConfig, Fenced, StoreUnavailable
from mezzo.store.open import open_store
from mezzo.zk.address import LATCH_PREFIX, MASTER_PREFIX, parse_zk_address
from tests.parts.zookeeper import ZkEnsemble
from tests.parts.zookeeper_proxy import CREATE, Lose, ZkProxy

WAIT_S = 60.0


class Heard:
    """A listener that keeps what it hears, in order."""

    def __init__(self, note: Callable[[str], None] = lambda event: None) -> None:
        self._events: queue.SimpleQueue[ElectionEvent | LeaderChanged] = queue.SimpleQueue()
        self._note = note

    def __call__(self, event: ElectionEvent | LeaderChanged) -> None:
        self._note(type(event).__name__)
        self._events.put(event)

    def next(self) -> ElectionEvent | LeaderChanged:
        return self._events.get(timeout=WAIT_S)

    def nothing_more(self) -> bool:
        return self._events.empty()


class Cast:
    """Starts candidates and detectors at one address, and stops all of them after the test.

    history: what candidates heard and that they resigned, in the order of all of them together.
    """

    def __init__(self, address: str, *, session_s: float = 2.0) -> None:
        self.address = address
        self.history: list[str] = []
        self._session_s = session_s
        self._running: list[Election | LeaderDetector] = []

    def campaign(
        self, data: str, *, address: str | None = None, prefix: str = MASTER_PREFIX
    ) -> tuple[Election, Heard]:
        election = election_for(
            address or self.address,
            data.encode(),
            prefix=prefix,
            session_timeout_s=self._session_s,
        )
        heard = Heard(lambda event: self.history.append(f"{data}: {event}"))
        election.start(heard)
        self._running.append(election)
        return election, heard

    def detect(self, *, prefix: str = MASTER_PREFIX) -> Heard:
        detector = detector_for(self.address, prefix=prefix, session_timeout_s=self._session_s)
        heard = Heard()
        detector.start(heard)
        self._running.append(detector)
        return heard

    def resign(self, name: str, election: Election) -> None:
        self.history.append(f"{name}: resigns")
        self._running.remove(election)
        election.stop()

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


def until(read: Callable[[], list[str]], count: int) -> None:
    """Read again and again until there are so many."""
    while len(read()) != count:
        time.sleep(0.02)


# ---- every kind of election


def test_one_of_three_leads_and_each_resignation_makes_exactly_one_next_leader(cast: Cast) -> None:
    heard_of = cast.detect()
    assert heard_of.next() == LeaderChanged(None)
    candidates = {name: cast.campaign(name) for name in ("a", "b", "c")}
    expected = []
    for _ in range(3):
        changed = heard_of.next()
        if changed == LeaderChanged(None):  # a moment without a leader between two
            changed = heard_of.next()
        assert isinstance(changed, LeaderChanged)
        assert changed.leader is not None
        name = changed.leader.decode()
        election, heard = candidates.pop(name)
        assert isinstance(heard.next(), Elected)
        cast.resign(name, election)
        expected += [f"{name}: Elected", f"{name}: resigns"]
    assert heard_of.next() == LeaderChanged(None)
    assert cast.history == expected  # nobody led before the one before had resigned


def test_a_detector_that_comes_later_hears_of_the_present_leader(cast: Cast) -> None:
    _, heard = cast.campaign("leader")
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
    leader, heard = cast.campaign("leader")
    heard.next()
    standby, _ = cast.campaign("standby")
    cast.resign("standby", standby)
    cast.resign("leader", leader)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_leader_whose_word_can_not_be_written_yet_writes_it_later(tmp_path: Path) -> None:
    """As on a full disk. It was a thread that died unseen, and nobody ever led."""
    lock = tmp_path / "lock"
    blocked = tmp_path / "lock.leader"
    (blocked / "in the way").mkdir(parents=True)
    cast = Cast(f"solo:{lock}")
    _, heard = cast.campaign("first")
    time.sleep(0.2)
    assert heard.nothing_more()
    (blocked / "in the way").rmdir()
    blocked.rmdir()
    assert isinstance(heard.next(), Elected)
    heard_of = cast.detect()
    while heard_of.next() != LeaderChanged(b"first"):
        pass
    cast.stop_all()


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
    _, heard = zk_cast.campaign('{"id": "m1"}')
    elected = heard.next()
    # Three children came before, and ZooKeeper numbers all children of a node together.
    assert elected == Elected(f"{path}/json.info_0000000003")
    assert heard_of.next() == LeaderChanged(b'{"id": "m1"}')
    content, stat = client.get(f"{path}/json.info_0000000003")
    assert content == b'{"id": "m1"}'
    assert stat.ephemeralOwner != 0


@pytest.mark.zookeeper
def test_two_kinds_of_daemons_elect_below_one_path_without_seeing_each_other(zk_cast: Cast) -> None:
    _, master = zk_cast.campaign("master:5050")
    _, marathon = zk_cast.campaign("marathon:8080", prefix=LATCH_PREFIX)
    assert isinstance(master.next(), Elected)
    assert isinstance(marathon.next(), Elected)
    assert zk_cast.detect(prefix=LATCH_PREFIX).next() == LeaderChanged(b"marathon:8080")


@pytest.mark.zookeeper
def test_a_leader_doubts_when_contact_is_lost_and_is_confirmed_in_the_same_session(
    zk: ZkEnsemble,
) -> None:
    zk_cast = Cast(zk.url(), session_s=8.0)
    path = parse_zk_address(zk_cast.address).path
    with ZkProxy(zk.hosts) as proxy:
        election, heard = zk_cast.campaign("x", address=f"zk://{proxy.host_port}{path}")
        assert isinstance(heard.next(), Elected)
        for _ in range(2):
            proxy.refuse()
            assert heard.next() == Doubt()
            proxy.allow()
            assert heard.next() == Confirmed()
        zk_cast.resign("election", election)


@pytest.mark.zookeeper
@pytest.mark.parametrize("how", ["refuses", "is frozen"])
def test_doubt_ends_once_a_session_can_not_have_lasted(zk_alone: ZkEnsemble, how: str) -> None:
    """Also if nobody ever says so: it was a leader that wrote nothing and led for ever."""
    (server,) = zk_alone.servers
    cast = Cast(zk_alone.url())
    path = parse_zk_address(cast.address).path
    with ZkProxy(zk_alone.hosts) as proxy:
        election, heard = cast.campaign("first", address=f"zk://{proxy.host_port}{path}")
        assert isinstance(heard.next(), Elected)
        if how == "refuses":
            proxy.refuse()
        else:
            server.freeze()
        assert heard.next() == Doubt()
        began_s = time.monotonic()
        assert heard.next() == Lost()
        assert time.monotonic() - began_s < 15
        began_s = time.monotonic()
        cast.resign("first", election)
        assert time.monotonic() - began_s < 12, "and it can be stopped meanwhile"
        assert heard.nothing_more()
        server.thaw()
        proxy.allow()
        again, heard = cast.campaign("again")
        assert isinstance(heard.next(), Elected)
        cast.resign("again", again)


@pytest.mark.zookeeper
@pytest.mark.parametrize("what", ["comes back empty", "comes back from a backup"])
def test_zookeeper_may_lose_what_it_knew(zk_alone: ZkEnsemble, tmp_path: Path, what: str) -> None:
    """It refuses clients that have seen newer transactions than it knows: those are given up."""
    (server,) = zk_alone.servers
    cast = Cast(zk_alone.url())
    path = parse_zk_address(cast.address).path
    spare = open_store(f"zk://{zk_alone.hosts}/state", patience_s=2.0)
    spare.open_term(at_least=1000)
    if what == "comes back from a backup":
        server.back_up(tmp_path / "backup")
    spare.commit([Put("a/1", b"1")])
    for number in range(50):  # so that the new one's transactions don't catch up at once
        spare.commit([Put("a/1", str(number).encode())])
    heard_of = cast.detect()
    assert heard_of.next() == LeaderChanged(None)
    leader, heard = cast.campaign("leader")
    assert isinstance(heard.next(), Elected)
    assert heard_of.next() == LeaderChanged(b"leader")
    _, hopeful = cast.campaign("standby")
    client = KazooClient(hosts=zk_alone.hosts)
    client.start()
    until(lambda: client.get_children(path), 2)
    client.stop()
    server.kill()
    server.lose_data(tmp_path / "backup" if what == "comes back from a backup" else None)
    zk_alone.start()
    assert heard.next() == Doubt()
    assert heard.next() == Lost()
    cast.resign("leader", leader)
    elected = hopeful.next()
    assert isinstance(elected, Elected)
    while (seen := heard_of.next()) == LeaderChanged(None):
        pass
    assert seen == LeaderChanged(b"standby")
    with pytest.raises(StoreUnavailable):
        spare.commit([Put("a/1", b"2")])  # it gives its client up over this
    with pytest.raises(Fenced):
        spare.commit([Put("a/1", b"2")])
    heir = open_store(f"zk://{zk_alone.hosts}/state")
    assert heir.open_term(elected.token, at_least=2000) == 2000
    assert heir.load() == {}
    for store in (spare, heir):
        store.close()
    cast.stop_all()


@pytest.mark.zookeeper
def test_a_leader_whose_session_expired_has_lost_and_the_next_one_leads(
    zk: ZkEnsemble, zk_cast: Cast
) -> None:
    path = parse_zk_address(zk_cast.address).path
    heard_of = zk_cast.detect()
    heard_of.next()
    with ZkProxy(zk.hosts) as proxy:
        cut_off, heard = zk_cast.campaign("first", address=f"zk://{proxy.host_port}{path}")
        assert isinstance(heard.next(), Elected)
        _, standby = zk_cast.campaign("second")
        assert heard_of.next() == LeaderChanged(b"first")
        proxy.refuse()
        assert heard.next() == Doubt()
        assert isinstance(standby.next(), Elected)
        assert heard_of.next() == LeaderChanged(b"second")
        proxy.allow()
        assert heard.next() == Lost()
        zk_cast.resign("cut_off", cut_off)
        assert heard.nothing_more()


@pytest.mark.zookeeper
def test_a_standby_whose_session_expired_stands_again(
    zk: ZkEnsemble, zk_cast: Cast, client: KazooClient
) -> None:
    path = parse_zk_address(zk_cast.address).path
    leader, heard = zk_cast.campaign("leader")
    heard.next()
    with ZkProxy(zk.hosts) as proxy:
        standby, hopeful = zk_cast.campaign("standby", address=f"zk://{proxy.host_port}{path}")
        until(lambda: client.get_children(path), 2)
        proxy.refuse()
        until(lambda: client.get_children(path), 1)
        proxy.allow()
        until(lambda: client.get_children(path), 2)
        zk_cast.resign("leader", leader)
        assert isinstance(hopeful.next(), Elected)
        assert hopeful.nothing_more()
        zk_cast.resign("standby", standby)


@pytest.mark.zookeeper
@pytest.mark.parametrize("what", list(Lose))
def test_a_candidate_whose_creation_was_not_answered_leaves_no_ghost(
    zk: ZkEnsemble, zk_cast: Cast, client: KazooClient, what: Lose
) -> None:
    path = parse_zk_address(zk_cast.address).path
    client.ensure_path(path)
    with ZkProxy(zk.hosts) as proxy:
        proxy.lose(what, CREATE)
        election, heard = zk_cast.campaign("x", address=f"zk://{proxy.host_port}{path}")
        elected = heard.next()
        assert proxy.lost.is_set()
        assert isinstance(elected, Elected)
        assert [f"{path}/{name}" for name in client.get_children(path)] == [elected.token]
        zk_cast.resign("election", election)
        assert client.get_children(path) == []


@pytest.mark.zookeeper
def test_a_leader_whose_node_was_deleted_by_hand_has_lost(
    zk_cast: Cast, client: KazooClient
) -> None:
    _, heard = zk_cast.campaign("x")
    elected = heard.next()
    assert isinstance(elected, Elected)
    assert elected.token is not None
    client.delete(elected.token)
    assert heard.next() == Lost()


@pytest.mark.zookeeper
def test_a_candidate_watches_only_the_one_before_it(
    zk: ZkEnsemble, zk_cast: Cast, client: KazooClient
) -> None:
    path = parse_zk_address(zk_cast.address).path
    client.ensure_path(path)
    server = zk.servers[0]
    trio = []
    for number, name in enumerate(("first", "second", "third"), 1):
        trio.append(zk_cast.campaign(name))
        until(lambda: client.get_children(path), number)
    nodes = [f"{path}/{name}" for name in sorted(client.get_children(path))]
    until(lambda: server.watchers(nodes[0]), 2)  # the leader itself, and the second
    until(lambda: server.watchers(nodes[1]), 1)
    assert server.watchers(nodes[2]) == []
    (first, leader), (second, _), (_, last) = trio
    assert isinstance(leader.next(), Elected)
    zk_cast.resign("second", second)
    until(lambda: server.watchers(nodes[0]), 2)  # now the third
    assert last.nothing_more()
    zk_cast.resign("first", first)
    assert isinstance(last.next(), Elected)


@pytest.mark.zookeeper
def test_with_credentials_everybody_may_read_who_leads_and_only_candidates_may_stand(
    zk: ZkEnsemble, zk_cast: Cast, client: KazooClient
) -> None:
    path = parse_zk_address(zk_cast.address).path
    _, heard = zk_cast.campaign("x", address=f"zk://mezzo:s3cret@{zk.hosts}{path}")
    assert isinstance(heard.next(), Elected)
    assert zk_cast.detect().next() == LeaderChanged(b"x")
    with pytest.raises(NoAuthError):
        client.create(f"{path}/json.info_", b"y", ephemeral=True, sequence=True)


class RefusedOnce:
    """A looker that ZooKeeper refuses the first time."""

    def __init__(self) -> None:
        self.looks: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._refused = False

    def look(self) -> None:
        if not self._refused:
            self._refused = True
            self.looks.put("refused")
            raise NoAuthError
        self.looks.put("done")

    def contact_lost(self, *, session_over: bool) -> None:
        self.looks.put("lost")


@pytest.mark.zookeeper
def test_a_look_that_was_refused_is_repeated(zk: ZkEnsemble) -> None:
    looker = RefusedOnce()
    session = Session(parse_zk_address(zk.url()), 2.0, looker)
    session.start()
    assert [looker.looks.get(timeout=WAIT_S) for _ in range(2)] == ["refused", "done"]
    session.stop()
    assert looker.looks.empty()


@pytest.mark.zookeeper
def test_leadership_survives_the_death_of_the_server_it_was_won_on(
    zk_ensemble: ZkEnsemble,
) -> None:
    cast = Cast(zk_ensemble.url(), session_s=8.0)
    _, heard = cast.campaign("x")
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
