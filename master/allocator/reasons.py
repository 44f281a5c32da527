"""Why an agent is, or is not, offered to a framework in a role: every reason, from the books.

Nothing is recorded while offers are made: the answer is computed when somebody asks, from what is
true then, by the same rules by which offers are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from mezzo.cluster.amounts import Thousandths, from_milli
from mezzo.cluster.resources import Resources

from .agent_books import NOTHING, Agent, is_for
from .books import Books
from .demand import missing
from .nodes import ClientNode, Node
from .offer_constraints import describe
from .quantities import cut, measure, nonzero, quantity

AHEAD_SHOWN = 5


class Veto(StrEnum):
    """The kinds of reasons."""

    NOT_CONNECTED = "NOT_CONNECTED"
    SUPPRESSED = "SUPPRESSED"
    PAUSED = "PAUSED"
    AGENT_INACTIVE = "AGENT_INACTIVE"
    WHITELIST = "WHITELIST"
    GPU = "GPU"
    REGION = "REGION"
    CONSTRAINT = "CONSTRAINT"
    OFFERED = "OFFERED"  # to others, who have not answered
    RESERVED = "RESERVED"  # to another role
    REVOCABLE = "REVOCABLE"
    CAPABILITY = "CAPABILITY"  # shared volumes, refined reservations
    QUOTA_LIMIT = "QUOTA_LIMIT"
    HEADROOM = "HEADROOM"  # kept for others' guarantees
    FILTERED = "FILTERED"  # refused by the framework
    TOO_SMALL = "TOO_SMALL"
    DEMAND = "DEMAND"  # declared demand is met, or no shape fits
    SHARE = "SHARE"  # others are served before it


# With these it does not matter what is free.
_FORBIDS = (
    Veto.NOT_CONNECTED,
    Veto.SUPPRESSED,
    Veto.PAUSED,
    Veto.AGENT_INACTIVE,
    Veto.WHITELIST,
)


class Objection(NamedTuple):
    """One reason. `change`: what would make it go away; `until_s`: when it does by itself."""

    veto: Veto
    wanted: str
    have: str
    change: str
    until_s: float | None = None


class Verdict(NamedTuple):
    """offered: what the client is offered of the agent now. offerable: what the next cycle may
    offer it, unless somebody before it in the order takes it. counters: of the client, everywhere.
    """

    offered: Resources
    offerable: Resources
    objections: tuple[Objection, ...]
    counters: Mapping[str, int]


def explain(
    books: Books, client: ClientNode, agent: Agent, now_s: float, *, paused: bool
) -> Verdict:
    objections = [
        *_of_the_framework(books, client),
        *_of_the_agent(books, client, agent, paused=paused),
        *_of_what_is_free(books, client, agent, now_s),
    ]
    counters = client.counters
    part = None
    if not any(each.veto in _FORBIDS for each in objections):
        part = books.assess(client, agent, agent.free)
        objections += _turn(books, client, agent)
    return Verdict(
        agent.offered.get(client, NOTHING),
        NOTHING if part is None else part[0],
        tuple(objections),
        {
            "offered": counters.granted,
            "used": counters.used,
            "declined": counters.declined,
            "withdrawn": counters.withdrawn,
            "outstanding": client.offers,
            "refusals": client.refusals,
        },
    )


# ---------------------------------------------------------------------------------- who and where


def _of_the_framework(books: Books, client: ClientNode) -> Iterator[Objection]:
    if not client.connected:
        yield Objection(
            Veto.NOT_CONNECTED,
            "a connected framework",
            "it is disconnected" if client.terms.roles else "it is not subscribed in the role",
            "it has to subscribe in the role",
        )
    elif not client.open:
        yield Objection(
            Veto.SUPPRESSED, "offers", "it suppressed them in the role", "it has to revive"
        )


def _of_the_agent(
    books: Books, client: ClientNode, agent: Agent, *, paused: bool
) -> Iterator[Objection]:
    terms, domain = client.terms, agent.terms.domain
    if paused:
        yield Objection(
            Veto.PAUSED,
            "allocation",
            "it is paused after a failover, because quotas are set",
            "more agents have to come back",
        )
    if not agent.active:
        yield Objection(
            Veto.AGENT_INACTIVE,
            "an active agent",
            "it is disconnected, draining or deactivated",
            "it has to come back or to be reactivated",
        )
    if not agent.listed:
        yield Objection(
            Veto.WHITELIST,
            "a host on the whitelist",
            agent.terms.hostname,
            "an operator has to put the host on the whitelist",
        )
    if agent.has_gpus and books.config.filter_gpu_resources and not terms.gpus:
        yield Objection(
            Veto.GPU,
            "the capability GPU_RESOURCES",
            f"an agent with {_amounts({'gpus': agent.total.milli('gpus')})}",
            "the framework has to subscribe with the capability",
        )
    if agent.remote and not terms.region_aware and domain is not None:
        yield Objection(
            Veto.REGION,
            f"an agent of the master's region {books.config.region}",
            f"region {domain.region}",
            "the framework has to subscribe with the capability REGION_AWARE",
        )
    constraints = terms.constraints.get(client.role)
    for failing in constraints.failing(agent.terms) if constraints is not None else ():
        found = next((a for a in agent.terms.attributes if a.name == failing.attribute), None)
        has = agent.terms.hostname if failing.pseudo == "HOSTNAME" else "no such attribute"
        if found is not None:
            has = found.shown
        elif failing.pseudo in ("REGION", "ZONE") and domain is not None:
            has = domain.region if failing.pseudo == "REGION" else domain.zone
        yield Objection(
            Veto.CONSTRAINT,
            describe(failing),
            has,
            "the framework has to change its offer constraints, or the agent its attributes",
        )


# ---------------------------------------------------------------------------------- what is free


def _of_what_is_free(
    books: Books, client: ClientNode, agent: Agent, now_s: float
) -> Iterator[Objection]:
    yield from _offered_to_others(books, client, agent, now_s)
    yield from _hidden(client, agent)
    seen = agent.view(client.role, client.terms, agent.free)
    part = seen
    limits = books.quotas.limit_left(client.top)
    if (cut_part := cut(part, limits)) is not part:
        quota = books.quotas.quota(client.top)
        assert quota is not None
        names = _differing(part, cut_part)
        yield Objection(
            Veto.QUOTA_LIMIT,
            _amounts({name: quantity(part, name) for name in names}),
            f"{_amounts({n: limits[n] for n in names})} left of role {client.top}'s limit of "
            f"{_amounts({n: quota.limits[n] for n in names})}",
            "a task of the role has to end, or an operator to raise the limit",
        )
        part = cut_part
    headroom = books.quotas.headroom_left(client.top)
    if (cut_part := cut(part, headroom)) is not part:
        names = _differing(part, cut_part)
        kept = {
            role: {n: a for n, a in unmet.items() if n in names}
            for role in books.quotas.roles()
            if role != client.top and (unmet := books.quotas.unmet(role))
        }
        yield Objection(
            Veto.HEADROOM,
            _amounts({name: quantity(part, name) for name in names}),
            f"{_amounts({n: headroom[n] for n in names})} beyond what is guaranteed to "
            + ", ".join(f"{role} ({_amounts(unmet)})" for role, unmet in kept.items() if unmet),
            "those roles have to use their guarantees, or more has to come free",
        )
        part = cut_part
    yield from _too_small(client, seen, part) if client.wishes is None else _demand(client, part)
    yield from _refused(client, agent)


def _offered_to_others(
    books: Books, client: ClientNode, agent: Agent, now_s: float
) -> Iterator[Objection]:
    for other, resources in agent.offered.items():
        if other is not client:
            since_s = books.offered_s[(other, agent)]
            yield Objection(
                Veto.OFFERED,
                str(agent.view(client.role, client.terms, agent.total)) or "nothing of this agent",
                f"{resources} offered to {_who(other)} for {now_s - since_s:.1f} s",
                "it has to answer its offer",
            )


def _hidden(client: ClientNode, agent: Agent) -> Iterator[Objection]:
    """What is free, yet not for this framework."""
    terms = client.terms
    for kind, value in agent.free.items():
        amount = str(Resources({kind: value}))
        if not is_for(kind, client.role):
            yield Objection(
                Veto.RESERVED,
                f"{kind.name} for role {client.role}",
                f"{amount} is reserved to role {kind.role}",
                f"it has to be unreserved, or the framework to subscribe in role {kind.role}",
            )
        elif kind.revocable and not terms.revocable:
            yield Objection(
                Veto.REVOCABLE,
                "the capability REVOCABLE_RESOURCES",
                f"{amount} is revocable",
                "the framework has to subscribe with the capability",
            )
        elif (kind.shared and not terms.shared) or (
            len(kind.reservations) > 1 and not terms.reservation_refinement
        ):
            name = "SHARED_RESOURCES" if kind.shared else "RESERVATION_REFINEMENT"
            yield Objection(
                Veto.CAPABILITY,
                f"the capability {name}",
                f"{amount} needs it",
                "the framework has to subscribe with the capability",
            )


def _demand(client: ClientNode, part: Resources) -> Iterator[Objection]:
    wishes = client.wishes
    assert wishes is not None
    if not wishes.any_open:
        pending = sum(wish.pending for wish in wishes.wishes)
        yield Objection(
            Veto.DEMAND,
            "open demand",
            f"all that was declared is used or offered ({pending} units are offered)",
            "the framework has to declare more, or to answer its offers",
        )
    elif wishes.unit(part) is None:
        shape, lack = min(
            ((w.shape, missing(part, w.shape)) for w in wishes.wishes if w.open),
            key=lambda each: len(each[1]),
        )
        yield Objection(
            Veto.DEMAND,
            _amounts(shape),
            f"{part or 'nothing'} free; {_amounts(lack)} missing",
            "more has to come free on the agent, or the shape to be smaller",
        )


def _too_small(client: ClientNode, seen: Resources, part: Resources) -> Iterator[Objection]:
    """`seen`: what is visible; `part`: what quota leaves of it, which is said elsewhere."""
    floors = client.floors
    if floors.met_by(part) or (seen is not part and floors.met_by(seen)):
        return
    lack = _nearest_miss(client, part)
    yield Objection(
        Veto.TOO_SMALL,
        " or ".join(_amounts({kind.name: a for kind, a in each}) for each in floors.sets)
        or "anything",
        f"{part or 'nothing'} free" + (f"; {_amounts(lack)} missing" if lack else ""),
        "a task on the agent has to end",
    )


def _refused(client: ClientNode, agent: Agent) -> Iterator[Objection]:
    """Refusals of what is free; if nothing is, of what would be if others gave their part back."""
    seen = agent.view(client.role, client.terms, agent.free)
    if not seen:
        seen = agent.view(client.role, client.terms, _could_be_free(client, agent))
    part = seen
    if client.wishes is not None and (unit := client.wishes.unit(seen)) is not None:
        part = unit[1]
    for refusal in agent.refusals.get(client, ()):
        if part and part <= refusal.resources:
            yield Objection(
                Veto.FILTERED,
                str(part),
                f"it refused {refusal.resources}",
                "the framework has to revive, or more to come free on the agent",
                refusal.until_s,
            )


def _could_be_free(client: ClientNode, agent: Agent) -> Resources:
    """What would be free if the others gave back what they are offered."""
    others = (held for other, held in agent.offered.items() if other is not client)
    return Resources.total([agent.free, *others])


def _nearest_miss(client: ClientNode, part: Resources) -> dict[str, Thousandths]:
    """What is lacking of the minimum that is nearest."""
    lacks = [
        {k.name: lack for k, amount in s if (lack := amount - quantity(part, k.name)) > 0}
        for s in client.floors.sets
    ]
    return min(lacks, key=lambda lack: (len(lack), sum(lack.values())), default={})


# ---------------------------------------------------------------------------------- whose turn


def _turn(books: Books, client: ClientNode, agent: Agent) -> Iterator[Objection]:
    """Clients that are served first, of what is free or would be if others gave it back."""
    pot = _could_be_free(client, agent)
    if books.assess(client, agent, pot) is None:
        return
    ahead = [
        other
        for other in _before(books, books.tree.root, client)
        if books.assess(other, agent, pot) is not None
    ]
    if not ahead:
        return
    shown = ", ".join(_standing(books, other) for other in ahead[:AHEAD_SHOWN])
    more = f" and {len(ahead) - AHEAD_SHOWN} more" if len(ahead) > AHEAD_SHOWN else ""
    yield Objection(
        Veto.SHARE,
        _standing(books, client),
        f"before it: {shown}{more}",
        "they are served first; a higher weight of its role moves it forward",
    )


def _before(books: Books, node: Node, client: ClientNode) -> Iterator[ClientNode]:
    """The clients that are served before this one."""
    for *_, child in books.tree.order(node):
        if child is client:
            return
        if isinstance(child, ClientNode):
            yield child
        else:
            yield from _before(books, child, client)
            if _is_below(client, child):
                return


def _is_below(client: ClientNode, node: Node) -> bool:
    at: Node | None = client
    while at is not None and at is not node:
        at = at.parent
    return at is node


def _standing(books: Books, client: ClientNode) -> str:
    """The shares by which the client is compared, from its top-level role on."""
    levels: list[str] = []
    at: Node = client
    while at.parent is not None:
        name = client.terms.name if at is client else f"role {at.path}"
        if at.name != ".":
            weight = f" / weight {at.weight:g}" if at.weight != 1 else ""
            levels.insert(0, f"{name} {books.tree.share(at):.4f}{weight}")
        at = at.parent
    return " > ".join(levels)


def _who(client: ClientNode) -> str:
    return f"{client.terms.name or client.key[0]} in role {client.role}"


# ---------------------------------------------------------------------------------- words


def _differing(whole: Resources, part: Resources) -> list[str]:
    before, after = measure(whole).all, measure(part).all
    return [name for name, amount in before.items() if amount != after.get(name, 0)]


def _amounts(amounts: Mapping[str, Thousandths]) -> str:
    """`1.5 cpus, 512 mem`."""
    parts = [f"{from_milli(amount):g} {name}" for name, amount in nonzero(amounts).items()]
    return ", ".join(parts) or "0"
