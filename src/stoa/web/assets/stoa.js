// What the pages do by themselves in a browser. Every page works without it; each part stands alone.

const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const fromTemplate = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

// Toasts.

const STAYS = new Set(["bad", "warn", "held", "stale"]);
const SHOWN_MS = 10_000;

// The same is not said twice at a time: a page that asks the server every few seconds may fail as often.
function say(text, tone = "info") {
  if (all("#toasts bdi").some((said) => said.textContent === text)) {
    return;
  }
  const toast = fromTemplate("toast-template");
  toast.classList.add(`toast-${tone}`);
  toast.querySelector("bdi").textContent = text;
  document.getElementById("toasts").append(toast);
  if (!STAYS.has(tone)) {
    goesAway(toast);
  }
}

// Not while somebody reads it or is about to press its button.
function goesAway(toast) {
  setTimeout(() => {
    if (toast.matches(":hover, :focus-within")) {
      goesAway(toast);
    } else {
      toast.remove();
    }
  }, SHOWN_MS);
}

// What the page came with is said again: a region is only read out when something is added to it.
function sayAgain() {
  for (const toast of all("#toasts > .toast")) {
    const tone = [...toast.classList].find((name) => name.startsWith("toast-"))?.slice("toast-".length);
    toast.remove();
    say(toast.textContent.trim(), tone);
  }
}

// Dialogs.

// Resolves to whether the act is confirmed. The browser gives the focus back to where it was.
function ask(question, label, tone) {
  const dialog = fromTemplate("confirm-template");
  const yes = dialog.querySelector("button[value=yes]");
  dialog.querySelector("h2").textContent = label;
  dialog.querySelector("p").textContent = question;
  yes.textContent = label;
  yes.className = tone;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

function toneOf(button) {
  return button?.classList.contains("danger") ? "danger" : "primary";
}

// Forms: asked first where they say so, and sent once.

const confirmed = new WeakSet();
const onTheirWay = new Map();

async function confirmFirst(form, button) {
  if (await ask(form.dataset.confirm, button?.textContent.trim() ?? "", toneOf(button))) {
    confirmed.add(form);
    form.requestSubmit(button);
  }
}

function onSubmit(event) {
  const form = event.target;
  const button = event.submitter ?? form.querySelector("button:not([type=button])");
  if (form.method === "dialog") {
    return;
  }
  if (onTheirWay.has(form)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  } else if (form.dataset.confirm && !confirmed.has(form)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    confirmFirst(form, button);
  } else {
    confirmed.delete(form);
    onTheirWay.set(form, button);
    button?.setAttribute("aria-busy", "true");
  }
}

function arrived(form) {
  onTheirWay.get(form)?.removeAttribute("aria-busy");
  onTheirWay.delete(form);
}

// Times.

const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800, 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" });
// The tenant's clock may differ from this machine's, by a little or on purpose.
const ahead = document.documentElement.dataset.now ? Date.parse(document.documentElement.dataset.now) - Date.now() : 0;

function keepTimes(scope = document) {
  for (const element of all("time[data-relative]", scope)) {
    const seconds = (Date.parse(element.dateTime) - Date.now() - ahead) / 1000;
    const unit = UNITS.find(([, length, from = length]) => Math.abs(seconds) >= from);
    if (unit) {
      const count = Math.max(1, Math.floor(Math.abs(seconds) / unit[1]));
      const text = relative.format(Math.sign(seconds) * count, unit[0]);
      if (element.textContent !== text) {
        element.textContent = text;
      }
    }
  }
}

// Copying.

async function copy(button) {
  const label = button.textContent;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = button.dataset.copied;
  document.getElementById("spoken").textContent = button.dataset.copied;
  setTimeout(() => {
    button.textContent = label;
    document.getElementById("spoken").textContent = "";
  }, 2000);
}

// The colour scheme.

function offerThemes() {
  for (const group of all("[data-themes]")) {
    const chosen = document.documentElement.dataset.theme ?? "auto";
    for (const input of all("input", group)) {
      input.checked = input.value === chosen;
    }
    group.hidden = false;
  }
}

function chooseTheme(name) {
  if (name === "auto") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = name;
  }
  document.dispatchEvent(new CustomEvent("stoa:theme"));
  // Last, for a visitor who lets no site keep anything still gets it for this page.
  localStorage.setItem("stoa-theme", name);
}

// Menus close when somebody goes elsewhere.

function closeMenus(except = null) {
  for (const menu of all("details.menu[open]")) {
    if (menu !== except) {
      menu.open = false;
    }
  }
}

function onKey(event) {
  if (event.key === "Escape") {
    const menu = event.target.closest("details.menu[open]");
    closeMenus();
    menu?.querySelector("summary").focus();
  }
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = document.querySelector("[data-slash]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  }
}

// What htmx reports.

// A refusal comes as toasts, or as a page that says what happened; anything else is told in general words.
function sayRefusal(answer) {
  const toasts = all(".toast, [data-problem]", new DOMParser().parseFromString(answer, "text/html"));
  for (const toast of toasts) {
    say(toast.textContent.trim(), "bad");
  }
  if (!toasts.length) {
    sayFailure("answer");
  }
}

function sayFailure(kind) {
  say(document.getElementById("failure-words").content.querySelector(`[data-kind=${kind}]`).textContent, "bad");
}

// What is new in the page: all of it at first, then what htmx brought.
function prepare(scope) {
  keepTimes(scope);
  for (const button of all("[data-copy]", scope)) {
    // Browsers give the clipboard to secure pages alone.
    button.hidden = !navigator.clipboard;
  }
  for (const region of all(".scroll", scope)) {
    widths.observe(region);
  }
  // What a form answered with is at another address from now on: loading it again sends nothing a second time.
  for (const moved of all("[data-at]", scope)) {
    history.replaceState(history.state, "", moved.dataset.at);
  }
  if (all("[data-chart]", scope).length || scope.matches?.("[data-chart]")) {
    import("./charts.js").then((charts) => charts.draw(document));
  }
}

// A table that fits is no stop for the keyboard.
const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    target.toggleAttribute("tabindex", false);
    if (target.scrollWidth > target.clientWidth) {
      target.tabIndex = 0;
    }
  }
});

document.addEventListener("submit", onSubmit, { capture: true });
document.addEventListener("keydown", onKey);
document.addEventListener("click", ({ target }) => {
  closeMenus(target.closest("details.menu"));
  target.closest("[data-dismiss]")?.closest(".toast").remove();
  const button = target.closest("[data-copy]");
  if (button) {
    copy(button);
  }
});
document.addEventListener("focusin", ({ target }) => closeMenus(target.closest("details.menu")));
document.addEventListener("change", ({ target }) => {
  if (target.closest("[data-themes]")) {
    chooseTheme(target.value);
    offerThemes();
  }
});
// A page that comes back from the browser's memory has nothing on its way.
window.addEventListener("pageshow", () => [...onTheirWay.keys()].forEach(arrived));

document.addEventListener("htmx:load", ({ target }) => prepare(target));
document.addEventListener("htmx:afterRequest", ({ target }) => arrived(target));
document.addEventListener("htmx:responseError", ({ detail }) => sayRefusal(detail.xhr.responseText));
document.addEventListener("htmx:sendError", () => sayFailure("network"));
// Whose session has ended is led to the sign-in page, not shown it in the middle of this one.
document.addEventListener("htmx:beforeSwap", (event) => {
  const to = new URL(event.detail.xhr.responseURL || location.href).pathname;
  if (to === "/console/sign-in" && location.pathname !== to) {
    event.detail.shouldSwap = false;
    location.reload();
  }
});
document.addEventListener("htmx:timeout", () => sayFailure("network"));
document.addEventListener("htmx:confirm", (event) => {
  if (event.detail.question) {
    event.preventDefault();
    const button = event.target.closest("button");
    ask(event.detail.question, button?.textContent.trim() ?? "", toneOf(button)).then((yes) => yes && event.detail.issueRequest(true));
  }
});
document.addEventListener("said", ({ detail }) => say(detail.text, detail.tone));

offerThemes();
sayAgain();
prepare(document);
setInterval(keepTimes, 15_000);
