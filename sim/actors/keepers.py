"""A machine with everything that an agent can have, its user, the keeper, and its steward.

The keeper makes volumes of each kind, uses, resizes and destroys them, shares some of them between
tasks, takes members of a set and what is revocable; and often asks for what can't be. The steward
does the same as an operator. All resources there are reserved to the keeper's role or revocable, so
that nobody else can use them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mezzo.cluster.amounts import Items, Ranges, Value
from mezzo.cluster.model import Capability, CommandInfo, Filters, Offer, TaskInfo, TaskStatus
from mezzo.cluster.operations import (
    Create,
    Destroy,
    GrowVolume,
    Launch,
    Reserve,
    ShrinkVolume,
    Unreserve,
)
from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources
from mezzo.core import Instant, Output
from mezzo.ids import AgentId, TaskId
from mezzo.messages import operator as om
from mezzo.messages.scheduler import (
    Accept,
    Acknowledge,
    AcknowledgeOperationStatus,
    Decline,
    Event,
    UpdateOperationStatus,
)

from ..daemons.frameworks import FrameworkWatch, HoarderCore, Say, VirtualFramework
from ..daemons.frameworks import Kind as FrameworkKind
from ..daemons.master_link import Server
from ..daemons.masters import VirtualMaster, keep_without_quota
from ..world.network import Network
from ..world.world import World

ROLE: Final = "keepers"
_OWN: Final = (Reservation("STATIC", ROLE),)
_MIB: Final = 1000
VAULT: Final = Resources(
    {
        Kind("cpus", _OWN): 4000,
        Kind("cpus", revocable=True): 2000,
        Kind("mem", _OWN): 1024 * _MIB,
        Kind("disk", _OWN): 512 * _MIB,
        Kind("disk", _OWN, Disk(DiskSource("PATH", "/disk1"))): 256 * _MIB,
        Kind("disk", _OWN, Disk(DiskSource("MOUNT", "/disk2"))): 128 * _MIB,
        Kind("disk", _OWN, Disk(DiskSource("BLOCK"))): 64 * _MIB,
        Kind("seats", _OWN): Items.of("abcdef"),
        Kind("ports", _OWN): Ranges(((31000, 31020),)),
    }
)
_FILTERS: Final = Filters(refuse_seconds=2.0)
_IDS: Final = ("v0", "v1", "v2", "v3", "v3", "", "a/b")
_PATHS: Final = ("data", "data", "data", "deep/down", None, "../up")


class Ideas:
    """Operations on resources; a third of them is wrong in one way or another."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def operation(self, have: Resources) -> Any:
        """An operation on resources in `have`, if any fits."""
        rng = self._rng
        kinds = [kind for kind, _ in have.items() if kind.name == "disk"]
        volumes = [kind for kind in kinds if _is_volume(kind)]
        if not kinds or rng.random() < 0.15:
            return self._reservation(have)
        new = f"op-{rng.getrandbits(32):08x}"
        id_ = rng.choice((None, None, new, new, new, new, "op", "/"))
        if rng.random() < 0.1:  # of what there is not
            volumes = [self._volume(rng.choice(kinds))]
        if volumes and rng.random() < 0.6:
            kind = rng.choice(volumes)
            volume = Resources({kind: have.get(kind) or _MIB})
            match rng.randrange(4):
                case 0:
                    return Destroy(volume, id_)
                case 1:
                    under = kind if rng.random() < 0.2 else _under(kind)
                    return GrowVolume(volume, Resources({under: rng.choice((1, 16 * _MIB))}), id_)
                case _:
                    return ShrinkVolume(volume, rng.choice((0, 1, _MIB, 8 * _MIB, 10**9)), id_)
        kind = rng.choice(kinds)
        if rng.random() < 0.1:
            return Destroy(Resources({kind: _MIB}), id_)
        amount = have.get(kind)
        some = rng.choice((1, 16 * _MIB, 32 * _MIB))
        whole = kind.indivisible or rng.random() < 0.1
        made = {self._volume(kind): amount if whole and amount is not None else some}
        if rng.random() < 0.1:
            made[self._volume(rng.choice(kinds))] = some
        return Create(Resources(made), id_)

    def _volume(self, kind: Kind) -> Kind:
        rng = self._rng
        source = None if kind.disk is None else kind.disk.source
        disk = Disk(source, rng.choice(_IDS), None, rng.choice(_PATHS))
        return kind._replace(disk=disk, shared=rng.random() < 0.3)

    def _reservation(self, have: Resources) -> Any:
        """One more on top for a role that nobody is in, or what may be such a one taken off."""
        rng = self._rng
        scalars = [(k, v) for k, v in have.items() if isinstance(v, int)]
        if not scalars:
            return Unreserve(have)
        kind, value = rng.choice(scalars)
        top = Reservation("DYNAMIC", rng.choice((f"{ROLE}/a", ROLE, "*")))
        upper = kind._replace(reservations=(*kind.reservations, top))
        if rng.random() < 0.5:
            return Unreserve(Resources({rng.choice((kind, upper)): min(value, 100)}))
        return Reserve(Resources({upper: min(value, 100)}))

    def wanted(self, have: Resources) -> Resources:
        """The resources that a task asks for."""
        rng = self._rng
        found: dict[Kind, Value] = {}
        soft = rng.random() < 0.2
        for kind, value in have.items():
            own = kind.role == ROLE or rng.random() < 0.1
            if kind.name == "cpus" and (kind.revocable if soft else own):
                found[kind] = 100
            elif kind.name == "mem" and own:
                found[kind] = 16 * _MIB
            elif _is_volume(kind) and rng.random() < 0.5:
                found[kind] = value if rng.random() < 0.95 else _MIB
            elif isinstance(value, Items) and rng.random() < 0.4:
                found[kind] = Items.of(rng.choices("abcdef", k=rng.randint(1, 2)))
            elif isinstance(value, Ranges) and rng.random() < 0.3:
                port = 31000 + rng.randrange(22)
                found[kind] = Ranges(((port, port + rng.randrange(2)),))
        return Resources(found)


def _is_volume(kind: Kind) -> bool:
    return kind.disk is not None and kind.disk.persistence_id is not None


def _under(kind: Kind) -> Kind:
    source = None if kind.disk is None else kind.disk.source
    return kind._replace(disk=None if source is None else Disk(source), shared=False)


class KeeperCore(HoarderCore):
    """Its tasks are short, and nobody misses one that is lost."""

    capabilities: tuple[Capability, ...] = (
        Capability.PARTITION_AWARE,
        Capability.SHARED_RESOURCES,
        Capability.REVOCABLE_RESOURCES,
        Capability.RESERVATION_REFINEMENT,
    )

    def __init__(
        self,
        name: str,
        stored: Mapping[str, bytes],
        rng: random.Random,
        *,
        tired: bool,
        checkpoints: bool,
    ) -> None:
        super().__init__(name, ROLE, stored)
        self.tired = tired
        self.checkpoints = checkpoints
        self._rng = rng
        self._ideas = Ideas(rng)

    def _offer(self, offer: Offer, now: Instant, out: Output[Any]) -> None:
        assert self.conn is not None
        rng = self._rng
        own = any(kind.role == ROLE for kind, _ in offer.resources.items())
        if self.tired or rng.random() < (0.3 if own else 0.9):
            out.effects.append(Say(self.conn, Decline((offer.id,), _FILTERS)))
            return
        operations: list[Any] = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            if own and rng.random() < 0.5:
                operations.append(self._ideas.operation(offer.resources))
            else:
                operations.append(Launch(self._tasks(offer)))
        out.effects.append(Say(self.conn, Accept((offer.id,), tuple(operations), _FILTERS)))

    def _tasks(self, offer: Offer) -> tuple[TaskInfo, ...]:
        return tuple(
            TaskInfo(
                "keep",
                TaskId(f"{self._name}-{self._rng.getrandbits(64):016x}"),
                offer.agent_id,
                resources=self._ideas.wanted(offer.resources),
                command=CommandInfo(value=f"sleep {self._rng.randint(1, 30)}"),
            )
            for _ in range(self._rng.randint(1, 2))
        )

    def _update(self, status: TaskStatus, out: Output[Any]) -> None:
        assert self.conn is not None
        if status.uuid is not None and status.agent_id is not None:
            ack = Acknowledge(status.agent_id, status.task_id, status.uuid)
            out.effects.append(Say(self.conn, ack))

    def _said(self, event: Event, now: Instant, out: Output[Any]) -> None:
        super()._said(event, now, out)
        if not isinstance(event, UpdateOperationStatus) or self.conn is None:
            return
        status = event.status
        forgets = not self.tired and self._rng.random() < 0.2  # the status will be told again
        if status.uuid is not None and status.agent_id is not None and not forgets:
            assert status.operation_id is not None
            ack = AcknowledgeOperationStatus(status.agent_id, status.uuid, status.operation_id)
            out.effects.append(Say(self.conn, ack))


class VirtualKeeper(VirtualFramework):
    def __init__(
        self, network: Network, watch: FrameworkWatch, find: Callable[[str], Server | None]
    ) -> None:
        forgetful = random.Random(f"keeper of {network.world.seed}").random() < 0.5
        kind = FrameworkKind.KEEPER
        super().__init__(network, "keeper", ROLE, kind, watch, find, forgetful=forgetful)

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> KeeperCore:
        del epoch
        return KeeperCore(self.name, stored, rng, tired=self._tired, checkpoints=not self.forgetful)


class Steward:
    """An operator who works on the vault, until `stop`."""

    def __init__(
        self,
        world: World,
        masters: Sequence[VirtualMaster],
        vault: Callable[[], AgentId | None],
    ) -> None:
        self._world = world
        self._masters = masters
        self._vault = vault
        self._rng = random.Random(f"steward of {world.seed}")
        self._ideas = Ideas(self._rng)
        self._active = False

    def start(self) -> None:
        self._active = True
        self._act()

    def stop(self) -> None:
        self._active = False
        keep_without_quota(self._world, self._masters, ROLE)

    def _act(self) -> None:
        if not self._active:
            return
        agent_id = self._vault()
        for master in self._masters:
            core = master.core
            if core is not None and agent_id is not None and agent_id in core.state.agents:
                total = core.state.agents[agent_id].info.resources
                master.ask(self._call(agent_id, total))
        self._world.after(self._rng.uniform(3, 20), self._act)

    def _call(self, agent_id: AgentId, total: Resources) -> om.OperatorCall:
        rng = self._rng
        if rng.random() < 0.15:
            # Most often less than what is reserved to the role.
            limits = {rng.choice(("cpus", "mem", "disk")): rng.choice((1, 3999, 4000, 10**7))}
            return om.UpdateQuota((om.QuotaConfig(ROLE, {}, limits),))
        return _call(agent_id, self._ideas.operation(total))


def _call(agent_id: AgentId, operation: Any) -> om.OperatorCall:
    match operation:
        case Reserve(resources=resources):
            return om.ReserveResources(agent_id, resources)
        case Unreserve(resources=resources):
            return om.UnreserveResources(agent_id, resources)
        case Create(volumes=volumes):
            return om.CreateVolumes(agent_id, volumes)
        case Destroy(volumes=volumes):
            return om.DestroyVolumes(agent_id, volumes)
        case GrowVolume(volume=volume, addition=addition):
            return om.GrowVolume(volume, addition, agent_id)
        case ShrinkVolume(volume=volume, subtract=subtract):
            return om.ShrinkVolume(volume, subtract, agent_id)
    raise AssertionError(f"{operation} is no conversion")
