"""Two masters on a real ZooKeeper: the leader dies without warning."""

from __future__ import annotations

import pytest

from mezzo.frameworks.sdk import TaskState
from mezzo.messages import agent as am
from tests.parts.masters import Cluster, Recorder, cluster, until
from tests.parts.zookeeper import ZkEnsemble

__all__ = ["cluster"]

pytestmark = [pytest.mark.zookeeper, pytest.mark.xdist_group("zookeeper")]


def test_the_second_master_takes_over_with_everything(cluster: Cluster, zk: ZkEnsemble) -> None:
    url = zk.url()
    first = cluster.master(name="one", zk=url).until_it_leads()
    second = cluster.master(name="two", zk=url)
    until("it knows the leader", lambda: first.target in second.refusal())
    agent = cluster.agent(url)
    scheduler = Recorder("t1")
    driver = cluster.driver(scheduler, url)
    framework_id = scheduler.until("registered")
    scheduler.until_state("t1", TaskState.RUNNING)
    agent_id = agent.info.id

    first.kill()
    second.until_it_leads()
    scheduler.until("reregistered")
    assert driver.framework_id == framework_id
    assert agent.until(am.AgentReregistered).agent_id == agent_id
    (task,) = until("its task is back", lambda: second.state().get_tasks.tasks)
    assert (task.task_id, task.state) == ("t1", TaskState.RUNNING)
    agent.finish(framework_id, "t1")
    scheduler.until_state("t1", TaskState.FINISHED)

    first.start()
    until("the old leader stands by", lambda: second.target in first.refusal())
