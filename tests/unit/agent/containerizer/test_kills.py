"""SIGTERM and SIGKILL of containers, on the event loops that a daemon may have."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.agent.containerizer.kills import Kills
from mezzo.ids import ContainerId

CID = ContainerId("c1")
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1e-9, 0.001, 3600.0, 9e9]), min_size=1, max_size=5))
def test_of_all_kills_of_a_container_the_earliest_counts(
    new_loop: Callable[[], asyncio.AbstractEventLoop], graces_s: list[float]
) -> None:
    sent: list[signal.Signals] = []

    async def main() -> None:
        kills = Kills(asyncio.get_running_loop(), lambda _, number: sent.append(number))
        for grace_s in graces_s:
            kills.order(CID, grace_s)
        await asyncio.sleep(0.005 if min(graces_s) < 1 else 0)
        kills.order(CID, 0.0)  # again, of what did not end yet
        await asyncio.sleep(0.005)
        kills.forget(CID)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    assert sent[:1] == [signal.SIGTERM]
    assert set(sent[1:]) == {signal.SIGKILL}
