from typing import Generic, TypeVar

_T = TypeVar("_T")

class IAsyncResult(Generic[_T]):
    """The reply to come. Times are in seconds."""

    def get(self, block: bool = True, timeout: float | None = None) -> _T: ...
    def wait(self, timeout: float | None = None) -> bool: ...
