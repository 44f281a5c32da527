"""Is a mutant found? By the unit tests, by simulated clusters: each in a process of its own.

`python -m tests.mutation.judge SEED...` is that of the clusters: it runs one after the other until
one fails. For each it prints a line: its number, whether it has executed the statement with the
mutant (1 or 0), and the last line of its error.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

from . import plant
from .chosen import ROOT
from .chosen import VARIABLE as TESTS_VARIABLE

# One step too many in a loop, and a mutant never ends: that is found, too. Time of the CPU, since a
# verdict is not to depend on what else the machine does; the other is for what waits without it.
UNIT_WITHIN_CPU_S: Final = 1200  # several times what all of them take
UNIT_WITHIN_S: Final = 3600.0
SEED_WITHIN_CPU_S: Final = 90.0
_MEMORY_MAX_BYTES: Final = 4 << 30
# Of tests/unit, what runs no simulated cluster.
FOLDERS: Final = ("master", "marathon", "agent", "kernel", "gateway", "cli")
LEFT_OUT: Final = ("--ignore=tests/unit/cli/test_sim.py",)


@dataclass(frozen=True, slots=True)
class Verdict:
    """by_test: the first test that failed, or how else the run ended; None: all passed.

    by_seed: the first seed that failed; None: none of them. error: the last line of its failure.
    tests_reaching, seeds_reaching: how many execute the statement with the mutant, and could find
    it; of the seeds those that have run, up to the first that failed.
    """

    by_test: str | None
    by_seed: int | None
    error: str
    tests_reaching: int
    seeds_reaching: int

    @property
    def found(self) -> bool:
        return self.by_test is not None or self.by_seed is not None


def judge(module: str, number: int, *, tests: Sequence[str], seeds: Sequence[int]) -> Verdict:
    """By both, whatever the other has found: by these tests and seeds, in this order."""
    by_test = _by_unit_tests(module, number, tests) if tests else None
    by_seed, error, seeds_reaching = _by_seeds(module, number, seeds)
    return Verdict(by_test, by_seed, error, len(tests), seeds_reaching)


def own_folder(module: str) -> str:
    """The folder of tests/unit with the tests of the module's own package."""
    package = module.split(".")[1]
    return package if package in ("master", "marathon", "agent") else "kernel"


def pytest_command(plugin: str) -> list[str]:
    """Silent, nothing kept, and drawn alike each time. The plugin is there before all of mezzo."""
    command = [sys.executable, "-m", "pytest", "-p", plugin, "-p", "tests.mutation.chosen"]
    command += ["-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=0"]
    return [*command, "-q", "--no-header", "--tb=no"]


def _environment(module: str, number: int) -> dict[str, str]:
    # Examples of hypothesis are drawn alike each time, so that a verdict can be had again.
    return os.environ | {plant.VARIABLE: f"{module}:{number}", "PYTHONHASHSEED": "0"}


def _by_unit_tests(module: str, number: int, tests: Sequence[str]) -> str | None:
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    with tempfile.NamedTemporaryFile("w", prefix="mutant-tests-") as chosen:
        chosen.write("\n".join(tests))
        chosen.flush()
        try:
            ran = subprocess.run(
                [*pytest_command("tests.mutation.plant"), "-x", *files],
                cwd=ROOT,
                env=_environment(module, number) | {TESTS_VARIABLE: chosen.name},
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


def _by_seeds(module: str, number: int, seeds: Sequence[int]) -> tuple[int | None, str, int]:
    """The first that fails, and how; how many have reached the mutant until then."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.mutation.judge", *map(str, seeds)],
        cwd=ROOT,
        env=_environment(module, number),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_bounded,
    )
    told = [line.split(" ", 2) for line in ran.stdout.strip().splitlines()]
    reaching = sum(line[1:2] == ["1"] for line in told)
    if ran.returncode == 0:
        return None, "", reaching
    if not told:  # it could not even be imported
        return seeds[0], (ran.stderr.strip().splitlines() or ["killed"])[-1], 1
    seed, rest = int(told[-1][0]), told[-1][2:]
    if rest and _fails_without(seed):  # it says nothing of the mutant
        following = seeds[seeds.index(seed) + 1 :]
        if not following:
            return None, "", reaching
        by_seed, error, more = _by_seeds(module, number, following)
        return by_seed, error, reaching + more
    return seed, rest[0] if rest else "killed", max(reaching, 1)


@lru_cache
def _fails_without(seed: int) -> bool:
    command = [sys.executable, "-m", "tests.mutation.judge", str(seed)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode != 0


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX_BYTES, _MEMORY_MAX_BYTES))


def _bounded_in_time() -> None:
    _bounded()
    resource.setrlimit(resource.RLIMIT_CPU, (UNIT_WITHIN_CPU_S, UNIT_WITHIN_CPU_S + 10))


class _TooLong(Exception):
    pass


def _too_long(*_: object) -> NoReturn:
    raise _TooLong("a step does not end")


def _run_seeds(seeds: Sequence[int]) -> int:
    from mezzo.sim.seeds import Failure, run_seed  # changed by `plant`

    imported = plant.reached[0]
    signal.signal(signal.SIGVTALRM, _too_long)
    for seed in seeds:
        print(seed, end=" ", flush=True)  # so that who dies says where
        plant.reached[0] = imported
        signal.setitimer(signal.ITIMER_VIRTUAL, SEED_WITHIN_CPU_S)
        outcome = run_seed(seed)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        print(plant.reached[0], end=" ")
        if isinstance(outcome, Failure):
            print(outcome.error.strip().splitlines()[-1])
            return 1
        print()
    return 0


if __name__ == "__main__":
    sys.exit(_run_seeds([int(seed) for seed in sys.argv[1:]]))
