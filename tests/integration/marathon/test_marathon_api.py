"""Marathon's HTTP API, with a real master and a real agent behind it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.parts.marathon_cluster import Marathon, run_cluster, small, wait_for


@pytest.fixture(scope="module")
def marathon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marathon]:
    for cluster in run_cluster(tmp_path_factory.mktemp("api")):
        yield cluster.marathon("marathon")


# ---------------------------------------------------------------------------------- apps


def test_an_app_is_created_runs_and_is_removed(marathon: Marathon) -> None:
    """Behaviours 1, 29."""
    answer = marathon.post("/v2/apps", small("/crud", instances=2, env={"A": "1"}))
    assert answer.status == 201
    assert answer.headers["Location"] == f"http://{marathon.address}/v2/apps/crud"
    assert answer.headers["X-Marathon-Leader"] == f"http://{marathon.address}"
    assert answer.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    body = answer.json
    assert body["deployments"] == [{"id": answer.headers["Marathon-Deployment-Id"]}]
    counters = ("tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy")
    assert [body[name] for name in counters] == [0, 0, 0, 0]
    assert body["version"] == body["versionInfo"]["lastConfigChangeAt"]
    marathon.settled("/crud", 2)
    (task, _) = marathon.get("/v2/apps/crud/tasks").json["tasks"]
    assert task["appId"] == "/crud"
    assert task["state"] == "TASK_RUNNING"
    assert task["host"] == "127.0.0.1"
    assert task["ports"][0] >= 31000
    assert task["ipAddresses"] == [{"ipAddress": "127.0.0.1", "protocol": "IPv4"}]
    gone = marathon.delete("/v2/apps/crud")
    assert gone.status == 200
    assert set(gone.json) == {"version", "deploymentId"}
    assert marathon.get("/v2/apps/crud").status == 404
    marathon.gone("/crud")


def test_slashes_may_be_doubled_and_at_the_end(marathon: Marathon) -> None:
    marathon.create("/slashes", instances=0)
    for path in ("/v2/apps//slashes", "/v2//apps/slashes/", "/v2/apps///slashes//"):
        assert marathon.get(path).json["app"]["id"] == "/slashes"


def test_an_id_may_be_encoded_as_one_part_of_the_path(marathon: Marathon) -> None:
    marathon.create("/coded/app", instances=0)
    for app_id in ("%2Fcoded%2Fapp", "coded%2fapp", "/coded%2F%2Fapp", "%2f/coded/app%2F"):
        path = f"/v2/apps/{app_id}"
        assert marathon.get(path).json["app"]["id"] == "/coded/app"
        assert marathon.get(f"{path}/tasks").json == {"tasks": []}
        (version,) = marathon.get(f"{path}/versions").json["versions"]
        assert marathon.get(f"{path}/versions/{version}").json["id"] == "/coded/app"
        assert marathon.delete(f"/v2/queue/{app_id}/delay").status == 404
    assert marathon.post("/v2/apps/%2Fcoded%2Fapp/restart").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v2/apps/nope", 404, "App '/nope' does not exist"),
        ("DELETE", "/v2/apps/nope", 404, "App '/nope' does not exist"),
        ("PATCH", "/v2/apps/nope", 404, "App '/nope' does not exist"),
        ("POST", "/v2/apps/nope/restart", 404, "App '/nope' does not exist"),
        ("GET", "/v2/apps/nope/tasks", 404, "App '/nope' does not exist"),
        ("GET", "/v2/apps/nope/versions", 404, "App '/nope' does not exist"),
        ("DELETE", "/v2/deployments/nope", 404, "DeploymentPlan nope does not exist"),
        ("DELETE", "/v2/queue/nope/delay", 404, "Application /nope not found in tasks queue."),
        ("GET", "/v2/nothing", 404, "URI not found"),
    ],
)
def test_unknown_things(
    marathon: Marathon, method: str, path: str, status: int, message: str
) -> None:
    """Behaviour 7."""
    answer = marathon.ask(method, path, {} if method == "PATCH" else None)
    assert (answer.status, answer.json["message"]) == (status, message)


def test_bad_documents(marathon: Marathon) -> None:
    """Behaviours 3, 4."""
    broken = marathon.ask("POST", "/v2/apps", raw=b'{"id": ')
    assert broken.status == 400
    assert broken.json["message"] == "Invalid JSON"
    assert isinstance(broken.json["details"], str)
    shape = marathon.post("/v2/apps", {"id": 3})
    assert shape.status == 422
    assert shape.json == {
        "message": "Invalid JSON",
        "details": [{"path": "/id", "errors": ["error.expected.jsstring"]}],
    }
    rule = marathon.post("/v2/apps", {"id": "/x"})
    assert rule.status == 422
    assert rule.json["message"] == "Object is not valid"
    assert rule.json["details"][0]["path"] == "/"


def test_numbers_beyond_all_bounds_hurt_nobody(marathon: Marathon) -> None:
    """Lists answer as before, the process lives, other apps of the request are not changed."""
    marathon.create("/calm", instances=0)
    before = marathon.get("/v2/apps").text
    for field in ("instances", "cpus", "mem", "disk", "backoffSeconds", "backoffFactor"):
        for value in (
            "1e30",
            "1e300",
            "9223372036854775808",
            "123456789012345678901234567890",
            "-1",
        ):
            raw = f'[{{"id":"/calm","{field}":{value}}},{{"id":"/new","cmd":"true"}}]'.encode()
            answer = marathon.ask("PUT", "/v2/apps", raw=raw)
            assert answer.status == 422
            assert answer.json["details"][0]["path"] == f"/(0)/{field}"
    grace = {"taskKillGracePeriodSeconds": 1e10}
    assert marathon.put("/v2/apps", [small("/new"), small("/calm", **grace)]).status == 422
    assert marathon.get("/v2/apps").text == before
    assert marathon.get("/v2/queue").status == 200


def test_a_typo_is_taken_and_told(marathon: Marathon) -> None:
    answer = marathon.post("/v2/apps", small("/typo", instances=0, helthChecks=[]))
    assert answer.status == 201
    assert "/helthChecks (did you mean healthChecks?)" in answer.headers["Warning"]


def test_an_existing_app_is_not_created_again(marathon: Marathon) -> None:
    """Behaviour 2."""
    before = marathon.create("/twice", instances=0)
    answer = marathon.post("/v2/apps", small("/twice", cmd="other"))
    assert answer.status == 409
    assert answer.json == {"message": "An app with id [/twice] already exists."}
    assert marathon.app("/twice")["version"] == before["version"]


def test_puts_create_change_and_keep(marathon: Marathon) -> None:
    """Behaviours 7, 8, 9, 10, 23."""
    created = marathon.put("/v2/apps/put", {"cmd": "exec sleep 1000", "cpus": 0.01, "mem": 8})
    assert created.status == 201
    assert "Location" in created.headers
    marathon.settled("/put", 1)
    changed = marathon.put("/v2/apps/put", {"id": "/other", "env": {"C": "1"}})
    assert changed.status == 200
    assert set(changed.json) == {"version", "deploymentId"}
    assert changed.headers["Marathon-Deployment-Id"] == changed.json["deploymentId"]
    assert marathon.get("/v2/apps/other").status == 404
    (task,) = marathon.settled("/put", 1)
    app = marathon.app("/put")
    assert (app["env"], app["cmd"]) == ({"C": "1"}, "exec sleep 1000")
    again = marathon.put("/v2/apps/put", {"env": {"C": "1"}})
    assert again.status == 200
    assert marathon.app("/put")["version"] == app["version"]
    assert marathon.settled("/put", 1) == [task]
    marathon.put("/v2/apps/put", {"instances": 0})
    marathon.settled("/put", 0)


def test_a_list_of_apps_is_changed_in_one_deployment_or_not_at_all(marathon: Marathon) -> None:
    """Behaviour 21."""
    items = [small("/many/a", instances=0), small("/many/b", instances=0)]
    answer = marathon.put("/v2/apps", items)
    assert answer.status == 200
    ids = [app["id"] for app in marathon.get("/v2/apps?id=/many/").json["apps"]]
    assert ids == ["/many/a", "/many/b"]
    bad = marathon.put("/v2/apps", [{"id": "/many/a", "cmd": "x"}, {"id": "/many/b", "cpus": -1}])
    assert bad.status == 422
    assert marathon.app("/many/a")["cmd"] == items[0]["cmd"]
    missing = marathon.ask("PATCH", "/v2/apps", [{"id": "/many/c", "instances": 1}])
    assert missing.status == 404


def test_lists_are_filtered(marathon: Marathon) -> None:
    """Behaviours 18, 19, 20."""
    marathon.create("/find/web", instances=0, labels={"tier": "web"})
    marathon.create("/find/db", instances=0, labels={"tier": "db"}, cmd="run database")

    def ids(query: str) -> list[str]:
        return [app["id"] for app in marathon.get(f"/v2/apps{query}").json["apps"]]

    assert ids("?label=tier==web") == ["/find/web"]
    assert ids("?label=tier,tier!=web") == ["/find/db"]
    assert ids("?id=FIND/W") == ["/find/web"]
    assert ids("?cmd=database") == ["/find/db"]
    below = marathon.get("/v2/apps/find/*").json["*"]
    assert [app["id"] for app in below] == ["/find/db", "/find/web"]
    wrong = marathon.get("/v2/apps?label=a=")
    assert wrong.status == 422
    assert wrong.json["message"].startswith("Can not parse label selector")


def test_embedding_adds_what_is_asked_for(marathon: Marathon) -> None:
    marathon.create("/embed")
    marathon.settled("/embed", 1)

    def read(query: str) -> Any:
        (app,) = marathon.get(f"/v2/apps?id=/embed{query}").json["apps"]
        return app

    assert "tasks" not in read("")
    assert read("")["tasksRunning"] == 1
    assert len(read("&embed=apps.tasks")["tasks"]) == 1
    stats = read("&embed=apps.taskStats")["taskStats"]
    assert stats["totalSummary"]["stats"]["counts"]["running"] == 1
    assert "withOutdatedConfig" not in stats


# ---------------------------------------------------------------------------------- versions


def test_versions_are_listed_read_and_brought_back(marathon: Marathon) -> None:
    """Behaviours 24, 25, 26."""
    first = marathon.create("/revised", cmd="exec sleep 1001")["version"]
    marathon.settled("/revised", 1)
    marathon.put("/v2/apps/revised", {"cmd": "exec sleep 1002"})
    marathon.settled("/revised", 1)
    listed = marathon.get("/v2/apps/revised/versions").json["versions"]
    assert len(listed) == 2
    assert listed[1] == first
    old = marathon.get(f"/v2/apps/revised/versions/{first}").json
    assert (old["cmd"], old["version"]) == ("exec sleep 1001", first)
    assert marathon.get("/v2/apps/revised/versions/2001-01-01T00:00:00.000Z").status == 404
    both = marathon.put("/v2/apps/revised", {"version": first, "cmd": "x"})
    assert both.status == 422
    text = "The 'version' field may only be combined with the 'id' field."
    assert both.json["details"] == [{"path": "/", "errors": [text]}]
    assert marathon.put("/v2/apps/revised", {"version": first}).status == 200
    marathon.settled("/revised", 1)
    app = marathon.app("/revised")
    assert app["cmd"] == "exec sleep 1001"
    assert app["version"] not in listed


# ---------------------------------------------------------------------------------- tasks


def test_tasks_are_killed_with_and_without_scaling(marathon: Marathon) -> None:
    """Behaviours 80, 81."""
    marathon.create("/kill", instances=4)
    tasks = marathon.settled("/kill", 4)
    killed = marathon.delete(f"/v2/apps/kill/tasks/{tasks[0]}")
    assert killed.status == 200
    assert killed.json["task"]["id"] == tasks[0]
    after = wait_for(
        lambda: (ids := marathon.settled("/kill", 4)) and tasks[0] not in ids and ids,
        "replacement",
    )
    scaled = marathon.delete(f"/v2/apps/kill/tasks/{after[0]}?scale=true")
    assert set(scaled.json) == {"version", "deploymentId"}
    left = marathon.settled("/kill", 3)
    assert after[0] not in left
    both = marathon.delete(f"/v2/apps/kill/tasks/{left[0]}?scale=true&wipe=true")
    assert both.status == 400
    assert both.json["message"] == "You cannot use scale and wipe at the same time."
    unknown = marathon.delete("/v2/apps/kill/tasks/kill.instance-x._app.1")
    assert unknown.status == 404
    assert unknown.json["message"] == "Task 'kill.instance-x._app.1' does not exist"
    given = marathon.post(
        "/v2/tasks/delete?scale=true", {"ids": [left[0], "kill.instance-unknown._app.1"]}
    )
    assert given.status == 200
    assert marathon.settled("/kill", 2)
    assert marathon.post("/v2/tasks/delete", {"ids": ["nonsense"]}).status == 400
    nowhere = marathon.delete("/v2/apps/kill/tasks?host=elsewhere&scale=true")
    assert nowhere.status == 200
    everywhere = marathon.delete("/v2/apps/kill/tasks?host=127.0.0.1&scale=true")
    assert everywhere.status == 200
    marathon.settled("/kill", 0)
    assert marathon.app("/kill")["instances"] == 0


def test_tasks_are_listed_as_json_and_as_text(marathon: Marathon) -> None:
    marathon.create("/listed", portDefinitions=[{"port": 10777}])
    (task_id,) = marathon.settled("/listed", 1)
    tasks = marathon.get("/v2/tasks?status=running").json["tasks"]
    (task,) = [task for task in tasks if task["id"] == task_id]
    assert task["servicePorts"] == [10777]
    assert not [t for t in marathon.get("/v2/tasks?status=staging").json["tasks"] if t == task]
    text = marathon.get("/v2/tasks", Accept="text/plain").text
    assert f"listed\t10777\t127.0.0.1:{task['ports'][0]}\t\n" in text


def test_a_restart_replaces_every_task(marathon: Marathon) -> None:
    """Behaviour 43."""
    marathon.create("/restart-me", instances=2)
    before = marathon.settled("/restart-me", 2)
    assert marathon.post("/v2/apps/restart-me/restart").status == 200
    after = wait_for(
        lambda: (ids := marathon.settled("/restart-me", 2)) and ids[0] not in before and ids,
        "new tasks",
    )
    assert not set(after) & set(before)


def test_a_task_finds_its_environment(marathon: Marathon, tmp_path: Any) -> None:
    """Behaviours 90, 94."""
    out = tmp_path / "env"
    marathon.create("/env", cmd=f"env > {out}.tmp && mv {out}.tmp {out}; exec sleep 1000")
    (task_id,) = marathon.settled("/env", 1)
    wait_for(out.exists, "environment of the task")
    env = dict(line.split("=", 1) for line in out.read_text().splitlines() if "=" in line)
    (task,) = marathon.app("/env")["tasks"]
    assert env["MARATHON_APP_ID"] == "/env"
    assert env["MESOS_TASK_ID"] == task_id
    assert env["PORT0"] == env["PORT"] == str(task["ports"][0])


# ---------------------------------------------------------------------------------- health


def test_healthy_tasks_are_counted(marathon: Marathon) -> None:
    """Behaviours 66, 69: Marathon asks over the network."""
    marathon.create(
        "/healthy",
        cmd="exec python3 -m http.server --bind 127.0.0.1 $PORT0",
        healthChecks=[
            {"protocol": "HTTP", "intervalSeconds": 0.2, "gracePeriodSeconds": 20},
            {"protocol": "TCP", "intervalSeconds": 0.2, "gracePeriodSeconds": 20},
        ],
    )
    app = wait_for(
        lambda: (app := marathon.app("/healthy"))["tasksHealthy"] == 1 and app, "healthy task"
    )
    (task,) = app["tasks"]
    assert [result["alive"] for result in task["healthCheckResults"]] == [True, True]
    assert task["healthCheckResults"][0]["consecutiveFailures"] == 0
    marathon.delete("/v2/apps/healthy")


@pytest.mark.parametrize("protocol", ["HTTP", "COMMAND"])
def test_a_kill_for_bad_health_delays_the_replacement(marathon: Marathon, protocol: str) -> None:
    """Whoever makes the check, Marathon or the agent."""
    check = {
        "protocol": protocol,
        **({"command": {"value": "exit 3"}} if protocol == "COMMAND" else {"portIndex": 0}),
        "gracePeriodSeconds": 0,
        "intervalSeconds": 0.2,
        "timeoutSeconds": 1,
        "delaySeconds": 0,
        "maxConsecutiveFailures": 1,
    }
    marathon.create("/sick", healthChecks=[check], backoffSeconds=3000, maxLaunchDelaySeconds=3000)
    failure = wait_for(lambda: marathon.app("/sick").get("lastTaskFailure"), "failure")
    assert failure["state"] == "TASK_KILLED"
    cause = "the command exited with status 3" if protocol == "COMMAND" else "refused"
    assert failure["message"].startswith("killed because its health check failed: ")
    assert cause in failure["message"]
    (item,) = [q for q in marathon.get("/v2/queue").json["queue"] if q["app"]["id"] == "/sick"]
    assert item["delay"]["timeLeftSeconds"] > 2900
    assert not item["delay"]["overdue"]
    marathon.delete("/v2/apps/sick")
    marathon.gone("/sick")


def test_an_unhealthy_task_is_replaced(marathon: Marathon) -> None:
    """Behaviour 66."""
    marathon.create(
        "/ill",
        healthChecks=[
            {
                "protocol": "TCP",
                "intervalSeconds": 0.1,
                "gracePeriodSeconds": 0,
                "maxConsecutiveFailures": 2,
            }
        ],
    )
    (first,) = wait_for(lambda: marathon.task_ids("/ill"), "task")
    wait_for(
        lambda: (ids := marathon.task_ids("/ill")) and first not in ids, "replacement for the ill"
    )
    marathon.delete("/v2/apps/ill")


# ---------------------------------------------------------------------------------- deployments


def test_a_stuck_deployment_locks_its_app_until_it_is_cancelled(marathon: Marathon) -> None:
    """Behaviours 29, 37, 38, 39."""
    marathon.create("/stuck")
    marathon.settled("/stuck", 1)
    started = marathon.put("/v2/apps/stuck", {"cpus": 10_000}).json["deploymentId"]
    (plan,) = [d for d in marathon.get("/v2/deployments").json if d["id"] == started]
    assert plan["affectedApps"] == ["/stuck"]
    assert plan["affectedPods"] == []
    assert (plan["currentStep"], plan["totalSteps"]) == (1, 1)
    assert plan["steps"] == [{"actions": [{"action": "RestartApplication", "app": "/stuck"}]}]
    action = {"action": "RestartApplication", "app": "/stuck", "readinessCheckResults": []}
    assert plan["currentActions"] == [action]
    refused = marathon.put("/v2/apps/stuck", {"instances": 2})
    assert refused.status == 409
    assert refused.json == {
        "message": "App is locked by one or more deployments. Override with the option "
        "'?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
        "deployments": [{"id": started}],
    }
    back = marathon.delete(f"/v2/deployments/{started}")
    assert back.status == 200
    assert back.json["deploymentId"] != started
    marathon.settled("/stuck", 1)
    assert marathon.app("/stuck")["cpus"] == 0.01

    again = marathon.put("/v2/apps/stuck", {"cpus": 10_000}).json["deploymentId"]
    stopped = marathon.delete(f"/v2/deployments/{again}?force=true")
    assert (stopped.status, stopped.text) == (202, "")
    assert marathon.app("/stuck")["cpus"] == 10_000
    assert marathon.app("/stuck")["deployments"] == []
    marathon.delete("/v2/apps/stuck")


def test_the_queue_tells_why_an_app_waits(marathon: Marathon) -> None:
    """Behaviours 112, 113."""
    marathon.create("/huge", cpus=10_000, instances=3)

    def read() -> Any:
        items = marathon.get("/v2/queue?embed=lastUnusedOffers").json["queue"]
        (item,) = [item for item in items if item["app"]["id"] == "/huge"]
        return item if item["processedOffersSummary"]["processedOffersCount"] else None

    item = wait_for(read, "offer for /huge")
    assert item["count"] == 3
    assert item["delay"] == {"timeLeftSeconds": 0, "overdue": True}
    assert "role" not in item
    funnel = item["processedOffersSummary"]["rejectSummaryLastOffers"]
    assert [row["reason"] for row in funnel] == [
        "UnfulfilledRole",
        "UnfulfilledConstraint",
        "NoCorrespondingReservationFound",
        "AgentMaintenance",
        "InsufficientCpus",
        "InsufficientMemory",
        "InsufficientDisk",
        "InsufficientGpus",
        "InsufficientPorts",
        "DeclinedScarceResources",
    ]
    assert funnel[4] == {"reason": "InsufficientCpus", "declined": 1, "processed": 1}
    assert funnel[5]["processed"] == 0
    (unused,) = item["lastUnusedOffers"]
    assert unused["reason"] == ["InsufficientCpus"]
    assert {"name": "rack", "text": "r1"} in unused["offer"]["attributes"]
    assert {"cpus", "mem", "ports"} <= {r["name"] for r in unused["offer"]["resources"]}
    assert "lastUnusedOffers" not in marathon.get("/v2/queue").json["queue"][0]
    marathon.delete("/v2/apps/huge")


def test_a_failing_app_waits_and_its_delay_can_be_reset(marathon: Marathon) -> None:
    """Behaviours 46, 85, 86."""
    marathon.create("/failing", cmd="exit 7", backoffSeconds=100)

    def read() -> Any:
        items = marathon.get("/v2/queue").json["queue"]
        found = [item for item in items if item["app"]["id"] == "/failing"]
        return found and found[0]["delay"]["timeLeftSeconds"] > 50 and found[0]

    item = wait_for(read, "delay of /failing")
    assert item["delay"]["overdue"] is False
    failure = marathon.app("/failing")["lastTaskFailure"]
    assert failure["state"] == "TASK_FAILED"
    first = failure["taskId"]
    assert marathon.delete("/v2/queue/failing/delay").status == 204
    wait_for(
        lambda: marathon.app("/failing")["lastTaskFailure"]["taskId"] != first, "second failure"
    )
    marathon.delete("/v2/apps/failing")
    marathon.gone("/failing")


# ---------------------------------------------------------------------------------- events


class Listener:
    """Reads an event stream in a thread of its own."""

    def __init__(self, marathon: Marathon, query: str = "") -> None:
        self.events: list[dict[str, Any]] = []
        connection = http.client.HTTPConnection(marathon.address, timeout=30)
        connection.connect()
        self.socket = connection.sock
        connection.request("GET", f"/v2/events{query}", headers={"Accept": "text/event-stream"})
        self.reply = connection.getresponse()
        assert self.reply.status == 200
        assert self.reply.getheader("Content-Type", "").startswith("text/event-stream")
        self.reply.readline()  # the first heartbeat
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self.reply:
                if line.startswith(b"data: "):
                    self.events.append(json.loads(line[6:]))
        except (OSError, http.client.HTTPException):
            pass  # closed

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)


def test_a_creation_is_told_in_order(marathon: Marathon) -> None:
    """Behaviours 29, 107, 109."""
    assert marathon.get("/v2/events").status == 405
    listener = Listener(marathon)
    marathon.create("/told", labels={"a": "b"})
    marathon.settled("/told", 1)
    wait_for(
        lambda: any(e["eventType"] == "deployment_success" for e in listener.events), "success"
    )
    listener.close()
    mine = [e for e in listener.events if "/told" in json.dumps(e)]
    kinds = [event["eventType"] for event in mine]
    assert kinds[:2] == ["api_post_event", "deployment_info"]
    assert kinds[-2:] == ["deployment_step_success", "deployment_success"]
    post = mine[0]
    assert post["uri"] == "/v2/apps"
    assert post["clientIp"] == "127.0.0.1"
    assert post["appDefinition"]["versionInfo"]["lastScalingAt"]
    states = [e["taskStatus"] for e in mine if e["eventType"] == "status_update_event"]
    assert states[-1] == "TASK_RUNNING"
    assert mine[-1]["plan"]["original"] == {"id": "/"}
    (update, *_, running) = [e for e in mine if e["eventType"] == "status_update_event"]
    assert running["ipAddresses"] == [{"ipAddress": "127.0.0.1", "protocol": "IPv4"}]
    assert {"slaveId", "taskId", "message", "appId", "host", "ipAddresses", "ports", "version"} <= (
        set(update)
    )


def test_a_stream_is_filtered_by_type(marathon: Marathon) -> None:
    """Behaviour 108."""
    listener = Listener(marathon, "?event_type=deployment_success&event_type=app_terminated_event")
    marathon.create("/filtered")
    marathon.settled("/filtered", 1)
    marathon.delete("/v2/apps/filtered")
    marathon.gone("/filtered")
    wait_for(
        lambda: (
            [e["eventType"] for e in listener.events if "filtered" in json.dumps(e)]
            == ["deployment_success", "app_terminated_event", "deployment_success"]
        ),
        "three events",
    )
    listener.close()


# ---------------------------------------------------------------------------------- the system


def test_marathon_tells_of_itself(marathon: Marathon) -> None:
    """Behaviours 125, 126."""
    info = marathon.get("/v2/info").json
    assert info["name"] == "marathon"
    assert info["version"].startswith("1.11.")
    assert info["elected"] is True
    assert info["leader"] == marathon.address
    assert info["frameworkId"]
    assert info["http_config"]["http_port"] == marathon.port
    assert info["marathon_config"]["mesos_leader_ui_url"]
    assert marathon.get("/v2/leader").json == {"leader": marathon.address}
    ping = marathon.get("/ping", Accept="text/plain")
    assert (ping.status, ping.text) == (200, "pong")
    assert marathon.get("/ping", Accept="application/json").text == '"pong"'


def test_metrics_agree_in_both_forms(marathon: Marathon) -> None:
    """Behaviour 124."""
    marathon.create("/measured", instances=2)
    marathon.settled("/measured", 2)
    metrics = marathon.get("/metrics").json
    running = metrics["gauges"]["marathon.instances.running.gauge"]["value"]
    total = sum(app["tasksRunning"] for app in marathon.get("/v2/apps").json["apps"])
    assert running == total
    assert metrics["counters"]["marathon.tasks.launched.counter"]["count"] >= 2
    text = marathon.get("/metrics/prometheus").text
    assert f"marathon_instances_running_gauge {float(running)}\n" in text


def test_long_answers_are_compressed_for_those_who_ask(marathon: Marathon) -> None:
    marathon.create("/long", instances=0, labels={f"label-{n}": "x" * 50 for n in range(50)})
    request = http.client.HTTPConnection(marathon.address)
    request.request("GET", "/v2/apps/long", headers={"Accept-Encoding": "gzip"})
    reply = request.getresponse()
    assert reply.getheader("Content-Encoding") == "gzip"
    assert len(reply.read()) < 1500
    request.close()


def test_a_method_that_does_not_fit_is_refused(marathon: Marathon) -> None:
    assert marathon.post("/v2/deployments").status == 405
    assert marathon.ask("POST", "/v2/apps/x/versions").status == 405
