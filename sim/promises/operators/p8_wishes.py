"""Promise 8 for operators: each of their calls is answered, and done or refused as the rules say.

A call is judged before the leader takes it. A refused one has changed nothing; one that counts as
done is so at once, and stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final

from mezzo.cluster.model import AgentCapability, DrainConfig, DrainState, MachineId
from mezzo.cluster.operations import Create, Destroy, GrowVolume, Reserve, ShrinkVolume, Unreserve
from mezzo.cluster.resources import Resources
from mezzo.core import CancelTimer, Delete, Output, Put, SetTimer
from mezzo.ids import AgentId
from mezzo.master.effects import Answer, ToAgent
from mezzo.master.events import OperatorAsked
from mezzo.master.state.agent_entry import AgentEntry
from mezzo.master.state.master_state import MasterState
from mezzo.master.state.records import AgentRecord
from mezzo.master.tables import AGENTS
from mezzo.messages import agent as am
from mezzo.messages import operator as om

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..allocator.sums import alone, consumed, scalars
from ..calls.p8_case import is_role
from ..calls.p8_exchange import agent_can, exchange, is_judged, is_used, repeats_a_volume

Judged = tuple[bool | None, Callable[[Output[Any]], str]]
"""Must it be refused (None: no rule here tells), and what is wrong afterwards if it is done."""

_QUIET: Final = (SetTimer, CancelTimer, Answer)
_WEIGHT_MAX: Final = 1e9
_NAME_MAX: Final = 255
_PAIRS_MAX: Final = 100
_CONVERSIONS: Final[Mapping[type, Callable[[Any], Any]]] = {
    om.ReserveResources: lambda call: Reserve(call.resources, call.source),
    om.UnreserveResources: lambda call: Unreserve(call.resources),
    om.CreateVolumes: lambda call: Create(call.volumes),
    om.DestroyVolumes: lambda call: Destroy(call.volumes),
    om.GrowVolume: lambda call: GrowVolume(call.volume, call.addition),
    om.ShrinkVolume: lambda call: ShrinkVolume(call.volume, call.subtract),
}


class WishesAreAnswered(Watch):
    def __init__(self) -> None:
        self._judged: Judged | None = None

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        self._judged = None
        if type(event) is OperatorAsked:
            core = master.core
            assert core is not None
            judge = _JUDGES.get(type(event.call))
            if judge is not None:
                self._judged = judge(core.state, event.call)
            elif type(event.call) in _CONVERSIONS:
                self._judged = _convert(core.state, event.call)
            else:
                self._judged = False, _nothing

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        judged, self._judged = self._judged, None
        if judged is not None and (wrong := _wrong(event, output, judged)):
            raise Broken(f"promise 8: {master.name} is asked: {wrong}: {event.call}")


def _wrong(event: OperatorAsked, output: Output[Any], judged: Judged) -> str:
    refuse, check = judged
    answers = [each for each in output.effects if type(each) is Answer]
    if [answer.request for answer in answers] != [event.request]:
        return f"it gives {len(answers)} answers"
    answer = answers[0].response
    if not isinstance(answer, om.Refused | om.Conflict):
        return f"it has to be refused, and is answered {answer}" if refuse else check(output)
    if refuse is False:
        return f"nothing is wrong with it, and it is answered {answer}"
    if not answer.message:
        return "it is refused without a word"
    done = [each for each in output.effects if not isinstance(each, _QUIET)]
    return f"it is refused, and does {output.writes or done}" if output.writes or done else ""


def _nothing(output: Output[Any]) -> str:
    """Of a read."""
    others = [each for each in output.effects if not isinstance(each, _QUIET)]
    return f"it does {output.writes or others}" if output.writes or others else ""


def _tells(output: Output[Any], conn: Any, message: Any) -> bool:
    return conn is None or ToAgent(conn, message) in output.effects


# ---------------------------------------------------------------------------------- roles


def _weights(state: MasterState, call: om.UpdateWeights) -> Judged:
    infos = call.weight_infos
    roles = [info.role for info in infos]
    wrong = len(set(roles)) < len(roles) or not all(
        is_role(info.role) and 0 < info.weight < _WEIGHT_MAX for info in infos
    )
    changed = [info for info in infos if state.weights.get(info.role) != info.weight]
    concerned = any(
        f"{own}/".startswith(f"{info.role}/")
        for info in changed
        for framework in state.frameworks.values()
        for own in framework.info.all_roles
    )
    offers = list(state.offers) if concerned else []

    def check(output: Output[Any]) -> str:
        if any(state.weights.get(info.role) != info.weight for info in infos):
            return f"the weights are {state.weights}"
        stored = [write.key for write in output.writes]
        if stored != [f"weight/{info.role}" for info in changed]:
            return f"it stores {stored}"
        left = [offer_id for offer_id in offers if offer_id in state.offers]
        return f"of shares that count no more are offers {left}" if left else ""

    return wrong, check


def _quota(state: MasterState, call: om.UpdateQuota) -> Judged:
    configs = call.quota_configs
    roles = [config.role for config in configs]
    wrong = len(set(roles)) < len(roles) or any(_is_no_quota(config) for config in configs)
    if not wrong and not call.force:
        wrong = _is_too_little(state, configs) or _is_too_much(state, configs)
    known = {config.role: config.role in state.quotas for config in configs}

    def check(output: Output[Any]) -> str:
        for config in configs:
            some = bool(config.guarantees or config.limits)
            if state.quotas.get(config.role) != (config if some else None):
                return f"the quota of {config.role} is {state.quotas.get(config.role)}"
            key = f"quota/{config.role}"
            stored = [type(write) for write in output.writes if write.key == key]
            if stored != ([Put] if some else [Delete] * known[config.role]):
                return f"of {key} it stores {stored}"
        return ""

    return wrong, check


def _is_no_quota(config: om.QuotaConfig) -> bool:
    role, least, most = config.role, config.guarantees, config.limits
    return (
        role == "*"
        or "/" in role
        or not is_role(role)
        or any(not _is_amount(*each) for each in (*least.items(), *most.items()))
        or any(name in most and amount > most[name] for name, amount in least.items())
    )


def _is_amount(name: str, amount: int) -> bool:
    named = 0 < len(name) <= _NAME_MAX and name != "ports"
    return named and amount >= 0 and not any(ch.isspace() or ord(ch) < 32 for ch in name)


def _is_too_little(state: MasterState, configs: Iterable[om.QuotaConfig]) -> bool:
    """Is a limit below what is consumed?"""
    return any(
        consumed(state, config.role).get(name, 0) > limit
        for config in configs
        for name, limit in config.limits.items()
    )


def _is_too_much(state: MasterState, configs: Iterable[om.QuotaConfig]) -> bool:
    """Is more guaranteed than there is, and than before?"""
    after = state.quotas | {config.role: config for config in configs}
    have = scalars(
        (agent.info.resources.filter(revocable=False) for agent in state.agents.values()),
        shared=True,
    )
    names = {name for config in after.values() for name in config.guarantees}
    return any(
        max(have[name], _guaranteed(state.quotas, name)) < _guaranteed(after, name)
        for name in names
    )


def _guaranteed(configs: Mapping[str, om.QuotaConfig], name: str) -> int:
    return sum(config.guarantees.get(name, 0) for config in configs.values())


def _set_quota(state: MasterState, call: om.SetQuota) -> Judged:
    request = call.quota_request
    wanted = request.guarantee
    odd = any(
        type(value) is not int or kind.reservations or kind.disk or kind.revocable or kind.shared
        for kind, value in wanted.items()
    )
    if request.role is None or request.role in state.quotas or not wanted or odd:
        return True, _nothing
    amounts = {kind.name: value for kind, value in wanted.items() if type(value) is int}
    config = om.QuotaConfig(request.role, amounts, amounts)
    return _quota(state, om.UpdateQuota((config,), request.force))


def _remove_quota(state: MasterState, call: om.RemoveQuota) -> Judged:
    known = call.role in state.quotas

    def check(output: Output[Any]) -> str:
        gone = call.role not in state.quotas and Delete(f"quota/{call.role}") in output.writes
        return "" if gone else "it is still there"

    return not known, check


# ---------------------------------------------------------------------------------- agents


def _record(state: MasterState, agent_id: AgentId) -> AgentRecord | None:
    """The record of an agent that is here or may come back."""
    known = state.agents.get(agent_id) or state.unreachable.get(agent_id)
    return None if known is None else known.record


def _stored(output: Output[Any], agent_id: AgentId) -> AgentRecord | None:
    """As it is last stored in this step."""
    found = None
    for write in output.writes:
        if isinstance(write, Put) and write.key == f"agent/{agent_id}":
            found = AGENTS.decode(write.value)
    return found


def _is_off(state: MasterState, output: Output[Any], agent_id: AgentId) -> str:
    record, agent = _stored(output, agent_id), state.agents.get(agent_id)
    if record is None or not record.deactivated:
        return f"it is stored as {record}"
    if agent is not None and (not agent.record.deactivated or agent.offers):
        return f"it is offered on: {agent.offers}"
    return ""


def _deactivate(state: MasterState, call: om.DeactivateAgent) -> Judged:
    known = _record(state, call.agent_id) is not None
    return not known, lambda output: _is_off(state, output, call.agent_id)


def _reactivate(state: MasterState, call: om.ReactivateAgent) -> Judged:
    record = _record(state, call.agent_id)
    drain = None if record is None else record.drain
    agent = state.agents.get(call.agent_id)
    conn = None if agent is None or drain is None else agent.conn

    def check(output: Output[Any]) -> str:
        stored = _stored(output, call.agent_id)
        if stored is None or stored.deactivated or stored.drain or stored.drain_start_s:
            return f"it is stored as {stored}"
        if agent is not None and (agent.record.deactivated or agent.drain is not None):
            return "it is not offered"
        return "" if _tells(output, conn, am.ReactivateAgent()) else "its agent is not told"

    busy = drain is not None and drain.state is DrainState.DRAINING
    return record is None or busy, check


def _drain(state: MasterState, call: om.DrainAgent) -> Judged:
    record, grace_s = _record(state, call.agent_id), call.max_grace_period
    config = DrainConfig(grace_s, call.mark_gone)
    agent = state.agents.get(call.agent_id)
    conn = None if agent is None else agent.conn

    def check(output: Output[Any]) -> str:
        if not _tells(output, conn, am.DrainAgent(config)):
            return "its agent is not told"
        stored = _stored(output, call.agent_id)
        drain = None if stored is None else stored.drain
        if stored is None or drain is None or drain.config != config or not stored.drain_start_s:
            return f"it is stored as {stored}"
        gone = stored.condition == "GONE"
        if gone is not (call.agent_id in state.gone_since_s) or (gone and not call.mark_gone):
            return f"it is {stored.condition}"
        return "" if gone else _is_off(state, output, call.agent_id)

    able = record is not None and AgentCapability.AGENT_DRAINING in record.capabilities
    return not able or (grace_s is not None and grace_s < 0), check


def _mark_gone(state: MasterState, call: om.MarkAgentGone) -> Judged:
    id_, before = call.agent_id, call.agent_id in state.gone_since_s
    agent = state.agents.get(id_)
    conn = None if agent is None else agent.conn
    record = _record(state, id_)
    lost = state.unreachable.get(id_)
    waiting = () if lost is None else lost.tasks

    def check(output: Output[Any]) -> str:
        if id_ not in state.gone_since_s or _record(state, id_) is not None:
            return "it may come back"
        if before:
            return _nothing(output)
        stored = _stored(output, id_)
        if stored is None or stored.condition != "GONE":
            return f"it is stored as {stored}"
        told = [e.conn for e in output.effects if isinstance(e, ToAgent)]
        if conn is not None and told != [conn]:
            return f"it is told at {told}"
        for framework_id, task_id in waiting:
            framework = state.frameworks.get(framework_id)
            if framework is not None and task_id in framework.unreachable:
                return f"{task_id} waits for it"
        return ""

    return record is None and not before, check


def _convert(state: MasterState, call: Any) -> Judged:
    agent = state.agents.get(call.agent_id)
    if agent is None or agent.conn is None:
        return True, _nothing
    conn, known, total = agent.conn, dict(agent.operations), agent.info.resources
    operation = _CONVERSIONS[type(call)](call)
    change = exchange(operation) if is_judged(operation) else None
    refuse: bool | None = None
    if change is not None:
        # A task may be on its way to what its agent, back again, turns out not to have.
        free = total - _in_use(agent).common(total)
        refuse = (
            not agent_can(agent, operation, change)
            or not change.before <= free
            or repeats_a_volume(total, operation)
            or is_used(agent, operation)
        )
    elif is_judged(operation):
        refuse = True

    def check(output: Output[Any]) -> str:
        new = [uuid for uuid in agent.operations if uuid not in known]
        told = [e.message for e in output.effects if isinstance(e, ToAgent) and e.conn == conn]
        asked = [each.uuid for each in told if isinstance(each, am.ApplyOperation)]
        if len(new) != 1 or asked != new:
            return f"its agent is told {told}"
        if change is not None and agent.info.resources != total - change.before + change.after:
            return f"its agent has {agent.info.resources} then, before it had {total}"
        return ""

    return refuse, check


def _in_use(agent: AgentEntry) -> Resources:
    """The resources in use; shared ones are free while they are used."""
    used = [task.info.resources for task in agent.tasks.values() if task.holds_resources]
    used += [executor.info.resources for executor in agent.executors.values()]
    return alone(Resources.total(used))


# ---------------------------------------------------------------------------------- machines


def _name(machine: MachineId) -> str:
    return (machine.hostname or machine.ip or "").lower()


def _are_no_machines(machines: Iterable[MachineId]) -> bool:
    """Without a name, with an ip that is none, or twice."""
    names = [_name(each) for each in machines]
    return "" in names or len(set(names)) < len(names) or any(map(_has_no_ip, machines))


def _has_no_ip(machine: MachineId) -> bool:
    try:
        ip_address(machine.ip or "::1")
    except ValueError:
        return True
    return False


def _schedule(state: MasterState, call: om.UpdateMaintenanceSchedule) -> Judged:
    windows = call.schedule.windows
    machines = [each for window in windows for each in window.machine_ids]
    wrong = not all(window.machine_ids for window in windows) or _are_no_machines(machines)
    down = set(state.machines.record.down)
    plain = all(each.ip is None for each in machines)
    missing = bool(down - {_name(each) for each in machines})

    def check(output: Output[Any]) -> str:
        record = state.machines.record
        if record.schedule != call.schedule or (plain and set(record.down) != down):
            return f"planned is {record}, down were {down}"
        stored = [write.key for write in output.writes]
        return "" if stored == ["maintenance/machines"] else f"it stores {stored}"

    if wrong or not missing:
        return wrong, check
    return (True if plain else None), check


def _start(state: MasterState, call: om.StartMaintenance) -> Judged:
    return _move(state, call.machines, down=True)


def _stop(state: MasterState, call: om.StopMaintenance) -> Judged:
    return _move(state, call.machines, down=False)


def _move(state: MasterState, machines: tuple[MachineId, ...], *, down: bool) -> Judged:
    record = state.machines.record
    planned = {_name(each) for w in record.schedule.windows for each in w.machine_ids}
    names, was = {_name(each) for each in machines}, set(record.down)
    wrong = not machines or _are_no_machines(machines)
    fits = names <= planned and names.isdisjoint(was) if down else names <= was
    plain = all(each.ip is None for each in machines)

    def check(output: Output[Any]) -> str:
        after = state.machines.record
        left = {_name(each) for w in after.schedule.windows for each in w.machine_ids}
        if plain and set(after.down) != (was | names if down else was - names):
            return f"down are {after.down}, were {was}"
        if plain and left != (planned if down else planned - names):
            return f"planned are {left}, were {planned}"
        here = [a.id for a in state.agents.values() if a.info.hostname.lower() in names]
        if down and here and not any(isinstance(each, SetTimer) for each in output.effects):
            return f"agents {here} stay on machines that are down"
        stored = [write.key for write in output.writes]
        return "" if "maintenance/machines" in stored else f"it stores {stored}"

    if wrong or fits:
        return wrong, check
    return (True if plain else None), check


# ---------------------------------------------------------------------------------- the rest


def _teardown(state: MasterState, call: om.Teardown) -> Judged:
    known = call.framework_id in state.frameworks

    def check(output: Output[Any]) -> str:
        ended = call.framework_id in state.completed and call.framework_id not in state.frameworks
        return "" if ended else "it is still there"

    return not known, check


def _delete_aside(state: MasterState, call: om.DeleteSetAside) -> Judged:
    known = call.key in state.set_aside

    def check(output: Output[Any]) -> str:
        deleted = Delete(call.key) in output.writes and call.key not in state.set_aside
        return "" if deleted else "it is still there"

    return not known, check


def _explain(state: MasterState, call: om.Explain) -> Judged:
    clients = [
        (f, role)
        for f in state.frameworks.values()
        if call.framework in (None, f.id, f.info.name)
        for role in f.info.all_roles
        if call.role in (None, role)
    ]
    agents = [
        a for a in state.agents.values() if call.agent in (None, a.id, a.info.hostname)
    ]  # fmt: skip
    unknown = (call.framework is not None or call.role is not None) and not clients
    unknown |= call.agent is not None and not agents
    return unknown or len(clients) * len(agents) > _PAIRS_MAX, _nothing


_JUDGES: Final[Mapping[type, Callable[[MasterState, Any], Judged]]] = {
    om.UpdateWeights: _weights,
    om.UpdateQuota: _quota,
    om.SetQuota: _set_quota,
    om.RemoveQuota: _remove_quota,
    om.DeactivateAgent: _deactivate,
    om.ReactivateAgent: _reactivate,
    om.DrainAgent: _drain,
    om.MarkAgentGone: _mark_gone,
    om.UpdateMaintenanceSchedule: _schedule,
    om.StartMaintenance: _start,
    om.StopMaintenance: _stop,
    om.Teardown: _teardown,
    om.DeleteSetAside: _delete_aside,
    om.Explain: _explain,
}
