"""The containerizers of one agent, each made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable

from ..container import ContainerRuntime, Kind


class Runtimes(dict[Kind, ContainerRuntime]):
    """`runtimes[kind]` makes and starts what is not there yet, on the loop; `get` does not.

    An agent without Docker tasks so does without a Docker client, which is a tenth of its memory.
    """

    def __init__(self, make: Callable[[Kind], ContainerRuntime]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, kind: Kind) -> ContainerRuntime:
        runtime = self[kind] = self._make(kind)
        runtime.start()
        return runtime

    async def close(self) -> None:
        for runtime in self.values():
            await runtime.close()
