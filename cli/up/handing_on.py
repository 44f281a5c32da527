"""What `mezzo up` hands on to its daemons: settings from its own environment and from --set.

A daemon of `up` gets each of its settings as `MEZZO_<DAEMON>_<NAME>` and nothing else of ours, so
that settings for another cluster (the address of its master, say) do not reach it. Values
are checked before anything is started, by the option of the daemon that will read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import click

from mezzo.guess import near

from ..daemons import agent, gateway, marathon, master, relay
from ..setting_options import mistyped, settings_of
from ..words.errors import Wrong

Handed = Mapping[str, Mapping[str, str]]  # variables and their values, by daemon

_DAEMONS: Final[Mapping[str, click.Command]] = {
    "master": master.command,
    "gateway": gateway.command,
    "marathon": marathon.command,
    "agent": agent.command,
}
_EVERYWHERE: Final = ("ip", "hostname", "log-level", "config")
# Settings that `up` chooses itself, and its option for each. Without one they are fixed.
_OWN: Final[Mapping[str, Mapping[str, str]]] = {
    "master": {
        "port": "--master-port",
        "gateway-port": "--gateway-port",
        "work-dir": "--dir",
        "zk": "",
    },
    "gateway": {"master": "", "port": "--gateway-port"},
    "marathon": {
        "master": "",
        "zk": "",
        "work-dir": "--dir",
        "http-port": "--marathon-port",
        "mesos-leader-ui-url": "",
        "mesos-user": "--mesos-user",
    },
    "agent": {
        "master": "",
        "port": "--agent-port",
        "work-dir": "--dir",
        "resources": "--agents",
        "attributes": "",
        "containerizers": "--containerizer",
        "docker-host": "--docker-host",
    },
}


def handed_on(pairs: Sequence[str]) -> Handed:
    """Settings of the environment and of `DAEMON.NAME=VALUE` pairs, which win. Raises Wrong."""
    given = dict(map(_parsed, pairs))
    found: dict[str, dict[str, str]] = {}
    for daemon, command in _DAEMONS.items():
        ctx = click.Context(command, info_name=daemon)
        own = _own(daemon)
        found[daemon] = variables = {}
        for option in settings_of(command):
            if option.key in own:
                continue
            place, value = f"--set {daemon}.{option.key}", given.get((daemon, option.key))
            if value is None:
                place, value = f"{option.variable(ctx)}", option.resolve_envvar_value(ctx)
            if value is None:
                continue
            try:
                option.type_cast_value(ctx, value)
            except click.BadParameter as error:
                raise Wrong(f"{place}: {error.message}") from None
            variables[option.variables(command)[0]] = value
    return found


def unheeded(environment: Mapping[str, str], mine: click.Command) -> Iterator[str]:
    """A sentence for each variable that is addressed to a daemon of `up` and reaches none."""
    yield from mistyped(environment, lambda: (*_DAEMONS.values(), relay.command, mine))
    own = {name for option in settings_of(mine) for name in option.variables(mine)}
    for daemon, command in _DAEMONS.items():
        decided = _own(daemon)
        for option in settings_of(command):
            addressed, _ = option.variables(command)
            if option.key in decided and addressed in environment and addressed not in own:
                yield f"{addressed} is not used: {_decides(decided[option.key])}"


def _parsed(pair: str) -> tuple[tuple[str, str], str]:
    name, equals, value = pair.partition("=")
    daemon, dot, key = name.strip().partition(".")
    key = key.replace("_", "-")
    if not equals or not dot:
        raise Wrong(f"--set {pair!r} is not DAEMON.NAME=VALUE: write e.g. agent.gc-delay=1days")
    command = _DAEMONS.get(daemon)
    if command is None:
        known = ", ".join(_DAEMONS)
        raise Wrong(f"--set {name}: there is no daemon {daemon!r}, only {known}")
    keys = [option.key for option in settings_of(command)]
    if key not in keys:
        raise Wrong(f"--set {name}: mezzo {daemon} has no such setting{near(key, keys)}")
    own = _own(daemon)
    if key in own:
        raise Wrong(f"--set {name}: {_decides(own[key])}")
    return (daemon, key), value


def _decides(option: str) -> str:
    return "`mezzo up` decides that itself" + (f", by {option}" if option else "")


def _own(daemon: str) -> Mapping[str, str]:
    everywhere = dict.fromkeys(_EVERYWHERE, "") | {"log-level": "--log-level"}
    return everywhere | dict(_OWN[daemon])
