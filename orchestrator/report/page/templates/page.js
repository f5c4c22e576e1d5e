"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const table = byId("table");
  const MARKS = ["straggler", "at our cap", "", "reused", "slower", "dearer", "fewer items"];
  const HAS_LOG = 4, AT_ONCE = 100;
  const TONES = {SUCCEEDED: "good", SKIPPED: "odd", "NOT-STARTED": "odd", RUNNING: "going", WAITING: "idle"};

  // Every text becomes a text node: nothing that an Actor says is read as HTML.
  const make = (name, given, ...content) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(given || {})) {
      if (value !== undefined) element.setAttribute(key, value);
    }
    element.append(...content.filter((one) => one !== undefined && one !== null));
    return element;
  };
  // Addresses begin with a text of ours, and the rest is encoded: `javascript:` cannot be one.
  const link = (words, start, rest, end = "") =>
    make("a", {href: start + encodeURIComponent(rest) + end}, words);

  const count = new Intl.NumberFormat("en-US");
  const money = (value) => "$" + (value >= 1 || value === 0
    ? value.toLocaleString("en-US", {minimumFractionDigits: 2, maximumFractionDigits: 2}) : value.toFixed(4));
  const clock = (value) => {
    const secs = Math.round(value), two = (part) => String(part).padStart(2, "0");
    return `${Math.floor(secs / 3600)}:${two(Math.floor(secs / 60) % 60)}:${two(secs % 60)}`;
  };
  const format = (zone) => new Intl.DateTimeFormat("sv-SE", {dateStyle: "short", timeStyle: "medium", timeZone: zone});
  let [times, shift] = [format("UTC"), data.offset];
  try {
    if (data.zone) [times, shift] = [format(data.zone), 0];
  } catch { /* this browser does not know the zone */ }
  const at = (secs) => times.format(new Date((data.base + secs + shift) * 1000));
  const day = data.base === undefined ? "" : at(0).slice(0, 10);
  // The day stands only where it is not the one on which the batch began.
  const time = (secs) => (at(secs).startsWith(day) ? at(secs).slice(11) : at(secs));

  const [SEQ, KEY, ACTOR, STATUS, ATTEMPTS, ITEMS, SECS, COST, START, RUN, ERROR, FLAGS, PARAMS, INPUTS] = Array(14).keys();
  const COLUMNS = [
    {name: "job", by: KEY, draw: drawJob, style: "key"},
    {name: "status", by: STATUS, draw: drawStatus},
    {name: "Actor", by: ACTOR, draw: (row) => data.actors[row[ACTOR]], text: (row) => data.actors[row[ACTOR]]},
    {name: "attempts", by: ATTEMPTS, draw: (row) => row[ATTEMPTS] || "", style: "number"},
    {name: "items", by: ITEMS, draw: (row) => row[ITEMS] === null ? "" : count.format(row[ITEMS]), style: "number"},
    {name: "time", by: SECS, draw: drawTime, text: secsOf, style: "number"},
    {name: "cost", by: COST, draw: (row) => row[COST] === null ? "" : money(row[COST]), style: "number"},
    {name: "began", by: START, draw: (row) => row[START] === null ? "" : time(row[START]), style: "number"},
    {name: "", draw: drawLinks, style: "links"},
  ];

  // A run in progress has the time that it has taken so far.
  function secsOf(row) {
    const isRunning = row[SECS] === null && row[START] !== null && typeof data.now === "number"
      && data.statuses[row[STATUS]] === "RUNNING";
    return isRunning ? Math.max(0, data.now - row[START]) : row[SECS];
  }
  function drawTime(row) {
    const secs = secsOf(row);
    return secs === null ? "" : row[SECS] === null ? `${clock(secs)} …` : clock(secs);
  }
  function drawJob(row) {
    const marks = MARKS.filter((mark, bit) => mark && row[FLAGS] & (1 << bit));
    const params = data.params
      .map((name, place) => [name, row[PARAMS][place]]).filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `${name} ${value}`).join(" · ");
    const key = data.job ? link(make("code", {}, row[KEY]), data.job, row[KEY]) : make("code", {}, row[KEY]);
    return [key, ...marks.map((mark) => make("span", {class: "tag"}, mark)),
      params ? make("span", {class: "params"}, params) : null,
      row[INPUTS] ? make("span", {class: "params"}, row[INPUTS]) : null,
      row[ERROR] < 0 ? null : make("span", {class: "error"}, data.errors[row[ERROR]])];
  }
  function drawStatus(row) {
    const status = data.statuses[row[STATUS]];
    return make("span", {class: `status ${TONES[status] || "bad"}`}, status);
  }
  function drawLinks(row) {
    if (data.job) return row[RUN] && data.console ? link("run", data.console, row[RUN]) : "";
    return [
      row[RUN] && data.console ? link("run", data.console, row[RUN]) : null,
      row[RUN] ? link("folder", "jobs/", row[KEY], "/") : null,
      row[RUN] && row[FLAGS] & HAS_LOG ? link("log", "jobs/", row[KEY], "/log.txt") : null,
    ];
  }

  const state = {by: SEQ, down: false, words: [], statuses: new Set(), actor: -1, shown: [], drawn: 0};
  let rows = new Map();
  const haystacks = new WeakMap();
  const haystack = (row) => {
    let text = haystacks.get(row);
    if (text === undefined) {
      text = [row[KEY], row[RUN], data.actors[row[ACTOR]], data.errors[row[ERROR]], ...row[PARAMS], row[INPUTS],
        ...MARKS.filter((mark, bit) => mark && row[FLAGS] & (1 << bit))].join("\n").toLowerCase();
      haystacks.set(row, text);
    }
    return text;
  };
  const matches = (row) => (state.actor < 0 || row[ACTOR] === state.actor)
    && (!state.statuses.size || state.statuses.has(row[STATUS]))
    && state.words.every((word) => haystack(row).includes(word));

  const compare = (one, other) => {
    const text = COLUMNS.find((column) => column.by === state.by)?.text || ((row) => row[state.by]);
    const [a, b] = [text(one), text(other)];
    // What is not known comes last, in both directions.
    if (a === null || b === null) return (a === null) - (b === null) || one[SEQ] - other[SEQ];
    const order = typeof a === "string" ? a.localeCompare(b, "en", {numeric: true}) : a - b;
    return (state.down ? -order : order) || one[SEQ] - other[SEQ];
  };

  const body = make("tbody");
  const heads = COLUMNS.map((column) => {
    if (column.by === undefined) return make("th", {class: column.style});
    const button = make("button", {type: "button"}, column.name);
    button.addEventListener("click", () => {
      state.down = state.by === column.by ? !state.down : column.style === "number";
      state.by = column.by;
      refresh();
    });
    return make("th", {class: column.style, scope: "col"}, button);
  });
  const rowOf = (row) => make("tr", {}, ...COLUMNS.map((column) => {
    const content = column.draw(row);
    return make("td", {class: column.style, "data-name": column.style === "number" ? column.name : undefined},
      ...(Array.isArray(content) ? content : [content]));
  }));
  const more = make("div", {});
  const drawMore = () => {
    const next = state.shown.slice(state.drawn, state.drawn + AT_ONCE);
    state.drawn += next.length;
    body.append(...next.map(rowOf));
    more.hidden = state.drawn >= state.shown.length;
  };

  function refresh(keep = false) {
    const drawn = keep ? state.drawn : 0;
    state.shown = [...rows.values()].filter(matches).sort(compare);
    state.drawn = 0;
    body.replaceChildren();
    do drawMore(); while (state.drawn < Math.min(drawn, state.shown.length));
    heads.forEach((head, place) => {
      if (COLUMNS[place].by !== undefined && COLUMNS[place].by === state.by) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    byId("order").value = `${state.by}${state.down ? "-" : ""}`;
    const total = rows.size + data.left_out;
    byId("count").textContent = (state.shown.length === rows.size && !data.left_out
      ? `${count.format(total)} jobs` : `${count.format(state.shown.length)} of ${count.format(total)} jobs`)
      + (data.left_out ? `; ${count.format(data.left_out)} are not on this page, because it would become too large: jobs.jsonl has all` : "");
  }

  function drawFilters() {
    const counts = new Map();
    for (const row of rows.values()) counts.set(row[STATUS], (counts.get(row[STATUS]) || 0) + 1);
    byId("statuses").replaceChildren(...[...counts].sort(([a], [b]) => a - b).map(([status, jobs]) => {
      const name = data.statuses[status];
      const button = make("button", {type: "button", class: TONES[name] || "bad", "aria-pressed": state.statuses.has(status)},
        make("span", {class: "dot"}), `${name} ${count.format(jobs)}`);
      button.addEventListener("click", () => {
        if (!state.statuses.delete(status)) state.statuses.add(status);
        drawFilters();
        refresh();
      });
      return button;
    }));
    const actors = data.actors.map((name, place) => [place, name]).sort((a, b) => a[1].localeCompare(b[1]));
    byId("actor").hidden = actors.length < 2;
    byId("actor").replaceChildren(make("option", {value: -1}, "all Actors"),
      ...actors.map(([place, name]) => make("option", {value: place}, name)));
    byId("actor").value = state.actor;
  }

  function startTable() {
    for (const row of data.rows) rows.set(row[SEQ], row);
    byId("order").append(make("option", {value: SEQ}, "in order of the spec"), ...COLUMNS.filter((column) => column.by !== undefined)
      .map((column) => column.style === "number"
        ? make("option", {value: `${column.by}-`}, `most ${column.name}`) : make("option", {value: column.by}, `by ${column.name}`)));
    byId("order").addEventListener("change", (event) => {
      state.by = parseInt(event.target.value, 10);
      state.down = event.target.value.endsWith("-");
      refresh();
    });
    byId("actor").addEventListener("change", (event) => { state.actor = Number(event.target.value); refresh(); });
    byId("search").addEventListener("input", (event) => {
      state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      refresh();
    });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    table.append(make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body), more);
    new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) drawMore(); }, {rootMargin: "600px"}).observe(more);
    byId("filters").hidden = false;
    drawFilters();
    refresh();
  }
  if (table && data.rows) startTable();

  // A live page asks for what has changed since its version, while somebody looks at it.
  const live = document.body.dataset.live;
  const openDetails = () => new Set([...document.querySelectorAll("details[id]")].filter((one) => one.open).map((one) => one.id));
  function apply(changes) {
    const opened = openDetails();
    for (const [name, html] of Object.entries(changes.sections)) byId(name).innerHTML = html;
    for (const id of opened) if (byId(id)) byId(id).open = true;
    const {sections, rows: changed, errors, errors_from: from, ...words} = changes;
    Object.assign(data, words);
    if (changed) {
      data.errors.splice(from, errors.length, ...errors);
      for (const row of changed) rows.set(row[SEQ], row);
      drawFilters();
      refresh(true);
    }
  }
  // Returns what is wrong, in words; nothing when the page is up to date.
  async function update() {
    let answer;
    try {
      answer = await fetch(`${live}?since=${encodeURIComponent(data.version)}`);
    } catch {
      return "Not up to date: the server does not answer. It runs as long as `orchestrator ui`.";
    }
    if (answer.status === 204) return "";
    if (answer.status !== 200) return `Not up to date: ${await answer.text()}`;
    const changes = await answer.json();
    if (changes.reload) location.reload(); else apply(changes);
    return "";
  }
  async function follow() {
    const words = document.hidden ? "" : await update();
    byId("written").textContent = words || data.written;
    byId("written").className = words ? "mark" : "";
    setTimeout(follow, 1000 * (words ? 5 : data.every));
  }
  if (live) setTimeout(follow, 1000 * data.every);
})();
