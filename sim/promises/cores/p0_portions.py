"""What all promises stand on: a leader does its own work in portions that a store takes.

A step's writes are one transaction. Where nobody waits for all work at once (a new leader looks at
everybody, a time is over for many) the step ends with the write that fills it.
"""

from __future__ import annotations

from typing import Any

from mezzo.core import Output, TimerFired
from mezzo.master.events import Started

from ...daemons.masters import VirtualMaster
from ...world.watched import Broken


def look(master: VirtualMaster, event: Any, output: Output[Any]) -> None:
    """After a step that writes."""
    if type(event) not in (TimerFired, Started):
        return
    core = master.core
    assert core is not None
    most = core.state.config.step_writes
    if len(output.writes) > most:
        raise Broken(
            f"durability: {master.name} writes {len(output.writes)} records upon {event}, and a "
            f"portion is {most}"
        )
