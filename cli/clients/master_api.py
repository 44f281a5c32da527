"""Calls of the operator API, straight to the leading master."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from mezzo.guess import near
from mezzo.ids import AgentId, FrameworkId

from ..words.errors import Failed, Unreachable, Wrong
from ..words.output import warn

if TYPE_CHECKING:
    from mezzo.cluster.model import AgentInfo, FrameworkInfo
    from mezzo.cluster.resources import Resources
    from mezzo.messages.operator import OperatorCall, OperatorResponse

T = TypeVar("T")

_LEADER_S: Final = 10.0
_NAMES_SHOWN: Final = 5


def order(master: str, call: OperatorCall) -> None:
    """Have a call carried out. Raises as `ask` does."""
    from mezzo.messages.operator import Done

    ask(master, call, Done)


def ask(master: str, call: OperatorCall, kind: type[T]) -> T:
    """The answer, which is of the `kind` that belongs to the call. Raises Failed with the reason
    when the master refuses, Unreachable when none answers, or something else than a master. Of
    several addresses the first that answers is it."""
    from mezzo.errors import BadRequest, MezzoError
    from mezzo.process import log
    from mezzo.wire.clients.operator_client import OperatorClient

    log.silence()
    problem = f"no leader is known after {_LEADER_S:g} s"
    for target in _targets(master):
        client = OperatorClient(target)
        try:
            _, answer = client.call(call)
        except BadRequest as error:
            raise Failed(f"the master refused: {error}") from None
        except MezzoError as error:
            problem = str(error)
        else:
            return _meant(answer, kind, target)
        finally:
            client.close()
    raise Unreachable(
        f"no master at {_shown(master)} answers ({problem}): start a cluster with `mezzo up`, or "
        "say where it is with --master or MEZZO_MASTER"
    )


def _shown(master: str) -> str:
    """An address, without the password of ZooKeeper's."""
    from mezzo.zk.address import SCHEME, parse_zk_address

    return str(parse_zk_address(master)) if master.startswith(SCHEME) else master


def _meant(answer: OperatorResponse, kind: type[T], target: str) -> T:
    from mezzo.messages.operator import Conflict, Refused

    if isinstance(answer, (Refused, Conflict)):
        raise Failed(f"the master refused: {answer.message}")
    if not isinstance(answer, kind):
        raise Unreachable(
            f"what answers at {target} is not the master: it sent {type(answer).__name__}, not "
            f"{kind.__name__}"
        )
    return answer


def _targets(master: str) -> list[str]:
    """host:port of the leader, or each address that was given."""
    from mezzo.election.base import LeaderChanged
    from mezzo.election.detector import detector_for
    from mezzo.wire.link import grpc_target

    found: list[str] = []
    known = threading.Event()

    def listen(change: LeaderChanged) -> None:
        if change.leader is not None and not known.is_set():
            found.extend(grpc_target(change.leader).split(","))
            known.set()

    detector = detector_for(master)
    detector.start(listen)
    try:
        known.wait(_LEADER_S)
    finally:
        detector.stop()
    return found


# ---------------------------------------------------------------------------------- by name


def agent_id(master: str, wanted: str) -> AgentId:
    """The id of the one agent with that hostname, address (host:port) or id. Raises Wrong for none,
    Failed for several."""
    fitting = agents_called(master, wanted)
    if len(fitting) > 1:
        addresses = [_address(info) for info in fitting]
        names = addresses if wanted not in addresses else [str(info.id) for info in fitting]
        raise Failed(_several(len(fitting), "agents run on", wanted, names))
    return AgentId(fitting[0].id or "")


def agents_called(master: str, wanted: str) -> list[AgentInfo]:
    """All agents with that hostname, address or id. Raises Wrong for none."""
    infos = _agents(master)
    found = [info for info in infos if wanted in (info.hostname, _address(info), info.id)]
    if not found:
        known = [name for info in infos for name in (info.hostname, _address(info), info.id or "")]
        raise Wrong(f"there is no agent {wanted!r}{near(wanted, known)}")
    return found


def framework_id(master: str, wanted: str) -> FrameworkId:
    """As `agent_id`, for a framework by its name or id."""
    ids = [info.id or "" for info in frameworks_called(master, wanted)]
    if len(ids) > 1:
        raise Failed(_several(len(ids), "frameworks are called", wanted, ids))
    return FrameworkId(ids[0])


def frameworks_called(master: str, wanted: str) -> list[FrameworkInfo]:
    """All frameworks with that name or id. Raises Wrong for none."""
    from mezzo.messages.operator import Frameworks, GetFrameworks

    infos = [view.framework_info for view in ask(master, GetFrameworks(), Frameworks).frameworks]
    found = [info for info in infos if wanted in (info.name, info.id)]
    if not found:
        known = [name for info in infos for name in (info.name, info.id or "")]
        raise Wrong(f"there is no framework {wanted!r}{near(wanted, known)}")
    return found


def _address(info: AgentInfo) -> str:
    return f"{info.hostname}:{info.port}"


def _several(count: int, are_called: str, wanted: str, names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    return f"{count} {are_called} {wanted}: name one of {', '.join(names[:_NAMES_SHOWN])}{more}"


def _agents(master: str) -> list[AgentInfo]:
    """All agents that the master knows, whatever their state."""
    from mezzo.messages.operator import Agents, GetAgents

    answer = ask(master, GetAgents(), Agents)
    found = [*(agent.agent_info for agent in answer.agents), *answer.recovered_agents]
    return found + [agent.agent_info for agent in answer.unreachable_agents]


def check_machines(master: str, wanted: Iterable[str], *, force: bool) -> None:
    """Raises Wrong for a machine that neither an agent nor the schedule has ever named."""
    from mezzo.messages.operator import GetMaintenanceSchedule, Maintenance

    if force:
        return
    schedule = ask(master, GetMaintenanceSchedule(), Maintenance).schedule
    known: list[str | None] = [info.hostname for info in _agents(master)]
    for window in schedule.windows:
        known += [name for machine in window.machine_ids for name in (machine.hostname, machine.ip)]
    for name in wanted:
        if name not in known:
            raise Wrong(
                f"no agent has ever come from a machine {name!r}"
                f"{near(name, filter(None, known))} (--force if it is still to come)"
            )


def check_resources(master: str, wanted: Iterable[str], *, force: bool) -> None:
    """Raises Wrong for a resource that no agent has."""
    from mezzo.cluster.resources import SCALARS
    from mezzo.messages.operator import Agents, GetAgents

    if force:
        return
    agents = ask(master, GetAgents(), Agents).agents
    known = dict.fromkeys(SCALARS)
    known |= {name: None for each in agents for name in each.total_resources.quantities()}
    for name in wanted:
        if name not in known:
            raise Wrong(
                f"no agent has a resource {name!r}{near(name, known)} (--force if one is to come)"
            )


def tell_new_role(master: str, role: str) -> None:
    """A role may get a weight or quota before it is in use. But it may be a typing error: tell."""
    from mezzo.messages.operator import GetRoles, Roles

    known = [each.name for each in ask(master, GetRoles(), Roles).roles]
    if role not in known:
        warn(f"role {role} is not in use yet{near(role, known)}")


# ---------------------------------------------------------------------------------- words


def amounts_json(milli: Mapping[str, int]) -> dict[str, float]:
    from mezzo.cluster.amounts import from_milli

    return {name: from_milli(value) for name, value in sorted(milli.items())}


def amounts_text(milli: Mapping[str, int]) -> str:
    """cpus 1.5, mem 512."""
    from mezzo.cluster.amounts import show

    return ", ".join(f"{name} {show(each)}" for name, each in milli.items()) or "-"


def resources_text(resources: Resources) -> str:
    return str(resources) or "-"
