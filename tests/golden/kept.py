"""The files, and what belongs into them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import mezzo
from mezzo import core
from mezzo.agent.state import tables as agent_tables
from mezzo.ids import FrameworkId
from mezzo.marathon.state import tables as marathon_tables
from mezzo.master import tables as master_tables
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import Record, encode
from mezzo.sim.cluster import Cluster
from mezzo.tables import Table
from mezzo.wire import agent as agent_wire
from mezzo.wire import operator as operator_wire
from mezzo.wire import scheduler as scheduler_wire
from mezzo.wire.v1 import agent_pb2, operator_pb2, scheduler_pb2
from tests.unit.kernel import strategies

FOLDER: Final = Path(__file__).parents[1] / "data" / "golden"
_BYTES_MAX: Final = 6000
_SEEDS: Final = 40
_FRAMEWORK: Final = FrameworkId("golden-0000")
_EPOCH: Final = 7

# Each kind of message with who sends and who reads it; the names are those in the files.
Reader = Any
_TRAVELS: Final[Mapping[str, tuple[list[type[Record]], Any, Any]]] = {
    "scheduler call": (
        list(get_args(sm.Call)),
        lambda call: scheduler_wire.call_to_wire(call, _FRAMEWORK),
        lambda sent: scheduler_wire.call_from_wire(scheduler_pb2.Call.FromString(sent))[1],
    ),
    "scheduler event": (
        [kind for kind in get_args(sm.Event) if kind is not sm.Answered],
        lambda event: scheduler_wire.event_to_wire(event, _EPOCH),
        lambda sent: _event(scheduler_wire.event_from_wire(scheduler_pb2.Event.FromString(sent))),
    ),
    "agent message": (
        list(am.AGENT_MESSAGES),
        lambda said: next(iter(agent_wire.agent_batches_to_wire([said]))),
        lambda sent: next(
            iter(agent_wire.agent_batch_from_wire(agent_pb2.AgentBatch.FromString(sent)))
        ),
    ),
    "master message": (
        list(am.MASTER_MESSAGES),
        lambda told: next(iter(agent_wire.master_batches_to_wire([told], _EPOCH, streams=1))),
        lambda sent: next(
            iter(agent_wire.master_batch_from_wire(agent_pb2.MasterBatch.FromString(sent))[1])
        ),
    ),
    "operator call": (
        list(om.CALLS.values()),
        operator_wire.call_to_wire,
        lambda sent: operator_wire.call_from_wire(operator_pb2.Call.FromString(sent)),
    ),
    "operator answer": (
        [k for k in om.OperatorResponse.__subclasses__() if k not in (om.Refused, om.Conflict)],
        lambda answer: operator_wire.response_to_wire(answer, 9),
        lambda sent: operator_wire.response_from_wire(operator_pb2.Response.FromString(sent))[1],
    ),
    "operator event": (
        list(get_args(om.OperatorEvent)),
        lambda event: operator_wire.event_to_wire(event, 9, _EPOCH),
        lambda sent: _third(operator_wire.event_from_wire(operator_pb2.Event.FromString(sent))),
    ),
}


def _event(read: tuple[int, sm.Event] | None) -> sm.Event | None:
    return None if read is None else read[1]


def _third(read: tuple[int, int, om.OperatorEvent] | None) -> om.OperatorEvent | None:
    return None if read is None else read[2]


def messages() -> Iterator[tuple[str, type[Record]]]:
    """(name in the files, type) of all that goes over the wire."""
    for family, (kinds, _, _) in _TRAVELS.items():
        yield from ((f"{family} {kind.__name__}", kind) for kind in kinds)


def sent(name: str, message: Record) -> bytes:
    to_wire = _TRAVELS[" ".join(name.split()[:2])][1]
    made: Message = to_wire(message)
    return made.SerializeToString(deterministic=True)


def read(name: str, data: bytes) -> Record | None:
    found: Record | None = _TRAVELS[" ".join(name.split()[:2])][2](data)
    return found


def tables() -> dict[str, Table[Any]]:
    """All that daemons store, by the name in the files."""
    modules = {"agent": agent_tables, "marathon": marathon_tables, "master": master_tables}
    return {
        f"{daemon} {table.kind}": table
        for daemon, module in modules.items()
        for table in vars(module).values()
        if isinstance(table, Table)
    }


def stored(wanted: set[str]) -> dict[str, str]:
    """The longest value that simulated clusters store in each of these tables."""
    found: dict[str, bytes] = {}
    plain = core.Step.write

    def write(self: core.Step[Any], write: core.Write) -> None:
        name = f"{type(self).__module__.split('.')[1]} {write.key.partition('/')[0]}"
        fits = isinstance(write, core.Put) and name in wanted and len(write.value) <= _BYTES_MAX
        if fits and len(write.value) > len(found.get(name, b"")):
            # As it is once it was read: simulated numbers are not always of their type.
            found[name] = tables()[name].encode(tables()[name].decode(write.value))
        plain(self, write)

    core.Step.write = write  # type: ignore[method-assign]
    try:
        for seed in range(1, _SEEDS if wanted else 1):
            Cluster(seed).run()
            if seed > _SEEDS // 4 and wanted <= found.keys():
                break
    finally:
        core.Step.write = plain  # type: ignore[method-assign]
    return {name: value.decode() for name, value in found.items()}


def sample(kind: type[Record]) -> Record:
    """The one that says most of some dozens that are always the same."""
    found: list[Record] = []

    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        found.append(data.draw(strategies.records(kind, depth=3)))

    draw()
    small = [each for each in found if len(encode(each)) <= _BYTES_MAX] or found
    return max(small, key=lambda each: len(encode(each)))


# ---------------------------------------------------------------------------------- files


def of_release(version: str) -> dict[str, Any]:
    path = FOLDER / f"{version}.json"
    plain: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return plain


def releases() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def lost(was: Any, now: Any) -> bool:
    """Is something of `was` gone or another in `now`, which may say more?"""
    if isinstance(was, dict) and isinstance(now, dict):
        return any(key not in now or lost(each, now[key]) for key, each in was.items())
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return any(map(lost, was, now))
    return bool(was != now)


def missing() -> dict[str, type[Any]]:
    kept = of_release(mezzo.__version__)
    there = {**kept.get("wire", {}), **kept.get("store", {})}
    all_ = {**dict(messages()), **{name: table.record for name, table in tables().items()}}
    return {name: kind for name, kind in all_.items() if name not in there}


def grown(name: str, value: str) -> str:
    """The stored value as it is written now, with fields that it lacked, if it says all that it
    said. Else the value as it was, which a test will complain of."""
    table = tables()[name]
    now = table.encode(table.decode(value.encode())).decode()
    return value if lost(json.loads(value), json.loads(now)) else now


def grown_message(name: str, was: dict[str, Any]) -> dict[str, Any]:
    """Likewise, of a message."""
    message = read(name, base64.b64decode(was["sent"]))
    if message is None or lost(was["says"], json.loads(encode(message))):
        return was
    return _message(name, message)


def _message(name: str, message: Record) -> dict[str, Any]:
    data = sent(name, message)
    return {
        "sent": base64.b64encode(data).decode(),
        "says": json.loads(encode(read(name, data))),
    }


def add_missing() -> int:
    """Returns how many were added to the file of this version."""
    kept = of_release(mezzo.__version__)
    wire, store = kept.setdefault("wire", {}), kept.setdefault("store", {})
    store |= {name: grown(name, value) for name, value in store.items()}
    wire |= {name: grown_message(name, was) for name, was in wire.items()}
    added = missing()
    store |= stored({name for name in added if name in tables()})
    for name, kind in added.items():
        if name in tables():
            continue
        wire[name] = _message(name, sample(kind))
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{mezzo.__version__}.json"
    path.write_text(json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=True) + "\n")
    return len(added)
