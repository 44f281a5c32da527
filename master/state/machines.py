"""The machines of the maintenance schedule. The rules are in agents/maintenance.py."""

from __future__ import annotations

from mezzo.cluster.model import MachineId, Unavailability
from mezzo.messages.operator import MaintenanceSchedule
from mezzo.record import Record


class MaintenanceRecord(Record):
    """`maintenance/machines`: the schedule, and the names (see `name_of`) of what is down of it."""

    schedule: MaintenanceSchedule = MaintenanceSchedule()
    down: tuple[str, ...] = ()


class Planned(Record):
    """A machine of the schedule: draining, or down."""

    id: MachineId
    unavailability: Unavailability
    down: bool


def name_of(machine: MachineId) -> str:
    """The name of a machine: its hostname, or without one its ip."""
    return (machine.hostname or machine.ip or "").lower()


class Machines:
    """The schedule, to look things up in; a new one replaces it.

    An agent runs on the machine of its hostname. An ip finds the agents that have it for that:
    several agents on one machine may have an address in common, such as that of the loopback.
    """

    __slots__ = ("_by_name", "planned", "record")

    def __init__(self, record: MaintenanceRecord) -> None:
        down = frozenset(record.down)
        self.record = record
        self.planned = tuple(
            Planned(machine, window.unavailability, name_of(machine) in down)
            for window in record.schedule.windows
            for machine in window.machine_ids
        )
        by_ip = {each.id.ip.lower(): each for each in reversed(self.planned) if each.id.ip}
        self._by_name = by_ip | {name_of(each.id): each for each in self.planned}

    def of(self, hostname: str) -> Planned | None:
        """The machine of the agent with that hostname, if anything is planned for it."""
        return self._by_name.get(hostname.lower())

    def find(self, machine: MachineId) -> Planned | None:
        """The machine that is meant: what its hostname and its ip tell may not differ."""
        found = self._by_name.get(name_of(machine))
        if found is None or _differ(found.id.ip, machine.ip):
            return None
        return None if _differ(found.id.hostname, machine.hostname) else found


def _differ(one: str | None, other: str | None) -> bool:
    return bool(one and other) and (one or "").lower() != (other or "").lower()
