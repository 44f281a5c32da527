"""Write a scheduler: subclass `Scheduler`, give it to a `SchedulerDriver`, run it."""

from mezzo.cluster.model import CommandInfo, Filters, FrameworkInfo, Offer, TaskInfo, TaskStatus
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState

from .driver import Driver
from .scheduler import Scheduler, framework_info
from .scheduler_driver import SchedulerDriver

__all__ = [
    "CommandInfo",
    "Driver",
    "Filters",
    "FrameworkInfo",
    "Offer",
    "Resources",
    "Scheduler",
    "SchedulerDriver",
    "TaskInfo",
    "TaskState",
    "TaskStatus",
    "framework_info",
]
