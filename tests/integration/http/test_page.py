"""The web page in a real browser, in front of a real gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from mezzo.cluster.model import DrainState
from mezzo.cluster.states import TaskState
from mezzo.gateway.options import GatewayOptions
from mezzo.gateway.process.shell import Gateway
from mezzo.messages.operator import (
    AgentAdded,
    AgentUpdated,
    AgentView,
    FrameworkAdded,
    TaskAdded,
)
from mezzo.record import replace
from tests.parts.ports import free_ports
from tests.parts.scripted_master import ScriptedMaster
from tests.unit.cli.fake_server import FakeMarathon, app, serving, waiting
from tests.unit.gateway.clusters import A1, A2, agent, drained, framework, task, update

pytest_plugins = ["tests.parts.browser"]
pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


def named(view: AgentView, hostname: str) -> AgentView:
    return replace(view, agent_info=replace(view.agent_info, hostname=hostname))


@pytest.fixture
def marathon() -> Iterator[FakeMarathon]:
    fake = FakeMarathon()
    with serving(fake):
        yield fake


@pytest.fixture
def master(marathon: FakeMarathon) -> Iterator[ScriptedMaster]:
    scripted = ScriptedMaster().start()
    info = replace(framework().framework_info, webui_url=marathon.url)
    scripted.publish(
        AgentAdded(named(agent(A1, used_cpus=2.5), "host1")),
        AgentAdded(named(agent(A2, active=False), "host2")),
        FrameworkAdded(replace(framework(), framework_info=info)),
        TaskAdded(task("web.1")),
    )
    yield scripted
    scripted.stop()


@pytest.fixture
def gateway(master: ScriptedMaster) -> Iterator[Gateway]:
    running = Gateway(GatewayOptions(f"127.0.0.1:{master.port}", port=0, threads=12))
    yield running
    running.stop()


@pytest.fixture
def url(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.start()}/"


def test_the_page_shows_the_cluster(page: Page, url: str, marathon: FakeMarathon) -> None:
    marathon.apps["/web"] = app(instances=3, tasksRunning=2, tasksHealthy=1, healthChecks=[{}])
    rows = [{"reason": "InsufficientCpus", "declined": 3, "processed": 3}]
    marathon.queue = [waiting(rejectSummaryLastOffers=rows)]
    page.goto(url)
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#total-cpus")).to_contain_text("2.5 of 5")
    expect(page.locator("#total-counts")).to_contain_text("1 of 2 agents active")
    agents = page.locator("#agents-table tbody tr")
    expect(agents).to_have_count(2)
    expect(agents.nth(0)).to_contain_text("host1:5051")
    expect(agents.nth(0)).to_contain_text("rack: a, level: 2.5")
    expect(agents.nth(1)).to_contain_text("not connected")
    expect(page.locator("#frameworks-table tbody tr")).to_contain_text("marathon")
    web = page.locator("#apps-table tbody tr")
    expect(web).to_contain_text("2 running / 1 healthy / 3 target")
    expect(web).to_contain_text("not enough CPUs on 3 agents")
    expect(page.locator("#tasks-table tbody tr")).to_contain_text("staging")


def test_changes_are_shown_without_reloading(
    page: Page, url: str, master: ScriptedMaster, marathon: FakeMarathon
) -> None:
    page.goto(url)
    expect(page.locator("#tasks-table tbody tr")).to_contain_text("staging")
    expect(page.locator("#apps-table")).to_contain_text("No apps yet")
    page.evaluate("window.loadedOnce = true")
    master.publish(update("web.1", TaskState.RUNNING), TaskAdded(task("web.2")))
    expect(page.locator("#tasks-count")).to_have_text("2 live")
    first = page.locator("#tasks-table tr", has_text="web.1")
    expect(first.locator(".badge")).to_have_text("running")
    master.publish(update("web.1", TaskState.FAILED, message="exit status 3"))
    expect(first).to_contain_text("exit status 3")
    expect(first.locator(".badge")).to_have_attribute("data-state", "bad")
    master.publish(AgentUpdated(named(agent(A1, used_cpus=4), "host1")))
    expect(page.locator("#total-cpus")).to_contain_text("4 of 5")
    marathon.apps["/new"] = app("/new")
    expect(page.locator("#apps-table tbody tr")).to_contain_text("/new")
    assert page.evaluate("window.loadedOnce")


def test_an_agent_that_is_drained_says_so(page: Page, url: str, master: ScriptedMaster) -> None:
    page.goto(url)
    row = page.locator("#agents-table tr", has_text="host1")
    expect(row.locator(".badge")).to_have_text("active")
    master.publish(AgentUpdated(named(drained(A1, DrainState.DRAINING), "host1")))
    expect(row.locator(".badge")).to_have_text("draining")
    expect(row.locator(".badge")).to_have_attribute("data-state", "busy")
    expect(page.locator("#total-counts")).to_contain_text("0 of 2 agents active")
    master.publish(AgentUpdated(named(drained(A1), "host1")))
    expect(row.locator(".badge")).to_have_text("drained")
    expect(row.locator(".badge")).to_have_attribute("data-state", "calm")


def test_what_the_cluster_says_is_text_and_never_markup(
    page: Page, url: str, master: ScriptedMaster, marathon: FakeMarathon
) -> None:
    marathon.apps["/web"] = app(cmd=HOSTILE)
    master.publish(
        AgentUpdated(named(agent(A1), HOSTILE)),
        TaskAdded(replace(task("evil"), name=HOSTILE)),
        update("evil", TaskState.FAILED, message=HOSTILE),
    )
    page.goto(url)
    for table in ("agents", "tasks", "apps"):
        expect(page.locator(f"#{table}-table")).to_contain_text(HOSTILE)
        expect(page.locator(f"#{table}-table img")).to_have_count(0)
    expect(page).to_have_title("mezzo")


def test_tasks_can_be_filtered(page: Page, url: str, master: ScriptedMaster) -> None:
    master.publish(TaskAdded(task("db.1", TaskState.RUNNING)))
    page.goto(url)
    rows = page.locator("#tasks-table tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_label("Filter").fill("running")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("db.1")
    page.get_by_label("Filter").fill("nothing fits")
    expect(rows).to_have_text("No task fits the filter.")


def test_a_leader_that_is_gone_is_shown_and_the_last_state_stays(
    page: Page, url: str, master: ScriptedMaster
) -> None:
    page.goto(url)
    expect(page.locator("#connection")).to_have_text("live")
    port = master.port
    master.stop()
    try:
        expect(page.locator("#connection")).to_have_text("no leader")
        expect(page.get_by_role("alert")).to_contain_text(f"127.0.0.1:{port}")
        expect(page.locator("#agents-table tbody tr")).to_have_count(2)
    finally:
        master.__init__(epoch=2, port=port)  # type: ignore[misc] # its fixture stops the new one
        master.start()
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#agents-table")).to_contain_text("No agents yet")


def test_a_lost_gateway_is_shown_and_found_again(page: Page, master: ScriptedMaster) -> None:
    (port,) = free_ports(1)
    options = GatewayOptions(f"127.0.0.1:{master.port}", port=port, threads=12)
    first = Gateway(options)
    first.start()
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#connection")).to_have_text("live")
    page.evaluate("window.loadedOnce = true")
    first.stop()
    expect(page.locator("#connection")).to_have_text("connection lost")
    second = Gateway(options)
    second.start()
    try:
        expect(page.locator("#connection")).to_have_text("live")
        assert page.evaluate("window.loadedOnce")
    finally:
        second.stop()


def test_the_page_asks_nobody_but_its_gateway(page: Page, url: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    expect(page.locator("#connection")).to_have_text("live")
    assert len(asked) >= 4
    assert [each for each in asked if not each.startswith(url)] == []


def test_the_keyboard_is_enough(page: Page, url: str) -> None:
    page.goto(url)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("group", name="Apps")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Filter")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(page: Page, url: str, scheme: str) -> None:
    """Every colour of text against what is behind it: at least 4.5 to 1, as WCAG AA asks."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    expect(page.locator("#agents-table tbody tr")).to_have_count(2)
    assert page.evaluate(CONTRASTS_TOO_LOW) == []


CONTRASTS_TOO_LOW = """() => {
  const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = (colour) => rgb(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if ((rgb(colour)[3] ?? 1) > 0) return colour;
    }
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) low.push(`${node.tagName} ${node.textContent.trim()} ${contrast}`);
  }
  return low;
}"""


def test_an_age_stays_in_one_line(page: Page, url: str) -> None:
    page.goto(url)
    for table in ("tasks", "agents", "frameworks"):
        age = page.locator(f"#{table}-table tbody tr td:last-child").first
        expect(age).to_have_css("white-space", "nowrap")
