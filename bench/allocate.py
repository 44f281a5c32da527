"""One allocation cycle over all agents, timed inside the allocator. JSON lines, one a case.

Every agent has 24 cpus, 4096 MiB, 4096 MiB disk and ports 31000-32000; 16 cpus, 2014 MiB, 1024 MiB
and 16 port ranges are in use. All offers are declined with a year's filter; then agents' resources
change so that every filter is void, and one cycle that offers every agent is timed.

    python bench/allocate.py [--full] [--runs N]
"""

import argparse
import json
import random
import statistics
import time

from mezzo.ids import AgentId, FrameworkId
from mezzo.master.allocator import Allocator, FrameworkTerms
from mezzo.model import REFUSE_S_MAX
from mezzo.resources import Resources

TOTAL = Resources.of(cpus=24, mem=4096, disk=4096, ports=[(31000, 32000)])
USED = Resources.of(
    cpus=16, mem=2014, disk=1024, ports=[(31000 + 20 * i, 31009 + 20 * i) for i in range(16)]
)


def cluster(agents: int, frameworks: int) -> Allocator:
    allocator = Allocator(random.Random(1))
    names = [FrameworkId(f"framework-{i:04d}") for i in range(frameworks)]
    for name in names:
        allocator.set_framework(name, FrameworkTerms(name, ("*",)))
    for i in range(agents):
        owner = names[i % frameworks]
        allocator.add_agent(AgentId(f"agent-{i:05d}"), TOTAL, {(owner, "*"): USED})
    return allocator


def timed_cycle(agents: int, frameworks: int) -> float:
    """Milliseconds of one cycle that offers every agent."""
    allocator = cluster(agents, frameworks)
    for grant in allocator.cycle(0.0):
        allocator.recover(
            grant.framework_id,
            grant.role,
            grant.agent_id,
            grant.resources,
            refused_until_s=REFUSE_S_MAX,
        )
    # The frameworks that refused are asked first again; others have refused nothing yet.
    began = time.perf_counter()
    grants = allocator.cycle(1.0)
    took = time.perf_counter() - began
    assert len(grants) == agents, f"{len(grants)} of {agents} agents were offered"
    return took * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="more runs")
    options = parser.parse_args()
    runs = 15 if options.full else options.runs
    for agents, frameworks in ((1_000, 50), (10_000, 200), (10_000, 1_000)):
        times = [timed_cycle(agents, frameworks) for _ in range(runs)]
        print(
            json.dumps(
                {
                    "bench": "allocate",
                    "case": f"cycle {agents}x{frameworks}",
                    "value": round(statistics.median(times), 2),
                    "unit": "ms",
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
