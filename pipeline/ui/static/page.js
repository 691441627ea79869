// What each page can do beyond links: "/" goes to the search, a button waits until enough is chosen, logs show their end.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.querySelector(".find input")?.focus();
  }
});

for (const button of document.querySelectorAll("button[data-needs]")) {
  const form = button.form;
  const count = () => {
    button.disabled = form.querySelectorAll("input[type=checkbox]:checked").length < Number(button.dataset.needs);
  };
  form.addEventListener("change", count);
  count();
}

for (const select of document.querySelectorAll(".filters select")) select.addEventListener("change", () => select.form.requestSubmit());
for (const log of document.querySelectorAll("pre[data-end]")) log.scrollTop = log.scrollHeight;
document.querySelector(".graph .root")?.scrollIntoView({ block: "nearest", inline: "center" });
