"""Write a scheduler: subclass `Scheduler`, give it to a `SchedulerDriver`, run it."""

from mezzo.model import CommandInfo, Filters, FrameworkInfo, Offer, TaskInfo, TaskStatus
from mezzo.resources import Resources
from mezzo.states import TaskState

from .driver import SchedulerDriver
from .scheduler import Scheduler, framework_info

__all__ = [
    "CommandInfo",
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
