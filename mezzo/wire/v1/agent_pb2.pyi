# Generated from protos/mezzo/v1/agent.proto by `make protos`; do not edit.
from mezzo.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RegisterAgent(_message.Message):
    __slots__ = ("info", "version", "boot_id")
    INFO_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    info: _common_pb2.AgentInfo
    version: str
    boot_id: str
    def __init__(self, info: _Optional[_Union[_common_pb2.AgentInfo, _Mapping]] = ..., version: _Optional[str] = ..., boot_id: _Optional[str] = ...) -> None: ...

class ReregisterAgent(_message.Message):
    __slots__ = ("info", "version", "boot_id", "tasks", "frameworks")
    INFO_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORKS_FIELD_NUMBER: _ClassVar[int]
    info: _common_pb2.AgentInfo
    version: str
    boot_id: str
    tasks: _containers.RepeatedCompositeFieldContainer[_common_pb2.Task]
    frameworks: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameworkInfo]
    def __init__(self, info: _Optional[_Union[_common_pb2.AgentInfo, _Mapping]] = ..., version: _Optional[str] = ..., boot_id: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[_common_pb2.Task, _Mapping]]] = ..., frameworks: _Optional[_Iterable[_Union[_common_pb2.FrameworkInfo, _Mapping]]] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

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
    __slots__ = ("register_agent", "reregister_agent", "pong", "status_update", "unregister_agent")
    REGISTER_AGENT_FIELD_NUMBER: _ClassVar[int]
    REREGISTER_AGENT_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    STATUS_UPDATE_FIELD_NUMBER: _ClassVar[int]
    UNREGISTER_AGENT_FIELD_NUMBER: _ClassVar[int]
    register_agent: RegisterAgent
    reregister_agent: ReregisterAgent
    pong: Pong
    status_update: StatusUpdate
    unregister_agent: UnregisterAgent
    def __init__(self, register_agent: _Optional[_Union[RegisterAgent, _Mapping]] = ..., reregister_agent: _Optional[_Union[ReregisterAgent, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., status_update: _Optional[_Union[StatusUpdate, _Mapping]] = ..., unregister_agent: _Optional[_Union[UnregisterAgent, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("connected",)
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    connected: bool
    def __init__(self, connected: _Optional[bool] = ...) -> None: ...

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
    __slots__ = ("agent_registered", "agent_reregistered", "ping", "run_task", "kill_task", "update_acknowledged", "shutdown_framework", "shutdown_agent")
    AGENT_REGISTERED_FIELD_NUMBER: _ClassVar[int]
    AGENT_REREGISTERED_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    RUN_TASK_FIELD_NUMBER: _ClassVar[int]
    KILL_TASK_FIELD_NUMBER: _ClassVar[int]
    UPDATE_ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_AGENT_FIELD_NUMBER: _ClassVar[int]
    agent_registered: AgentRegistered
    agent_reregistered: AgentReregistered
    ping: Ping
    run_task: RunTask
    kill_task: KillTask
    update_acknowledged: UpdateAcknowledged
    shutdown_framework: ShutdownFramework
    shutdown_agent: ShutdownAgent
    def __init__(self, agent_registered: _Optional[_Union[AgentRegistered, _Mapping]] = ..., agent_reregistered: _Optional[_Union[AgentReregistered, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., run_task: _Optional[_Union[RunTask, _Mapping]] = ..., kill_task: _Optional[_Union[KillTask, _Mapping]] = ..., update_acknowledged: _Optional[_Union[UpdateAcknowledged, _Mapping]] = ..., shutdown_framework: _Optional[_Union[ShutdownFramework, _Mapping]] = ..., shutdown_agent: _Optional[_Union[ShutdownAgent, _Mapping]] = ...) -> None: ...

class MasterBatch(_message.Message):
    __slots__ = ("epoch", "messages")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    messages: _containers.RepeatedCompositeFieldContainer[MasterMessage]
    def __init__(self, epoch: _Optional[int] = ..., messages: _Optional[_Iterable[_Union[MasterMessage, _Mapping]]] = ...) -> None: ...
