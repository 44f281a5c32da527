"""Promise 8 for operators: who and what there is, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import ConnId
from mezzo.master.state.agent_entry import AgentEntry
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.master.state.machines import name_of
from mezzo.messages import operator as om
from mezzo.record import replace

from ...world.watched import Broken
from .look import Look


def check_members(look: Look) -> None:
    _tasks(look)
    _agents(look)
    _framework_views(look)
    _rest(look)


def _tasks(look: Look) -> None:
    read, config = look.read(om.GetTasks()), look.state.config
    entries = {
        (framework.id, task_id): entry
        for framework in look.frameworks
        for task_id, entry in (*framework.tasks.items(), *framework.unreachable.items())
    }
    live = [(f.id, id_) for f in look.frameworks for id_ in f.tasks]
    lost = [(f.id, id_) for f in look.frameworks for id_ in f.unreachable]
    over = [(f.id, id_) for f in look.frameworks for id_ in f.completed]
    for what, shown, keys in (
        ("tasks", read.tasks, live),
        ("unreachable tasks", read.unreachable_tasks, lost),
        ("completed tasks", read.completed_tasks, over),
    ):
        look.same(what, [(task.framework_id, task.task_id) for task in shown], keys)
    for task in (*read.tasks, *read.unreachable_tasks):
        entry = entries[(task.framework_id, task.task_id)]
        told = entry.forwarded
        look.same(f"the state of {task.task_id}", task.state, entry.state)
        look.same(f"what is told of {task.task_id}", task.statuses, tuple(entry.statuses))
        if told is not None:
            shown = (task.status_update_state, task.status_update_uuid)
            look.same(f"the update of {task.task_id}", shown, (told.state, told.uuid))
    for task in (*read.tasks, *read.completed_tasks):
        states = [status.state for status in task.statuses]
        if any(one is two for one, two in pairwise(states)):
            raise Broken(f"promise 8: {task.task_id} has been {states}, one of them twice")
        if any(status.data is not None for status in task.statuses):
            raise Broken(f"promise 8: the data of {task.task_id} is kept for operators")
    for task in read.unreachable_tasks:
        if task.state is not TaskState.UNREACHABLE:
            raise Broken(f"promise 8: {task.task_id} is {task.state}, and is shown as lost")
    for framework in look.frameworks:
        most = config.max_completed_tasks_per_framework
        look.bound(f"completed tasks of {framework.id}", len(framework.completed), most)
        ended = [id_ for id_, entry in framework.tasks.items() if entry.state.terminal]
        look.same(f"what of {framework.id} has ended", sorted(framework.ended), sorted(ended))
    look.bound("completed frameworks", len(look.state.completed), config.max_completed_frameworks)


def _agents(look: Look) -> None:
    state, read = look.state, look.read(om.GetAgents())
    back = {agent.id: agent for agent in look.back}
    look.same("the agents", [view.agent_info.id for view in read.agents], list(back))
    recovered = [id_ for id_ in state.agents if id_ not in back]
    look.same("who is not back", [info.id for info in read.recovered_agents], recovered)
    lost = [(each.agent_info.id, each.unreachable_time) for each in read.unreachable_agents]
    expected = [(id_, each.record.since_s) for id_, each in state.unreachable.items()]
    look.same("who is unreachable", lost, expected)
    for view in read.agents:
        _agent(look, view, back[view.agent_info.id])


def _agent(look: Look, view: om.AgentView, entry: AgentEntry) -> None:
    id_, state = entry.id, look.state
    offered = [offer.resources for offer in state.offers.values() if offer.agent_id == id_]
    here = entry.conn is not None
    look.same(f"the stream of {id_}", state.agent_of.get(entry.conn or ConnId(0)) == id_, here)
    shown = (view.agent_info, view.active, view.deactivated, view.drain_info)
    drains = entry.drain is not None
    expected = (
        entry.info,
        here and not entry.record.deactivated,
        entry.record.deactivated,
        entry.drain,
    )
    look.same(f"agent {id_}", shown, expected)
    look.same(f"whether {id_} drains", view.estimated_drain_start_time is not None, drains)
    if drains and not view.deactivated:
        raise Broken(f"promise 8: {id_} drains, and is shown as one that is offered")
    look.same(
        f"what {id_} has", (view.total_resources, view.offered_resources),
        (entry.info.resources, Resources.total(offered)),
    )  # fmt: skip
    allocated = Resources.total(of for at, _, _, of in look.taken if at == id_)
    look.same(f"what {id_} runs", view.allocated_resources, allocated)
    came_s, back_s = look.term.came.get(id_), look.term.back.get(id_)
    if came_s is not None and back_s is None:
        look.same(f"since when {id_} is there", view.registered_time, came_s)
    look.same(f"since when {id_} is back", view.reregistered_time, back_s)


def _framework_views(look: Look) -> None:
    state, read = look.state, look.read(om.GetFrameworks())
    shown = [view.framework_info.id for view in read.frameworks]
    look.same("the frameworks", shown, list(state.frameworks))
    over = [view.framework_info.id for view in read.completed_frameworks]
    look.same("the completed frameworks", over, list(state.completed))
    for view in read.frameworks:
        _framework(look, view, state.frameworks[view.framework_info.id])
    for view in read.completed_frameworks:
        if view.active or view.connected or view.unregistered_time is None:
            raise Broken(f"promise 8: {view.framework_info.id} is over, and shown as {view}")


def _framework(look: Look, view: om.FrameworkView, entry: FrameworkEntry) -> None:
    id_, state = entry.id, look.state
    here = id_ in state.framework_of.values()
    shown = (view.framework_info, view.active, view.connected, view.recovered)
    if view.recovered and here:
        raise Broken(f"promise 8: {id_} is connected, and is shown as not back")
    look.same(f"framework {id_}", shown, (entry.info, here, here, entry.recovered))
    offers = [offer for offer in state.offers.values() if offer.framework_id == id_]
    look.same(f"the offers of {id_}", list(view.offers), offers)
    inverse = [each for each in state.inverse_offers.values() if each.framework_id == id_]
    look.same(f"the inverse offers of {id_}", _ids(view.inverse_offers), _ids(inverse))
    offered = Resources.total(offer.resources for offer in offers)
    look.same(f"what {id_} is offered", view.offered_resources, offered)
    allocated = Resources.total(of for _, whose, _, of in look.taken if whose == id_)
    look.same(f"what {id_} runs", view.allocated_resources, allocated)
    if view.unregistered_time is not None or view.registered_time is None:
        raise Broken(f"promise 8: {id_} lives, and is shown as {view}")
    look.same(f"the constraints of {id_}", view.offer_constraints, entry.constraints)


def _rest(look: Look) -> None:
    state = look.state
    read = look.read(om.GetOffers())
    look.same("the offers", _ids(read.offers), _ids(state.offers.values()))
    look.same("the inverse offers", _ids(read.inverse_offers), _ids(state.inverse_offers.values()))
    executors = [
        (executor.info, agent_id)
        for framework in state.frameworks.values()
        for (agent_id, _), executor in framework.executors.items()
    ]
    shown = [(each.executor_info, each.agent_id) for each in look.read(om.GetExecutors()).executors]
    look.same("the executors", sorted(map(str, shown)), sorted(map(str, executors)))
    operations = {
        record.uuid: record
        for agent in state.agents.values()
        for record in agent.operations.values()
    }
    known = look.read(om.GetOperations()).operations
    look.same("the operations", {record.uuid: record for record in known}, operations)
    for framework in state.frameworks.values():
        for id_, (agent_id, uuid) in framework.operations.items():
            record = operations.get(uuid)
            if record is None or (record.info.id, record.agent_id) != (id_, agent_id):
                raise Broken(f"promise 8: operation {id_} of {framework.id} is {record}")
    everything = look.read(om.GetState())
    agents = replace(look.read(om.GetAgents()), unreachable_agents=())
    parts = (
        look.read(om.GetTasks()), look.read(om.GetFrameworks()), agents,
        look.read(om.GetExecutors()),
    )  # fmt: skip
    look.same("the state", everything, om.State(*parts))
    _maintenance(look)


def _maintenance(look: Look) -> None:
    state, read = look.state, look.read(om.GetMaintenanceStatus()).status
    schedule = look.read(om.GetMaintenanceSchedule()).schedule
    names = [name_of(each) for window in schedule.windows for each in window.machine_ids]
    down = [name_of(each) for each in read.down_machines]
    draining = [name_of(each.id) for each in read.draining_machines]
    look.same("what is away", sorted([*down, *draining]), sorted(names))
    look.same("what is down", sorted(down), sorted(state.machines.record.down))
    for machine in read.draining_machines:
        answers = [
            answer.status
            for agent in state.agents.values()
            if agent.info.hostname.lower() == name_of(machine.id)
            for framework_id, answer in agent.inverse_answers.items()
            if framework_id in state.frameworks
        ]
        if machine.id.hostname:
            look.same(f"what is answered of {machine.id}", list(machine.statuses), answers)


def _ids(of: Iterable[Any]) -> list[str]:
    return sorted(each.id for each in of)
