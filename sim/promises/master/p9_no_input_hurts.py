"""Promise 9: no input stops a daemon or hurts what is not its own.

A core that raises fails every run. Beyond that, while hostile actors are about:

- the wire carries all that a daemon sends (`hostile.door` sees to that);
- Marathon shows and publishes JSON, whatever an app holds;
- the gateway makes JSON of a leader's state;
- a request that was answered with an error has changed no app and no deployment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from mezzo.core import Output, SetTimer
from mezzo.gateway.mesos.state_endpoint import state_json
from mezzo.gateway.replica.cluster_replica import Replica
from mezzo.ids import ConnId
from mezzo.marathon.api import render
from mezzo.marathon.api.event_json import event_of
from mezzo.marathon.commands import Deployed, Done, Killed, QueueRead
from mezzo.marathon.effects import Publish, Reply, ShowApp, ShowDeployment, ShowInstance
from mezzo.marathon.events import ApiRequest
from mezzo.marathon.timers import MoreKillsDue
from mezzo.master.effects import ToOperator
from mezzo.master.events import OperatorJoined
from mezzo.messages.operator import Master, OperatorSubscribed

from ...daemons.marathons import VirtualMarathon
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken

_DONE: Final = (Deployed, Done, Killed, QueueRead)
_GATEWAY: Final = ConnId(1_000_000_000)  # no stream of the network has such a number


class NoInputHurts(Watch):
    def __init__(self, masters: Sequence[VirtualMaster]) -> None:
        self._masters = masters
        self._goes_on: dict[str, bool] = {}  # its last step has left something to be done
        for master in masters:
            master.on_told = self._told

    def marathon_stepped(
        self,
        marathon: VirtualMarathon,
        event: Any,
        output: Output[Any],
    ) -> None:
        for effect in output.effects:
            try:
                orjson.dumps(_shown(effect))
            except (TypeError, ValueError, OverflowError) as error:
                raise Broken(f"promise 9: {type(effect).__name__} is no JSON: {error}") from error
        goes_on, self._goes_on[marathon.name] = (
            self._goes_on.get(marathon.name, False),
            any(type(e) is SetTimer and e.key == MoreKillsDue() for e in output.effects),
        )
        if isinstance(event, ApiRequest):
            # The rest of an earlier step moves plans on; apps change by what is asked for alone.
            _refusals_change_nothing(output, ("app/",) if goes_on else ("app/", "deployment/"))

    def wrong(self) -> str:
        """A gateway subscribes, and shows what it is told."""
        for master in self._masters:
            master.process.post(OperatorJoined(_GATEWAY))
        return ""

    def _told(self, master: VirtualMaster, told: ToOperator) -> None:
        core = master.core
        assert core is not None
        if not isinstance(told.event, OperatorSubscribed):
            return  # who was there before is told what it has missed
        replica = Replica()
        replica.apply(told.sequence, master.process.epoch, told.event)
        try:
            orjson.dumps(state_json(replica.view(), Master(core.state.config.info)))
        except (TypeError, ValueError, OverflowError) as error:
            raise Broken(f"promise 9: the state of {master.name} is no JSON: {error}") from error


def _shown(effect: Any) -> Any:
    match effect:
        case ShowApp(view=view) if view is not None:
            failure = view.last_failure
            return [
                render.app_json(view.app),
                None if failure is None else render.failure_json(failure),
            ]
        case ShowInstance(view=view) if view is not None:
            return render.task_json(view, None)
        case ShowDeployment(view=view) if view is not None:
            return render.deployment_json(view)
        case Publish(news=news):
            return event_of(news).fields()
        case Reply(result=QueueRead(items=items)):
            return [render.queue_item_json(item, with_offers=True) for item in items]
    return None


def _refusals_change_nothing(output: Output[Any], kinds: tuple[str, ...]) -> None:
    results = [effect.result for effect in output.effects if isinstance(effect, Reply)]
    if all(isinstance(result, _DONE) for result in results):
        return
    for write in output.writes:
        if write.key.startswith(kinds):
            raise Broken(f"promise 9: {results} was answered, but {write.key} is written")
