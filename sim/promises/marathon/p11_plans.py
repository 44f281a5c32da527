"""Promise 11, a deployment goes as it was planned, and was planned as it was asked for (spec 6).

- The plan that is stored holds what the apps were and are to be, and the steps that lead there.
- A step ends when all of its actions have reached their ends, then and not before; the events and
  the pictures of the plan say so.
- A scaled app loses what is too much at once. A restarted one keeps its old instances until new
  ones are ready, and then loses as many: those that serve nobody first, then by their age.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mezzo.marathon.commands import CancelDeployment, Deployed
from mezzo.marathon.effects import Publish, Reply, ShowDeployment
from mezzo.marathon.events import ApiRequest, Started
from mezzo.marathon.model.app import App
from mezzo.marathon.model.deployment import Action, Change, Deployment
from mezzo.marathon.news import (
    DeploymentFailed,
    DeploymentStepBegan,
    DeploymentStepSucceeded,
    DeploymentSucceeded,
    PlanNews,
)

from ...world.watched import Broken
from .marathon_books import INACTIVE, UNREACHABLE, Reader, Seen, Step, Term
from .p11_kills import asked_for, kill_rank, of_its_own


@dataclass(slots=True)
class _Course:
    """How far a plan is. step: counts from 1. done: the apps whose action of that has ended.

    keep: of apps that restart, so many old ones stay until new ones are ready.
    """

    plan: Deployment
    changes: Mapping[str, Change]
    step: int = 0
    over: bool = False  # the step has ended
    done: dict[str, None] = field(default_factory=dict)
    keep: dict[str, int] = field(default_factory=dict)

    @property
    def actions(self) -> tuple[Action, ...]:
        return self.plan.steps[self.step - 1].actions

    def change(self, app_id: str) -> Change:
        return self.changes[app_id]


class PlansAreKept(Reader):
    def __init__(self) -> None:
        self._courses: dict[str, dict[str, _Course]] = {}  # by Marathon
        self._apps: dict[str, App] = {}
        self._plans: dict[str, Deployment] = {}

    def before(self, step: Step) -> None:
        if isinstance(step.event, ApiRequest):
            self._apps = dict(step.term.apps)
            self._plans = dict(step.term.deployments)
        elif isinstance(step.event, Started):  # some of them may end in this very step
            self._courses[step.marathon.name] = {
                plan.id: _Course(plan, step.term.changes[plan.id])
                for plan in step.term.deployments.values()
            }

    def after(self, step: Step) -> None:
        term = step.term
        courses = self._courses[step.marathon.name]
        if term.vague:
            courses.clear()  # of what is damaged a part may be left out
            return
        for effect in step.output.effects:
            if isinstance(effect, Reply) and isinstance(effect.result, Deployed):
                self._planned(step, courses, effect.result)
        begun = _advance(step, courses, self._plans)
        if {*courses} != {*term.deployments}:
            raise Broken(f"promise 11: of {[*term.deployments]} are told {[*courses]}")
        if not courses:
            return
        for course in courses.values():
            if course.step == 0:
                raise Broken(f"promise 11: {course.plan.id} is stored, and does not begin")
            for action in course.actions:
                if action.app_id in step.touched:
                    _look(step, course, action, begins=course.plan.id in begun)
            if len(course.done) == len(course.actions):
                raise Broken(f"promise 11: {course.plan.id} has done {course.actions}, and waits")

    def _planned(self, step: Step, courses: dict[str, _Course], result: Deployed) -> None:
        """The answer names a plan: it is stored, unless it has ended in this very step."""
        plan = step.term.deployments.get(result.deployment_id)
        plan = plan or next((p for p in _succeeded(step) if p.id == result.deployment_id), None)
        if plan is None:
            raise Broken(f"promise 11: nobody hears of the deployment {result.deployment_id}")
        if plan.version_ms != result.version_ms:
            raise Broken(f"promise 11: {result} is told of {plan}")
        apps = step.term.apps
        changes = {id_: Change(id_, self._apps.get(id_), apps.get(id_)) for id_ in plan.app_ids}
        for planned, change in zip(plan.changes, changes.values(), strict=True):
            if planned != change.by_version:
                raise Broken(f"promise 11: {planned} is planned, right were {change}")
        changed = {id_ for id_ in {**self._apps, **apps} if self._apps.get(id_) != apps.get(id_)}
        if not changed <= {*plan.app_ids}:
            raise Broken(f"promise 11: {changed} have changed, planned is {plan.app_ids}")
        have = [sorted((a.kind.value, a.app_id) for a in s.actions) for s in plan.steps]
        if have != (right := _steps(changes.values())):
            raise Broken(f"promise 11: the steps {have} are planned, right were {right}")
        if plan.steps:
            courses[plan.id] = _Course(plan, changes)


def _succeeded(step: Step) -> list[Deployment]:
    """The plans of which is told that they have."""
    return [
        effect.news.plan
        for effect in step.output.effects
        if isinstance(effect, Publish) and isinstance(effect.news, DeploymentSucceeded)
    ]


def _steps(changes: Iterable[Change]) -> list[list[tuple[str, str]]]:
    """Spec 6.1: what goes is stopped, what is new is started, then all come to their targets."""
    gone, new, reached = [], [], []
    for change in changes:
        before, after = change.original, change.target
        if after is None:
            gone += [("StopApplication", change.app_id)] if before is not None else []
        elif before is None:
            new.append(("StartApplication", change.app_id))
            reached.append(("ScaleApplication", change.app_id))
        elif before.last_config_change_ms != after.last_config_change_ms:
            reached.append(("RestartApplication", change.app_id))
        elif before.instances != after.instances:
            reached.append(("ScaleApplication", change.app_id))
    return [sorted(actions) for actions in (gone, new, reached) if actions]


# ---------------------------------------------------------------------------------- how far it is


def _advance(
    step: Step, courses: dict[str, _Course], before: dict[str, Deployment]
) -> dict[str, None]:
    """Follow what is told of plans. Returns those of which a step has begun that is not over."""
    begun: dict[str, None] = {}
    for effect in step.output.effects:
        if isinstance(effect, Publish) and isinstance(effect.news, PlanNews):
            told, plan = effect.news, effect.news.plan
            if not plan.steps:
                continue
            course = courses.get(plan.id)
            if course is None or course.plan != plan:
                raise Broken(f"promise 11: {told} is told of what does not run")
            _told(step, course, told, before)
            begun[plan.id] = None
            if isinstance(told, DeploymentSucceeded | DeploymentFailed):
                del courses[plan.id]
                del begun[plan.id]
        elif isinstance(effect, ShowDeployment):
            _shown(effect, courses)
    return begun


def _told(step: Step, course: _Course, told: PlanNews, before: dict[str, Deployment]) -> None:
    plan, at = course.plan, course.step
    if isinstance(told, DeploymentFailed):
        if not _may_be_cancelled(step, plan, before):
            raise Broken(f"promise 11: {plan.id} is cancelled at {step.event}")
        return
    if isinstance(told, DeploymentStepBegan):
        if at and not course.over:
            raise Broken(f"promise 11: {plan.id} goes on before step {at} is over")
        course.step, course.over = at + 1, False
        course.done.clear()
        course.keep.clear()
    elif isinstance(told, DeploymentStepSucceeded):
        course.over = True
        for action in course.actions:
            if action.app_id not in course.done and not _is_done(step.term, course, action):
                raise Broken(f"promise 11: {plan.id} says that {action} is done")
    elif at != len(plan.steps) or not course.over:
        raise Broken(f"promise 11: {plan.id} succeeds in step {at} of {len(plan.steps)}")
    if (
        isinstance(told, DeploymentStepBegan | DeploymentStepSucceeded)
        and told.step != plan.steps[course.step - 1]
    ):
        raise Broken(f"promise 11: {told} is told in step {course.step} of {plan}")


def _may_be_cancelled(step: Step, plan: Deployment, before: dict[str, Deployment]) -> bool:
    """May a plan be cancelled? If somebody asked for that, or by force for its apps."""
    if not isinstance(step.event, ApiRequest):
        return False
    asked = step.event.command
    if isinstance(asked, CancelDeployment) and asked.deployment_id == plan.id:
        return True
    forced = getattr(asked, "force", False) or isinstance(asked, CancelDeployment)
    new = [p for p in step.term.deployments.values() if p.id not in before]
    new += _succeeded(step)
    return forced and any({*plan.app_ids} & {*each.app_ids} for each in new)


def _shown(effect: ShowDeployment, courses: dict[str, _Course]) -> None:
    course, view = courses.get(effect.deployment_id), effect.view
    if view is None:
        # The word that it has ended comes next.
        return
    if course is None or view.plan != course.plan:
        raise Broken(f"promise 11: {view.plan} is shown, and does not run")
    if view.step != course.step or view.current != course.actions:
        raise Broken(f"promise 11: {view} is shown, it is in step {course.step}")


# ---------------------------------------------------------------------------------- what is reached


def _look(step: Step, course: _Course, action: Action, *, begins: bool) -> None:
    """Is an action done, and if not: is all done for it that can be done now?"""
    term, app_id = step.term, action.app_id
    target = course.change(app_id).target
    if target is None:
        left = [seen.record.id for seen in term.of(app_id) if not seen.record.doomed]
        if left and not step.hurried:
            raise Broken(f"promise 11: {app_id} is to stop, and {left} live on")
    elif action.kind.value == "RestartApplication":
        _replaced(step, course, target, begins=begins)
    elif action.kind.value == "ScaleApplication":
        _, active, _ = _tally(term, term.of(app_id))
        if active > target.instances and not step.hurried:
            raise Broken(f"promise 11: {active} of {app_id} stay, wanted are {target.instances}")
    if _is_done(term, course, action) and not step.hurried:
        course.done[app_id] = None


def _is_done(term: Term, course: _Course, action: Action) -> bool:
    change = course.change(action.app_id)
    target, there = change.target, term.of(action.app_id)
    if target is None:
        return not there
    if action.kind.value == "StartApplication":
        return True
    if action.kind.value == "RestartApplication":
        new = _of(there, target, new=True)
        alive, _, ready = _tally(term, new)
        return ready >= target.instances >= alive and len(new) == len(there)
    alive, active, ready = _tally(term, there)
    grows = change.original is None or change.original.instances < target.instances
    return alive <= target.instances <= (ready if grows else active)


def _of(there: Iterable[Seen], app: App, *, new: bool) -> list[Seen]:
    return [s for s in there if (s.record.config_ms == app.last_config_change_ms) is new]


def _given_up(term: Term, seen: Seen) -> bool:
    """As it is shown, which is looked at elsewhere."""
    view = term.shown.task(seen.record.id)
    return view is not None and str(view.condition) == INACTIVE


def _tally(term: Term, there: Iterable[Seen]) -> tuple[int, int, int]:
    """How many may run, how many of these count, and how many of those serve."""
    alive = [seen for seen in there if not _given_up(term, seen)]
    active = [seen for seen in alive if not seen.record.doomed]
    return len(alive), len(active), sum(seen.ready for seen in active)


# ---------------------------------------------------------------------------------- restarts


def _replaced(step: Step, course: _Course, app: App, *, begins: bool) -> None:
    """Spec 6.3: old ones end as new ones get ready, no sooner and no later."""
    term = step.term
    there = term.of(app.id)
    new, left = _of(there, app, new=True), _of(there, app, new=False)
    alive, active, ready = _tally(term, new)
    if active > app.instances and not step.hurried:
        raise Broken(f"promise 11: {active} new ones of {app.id} stay, of {app.instances}")
    ended = _ended_now(step, app)
    if step.hurried or any(seen.condition == UNREACHABLE for seen in (*ended, *left)):
        course.keep.pop(app.id, None)  # what is not reached is given up on the way
        return
    staying = [seen for seen in left if not seen.record.doomed]
    candidates = [*staying, *ended]
    served = [seen for seen in candidates if _serves(seen)]
    strategy = app.upgrade_strategy
    least = math.ceil(app.instances * strategy.minimum_health_capacity)
    if begins:
        over = max(0, len(served) - least)
        if app.instances < len(candidates):
            over = max(len(candidates) - app.instances, over)
        course.keep[app.id] = max(0, len(candidates) - over)
    if (keep := course.keep.get(app.id)) is None:
        return
    most = math.floor(app.instances * (1 + strategy.maximum_over_capacity))
    if most == least:
        most += 1
    wanted = max(0, len(candidates) - max(0, keep - ready))
    doomed = len(left) - len(staying) - len(ended)
    stuck = doomed == 0 and alive == ready < app.instances and len(left) + alive >= most
    if wanted == 0 and stuck:
        wanted = 1
    spare = len(served) + ready - least
    unsure = [seen for seen in candidates if seen.unsure and not _serves(seen)]
    idle = len(candidates) - len(served) - len(unsure)
    can = idle + (len(unsure) if spare >= 0 else 0) + min(len(served), max(0, spare))
    if len(ended) != min(wanted, can):
        raise Broken(
            f"promise 11: of {len(candidates)} old ones of {app.id} {len(ended)} end, right were "
            f"{min(wanted, can)}: {len(served)} serve beside {ready} new ones, at least {least} "
            f"have to, {keep} were to stay for now"
        )
    last = max((_turn(app, seen) for seen in ended), default=None)
    first = min((_turn(app, seen) for seen in staying), default=last)
    if last is not None and first is not None and first < last:
        who = [[seen.record.id for seen in group] for group in (ended, staying)]
        raise Broken(f"promise 11: of the old ones of {app.id} {who[0]} end before {who[1]}")


def _ended_now(step: Step, app: App) -> list[Seen]:
    """Old ones that an upgrade ends in this step."""
    told = step.told[0] if step.told is not None and step.ends else None
    asked = asked_for(step)
    ended = [
        seen
        for seen in (*step.doomed, *step.gone)
        if seen is not told and seen.record.app_id == app.id and seen.record.id not in asked
    ]
    return [seen for seen in _of(ended, app, new=False) if not of_its_own(step, seen)]


def _serves(seen: Seen) -> bool:
    return seen.running and (not seen.checks or seen.healthy is True)


def _turn(app: App, seen: Seen) -> tuple[int, int, float]:
    """The order: first those that do not serve, then those of which nothing is known yet."""
    group = 2 if _serves(seen) else 1 if seen.unsure else 0
    return group, *kill_rank(app, seen)
