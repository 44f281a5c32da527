"""Frameworks that are away, in the order in which they left: in all, and by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mezzo.ids import FrameworkId


@dataclass(slots=True)
class Away:
    _names: dict[FrameworkId, str] = field(default_factory=dict)
    _by_name: dict[str, dict[FrameworkId, None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, framework_id: FrameworkId) -> bool:
        return framework_id in self._names

    def add(self, framework_id: FrameworkId, name: str) -> None:
        """The framework has left just now."""
        self.remove(framework_id)
        self._names[framework_id] = name
        self._by_name.setdefault(name, {})[framework_id] = None

    def remove(self, framework_id: FrameworkId) -> None:
        """No error if it is not there."""
        name = self._names.pop(framework_id, None)
        if name is not None:
            named = self._by_name[name]
            del named[framework_id]
            if not named:
                del self._by_name[name]

    def count(self, name: str) -> int:
        return len(self._by_name.get(name, ()))

    def oldest(self, name: str | None = None) -> Iterator[FrameworkId]:
        """The frameworks in the order in which they left; of that name, or all."""
        return iter(self._names if name is None else self._by_name.get(name, {}))
