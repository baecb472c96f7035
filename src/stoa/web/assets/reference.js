// The pages about the API: finds operations as somebody types, and tries a call. The pages are whole without it.

const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const word = (kind) => document.getElementById("ref-words").content.querySelector(`[data-kind=${kind}]`).textContent;
// A stream never ends by itself; this much of it is enough to look at.
const MOST_SHOWN = 200_000;

// Finding operations.

function find(form) {
  const wanted = form.querySelector("input[type=search]").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const tag of all("[data-tag]")) {
    const lines = all("[data-words]", tag);
    for (const line of lines) {
      line.hidden = !wanted.every((one) => line.dataset.words.includes(one));
    }
    const left = lines.filter((line) => !line.hidden).length;
    tag.hidden = left === 0;
    shown += left;
  }
  document.getElementById("operations-none").hidden = shown > 0;
}

for (const form of all("form[data-operations]")) {
  form.addEventListener("input", () => find(form));
}

// Trying a call.

// crypto.randomUUID is for secure pages alone; this page may stand on plain http in somebody's own network.
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const text = [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
}

function requestOf(form, token) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  const headers = { Authorization: `Bearer ${token}` };
  for (const input of all("[data-in]", form)) {
    const value = input.value.trim();
    if (input.dataset.in === "path") {
      path = path.replace(`{${input.name}}`, encodeURIComponent(value));
    } else if (value && input.dataset.in === "query") {
      query.set(input.name, value);
    } else if (value) {
      headers[input.name] = value;
    }
  }
  const body = form.querySelector("textarea[data-type]");
  if (body) {
    headers["Content-Type"] = body.dataset.type;
  }
  const asked = query.size ? `?${query}` : "";
  return [path + asked, { method: form.dataset.method, headers, body: body?.value, credentials: "omit", cache: "no-store" }];
}

function firstMissing(form) {
  return all("input[required]", form).find((input) => input.dataset.in === "path" && !input.value.trim());
}

function tell(form, text) {
  const said = document.createElement("p");
  said.textContent = text;
  form.querySelector("[data-answer]").replaceChildren(said);
}

function pretty(text, type) {
  if (!/\bjson\b/.test(type)) {
    return text;
  }
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function show(form, answer, began) {
  const shown = document.getElementById("ref-answer").content.firstElementChild.cloneNode(true);
  shown.classList.toggle("ref-refused", !answer.ok);
  shown.querySelector("[data-status]").textContent = `${answer.status} ${answer.statusText}`.trim();
  shown.querySelector("[data-took]").textContent = `${Math.round(performance.now() - began)} ms`;
  shown.querySelector("[data-headers]").textContent = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  form.querySelector("[data-answer]").replaceChildren(shown);
  return shown.querySelector("[data-body]");
}

async function read(answer, into) {
  const type = answer.headers.get("content-type") ?? "";
  if (type.startsWith("text/event-stream")) {
    await follow(answer.body.getReader(), into);
  } else {
    into.textContent = pretty(await answer.text(), type) || word("empty");
  }
}

// Shows what comes as it comes.
async function follow(reader, into) {
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    into.textContent += decoder.decode(value, { stream: !done });
    if (done) {
      return;
    }
    if (into.textContent.length > MOST_SHOWN) {
      await reader.cancel();
      return;
    }
  }
}

async function send(form) {
  const token = document.getElementById("token");
  const missing = firstMissing(form);
  if (!token.value.trim()) {
    tell(form, word("token"));
    token.focus();
    return;
  }
  if (missing) {
    missing.reportValidity();
    missing.focus();
    return;
  }
  const stopper = new AbortController();
  const stop = form.querySelector("[data-stop]");
  const button = form.querySelector("[type=submit]");
  const onStop = () => stopper.abort();
  const began = performance.now();
  stop.addEventListener("click", onStop);
  stop.hidden = false;
  button.disabled = true;
  tell(form, word("waiting"));
  try {
    const [address, request] = requestOf(form, token.value.trim());
    const answer = await fetch(address, { ...request, signal: stopper.signal });
    await read(answer, show(form, answer, began));
  } catch {
    if (!form.querySelector("[data-answer] .ref-answer")) {
      tell(form, word(stopper.signal.aborted ? "stopped" : "network"));
    }
  } finally {
    stop.removeEventListener("click", onStop);
    stop.hidden = true;
    button.disabled = false;
  }
}

for (const place of all("[data-try], [data-token]")) {
  place.hidden = false;
}
for (const input of all("[data-fresh]")) {
  input.value = uuid();
}
document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-try] form");
  if (form) {
    event.preventDefault();
    send(form);
  }
});
document.addEventListener("click", ({ target }) => {
  const renew = target.closest("[data-renew]");
  if (renew) {
    renew.form.querySelector("[data-fresh]").value = uuid();
  }
});
