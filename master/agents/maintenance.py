"""Maintenance: machines that will be away for a while, and those that are.

    up       --UPDATE_MAINTENANCE_SCHEDULE, with it-->     draining: frameworks are told
    draining --UPDATE_MAINTENANCE_SCHEDULE, without it-->  up
    draining --START_MAINTENANCE-->                        down: its agents are shut down, refused
    down     --STOP_MAINTENANCE-->                         up, and out of the schedule

The rules are those of Mesos. The schedule is durable.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from mezzo.cluster.model import MachineId, Unavailability
from mezzo.cluster.states import Reason, TaskState
from mezzo.core import REQUEST_BYTES_MAX, put_of, write_bytes
from mezzo.errors import BadRequest
from mezzo.messages import operator as m
from mezzo.record import replace

from .. import rescinding
from ..offers import inverse_offers
from ..state.machines import Machines, MaintenanceRecord, Planned, name_of
from ..state.master_state import MasterState
from ..state.step import Step
from ..tables import AGENTS, MAINTENANCE
from ..timers import ShutDownsDue
from . import unreachable

# ---------------------------------------------------------------------------------- asking


def schedule(state: MasterState, step: Step, call: m.GetMaintenanceSchedule) -> m.Maintenance:
    return m.Maintenance(state.machines.record.schedule)


def status(state: MasterState, step: Step, call: m.GetMaintenanceStatus) -> m.MaintenanceStatus:
    """What frameworks answered for the agents of draining machines; which machines are down."""
    answers: dict[str, list[m.InverseOfferStatus]] = {}
    for agent in state.agents.values():
        planned = state.machines.of(agent.info.hostname)
        if planned is not None:
            answers.setdefault(name_of(planned.id), []).extend(
                answer.status
                for framework_id, answer in agent.inverse_answers.items()
                if framework_id in state.frameworks
            )
    draining = tuple(
        m.DrainingMachine(each.id, tuple(answers.get(name_of(each.id), ())))
        for each in state.machines.planned
        if not each.down
    )
    down = tuple(each.id for each in state.machines.planned if each.down)
    return m.MaintenanceStatus(m.MaintenanceState(draining, down))


# ---------------------------------------------------------------------------------- changing


def update_schedule(
    state: MasterState, step: Step, call: m.UpdateMaintenanceSchedule
) -> m.OperatorResponse:
    """The new schedule takes the place of the old one. Machines that are down must be in it."""
    check_schedule(call.schedule)
    record = MaintenanceRecord(call.schedule)
    machines = Machines(record)
    all_down = tuple(name_of(each.id) for each in machines.planned)
    size = write_bytes(put_of(MAINTENANCE, replace(record, down=all_down)))
    if size > REQUEST_BYTES_MAX:
        raise BadRequest(
            f"the schedule takes {size} bytes with all of it down, more than {REQUEST_BYTES_MAX}: "
            "schedule fewer machines at a time"
        )
    down = []
    for each in state.machines.planned:
        if each.down:
            found = machines.find(each.id)
            if found is None:
                raise BadRequest(
                    f"machine {_say(each.id)} is down and is not in the new schedule: keep it "
                    "there until `mezzo maintenance stop` has brought it up"
                )
            down.append(name_of(found.id))
    _replace(state, step, replace(record, down=tuple(down)))
    return m.Done()


def start(state: MasterState, step: Step, call: m.StartMaintenance) -> m.OperatorResponse:
    """The machines are down: their agents are shut down, their tasks have ended."""
    found = _find(state, call.machines)
    for each in found:
        if each.down:
            raise BadRequest(f"machine {_say(each.id)} is down already: leave it out")
    record = state.machines.record
    down = (*record.down, *(name_of(each.id) for each in found))
    _replace(state, step, replace(record, down=down))
    shut_down(state, step)
    return m.Done()


def stop(state: MasterState, step: Step, call: m.StopMaintenance) -> m.OperatorResponse:
    """The machines are up: no window has them any more, and their agents may register."""
    up = {name_of(each.id): each for each in _find(state, call.machines)}
    for each in up.values():
        if not each.down:
            raise BadRequest(
                f"machine {_say(each.id)} is not down: `mezzo maintenance start` takes it down"
            )
    record = state.machines.record
    left = (
        replace(window, machine_ids=tuple(i for i in window.machine_ids if name_of(i) not in up))
        for window in record.schedule.windows
    )
    windows = tuple(window for window in left if window.machine_ids)
    down = tuple(name for name in record.down if name not in up)
    _replace(state, step, MaintenanceRecord(m.MaintenanceSchedule(windows), down))
    return m.Done()


def _replace(state: MasterState, step: Step, record: MaintenanceRecord) -> None:
    """Frameworks learn at once which of the agents that they use or are offered are affected."""
    before = state.machines
    state.machines = Machines(record)
    step.put(MAINTENANCE, record)
    for agent in state.agents.values():
        hostname = agent.info.hostname
        if _absence(before.of(hostname)) != _absence(state.machines.of(hostname)):
            inverse_offers.ask_anew(state, step, agent)
            rescinding.rescind_all_of_agent(state, step, agent)


def _absence(planned: Planned | None) -> Unavailability | None:
    return None if planned is None else planned.unavailability


# ---------------------------------------------------------------------------------- being down


def shut_down(state: MasterState, step: Step) -> None:
    """No agent of a machine that is down stays, not so many at a time."""
    doomed = [
        agent
        for agent in state.agents.values()
        if (planned := state.machines.of(agent.info.hostname)) is not None and planned.down
    ]
    for agent in doomed:
        if step.full:
            step.timer(ShutDownsDue(), 0.0)
            return
        why = f"the machine of agent {agent.info.hostname} is down for maintenance"
        # Mesos says LOST to every framework; to one that knows GONE this says more.
        unreachable.shut_down(state, step, agent, TaskState.GONE, Reason.AGENT_REMOVED, why)
        if agent.record.deactivated:
            # The agent may come back, and what operators did to it still holds then.
            unreachable.await_return(state, step, agent, ())
        else:
            step.delete(AGENTS, agent.id)


# ---------------------------------------------------------------------------------- checks


def check_schedule(schedule: m.MaintenanceSchedule) -> None:
    """The rules for a schedule by itself. Raises BadRequest."""
    for window in schedule.windows:
        if not window.machine_ids:
            raise BadRequest("a maintenance window names no machines: name some, or leave it out")
    _check_machines([id_ for window in schedule.windows for id_ in window.machine_ids])


def _find(state: MasterState, machines: tuple[MachineId, ...]) -> list[Planned]:
    if not machines:
        raise BadRequest("the list of machines is empty: name some")
    _check_machines(machines)
    found = []
    for machine in machines:
        planned = state.machines.find(machine)
        if planned is None:
            raise BadRequest(
                f"machine {_say(machine)} is not in the maintenance schedule: put it there first"
            )
        found.append(planned)
    _check_machines([each.id for each in found])  # one may have been named in two ways
    return found


def _check_machines(machines: Iterable[MachineId]) -> None:
    seen: dict[str, None] = {}
    for machine in machines:
        name = name_of(machine)
        if not name:
            raise BadRequest("a machine has neither hostname nor ip: give one of them, or both")
        if machine.ip:
            _check_ip(machine.ip)
        if name in seen:
            raise BadRequest(f"machine {_say(machine)} appears more than once: name it once")
        seen[name] = None


def _check_ip(ip: str) -> None:
    try:
        ip_address(ip)
    except ValueError as error:
        raise BadRequest(f"{ip!r} is no ip address of a machine: {error}") from error


def _say(machine: MachineId) -> str:
    return " ".join(part for part in (machine.hostname, machine.ip) if part)
