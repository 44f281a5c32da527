"""`mezzo up`: a whole cluster on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import click

from mezzo.errors import BadConfig
from mezzo.flags import Written
from mezzo.json_types import Json
from mezzo.process.users import closed_folder, current_user, switch_problem
from mezzo.units import PORT_MAX

from ..clients.definitions import read_definition
from ..clients.marathon_api import Marathon, addresses, app_id, counts
from ..clients.saved_contexts import FOLDER, LOCK, Context, claim, forget_name, publish
from ..option_types import DIRECTORY, DURATION, LOG_LEVEL, PORT, Whole, typed
from ..setting_options import setting
from ..words.errors import Failed, Wrong
from ..words.output import echo, print_table, warn
from ..words.progress import live_line
from .engine import engine_problem, image_of, image_problem
from .handing_on import handed_on, unheeded
from .local_cluster import TASK_PORTS, LocalCluster, Plan

_WAKE_S: Final = 3600.0
_LOCK_TRIES: Final = 5
_LOCK_EVERY_S: Final = 0.1


def _port_range(text: str) -> tuple[int, int]:
    """First and last, from 31000-32000."""
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text.strip())
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= last <= PORT_MAX:
        raise BadConfig(f"{text!r} is no range of ports: write e.g. 31000-32000")
    return first, last


_PORT_RANGE: Final = Written("port_range", _port_range)


@click.command("up")
@setting("--agents", type=Whole(1, 100), default=3, help="How many agents.")
@setting(
    "--containerizer",
    type=click.Choice(["auto", "docker", "process"]),
    default="auto",
    help="How tasks run: in Docker, or as plain processes (no isolation, no images). auto takes "
    "Docker if an engine answers.",
)
@setting("--docker-host", help="Docker engine.  [default: DOCKER_HOST, else its own socket]")
@setting(
    "--dir",
    "directory",
    type=DIRECTORY,
    default=Path(".mezzo"),
    help="Where all state and logs are kept.",
)
@setting(
    "--task-ports",
    type=typed(_PORT_RANGE),
    default=f"{TASK_PORTS[0]}-{TASK_PORTS[1]}",
    help="What its agents offer. Two clusters on one machine want different ones.",
)
@setting("--name", help="Of its context, for `mezzo --context`.  [default: that of a folder]")
@setting(
    "--demo",
    type=click.Path(path_type=Path),
    multiple=True,
    help="App to deploy, as Marathon's JSON. Given more than once: the first that can run here.",
)
@setting("--gateway-port", type=PORT, default=5050, help="HTTP: the page and Mesos' endpoints.")
@setting("--master-port", type=PORT, default=5055, help="gRPC of the master.")
@setting("--agent-port", type=PORT, default=5051, help="HTTP of the first agent; more follow.")
@setting("--marathon-port", type=PORT, default=8080, help="HTTP of Marathon.")
@setting(
    "--mesos-user",
    help="User that tasks run as unless their app names one.  [default: who runs this command]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="DAEMON.NAME=VALUE",
    help="A setting of its daemons, as agent.gc-delay=1days. MEZZO_AGENT_GC_DELAY says the same.",
)
@setting("--timeout", type=DURATION, default="5mins", help="How long the demo may take.")
@setting(
    "--keep",
    is_flag=True,
    help="On Ctrl-C stop the daemons only: tasks run on, and the next `mezzo up` finds them.",
)
@setting(
    "--log-level",
    type=LOG_LEVEL,
    default="info",
    help="Of the daemons' logs in DIR/logs.",
)
@click.pass_context
def command(
    ctx: click.Context,
    agents: int,
    containerizer: str,
    docker_host: str | None,
    directory: Path,
    demo: tuple[Path, ...],
    gateway_port: int,
    master_port: int,
    agent_port: int,
    marathon_port: int,
    task_ports: tuple[int, int],
    name: str | None,
    mesos_user: str | None,
    settings: tuple[str, ...],
    timeout: float,
    keep: bool,
    log_level: str,
) -> None:
    """Start a whole cluster on this machine, and stop it with Ctrl-C.

    A master with its gateway, Marathon and some agents, which share the machine's resources. A
    daemon that dies is started again.

    Ctrl-C stops everything: all apps are removed, their containers and processes end (tasks of
    frameworks of your own are theirs to end, or `mezzo framework teardown` ends them before). If
    mezzo is killed instead (kill -9, or with --keep), tasks go on running and the state stays in
    DIR: the next `mezzo up` there finds the apps again and brings them to their targets.
    """
    definitions = [read_definition(file) for file in demo]
    for definition in definitions:
        app_id(str(definition.get("id", "")))
    handed = handed_on(settings)
    user = mesos_user or current_user()
    _check_user(user, directory)
    containerizers = _containerizers(containerizer, docker_host)
    plan = Plan(
        directory,
        agents,
        containerizers,
        docker_host,
        gateway_port=gateway_port,
        master_port=master_port,
        agent_port=agent_port,
        marathon_port=marathon_port,
        mesos_user=user,
        task_ports=task_ports,
        log_level=log_level,
        settings=handed,
    )
    _check_ports(plan)
    demo_app = _first_that_can_run(plan, definitions) if definitions else None
    for sentence in unheeded(os.environ, ctx.command):
        warn(sentence)
    # Settings of the environment are in the plan; the daemons shall not read them again.
    for variable in [each for each in os.environ if each.startswith("MEZZO_")]:
        del os.environ[variable]
    from mezzo.process import log

    log.configure(level="warning")
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    _run(plan, name, demo_app, timeout, keep=keep)


def _run(
    plan: Plan, name: str | None, demo_app: Json | None, timeout_s: float, *, keep: bool
) -> None:
    """Until Ctrl-C. name: of its context. timeout_s: how long the demo may take."""
    cluster = LocalCluster(plan)
    with _alone_in(plan.directory), _known_as(plan, name) as (context, problem):
        try:
            _start(cluster)
            _publish(context, problem)
            if demo_app is not None:
                try:
                    _deploy(plan, demo_app, timeout_s)
                except Failed as error:  # the cluster runs all the same
                    warn(error.format_message())
            echo()
            echo("Ctrl-C stops the cluster" + (", tasks run on." if keep else " and apps."))
            while True:
                time.sleep(_WAKE_S)
        except KeyboardInterrupt:
            echo()
            if not keep:
                _tear_down(cluster)
        finally:
            cluster.stop()
    echo("stopped" if not keep else f"stopped; tasks run on, the state is in {plan.directory}")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _containerizers(wanted: str, docker_host: str | None) -> str:
    """What the agents get as --containerizers. Raises Failed if Docker is asked for and absent."""
    if wanted == "process":
        return "process"
    problem = engine_problem(docker_host)
    if problem is None:
        return "docker,process"
    if wanted == "docker":
        raise Failed(f"{problem}: start one, name it with --docker-host, or use processes")
    echo(f"{problem}: tasks run as plain processes, apps with an image can't run")
    return "process"


def _check_user(user: str, directory: Path) -> None:
    """Can tasks run as this user, and reach their folders? Raises Wrong."""
    try:
        problem = switch_problem(user)
    except ValueError as error:
        problem = str(error)
    if problem is not None:
        raise Wrong(f"--mesos-user {user!r}: {problem}: choose another, or leave it out")
    if (closed := closed_folder(directory, user)) is not None:
        raise Wrong(
            f"--mesos-user {user}: {closed} is closed to that user, and tasks run below it: choose "
            "another --dir"
        )


def _check_ports(plan: Plan) -> None:
    first, last = plan.task_ports
    if last - first + 1 < plan.agents:
        raise Wrong(f"--task-ports {first}-{last} is no port for each of {plan.agents} agents")
    if (found := len(plan.agent_ports())) < plan.agents:
        raise Wrong(
            f"from --agent-port {plan.agent_port} on there are {found} ports for {plan.agents} "
            "agents: choose a lower one"
        )
    seen: dict[int, str] = {}
    for port, option in plan.ports():
        if port in seen:
            raise Wrong(f"port {port} is given to {seen[port]} and {option}: choose another")
        if first <= port <= last:
            raise Wrong(f"port {port} of {option} is one of --task-ports: choose others")
        seen[port] = option


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Hold the directory: two clusters in one would be one broken cluster. Raises Failed, Wrong."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Wrong(f"cannot write to {directory} ({error.strerror}): choose --dir") from error
    try:
        for tries_left in reversed(range(_LOCK_TRIES)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # by a command that looks, for a moment, which clusters run
                if not tries_left:
                    raise
                time.sleep(_LOCK_EVERY_S)
            else:
                break
    except BlockingIOError:
        os.close(lock)
        raise Failed(f"a `mezzo up` is running in {directory}: stop it, or use --dir") from None
    try:
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _known_as(plan: Plan, name: str | None) -> Iterator[tuple[Context, str | None]]:
    """The cluster's context, whose name lasts as long as its daemons run, and why it can't be found
    by that, if it can't. Raises Wrong."""
    claimed = claim(
        plan.directory,
        name,
        marathon=plan.marathon_url,
        gateway=plan.gateway_url,
        master=plan.master,
    )
    try:
        yield claimed
    finally:
        forget_name(plan.directory)


def _publish(context: Context, problem: str | None) -> None:
    publish(context)
    here = Path(context.directory)
    echo()
    if here.name == FOLDER:
        echo(f"Commands in {here.parent} and below mean this cluster;")
    if problem is None:
        echo(
            f"elsewhere `mezzo --context {context.name} ...` does, or MEZZO_CONTEXT={context.name}."
        )
    else:
        warn(f"elsewhere it is not found by its name ({problem}): name --marathon and --master")
    hint = call_hint(Path(sys.argv[0]).absolute(), shutil.which("mezzo"))
    if hint is not None:
        echo(hint)


def call_hint(program: Path, found: str | None) -> str | None:
    """The words that make `mezzo` the `program` that runs; None if it is `found` already."""
    if program.name != "mezzo" or (found is not None and program.samefile(found)):
        return None
    activate = program.parent / "activate"
    if activate.exists():
        return f"`. {shlex.quote(str(activate))}` first: only then `mezzo` is found by its name."
    return f"Type {shlex.quote(str(program))} for `mezzo`: it is not on the PATH."


def _start(cluster: LocalCluster) -> None:
    plan = cluster.plan
    begun_s = time.monotonic()
    with live_line() as say:
        say("starting")
        cluster.start()
        cluster.wait_until_ready(say)
    echo(f"The cluster is ready after {time.monotonic() - begun_s:.1f} s.")
    echo()
    ports = plan.agent_ports()
    print_table(
        ["PART", "ADDRESS"],
        [
            ["web page", f"{plan.gateway_url}/"],
            ["Marathon", plan.marathon_url],
            ["master", f"{plan.master} (gRPC)"],
            [f"{plan.agents} agents", f"http://127.0.0.1:{ports[0]} to {ports[-1]}"],
            ["state, logs", str(plan.directory)],
        ],
        empty="",
    )
    for problem in cluster.crashing().values():
        echo()
        echo(f"{problem}.")
        echo("The cluster runs without it.")
    if plan.mesos_user == "root":
        echo()
        echo("Tasks run as root, who can read and change everything here, this cluster's state")
        echo("included: `mezzo up --mesos-user NAME` has them run as another user.")


def _deploy(plan: Plan, definition: Json, timeout_s: float) -> None:
    marathon = Marathon(plan.marathon_url)
    which = app_id(str(definition["id"]))
    with live_line() as say:
        if marathon.find(which) is None:
            deployment = marathon.add(definition)
        else:  # from an earlier run
            deployment = marathon.update(which, definition, force=True)
        if deployment is not None:
            marathon.wait_quietly(deployment, which, timeout_s, say)
    app = marathon.app(which)
    echo(f"{which} is deployed: {counts(app)}")
    where = addresses(app.get("tasks") or ())
    echo()
    echo("Try:")
    if where:
        echo(f"  curl http://{where[0]}/")
    echo(f"  mezzo app scale {which} {app['instances'] + 2}")
    echo(f"  mezzo app show {which}")
    echo("  mezzo task list")


def _first_that_can_run(plan: Plan, definitions: list[Json]) -> Json:
    """The app to start, chosen before anything is; its image may be pulled. Raises Failed."""
    problems = []
    with live_line() as say:
        for definition in definitions:
            image = image_of(definition)
            if image is None:
                return definition
            if "docker" in plan.containerizers:
                problem = image_problem(plan.docker_host, image, say)
            else:
                problem = f"it needs the image {image}, and tasks run as plain processes"
            if problem is None:
                return definition
            problems.append(f"{definition['id']}: {problem}")
            say(problems[-1])
    raise Failed(
        f"no demo can run here, nothing was started: {'; '.join(problems)}. Give a --demo without "
        "an image, or none"
    )


def _tear_down(cluster: LocalCluster) -> None:
    """Tear the cluster down. A second Ctrl-C cuts that short."""
    try:
        with live_line() as say:
            left = cluster.tear_down(say)
        if left:
            echo(
                f"tasks that still run: {', '.join(left)}. `mezzo up --dir` the same folder, then "
                "`mezzo framework teardown` ends those of a framework",
                err=True,
            )
    except Failed as error:
        warn(f"apps could not be stopped: {error.format_message()}")
    except KeyboardInterrupt:
        echo("apps are left as they are", err=True)
