"""The wire vocabulary: what is committed is what the .proto files say, and Mesos clients agree.

The golden numbers are facts of the Mesos v1 API (include/mesos/v1): a client has them compiled in.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import EncodeError, Message

from mezzo.wire.v1 import common_pb2, executor_pb2, operator_pb2, scheduler_pb2

ROOT = Path(__file__).resolve().parents[2]
WIRE = ROOT / "mezzo" / "wire"


def make_protos(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "make-protos"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def generated(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*_pb2*.py*")}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of nothing but the script and one .proto file."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "make-protos", tmp_path / "scripts")
    protos = tmp_path / "protos" / "mezzo" / "v1"
    protos.mkdir(parents=True)
    (protos / "ping.proto").write_text(
        'syntax = "proto2";\npackage mezzo.v1;\nmessage Ping { optional string text = 1; }\n'
    )
    return tmp_path


# ---- generation


def test_the_committed_code_is_what_the_protos_generate(tmp_path: Path) -> None:
    done = make_protos(ROOT, str(tmp_path))
    assert done.returncode == 0, done.stderr
    fresh, committed = generated(tmp_path), generated(WIRE / "v1")
    assert sorted(fresh) == sorted(committed), "run `make protos` and commit mezzo/wire/v1"
    stale = [name for name in fresh if fresh[name] != committed[name]]
    assert stale == [], "run `make protos` and commit mezzo/wire/v1"


def test_each_generated_file_says_where_it_comes_from() -> None:
    for name, text in generated(WIRE / "v1").items():
        source = name.split("_pb2")[0]
        first = text.decode().splitlines()[0]
        assert f"protos/mezzo/v1/{source}.proto by `make protos`" in first, name


def test_a_message_without_a_service_gets_no_grpc_module(checkout: Path) -> None:
    assert make_protos(checkout).returncode == 0
    assert sorted(generated(checkout / "mezzo/wire/v1")) == ["ping_pb2.py", "ping_pb2.pyi"]


def test_a_proto_that_does_not_compile_leaves_the_generated_code_alone(checkout: Path) -> None:
    make_protos(checkout)
    before = generated(checkout / "mezzo/wire/v1")
    (checkout / "protos/mezzo/v1/broken.proto").write_text('syntax = "proto2";\nmessage {\n')
    refused = make_protos(checkout)
    assert refused.returncode != 0
    assert "broken.proto:2" in refused.stderr
    assert generated(checkout / "mezzo/wire/v1") == before


def test_the_modules_of_a_renamed_proto_are_replaced(checkout: Path) -> None:
    make_protos(checkout)
    protos = checkout / "protos/mezzo/v1"
    (protos / "ping.proto").rename(protos / "pong.proto")
    make_protos(checkout)
    assert sorted(generated(checkout / "mezzo/wire/v1")) == ["pong_pb2.py", "pong_pb2.pyi"]


# ---- who may import it


def pb2_imports(source: str) -> list[str]:
    """The generated message modules that a Python source imports, in whichever way it does."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or "", *(alias.name for alias in node.names)]
    return [name for name in found if any(part.endswith("_pb2") for part in name.split("."))]


def package_files() -> Iterator[Path]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for folder in config["tool"]["setuptools"]["package-dir"].values():
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_nothing_outside_wire_imports_generated_messages() -> None:
    outside = [path for path in package_files() if not path.is_relative_to(WIRE)]
    assert outside
    offenders = {str(path.relative_to(ROOT)): pb2_imports(path.read_text()) for path in outside}
    assert {path: names for path, names in offenders.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import mezzo.wire.v1.common_pb2",
        "from mezzo.wire.v1 import common_pb2 as pb",
        "from mezzo.wire.v1.common_pb2 import Offer",
        "def f() -> None:\n    from ..wire.v1 import common_pb2",
    ],
)
def test_every_way_to_import_generated_messages_is_noticed(source: str) -> None:
    assert pb2_imports(source)


def test_importing_the_conversions_is_allowed() -> None:
    assert pb2_imports("from mezzo.wire import offers\nimport mezzo.wire.scheduler") == []


# ---- facts that clients have compiled in


@pytest.mark.parametrize(
    ("message", "field", "number"),
    [
        (common_pb2.TaskInfo, "task_id", 2),
        (common_pb2.TaskInfo, "limits", 15),
        (common_pb2.Offer, "resources", 5),
        (common_pb2.Offer, "allocation_info", 10),
        (common_pb2.Resource, "reservations", 13),
        (common_pb2.FrameworkInfo, "roles", 12),
        (common_pb2.TaskStatus, "uuid", 11),
        (scheduler_pb2.Call, "type", 2),
        (scheduler_pb2.Call, "accept", 4),
        (scheduler_pb2.Call, "update_framework", 19),
        (scheduler_pb2.Event, "update_operation_status", 11),
        (scheduler_pb2.Event, "epoch", 1000),
        (executor_pb2.Call, "update", 5),
        (executor_pb2.Event, "launch_group", 8),
        (operator_pb2.Call, "drain_agent", 21),
        (operator_pb2.Response, "get_state", 9),
        (operator_pb2.Response, "sequence", 1000),
        (operator_pb2.Event, "framework_removed", 9),
        (operator_pb2.Event, "sequence", 1000),
        (operator_pb2.Event, "epoch", 1001),
    ],
)
def test_a_field_keeps_its_number(message: type[Message], field: str, number: int) -> None:
    assert message.DESCRIPTOR.fields_by_name[field].number == number


@pytest.mark.parametrize(
    ("actual", "number"),
    [
        (common_pb2.TASK_STAGING, 6),
        (common_pb2.TASK_RUNNING, 1),
        (common_pb2.TASK_UNREACHABLE, 10),
        (common_pb2.TaskStatus.REASON_RECONCILIATION, 9),
        (common_pb2.TaskStatus.SOURCE_EXECUTOR, 2),
        (common_pb2.Offer.Operation.LAUNCH_GROUP, 6),
        (scheduler_pb2.Call.ACCEPT, 3),
        (scheduler_pb2.Call.SUPPRESS, 12),
        (scheduler_pb2.Event.HEARTBEAT, 8),
        (executor_pb2.Event.LAUNCH_GROUP, 8),
        (operator_pb2.Call.UPDATE_QUOTA, 36),
        (operator_pb2.Response.GET_QUOTA, 18),
    ],
)
def test_an_enum_value_keeps_its_number(actual: int, number: int) -> None:
    assert actual == number


def test_an_accept_call_has_the_bytes_that_mesos_clients_send() -> None:
    call = scheduler_pb2.Call(
        type=scheduler_pb2.Call.ACCEPT,
        framework_id=common_pb2.FrameworkID(value="f"),
        accept=scheduler_pb2.Call.Accept(
            offer_ids=[common_pb2.OfferID(value="o")],
            filters=common_pb2.Filters(refuse_seconds=1.0),
        ),
    )
    # framework_id {value: "f"}, type 3, accept {offer_ids {value: "o"}, filters {1.0}}
    expected = "0a03 0a0166  1003  2210 0a03 0a016f  1a09 09000000000000f03f"
    assert call.SerializeToString(deterministic=True) == bytes.fromhex(expected)


def test_defaults_are_those_of_mesos() -> None:
    assert common_pb2.Filters().refuse_seconds == 5.0
    assert common_pb2.CommandInfo().shell is True
    assert common_pb2.FrameworkInfo().role == "*"
    assert common_pb2.MasterInfo().port == 5050
    assert common_pb2.HealthCheck().consecutive_failures == 3
    # In proto2 an unset enum reads as the value that is listed first, not as 0.
    assert common_pb2.TaskStatus().state == common_pb2.TASK_STAGING


def test_a_task_without_its_agent_is_incomplete() -> None:
    task = common_pb2.TaskInfo(name="t", task_id=common_pb2.TaskID(value="t"))
    with pytest.raises(EncodeError, match="agent_id"):
        task.SerializeToString()


@pytest.mark.parametrize("event", [scheduler_pb2.Event, executor_pb2.Event, operator_pb2.Event])
def test_the_body_of_an_event_is_named_as_its_type_in_lower_case(event: type[Message]) -> None:
    """Clients find the body by that rule alone."""
    bodiless = {"UNKNOWN", "HEARTBEAT", "SHUTDOWN"}
    types = {value.name for value in event.DESCRIPTOR.enum_types_by_name["Type"].values} - bodiless
    assert types
    assert {name.lower() for name in types} <= set(event.DESCRIPTOR.fields_by_name)
