"""`mezzo maintenance`: which machines will be away, and when."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import click
import msgspec
from msgspec import Meta

from mezzo.record import Record
from mezzo.units import INT64_MAX, NANOS, WallSeconds, problem

from ..clients.master_api import ask, check_machines, order
from ..clients.saved_contexts import master_option
from ..option_types import DURATION
from ..words import files
from ..words.errors import Failed, Wrong
from ..words.output import echo, output_option, print_json, print_table

if TYPE_CHECKING:
    from mezzo.cluster.model import MachineId
    from mezzo.messages.operator import MaintenanceSchedule, MaintenanceWindow

_FORM: Final = (
    '{"windows": [{"machine_ids": [{"hostname": "h1"}], "unavailability": '
    '{"start": {"nanoseconds": N}, "duration": {"nanoseconds": N}}}]}'
)


class _Nanos(Record, forbid_unknown_fields=True):
    nanoseconds: Annotated[int, Meta(ge=0, le=INT64_MAX)]


class _Machine(Record, forbid_unknown_fields=True):
    hostname: str | None = None
    ip: str | None = None


class _Away(Record, forbid_unknown_fields=True):
    start: _Nanos
    duration: _Nanos | None = None


class _Window(Record, forbid_unknown_fields=True):
    machine_ids: tuple[_Machine, ...]
    unavailability: _Away


class _Schedule(Record, forbid_unknown_fields=True):
    """A schedule as Mesos writes it in JSON."""

    windows: tuple[_Window, ...]


force_option: Final = click.option(
    "--force", is_flag=True, help="Also machines that nobody has heard of yet."
)


@click.group("maintenance")
def command() -> None:
    """Plan maintenance of machines, take them down, and up again.

    Frameworks learn of the plan with their offers, and are asked to give back what they use there.
    Machines are named by the hostnames of their agents.
    """


@command.command("get")
@master_option
@output_option
def get(master: str, output: str) -> None:
    """Show the schedule."""
    from mezzo.messages.operator import GetMaintenanceSchedule, Maintenance

    schedule = ask(master, GetMaintenanceSchedule(), Maintenance).schedule
    if output == "json":
        print_json({"windows": [_window_json(window) for window in schedule.windows]})
        return
    print_table(
        ["MACHINES", "FROM", "FOR"],
        [
            [
                " ".join(map(_name, window.machine_ids)),
                _moment(window.unavailability.start),
                _length(window.unavailability.duration),
            ]
            for window in schedule.windows
        ],
        empty="no maintenance is planned",
    )


@command.command("plan")
@click.argument("machines", nargs=-1, required=True)
@click.option("--in", "in_s", type=DURATION, default="0secs", show_default=True, help="From then.")
@click.option("--for", "for_s", type=DURATION, help="How long.  [default: for ever]")
@force_option
@master_option
def plan(
    machines: tuple[str, ...], in_s: float, for_s: float | None, force: bool, master: str
) -> None:
    """Add a window for MACHINES to the schedule."""
    from mezzo.cluster.model import Unavailability
    from mezzo.messages.operator import (
        GetMaintenanceSchedule,
        Maintenance,
        MaintenanceSchedule,
        MaintenanceWindow,
        UpdateMaintenanceSchedule,
    )

    known = ask(master, GetMaintenanceSchedule(), Maintenance).schedule.windows
    planned = {machine.hostname for window in known for machine in window.machine_ids}
    if again := [name for name in dict.fromkeys(machines) if name in planned]:
        raise Failed(
            f"{', '.join(again)}: in the schedule already, see `mezzo maintenance get`; "
            "`mezzo maintenance set FILE` replaces it"
        )
    check_machines(master, machines, force=force)
    start = time.time() + in_s
    if (why := problem(WallSeconds, start)) is not None:
        raise Wrong(f"--in: the time then {why}, in seconds since 1970")
    window = MaintenanceWindow(_machines(machines), Unavailability(start, for_s))
    order(master, UpdateMaintenanceSchedule(MaintenanceSchedule((*known, window))))
    echo(f"maintenance of {', '.join(machines)} is planned")


@command.command("set")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@force_option
@master_option
def set_(file: Path, force: bool, master: str) -> None:
    """Replace the whole schedule by FILE, in Mesos' JSON form. "-" reads the standard input."""
    from mezzo.messages.operator import UpdateMaintenanceSchedule

    schedule = _read(file)
    named = [_name(machine) for window in schedule.windows for machine in window.machine_ids]
    check_machines(master, named, force=force)
    order(master, UpdateMaintenanceSchedule(schedule))
    echo(f"{len(schedule.windows)} windows are planned")


@command.command("status")
@master_option
@output_option
def status(master: str, output: str) -> None:
    """Show which machines are down or planned to be, and what frameworks say to that."""
    from mezzo.messages.operator import GetMaintenanceStatus, MaintenanceStatus

    state = ask(master, GetMaintenanceStatus(), MaintenanceStatus).status
    rows = [
        [_name(machine.id), "draining", f"{each.framework_id}: {each.status.lower()}"]
        for machine in state.draining_machines
        for each in machine.statuses
    ]
    rows += [[_name(m.id), "draining", "-"] for m in state.draining_machines if not m.statuses]
    rows += [[_name(machine), "down", "-"] for machine in state.down_machines]
    if output == "json":
        print_json([dict(zip(("machine", "mode", "answer"), row, strict=True)) for row in rows])
        return
    print_table(["MACHINE", "MODE", "ANSWER"], rows, empty="no machine is in maintenance")


@command.command("start")
@click.argument("machines", nargs=-1, required=True)
@master_option
def start(machines: tuple[str, ...], master: str) -> None:
    """Take MACHINES, which are in the schedule, down: their agents and tasks end."""
    from mezzo.messages.operator import StartMaintenance

    check_machines(master, machines, force=False)
    order(master, StartMaintenance(_machines(machines)))
    echo(f"{', '.join(machines)}: down")


@command.command("stop")
@click.argument("machines", nargs=-1, required=True)
@master_option
def stop(machines: tuple[str, ...], master: str) -> None:
    """Take MACHINES up again: their agents may come back, and they leave the schedule."""
    from mezzo.messages.operator import StopMaintenance

    check_machines(master, machines, force=False)
    order(master, StopMaintenance(_machines(machines)))
    echo(f"{', '.join(machines)}: up")


def _machines(names: tuple[str, ...]) -> tuple[MachineId, ...]:
    from mezzo.cluster.model import MachineId

    return tuple(MachineId(hostname=name) for name in names)


def _read(file: Path) -> MaintenanceSchedule:
    """Raises Wrong, naming the file."""
    from mezzo.cluster.model import MachineId, Unavailability
    from mezzo.messages.operator import MaintenanceSchedule, MaintenanceWindow

    try:
        schedule = msgspec.json.decode(files.read(file), type=_Schedule)
    except msgspec.DecodeError as error:
        raise Wrong(f"{files.shown(file)} is no schedule: {error}: write {_FORM}") from None
    return MaintenanceSchedule(
        tuple(
            MaintenanceWindow(
                tuple(MachineId(machine.hostname, machine.ip) for machine in window.machine_ids),
                Unavailability(
                    away.start.nanoseconds / NANOS,
                    None if away.duration is None else away.duration.nanoseconds / NANOS,
                ),
            )
            for window in schedule.windows
            for away in [window.unavailability]
        )
    )


def _name(machine: MachineId) -> str:
    return machine.hostname or machine.ip or "?"


def _moment(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _length(length_s: float | None) -> str:
    if length_s is None:
        return "ever"
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if length_s >= unit_s:
            return f"{length_s / unit_s:g} {unit}"
    return f"{length_s:g} s"


def _window_json(window: MaintenanceWindow) -> dict[str, object]:
    """A window as Mesos shows it, and as `mezzo maintenance set` reads it."""
    from mezzo.mesos_json import machine_json, unavailability_json

    return {
        "machine_ids": [machine_json(machine) for machine in window.machine_ids],
        "unavailability": unavailability_json(window.unavailability),
    }
