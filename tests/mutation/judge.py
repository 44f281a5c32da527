"""Is a mutant found? By the unit tests, by simulated clusters: each in a process of its own.

`python -m tests.mutation.judge SEEDS` is that of the clusters: it runs seed after seed until one
fails, and prints its number and the last line of its error.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from .plant import VARIABLE

ROOT: Final = Path(__file__).parents[2]
# One step too many in a loop, and a mutant never ends: that is found, too. Time of the CPU, since a
# verdict is not to depend on what else the machine does; the other is for what waits without it.
UNIT_WITHIN_CPU_S: Final = 450
UNIT_WITHIN_S: Final = 3600.0
SEED_WITHIN_CPU_S: Final = 90.0
_MEMORY_MAX_BYTES: Final = 4 << 30
# Of tests/unit, what runs no simulated cluster. First the folder of the mutant's own package.
_FOLDERS: Final = ("master", "marathon", "agent", "kernel", "web", "cli")
_OF_PACKAGE: Final = {"master": "master", "marathon": "marathon", "agent": "agent"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """by_test: the first test that failed, or how else the run ended; None: all passed.

    by_seed: the first seed that failed; None: none of them. error: the last line of its failure.
    """

    by_test: str | None
    by_seed: int | None
    error: str = ""

    @property
    def found(self) -> bool:
        return self.by_test is not None or self.by_seed is not None


def judge(module: str, number: int, *, seeds: int) -> Verdict:
    """Both, whatever the other has found. `seeds` 0: the unit tests alone."""
    by_test = _by_unit_tests(module, number)
    if seeds == 0:
        return Verdict(by_test, None)
    by_seed, error = _by_seeds(module, number, seeds)
    return Verdict(by_test, by_seed, error)


def _environment(module: str, number: int) -> dict[str, str]:
    # Examples of hypothesis are drawn alike each time, so that a verdict can be had again.
    return os.environ | {VARIABLE: f"{module}:{number}", "PYTHONHASHSEED": "0"}


def _by_unit_tests(module: str, number: int) -> str | None:
    package = module.split(".")[1]
    own = _OF_PACKAGE.get(package, "kernel")
    folders = sorted(_FOLDERS, key=lambda folder: folder != own)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.mutation.plant",
        "-p",
        "no:cacheprovider",
    ]
    command += ["-x", "-q", "--no-header", "--tb=no", "-p", "no:randomly", "--hypothesis-seed=0"]
    command += [f"tests/unit/{folder}" for folder in folders]
    try:
        ran = subprocess.run(
            command,
            cwd=ROOT,
            env=_environment(module, number),
            capture_output=True,
            text=True,
            timeout=UNIT_WITHIN_S,
            check=False,
            preexec_fn=_bounded_in_time,
        )
    except subprocess.TimeoutExpired:
        return "the unit tests do not end"
    if ran.returncode == 0:
        return None
    if ran.returncode == -signal.SIGXCPU:
        return "the unit tests do not end"
    lines = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0] if lines else f"pytest ended with {ran.returncode}"


def _by_seeds(module: str, number: int, seeds: int) -> tuple[int | None, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.mutation.judge", str(seeds)],
        cwd=ROOT,
        env=_environment(module, number),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_bounded,
    )
    if ran.returncode == 0:
        return None, ""
    found = ran.stdout.strip().splitlines()
    if not found:  # it could not even be imported, or was killed for its memory
        return 1, (ran.stderr.strip().splitlines() or ["killed"])[-1]
    seed, _, error = found[-1].partition(" ")
    return int(seed), error


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX_BYTES, _MEMORY_MAX_BYTES))


def _bounded_in_time() -> None:
    _bounded()
    resource.setrlimit(resource.RLIMIT_CPU, (UNIT_WITHIN_CPU_S, UNIT_WITHIN_CPU_S + 10))


class _TooLong(Exception):
    pass


def _too_long(*_: object) -> NoReturn:
    raise _TooLong("a step does not end")


def _run_seeds(seeds: int) -> int:
    from mezzo.sim.seeds import Failure, run_seed

    from . import plant  # noqa: F401 - before all of mezzo

    signal.signal(signal.SIGVTALRM, _too_long)
    for seed in range(1, seeds + 1):
        print(seed, end=" ", flush=True)  # so that who dies says where
        signal.setitimer(signal.ITIMER_VIRTUAL, SEED_WITHIN_CPU_S)
        outcome = run_seed(seed)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if isinstance(outcome, Failure):
            print(outcome.error.strip().splitlines()[-1])
            return 1
        print()
    return 0


if __name__ == "__main__":
    sys.exit(_run_seeds(int(sys.argv[1])))
