"""A hostile web page in a real browser on this machine, against a real cluster (promise 10)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.parts.marathon_cluster import wait_for
from tests.parts.whole_cluster import Cluster

pytest_plugins = ["tests.parts.browser"]
pytestmark = pytest.mark.browser

# Everything that a page can make a browser send elsewhere without asking first, and what it can
# only try. `outcome` collects what the page got to know.
ATTACK = """
async ([marathon, gateway, agent]) => {
  const app = (id) => JSON.stringify({id, cmd: "sleep 100", cpus: 0.01, mem: 8});
  const outcome = {};
  const tried = [];
  const attempt = (name, action) => tried.push(
    Promise.resolve().then(action).then(
      (value) => { outcome[name] = value ?? "done"; },
      (error) => { outcome[name] = "failed"; }));
  const timeout = (action) => new Promise((done) => {
    action(done);
    setTimeout(done, 3000, "silent");
  });

  const form = (id, enctype, target) => timeout((done) => {
    const frame = document.createElement("iframe");
    frame.name = "frame-" + id;
    const element = document.createElement("form");
    Object.assign(element, {method: "POST", enctype, action: target, target: frame.name});
    const field = document.createElement("input");
    // text/plain is sent as name=value: the equals sign ends up within the document
    field.name = app(id).slice(0, -1) + ',"labels":{"a';
    field.value = 'b":"c"}}';
    element.append(field);
    document.body.append(frame, element);
    frame.onload = () => done("sent");
    element.submit();
  });
  attempt("form text/plain", () => form("/f1", "text/plain", marathon + "/v2/apps"));
  attempt("form urlencoded", () => form("/f2", "application/x-www-form-urlencoded",
    marathon + "/v2/apps"));
  attempt("form multipart", () => form("/f3", "multipart/form-data", marathon + "/v2/apps"));
  attempt("form restart", () => form("/f4", "text/plain", marathon + "/v2/apps/victim/restart"));
  attempt("form kill", () => form("/f5", "text/plain", marathon + "/v2/tasks/delete?wipe=true"));

  const post = (id, extra, method = "POST") => fetch(marathon + "/v2/apps",
    {method, body: app(id), ...extra}).then((answer) => answer.type);
  attempt("no-cors", () => post("/n1", {mode: "no-cors"}));
  attempt("no-cors text", () => post("/n2",
    {mode: "no-cors", headers: {"Content-Type": "text/plain"}}));
  attempt("no-cors json", () => post("/n3",
    {mode: "no-cors", headers: {"Content-Type": "application/json"}}));
  attempt("no-cors blob", () => post("/n4", {mode: "no-cors", body: new Blob([app("/n4")])}));
  attempt("no-cors form", () => post("/n5", {mode: "no-cors",
    body: new Blob([app("/n5")], {type: "application/x-www-form-urlencoded"})}));
  attempt("no-cors no referrer", () => post("/n6",
    {mode: "no-cors", referrerPolicy: "no-referrer", credentials: "include"}));
  attempt("cors json", () => post("/c1", {headers: {"Content-Type": "application/json"}}));
  attempt("cors put", () => post("/c2", {headers: {"Content-Type": "application/json"}}, "PUT"));
  attempt("cors delete", () => fetch(marathon + "/v2/apps/victim", {method: "DELETE"}));
  attempt("keepalive", () => post("/k1", {mode: "no-cors", keepalive: true}));
  attempt("beacon", () => navigator.sendBeacon(marathon + "/v2/apps", app("/b1")));
  attempt("beacon blob", () => navigator.sendBeacon(marathon + "/v2/apps",
    new Blob([app("/b2")], {type: "text/plain"})));
  attempt("xhr", () => timeout((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", marathon + "/v2/apps");
    request.onload = () => done("READ " + request.responseText);
    request.onerror = () => done("failed");
    request.send(app("/x1"));
  }));
  // A page without an origin of its own.
  attempt("sandboxed", () => timeout((done) => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts allow-forms";
    frame.srcdoc = `<script>fetch(${JSON.stringify(marathon + "/v2/apps")}, {method: "POST",
      mode: "no-cors", body: ${JSON.stringify(app("/s1"))}}).finally(
        () => parent.postMessage("sent", "*"))</scr` + "ipt>";
    window.addEventListener("message", (event) => done(event.data));
    document.body.append(frame);
  }));
  for (const [name, server, path] of [["marathon", marathon, "/v2/apps"],
      ["gateway", gateway, "/state"], ["agent", agent, "/state"]]) {
    attempt("read " + name, () => fetch(server + path).then((answer) => answer.text())
      .then((text) => "READ " + text));
    attempt("script " + name, () => timeout((done) => {
      const script = document.createElement("script");
      script.src = server + path;
      script.onload = () => done("RAN");
      script.onerror = () => done("failed");
      document.body.append(script);
    }));
    attempt("frame " + name, () => timeout((done) => {
      const frame = document.createElement("iframe");
      frame.src = server + path;
      frame.onload = () => {
        try { done("READ " + frame.contentDocument.body.textContent); } catch { done("closed"); }
      };
      document.body.append(frame);
    }));
  }
  const streams = {marathon: marathon + "/v2/events", gateway: gateway + "/events"};
  for (const [name, url] of Object.entries(streams))
    attempt("events " + name, () => timeout((done) => {
      const events = new EventSource(url);
      events.onopen = () => done("OPEN");
      events.onerror = () => { events.close(); done("failed"); };
    }));
  await Promise.all(tried);
  return outcome;
}
"""


@pytest.fixture
def evil() -> Iterator[int]:
    """The port of a site of somebody else's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>kittens</title><body>kittens</body>")

        def log_message(self, *_: object) -> None:
            """Tests have enough to read."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """An empty tab, in which much is blocked: that is the point here."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def urls(cluster: Cluster, host: str = "127.0.0.1") -> list[str]:
    return [f"http://{host}:{port.number}" for port in cluster.ports]


def victim(cluster: Cluster) -> dict[str, Any]:
    """An app of the owner's."""
    app = {"id": "/victim", "cmd": "sleep 1000", "cpus": 0.01, "mem": 8, "instances": 0}
    fields = {"Content-Type": "application/json"}
    cluster.marathon.ask("PUT", "/v2/apps/victim?force=true", fields, json.dumps(app).encode())
    return apps(cluster)["/victim"]


def apps(cluster: Cluster) -> dict[str, Any]:
    _, _, body = cluster.marathon.ask("GET", "/v2/apps")
    return {app["id"]: app["version"] for app in json.loads(body)["apps"]}


@pytest.mark.parametrize("site", ["127.0.0.1", "localhost", "evil.example"])
def test_a_page_of_elsewhere_changes_and_reads_nothing(
    tab: Page, cluster: Cluster, evil: int, site: str
) -> None:
    victim(cluster)
    before = apps(cluster)
    tab.goto(f"http://{site}:{evil}/")
    outcome = tab.evaluate(ATTACK, urls(cluster))
    assert len(outcome) > 25
    learnt = [name for name, got in outcome.items() if str(got).startswith(("READ", "RAN", "OPEN"))]
    assert learnt == []
    for name in ("read marathon", "cors json", "cors put", "cors delete", "xhr", "events marathon"):
        assert outcome[name] == "failed", (name, outcome)
    assert apps(cluster) == before


def test_a_page_that_has_rebound_its_name_to_this_machine_gets_nothing(
    page: Page, cluster: Cluster
) -> None:
    victim(cluster)
    before = apps(cluster)
    for url, port in zip(urls(cluster, "evil.example"), cluster.ports, strict=True):
        answer = page.goto(f"{url}{port.honest}")
        assert answer is not None
        assert answer.status == 421
        assert "/victim" not in page.content()
        status = page.evaluate(
            """(app) => fetch("/v2/apps", {method: "POST", body: app,
                 headers: {"Content-Type": "application/json"}}).then((answer) => answer.status)""",
            json.dumps({"id": "/rebound", "cmd": "sleep 1", "instances": 0}),
        )
        assert status == 421
    assert apps(cluster) == before


def test_our_own_pages_read_and_may_write(page: Page, cluster: Cluster) -> None:
    victim(cluster)
    marathon, gateway, _ = urls(cluster)
    page.goto(f"{gateway}/")
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#apps-table tbody tr")).to_contain_text("/victim")
    page.goto(f"{marathon}/v2/info")
    write = """([method, path, body]) => fetch(path, {method, body,
      headers: {"Content-Type": "application/json"}}).then((answer) => answer.status)"""
    app = json.dumps({"id": "/own", "cmd": "sleep 1", "instances": 0})
    assert page.evaluate(write, ["POST", "/v2/apps", app]) == 201
    assert page.evaluate(write, ["DELETE", "/v2/apps/own?force=true", None]) == 200
    opened = page.evaluate(
        """() => new Promise((done) => {
          const events = new EventSource("/v2/events");
          events.addEventListener("event_stream_attached", (event) => done(event.data));
          events.onerror = () => done("failed");
        })"""
    )
    assert json.loads(opened)["eventType"] == "event_stream_attached"
    wait_for(lambda: "/own" not in apps(cluster), "end of the app")
