"""The real wire between virtual processes: every message becomes bytes, and a message again.

A liar's message may be refused there, and never arrives then. All that a daemon sends has to pass:
it came in by a door that should have seen to that.
"""

from __future__ import annotations

from typing import Any, get_args

from mezzo import MESOS_VERSION
from mezzo.cluster.amounts import MILLI, PARTS_MAX, SUM_MAX, Items, Ranges
from mezzo.cluster.model import AgentInfo
from mezzo.cluster.resources import Kind, Resources
from mezzo.errors import BadRequest, Unencodable
from mezzo.messages.agent import RegisterAgent
from mezzo.messages.scheduler import Event
from mezzo.units import INT64_MAX
from mezzo.wire import passage

from ..daemons.masters import FromAgent, FromFramework, ToClient
from ..world.watched import Broken


def passes(sender: str, message: Any, *, honest: bool) -> Any:
    """The message as it arrives; None: it was refused. Raises Broken if an honest one was."""
    try:
        found = _through(message)
    except (BadRequest, Unencodable) as refused:
        if honest:
            kind = type(getattr(message, "message", message)).__name__
            raise Broken(
                f"promise 9: {sender} sends a {kind} that the wire refuses: {refused}"
            ) from refused
        return None
    if found is None and honest:
        raise Broken(f"promise 9: the wire loses what {sender} sends: {type(message).__name__}")
    return found


def bounds_are_kept() -> None:
    """A value exactly at its bound is taken, and one just beyond is not. Raises Broken."""
    for more in (0, 1):
        parts = (
            {Kind("ports"): Ranges(((7, INT64_MAX + more), (0, 3)))},
            {Kind("seats"): Items(tuple(f"{n}" for n in reversed(range(PARTS_MAX + more))))},
            {Kind("cpus"): (SUM_MAX + 2 * more) * MILLI},  # a double counts in twos there
        )
        for part in parts:
            info = AgentInfo("bounds", resources=Resources(dict(part)))
            message = FromAgent(RegisterAgent(info, MESOS_VERSION, "boot"))
            found = passes("who comes to the bounds", message, honest=not more)
            name = next(iter(part)).name
            if (found is None) is not bool(more):
                raise Broken(f"promise 9: {name} beyond what can be are taken")
            if found is not None:
                arrived: RegisterAgent = found.message
                if arrived.info.resources.quantities() != info.resources.quantities():
                    raise Broken(f"promise 9: of {name} at their bound others arrive")


def _through(message: Any) -> Any:
    match message:
        case FromFramework(framework_id=framework_id, call=call):
            return FromFramework(*passage.call(call, framework_id))
        case FromAgent(message=said):
            read = passage.agent_message(said)
            return None if read is None else FromAgent(read)
        case ToClient(epoch=epoch, message=told) if isinstance(told, get_args(Event)):
            known = passage.event(told, epoch)
            return None if known is None else ToClient(*known)
        case ToClient(epoch=epoch, message=told):
            obeyed = passage.master_message(told, epoch)
            return None if obeyed is None else ToClient(epoch, obeyed)
    return message
