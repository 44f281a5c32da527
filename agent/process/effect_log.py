"""One line for each decision of the agent's core. No environment of a task is ever in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mezzo.messages.agent import (
    AgentMessage,
    OperationUpdate,
    Pong,
    RegisterAgent,
    ReregisterAgent,
    StatusUpdate,
    UnregisterAgent,
)

from .. import effects as do

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


def log_effect(log: FilteringBoundLogger, effect: do.AgentEffect) -> None:
    match effect:
        case do.Send(message=message):
            _log_message(log, message)
        case do.CloseMaster(reason=reason):
            log.warning("master.left", reason=reason)
        case do.LaunchContainer(spec):
            log.info(
                "task.launched",
                task=spec.task_id,
                framework=spec.framework_id,
                container=spec.container_id,
                containerizer=spec.kind,
            )
        case do.RecoverContainers(specs):
            log.info("tasks.recovering", tasks=len(specs))
        case do.KillContainer(container_id=container_id, grace_s=grace_s):
            log.info("task.killing", container=container_id, grace_s=round(grace_s, 3))
        case do.RemoveContainer(container_id=container_id):
            log.info("container.removing", container=container_id)
        case do.RemoveSandbox(container_id=container_id, sandbox=sandbox):
            log.info("sandbox.removing", container=container_id, sandbox=sandbox)
        case do.MeasureDisk():
            log.debug("disk.measuring")
        case do.MakeVolume(path=path):
            log.info("volume.making", path=path)
        case do.RemoveVolume(path=path):
            log.info("volume.removing", path=path)
        case do.RenewLease(up_s=up_s):
            log.debug("lease.renewed", up_s=round(up_s, 3))
        case do.ProbeHealth(task_id=task_id, container_id=container_id):
            log.debug("health.probing", task=task_id, container=container_id)
        case do.Exit(message=message, wanted=wanted):
            (log.info if wanted else log.error)("agent.exiting", reason=message)
        case _:
            pass  # timers


def _log_message(log: FilteringBoundLogger, message: AgentMessage) -> None:
    match message:
        case RegisterAgent():
            log.info("agent.registering")
        case ReregisterAgent(info=info, tasks=tasks):
            log.info("agent.reregistering", agent=info.id, tasks=len(tasks))
        case StatusUpdate(framework_id=framework_id, status=status):
            log.info(
                "task.ended" if status.state.terminal else "update.sent",
                task=status.task_id,
                framework=framework_id,
                state=status.state,
                reason=status.reason,
                message=status.message,
                healthy=status.healthy,
            )
        case OperationUpdate(operation=operation, status=operation_status):
            log.info(
                "operation.done",
                operation=operation.uuid.hex(),
                framework=operation.framework_id,
                kind=type(operation.info).__name__,
                state=operation_status.state,
                message=operation_status.message,
            )
        case UnregisterAgent():
            log.info("agent.unregistering")
        case Pong():
            log.debug("agent.pong")
