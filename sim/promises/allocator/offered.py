"""What a step offers to whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mezzo.cluster.model import Offer
from mezzo.core import Output
from mezzo.ids import FrameworkId
from mezzo.master.effects import ToFramework
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.messages.scheduler import Offers

from ...daemons.masters import VirtualMaster


def offered(
    master: VirtualMaster, output: Output[Any]
) -> Iterator[tuple[FrameworkEntry, tuple[Offer, ...]]]:
    """Each batch of offers that leaves, with the framework that gets it, unless that is gone."""
    for effect in output.effects:
        if type(effect) is ToFramework and type(effect.event) is Offers:
            core = master.core
            assert core is not None
            state = core.state
            framework = state.frameworks.get(state.framework_of.get(effect.conn, FrameworkId("")))
            if framework is not None:
                yield framework, effect.event.offers
