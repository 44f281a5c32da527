"""Whole app documents, drawn: valid ones, almost valid ones and hostile ones, of every field.

Each field has values that the API takes, with the extremes of its bounds and its old forms, and
some that it does not. A document mixes them: most of its values are good, so that what is accepted
is as odd as it can be.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]
INT32 = 2**31 - 1
SECONDS = 9223372036

JSON: Strategy = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=8)
    # JSON has no other numbers.
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
ODD_NUMBERS = st.sampled_from(
    [-1, -0.0, 0, 0.5, 1e-320, 2**31, 2**32, 2**53 + 1, 2**63, 2**64 - 1, 1e18, 1e30, 1e300, -1e300]
)
ODD_TEXTS = (
    st.text()
    | st.sampled_from(["", " ", "\0", "a\0b", "\r\nX: y", "=", "a=b", "\x7f", "\u2028", "💩"])
    | st.sampled_from([300, 140_000]).map(lambda length: "x" * length)
)
ODD: Strategy = JSON | ODD_NUMBERS | ODD_TEXTS


def number(low: float, high: float) -> Strategy:
    return st.sampled_from([low, high, float(high)]) | st.floats(low, high)


def whole(low: int, high: int) -> Strategy:
    return st.sampled_from([low, high, float(high)]) | st.integers(low, high)


def some(strategy: Strategy, most: int = 3) -> Strategy:
    return st.lists(strategy, max_size=most)


def fields(needed: dict[str, Strategy] | None = None, **optional: Strategy) -> Strategy:
    """An object of some of the fields. Now and then a value, or a key, is odd."""

    names = sorted(optional)

    @st.composite
    def draws(draw: st.DrawFn) -> dict[str, Any]:
        out = {key: draw(strategy) for key, strategy in (needed or {}).items()}
        for key in draw(st.lists(st.sampled_from(names), unique=True, max_size=6)) if names else ():
            out[key] = draw(optional[key])
        if draw(st.integers(0, 19)) == 0:
            out[draw(st.sampled_from(sorted({**(needed or {}), **optional})))] = draw(ODD)
        if draw(st.integers(0, 19)) == 0:
            out[draw(st.text(max_size=12))] = draw(JSON)
        return out

    return draws()


WORD = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
IDS = (
    st.lists(WORD, min_size=1, max_size=4).map("/".join)
    | st.lists(WORD, min_size=1, max_size=3).map(lambda parts: "//" + "//".join(parts) + "/")
    | st.just("/" + "x" * 193)
    | st.just("/x/" * 97)
)
LABELS = st.dictionaries(st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True), TEXT, max_size=3)
PORTS = whole(0, 65535)
PORT_NAMES = WORD | st.just("a" * 63) | st.none()
PROTOCOLS = st.sampled_from(["tcp", "udp", "udp,tcp", "tcp,udp"])
NETWORK_NAMES = st.sampled_from(["overlay", "net_1", "N.2"])
MAPPINGS = some(
    fields(
        containerPort=PORTS,
        hostPort=PORTS | st.none(),
        servicePort=PORTS,
        protocol=PROTOCOLS,
        name=PORT_NAMES,
        labels=LABELS,
        networkNames=some(NETWORK_NAMES),
    )
)
NETWORKS = (
    st.just([{"mode": "host"}])
    | fields(labels=LABELS, mode=st.just("container/bridge")).map(lambda n: [n])
    | some(fields(name=NETWORK_NAMES, labels=LABELS))
)
DOCKER = fields(
    {"image": st.sampled_from(["busybox", "registry:5000/a/b:1", "a@sha256:" + "0" * 64])},
    forcePullImage=st.booleans(),
    privileged=st.booleans(),
    parameters=some(fields({"key": WORD, "value": TEXT})),
    network=st.sampled_from(["HOST", "BRIDGE", "USER", None]),
    portMappings=MAPPINGS,
)
PATHS = st.sampled_from(["/data", "logs", "/a b/ü"])
CONTAINERS = fields(
    type=st.sampled_from(["DOCKER", "MESOS", None]),
    docker=DOCKER,
    volumes=some(
        fields({"containerPath": PATHS, "hostPath": PATHS, "mode": st.sampled_from(["RO", "RW"])})
    ),
    portMappings=MAPPINGS,
)
IMAGES = fields({"type": st.just("DOCKER"), "docker": DOCKER}, portMappings=MAPPINGS)
CHECKS = some(
    fields(
        protocol=st.sampled_from(
            ["HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"]
        ),
        path=st.sampled_from(["/", "/ü?x=%20", ""]),
        portIndex=st.integers(0, 2),
        port=whole(1, 65535),
        command=fields({"value": TEXT}),
        gracePeriodSeconds=number(0, INT32),
        intervalSeconds=number(0.1, INT32),
        timeoutSeconds=number(0.001, INT32),
        delaySeconds=number(0, INT32),
        maxConsecutiveFailures=whole(0, INT32),
        ignoreHttp1xx=st.booleans(),
        ipProtocol=st.sampled_from(["IPv4", "IPv6"]),
    ),
    2,
)
CONSTRAINTS = some(
    st.sampled_from(
        [
            ["hostname", "UNIQUE"],
            ["hostname", "UNIQUE", ""],
            ["rack", "CLUSTER"],
            ["hostname", "CLUSTER", "host-0"],
            ["@zone", "GROUP_BY", str(INT32)],
            ["hostname", "GROUP_BY"],
            ["hostname", "MAX_PER", "2147483647"],
            ["hostname", "MAX_PER", "9" * 5000],
            ["hostname", "LIKE", "host-.*"],
            ["hostname", "UNLIKE", "(a+)+b"],
            ["hostname", "LIKE", "(?=x)"],
            ["rack", "IS", "1e308"],
            ["a\nb", "UNIQUE"],
        ]
    )
)
UNREACHABLE = st.just("disabled") | number(0, SECONDS).map(
    lambda s: {"inactiveAfterSeconds": s / 2, "expungeAfterSeconds": s}
)
OLD = {
    "ports": some(PORTS),
    "ipAddress": fields(
        labels=LABELS,
        networkName=NETWORK_NAMES | st.just("mesos-bridge"),
        groups=some(WORD),
        discovery=fields(ports=some(fields({"number": PORTS}, name=PORT_NAMES, labels=LABELS))),
    ),
    "uris": st.just([]),
    "storeUrls": JSON,
    "version": st.just("2015-02-27T17:26:51.000Z"),
    "versionInfo": JSON,
    "tasks": JSON,
    "executor": st.sampled_from(["", "//cmd"]),
}
OPTIONAL: dict[str, Strategy] = {
    "args": some(TEXT),
    "user": WORD,
    "env": st.dictionaries(
        st.from_regex(r"[^=\x00-\x1f\x7f\ud800-\udfff]{1,9}", fullmatch=True), TEXT
    ),
    "instances": whole(0, 3) | st.just(INT32),
    "cpus": number(0.001, 1e12) | st.just(0.1),
    "mem": number(0, 1e12),
    "disk": number(0, 1e12),
    "gpus": st.just(0),
    "constraints": CONSTRAINTS,
    "portDefinitions": some(fields(port=PORTS, protocol=PROTOCOLS, name=PORT_NAMES, labels=LABELS)),
    "requirePorts": st.booleans(),
    "networks": NETWORKS,
    "container": CONTAINERS | IMAGES,
    "healthChecks": CHECKS,
    "upgradeStrategy": fields(minimumHealthCapacity=number(0, 1), maximumOverCapacity=number(0, 1)),
    "labels": LABELS | st.just({"MARATHON_SINGLE_INSTANCE_APP": "true"}),
    "acceptedResourceRoles": some(st.sampled_from(["*", "web"])),
    "role": st.just("*"),
    "backoffSeconds": number(0, INT32),
    "backoffFactor": number(1, INT32),
    "maxLaunchDelaySeconds": number(0, INT32),
    "taskKillGracePeriodSeconds": number(0, SECONDS),
    "unreachableStrategy": UNREACHABLE,
    "killSelection": st.sampled_from(["YOUNGEST_FIRST", "OLDEST_FIRST"]),
}
COMMANDS = st.sampled_from(["sleep 1000", "echo $PORT0\n", "ü" * 9])

# A new app, and a change of one. At most 6 keys say something besides.
NEW = fields({"id": IDS, "cmd": COMMANDS}, **OPTIONAL, **OLD) | fields(
    {"id": IDS, "container": IMAGES}, **OPTIONAL, **OLD
)
CHANGE = fields(
    cmd=COMMANDS | st.none(), **OPTIONAL, **{k: v for k, v in OLD.items() if k != "version"}
)
ANYTHING = JSON | st.dictionaries(st.sampled_from(sorted({**OPTIONAL, **OLD, "id": None})), ODD)
