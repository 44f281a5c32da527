"""Promise 7: no framework is offered an agent that it does not want, by its offer constraints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from mezzo.cluster.model import AttributeConstraint, Offer
from mezzo.core import Output

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from .offered import offered

_PLAIN: Final = re.compile(r"([a-z0-9.]|\[[0-9]-[0-9]\]|\.\*){0,20}")


class ConstraintsAreKept(Watch):
    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        for framework, offers in offered(master, output):
            if framework.constraints is not None:
                for each in framework.constraints.roles:
                    _look(master, each.role, each.groups, offers)


def _look(
    master: VirtualMaster,
    role: str,
    groups: Iterable[Iterable[AttributeConstraint]],
    offers: Iterable[Offer],
) -> None:
    for offer in offers:
        wanted = any(all(_holds(each, offer) for each in group) for group in groups)
        if offer.role == role and not wanted:
            raise Broken(
                f"promise 7: {master.name} offers {offer.hostname} in role {role}, with "
                f"{offer.attributes}, wanted is {groups}"
            )


def _holds(condition: AttributeConstraint, offer: Offer) -> bool:
    """Of an attribute that is no text only its presence counts. Patterns match wholly."""
    if condition.pseudo == "HOSTNAME":
        value: str | None = offer.hostname
    elif condition.pseudo is not None:
        domain = offer.domain
        value = None if domain is None else domain.region
        if domain is not None and condition.pseudo == "ZONE":
            value = domain.zone
    else:
        found = next((a for a in offer.attributes if a.name == condition.attribute), None)
        value = None if found is None else found.text
        if found is not None and value is None:
            return condition.predicate != "not_exists"
    match condition.predicate.value:
        case "exists" | "not_exists" as which:
            return (value is not None) is (which == "exists")
        case "text_equals" | "text_not_equals" as which:
            return (value == condition.text) is (which == "text_equals")
        case "text_matches" | "text_not_matches" as which:
            if _PLAIN.fullmatch(condition.text) is None:
                return True  # may be read in another way, or for ever, by another library
            matches = value is not None and re.fullmatch(condition.text, value) is not None
            return matches is (which == "text_matches")
    raise AssertionError(condition)
