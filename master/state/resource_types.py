"""The type of the resources of each name: amounts of one name are added up over the cluster,
and a number can't be added to ranges."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.amounts import Items, Ranges, Value
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest

_USUAL: Final[dict[str, type[Value]]] = {
    "cpus": int,
    "mem": int,
    "disk": int,
    "gpus": int,
    "ports": Ranges,
}
_SHOWN: Final[dict[type, str]] = {int: "a number", Ranges: "ranges", Items: "a set"}


class ResourceTypes:
    """A resource that is none of the usual five is of the type that it has at known agents."""

    def __init__(self) -> None:
        self._of: dict[str, type[Value]] = {}
        self._agents: dict[str, int] = {}  # that have it

    def add(self, resources: Resources) -> None:
        """Add the resources of an agent that is known from now on."""
        for name, type_ in _types(resources).items():
            self._of.setdefault(name, type_)
            self._agents[name] = self._agents.get(name, 0) + 1

    def remove(self, resources: Resources) -> None:
        """The names are those that were added."""
        for name in _types(resources):
            self._agents[name] -= 1
            if not self._agents[name]:
                del self._agents[name], self._of[name]

    def check(self, resources: Resources, before: Resources | None = None) -> None:
        """Raise BadRequest if a name is not of the type that it has in this cluster, or had
        `before` at the agent that tells of it."""
        types = _types(before) if before else {}
        for kind, value in resources.items():
            name = kind.name
            if name not in types:
                types[name] = _USUAL.get(name) or self._of.get(name) or type(value)
            if type(value) is not types[name]:
                raise BadRequest(
                    f"resource {name} is {_SHOWN[type(value)]}, and {_SHOWN[types[name]]} "
                    "elsewhere in this cluster: use one type per name"
                )


def _types(resources: Resources) -> dict[str, type[Value]]:
    return {kind.name: type(value) for kind, value in resources.items()}
