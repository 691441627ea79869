// Follows a run that goes on: the server says that something changed, the page is fetched again, and its live parts are exchanged.
const said = document.querySelector("[data-follow]");
const state = () => document.querySelector("#state")?.textContent.trim();
let waiting = false;
let again = false;

async function refresh() {
  if (waiting) {
    again = true;
    return;
  }
  waiting = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.ok) exchange(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } finally {
    waiting = false;
    if (again) {
      again = false;
      setTimeout(refresh, 300);
    }
  }
}

function exchange(fresh) {
  const before = state();
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (!other || other.outerHTML === part.outerHTML) continue;
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const scrolled = [part, ...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    const opened = [...part.querySelectorAll("details")].map((details) => details.open);
    part.replaceWith(other);
    [other, ...other.querySelectorAll(".scroll")].forEach((box, index) => { box.scrollLeft = scrolled[index] ?? 0; });
    other.querySelectorAll("details").forEach((details, index) => { details.open = opened[index] ?? false; });
    if (focused) [...other.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }
  for (const log of document.querySelectorAll("pre[data-end]")) log.scrollTop = log.scrollHeight;
  document.dispatchEvent(new Event("cauce:changed"));
  if (state() !== before) said.textContent = `The run is ${state()}.`;
}

if (said) {
  const source = new EventSource(said.dataset.follow);
  source.addEventListener("changed", refresh);
  source.addEventListener("ended", () => {
    source.close();
    refresh();
  });
}
