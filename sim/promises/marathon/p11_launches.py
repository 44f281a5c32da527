"""Promise 11, each launch is as it was asked for: of all that Marathon says to a master.

Compared with the app as it is stored, and with what is to run of it at this moment:

- the task is the one that the definition describes, of the version that is wanted now;
- it takes what the definition says, where the offer gives it, and what is stored of it says so;
- no more run than are wanted, nor than an upgrade allows; constraints hold among them;
- offers are answered, each once; one that is used is used for what waits, within the limits.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final

from mezzo.cluster.amounts import Ranges, to_milli
from mezzo.cluster.model import Attribute, Offer, TaskInfo
from mezzo.cluster.operations import Launch
from mezzo.cluster.resources import Resources
from mezzo.marathon.effects import Call
from mezzo.marathon.events import MasterEvent
from mezzo.marathon.model.app import App, Constraint, Operator
from mezzo.messages.scheduler import Accept, Decline, Offers

from ...world.watched import Broken
from .marathon_books import UNREACHABLE, Reader, Seen, Step, given_up
from .p11_tasks import difference

_SCALARS: Final = ("cpus", "mem", "disk")
_PLAIN: Final = re.compile(r"[a-z0-9.|*-]{0,20}")


class LaunchesAreAsAsked(Reader):
    def __init__(self) -> None:
        self._used: list[tuple[Offer, tuple[TaskInfo, ...]]] = []
        self._was_wanted: dict[str, App | None] = {}

    def before(self, step: Step) -> None:
        """While the books are those of the moment at which the offers came."""
        self._used.clear()
        self._was_wanted.clear()
        event, term = step.event, step.term
        if not isinstance(event, MasterEvent) or not isinstance(event.event, Offers):
            return
        if not term.hears(event):
            return
        self._used += _answers(step, event.event.offers)
        for _, tasks in self._used:
            for task in tasks:
                app_id = _app_id(task)
                self._was_wanted[app_id] = term.wanted(app_id)

    def after(self, step: Step) -> None:
        if not self._used:
            return
        for offer, tasks in self._used:
            if len(tasks) > step.term.config.max_instances_per_offer:
                raise Broken(f"promise 11: {len(tasks)} instances are launched on one offer")
            left = offer.resources
            for task in tasks:
                if not task.resources <= left:
                    raise Broken(f"promise 11: {left} is left, {task.resources} is taken")
                self._look(step, offer, task, left)
                left = left - task.resources
        launched = Counter(_app_id(task) for _, tasks in self._used for task in tasks)
        if sum(launched.values()) != len(step.new):
            raise Broken(f"promise 11: {launched} are launched, {len(step.new)} are stored")
        for app_id in launched:
            app = self._was_wanted[app_id]
            if app is not None and step.term.knows(app_id):
                _no_more_than_wanted(step, app)

    def _look(self, step: Step, offer: Offer, task: TaskInfo, left: Resources) -> None:
        term, app_id = step.term, _app_id(task)
        seen = term.by_task(task.task_id)
        app = self._was_wanted[app_id]
        if seen is None or seen not in step.new or seen.record.app_id != app_id:
            raise Broken(f"promise 11: {task.task_id} is launched for {app_id}, and not stored")
        if app is None or seen.record.version_ms != app.version_ms:
            if not term.knows(app_id):
                return
            wanted = None if app is None else app.version_ms
            raise Broken(
                f"promise 11: {task.task_id} is of version {seen.record.version_ms}, wanted is "
                f"{wanted}"
            )
        _record_is_right(step, app, seen, offer)
        if why := difference(app, seen.record, task, term.config.env_vars_prefix):
            raise Broken(f"promise 11: {task.task_id}: {why}")
        if why := _taken(app, seen, task, left):
            raise Broken(f"promise 11: {task.task_id} of {app_id}: {why}")
        if why := _constraint_broken(step, app, seen, offer):
            raise Broken(f"promise 11: {task.task_id} is launched on {offer.hostname}, but {why}")


def _app_id(task: TaskInfo) -> str:
    """By the name of the task, which is the path backwards."""
    return "/" + "/".join(task.name.split(".")[::-1])


def _answers(step: Step, offers: tuple[Offer, ...]) -> list[tuple[Offer, tuple[TaskInfo, ...]]]:
    """All offers are answered, once, to the master that they came from."""
    left = {offer.id: offer for offer in offers}
    used = []
    for effect in step.output.effects:
        if not isinstance(effect, Call) or not isinstance(effect.call, Accept | Decline):
            continue
        call = effect.call
        for offer_id in call.offer_ids:
            offer = left.pop(offer_id, None)
            if offer is None or effect.conn != step.event.conn:
                raise Broken(f"promise 11: {offer_id} is answered, which was not offered now")
        refuse_s = call.filters.refuse_seconds if call.filters is not None else None
        if isinstance(call, Accept):
            assert offer is not None
            if len(call.offer_ids) != 1 or refuse_s != 0.0:
                raise Broken(
                    f"promise 11: one offer is used at a time, its rest is welcome: {call}"
                )
            tasks = tuple(
                task
                for operation in call.operations
                if isinstance(operation, Launch)
                for task in operation.task_infos
            )
            if not tasks:
                raise Broken(f"promise 11: {offer_id} is accepted for nothing")
            used.append((offer, tasks))
        elif refuse_s is None or not 0.0 <= refuse_s <= step.term.config.decline_offer_s:
            raise Broken(f"promise 11: offers are declined for {refuse_s} s")
    if left:
        raise Broken(f"promise 11: {list(left)} are not answered")
    return used


def _record_is_right(step: Step, app: App, seen: Seen, offer: Offer) -> None:
    record, domain = seen.record, offer.domain
    have = (
        record.config_ms,
        record.agent_id,
        record.host,
        record.staged_s,
        record.role,
        record.region,
        record.zone,
        record.attributes,
        record.doomed,
    )
    right = (
        app.last_config_change_ms,
        offer.agent_id,
        offer.hostname,
        step.now.wall_s,
        offer.role,
        domain.region if domain is not None else None,
        domain.zone if domain is not None else None,
        offer.attributes,
        False,
    )
    if have != right:
        raise Broken(f"promise 11: of {record.id} is stored {have}, right were {right}")
    if why := _ports_wrong(app, seen):
        raise Broken(f"promise 11: {record.id} has {why}")


def _ports_wrong(app: App, seen: Seen) -> str:
    """Asked for by number, or any; each other one only once. Inside as the definition says."""
    host, inside = seen.record.host_ports, seen.record.container_ports
    if app.networks[0].mode.value == "host":
        asked = [d.port if app.require_ports else 0 for d in app.port_definitions or ()]
        if list(inside) != list(host) or len(host) != len(asked):
            return f"ports {host} on its host and {inside} inside"
    else:
        mappings = (app.container.port_mappings or ()) if app.container is not None else ()
        asked = [mapping.host_port for mapping in mappings]  # type: ignore[misc]
        if len(host) != len(asked) or len(inside) != len(asked):
            return f"ports {host} and {inside} for {len(asked)} mappings"
        for index, (mapping, outer, inner) in enumerate(zip(mappings, host, inside, strict=True)):
            if inner != (mapping.container_port or outer or 1025 + index):
                return f"port {inner} inside for {mapping}"
    for number, got in zip(asked, host, strict=True):
        if (number is None) != (got is None) or (number and number != got):
            return f"host ports {host}, asked for were {asked}"
    drawn = [got for number, got in zip(asked, host, strict=True) if number == 0]
    given = {number for number in asked if number}
    if len({*drawn}) != len(drawn) or given & {*drawn}:
        return f"a port twice: {host}"
    return ""


def _taken(app: App, seen: Seen, task: TaskInfo, left: Resources) -> str:
    """A launch takes exactly what was asked for, of the app's roles: reserved resources first."""
    roles = app.accepted_resource_roles or (app.role, "*")
    for name, amount in zip(_SCALARS, (app.cpus, app.mem, app.disk), strict=True):
        if task.resources.milli(name) != to_milli(amount):
            return f"it takes {task.resources.milli(name)} of {name}, asked for was {amount}"
    ports: set[int] = set()
    for kind, value in task.resources.items():
        if kind.role not in roles or kind.disk is not None or kind.revocable or kind.shared:
            return f"it takes {kind}, its roles are {roles}"
        if kind.name == "ports":
            assert isinstance(value, Ranges)
            ports |= {n for low, high in value.pairs for n in range(low, high + 1)}
        elif kind.name not in _SCALARS:
            return f"it takes {kind}"
        elif kind.role == "*":
            for other, there in left.items():
                own = other.name == kind.name and other.role in roles and other.role != "*"
                if own and other.disk is None and task.resources.get(other) != there:
                    return f"it takes {kind}, though {other} is left"
    if ports != {port for port in seen.record.host_ports if port is not None}:
        return f"it takes the ports {ports}, and has {seen.record.host_ports}"
    return ""


# ---------------------------------------------------------------------------------- how many


def _no_more_than_wanted(step: Step, app: App) -> None:
    """Spec 6.3 and 8.3. Who may have been given up at this moment counts as if it were."""
    term = step.term
    there = [seen for seen in term.of(app.id) if given_up(seen, step.now) is False]
    active = [seen for seen in there if not seen.record.doomed]
    single = app.labels.get("MARATHON_SINGLE_INSTANCE_APP") == "true"
    if not term.restarts(app.id):
        count = len(there if single else active)
        if count > app.instances:
            raise Broken(f"promise 11: {count} of {app.id} run, wanted are {app.instances}")
        return
    new = [seen for seen in active if seen.record.config_ms == app.last_config_change_ms]
    if len(new) > app.instances:
        raise Broken(f"promise 11: {len(new)} new ones of {app.id}, wanted are {app.instances}")
    n, strategy = app.instances, app.upgrade_strategy
    most = math.floor(n * (1 + strategy.maximum_over_capacity))
    if most == math.ceil(n * strategy.minimum_health_capacity):
        most += 1
    if len(there) > most:
        raise Broken(
            f"promise 11: {len(there)} of {app.id} run while it is upgraded, at most {most} may"
        )


# ---------------------------------------------------------------------------------- constraints


def _constraint_broken(step: Step, app: App, seen: Seen, offer: Offer) -> str:
    """The first that this launch breaks. seen: what was launched; those after it don't count."""
    if not app.constraints:
        return ""
    term = step.term
    later = step.new[step.new.index(seen) :]
    peers = [
        peer
        for peer in term.of(app.id)
        if peer.record.config_ms == app.last_config_change_ms and peer not in later
    ]
    sure = [peer for peer in peers if given_up(peer, step.now) is False]
    if any(peer.condition == UNREACHABLE for peer in peers):
        peers = []  # whether they count is told elsewhere: what can be said without them
    for constraint in app.constraints:
        if not _holds(constraint, seen, sure, len(peers) == len(sure), app.instances):
            return f"there {constraint} does not hold, beside {[p.record.host for p in sure]}"
    return ""


def value_at(field: str, seen: Seen) -> str | None:
    record = seen.record
    if field in ("hostname", "@hostname"):
        return record.host
    if field in ("@region", "@zone"):
        return record.region if field == "@region" else record.zone
    return next((_text(a) for a in record.attributes if a.name == field), None)


def _text(attribute: Attribute) -> str:
    return attribute.text if attribute.text is not None else attribute.shown


def _holds(
    constraint: Constraint, seen: Seen, peers: list[Seen], sure: bool, instances: int
) -> bool:
    """Spec 9. sure: all that count are in `peers`; else only what more of them could not mend."""
    value, wanted = value_at(constraint.field, seen), constraint.value
    if value is None:
        return constraint.operator is Operator.UNLIKE
    found = [v for peer in peers if (v := value_at(constraint.field, peer)) is not None]
    match constraint.operator:
        case Operator.UNIQUE:
            return value not in found
        case Operator.MAX_PER:
            return found.count(value) < int(wanted or 0)
        case Operator.CLUSTER:
            return value == wanted if wanted else (not sure or {*found} <= {value})
        case Operator.LIKE | Operator.UNLIKE:
            if _PLAIN.fullmatch(wanted or "") is None:
                return True  # may be read in another way, or for ever, by another library
            matches = re.fullmatch(wanted or "", value) is not None
            return matches is (constraint.operator is Operator.LIKE)
        case Operator.IS:
            return value == wanted or _same_number(value, wanted or "")
        case Operator.GROUP_BY:
            return not sure or _evenly(value, found, wanted, instances)


def _same_number(a: str, b: str) -> bool:
    try:
        return round(float(a), 3) == round(float(b), 3)
    except ValueError:
        return False


def _evenly(value: str, found: list[str], wanted: str | None, instances: int) -> bool:
    """With k groups each holds n div k, and n mod k of them one more."""
    there = Counter(found)
    if wanted and value not in there:
        return len(there) < int(wanted)
    groups = int(wanted) if wanted else len({*there, value})
    there[value] += 1
    share, more = divmod(instances, groups)
    over = sum(1 for group, count in there.items() if count > share)
    return there[value] <= share or (there[value] == share + 1 and over <= more)
