"""The top of the command line: which commands there are, and what becomes of errors."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import click

from mezzo import __version__
from mezzo.errors import BadConfig, MezzoError

from .words.errors import EXIT_CODES, Failed, Wrong
from .words.output import is_text, plain


class Lazy(NamedTuple):
    """Where a subcommand is, and its line in the list of commands."""

    module: str
    help: str


_COMMANDS: Final = {
    "up": Lazy("up.command", "Start a whole cluster on this machine, and stop it with Ctrl-C."),
    "app": Lazy("commands.app", "Add, look at, scale, update and remove Marathon apps."),
    "node": Lazy("commands.node", "Look at the cluster's agents."),
    "framework": Lazy(
        "commands.framework", "Look at the registered frameworks, and tear one down."
    ),
    "task": Lazy("commands.task", "Look at tasks and read their logs."),
    "offer": Lazy("commands.offer", "Look at what is offered to whom."),
    "explain": Lazy("commands.explain", "Say why a framework is, or is not, offered an agent."),
    "role": Lazy("commands.role", "Look at roles: their weight, quota and share."),
    "quota": Lazy("commands.quota", "Look at, set and remove the quota of roles."),
    "weight": Lazy("commands.weight", "Look at and set the weights of roles."),
    "maintenance": Lazy(
        "commands.maintenance", "Plan maintenance of machines, take them down and up."
    ),
    "quarantine": Lazy(
        "commands.quarantine", "Look at records that a master can't read, and delete them."
    ),
    "master": Lazy("daemons.master", "Run a master."),
    "agent": Lazy("daemons.agent", "Run an agent; list, drain, deactivate, reactivate agents."),
    "marathon": Lazy("daemons.marathon", "Run Marathon, the framework for long-running services."),
    "gateway": Lazy(
        "daemons.gateway", "Run a gateway: HTTP endpoints and the web page of a cluster."
    ),
    "relay": Lazy("daemons.relay", "Run a relay: a rack's agents over one stream."),
    "sim": Lazy("commands.sim", "Simulate clusters: scenarios of your own, or faults at random."),
    "context": Lazy("commands.context", "Look at the clusters that are known, and choose one."),
    "version": Lazy("commands.version", "Print the version."),
}


@contextlib.contextmanager
def _errors_made_plain() -> Iterator[None]:
    """click repeats arguments as they were given."""
    try:
        yield
    except click.ClickException as error:
        lines = error.message.split("\n")
        error.message = "\n".join(map(plain, lines))  # type: ignore[misc] # nobody else has it yet
        raise


class LazyGroup(click.Group):
    """Imports a subcommand when it is asked for. In `<module>`, the command is called `command`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for text in args:
            if not is_text(text):
                raise Wrong(f"argument {text!r} is no text in UTF-8: nothing here has such a name")
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = _COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        command: click.Command = importlib.import_module(f"mezzo.cli.{lazy.module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]  # click takes off the list what looks like an option
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            # click looks for similar names among imported commands: there are none.
            if name.startswith("-"):
                raise
            from mezzo.guess import near  # only a mistyped command waits for it

            ctx.fail(f"No such command {name!r}{near(name, _COMMANDS)}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in _COMMANDS.items()])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _errors_made_plain():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _errors_made_plain():
                return super().invoke(ctx)
        except BadConfig as error:
            raise Wrong(str(error)) from error
        except MezzoError as error:
            raise Failed(str(error)) from error


@click.group(
    cls=LazyGroup,
    # \f ends what is shown; the rest of the help is the epilog.
    help="""mezzo: a two-level cluster manager.

    `mezzo up` starts a cluster on this machine. Every option of a command can also come from the
    environment (MEZZO_<COMMAND>_<NAME>, then MEZZO_<NAME>).""",
    epilog=EXIT_CODES,
    # Mesos and Marathon write their flags with underscores.
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
        "max_content_width": 100,
    },
)
@click.option(
    "--context",
    envvar="MEZZO_CONTEXT",
    help="The cluster that is meant, by its name: see `mezzo context list`.",
)
@click.version_option(__version__, message="mezzo %(version)s")
def cli(context: str | None) -> None:
    del context  # options that say where a server is look for it: clients/saved_contexts.py


def main() -> None:
    """The console script."""
    cli(prog_name="mezzo")
