"""The values that do not convert by name: resources, attributes, domains, operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any, Final, Literal, cast

from mezzo.cluster.amounts import (
    MILLI,
    PARTS_MAX,
    SUM_MAX,
    Items,
    Ranges,
    Value,
    add,
    check_value,
    checked_milli,
    from_milli,
    is_scalar,
    to_milli,
)
from mezzo.cluster.model import (
    Attribute,
    AttributeConstraint,
    ExecutorInfo,
    FaultDomain,
    Filters,
    FrameworkInfo,
    Offer,
    OfferConstraints,
    Predicate,
    RoleConstraints,
    RoleOfferFilter,
    TaskInfo,
)
from mezzo.cluster.operations import (
    Conversion,
    Create,
    Destroy,
    GrowVolume,
    Launch,
    LaunchGroup,
    Operation,
    OtherOperation,
    Reserve,
    ShrinkVolume,
    Unreserve,
)
from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources
from mezzo.errors import BadRequest, Unencodable
from mezzo.messages.scheduler import Accept
from mezzo.record import replace
from mezzo.units import INT64_MAX, Finite, check, problem
from mezzo.wire.v1 import common_pb2 as pb

from .convert import Converter, Special, entries, no_record, text

_MILLI_MAX: Final = SUM_MAX * MILLI
# Looked up once: attributes of generated classes are slow.
_SCALAR: Final = pb.Value.SCALAR
_RANGES: Final = pb.Value.RANGES
_SET: Final = pb.Value.SET
_TEXT: Final = pb.Value.TEXT

# ---------------------------------------------------------------------------------- memory

_REMEMBERED: Final = 4096


def _remembered(put: Callable[[Any, Any], None], get: Callable[[Any], Any], up_to: int) -> Special:
    """The same pair, for values of which a few come again and again: frameworks, amounts.

    To merge or to take the bytes of a message is one call, where `put` and `get` need one or more
    for each field; and what is read twice is one object in memory. Bounded: in each direction the
    latest few thousand values of at most `up_to` bytes.
    """
    raws: dict[Any, bytes] = {}
    values: dict[bytes, Any] = {}

    def put_known(value: Any, out: Any) -> None:
        raw = raws.get(value)
        if raw is not None:
            out.MergeFromString(raw)
            return
        put(value, out)
        raw = out.SerializePartialToString()
        if len(raw) <= up_to:
            _remember(raws, value, raw)

    def get_known(message: Any) -> Any:
        raw = message.SerializePartialToString()
        value = values.get(raw)
        if value is None:
            value = get(message)
            if len(raw) <= up_to:
                _remember(values, raw, value)
        return value

    return Special(put_known, get_known)


def _remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()  # the few are soon back
    known[key] = value


# ---------------------------------------------------------------------------------- resources


def put_resources(resources: Resources, container: Any) -> None:
    """Append one Resource per kind, in the new form (`reservations`)."""
    for kind, value in resources.sorted_items():
        # Hardly two agents have the same ports free.
        often = isinstance(value, int) or len(value[0]) < 3
        put = _AMOUNT.put if often else _put_amount
        put((kind, value), container.add())


def put_resource(resources: Resources, out: Any) -> None:
    """Resources of one kind into one Resource."""
    (amount,) = resources.items()
    _put_amount(amount, out)


def _put_amount(amount: tuple[Kind, Value], out: Any) -> None:
    kind, value = amount
    out.name = kind.name
    _put_value(value, out)
    for reservation in kind.reservations:
        entry = out.reservations.add(
            type=pb.Resource.ReservationInfo.Type.Value(reservation.type),
            role=reservation.role,
        )
        if reservation.principal is not None:
            entry.principal = reservation.principal
        for label, its_value in reservation.labels:
            entry.labels.labels.add(key=label, value=its_value)
    if kind.disk is not None:
        _put_disk(kind.disk, out.disk)
    if kind.revocable:
        out.revocable.SetInParent()
    if kind.shared:
        out.shared.SetInParent()


def _put_value(value: Value, out: Any) -> None:
    if isinstance(value, Ranges):
        pairs = value.pairs
        # To ask the value itself costs as much as to write it.
        if pairs and (pairs[-1][1] > INT64_MAX or len(pairs) > PARTS_MAX):
            _sendable(out.name, value)
        out.type = _RANGES
        _put_ranges(pairs, out.ranges)
    elif isinstance(value, Items):
        _sendable(out.name, value)
        out.type = _SET
        out.set.item.extend(value.members)
    else:
        if not 0 <= value <= _MILLI_MAX:
            _sendable(out.name, value)
        out.type = _SCALAR
        out.scalar.value = from_milli(value)


def _sendable(name: str, value: Value) -> None:
    try:
        check_value(name, value)
    except BadRequest as error:
        raise Unencodable(f"can't be sent: {error}") from None


def _span(pairs: tuple[tuple[int, int], ...]) -> Ranges:
    """Ranges that are in bounds if `pairs`, in any order, are: as many, the ends at the ends."""
    numbers = [number for pair in pairs for number in pair]
    return Ranges(((min(numbers), max(numbers)),) * len(pairs)) if pairs else Ranges()


def _put_ranges(pairs: Iterable[tuple[int, int]], out: Any) -> None:
    add = out.range.add
    for begin, end in pairs:
        entry = add()
        entry.begin = begin
        entry.end = end


def _put_disk(disk: Disk, out: Any) -> None:
    if disk.source is not None:
        out.source.type = pb.Resource.DiskInfo.Source.Type.Value(disk.source.type)
        if disk.source.root is not None:
            place = out.source.path if disk.source.type == "PATH" else out.source.mount
            place.root = disk.source.root
        if disk.source.id is not None:
            out.source.id = disk.source.id
        if disk.source.profile is not None:
            out.source.profile = disk.source.profile
    if disk.persistence_id is not None:
        out.persistence.id = disk.persistence_id
        if disk.principal is not None:
            out.persistence.principal = disk.principal
    if disk.container_path is not None:
        out.volume.container_path = disk.container_path
        out.volume.mode = pb.Volume.RW


def get_resources(container: Any) -> Resources:
    """Read the new and the old form. Raises BadRequest, naming the resource."""
    amounts: dict[Kind, Value] = {}
    again: dict[Kind, list[Value]] = {}
    for entry in container[:]:  # a slice: to end an iteration costs as much as an entry
        kind, value = _AMOUNT.get(entry)
        if kind in amounts:
            again.setdefault(kind, [amounts[kind]]).append(value)
        else:
            amounts[kind] = value
    for kind, values in again.items():
        amounts[kind] = _sum(kind.name, values)
    return Resources(amounts)


def _sum(name: str, values: list[Value]) -> Value:
    """The sum of all entries at once: thousands of one kind may come, and to add ranges one by one
    would take a time that grows with the square. Raises BadRequest."""
    if all(map(is_scalar, values)):
        milli = sum(cast("list[int]", values))
        check_value(f"resource {name}", milli)
        # Beyond any machine's amount a double has no thousandths: what it will be when it is sent.
        total: Value = to_milli(from_milli(milli))
    elif all(isinstance(value, Ranges) for value in values):
        total = Ranges.of(pair for value in values for pair in cast("Ranges", value).pairs)
    elif all(isinstance(value, Items) for value in values):
        total = Items.of(member for value in values for member in cast("Items", value).members)
    else:
        total = add(values[0], next(each for each in values if type(each) is not type(values[0])))
    check_value(f"resource {name}", total)
    return total


def get_resource(entry: Any) -> Resources:
    """Read one Resource. Raises BadRequest if it has no amount."""
    resources = get_resources((entry,))
    if not resources:
        raise BadRequest(f"resource {entry.name} is nothing: give an amount above 0")
    return resources


def _get_value(entry: Any) -> Value:
    type_ = entry.type
    if type_ == _SCALAR:
        return checked_milli(f"resource {entry.name}", entry.scalar.value)
    if type_ == _RANGES:
        return Ranges.of([(r.begin, r.end) for r in entry.ranges.range[:]])
    if type_ == _SET:
        return Items.of(map(text, entry.set.item))
    raise BadRequest(f"resource {entry.name} has type TEXT: use SCALAR, RANGES or SET")


def _get_kind(entry: Any) -> Kind:
    has = entry.HasField
    return Kind(
        text(entry.name),
        _get_reservations(entry),
        _get_disk(entry.disk) if has("disk") else None,
        has("revocable"),
        has("shared"),
    )


def _get_amount(entry: Any) -> tuple[Kind, Value]:
    return _get_kind(entry), _get_value(entry)


_AMOUNT: Final = _remembered(_put_amount, _get_amount, up_to=64)


def _get_reservations(entry: Any) -> tuple[Reservation, ...]:
    if entry.reservations:
        return tuple(
            Reservation(_reservation_type(r), text(r.role), _principal(r), _labels(r))
            for r in entry.reservations
        )
    if entry.role == "*":
        return ()
    if entry.HasField("reservation"):  # the old form of a dynamic reservation
        old = entry.reservation
        return (Reservation("DYNAMIC", text(entry.role), _principal(old), _labels(old)),)
    return (Reservation("STATIC", text(entry.role)),)


def _reservation_type(entry: Any) -> Literal["STATIC", "DYNAMIC"]:
    return "STATIC" if entry.type == pb.Resource.ReservationInfo.STATIC else "DYNAMIC"


def _principal(entry: Any) -> str | None:
    return text(entry.principal) if entry.HasField("principal") else None


def _labels(entry: Any) -> tuple[tuple[str, str], ...]:
    return tuple((text(label.key), text(label.value)) for label in entry.labels.labels)


def _get_disk(disk: Any) -> Disk | None:
    source = None
    if disk.HasField("source"):
        raw = disk.source
        kind = pb.Resource.DiskInfo.Source.Type.Name(raw.type)
        if kind == "UNKNOWN":
            raise BadRequest("disk.source.type is UNKNOWN: use PATH, MOUNT, BLOCK or RAW")
        place = raw.path if kind == "PATH" else raw.mount
        source = DiskSource(
            cast("Literal['PATH', 'MOUNT', 'BLOCK', 'RAW']", kind),
            text(place.root) if place.HasField("root") else None,
            text(raw.id) if raw.HasField("id") else None,
            text(raw.profile) if raw.HasField("profile") else None,
        )
    persistent = disk.HasField("persistence")
    out = Disk(
        source,
        text(disk.persistence.id) if persistent else None,
        _principal(disk.persistence) if persistent else None,
        text(disk.volume.container_path) if disk.HasField("volume") else None,
    )
    return out if any(field is not None for field in out) else None


# ---------------------------------------------------------------------------------- the others


def _put_attribute(attribute: Attribute, out: Any) -> None:
    out.name = attribute.name
    if attribute.scalar is not None:
        if (why := problem(Finite, attribute.scalar)) is not None:
            raise Unencodable(f"{attribute.name} {why}")
        out.type = _SCALAR
        out.scalar.value = attribute.scalar
    elif attribute.ranges is not None:
        _sendable(attribute.name, _span(attribute.ranges))
        out.type = _RANGES
        _put_ranges(attribute.ranges, out.ranges)
    elif attribute.set is not None:
        out.type = _SET
        out.set.item.extend(attribute.set)
    else:
        out.type = _TEXT
        out.text.value = attribute.text or ""


def _get_attribute(entry: Any) -> Attribute:
    name = text(entry.name)
    if entry.type == _SCALAR:
        check(f"attribute {name}", Finite, entry.scalar.value)
        return Attribute(name, scalar=entry.scalar.value)
    if entry.type == _RANGES:
        pairs = tuple((r.begin, r.end) for r in entry.ranges.range[:])
        _span(pairs).check()
        return Attribute(name, ranges=pairs)
    if entry.type == _SET:
        return Attribute(name, set=tuple(map(text, entry.set.item)))
    return Attribute(name, text=text(entry.text.value))


_ENDLESS_S: Final = 1e12  # longer than any filter lasts


def _put_filters(filters: Filters, out: Any) -> None:
    if (why := problem(Finite, filters.refuse_seconds)) is not None:
        raise Unencodable(f"refuse_seconds {why}")
    out.refuse_seconds = filters.refuse_seconds


def _get_filters(message: Any) -> Filters:
    """What is no number is as good as nothing, and what is endless as a very long time: neither
    could be kept or shown."""
    asked_s = message.refuse_seconds
    if isfinite(asked_s):
        return Filters(asked_s)
    return Filters(_ENDLESS_S) if asked_s > 0 else Filters()


def _put_domain(domain: FaultDomain, out: Any) -> None:
    out.fault_domain.region.name = domain.region
    out.fault_domain.zone.name = domain.zone


def _get_domain(entry: Any) -> FaultDomain:
    domain = entry.fault_domain
    return FaultDomain(text(domain.region.name), text(domain.zone.name))


def _put_framework(framework: FrameworkInfo, out: Any) -> None:
    # The filters' dicts of amounts can't be remembered.
    put = _fill_framework if framework.offer_filters else _FRAMEWORK.put
    put(framework, out)


def _fill_framework(framework: FrameworkInfo, out: Any) -> None:
    CONVERTER.fill(framework, out)


def _read_framework(message: Any) -> FrameworkInfo:
    return CONVERTER.read(FrameworkInfo, message)


_FRAMEWORK: Final = _remembered(_fill_framework, _read_framework, up_to=1024)


def put_operation(operation: Operation, out: Any) -> None:
    """Each type has a body with the type's name in lower case. Raises Unencodable."""
    names = _OPERATION_NAMES.get(type(operation))
    if names is None and not isinstance(operation, OtherOperation):
        raise no_record(operation, out)
    if operation.id is not None:
        out.id.value = operation.id
    if isinstance(operation, OtherOperation):
        out.type = operation.type
        return
    assert names is not None
    out.type, field = names
    body = getattr(out, field)
    body.SetInParent()
    if isinstance(operation, LaunchGroup):
        CONVERTER.fill(operation.executor, body.executor)
        body.task_group.SetInParent()
        for task in operation.tasks:
            CONVERTER.fill(task, body.task_group.tasks.add())
    else:
        CONVERTER.fill(operation, body)


def get_operation(entry: Any) -> Operation:
    """Raises BadRequest for a known type without its body."""
    id_ = text(entry.id.value) if entry.HasField("id") else None
    name = _operation_name(entry.type)
    kind = _OPERATIONS.get(name)
    if kind is None:
        return OtherOperation(name, id_)
    field = name.lower()
    if not entry.HasField(field):
        raise BadRequest(f"operation {name} lacks its body: fill the field {field}")
    body = getattr(entry, field)
    if kind is LaunchGroup:
        return LaunchGroup(
            CONVERTER.read(ExecutorInfo, body.executor),
            tuple(CONVERTER.read(TaskInfo, task) for task in body.task_group.tasks),
            id_,
        )
    operation: Operation = CONVERTER.read(kind, body)
    return operation if id_ is None else replace(operation, id=id_)


def _put_offer_filters(filters: tuple[RoleOfferFilter, ...], container: Any) -> None:
    for entry in filters:
        sets = container[entry.role].min_allocatable_resources
        sets.SetInParent()
        for amounts in entry.min_allocatable:
            quantities = sets.quantities.add().quantities
            for name, milli in amounts.items():
                quantities[name].value = from_milli(milli)


def _get_offer_filters(container: Any) -> tuple[RoleOfferFilter, ...]:
    """A role without a minimum of its own has the flag's, and needs no entry."""
    return tuple(
        RoleOfferFilter(
            role,
            tuple(
                {
                    name: checked_milli(f"offer_filters: {name}", scalar.value)
                    for name, scalar in entries(quantities.quantities)
                }
                for quantities in entry.min_allocatable_resources.quantities
            ),
        )
        for role, entry in entries(container)
        if entry.HasField("min_allocatable_resources")
    )


def _put_constraints(constraints: OfferConstraints, out: Any) -> None:
    out.SetInParent()
    for entry in constraints.roles:
        groups = out.role_constraints[entry.role].groups
        for group in entry.groups:
            conditions = groups.add().attribute_constraints
            for condition in group:
                _put_condition(condition, conditions.add())


def _put_condition(condition: AttributeConstraint, out: Any) -> None:
    if condition.pseudo is not None:
        out.selector.pseudoattribute_type = _PSEUDO.Value(condition.pseudo)
    else:
        out.selector.attribute_name = condition.attribute or ""
    body = getattr(out.predicate, condition.predicate)
    body.SetInParent()
    if field := _PREDICATE_FIELDS.get(condition.predicate):
        setattr(body, field, condition.text)


def _get_constraints(message: Any) -> OfferConstraints:
    return OfferConstraints(
        tuple(
            RoleConstraints(
                role,
                tuple(
                    tuple(_get_condition(each) for each in group.attribute_constraints)
                    for group in entry.groups
                ),
            )
            for role, entry in entries(message.role_constraints)
        )
    )


def _get_condition(entry: Any) -> AttributeConstraint:
    name = entry.predicate.WhichOneof("predicate")
    which = entry.selector.WhichOneof("selector")
    if name is None or which is None:
        raise BadRequest("an attribute constraint lacks its selector or its predicate: give both")
    predicate = Predicate(name)
    field = _PREDICATE_FIELDS.get(predicate)
    return AttributeConstraint(
        predicate,
        text(entry.selector.attribute_name) if which == "attribute_name" else None,
        _PSEUDO.Name(entry.selector.pseudoattribute_type) if which != "attribute_name" else None,
        text(getattr(getattr(entry.predicate, name), field)) if field else "",
    )


_PSEUDO: Final = pb.AttributeConstraint.Selector.PseudoattributeType
_PREDICATE_FIELDS: Final = {
    Predicate.TEXT_EQUALS: "value",
    Predicate.TEXT_NOT_EQUALS: "value",
    Predicate.TEXT_MATCHES: "regex",
    Predicate.TEXT_NOT_MATCHES: "regex",
}
_OPERATIONS: Final[dict[str, type[Any]]] = {
    "LAUNCH": Launch,
    "LAUNCH_GROUP": LaunchGroup,
    "RESERVE": Reserve,
    "UNRESERVE": Unreserve,
    "CREATE": Create,
    "DESTROY": Destroy,
    "GROW_VOLUME": GrowVolume,
    "SHRINK_VOLUME": ShrinkVolume,
}
_OPERATION_NAMES: Final = {kind: (name, name.lower()) for name, kind in _OPERATIONS.items()}
_operation_name: Final = pb.Offer.Operation.Type.Name

CONVERTER: Final = Converter(
    specials={
        Resources: Special(put_resources, get_resources),
        Attribute: _remembered(_put_attribute, _get_attribute, up_to=128),
        Filters: Special(_put_filters, _get_filters),
        FaultDomain: _remembered(_put_domain, _get_domain, up_to=128),
        FrameworkInfo: Special(_put_framework, _FRAMEWORK.get),
        Operation: Special(put_operation, get_operation),
        Conversion: Special(put_operation, get_operation),
        tuple[RoleOfferFilter, ...]: Special(_put_offer_filters, _get_offer_filters),
        OfferConstraints: Special(_put_constraints, _get_constraints),
    },
    singles={Resources: Special(put_resource, get_resource)},
    renames={
        Offer: {"role": "allocation_info"},
        Accept: {"unreadable": None},
        **{kind: {"id": None} for kind in _OPERATIONS.values()},
    },
)
