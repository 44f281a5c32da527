# Generated from protos/mezzo/v1/agent.proto by `make protos`; do not edit.
from mezzo.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RegisterAgent(_message.Message):
    __slots__ = ("info", "version", "boot_id", "capabilities")
    INFO_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    info: _common_pb2.AgentInfo
    version: str
    boot_id: str
    capabilities: _containers.RepeatedCompositeFieldContainer[_common_pb2.AgentInfo.Capability]
    def __init__(self, info: _Optional[_Union[_common_pb2.AgentInfo, _Mapping]] = ..., version: _Optional[str] = ..., boot_id: _Optional[str] = ..., capabilities: _Optional[_Iterable[_Union[_common_pb2.AgentInfo.Capability, _Mapping]]] = ...) -> None: ...

class ReregisterAgent(_message.Message):
    __slots__ = ("info", "version", "boot_id", "tasks", "frameworks", "executors", "operations", "capabilities")
    INFO_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORKS_FIELD_NUMBER: _ClassVar[int]
    EXECUTORS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    info: _common_pb2.AgentInfo
    version: str
    boot_id: str
    tasks: _containers.RepeatedCompositeFieldContainer[_common_pb2.Task]
    frameworks: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameworkInfo]
    executors: _containers.RepeatedCompositeFieldContainer[_common_pb2.ExecutorInfo]
    operations: _containers.RepeatedCompositeFieldContainer[_common_pb2.Operation]
    capabilities: _containers.RepeatedCompositeFieldContainer[_common_pb2.AgentInfo.Capability]
    def __init__(self, info: _Optional[_Union[_common_pb2.AgentInfo, _Mapping]] = ..., version: _Optional[str] = ..., boot_id: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[_common_pb2.Task, _Mapping]]] = ..., frameworks: _Optional[_Iterable[_Union[_common_pb2.FrameworkInfo, _Mapping]]] = ..., executors: _Optional[_Iterable[_Union[_common_pb2.ExecutorInfo, _Mapping]]] = ..., operations: _Optional[_Iterable[_Union[_common_pb2.Operation, _Mapping]]] = ..., capabilities: _Optional[_Iterable[_Union[_common_pb2.AgentInfo.Capability, _Mapping]]] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class OperationUpdate(_message.Message):
    __slots__ = ("operation", "status")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    operation: _common_pb2.Operation
    status: _common_pb2.OperationStatus
    def __init__(self, operation: _Optional[_Union[_common_pb2.Operation, _Mapping]] = ..., status: _Optional[_Union[_common_pb2.OperationStatus, _Mapping]] = ...) -> None: ...

class ExecutorMessage(_message.Message):
    __slots__ = ("framework_id", "executor_id", "data")
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    framework_id: _common_pb2.FrameworkID
    executor_id: _common_pb2.ExecutorID
    data: bytes
    def __init__(self, framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ..., executor_id: _Optional[_Union[_common_pb2.ExecutorID, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ExecutorExited(_message.Message):
    __slots__ = ("framework_id", "executor_id", "status")
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    framework_id: _common_pb2.FrameworkID
    executor_id: _common_pb2.ExecutorID
    status: int
    def __init__(self, framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ..., executor_id: _Optional[_Union[_common_pb2.ExecutorID, _Mapping]] = ..., status: _Optional[int] = ...) -> None: ...

class StatusUpdate(_message.Message):
    __slots__ = ("framework_id", "status", "latest_state")
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LATEST_STATE_FIELD_NUMBER: _ClassVar[int]
    framework_id: _common_pb2.FrameworkID
    status: _common_pb2.TaskStatus
    latest_state: _common_pb2.TaskState
    def __init__(self, framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ..., status: _Optional[_Union[_common_pb2.TaskStatus, _Mapping]] = ..., latest_state: _Optional[_Union[_common_pb2.TaskState, str]] = ...) -> None: ...

class UnregisterAgent(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AgentMessage(_message.Message):
    __slots__ = ("register_agent", "reregister_agent", "pong", "status_update", "unregister_agent", "operation_update", "executor_message", "executor_exited")
    REGISTER_AGENT_FIELD_NUMBER: _ClassVar[int]
    REREGISTER_AGENT_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    STATUS_UPDATE_FIELD_NUMBER: _ClassVar[int]
    UNREGISTER_AGENT_FIELD_NUMBER: _ClassVar[int]
    OPERATION_UPDATE_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_EXITED_FIELD_NUMBER: _ClassVar[int]
    register_agent: RegisterAgent
    reregister_agent: ReregisterAgent
    pong: Pong
    status_update: StatusUpdate
    unregister_agent: UnregisterAgent
    operation_update: OperationUpdate
    executor_message: ExecutorMessage
    executor_exited: ExecutorExited
    def __init__(self, register_agent: _Optional[_Union[RegisterAgent, _Mapping]] = ..., reregister_agent: _Optional[_Union[ReregisterAgent, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., status_update: _Optional[_Union[StatusUpdate, _Mapping]] = ..., unregister_agent: _Optional[_Union[UnregisterAgent, _Mapping]] = ..., operation_update: _Optional[_Union[OperationUpdate, _Mapping]] = ..., executor_message: _Optional[_Union[ExecutorMessage, _Mapping]] = ..., executor_exited: _Optional[_Union[ExecutorExited, _Mapping]] = ...) -> None: ...

class AgentBatch(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[AgentMessage]
    def __init__(self, messages: _Optional[_Iterable[_Union[AgentMessage, _Mapping]]] = ...) -> None: ...

class AgentRegistered(_message.Message):
    __slots__ = ("agent_id",)
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    agent_id: _common_pb2.AgentID
    def __init__(self, agent_id: _Optional[_Union[_common_pb2.AgentID, _Mapping]] = ...) -> None: ...

class KnownTask(_message.Message):
    __slots__ = ("framework_id", "task_id")
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    framework_id: _common_pb2.FrameworkID
    task_id: _common_pb2.TaskID
    def __init__(self, framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ..., task_id: _Optional[_Union[_common_pb2.TaskID, _Mapping]] = ...) -> None: ...

class AgentReregistered(_message.Message):
    __slots__ = ("agent_id", "reconcile")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    RECONCILE_FIELD_NUMBER: _ClassVar[int]
    agent_id: _common_pb2.AgentID
    reconcile: _containers.RepeatedCompositeFieldContainer[KnownTask]
    def __init__(self, agent_id: _Optional[_Union[_common_pb2.AgentID, _Mapping]] = ..., reconcile: _Optional[_Iterable[_Union[KnownTask, _Mapping]]] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ("connected", "number", "heard")
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HEARD_FIELD_NUMBER: _ClassVar[int]
    connected: bool
    number: int
    heard: int
    def __init__(self, connected: _Optional[bool] = ..., number: _Optional[int] = ..., heard: _Optional[int] = ...) -> None: ...

class RunTask(_message.Message):
    __slots__ = ("framework", "task", "role")
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    framework: _common_pb2.FrameworkInfo
    task: _common_pb2.TaskInfo
    role: str
    def __init__(self, framework: _Optional[_Union[_common_pb2.FrameworkInfo, _Mapping]] = ..., task: _Optional[_Union[_common_pb2.TaskInfo, _Mapping]] = ..., role: _Optional[str] = ...) -> None: ...

class KillTask(_message.Message):
    __slots__ = ("framework_id", "task_id", "kill_policy")
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    KILL_POLICY_FIELD_NUMBER: _ClassVar[int]
    framework_id: _common_pb2.FrameworkID
    task_id: _common_pb2.TaskID
    kill_policy: _common_pb2.KillPolicy
    def __init__(self, framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ..., task_id: _Optional[_Union[_common_pb2.TaskID, _Mapping]] = ..., kill_policy: _Optional[_Union[_common_pb2.KillPolicy, _Mapping]] = ...) -> None: ...

class UpdateAcknowledged(_message.Message):
    __slots__ = ("framework_id", "task_id", "uuid")
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    framework_id: _common_pb2.FrameworkID
    task_id: _common_pb2.TaskID
    uuid: bytes
    def __init__(self, framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ..., task_id: _Optional[_Union[_common_pb2.TaskID, _Mapping]] = ..., uuid: _Optional[bytes] = ...) -> None: ...

class RunGroup(_message.Message):
    __slots__ = ("framework", "executor", "tasks", "role")
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    framework: _common_pb2.FrameworkInfo
    executor: _common_pb2.ExecutorInfo
    tasks: _containers.RepeatedCompositeFieldContainer[_common_pb2.TaskInfo]
    role: str
    def __init__(self, framework: _Optional[_Union[_common_pb2.FrameworkInfo, _Mapping]] = ..., executor: _Optional[_Union[_common_pb2.ExecutorInfo, _Mapping]] = ..., tasks: _Optional[_Iterable[_Union[_common_pb2.TaskInfo, _Mapping]]] = ..., role: _Optional[str] = ...) -> None: ...

class ShutdownExecutor(_message.Message):
    __slots__ = ("framework_id", "executor_id")
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_ID_FIELD_NUMBER: _ClassVar[int]
    framework_id: _common_pb2.FrameworkID
    executor_id: _common_pb2.ExecutorID
    def __init__(self, framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ..., executor_id: _Optional[_Union[_common_pb2.ExecutorID, _Mapping]] = ...) -> None: ...

class FrameworkMessage(_message.Message):
    __slots__ = ("framework_id", "executor_id", "data")
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    framework_id: _common_pb2.FrameworkID
    executor_id: _common_pb2.ExecutorID
    data: bytes
    def __init__(self, framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ..., executor_id: _Optional[_Union[_common_pb2.ExecutorID, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ApplyOperation(_message.Message):
    __slots__ = ("uuid", "conversion", "framework_id")
    UUID_FIELD_NUMBER: _ClassVar[int]
    CONVERSION_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    uuid: bytes
    conversion: _common_pb2.Offer.Operation
    framework_id: _common_pb2.FrameworkID
    def __init__(self, uuid: _Optional[bytes] = ..., conversion: _Optional[_Union[_common_pb2.Offer.Operation, _Mapping]] = ..., framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ...) -> None: ...

class OperationAcknowledged(_message.Message):
    __slots__ = ("uuid", "status_uuid")
    UUID_FIELD_NUMBER: _ClassVar[int]
    STATUS_UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: bytes
    status_uuid: bytes
    def __init__(self, uuid: _Optional[bytes] = ..., status_uuid: _Optional[bytes] = ...) -> None: ...

class DrainAgent(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: _common_pb2.DrainConfig
    def __init__(self, config: _Optional[_Union[_common_pb2.DrainConfig, _Mapping]] = ...) -> None: ...

class ReactivateAgent(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShutdownFramework(_message.Message):
    __slots__ = ("framework_id",)
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    framework_id: _common_pb2.FrameworkID
    def __init__(self, framework_id: _Optional[_Union[_common_pb2.FrameworkID, _Mapping]] = ...) -> None: ...

class ShutdownAgent(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class MasterMessage(_message.Message):
    __slots__ = ("agent_registered", "agent_reregistered", "ping", "run_task", "kill_task", "update_acknowledged", "shutdown_framework", "shutdown_agent", "run_group", "shutdown_executor", "framework_message", "apply_operation", "operation_acknowledged", "drain_agent", "reactivate_agent")
    AGENT_REGISTERED_FIELD_NUMBER: _ClassVar[int]
    AGENT_REREGISTERED_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    RUN_TASK_FIELD_NUMBER: _ClassVar[int]
    KILL_TASK_FIELD_NUMBER: _ClassVar[int]
    UPDATE_ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_AGENT_FIELD_NUMBER: _ClassVar[int]
    RUN_GROUP_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    APPLY_OPERATION_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    DRAIN_AGENT_FIELD_NUMBER: _ClassVar[int]
    REACTIVATE_AGENT_FIELD_NUMBER: _ClassVar[int]
    agent_registered: AgentRegistered
    agent_reregistered: AgentReregistered
    ping: Ping
    run_task: RunTask
    kill_task: KillTask
    update_acknowledged: UpdateAcknowledged
    shutdown_framework: ShutdownFramework
    shutdown_agent: ShutdownAgent
    run_group: RunGroup
    shutdown_executor: ShutdownExecutor
    framework_message: FrameworkMessage
    apply_operation: ApplyOperation
    operation_acknowledged: OperationAcknowledged
    drain_agent: DrainAgent
    reactivate_agent: ReactivateAgent
    def __init__(self, agent_registered: _Optional[_Union[AgentRegistered, _Mapping]] = ..., agent_reregistered: _Optional[_Union[AgentReregistered, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., run_task: _Optional[_Union[RunTask, _Mapping]] = ..., kill_task: _Optional[_Union[KillTask, _Mapping]] = ..., update_acknowledged: _Optional[_Union[UpdateAcknowledged, _Mapping]] = ..., shutdown_framework: _Optional[_Union[ShutdownFramework, _Mapping]] = ..., shutdown_agent: _Optional[_Union[ShutdownAgent, _Mapping]] = ..., run_group: _Optional[_Union[RunGroup, _Mapping]] = ..., shutdown_executor: _Optional[_Union[ShutdownExecutor, _Mapping]] = ..., framework_message: _Optional[_Union[FrameworkMessage, _Mapping]] = ..., apply_operation: _Optional[_Union[ApplyOperation, _Mapping]] = ..., operation_acknowledged: _Optional[_Union[OperationAcknowledged, _Mapping]] = ..., drain_agent: _Optional[_Union[DrainAgent, _Mapping]] = ..., reactivate_agent: _Optional[_Union[ReactivateAgent, _Mapping]] = ...) -> None: ...

class MasterBatch(_message.Message):
    __slots__ = ("epoch", "messages", "streams")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    messages: _containers.RepeatedCompositeFieldContainer[MasterMessage]
    streams: int
    def __init__(self, epoch: _Optional[int] = ..., messages: _Optional[_Iterable[_Union[MasterMessage, _Mapping]]] = ..., streams: _Optional[int] = ...) -> None: ...
