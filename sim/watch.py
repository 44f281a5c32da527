"""Watches of a simulated cluster, and the things that they see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mezzo.core import Output

if TYPE_CHECKING:  # what is watched knows its watcher
    from .daemons.agents import VirtualAgent
    from .daemons.containers import Container, Ending, Machine
    from .daemons.frameworks import VirtualFramework
    from .daemons.marathons import VirtualMarathon
    from .daemons.masters import VirtualMaster
    from .world.virtual_process import Process


class Watch:
    """Told of everything, in the order in which it happens. Does nothing: override what you need.

    A watch that finds something wrong raises `Broken`.
    """

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        """A master is about to make a step."""

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        """A master made a step, whose writes and effects are still to come."""

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        pass

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,
        output: Output[Any],
    ) -> None:
        pass

    def framework_stepped(
        self,
        framework: VirtualFramework,
        event: Any,
        output: Output[Any],
    ) -> None:
        pass

    def master_said(self, master: VirtualMaster, message: Any) -> None:
        """A message to an agent or an event to a framework leaves its process."""

    def agent_did(self, agent: VirtualAgent, effect: Any) -> None:
        """An effect leaves its process."""

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:
        """A framework's call leaves its process."""

    def committed(self, process: Process, epoch: int) -> None:
        """Writes of the term `epoch` are durable."""

    def container_started(self, machine: Machine, container: Container) -> None:
        pass

    def container_ended(self, machine: Machine, container: Container, ending: Ending) -> None:
        """A container has ended that was running."""

    def machine_woke(self, machine: Machine) -> None:
        """A machine was suspended, and all that was due meanwhile has been done."""

    def wrong(self) -> str:
        """Asked once no fault is left: a thing that is not right yet; "" if all is well."""
        return ""


class Watchers(Watch):
    """Many as one; a hook costs nothing to those that don't override it."""

    def __init__(self, watchers: tuple[Watch, ...] = ()) -> None:
        self.begin(watchers)

    def begin(self, watchers: tuple[Watch, ...]) -> None:
        """From now on these watches are told; some can only be made once the cluster is."""

        def of(name: str) -> list[Any]:
            return [
                getattr(watcher, name)
                for watcher in watchers
                if getattr(type(watcher), name) is not getattr(Watch, name)
            ]

        self._steps = of("master_steps")
        self._master = of("master_stepped")
        self._agent = of("agent_stepped")
        self._marathon = of("marathon_stepped")
        self._framework = of("framework_stepped")
        self._said = of("master_said")
        self._did = of("agent_did")
        self._called = of("called")
        self._committed = of("committed")
        self._started = of("container_started")
        self._ended = of("container_ended")
        self._woke = of("machine_woke")
        self._wrong = of("wrong")

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        for look in self._steps:
            look(master, event)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        for look in self._master:
            look(master, event, output)

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        for look in self._agent:
            look(agent, event, output)

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,
        output: Output[Any],
    ) -> None:
        for look in self._marathon:
            look(marathon, event, output)

    def framework_stepped(
        self,
        framework: VirtualFramework,
        event: Any,
        output: Output[Any],
    ) -> None:
        for look in self._framework:
            look(framework, event, output)

    def master_said(self, master: VirtualMaster, message: Any) -> None:
        for look in self._said:
            look(master, message)

    def agent_did(self, agent: VirtualAgent, effect: Any) -> None:
        for look in self._did:
            look(agent, effect)

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:
        for look in self._called:
            look(client, call)

    def committed(self, process: Process, epoch: int) -> None:
        for look in self._committed:
            look(process, epoch)

    def container_started(self, machine: Machine, container: Container) -> None:
        for look in self._started:
            look(machine, container)

    def container_ended(self, machine: Machine, container: Container, ending: Ending) -> None:
        for look in self._ended:
            look(machine, container, ending)

    def machine_woke(self, machine: Machine) -> None:
        for look in self._woke:
            look(machine)

    def wrong(self) -> str:
        return next((found for look in self._wrong if (found := look())), "")
