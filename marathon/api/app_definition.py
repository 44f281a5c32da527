"""From an app's document to an `App`: old forms, defaults, rules (3.2, 3.3, 3.4).

document -> `shape.read` (types and bounds) -> `_modern` (old keys become new ones)
         -> laid over the present definition, if partial -> `_Reader` (defaults and rules)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mezzo.cluster.description import description_problem
from mezzo.cluster.model import TaskInfo
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId
from mezzo.json_types import JsonValue
from mezzo.units import ARGUMENT_MAX_BYTES, PORT_MAX, Name, problem

from ..model import paths
from ..model.app import (
    SINGLE_INSTANCE_LABEL,
    App,
    Constraint,
    Container,
    Docker,
    HealthCheck,
    HealthProtocol,
    HostVolume,
    Network,
    NetworkMode,
    Operator,
    Parameter,
    PortDefinition,
    PortMapping,
    UnreachableStrategy,
    UpgradeStrategy,
)
from ..model.instance import Instance, new_instance_id
from ..placement import environment, task_info
from ..placement.constraints import constraint_problem
from .app_schema import (
    AppDoc,
    ContainerDoc,
    DockerDoc,
    HealthCheckDoc,
    IpAddressDoc,
    Mode,
    NetworkDoc,
    PortDefinitionDoc,
    PortMappingDoc,
    later_features,
)
from .errors import Violation, not_valid, wrong_shape
from .json_shape import read
from .record_keys import fields_of
from .render import DISABLED, KINDS_WITH_1XX, definition_json


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings that decide what a definition means."""

    role: str = "*"
    default_network_name: str | None = None
    bridge_name: str = "mesos-bridge"


@dataclass(slots=True)
class _Draft:
    """given: the keys that the document says something about, old ones translated."""

    doc: AppDoc
    given: set[str]
    violations: list[Violation]


class AppDocument:
    """What a user sent, read once for all that is asked of it. Any JSON can be one."""

    def __init__(self, json: JsonValue) -> None:
        self.json = json
        self._reading = read(AppDoc, json)
        self._modern: _Draft | None = None

    @property
    def unknown_keys(self) -> list[str]:
        """Paths of unknown keys, which are dropped, each with what may be meant."""
        return self._reading.found.unknown

    def draft(self, rules: Rules) -> _Draft:
        """The document with new keys for old ones. rules: the same each time. Raises ApiError."""
        if self._modern is None:
            if later := later_features(self.json):
                raise not_valid(later)
            found = self._reading.found
            if found.wrong:
                raise wrong_shape(found.wrong + found.out_of_bounds)
            draft = _Draft(self._reading.value, set(self._reading.given), found.out_of_bounds)
            _modern(draft, rules)
            self._modern = draft
        return self._modern


def new_app(document: AppDocument, rules: Rules, *, app_id: str | None = None) -> App:
    """A complete definition. app_id: from the path; it wins over the document's.

    Raises ApiError (422).
    """
    draft = document.draft(rules)
    if app_id is not None:
        draft.doc.id = app_id
    return _finish(draft, rules)


def changed_app(document: AppDocument, before: App, rules: Rules) -> App:
    """`before` with the values that are given in place of its own; nothing is merged deeper."""
    update = document.draft(rules)
    doc = read(AppDoc, definition_json(before)).value
    for key in update.given - {"id"}:
        setattr(doc, key, getattr(update.doc, key))
    _drop_other_ports(doc, update.given)
    return _finish(_Draft(doc, update.given, update.violations), rules)


def _finish(draft: _Draft, rules: Rules) -> App:
    reader = _Reader(draft.doc, rules, list(draft.violations))
    app = reader.app()
    if not reader.violations:
        reader.check_task(app)
    if reader.violations:
        raise not_valid(reader.violations)
    return app


# ---------------------------------------------------------------------------------- old forms


_DOCKER_NETWORKS: Final[Mapping[str, Mode]] = {
    "HOST": "host",
    "BRIDGE": "container/bridge",
    "USER": "container",
}


def _modern(draft: _Draft, rules: Rules) -> None:
    """Old keys become new ones. Raises ApiError where both are given, and differ."""
    doc, wrong = draft.doc, list[Violation]()
    docker = doc.container.docker if doc.container is not None else None
    if docker is not None and docker.network is not None and doc.networks is not None:
        text = "must not specify both container.docker.network and networks"
        wrong.append(Violation("/container/docker/network", text))
    if doc.ipAddress is not None and doc.networks is not None:
        wrong.append(Violation("/ipAddress", "must not specify both networks and ipAddress"))
    if doc.ipAddress is not None and (doc.ports or doc.portDefinitions):
        wrong.append(Violation("/", "cannot specify both an IP address and port"))
    definitions = doc.portDefinitions
    if not (doc.ports is None or definitions is None) and doc.ports != [
        d.port for d in definitions
    ]:
        wrong.append(Violation("/", "cannot specify both ports and port definitions"))
    if wrong:
        raise not_valid(wrong + draft.violations)
    if doc.ipAddress is not None:
        _modern_address(draft, doc.ipAddress, rules)
    if docker is not None:
        _modern_docker(draft, docker)
    _modern_ports(draft)


def _modern_address(draft: _Draft, address: IpAddressDoc, rules: Rules) -> None:
    doc = draft.doc
    if address.networkName == rules.bridge_name:
        network = NetworkDoc("container/bridge", labels=address.labels)
    else:
        network = NetworkDoc("container", address.networkName, address.labels)
    doc.networks = [network]
    draft.given.add("networks")
    discovered = address.discovery.ports if address.discovery is not None else []
    if discovered and not (doc.container is not None and doc.container.portMappings):
        doc.container = doc.container or ContainerDoc()
        doc.container.portMappings = [
            PortMappingDoc(port.number, protocol=port.protocol, name=port.name, labels=port.labels)
            for port in discovered
        ]
        draft.given.add("container")


def _modern_docker(draft: _Draft, docker: DockerDoc) -> None:
    doc = draft.doc
    assert doc.container is not None
    if docker.network is not None and doc.networks is None:
        doc.networks = [NetworkDoc(_DOCKER_NETWORKS[docker.network])]
        draft.given.add("networks")
        if docker.network != "HOST":
            _forget_definitions(draft)
    if docker.portMappings is not None and doc.container.portMappings is None:
        doc.container.portMappings = docker.portMappings


def _modern_ports(draft: _Draft) -> None:
    doc = draft.doc
    if doc.ports is None:
        return
    if not _all_host(doc.networks):
        _forget_definitions(draft)
    elif doc.portDefinitions is None:
        doc.portDefinitions = [PortDefinitionDoc(port) for port in doc.ports]
        draft.given.add("portDefinitions")


def _forget_definitions(draft: _Draft) -> None:
    """Up to 1.4 Marathon wrote the service ports as definitions, too, whatever the network."""
    draft.doc.portDefinitions = None
    draft.given.discard("portDefinitions")


def _drop_other_ports(doc: AppDoc, given: set[str]) -> None:
    """A change of the kind of network need not also take back the ports of the old kind."""
    if not given & {"networks", "container"}:
        return
    if _all_host(doc.networks):
        if doc.container is not None and "container" not in given:
            doc.container.portMappings = None
    elif "portDefinitions" not in given:
        doc.portDefinitions = None
        if "requirePorts" not in given:
            doc.requirePorts = False


def _all_host(networks: Sequence[NetworkDoc] | None) -> bool:
    return all(network.mode == "host" for network in networks or ())


# ---------------------------------------------------------------------------------- rules

_NO_COMMAND: Final = (
    "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."
)
_EMPTY_COMMAND: Final = (
    "must not be empty: leave it out, or give null, for an image's own command; to take an app's "
    "command away, send the whole app with ?partialUpdate=false"
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
    violations: list[Violation]

    def app(self) -> App:
        doc = self.doc
        app_id = paths.absolute(doc.id) if doc.id else ""
        for why in paths.problems(app_id) if app_id else ["error.path.missing"]:
            self._wrong("/id", why)
        networks = self._networks()
        container = self._container(networks)
        plain = fields_of(App, doc)
        app = App(
            id=app_id,
            constraints=self._constraints(),
            port_definitions=self._port_definitions(networks),
            require_ports=doc.requirePorts and networks[0].mode is NetworkMode.HOST,
            networks=networks,
            container=container,
            health_checks=self._health_checks(),
            upgrade_strategy=self._upgrade_strategy(plain["labels"]),
            accepted_resource_roles=tuple(doc.acceptedResourceRoles) or None,
            role=self._role(),
            unreachable=self._unreachable(),
            **plain,
        )
        self._check_whole(app)
        return app

    def _wrong(self, path: str, error: str) -> None:
        self.violations.append(Violation(path, error))

    # ---- the whole

    def _check_whole(self, app: App) -> None:
        has_image = app.container is not None and app.container.docker is not None
        if app.cmd is not None and not app.cmd.strip():
            self._wrong("/cmd", _EMPTY_COMMAND)
        elif (app.cmd is not None and app.args) or not (app.cmd or app.args or has_image):
            self._wrong("/", _NO_COMMAND)
        if app.args and not has_image and not app.args[0]:
            self._wrong("/args(0)", "must not be empty: it is the program")
        if app.single_instance and app.instances > 1:
            self._wrong("/instances", "Single instance app may only have one instance")
        by_agent = [check for check in app.health_checks if check.protocol.by_agent]
        if len(by_agent) > 1:
            self._wrong("/", "AppDefinition can contain at most one Mesos health check")
        count = len(app.service_ports)
        for check in app.health_checks:
            if check.port_index is not None and check.port_index >= count:
                self._wrong("/", _PORT_INDEX)
                break
        self._check_variables(app)

    def _check_variables(self, app: App) -> None:
        """No variable of a task is lost because another label or port has the same."""
        labels = Counter(environment.label_variable(*label) for label in app.labels.items())
        for name, count in labels.items():
            if name is not None and count > 1:
                self._wrong("/labels", f"{count} of them become the variable {name}: rename some")
        numbers: dict[str, set[int]] = {}
        for index, name in environment.port_number_variables(app):
            numbers.setdefault(name, set()).add(index)
        for index, name in environment.port_name_variables(app):
            if index not in (others := numbers.get(name, {index})):
                path = f"{_ports_path(app)}({index})/name"
                self._wrong(path, f"becomes {name}, the variable of port {min(others)}: rename it")

    def check_task(self, app: App) -> None:
        """Can a program be given all that a task of this app is given?"""
        task = task_info.make_task(app, _some_instance(app), Resources(), None)
        for path, text in _arguments(app, task):
            if (size := len(text.encode())) > ARGUMENT_MAX_BYTES:
                most = f"at most {ARGUMENT_MAX_BYTES} can be given to a program"
                self._wrong(path, f"takes {size} bytes in a task: {most}")
        if (why := description_problem(task)) is not None:
            self._wrong("/labels" if app.labels else "/", f"a task's {why}")

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
        # Whatever their protocols: an offer holds numbers.
        self._unique_ports("/portDefinitions", [(doc.port, "any") for doc in docs])
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
        return tuple(
            PortMapping(
                doc.containerPort,
                0 if doc.hostPort is None and bridge else doc.hostPort,
                doc.servicePort,
                doc.protocol,
                doc.name,
                doc.labels,
                tuple(doc.networkNames),
            )
            for doc in docs
        )

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
        if doc.volumes and kind == "MESOS":
            text = "only images have volumes in this version: use the type DOCKER"
            self._wrong("/container/volumes", text)
        for index, volume in enumerate(doc.volumes):
            if volume.hostPath is None:
                self._wrong(f"/container/volumes({index})/hostPath", "must not be empty")
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
            tuple(HostVolume(v.containerPath, v.hostPath or "", v.mode) for v in doc.volumes),
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
        port_index = doc.portIndex
        if port_index is None and doc.port is None and not by_command:
            port_index = 0
        asks_http = "HTTP" in protocol.value
        return HealthCheck(
            protocol,
            doc.path or ("/" if asks_http else None),
            port_index,
            doc.port,
            None if doc.command is None else doc.command.value,
            ignore_http_1xx=doc.ignoreHttp1xx and protocol in KINDS_WITH_1XX,
            ip_protocol=doc.ipProtocol,
            **fields_of(HealthCheck, doc),
        )

    # ---- placement and strategies

    def _constraints(self) -> tuple[Constraint, ...]:
        found = []
        for index, parts in enumerate(self.doc.constraints):
            why = constraint_problem(parts) or problem(Name, parts[0])
            if why:
                self._wrong(f"/constraints({index})", why)
            else:
                value = parts[2] if len(parts) == 3 else None
                found.append(Constraint(parts[0], Operator(parts[1]), value or None))
        return tuple(found)

    def _upgrade_strategy(self, labels: Mapping[str, str]) -> UpgradeStrategy:
        doc = self.doc.upgradeStrategy
        single = labels.get(SINGLE_INSTANCE_LABEL) == "true"
        if doc is None:
            return UpgradeStrategy(0.0, 0.0) if single else UpgradeStrategy()
        strategy = UpgradeStrategy(**fields_of(UpgradeStrategy, doc))
        for name, value in (
            ("minimumHealthCapacity", strategy.minimum_health_capacity),
            ("maximumOverCapacity", strategy.maximum_over_capacity),
        ):
            if single and value > 0:
                text = f"got {value}, expected between 0.0 and 0.0"
                self._wrong(f"/upgradeStrategy/{name}", text)
        return strategy

    def _unreachable(self) -> UnreachableStrategy | None:
        doc = self.doc.unreachableStrategy
        if doc is None:
            return UnreachableStrategy()
        if isinstance(doc, str):
            assert doc == DISABLED
            return None
        strategy = UnreachableStrategy(**fields_of(UnreachableStrategy, doc))
        inactive, expunge = strategy.inactive_after_s, strategy.expunge_after_s
        if inactive > expunge:
            self._wrong(
                "/unreachableStrategy",
                f"inactiveAfterSeconds ({inactive:g}) must be less or equal to "
                f"expungeAfterSeconds, which is {expunge:g}",
            )
        return strategy


# ---------------------------------------------------------------------------------- a task of it


def _ports_path(app: App) -> str:
    host = app.network_mode is NetworkMode.HOST
    return "/portDefinitions" if host else "/container/portMappings"


def _arguments(app: App, task: TaskInfo) -> Iterator[tuple[str, str]]:
    """Every text that a program of the app is started with, and where in the document it is."""
    if app.cmd is not None:
        yield "/cmd", app.cmd
    for index, argument in enumerate(app.args):
        yield f"/args({index})", argument
    assert task.command is not None
    for each in task.command.environment:
        path = f"/env/{each.name}" if each.name in app.env else "/"
        if path == "/" and "LABEL" in each.name:
            path = "/labels"
        yield path, f"{each.name}={each.value}"


def _some_instance(app: App) -> Instance:
    ports = len(app.service_ports)
    return Instance(
        id=new_instance_id(app.id, _SOME_UUID),
        app_id=app.id,
        version_ms=0,
        config_ms=0,
        agent_id=AgentId("agent"),
        host="host",
        staged_s=0,
        host_ports=(PORT_MAX,) * ports,
        container_ports=(PORT_MAX,) * ports,
    )


_SOME_UUID: Final = "00000000-0000-0000-0000-000000000000"
