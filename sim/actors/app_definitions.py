"""Apps that operators define: of every field of a definition that a simulated cluster can serve.

Demands that can't be met are not drawn: each app has to reach its target where there is room.
"""

from __future__ import annotations

import random
from typing import Any, Final

from mezzo.marathon.model.app import (
    App,
    Constraint,
    Container,
    Docker,
    HealthCheck,
    HealthProtocol,
    HostVolume,
    KillSelection,
    Network,
    NetworkMode,
    Operator,
    Parameter,
    PortDefinition,
    PortMapping,
    UnreachableStrategy,
    UpgradeStrategy,
)
from mezzo.record import replace

_UNREACHABLE: Final = (
    UnreachableStrategy(),
    UnreachableStrategy(inactive_after_s=20.0, expunge_after_s=60.0),
    UnreachableStrategy(inactive_after_s=0.0, expunge_after_s=120.0),
)
# Each holds on every machine, or on enough of them: racks are r0 and r1.
_OF_ALL: Final = (  # every agent is like this
    Constraint("zone", Operator.IS, "z"),
    Constraint("generation", Operator.IS, "2.00"),
)
_CONSTRAINTS: Final = (
    Constraint("rack", Operator.LIKE, "r[0-9]"),
    Constraint("rack", Operator.UNLIKE, "r[2-9]"),
    Constraint("floor", Operator.UNLIKE, "1"),
    Constraint("hostname", Operator.LIKE, "agent.*"),
    Constraint("@hostname", Operator.MAX_PER, "2"),
    Constraint("rack", Operator.MAX_PER, "6"),
    Constraint("hostname", Operator.GROUP_BY),
    Constraint("rack", Operator.GROUP_BY),
)
_MARATHONS_CHECKS: Final = (HealthProtocol.HTTP, HealthProtocol.HTTPS, HealthProtocol.TCP)
_AGENTS_CHECKS: Final = (
    HealthProtocol.COMMAND,
    HealthProtocol.MESOS_HTTP,
    HealthProtocol.MESOS_HTTPS,
    HealthProtocol.MESOS_TCP,
)
_CHECKED: Final = 0.3  # so many of new apps are asked how they are, whatever else they are
_BRIDGE: Final = (Network(NetworkMode.BRIDGE),)
_CONTAINER: Final = (Network(NetworkMode.CONTAINER, "overlay", {"net": "own"}),)


class Definitions:
    """Draws from a generator of its own: a seed's apps are otherwise the same."""

    def __init__(self, seed: int, role: str) -> None:
        self._rng = random.Random(f"apps of {seed}")
        self._also = random.Random(f"also of {seed}")
        self._role = role

    def new(self, app_id: str, cmd: str, instances: int) -> App:
        rng = self._rng
        app = App(
            app_id,
            cmd=cmd,
            instances=instances,
            cpus=0.5,
            mem=64.0,
            kill_grace_s=rng.choice((None, 0.5, 8.0)),
            max_launch_delay_s=5.0,
            role=self._role,
            unreachable=rng.choice(_UNREACHABLE),
            upgrade_strategy=UpgradeStrategy(
                rng.choice((0.0, 0.5, 1.0)), rng.choice((0.0, 0.5, 1.0))
            ),
            port_definitions=self._port_definitions(),
        )
        app = self.changed(app, times=rng.choice((0, 2, 4, 8)))
        if rng.random() < _CHECKED:
            return replace(app, health_checks=self._checks(len(app.service_ports)))
        return app

    def changed(self, app: App, times: int | None = None) -> App:
        """An app with other values in some of its fields."""
        for _ in range(self._rng.randint(0, 3) if times is None else times):
            app = self._another(app)
        return app

    def _another(self, app: App) -> App:
        rng = self._rng
        serves = app.cmd is None or app.cmd == "serve"
        match rng.randrange(12):
            case 0:
                labels = {"team": "a", "HAPROXY_0-x": "é ü", "": "", "long": "x" * 600}
                return replace(app, labels=self._some(labels))
            case 1:
                env = {"EXTRA": "1 = 2", "PORT7": "mine", "HOST": "of mine"}
                return replace(app, env=app.env | self._some(env))
            case 2:
                return replace(app, user=rng.choice((None, "nobody")))
            case 3:
                return replace(app, kill_selection=rng.choice(tuple(KillSelection)))
            case 4:
                return replace(
                    app,
                    backoff_s=rng.choice((0.2, 1.0, 3.0)),
                    backoff_factor=rng.choice((1.0, 1.15, 3.0)),
                )
            case 5:
                return replace(app, constraints=self._constraints())
            case 6:
                return replace(app, health_checks=self._checks(len(app.service_ports)))
            case 7 if serves:
                args = rng.choice(((), ("serve",), ("serve", "-v", "two words")))
                return replace(app, cmd=None if args else "serve", args=args)
            case 8 | 9:
                return self._placed(app)
            case 10:
                roles = rng.choice((None, (self._role, "*"), ("*",)))
                return replace(app, accepted_resource_roles=roles)
            case 11:
                return replace(app, disk=rng.choice((0.0, 1.0)), mem=rng.choice((64.0, 48.5)))
        return app

    def _some(self, of: dict[str, str]) -> dict[str, str]:
        return {key: value for key, value in of.items() if self._rng.random() < 0.5}

    def _constraints(self) -> tuple[Constraint, ...]:
        found = tuple(self._rng.sample(_CONSTRAINTS, self._rng.choice((0, 1, 1, 2))))
        # By itself: whatever else a seed draws stays as it was before there were these.
        return (*found, *self._also.choice(((), (), *((each,) for each in _OF_ALL))))

    # ---- ports and containers

    def _port_definitions(self) -> tuple[PortDefinition, ...]:
        rng = self._rng
        names = rng.choice(((), (None,), ("http",), ("http", None), ("http", "admin-x")))
        return tuple(
            PortDefinition(0, rng.choice(("tcp", "udp", "udp,tcp")), name, self._some({"p": "1"}))
            for name in names
        )

    def _placed(self, app: App) -> App:
        """An app on another network, in another container. Checks of missing ports go, too."""
        rng = self._rng
        image = Docker(
            "server:1",
            rng.random() < 0.5,
            rng.random() < 0.3,
            rng.choice(((), (Parameter("hostname", "a.b"), Parameter("label", "x=y")))),
        )
        volumes = (HostVolume("/data", "/srv/data", rng.choice(("RO", "RW"))),)
        docker = Container("DOCKER", image, rng.choice(((), volumes)))
        app = replace(app, health_checks=())
        match rng.randrange(4):
            case 0:
                plain = rng.choice((None, docker, Container("MESOS")))
                return replace(
                    app,
                    networks=(Network(NetworkMode.HOST),),
                    container=plain,
                    port_definitions=self._port_definitions(),
                )
            case 1 | 2:
                return self._mapped(app, _BRIDGE, docker)
        return self._mapped(app, _CONTAINER, docker)

    def _mapped(self, app: App, networks: tuple[Network, ...], container: Container) -> App:
        rng = self._rng
        names: tuple[Any, ...] = rng.choice(((None,), ("web",), ("web", "rpc")))
        outside: tuple[Any, ...] = (0,) if networks is _BRIDGE else (0, None)
        mappings = tuple(
            PortMapping(
                rng.choice((0, 80 + index)),
                rng.choice(outside),
                0,
                rng.choice(("tcp", "udp,tcp")),
                name,
                self._some({"p": "2"}),
                rng.choice(((), ("overlay",))) if networks is _CONTAINER else (),
            )
            for index, name in enumerate(names)
        )
        return replace(
            app,
            networks=networks,
            port_definitions=None,
            container=replace(container, port_mappings=mappings),
        )

    # ---- health

    def _checks(self, ports: int) -> tuple[HealthCheck, ...]:
        """Checks of ports only if there are some; of the agents' own at most one."""
        rng = self._rng
        kinds: list[HealthProtocol] = []
        if rng.random() < 0.6:
            kinds.append(rng.choice(_AGENTS_CHECKS if ports else _AGENTS_CHECKS[:1]))
        if rng.random() < 0.7 and ports:
            kinds.append(rng.choice(_MARATHONS_CHECKS))
        return tuple(self._check(kind, ports) for kind in kinds)

    def _check(self, kind: HealthProtocol, ports: int) -> HealthCheck:
        rng = self._rng
        of_command = kind is HealthProtocol.COMMAND
        by_number = not of_command and rng.random() < 0.2
        index = None if of_command or by_number else rng.randrange(ports)
        return HealthCheck(
            kind,
            path=rng.choice((None, "/health")) if "HTTP" in kind.value else None,
            port_index=index,
            port=8080 if by_number else None,
            command="true" if of_command else None,
            grace_s=rng.choice((0.0, 1.0, 5.0, 60.0)),
            interval_s=rng.choice((5.0, 10.0, 20.0, 45.0)),
            timeout_s=rng.choice((1.0, 5.0, 20.0)),
            delay_s=rng.choice((0.0, 3.0)),
            max_consecutive_failures=rng.choice((0, 1, 2, 3)),
            ignore_http_1xx=rng.random() < 0.5,
        )
