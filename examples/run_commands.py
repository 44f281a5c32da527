"""A scheduler in some 50 lines: runs each shell command once, wherever the cluster has room.

python examples/run_commands.py 127.0.0.1:5055 'echo hello' 'sleep 5' 'exit 3'
"""

import sys

from mezzo.errors import MezzoError
from mezzo.frameworks.sdk import (
    CommandInfo,
    Driver,
    Filters,
    Offer,
    Resources,
    Scheduler,
    SchedulerDriver,
    TaskInfo,
    TaskStatus,
    framework_info,
)

NEEDS = Resources.of(cpus=0.1, mem=32)


class RunCommands(Scheduler):
    def __init__(self, commands: list[str]) -> None:
        self.waiting = list(enumerate(commands))
        self.running = len(commands)
        self.failed = 0

    def resource_offers(self, driver: Driver, offers: list[Offer]) -> None:
        for offer in offers:
            tasks, left = [], offer.resources
            while self.waiting and left >= NEEDS:
                number, command = self.waiting.pop(0)
                tasks.append(
                    TaskInfo(
                        f"command {number}",
                        f"command-{number}",
                        offer.agent_id,
                        NEEDS,
                        command=CommandInfo(command),
                    )
                )
                left = left - NEEDS
            # Nothing left to start: no need to be asked again for an hour.
            driver.launch_tasks([offer.id], tasks, Filters(5 if self.waiting else 3600))

    def status_update(self, driver: Driver, status: TaskStatus) -> None:
        print(status.task_id, status.state, status.message or "", flush=True)
        if status.state.terminal:
            self.running -= 1
            self.failed += status.state != "TASK_FINISHED"
        if self.running == 0:
            driver.stop()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    scheduler = RunCommands(sys.argv[2:])
    try:
        SchedulerDriver(scheduler, framework_info("run-commands"), sys.argv[1]).run()
    except MezzoError as error:
        sys.exit(f"run_commands.py: {error}")
    sys.exit(1 if scheduler.failed or scheduler.running else 0)
