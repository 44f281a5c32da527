"""The virtual network: what a stream can show, and what it can't."""

from __future__ import annotations

import pytest

from mezzo.sim.world.network import AT_ONCE_S, STREAM_TIMEOUT_S, Network, Stream
from mezzo.sim.world.world import World


class Wire:
    """One stream, and what came of it."""

    def __init__(self, seed: int = 1, repeatable_s: float = 30.0) -> None:
        self.world = World(seed)
        self.network = Network(self.world)
        self.got: list[object] = []
        self.server_got: list[object] = []
        self.closed: list[str] = []
        self.stream = self.open(self.got, repeatable_s)

    def open(self, got: list[object], repeatable_s: float = 30.0) -> Stream:
        made = Stream(
            self.network,
            "client",
            "server",
            to_client=got.append,
            client_closed=lambda: self.closed.append("client"),
            repeatable=lambda message: repeatable_s,
        )
        made.server.on_message = self.server_got.append
        made.server.on_close = lambda: self.closed.append("server")
        return made


def test_messages_of_a_stream_keep_their_order() -> None:
    wire = Wire()
    wire.network.faults.delay_max_s = 1.0
    wire.network.faults.stall = 0.1
    for number in range(100):
        wire.stream.server.send(number)
    wire.world.run(1000)
    assert wire.got == list(range(100))


def test_both_ends_notice_a_broken_stream() -> None:
    wire = Wire()
    wire.stream.sever()
    wire.world.run(30)
    wire.stream.server.send("late")
    wire.world.run(60)
    assert sorted(wire.closed) == ["client", "server"]
    assert wire.got == []


@pytest.mark.parametrize("seed", range(10))
def test_a_broken_stream_loses_the_tail_of_what_was_under_way(seed: int) -> None:
    wire = Wire(seed)
    wire.network.faults.delay_min_s = wire.network.faults.delay_max_s = 0.1
    for number in range(10):
        wire.world.run(number * 0.02)
        wire.stream.server.send(number)
    wire.stream.sever()
    wire.stream.server.send("after the end")
    wire.world.run(60)
    assert wire.got == list(range(len(wire.got)))  # no gap, nothing behind it


def test_a_server_that_notices_late_still_gets_what_was_sent_before() -> None:
    wire = Wire()
    wire.network.faults.late_end = 1.0
    wire.network.faults.delay_min_s = wire.network.faults.delay_max_s = 2.0
    wire.stream.client.send("old")
    wire.stream.client.close()
    again = wire.open([])
    wire.network.faults.delay_min_s = wire.network.faults.delay_max_s = 0.001
    again.client.send("new")
    wire.world.run(60)
    assert wire.server_got == ["new", "old"]


def test_a_peer_repeats_itself_only_as_far_as_it_may() -> None:
    wire = Wire(repeatable_s=AT_ONCE_S)
    wire.network.faults.duplicate = 1.0
    for number in range(5):
        wire.stream.server.send(number)
        wire.world.run(wire.world.now_s + 1)
    assert wire.got == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    never = Wire(repeatable_s=0.0)
    never.network.faults.duplicate = 1.0
    never.stream.server.send("once")
    never.world.run(60)
    assert never.got == ["once"]


def test_a_partition_holds_messages_back_until_it_heals() -> None:
    wire = Wire()
    wire.network.partition("client", "server")
    wire.stream.server.send("hello")
    wire.world.run(5)
    assert wire.got == []
    wire.network.heal()
    wire.world.run(10)
    assert wire.got == ["hello"]
    assert wire.closed == []


def test_a_partition_that_lasts_ends_the_stream() -> None:
    wire = Wire()
    wire.network.partition("client", "server")
    wire.stream.server.send("hello")
    wire.world.run(3 * STREAM_TIMEOUT_S)
    assert sorted(wire.closed) == ["client", "server"]
    assert wire.got == []


def test_a_one_way_partition_lets_the_other_way_through() -> None:
    wire = Wire()
    wire.network.partition("client", "server", one_way=True)
    wire.stream.server.send("down")
    wire.stream.client.send("up")
    wire.world.run(5)
    assert wire.got == ["down"]
    assert wire.server_got == []


def test_of_two_partitions_each_has_to_be_mended() -> None:
    wire = Wire()
    wire.network.partition("client", "server")
    wire.network.partition("server", "client")
    wire.network.mend("client", "server")
    assert wire.network.blocked("client", "server")
    wire.network.mend("server", "client")
    assert not wire.network.blocked("client", "server")


def test_a_cut_breaks_the_streams_of_those_it_is_for() -> None:
    wire = Wire()
    wire.network.cut(lambda name: name == "somebody else")
    wire.world.run(5)
    assert wire.closed == []
    wire.network.cut(lambda name: name == "client")
    wire.world.run(10)
    assert sorted(wire.closed) == ["client", "server"]
