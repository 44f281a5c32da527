"""What the page is sent: a snapshot, then only what differs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mezzo.cluster.model import DrainState, TaskStatus
from mezzo.cluster.states import TaskState
from mezzo.gateway.page.live import (
    COMPLETED_SHOWN,
    EMPTY,
    agent_doc,
    change,
    documents,
    task_doc,
)
from mezzo.gateway.replica.cluster_replica import Replica
from mezzo.ids import TaskId
from mezzo.json_types import Json
from mezzo.messages.operator import AgentAdded, AgentRemoved, AgentUpdated, OperatorEvent, TaskAdded
from mezzo.record import replace

from .clusters import A1, A2, agent, drained, framework, snapshot, task, update


def applied(shown: Json, delta: Json) -> Json:
    """As the page does it."""
    out = {part: dict(shown.get(part, {})) for part in ("agents", "frameworks", "tasks")}
    for part, docs in delta.items():
        for key, doc in docs.items():
            if doc is None:
                out[part].pop(key, None)
            else:
                out[part][key] = doc
    return out


def test_nothing_is_sent_when_nothing_changed() -> None:
    replica = Replica()
    replica.apply(0, 1, snapshot(agents=(agent(),), frameworks=(framework(),), tasks=(task(),)))
    assert change(documents(replica.view()), documents(replica.view())) == {}


def test_only_what_changed_is_sent_and_null_for_what_went() -> None:
    replica = Replica()
    replica.apply(0, 1, snapshot(agents=(agent(A1), agent(A2)), tasks=(task(),)))
    before = documents(replica.view())
    replica.apply(1, 1, AgentUpdated(agent(A1, used_cpus=2)))
    replica.apply(2, 1, AgentRemoved(A2))
    delta = change(before, documents(replica.view()))
    assert list(delta) == ["agents"]
    assert delta["agents"][A1]["used"] == {"cpus": 2.0, "mem": 64.0, "disk": 0.0}
    assert delta["agents"][A2] is None


def test_what_an_operator_did_to_an_agent_is_its_state() -> None:
    views = {
        "active": agent(),
        "not connected": agent(active=False),
        "deactivated": replace(agent(active=False), deactivated=True),
        "draining": drained(state=DrainState.DRAINING),
        "drained": drained(),
    }
    assert {word: agent_doc(view)["state"] for word, view in views.items()} == {
        word: word for word in views
    }


def test_a_task_shows_its_last_status() -> None:
    status = TaskStatus(
        TaskId("t1"), TaskState.FAILED, message="exit 1", timestamp=9.0, healthy=False
    )
    doc = task_doc(replace(task("t1", TaskState.FAILED), statuses=(status,)))
    assert (doc["over"], doc["message"], doc["since"], doc["healthy"]) == (
        True,
        "exit 1",
        9.0,
        False,
    )


def test_of_the_completed_tasks_the_latest_are_shown() -> None:
    done = tuple(task(f"t{i:03}", TaskState.FINISHED) for i in range(COMPLETED_SHOWN + 5))
    replica = Replica()
    replica.apply(0, 1, snapshot(completed=done, tasks=(task("live"),)))
    shown = [each.name for each in documents(replica.view()).tasks.values()]
    assert shown == ["live", *(each.name for each in done[5:])]


HAPPENINGS = st.one_of(
    st.builds(
        lambda i, c: AgentAdded(agent(i, used_cpus=c)), st.sampled_from([A1, A2]), st.integers(0, 3)
    ),
    st.builds(AgentRemoved, st.sampled_from([A1, A2])),
    st.builds(lambda name: TaskAdded(task(name)), st.sampled_from("abc")),
    st.builds(update, st.sampled_from("abc"), st.sampled_from(TaskState)),
)


@given(st.lists(st.tuples(HAPPENINGS, st.booleans()), max_size=30))
def test_a_page_that_takes_all_changes_shows_what_a_fresh_page_shows(
    happenings: list[tuple[OperatorEvent, bool]],
) -> None:
    replica = Replica()
    replica.apply(0, 1, snapshot())
    sent, page = EMPTY, applied({}, {})
    for number, (event, look) in enumerate(happenings, 1):
        replica.apply(number, 1, event)
        if look:  # several events may go into one change
            now = documents(replica.view())
            page = applied(page, change(sent, now))
            sent = now
    now = documents(replica.view())
    assert applied(page, change(sent, now)) == applied({}, change(EMPTY, now))
