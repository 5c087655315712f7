// The chat page: a client of /v1/models, /v1/chat/completions and, for base
// models that have no chat template, /v1/completions. Model text reaches the
// page through textContent alone.

const $ = (id) => document.getElementById(id);
const log = $("log"), input = $("input"), send = $("send"), modelBox = $("model");

let messages = [];    // the conversation, without the system prompt
let running = null;   // AbortController of the answer being written
let base = false;     // the model continues text and takes no messages
const baseLimit = 200; // tokens, as a base model has no end of turn

// ---- settings: remembered in this browser, the key only while the tab is open

for (const id of ["system", "temperature", "limit"]) {
  const kept = localStorage.getItem("weft." + id);
  if (kept !== null) $(id).value = kept;
  $(id).addEventListener("input", () => localStorage.setItem("weft." + id, $(id).value));
}
$("key").value = sessionStorage.getItem("weft.key") ?? "";
$("key").addEventListener("change", () => {
  sessionStorage.setItem("weft.key", $("key").value.trim());
  $("keyfield").classList.remove("wanted");
  loadModels();
});

function showSettings(show) {
  $("settings").hidden = !show;
  $("toggle").setAttribute("aria-expanded", String(show));
}
$("toggle").addEventListener("click", () => showSettings($("settings").hidden));

function askForKey() {
  showSettings(true);
  $("keyfield").classList.add("wanted");
  $("key").focus();
}

// ---- the API

async function api(path, body, signal) {
  const headers = {};
  const key = $("key").value.trim();
  if (key) headers.Authorization = "Bearer " + key;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  if (answer.ok) return answer;
  let error = { message: `the server answered ${answer.status} ${answer.statusText}` };
  try { error = (await answer.json()).error ?? error; } catch { /* not JSON: keep the status */ }
  throw Object.assign(new Error(error.message), { status: answer.status, code: error.code });
}

// events yields the JSON of each server-sent event up to [DONE]. An event may
// come in pieces, and a piece may end within a character.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the connection was cut before the answer was complete");
    buffer += value;
    for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
      const line = buffer.slice(0, end);
      if (!line.startsWith("data: ")) continue; // a comment that keeps the connection open
      if (line === "data: [DONE]") return;
      const data = JSON.parse(line.slice(6));
      if (data.error) throw Object.assign(new Error(data.error.message), { code: data.error.code });
      yield data;
    }
  }
}

async function loadModels() {
  try {
    const { data } = await (await api("/v1/models")).json();
    modelBox.replaceChildren(...data.map((m) => new Option(m.id, m.id)));
    modelBox.disabled = data.length < 2;
    describe(data);
  } catch (err) {
    modelBox.replaceChildren(new Option(err.status === 401 ? "API key needed" : "not reachable", ""));
    if (err.status === 401) askForKey();
  }
}

function describe(models) {
  const m = models.find((m) => m.id === modelBox.value);
  document.title = m ? `${m.id} · weft` : "weft";
  modelBox.title = m?.max_model_len ? `context of ${m.max_model_len} tokens` : "";
  modelBox.onchange = () => { base = false; clear(); describe(models); };
}

// question is what to send for the conversation so far.
function question() {
  const q = { model: modelBox.value || undefined, stream: true, stream_options: { include_usage: true } };
  const temperature = parseFloat($("temperature").value), limit = parseInt($("limit").value, 10);
  if (!Number.isNaN(temperature)) q.temperature = temperature;
  if (limit > 0) q.max_tokens = limit;
  if (base) {
    return ["/v1/completions", { ...q, max_tokens: q.max_tokens ?? baseLimit, prompt: messages.at(-1).content }];
  }
  const system = $("system").value.trim();
  const all = system ? [{ role: "system", content: system }, ...messages] : messages;
  return ["/v1/chat/completions", { ...q, messages: all }];
}

// ---- one turn

async function ask(text) {
  const talk = messages; // clear may begin another one meanwhile
  talk.push({ role: "user", content: text });
  addTurn("user").text.textContent = text;
  const turn = addTurn("assistant");
  setRunning(new AbortController());
  turn.box.classList.add("running");
  const facts = { started: performance.now(), pieces: 0 };
  let said = "";
  try {
    for await (const chunk of await start()) {
      const choice = chunk.choices[0];
      const piece = choice?.delta?.content ?? choice?.text ?? "";
      if (piece) {
        facts.first ??= performance.now();
        facts.pieces++;
        said += piece;
        turn.text.textContent = said;
      }
      facts.finish = choice?.finish_reason ?? facts.finish;
      facts.usage = chunk.usage ?? facts.usage;
      facts.ended = performance.now();
      turn.facts.textContent = tell(facts);
      follow();
    }
  } catch (err) {
    fail(turn, err, facts);
  }
  turn.box.classList.remove("running");
  if (said) talk.push({ role: "assistant", content: said });
  else unsend(talk, text);
  setRunning(null);
  follow();
}

// start opens the stream; the first refusal of a base model to chat turns the
// page to plain continuation.
async function start() {
  const signal = running.signal;
  try {
    return events((await api(...question(), signal)).body);
  } catch (err) {
    if (err.code !== "no_chat_template") throw err;
    base = true;
    $("hint").textContent = "";
    input.placeholder = "Text for the model to continue";
    return events((await api(...question(), signal)).body);
  }
}

// unsend takes an unanswered message back: roles must go on taking turns, and
// the words may be sent again.
function unsend(talk, text) {
  talk.pop();
  if (input.value || talk !== messages) return;
  input.value = text;
  grow();
}

function fail(turn, err, facts) {
  if (err.name === "AbortError") {
    facts.finish = "stopped";
    facts.ended ??= performance.now();
    turn.facts.textContent = tell(facts);
    return;
  }
  const note = document.createElement("div");
  note.className = "error";
  note.setAttribute("role", "alert");
  note.textContent = err.message;
  if (err instanceof TypeError) note.textContent = "The server cannot be reached. Is it still running?";
  if (err.status === 401) note.textContent = "This server wants its API key: enter it above, then send again.";
  turn.box.append(note);
  if (err.status === 401) askForKey();
}

// tell sums a turn up: counts as the server gives them, or the pieces so far.
function tell({ started, first, ended, pieces, usage, finish }) {
  const n = usage?.completion_tokens ?? pieces;
  const parts = [usage ? `${usage.prompt_tokens} + ${n} tokens` : `${n} pieces`];
  const seconds = (ended - first) / 1000;
  if (n > 1 && seconds > 0) parts.push(`${((n - 1) / seconds).toFixed(n / seconds < 10 ? 1 : 0)} tokens/s`);
  if (first) parts.push(`first after ${Math.round(first - started)} ms`);
  if (finish === "length") parts.push("cut at the length limit");
  if (finish === "stopped") parts.push("stopped");
  if (base) parts.push("base model");
  return parts.join(" · ");
}

function addTurn(role) {
  $("empty").hidden = true;
  const box = document.createElement("article"), text = document.createElement("div"), facts = document.createElement("p");
  box.className = "turn " + role;
  box.setAttribute("aria-label", role === "user" ? "You" : "Model");
  text.className = "text";
  facts.className = "facts";
  box.append(text);
  if (role === "assistant") box.append(facts);
  log.append(box);
  follow(true);
  return { box, text, facts };
}

// follow keeps the end in view unless the reader has scrolled away from it.
function follow(always) {
  if (always || log.scrollHeight - log.scrollTop - log.clientHeight < 120) log.scrollTop = log.scrollHeight;
}

function setRunning(controller) {
  running = controller;
  log.setAttribute("aria-busy", String(Boolean(controller)));
  send.textContent = controller ? "Stop" : "Send";
  send.classList.toggle("stop", Boolean(controller));
}

function clear() {
  running?.abort();
  messages = [];
  for (const turn of log.querySelectorAll(".turn")) turn.remove();
  $("empty").hidden = false;
  input.focus();
}

// ---- keys and buttons

function submit() {
  if (running) return;
  const text = input.value;
  if (!text.trim()) return;
  input.value = "";
  grow();
  ask(text);
}

function grow() {
  input.style.height = "auto";
  input.style.height = input.scrollHeight + 2 + "px";
}

$("composer").addEventListener("submit", (e) => {
  e.preventDefault();
  if (running) running.abort();
  else submit();
});
input.addEventListener("input", grow);
input.addEventListener("keydown", (e) => {
  if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
    e.preventDefault();
    submit();
  }
});
document.addEventListener("keydown", (e) => {
  if (e.key === "Escape") running?.abort();
});
$("clear").addEventListener("click", clear);

loadModels();
