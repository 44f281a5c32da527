"""The read replica: a snapshot and the changes after it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.cluster.model import Label, Task
from mezzo.cluster.states import MOVES, TaskState
from mezzo.gateway.errors import StreamGap
from mezzo.gateway.replica.cluster_replica import (
    COMPLETED_FRAMEWORKS_MAX,
    COMPLETED_TASKS_MAX,
    Replica,
    View,
    updated,
)
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages.operator import (
    AgentAdded,
    AgentRemoved,
    Agents,
    AgentUpdated,
    FrameworkAdded,
    FrameworkRemoved,
    Frameworks,
    FrameworkUpdated,
    OperatorEvent,
    OperatorHeartbeat,
    OperatorSubscribed,
    State,
    TaskAdded,
    Tasks,
)
from mezzo.record import replace

from .clusters import A1, A2, F1, F2, agent, framework, snapshot, task, update


def replica_after(*events: OperatorEvent, start: OperatorSubscribed | None = None) -> Replica:
    replica = Replica()
    replica.apply(7, 1, start or snapshot())
    for number, event in enumerate(events, 8):
        replica.apply(number, 1, event)
    return replica


def test_a_snapshot_is_the_view_with_its_sequence_number() -> None:
    start = snapshot(agents=(agent(),), frameworks=(framework(),), tasks=(task(),))
    view = replica_after(start=start).view()
    assert view == View(
        1, 7, {A1: agent()}, {}, {F1: framework()}, {}, {(F1, TaskId("t1")): task()}, {}
    )


def test_agents_come_change_and_go() -> None:
    busy = agent(A2, used_cpus=1)
    view = replica_after(AgentAdded(agent(A1)), AgentAdded(agent(A2)), AgentUpdated(busy)).view()
    assert view.agents == {A1: agent(A1), A2: busy}
    view = replica_after(AgentAdded(agent(A1)), AgentAdded(agent(A2)), AgentRemoved(A1)).view()
    assert list(view.agents) == [A2]


def test_an_agent_that_comes_back_is_not_counted_as_recovered_any_more() -> None:
    start = OperatorSubscribed(State(get_agents=Agents(recovered_agents=(agent().agent_info,))))
    assert list(replica_after(start=start).view().recovered_agents) == [A1]
    assert replica_after(AgentAdded(agent()), start=start).view().recovered_agents == {}


def test_a_removed_framework_is_completed_and_its_live_tasks_are_gone() -> None:
    info = framework().framework_info
    view = replica_after(
        FrameworkAdded(framework()), TaskAdded(task()), FrameworkRemoved(info)
    ).view()
    assert view.frameworks == {}
    assert view.completed_frameworks == {F1: framework(connected=False)}
    assert view.tasks == {}


def test_a_framework_that_disconnects_is_still_there() -> None:
    gone = framework(connected=False)
    view = replica_after(FrameworkAdded(framework()), FrameworkUpdated(gone)).view()
    assert view.frameworks == {F1: gone}


def test_a_task_that_ends_moves_to_the_completed_ones() -> None:
    view = replica_after(
        TaskAdded(task()), update("t1", TaskState.RUNNING), update("t1", TaskState.FAILED)
    ).view()
    assert view.tasks == {}
    ended = view.completed_tasks[F1, TaskId("t1")]
    assert ended.state is TaskState.FAILED
    assert [status.state for status in ended.statuses] == [TaskState.RUNNING, TaskState.FAILED]


def test_of_a_task_that_has_ended_a_large_description_is_forgotten() -> None:
    large = replace(task(), labels=(Label("a", "x" * 60_000),))
    ended = replica_after(TaskAdded(large), update("t1", TaskState.FAILED)).view().completed_tasks
    assert ended[F1, TaskId("t1")].labels == ()
    lost = replica_after(TaskAdded(large), update("t1", TaskState.LOST)).view().completed_tasks
    assert lost[F1, TaskId("t1")].labels == large.labels, "it may come back"


def test_a_lost_task_that_comes_back_lives_again() -> None:
    lost = update("t1", TaskState.LOST)
    view = replica_after(TaskAdded(task()), lost, update("t1", TaskState.RUNNING)).view()
    assert view.tasks[F1, TaskId("t1")].state is TaskState.RUNNING
    assert view.completed_tasks == {}


def test_the_state_of_a_task_may_be_ahead_of_its_last_status() -> None:
    late = update("t1", TaskState.RUNNING, latest=TaskState.FINISHED)
    ended = replica_after(TaskAdded(task()), late).view().completed_tasks[F1, TaskId("t1")]
    assert ended.state is TaskState.FINISHED
    assert ended.status_update_state is TaskState.RUNNING


def test_statuses_of_one_state_in_a_row_are_kept_once() -> None:
    first, second = (update("t1", TaskState.RUNNING, at=at).status for at in (1.0, 2.0))
    running = updated(updated(task(), first, TaskState.RUNNING), second, TaskState.RUNNING)
    assert running.statuses == (second,)


def test_an_update_of_a_task_that_is_not_known_changes_nothing() -> None:
    view = replica_after(update("ghost", TaskState.RUNNING)).view()
    assert view.tasks == {}
    assert view.completed_tasks == {}


def test_equal_task_ids_of_two_frameworks_are_two_tasks() -> None:
    view = replica_after(TaskAdded(task()), TaskAdded(task(framework_id=F2))).view()
    assert set(view.tasks) == {(F1, TaskId("t1")), (F2, TaskId("t1"))}


def test_the_oldest_completed_task_of_the_same_framework_makes_room() -> None:
    done = tuple(task(f"t{i}", TaskState.FINISHED) for i in range(COMPLETED_TASKS_MAX))
    other = task("other", TaskState.FINISHED, framework_id=F2)
    one_more = TaskAdded(task("one more", TaskState.FINISHED))
    view = replica_after(one_more, start=snapshot(completed=(other, *done))).view()
    names = [name for _, name in view.completed_tasks]
    assert len(names) == COMPLETED_TASKS_MAX + 1
    assert names[:2] == ["other", "t1"]
    assert names[-1] == "one more"


@pytest.mark.parametrize("number", [7, 9, 100])
def test_an_event_that_does_not_follow_is_a_gap_and_changes_nothing(number: int) -> None:
    replica = replica_after()
    with pytest.raises(StreamGap, match=f"event {number} of epoch 1 does not follow 7"):
        replica.apply(number, 1, AgentAdded(agent()))
    assert replica.view() == View(1, 7, {}, {}, {}, {}, {}, {})


def test_a_heartbeat_repeats_the_last_number_and_tells_of_a_gap() -> None:
    replica = replica_after()
    replica.apply(7, 1, OperatorHeartbeat())
    with pytest.raises(StreamGap):
        replica.apply(8, 1, OperatorHeartbeat())


def test_a_fresh_snapshot_of_a_new_leader_replaces_everything() -> None:
    replica = replica_after(AgentAdded(agent(A1)), TaskAdded(task()))
    replica.apply(0, 2, snapshot(agents=(agent(A2),)))
    assert replica.view() == View(2, 0, {A2: agent(A2)}, {}, {}, {}, {}, {})


def test_a_deposed_leader_is_not_believed() -> None:
    replica = replica_after()
    replica.apply(0, 2, snapshot(agents=(agent(A2),)))
    for event in (snapshot(), AgentRemoved(A2)):
        with pytest.raises(StreamGap, match="epoch 1 is over"):
            replica.apply(8, 1, event)
    assert list(replica.view().agents) == [A2]


def test_a_view_does_not_change_with_what_comes_later() -> None:
    replica = replica_after(AgentAdded(agent()))
    before = replica.view()
    replica.apply(9, 1, AgentRemoved(A1))
    assert list(before.agents) == [A1]


# Few, so that all the moves between them are tried.
STATES = [TaskState.RUNNING, TaskState.UNREACHABLE, TaskState.LOST, TaskState.FINISHED]


@dataclass
class Truth:
    """A master in miniature: what a snapshot would say at any moment."""

    tasks: dict[tuple[FrameworkId, TaskId], Task] = field(default_factory=dict)

    def snapshot(self) -> OperatorSubscribed:
        live = tuple(each for each in self.tasks.values() if not each.state.terminal)
        done = tuple(each for each in self.tasks.values() if each.state.terminal)
        return OperatorSubscribed(State(Tasks(live, done), Frameworks(), Agents()))


@given(
    st.lists(
        st.tuples(st.sampled_from([F1, F2]), st.sampled_from("ab"), st.sampled_from(STATES)),
        max_size=40,
    )
)
def test_who_saw_all_changes_knows_what_who_came_late_is_told(
    happenings: list[tuple[FrameworkId, str, TaskState]],
) -> None:
    truth, replica, number = Truth(), Replica(), 0
    replica.apply(number, 1, truth.snapshot())
    for framework_id, name, state in happenings:
        key = (framework_id, TaskId(name))
        event: OperatorEvent
        if key not in truth.tasks:
            truth.tasks[key] = task(name, framework_id=framework_id)
            event = TaskAdded(truth.tasks[key])
        elif state in MOVES[truth.tasks[key].state]:
            event = update(name, state, framework_id=framework_id)
            truth.tasks[key] = updated(truth.tasks[key], event.status, state)
        else:
            continue
        number += 1
        replica.apply(number, 1, event)
    late = Replica()
    late.apply(number, 1, truth.snapshot())
    assert replica.view() == late.view()


# ---------------------------------------------------------------------------------- bounds


def test_of_frameworks_that_are_forgotten_nothing_is_kept() -> None:
    replica = Replica()
    replica.apply(7, 1, snapshot())
    sequence = 7
    for number in range(COMPLETED_FRAMEWORKS_MAX + 10):
        id_ = FrameworkId(f"f{number}")
        view = framework(id_)
        for event in (
            FrameworkAdded(view),
            TaskAdded(replace(task("over", TaskState.FINISHED), framework_id=id_)),
            TaskAdded(replace(task("live"), framework_id=id_)),
            FrameworkRemoved(view.framework_info),
        ):
            sequence += 1
            replica.apply(sequence, 1, event)
    view = replica.view()
    assert len(view.completed_frameworks) == COMPLETED_FRAMEWORKS_MAX
    assert {key[0] for key in view.completed_tasks} == set(view.completed_frameworks)
    assert view.tasks == {}
    assert view.frameworks == {}


def test_a_snapshot_is_bounded_as_what_follows_it() -> None:
    many = tuple(framework(FrameworkId(f"f{n}")) for n in range(COMPLETED_FRAMEWORKS_MAX + 5))
    tasks = tuple(
        replace(task("t", TaskState.FINISHED), framework_id=each.framework_info.id or F1)
        for each in many
    )
    start = OperatorSubscribed(
        State(get_tasks=Tasks(completed_tasks=tasks), get_frameworks=Frameworks((), many))
    )
    view = replica_after(start=start).view()
    assert list(view.completed_frameworks) == [f"f{n}" for n in range(5, len(many))]
    assert {key[0] for key in view.completed_tasks} == set(view.completed_frameworks)


def test_of_each_framework_the_oldest_completed_tasks_make_room() -> None:
    ends = [task(f"t{n}", TaskState.FINISHED) for n in range(COMPLETED_TASKS_MAX + 3)]
    other = replace(task("other", TaskState.FINISHED), framework_id=F2)
    again = replace(ends[4], name="again")
    view = replica_after(*map(TaskAdded, [other, *ends, again])).view()
    kept = [key[1] for key in view.completed_tasks if key[0] == F1]
    assert kept == [each.task_id for each in ends[3:]]
    assert view.completed_tasks[(F1, again.task_id)] == again
    assert (F2, other.task_id) in view.completed_tasks
