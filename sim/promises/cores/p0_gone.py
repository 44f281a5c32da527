"""What all promises stand on: the dead take no room. Else a core that leads for a year is full of
those who were there once, and its work for all of them takes longer and longer.

Each kind of id has its home in a core: the table of those that are there. An id that was at home
and is not any more is in no table of the core, but in those that are to remember.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping
from typing import Any, Final

from mezzo.agent.core import AgentCore
from mezzo.agent.state.checkpoint import Checkpoint
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.state.launch_queue import LaunchQueue
from mezzo.marathon.state.marathon_state import MarathonState
from mezzo.master.allocator.agent_books import Agent
from mezzo.master.allocator.filters import Filters
from mezzo.master.allocator.nodes import ClientNode
from mezzo.master.core import MasterCore
from mezzo.master.state.agent_entry import AgentEntry
from mezzo.master.state.event_history import Journal
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.master.state.master_state import MasterState
from mezzo.master.state.task_entry import TaskEntry

from ...world.watched import Broken
from .traces import trace

# Tables that may know the dead, and until when.
REMEMBERS: Final[Mapping[tuple[type, str], str]] = {
    (MasterState, "completed"): "the last max_completed_frameworks",
    (MasterState, "unreachable"): "registry_max_agent_age_s, registry_max_agent_count",
    (MasterState, "gone_since_s"): "as those that are unreachable",
    (MasterState, "drain_checks"): "the end of the next step",
    (MasterState, "changed_agents"): "VIEWS_EVERY_S",
    (MasterState, "changed_frameworks"): "VIEWS_EVERY_S",
    (FrameworkEntry, "completed"): "the last max_completed_tasks_per_framework",
    (AgentEntry, "settled"): "its next stream",
    # What was answered to inverse offers stays, whoever is gone: a small bug of the master.
    (AgentEntry, "inverse_answers"): "another plan for its machine",
    (FrameworkEntry, "inverse_answered"): "its next REVIVE",
    (Journal, "_events"): "the last operator_event_buffer",
    (Filters, "_due"): "a refusal's time, or that there are too many of them: see p7_ledgers",
    (Checkpoint, "ended"): "the last ENDED_MAX",
    (Checkpoint, "applied"): "the last APPLIED_MAX",
    (LaunchQueue, "delays"): "what it sweeps",
    (LaunchQueue, "delay_timers_s"): "the timer",
    (MarathonState, "unanswered"): "the next reconciliation",
    # No tables of anybody, and long ones.
    (TaskEntry, "statuses"): "",
    (MasterState, "counters"): "",
}

_Here = dict[Hashable, str]  # ids that are at home, and what they are


class Gone:
    """The ids of one core that were there at the last look, and those gone since it began."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._here: _Here = {}
        self._gone: _Here = {}

    def look_at_master(self, core: MasterCore) -> None:
        began = not self._here
        self._renew(_of_master(core))
        if not began:
            self._look(core, self._gone, _things(core))

    def look_at_allocator(self, core: MasterCore) -> None:
        """For the agents and clients that it knows by themselves."""
        self._look(core.state.allocator, {}, _things(core))

    def look_at_agent(self, core: AgentCore) -> None:
        self._renew(_of_agent(core))
        self._look(core, self._gone, {})

    def look_at_marathon(self, core: MarathonCore) -> None:
        self._renew(_of_marathon(core))
        self._look(core, self._gone, {})

    def _renew(self, here: _Here) -> None:
        gone = self._gone
        gone |= self._here
        for each in gone.keys() & here.keys():
            del gone[each]
        self._here = here

    def _look(self, core: object, gone: _Here, things: Mapping[type, Container[Any]]) -> None:
        if not (gone or things):
            return
        found = trace(core, gone, things, REMEMBERS)
        if found:
            raise Broken(f"durability: {self._name} knows who is gone: {found}")


def _things(core: MasterCore) -> Mapping[type, Container[Any]]:
    books = core.state.allocator._books
    return {
        ClientNode: set(books.tree.clients.values()),
        Agent: set(books.agents.values()),
    }


def _of_master(core: MasterCore) -> _Here:
    state = core.state
    here: _Here = dict.fromkeys(state.frameworks, "framework")
    here |= dict.fromkeys(state.agents, "agent")
    here |= dict.fromkeys((*state.offers, *state.inverse_offers), "offer")
    for agent in state.agents.values():
        here |= dict.fromkeys(agent.tasks, "task")
        here |= dict.fromkeys(agent.executors, "executor")
        here |= dict.fromkeys(agent.operations, "operation")
    for framework in state.frameworks.values():
        here |= {(framework.id, task_id): "task" for task_id in framework.unreachable}
    return here


def _of_agent(core: AgentCore) -> _Here:
    checkpoint = core.state.checkpoint
    here: _Here = dict.fromkeys(checkpoint.tasks, "task")
    here |= dict.fromkeys((key[0] for key in checkpoint.tasks), "framework")
    here |= dict.fromkeys((task.container_id for task in checkpoint.tasks.values()), "container")
    here |= dict.fromkeys(checkpoint.remains, "container")
    here |= dict.fromkeys(checkpoint.operations, "operation")
    here |= dict.fromkeys(checkpoint.folders, "folder")
    return here


def _of_marathon(core: MarathonCore) -> _Here:
    state, running = core.state, core.state.running
    here: _Here = dict.fromkeys(state.by_id, "instance")
    here |= dict.fromkeys(state.by_task, "task")
    here |= dict.fromkeys(running, "deployment")
    here |= dict.fromkeys(state.apps, "app")
    here |= dict.fromkeys((live.record.app_id for live in state.by_id.values()), "app")
    for plan in running.values():
        here |= dict.fromkeys(plan.changes, "app")
    here |= dict.fromkeys((each.app_id for each in state.aside.values()), "app")
    return here
