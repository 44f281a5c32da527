"""`python -m mezzo.sim.mutants`: plant each bug and look how soon the simulator finds it.

One line for each, then one of JSON: the share found. Exit 1 if one survived.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from ..seeds import COUNT
from .catalogue import ALL
from .hunt import Find, hunt


def _hunt(name: str, seeds: int) -> Find:
    return hunt(ALL[name], range(1, seeds + 1))


@click.command()
@click.option(
    "--seeds",
    type=COUNT,
    default=100,
    show_default=True,
    help="Seeds each has to survive.",
)
@click.option("--only", default="", help="Those whose area or name holds this.")
@click.option("--jobs", type=COUNT, default=2, show_default=True, help="Processes at a time.")
@click.option("--save", type=click.Path(dir_okay=False), help="Write the seeds there, as JSON.")
def main(seeds: int, only: str, jobs: int, save: str | None) -> None:
    """Report which of the planted bugs the simulator finds."""
    names = [name for name, each in ALL.items() if only in name or only in each.area]
    finds = []
    with ProcessPoolExecutor(jobs) as pool:
        for find in pool.map(_hunt, names, [seeds] * len(names)):
            finds.append(find)
            found = f"seed {find.seed:3}" if find.seed is not None else "SURVIVED"
            error = find.error.removeprefix("mezzo.sim.world.watched.Broken: ")[:120]
            click.echo(f"{find.area:20} {found} ({find.tried} tried) {find.name}: {error}")
    if save is not None:
        found_by = {find.name: find.seed for find in finds}
        Path(save).write_text(json.dumps(found_by, indent=2, sort_keys=True) + "\n")
    found_in = [find.tried for find in finds if find.seed is not None]
    score = {
        "bench": "mutants",
        "planted": len(finds),
        "found": len(found_in),
        "share": round(len(found_in) / len(finds), 3) if finds else 1.0,
        "seeds_max": seeds,
        "seeds_median": sorted(found_in)[len(found_in) // 2] if found_in else None,
    }
    click.echo(json.dumps(score))
    sys.exit(len(found_in) < len(finds))


if __name__ == "__main__":
    main()
