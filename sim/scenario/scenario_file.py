"""Scenario files: a cluster, what frameworks ask of it, what goes wrong. Read and checked here.

Every key is described where it is declared; docs/simulator.md shows them in use. Times are seconds
from the start of the run, cpus are cores, mem and disk MiB.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from mezzo.cluster.resources import Resources
from mezzo.errors import BadConfig

_SAMPLES: Final = 400  # of the curves, unless the scenario says otherwise


Amounts = dict[Literal["cpus", "mem", "disk", "gpus"], PositiveFloat]


def to_resources(amounts: Amounts) -> Resources:
    return Resources.of(
        cpus=amounts.get("cpus", 0),
        mem=amounts.get("mem", 0),
        disk=amounts.get("disk", 0),
        gpus=amounts.get("gpus", 0),
    )


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_of(section: BaseModel, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise ValueError(f"give exactly one of {', '.join(names)} (given: {found})")


# ---------------------------------------------------------------------------------- draws


class LogNormal(_Section):
    """Long tails, as job sizes and run times have them."""

    median: PositiveFloat
    sigma: PositiveFloat  # of the logarithm


class Draw(_Section):
    """The source of a number: exactly one of these. In a file a plain number is `fixed`."""

    fixed: NonNegativeFloat | None = None
    exponential: PositiveFloat | None = None  # the mean
    uniform: tuple[NonNegativeFloat, NonNegativeFloat] | None = None  # from, to
    lognormal: LogNormal | None = None
    choice: tuple[NonNegativeFloat, ...] | None = None  # any of them, equally likely

    @model_validator(mode="before")
    @classmethod
    def _plain_number(cls, value: Any) -> Any:
        return {"fixed": value} if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _exactly_one(self) -> Draw:
        _one_of(self, ("fixed", "exponential", "uniform", "lognormal", "choice"))
        if self.uniform is not None and self.uniform[0] > self.uniform[1]:
            raise ValueError("uniform goes from the smaller to the larger number: swap them")
        if self.choice == ():
            raise ValueError("choice is empty: give at least one number")
        return self


# ---------------------------------------------------------------------------------- cluster


class Group(_Section):
    """Agents that are alike. They are called `<name>-0`, `<name>-1`, ..."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    count: PositiveInt
    resources: Amounts = Field(min_length=1)
    attributes: dict[str, str] = {}
    join_s: NonNegativeFloat = 0.0
    leave_s: PositiveFloat | None = None  # of their own will; their tasks end


class ClusterPlan(_Section):
    """agents: `real` runs the agent's core and its containers for each; `light` a stand-in that
    registers, starts and ends tasks and answers pings, for clusters of thousands."""

    masters: PositiveInt = 1
    agents: Literal["real", "light"] = "real"
    groups: tuple[Group, ...] = Field(min_length=1)


class MasterPlan(_Section):
    """Flags of the masters that matter here. The defaults are the daemon's."""

    offer_timeout_s: PositiveFloat | None = 300.0
    patience_s: PositiveFloat | None = (
        1.0  # null: offers are held as long as one likes, as in Mesos
    )
    thinker_keeps: NonNegativeFloat = 1.0
    refuse_min_s: NonNegativeFloat = 1.0
    agent_ping_timeout_s: PositiveFloat = 15.0


class RolePlan(_Section):
    """guarantee and limit: quota, by resource; of a top-level role."""

    weight: PositiveFloat = 1.0
    guarantee: Amounts = {}
    limit: Amounts = {}


# ---------------------------------------------------------------------------------- frameworks


class Arrivals(_Section):
    """When jobs come: exactly one of `poisson_s` (mean gap), `every_s` (gap), `at_s` (a list) and
    `trace` (a CSV file beside the scenario: at_s,tasks,duration_s)."""

    poisson_s: PositiveFloat | None = None
    every_s: PositiveFloat | None = None
    at_s: tuple[NonNegativeFloat, ...] | None = None
    trace: str | None = None
    from_s: NonNegativeFloat = 0.0
    until_s: PositiveFloat | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Arrivals:
        _one_of(self, ("poisson_s", "every_s", "at_s", "trace"))
        return self


class TraceLine(_Section):
    at_s: NonNegativeFloat
    tasks: PositiveInt
    duration_s: NonNegativeFloat


class Jobs(_Section):
    """tasks: how many of one `shape` a job has. duration_s: of a task; null: it runs for ever."""

    arrivals: Arrivals
    tasks: Draw = Draw(fixed=1)
    shape: Amounts = Field(min_length=1)
    duration_s: Draw | None = None


class Think(_Section):
    """How long the scheduler decides, one decision at a time: job_s + task_s for each task.

    insists: a decision is about certain offers; where one is rescinded meanwhile, its tasks need
    another decision. Else they go to the offers that are left.
    """

    job_s: NonNegativeFloat = 0.0
    task_s: NonNegativeFloat = 0.0
    insists: bool = False


class GiveUp(_Section):
    """A job is abandoned after so many decisions that placed none of its tasks, or so many in all.
    The defaults are those of the simulator of the Omega paper."""

    without_a_task: PositiveInt = 100
    at_all: PositiveInt = 1000


class FrameworkPlan(_Section):
    """declares: it tells its demand, and is offered what fits. refuse_s: of what it declines."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    role: str = ""  # as its name, unless given
    declares: bool = False
    think: Think = Think()
    refuse_s: NonNegativeFloat = 0.0
    give_up: GiveUp = GiveUp()
    jobs: Jobs

    @property
    def in_role(self) -> str:
        return self.role or self.name


# ---------------------------------------------------------------------------------- faults


class FaultPlan(_Section):
    """What goes wrong, and when: once `at_s`, or again and again with a mean gap of `every_s`.

    crash master: the leader, back after for_s. lose agents: `count` machines of `group` (of all)
    lose power for for_s. partition agents: they and the masters do not hear each other. stop store:
    the masters' store does not answer.
    """

    do: Literal["crash master", "lose agents", "partition agents", "stop store"]
    at_s: NonNegativeFloat | None = None
    every_s: PositiveFloat | None = None
    for_s: PositiveFloat = 30.0
    count: PositiveInt = 1
    group: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> FaultPlan:
        _one_of(self, ("at_s", "every_s"))
        return self


# ---------------------------------------------------------------------------------- scenario


class Scenario(_Section):
    """The whole file. The same file gives the same run, always."""

    name: str
    seed: int = 1
    duration_s: PositiveFloat
    sample_s: PositiveFloat | None = None  # a point of the curves each; a 400th of the duration
    cluster: ClusterPlan
    master: MasterPlan = MasterPlan()
    roles: dict[str, RolePlan] = {}
    frameworks: Annotated[tuple[FrameworkPlan, ...], Field(min_length=1)]
    faults: tuple[FaultPlan, ...] = ()
    traces: dict[str, tuple[TraceLine, ...]] = {}  # by framework; `trace` files end up here

    @property
    def sampling_s(self) -> float:
        return self.sample_s or self.duration_s / _SAMPLES

    @model_validator(mode="after")
    def _names_fit(self) -> Scenario:
        groups = [group.name for group in self.cluster.groups]
        names = [framework.name for framework in self.frameworks]
        for what, given in (("groups", groups), ("frameworks", names)):
            for name in given:
                if given.count(name) > 1:
                    raise ValueError(f"two {what} are called {name!r}: give each a name of its own")
        for fault in self.faults:
            if fault.group is not None and fault.group not in groups:
                raise ValueError(f"a fault names group {fault.group!r}: there are {groups}")
        roles = [framework.in_role for framework in self.frameworks]
        for role in self.roles:
            if not any(used == role or used.startswith(role + "/") for used in roles):
                raise ValueError(
                    f"roles names {role!r}, but no framework is in it: there are {roles}"
                )
        return self


# ---------------------------------------------------------------------------------- reading


def load(path: Path) -> Scenario:
    """Read a YAML (or JSON) file. Raises BadConfig: what is wrong, where, what to do."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"cannot read the scenario {path}: {error}") from error
    plain = _yaml(path, text)
    if not isinstance(plain, dict):
        raise BadConfig(f"{path}: a scenario is a mapping with name, duration_s, cluster, ...")
    return check(plain, str(path), path.parent)


def check(plain: dict[str, Any], where: str, folder: Path) -> Scenario:
    """A scenario out of plain data. `where` begins an error; traces are files in `folder`."""
    try:
        scenario = Scenario.model_validate(plain)
    except ValidationError as error:
        raise BadConfig(_explain(error, where)) from error
    traces = dict(scenario.traces)
    for framework in scenario.frameworks:
        file = framework.jobs.arrivals.trace
        if file is not None and framework.name not in traces:
            traces[framework.name] = _read_trace(folder / file)
    return scenario.model_copy(update={"traces": traces})


def _yaml(path: Path, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadConfig(f"{path} is no YAML: {error}") from error


def _read_trace(path: Path) -> tuple[TraceLine, ...]:
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadConfig(f"cannot read the trace {path}: {error}") from error
    lines = []
    for number, row in enumerate(rows, 2):  # the first line names the columns
        try:
            lines.append(TraceLine.model_validate(row))
        except ValidationError as error:
            raise BadConfig(_explain(error, f"{path} line {number}")) from error
    return tuple(sorted(lines, key=lambda line: line.at_s))


def _explain(error: ValidationError, where: str) -> str:
    """All faults, a line each: the place in the file, what was found, what is right."""
    lines = []
    for each in error.errors(include_url=False):
        place = ".".join(str(part) for part in each["loc"]) or "the scenario"
        text = each["msg"].removeprefix("Value error, ")
        if each["type"] == "extra_forbidden":
            text = "there is no such key: remove it or mend its name"
        elif each["type"] == "missing":
            text = "is missing: give it"
        elif each["type"] != "value_error":
            text = f"{text}, but found {each['input']!r}"
        lines.append(f"{place}: {text}")
    return f"{where}: " + "; ".join(lines)
