// The page: one stream of the cluster's state, one poll of Marathon's apps, rows kept by key.
// Every value of the cluster goes into the document as text, never as markup.

const cluster = { agents: new Map(), frameworks: new Map(), tasks: new Map() };
let apps = { list: [], queue: new Map(), problem: "asking Marathon…" };

const ROWS_MAX = 300;
const APPS_EVERY_MS = 2000;
const RECONNECT_MS = 1000;

// ---------------------------------------------------------------- small helpers

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const $ = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const badge = (text, state) => el("span", { class: "badge", "data-state": state }, text);
const sub = (text) => el("span", { class: "sub" }, text);
const named = (name, below) => [el("span", { class: "name" }, name), sub(below)];

function mib(value) {
  if (value < 1024) return `${number(value)} MiB`;
  if (value < 1024 * 1024) return `${number(value / 1024)} GiB`;
  return `${number(value / 1024 / 1024)} TiB`;
}

function ago(seconds) {
  if (!seconds) return "–";
  const age = Math.max(0, Date.now() / 1000 - seconds);
  if (age < 60) return `${Math.floor(age)} s`;
  if (age < 3600) return `${Math.floor(age / 60)} min`;
  if (age < 86400) return `${Math.floor(age / 3600)} h`;
  return plural(Math.floor(age / 86400), "day");
}

// `full` says what a full bar means: "tight" for resources, "reached" for a target.
function meter(label, used, total, show, full = "tight") {
  const share = total > 0 ? Math.min(1, used / total) : 0;
  const bar = el("i");
  bar.style.width = `${100 * share}%`; // through the object model: no inline style attribute
  const attributes = {
    role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": total,
    "aria-valuenow": used, "aria-valuetext": `${show(used)} of ${show(total)} used`,
  };
  if (share > (full === "tight" ? 0.9 : 0.999)) attributes["data-level"] = full;
  return el("meter-bar", attributes, bar);
}

// ---------------------------------------------------------------- tables

/** Rows by key: a row is made anew only when what it shows has changed. */
class Table {
  constructor(id, emptyText) {
    this.body = $(id).tBodies[0];
    this.columns = $(id).tHead.rows[0].cells;
    this.emptyText = emptyText;
    this.rows = new Map(); // key -> {text, row}
  }

  /** items: [{key, cells: [[node or text, ...], ...]}] in the order to be shown. */
  show(items, emptyText = this.emptyText) {
    const seen = new Map();
    for (const { key, cells } of items) {
      const made = el("tr", { "data-key": key }, ...cells.map((content, i) => {
        const cell = el("td", {}, ...content);
        cell.className = this.columns[i].className;
        return cell;
      }));
      const old = this.rows.get(key);
      seen.set(key, old && old.isEqualNode(made) ? old : made);
    }
    if (seen.size === 0) {
      const cell = el("td", { class: "empty", colspan: this.columns.length }, emptyText);
      seen.set("", el("tr", {}, cell));
    }
    this.rows = seen;
    let at = this.body.firstChild;
    for (const row of seen.values()) {
      if (row === at) at = at.nextSibling;
      else this.body.insertBefore(row, at);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }
}

const tables = {
  apps: new Table("apps-table", "No apps yet. Try: mezzo app add examples/hello.json"),
  tasks: new Table("tasks-table", "No tasks."),
  agents: new Table("agents-table", "No agents yet. Start one with: mezzo agent --master …"),
  frameworks: new Table("frameworks-table", "No frameworks are registered."),
};

// ---------------------------------------------------------------- what is shown

function showTotals() {
  const total = { cpus: 0, mem: 0, disk: 0 }, used = { cpus: 0, mem: 0, disk: 0 };
  let active = 0;
  for (const agent of cluster.agents.values()) {
    if (!agent.active) continue;
    active += 1;
    for (const name in total) {
      total[name] += agent.total[name];
      used[name] += agent.used[name];
    }
  }
  const tile = (id, label, name, show) => $(id).replaceChildren(
    el("div", { class: "label" }, label),
    el("div", { class: "value" }, show(used[name]), " ", el("small", {}, `of ${show(total[name])}`)),
    meter(label, used[name], total[name], show),
  );
  tile("total-cpus", "CPUs used", "cpus", number);
  tile("total-mem", "Memory used", "mem", mib);
  tile("total-disk", "Disk used", "disk", mib);
  const running = [...cluster.tasks.values()].filter((t) => t.state === "TASK_RUNNING").length;
  $("total-counts").replaceChildren(
    el("div", { class: "label" }, "Running"),
    el("div", { class: "value" }, plural(running, "task")),
    el("div", { class: "label" }, `${active} of ${plural(cluster.agents.size, "agent")} active`),
  );
}

function taskCounts(by) {
  const counts = new Map();
  for (const task of cluster.tasks.values()) {
    if (!task.over) counts.set(task[by], (counts.get(task[by]) ?? 0) + 1);
  }
  return counts;
}

const AGENT_STATES = { active: "good", draining: "busy", drained: "calm", deactivated: "calm" };

function showAgents() {
  const counts = taskCounts("agent");
  const agents = [...cluster.agents.values()].sort(
    (a, b) => a.hostname.localeCompare(b.hostname) || a.port - b.port);
  $("agents-count").textContent = agents.length;
  const share = (agent, name, label, show) => [
    el("span", { class: "nowrap" }, `${show(agent.used[name])} / ${show(agent.total[name])}`),
    meter(`${label} of ${agent.hostname}:${agent.port}`, agent.used[name], agent.total[name], show),
  ];
  tables.agents.show(agents.map((agent) => ({
    key: agent.id,
    cells: [
      named(`${agent.hostname}:${agent.port}`, agent.id),
      [badge(agent.state, AGENT_STATES[agent.state] ?? "bad")],
      [Object.entries(agent.attributes).map(([name, value]) => `${name}: ${value}`).join(", ") || "–"],
      share(agent, "cpus", "CPUs", number),
      share(agent, "mem", "Memory", mib),
      share(agent, "disk", "Disk", mib),
      [String(counts.get(agent.id) ?? 0)],
      [ago(agent.since)],
    ],
  })));
}

function showFrameworks() {
  const counts = taskCounts("framework");
  const frameworks = [...cluster.frameworks.values()].sort((a, b) => a.name.localeCompare(b.name));
  $("frameworks-count").textContent = frameworks.length;
  tables.frameworks.show(frameworks.map((framework) => ({
    key: framework.id,
    cells: [
      named(framework.name, framework.id),
      [framework.connected ? badge("connected", "good") : badge("disconnected", "bad")],
      [framework.roles.join(", ")],
      [number(framework.used.cpus)],
      [mib(framework.used.mem)],
      [String(counts.get(framework.id) ?? 0)],
      [ago(framework.since)],
    ],
  })));
}

const TASK_STATES = {
  TASK_STAGING: "busy", TASK_STARTING: "busy", TASK_KILLING: "busy",
  TASK_RUNNING: "good",
  TASK_FINISHED: "calm", TASK_KILLED: "calm",
};

function taskState(task) {
  const cell = [badge(task.state.replace("TASK_", "").replaceAll("_", " ").toLowerCase(),
                      TASK_STATES[task.state] ?? "bad")];
  if (task.state === "TASK_RUNNING" && task.healthy !== null) {
    cell.push(" ", task.healthy ? badge("healthy", "good") : badge("unhealthy", "bad"));
  }
  const why = [task.message, task.over ? task.reason : null].filter(Boolean).join(" · ");
  if (why && task.state !== "TASK_RUNNING") cell.push(sub(why));
  return cell;
}

function agentName(id) {
  const agent = cluster.agents.get(id);
  return agent ? `${agent.hostname}:${agent.port}` : id;
}

function showTasks() {
  const wanted = $("tasks-filter").value.trim().toLowerCase();
  const all = [...cluster.tasks.entries()].map(([key, task]) => ({
    key, task, agent: agentName(task.agent),
    framework: cluster.frameworks.get(task.framework)?.name ?? task.framework,
  }));
  const fitting = all.filter(({ task, agent, framework }) => !wanted ||
    [task.id, task.name, task.state, agent, framework].join(" ").toLowerCase().includes(wanted));
  // What lives first, the latest first.
  fitting.sort((a, b) => a.task.over - b.task.over || (b.task.since ?? 0) - (a.task.since ?? 0) ||
    a.task.id.localeCompare(b.task.id));
  const live = all.filter(({ task }) => !task.over).length;
  const cut = fitting.length > ROWS_MAX ? `, the first ${ROWS_MAX} of ${fitting.length} shown` : "";
  $("tasks-count").textContent = `${live} live${cut}`;
  tables.tasks.show(fitting.slice(0, ROWS_MAX).map(({ key, task, agent, framework }) => ({
    key,
    cells: [
      named(task.name || task.id, task.id),
      taskState(task),
      [framework],
      [agent],
      [number(task.used.cpus)],
      [mib(task.used.mem)],
      [ago(task.since)],
    ],
  })), wanted ? "No task fits the filter." : undefined);
}

// Marathon's reasons for refusing offers, in words. Source: /v2/queue, rejectSummaryLastOffers.
const REASONS = {
  UnfulfilledRole: "role does not fit",
  UnfulfilledConstraint: "constraint not met",
  NoCorrespondingReservationFound: "no fitting reservation",
  AgentMaintenance: "agent in maintenance",
  InsufficientCpus: "not enough CPUs",
  InsufficientMemory: "not enough memory",
  InsufficientDisk: "not enough disk",
  InsufficientGpus: "not enough GPUs",
  InsufficientPorts: "not enough ports",
  DeclinedScarceResources: "scarce resources are kept back",
};

function whyWaiting(item) {
  if (!item) return "–";
  const left = item.delay?.timeLeftSeconds ?? 0;
  const parts = left > 0 ? [`backing off after failures, ${plural(left, "second")} left`] : [];
  const summary = item.processedOffersSummary ?? {};
  for (const { reason, declined } of summary.rejectSummaryLastOffers ?? []) {
    if (declined > 0) parts.push(`${REASONS[reason] ?? reason} on ${plural(declined, "agent")}`);
  }
  if (parts.length === 0) {
    parts.push(summary.processedOffersCount ? "waiting for the next offer" : "no offer has come yet");
  }
  return parts.join("; ");
}

function appStatus(app, item) {
  if (app.deployments?.length) return badge("deploying", "busy");
  if (item && app.tasksRunning < app.instances) return badge("waiting", "busy");
  if (app.instances === 0) return badge("suspended", "calm");
  if (app.tasksUnhealthy > 0) return badge("unhealthy", "bad");
  return app.tasksRunning >= app.instances ? badge("running", "good") : badge("waiting", "busy");
}

function showApps() {
  $("apps-count").textContent = apps.problem ? "" : apps.list.length;
  const list = [...apps.list].sort((a, b) => a.id.localeCompare(b.id));
  tables.apps.show(list.map((app) => {
    const item = apps.queue.get(app.id);
    const checked = app.healthChecks?.length > 0;
    const counts = `${app.tasksRunning} running / ${checked ? `${app.tasksHealthy} healthy / ` : ""}${app.instances} target`;
    return {
      key: app.id,
      cells: [
        named(app.id, app.container?.docker?.image ?? app.cmd ?? (app.args ?? []).join(" ")),
        [appStatus(app, item)],
        [el("span", { class: "nowrap" }, counts),
          meter(`Instances of ${app.id}`, checked ? app.tasksHealthy : app.tasksRunning, app.instances, number, "reached")],
        [number(app.cpus)],
        [mib(app.mem)],
        [whyWaiting(item)],
      ],
    };
  }), apps.problem ?? undefined);
}

// One drawing per frame at most, and none while nobody looks.
let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    showTotals();
    showApps();
    showTasks();
    showAgents();
    showFrameworks();
  });
}

// ---------------------------------------------------------------- the stream

function take(delta) {
  for (const part of ["agents", "frameworks", "tasks"]) {
    for (const [key, doc] of Object.entries(delta[part] ?? {})) {
      if (doc === null) cluster[part].delete(key);
      else cluster[part].set(key, doc);
    }
  }
  draw();
}

function showConnection(text, state, problem) {
  $("connection").textContent = text;
  $("connection").dataset.state = state;
  $("problem").hidden = !problem;
  if (problem && $("problem").textContent !== problem) $("problem").textContent = problem;
  document.body.classList.toggle("stale", Boolean(problem));
}

function connect() {
  const stream = new EventSource("/events");
  stream.addEventListener("snapshot", (event) => {
    for (const part of Object.values(cluster)) part.clear();
    take(JSON.parse(event.data));
    askMarathon();
  });
  stream.addEventListener("change", (event) => take(JSON.parse(event.data)));
  stream.addEventListener("status", (event) => {
    const { problem } = JSON.parse(event.data);
    if (problem) showConnection("no leader", "bad", `What you see may be old: ${problem}.`);
    else showConnection("live", "good", null);
  });
  stream.onerror = () => {
    stream.close(); // the browser's own retry gives up on an error status; ours does not
    showConnection("connection lost", "bad",
      "The connection to the gateway is lost. What you see is old; trying again.");
    setTimeout(connect, RECONNECT_MS);
  };
}

// ---------------------------------------------------------------- Marathon's apps

async function getJson(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message ?? `${path} answered ${answer.status}`);
  return body;
}

let asking = false;
async function askMarathon() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const [{ apps: list }, { queue }] = await Promise.all([
      getJson("/marathon/v2/apps?embed=apps.counts&embed=apps.deployments"),
      getJson("/marathon/v2/queue"),
    ]);
    apps = {
      list, problem: null,
      queue: new Map(queue.filter((item) => item.app).map((item) => [item.app.id, item])),
    };
  } catch (error) {
    apps = { list: [], queue: new Map(), problem: error.message };
  } finally {
    asking = false;
  }
  draw();
}

$("tasks-filter").addEventListener("input", draw);
document.addEventListener("visibilitychange", askMarathon);
setInterval(askMarathon, APPS_EVERY_MS);
setInterval(draw, 1000); // ages
connect();
