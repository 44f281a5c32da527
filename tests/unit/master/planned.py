"""How the tests of maintenance plan it, and hear of what frameworks are asked."""

from __future__ import annotations

from mezzo.cluster.model import Filters, InverseOffer, MachineId, Unavailability
from mezzo.ids import OfferId
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

from .world import Framework, World

SOON = Unavailability(2_000_000.0, 3600.0)
LATER = Unavailability(3_000_000.0)


def machines(*names: str) -> tuple[MachineId, ...]:
    return tuple(MachineId(hostname=name) for name in names)


def window(*names: str, when: Unavailability = SOON) -> om.MaintenanceWindow:
    return om.MaintenanceWindow(machines(*names), when)


def plan(world: World, *windows: om.MaintenanceWindow) -> om.OperatorResponse:
    return world.ask(om.UpdateMaintenanceSchedule(om.MaintenanceSchedule(windows)))


def schedule(world: World) -> tuple[om.MaintenanceWindow, ...]:
    answer = world.ask(om.GetMaintenanceSchedule())
    assert isinstance(answer, om.Maintenance)
    return answer.schedule.windows


def status(world: World) -> om.MaintenanceState:
    answer = world.ask(om.GetMaintenanceStatus())
    assert isinstance(answer, om.MaintenanceStatus)
    return answer.status


def down(world: World, *names: str) -> om.OperatorResponse:
    return world.ask(om.StartMaintenance(machines(*names)))


def up(world: World, *names: str) -> om.OperatorResponse:
    return world.ask(om.StopMaintenance(machines(*names)))


def asked(framework: Framework) -> list[InverseOffer]:
    """What it was asked to give back since this was called last."""
    return [offer for event in framework.heard(sm.InverseOffers) for offer in event.inverse_offers]


def rescinded(framework: Framework) -> list[OfferId]:
    return [event.inverse_offer_id for event in framework.heard(sm.RescindInverseOffer)]


def decline(framework: Framework, offer: InverseOffer, refuse_s: float = 5.0) -> None:
    framework.say(sm.DeclineInverseOffers((offer.id,), Filters(refuse_s)))


def accept(framework: Framework, offer: InverseOffer, refuse_s: float = 5.0) -> None:
    framework.say(sm.AcceptInverseOffers((offer.id,), Filters(refuse_s)))
