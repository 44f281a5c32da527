"""What everything in a cluster stands on, before anybody is there."""

from __future__ import annotations

from ..actors.ailments import Ailments
from ..actors.places import Map
from ..watch import Watchers
from ..world.disk import Disk
from ..world.network import Network
from ..world.sessions import Election
from ..world.world import World
from .shape import Drawn


class Ground:
    """The network, the stores with their elections, where things are, how tasks are, and who is
    told of all that happens."""

    def __init__(self, world: World, drawn: Drawn) -> None:
        self.world = world
        self.network = Network(world)
        self.master_disk, self.marathon_disk = Disk(), Disk()
        self.masters_elect = Election(world, self.master_disk)
        self.marathons_elect = Election(world, self.marathon_disk)
        self.places = Map(drawn.seed, regions=drawn.regions)
        self.ailments = Ailments(world)
        self.watch = Watchers()

    @property
    def disks(self) -> tuple[Disk, Disk]:
        """That of the masters and that of the Marathons."""
        return self.master_disk, self.marathon_disk
