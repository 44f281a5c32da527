"""The simulator finds planted bugs: these at once. `python -m mezzo.sim.mutants` hunts for all."""

from __future__ import annotations

import pytest

from mezzo.sim.mutants import ALL, hunt

# A few seeds more than were needed: a run draws other faults whenever the code asks for more dice.
SEEDS = range(1, 6)
FOUND_AT_ONCE = (
    "an agent forgets what has ended",
    "an acknowledged end is not durable",
    "a task is not stored",
    "an agent forgets its id",
    "an agent does not say what runs",
    "updates do not follow to a new master",
    "any acknowledgement will do",
    "containers are not recovered",
    "a restarted agent starts anew",
    "what has ended is removed before it ended",
    "an agent heeds no leases",
    "keepers hear of no renewal",
    "kills are noted but not carried out",
    "a new stream is not registered on",
    "a ping does not keep the stream",
    "pings are not answered",
    "more is freed than was taken",
    "what ended is not freed",
    "what is offered is not taken",
    "an agent is taken for empty",
    "inactive agents are offered",
    "disconnected frameworks are offered",
    "nobody can be revived",
    "what comes back is not looked at",
    "no reason is given",
    "effects leave before their writes are durable",
    "a commit makes later steps durable too",
    "writes that wait for a commit are dropped",
    "leadership in doubt holds nothing back",
    "a timer that is set again keeps its old time",
    "timers fire one at a time and forget the next",
    "the store forgets to delete",
    "the last write of a commit is lost",
    "offers that are of no use are kept",
    "an instance is launched but not stored",
    "an end is acknowledged but not stored",
    "a doomed instance is not stored as such",
    "a framework id is not stored",
    "every kill hits another one too",
    "a new leader does not ask what runs",
    "updates are not acknowledged",
    "the ends of doomed ones are not counted",
    "a new leader does not go on with deployments",
    "offers of a framework that left stay",
    "what was declined is lost",
    "a launch takes nothing from its offer",
    "what runs on a returning agent is not adopted",
    "a disconnected agent counts as connected",
    "missed pings are never forgiven",
    "an agent is admitted but not stored",
    "a framework is subscribed but not stored",
    "two processes of a framework are connected",
    "acknowledgements stay at the master",
    "the end of a task frees nothing",
    "a new leader takes for gone what is not back yet",
    "reconciliation by name is not answered",
    "kills never reach the agent",
    "closed streams are not noticed",
    "an agent that comes back is not welcomed",
    "pongs are not counted",
)


@pytest.mark.parametrize("name", FOUND_AT_ONCE)
def test_a_planted_bug_is_found(name: str) -> None:
    assert hunt(ALL[name], SEEDS).seed is not None
