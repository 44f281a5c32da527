"""Calls of the operator API, straight to the leading master."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mezzo.ids import AgentId, FrameworkId

from .errors import Failed, Unreachable
from .output import amount

if TYPE_CHECKING:
    from mezzo.messages.operator import OperatorCall, OperatorResponse
    from mezzo.resources import Resources

_LEADER_S: Final = 10.0


def ask(master: str, call: OperatorCall) -> Any:  # noqa: ANN401 - the answer that belongs to the call
    """The answer. Raises Failed with the reason when the master refuses, Unreachable when none
    answers. Of several addresses the first that answers is it."""
    from mezzo.errors import BadRequest, MezzoError
    from mezzo.wire.clients import OperatorClient

    _silence_libraries()
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
            return _not_refused(answer)
        finally:
            client.close()
    raise Unreachable(
        f"no master at {_shown(master)} answers ({problem}): start a cluster with `mezzo up`, or "
        "say where it is with --master or MEZZO_MASTER"
    )


def _silence_libraries() -> None:
    """What went wrong is raised, and told once: a log of every attempt would come between."""
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)


def _shown(master: str) -> str:
    """Without the password of a ZooKeeper address."""
    from mezzo.zk_address import SCHEME, parse_zk_address

    return str(parse_zk_address(master)) if master.startswith(SCHEME) else master


def _not_refused(answer: OperatorResponse) -> OperatorResponse:
    from mezzo.messages.operator import Conflict, Refused

    if isinstance(answer, (Refused, Conflict)):
        raise Failed(f"the master refused: {answer.message}")
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
    """Of the one agent on a host; what is no hostname is taken for an id, which the master checks.
    Raises Failed if several agents fit."""
    from mezzo.messages.operator import GetAgents

    answer = ask(master, GetAgents())
    known = [*(agent.agent_info for agent in answer.agents), *answer.recovered_agents]
    known += [agent.agent_info for agent in answer.unreachable_agents]
    return AgentId(_only("agents run on", wanted, [i.id for i in known if i.hostname == wanted]))


def framework_id(master: str, wanted: str) -> FrameworkId:
    """As `agent_id`, of a framework by its name."""
    from mezzo.messages.operator import GetFrameworks

    infos = [view.framework_info for view in ask(master, GetFrameworks()).frameworks]
    ids = [info.id for info in infos if info.name == wanted]
    return FrameworkId(_only("frameworks are called", wanted, ids))


def _only(what: str, wanted: str, ids: Sequence[str | None]) -> str:
    fits = [each for each in ids if each]
    if len(fits) > 1:
        raise Failed(f"{len(fits)} {what} {wanted}: name one of {', '.join(fits[:5])}")
    return fits[0] if fits else wanted


# ---------------------------------------------------------------------------------- words


def amounts_json(milli: Mapping[str, int]) -> dict[str, float]:
    return {name: value / 1000 for name, value in sorted(milli.items())}


def amounts_text(milli: Mapping[str, int]) -> str:
    """cpus 1.5, mem 512."""
    return ", ".join(f"{name} {amount(value / 1000)}" for name, value in milli.items()) or "-"


def resources_text(resources: Resources) -> str:
    return str(resources) or "-"
