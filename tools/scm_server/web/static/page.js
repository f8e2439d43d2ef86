// What a page can do without, but is nicer with: ages that grow, the live log, a few keys.
// Texts of others are set as textContent only.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function ageOf(seconds) {
  if (seconds < 1) return "now";
  const [size, name] = UNITS.find(([size]) => seconds >= size);
  return `${Math.floor(seconds / size)} ${name} ago`;
}

function growAges() {
  for (const age of document.querySelectorAll("time[datetime] + .age")) {
    const at = Date.parse(age.previousElementSibling.dateTime);
    age.textContent = ageOf((Date.now() - at) / 1000);
  }
}

// "/" goes to the search field, as in many programs.
function listenForSlash(event) {
  const isTyping = event.target.closest("input, textarea, select");
  const field = document.querySelector("input[type=search]");
  if (event.key === "/" && !isTyping && field) {
    event.preventDefault();
    field.focus();
  }
}

// Leaving an edited document asks first.
function guardEditor(editor) {
  const text = editor.querySelector("textarea");
  const before = text.value;
  let isSent = false;
  editor.addEventListener("submit", () => { isSent = true; });
  addEventListener("beforeunload", (event) => {
    if (!isSent && text.value !== before) event.preventDefault();
  });
}

const MAX_LINES = 2000;
const LEVELS = ["debug", "info", "warning", "error"];

class LiveLog {
  constructor(list) {
    this.list = list;
    this.level = document.getElementById("log-level");
    this.filter = document.getElementById("log-filter");
    this.pause = document.getElementById("log-pause");
    this.state = document.getElementById("log-state");
    this.held = [];
    this.level.addEventListener("change", () => this.show());
    this.filter.addEventListener("input", () => this.show());
    this.pause.addEventListener("click", () => this.togglePause());
    list.scrollTop = list.scrollHeight;
    const source = new EventSource(`/log/events?after=${list.dataset.last}`);
    source.addEventListener("open", () => this.say("live", "good"));
    source.addEventListener("error", () => this.say("connecting", "warning"));
    source.addEventListener("message", (event) => this.take(JSON.parse(event.data)));
  }

  say(text, kind) {
    this.state.textContent = text;
    this.state.className = `badge ${kind}`;
  }

  get isPaused() { return this.pause.getAttribute("aria-pressed") === "true"; }

  togglePause() {
    const wasPaused = this.isPaused;
    this.pause.setAttribute("aria-pressed", String(!wasPaused));
    this.pause.textContent = wasPaused ? "Pause" : "Go on";
    if (wasPaused) {
      this.append(this.held.splice(0));
    }
  }

  take({ lines, skipped }) {
    const rows = lines.map(([, time, level, text]) => this.row(time, level, text));
    if (skipped) rows.unshift(this.row("", "warning", `${skipped} lines are not shown: too many at once`));
    if (this.isPaused) {
      this.held.push(...rows);
      this.held.splice(0, this.held.length - MAX_LINES);
    } else {
      this.append(rows);
    }
  }

  append(rows) {
    const { list } = this;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    for (const row of rows) this.showRow(row);
    list.append(...rows);
    while (list.childElementCount > MAX_LINES) list.firstElementChild.remove();
    document.getElementById("log-empty").hidden = list.childElementCount > 0;
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }

  row(time, level, text) {
    const row = document.createElement("li");
    row.className = level;
    for (const [name, value] of [["time", time], ["b", level], ["span", text]]) {
      const part = document.createElement(name);
      part.textContent = value;
      row.append(part, " ");
    }
    return row;
  }

  show() {
    for (const row of this.list.children) this.showRow(row);
    this.list.scrollTop = this.list.scrollHeight;
  }

  showRow(row) {
    const isImportant = LEVELS.indexOf(row.className) >= LEVELS.indexOf(this.level.value);
    row.hidden = !isImportant || !row.textContent.includes(this.filter.value);
  }
}

growAges();
setInterval(growAges, 10000);
document.addEventListener("keydown", listenForSlash);
document.querySelectorAll("form.editor").forEach(guardEditor);
const list = document.getElementById("log");
if (list) new LiveLog(list);
