"""From an app's document to an `App`: old forms, defaults, rules (3.2, 3.3, 3.4).

document -> `schema.read_app` (types) -> `_modern` (old keys become new ones)
         -> laid over the present definition, if partial -> `_Reader` (defaults and rules)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from .. import paths
from ..app import (
    SINGLE_INSTANCE_LABEL,
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
from ..constraints import constraint_problem
from ..render import DISABLED, definition_json
from .errors import Violation, not_valid
from .schema import AppDoc, HealthCheckDoc, PortMappingDoc, later_features, read_app

Doc = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings that decide what a definition means."""

    role: str = "*"
    default_network_name: str | None = None
    bridge_name: str = "mesos-bridge"


def new_app(document: Any, rules: Rules, *, app_id: str | None = None) -> App:  # noqa: ANN401
    """A complete definition. app_id: from the path; it wins over the document's.

    Raises ApiError (422).
    """
    return _finish(_modern(_read(document, app_id), rules), rules)


def changed_app(document: Any, before: App, rules: Rules) -> App:  # noqa: ANN401 - any JSON
    """`before` with the values that are given in place of its own; nothing is merged deeper."""
    update = _modern(_read(document, before.id), rules)
    merged = definition_json(before) | update
    if "networks" in update or "container" in update:
        _drop_other_ports(merged, update)
    return _finish(merged, rules)


def _read(document: Any, app_id: str | None) -> Doc:  # noqa: ANN401 - any JSON
    later = later_features(document)
    if later:
        raise not_valid(later)
    doc = read_app(document)
    if app_id is not None:
        doc["id"] = app_id
    return doc


def _finish(doc: Doc, rules: Rules) -> App:
    reader = _Reader(AppDoc.model_validate(doc), rules)
    app = reader.app()
    if reader.violations:
        raise not_valid(reader.violations)
    return app


# ---------------------------------------------------------------------------------- old forms


_DOCKER_NETWORKS: Final = {"HOST": "host", "BRIDGE": "container/bridge", "USER": "container"}


def _modern(doc: Doc, rules: Rules) -> Doc:
    """Old keys become new ones. Raises ApiError where both are given."""
    doc = dict(doc)
    wrong: list[Violation] = []
    docker: Doc = (doc.get("container") or {}).get("docker") or {}
    address = doc.pop("ipAddress", None)
    if "network" in docker and "networks" in doc:
        text = "must not specify both container.docker.network and networks"
        wrong.append(Violation("/container/docker/network", text))
    if address is not None and "networks" in doc:
        wrong.append(Violation("/ipAddress", "must not specify both networks and ipAddress"))
    if address is not None and (doc.get("ports") or doc.get("portDefinitions")):
        wrong.append(Violation("/", "cannot specify both an IP address and port"))
    if "ports" in doc and "portDefinitions" in doc:
        wrong.append(Violation("/", "cannot specify both ports and port definitions"))
    if docker.get("network") == "NONE":
        wrong.append(Violation("/container/docker/network", "error.unknown.enum.literal"))
    if wrong:
        raise not_valid(wrong)
    if address is not None:
        _modern_address(doc, address, rules)
    if docker:
        _modern_docker(doc, docker)
    ports = doc.pop("ports", None)
    if ports is not None and _all_host(doc.get("networks")):
        doc["portDefinitions"] = [{"port": port} for port in ports]
    return doc


def _modern_address(doc: Doc, address: Doc, rules: Rules) -> None:
    name = address.get("networkName")
    if name == rules.bridge_name:
        doc["networks"] = [{"mode": "container/bridge", "labels": address.get("labels", {})}]
    else:
        network: Doc = {"mode": "container", "labels": address.get("labels", {})}
        doc["networks"] = [network | ({} if name is None else {"name": name})]
    discovered = (address.get("discovery") or {}).get("ports") or []
    container = dict(doc.get("container") or {})
    if discovered and not container.get("portMappings"):
        container["portMappings"] = [
            {"containerPort": port["number"], **{k: v for k, v in port.items() if k != "number"}}
            for port in discovered
        ]
        doc["container"] = container


def _modern_docker(doc: Doc, docker: Doc) -> None:
    docker = dict(docker)
    container = dict(doc["container"])
    network = docker.pop("network", None)
    mappings = docker.pop("portMappings", None)
    if network is not None and "networks" not in doc:
        doc["networks"] = [{"mode": _DOCKER_NETWORKS[network]}]
    if mappings is not None and "portMappings" not in container:
        # With host networking they never meant anything, and old clients send them empty.
        container["portMappings"] = mappings
    doc["container"] = container | {"docker": docker}


def _drop_other_ports(merged: Doc, update: Doc) -> None:
    """Who changes the kind of network need not also take back the ports of the old kind."""
    if _all_host(merged.get("networks")):
        container = merged.get("container")
        if container and "container" not in update:
            merged["container"] = {k: v for k, v in container.items() if k != "portMappings"}
    elif "portDefinitions" not in update:
        merged.pop("portDefinitions", None)
        if "requirePorts" not in update:
            merged["requirePorts"] = False


def _all_host(networks: Any) -> bool:  # noqa: ANN401 - a document's list
    return all(network.get("mode", "container") == "host" for network in networks or ())


# ---------------------------------------------------------------------------------- rules

_PORT_MAX: Final = 65535
_NO_COMMAND: Final = (
    "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."
)
_PORT_INDEX: Final = (
    "Health check port indices must address an element of the ports array or container port "
    "mappings."
)


@dataclass
class _Reader:
    """One document, in new form. `violations` fills while `app` reads."""

    doc: AppDoc
    rules: Rules
    violations: list[Violation] = field(default_factory=list)

    def app(self) -> App:
        doc = self.doc
        app_id = paths.absolute(doc.id) if doc.id else ""
        for problem in paths.problems(app_id) if app_id else ["error.path.missing"]:
            self._wrong("/id", problem)
        networks = self._networks()
        container = self._container(networks)
        app = App(
            id=app_id,
            cmd=doc.cmd,
            args=tuple(doc.args),
            user=doc.user,
            env=doc.env,
            instances=self._least("/instances", doc.instances, 0),
            cpus=self._least("/cpus", doc.cpus, 0.001),
            mem=self._least("/mem", doc.mem, 0),
            disk=self._least("/disk", doc.disk, 0),
            constraints=self._constraints(),
            port_definitions=self._port_definitions(networks),
            require_ports=doc.requirePorts and networks[0].mode is NetworkMode.HOST,
            networks=networks,
            container=container,
            health_checks=self._health_checks(),
            upgrade_strategy=self._upgrade_strategy(),
            labels=doc.labels,
            accepted_resource_roles=tuple(doc.acceptedResourceRoles) or None,
            role=self._role(),
            backoff_s=self._least("/backoffSeconds", doc.backoffSeconds, 0),
            backoff_factor=self._least("/backoffFactor", doc.backoffFactor, 1),
            max_launch_delay_s=self._least("/maxLaunchDelaySeconds", doc.maxLaunchDelaySeconds, 0),
            kill_grace_s=doc.taskKillGracePeriodSeconds,
            unreachable=self._unreachable(),
            kill_selection=KillSelection(doc.killSelection),
        )
        self._check_whole(app)
        return app

    def _wrong(self, path: str, error: str) -> None:
        self.violations.append(Violation(path, error))

    def _least(self, path: str, value: T, least: float) -> T:
        if value < least:  # type: ignore[operator]
            self._wrong(path, f"error.min: must be at least {least}")
        return value

    # ---- the whole

    def _check_whole(self, app: App) -> None:
        has_image = app.container is not None and app.container.docker is not None
        cmd, args = bool(app.cmd), bool(app.args)
        if (cmd and args) or not (cmd or args or has_image):
            self._wrong("/", _NO_COMMAND)
        if app.single_instance and app.instances > 1:
            self._wrong("/instances", "Single instance app may only have one instance")
        by_agent = [check for check in app.health_checks if check.protocol.by_agent]
        if len(by_agent) > 1:
            self._wrong("/", "AppDefinition can contain at most one Mesos health check")
        count = len(app.service_ports)
        for check in app.health_checks:
            if check.port_index is not None and not 0 <= check.port_index < count:
                self._wrong("/", _PORT_INDEX)
                break
        if app.kill_grace_s is not None and app.kill_grace_s < 0:
            self._wrong("/taskKillGracePeriodSeconds", "error.min: must be at least 0")

    def _role(self) -> str:
        role = self.doc.role or self.rules.role
        if role != self.rules.role:
            self._wrong(
                "/role",
                f"this version runs every app in the role {self.rules.role} (--mesos-role): "
                "leave it out",
            )
        return role

    # ---- networks and ports

    def _networks(self) -> tuple[Network, ...]:
        docs = self.doc.networks or []
        networks = tuple(
            Network(NetworkMode(doc.mode), self._network_name(doc.mode, doc.name), doc.labels)
            for doc in docs
        )
        modes = [network.mode for network in networks]
        if len(modes) > 1 and set(modes) != {NetworkMode.CONTAINER}:
            self._wrong(
                "/networks",
                "May specify a single host network, single bridge network, or else 1-to-n "
                "container networks",
            )
        for index, network in enumerate(networks):
            path = f"/networks({index})"
            if network.mode is NetworkMode.HOST and (network.name or network.labels):
                self._wrong(path, "Host networks may not have names or labels")
            if network.mode is NetworkMode.BRIDGE and network.name:
                self._wrong(path, "Bridge networks may not have names")
        names = [network.name for network in networks if network.name]
        if len(names) != len(set(names)):
            self._wrong("/networks", "Duplicate networks are not allowed")
        return networks or (Network(NetworkMode.HOST),)

    def _network_name(self, mode: str, name: str | None) -> str | None:
        if mode != NetworkMode.CONTAINER or name:
            return name
        if self.rules.default_network_name is None:
            self._wrong(
                "/networks",
                "Network name must be specified when container network is selected.",
            )
        return self.rules.default_network_name

    def _port_definitions(self, networks: Sequence[Network]) -> tuple[PortDefinition, ...] | None:
        docs = self.doc.portDefinitions
        if networks[0].mode is not NetworkMode.HOST:
            if docs:
                text = "portDefinitions are only allowed with host-networking"
                self._wrong("/portDefinitions", text)
            return None
        if docs is None:
            return (PortDefinition(name="default"),)
        self._unique_names("/portDefinitions", [doc.name for doc in docs])
        self._unique_ports("/portDefinitions", [(doc.port, doc.protocol) for doc in docs])
        for index, doc in enumerate(docs):
            self._port(f"/portDefinitions({index})/port", doc.port)
        return tuple(PortDefinition(doc.port, doc.protocol, doc.name, doc.labels) for doc in docs)

    def _port_mappings(self, networks: Sequence[Network]) -> tuple[PortMapping, ...] | None:
        container = self.doc.container
        docs = None if container is None else container.portMappings
        bridge = networks[0].mode is NetworkMode.BRIDGE
        if networks[0].mode is NetworkMode.HOST:
            if docs:
                text = "portMappings are not allowed with host-networking"
                self._wrong("/container/portMappings", text)
            return None
        if docs is None:
            return (PortMapping(host_port=0 if bridge else None, name="default"),)
        path = "/container/portMappings"
        self._unique_names(path, [doc.name for doc in docs])
        taken = [(doc.hostPort or 0, doc.protocol) for doc in docs]
        self._unique_ports(path, taken)
        return tuple(self._port_mapping(f"{path}({i})", doc, bridge) for i, doc in enumerate(docs))

    def _port_mapping(self, path: str, doc: PortMappingDoc, bridge: bool) -> PortMapping:
        host_port = 0 if doc.hostPort is None and bridge else doc.hostPort
        self._port(f"{path}/containerPort", doc.containerPort)
        self._port(f"{path}/hostPort", host_port or 0)
        self._port(f"{path}/servicePort", doc.servicePort)
        return PortMapping(
            doc.containerPort,
            host_port,
            doc.servicePort,
            doc.protocol,
            doc.name,
            doc.labels,
            tuple(doc.networkNames),
        )

    def _port(self, path: str, port: int) -> None:
        if not 0 <= port <= _PORT_MAX:
            self._wrong(path, f"must be between 0 and {_PORT_MAX}")

    def _unique_names(self, path: str, names: Iterable[str | None]) -> None:
        given = [name for name in names if name]
        if len(given) != len(set(given)):
            self._wrong(path, "Port names must be unique.")

    def _unique_ports(self, path: str, ports: Iterable[tuple[int, str]]) -> None:
        taken = [(port, protocol) for port, both in ports if port for protocol in both.split(",")]
        if len(taken) != len(set(taken)):
            self._wrong(path, "Ports must be unique.")

    # ---- container

    def _container(self, networks: Sequence[Network]) -> Container | None:
        doc = self.doc.container
        mappings = self._port_mappings(networks)
        if doc is None:
            # Port mappings need a place, also without an image.
            return None if mappings is None else Container("MESOS", port_mappings=mappings)
        docker = doc.docker
        kind = doc.type or ("MESOS" if docker is None else "DOCKER")
        if kind == "DOCKER" and (docker is None or not docker.image):
            self._wrong("/container/docker/image", "must not be empty")
        for index, volume in enumerate(doc.volumes):
            path = f"/container/volumes({index})"
            for name, value in (
                ("containerPath", volume.containerPath),
                ("hostPath", volume.hostPath),
            ):
                if not value:
                    self._wrong(f"{path}/{name}", "must not be empty")
        return Container(
            kind,
            None
            if docker is None or kind == "MESOS"
            else Docker(
                docker.image,
                docker.forcePullImage,
                docker.privileged,
                tuple(Parameter(p.key, p.value) for p in docker.parameters),
            ),
            tuple(HostVolume(v.containerPath, v.hostPath, v.mode) for v in doc.volumes),
            mappings,
        )

    # ---- health

    def _health_checks(self) -> tuple[HealthCheck, ...]:
        docs = enumerate(self.doc.healthChecks)
        return tuple(self._health_check(f"/healthChecks({i})", doc) for i, doc in docs)

    def _health_check(self, path: str, doc: HealthCheckDoc) -> HealthCheck:
        protocol = HealthProtocol(doc.protocol)
        by_command = protocol is HealthProtocol.COMMAND
        if by_command and (doc.command is None or not doc.command.value):
            self._wrong(f"{path}/command", "must not be empty")
        if not by_command and doc.command is not None:
            self._wrong(f"{path}/command", "is only allowed with the protocol COMMAND")
        if doc.port is not None and doc.portIndex is not None:
            self._wrong(path, "HealthCheck must specify either a port or a portIndex")
        for name, value in (
            ("gracePeriodSeconds", doc.gracePeriodSeconds),
            ("delaySeconds", doc.delaySeconds),
            ("maxConsecutiveFailures", doc.maxConsecutiveFailures),
        ):
            self._least(f"{path}/{name}", value, 0)
        for name, value in (
            ("intervalSeconds", doc.intervalSeconds),
            ("timeoutSeconds", doc.timeoutSeconds),
        ):
            if value <= 0:
                self._wrong(f"{path}/{name}", "must be greater than 0")
        if doc.port is not None:
            self._port(f"{path}/port", doc.port)
        port_index = doc.portIndex
        if port_index is None and doc.port is None and not by_command:
            port_index = 0
        asks_http = "HTTP" in protocol.value
        return HealthCheck(
            protocol,
            (doc.path or "/") if asks_http else doc.path,
            port_index,
            doc.port,
            None if doc.command is None else doc.command.value,
            doc.gracePeriodSeconds,
            doc.intervalSeconds,
            doc.timeoutSeconds,
            doc.delaySeconds,
            doc.maxConsecutiveFailures,
            doc.ignoreHttp1xx,
            doc.ipProtocol,
        )

    # ---- placement and strategies

    def _constraints(self) -> tuple[Constraint, ...]:
        found = []
        for index, parts in enumerate(self.doc.constraints):
            problem = constraint_problem(parts)
            if problem:
                self._wrong(f"/constraints({index})", problem)
            else:
                value = parts[2] if len(parts) == 3 else None
                found.append(Constraint(parts[0], Operator(parts[1]), value or None))
        return tuple(found)

    def _upgrade_strategy(self) -> UpgradeStrategy:
        doc = self.doc.upgradeStrategy
        single = self.doc.labels.get(SINGLE_INSTANCE_LABEL) == "true"
        if doc is None:
            return UpgradeStrategy(0, 0) if single else UpgradeStrategy()
        for name, value in (
            ("minimumHealthCapacity", doc.minimumHealthCapacity),
            ("maximumOverCapacity", doc.maximumOverCapacity),
        ):
            highest = 0 if single else 1
            if not 0 <= value <= highest:
                text = f"got {value}, expected between 0.0 and {highest}.0"
                self._wrong(f"/upgradeStrategy/{name}", text)
        return UpgradeStrategy(doc.minimumHealthCapacity, doc.maximumOverCapacity)

    def _unreachable(self) -> UnreachableStrategy | None:
        doc = self.doc.unreachableStrategy
        if doc is None:
            return UnreachableStrategy()
        if isinstance(doc, str):
            assert doc == DISABLED
            return None
        inactive, expunge = doc.inactiveAfterSeconds, doc.expungeAfterSeconds
        path = "/unreachableStrategy"
        self._least(f"{path}/inactiveAfterSeconds", inactive, 0)
        if inactive > expunge:
            self._wrong(
                path,
                f"inactiveAfterSeconds ({inactive:g}) must be less or equal to "
                f"expungeAfterSeconds, which is {expunge:g}",
            )
        return UnreachableStrategy(inactive, expunge)
