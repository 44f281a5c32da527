# Generated from protos/mezzo/v1/relay.proto by `make protos`; do not edit.
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FromAgents(_message.Message):
    __slots__ = ("entries",)
    class Entry(_message.Message):
        __slots__ = ("stream", "batch")
        STREAM_FIELD_NUMBER: _ClassVar[int]
        BATCH_FIELD_NUMBER: _ClassVar[int]
        stream: int
        batch: bytes
        def __init__(self, stream: _Optional[int] = ..., batch: _Optional[bytes] = ...) -> None: ...
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[FromAgents.Entry]
    def __init__(self, entries: _Optional[_Iterable[_Union[FromAgents.Entry, _Mapping]]] = ...) -> None: ...

class ToAgents(_message.Message):
    __slots__ = ("entries",)
    class Entry(_message.Message):
        __slots__ = ("stream", "batch", "close")
        STREAM_FIELD_NUMBER: _ClassVar[int]
        BATCH_FIELD_NUMBER: _ClassVar[int]
        CLOSE_FIELD_NUMBER: _ClassVar[int]
        stream: int
        batch: bytes
        close: bool
        def __init__(self, stream: _Optional[int] = ..., batch: _Optional[bytes] = ..., close: _Optional[bool] = ...) -> None: ...
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[ToAgents.Entry]
    def __init__(self, entries: _Optional[_Iterable[_Union[ToAgents.Entry, _Mapping]]] = ...) -> None: ...
