"use strict";
(() => {
  const form = document.querySelector(".filters");
  if (!form) return;
  const names = ["text", "group", "level", "operation", "verdict"];
  const rows = document.querySelectorAll("tr[data-verdict]");
  const output = form.querySelector("output");

  // What holds everywhere is folded to its heading; a filter unfolds what it finds.
  const bodies = [...document.querySelectorAll(".promises tbody")].map((body) => {
    const head = body.querySelector(".head"), fold = document.createElement("button");
    fold.type = "button";
    fold.className = "fold";
    fold.setAttribute("aria-expanded", String(!("quiet" in body.dataset)));
    fold.append(...head.childNodes);
    head.replaceChildren(fold);
    fold.addEventListener("click", () => {
      fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true"));
      apply();
    });
    const own = [...body.querySelectorAll("tr[data-verdict]")].map((row) => ({
      row, subject: row.cells[0].textContent.trim(), text: row.textContent.toLowerCase(),
    }));
    return { body, fold, own, text: body.rows[0].textContent.toLowerCase() };
  });
  // Whatever tells of promises elsewhere on the page is shown as long as one of them is.
  const tellers = [...document.querySelectorAll("[data-tells]")].map((teller) => ({ teller, of: teller.dataset.tells.split(" ") }));
  const parts = [...document.querySelectorAll("main > section")].map((part) => ({ part, tellers: part.querySelectorAll("[data-tells]") }));

  const apply = () => {
    const chosen = Object.fromEntries(names.map((name) => [name, form.elements[name].value]));
    const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
    const path = chosen.operation.split(" ")[1];
    const filtered = words.length > 0 || names.slice(1).some((name) => chosen[name]);
    const shown = new Set();
    for (const { body, fold, own, text } of bodies) {
      const open = filtered || fold.getAttribute("aria-expanded") === "true";
      const fits = (!chosen.group || body.dataset.group === chosen.group) && (!chosen.level || body.dataset.level === chosen.level);
      let any = false;
      fold.disabled = filtered;
      for (const { row, subject, text: said } of own) {
        const visible = fits
          && (!chosen.verdict || row.dataset.verdict === chosen.verdict)
          && (!chosen.operation || subject === chosen.operation || subject === path)
          && words.every((word) => text.includes(word) || said.includes(word));
        row.hidden = !(visible && open);
        any ||= visible;
        if (visible) shown.add(row.id.slice(1));
      }
      body.hidden = !any;
    }
    for (const { teller, of } of tellers) teller.hidden = filtered && !of.some((number) => shown.has(number));
    for (const { part, tellers: inside } of parts) part.hidden = inside.length > 0 && [...inside].every((teller) => teller.hidden);
    form.classList.toggle("active", filtered);
    const told = filtered ? `${shown.size} of ${rows.length} promises` : `${rows.length} promises`;
    if (output.value !== told) output.value = told;
  };

  // -- the state is the fragment: a filtered page can be linked to -------------------------------------------------------
  const keep = () => {
    const state = new URLSearchParams();
    for (const name of names) if (form.elements[name].value) state.set(name, form.elements[name].value);
    try {
      history.replaceState(null, "", `#${state}`);
    } catch {
      // A viewer that shows the page in a frame of its own may not let its address change.
    }
  };
  const take = (state) => {
    for (const name of names) {
      const control = form.elements[name], value = state.get(name) ?? "";
      control.value = value;
      if (control.value !== value) control.value = "";
    }
    apply();
  };
  const reveal = (id) => {
    const target = document.getElementById(id);
    if (!target) return;
    if (target.closest("[hidden]")) {
      take(new URLSearchParams());
      target.closest("tbody")?.querySelector(".fold")?.setAttribute("aria-expanded", "true");
      apply();
    }
    for (let outer = target.closest("details"); outer; outer = outer.parentElement.closest("details")) outer.open = true;
    if (!target.dataset.verdict) return target.scrollIntoView();
    const details = target.querySelector("details");
    if (details) details.open = true;
    target.scrollIntoView({ block: "center" });
  };
  const follow = () => {
    const fragment = location.hash.slice(1);
    if (fragment.includes("=")) {
      take(new URLSearchParams(fragment));
      form.scrollIntoView();
    } else {
      reveal(fragment);
    }
  };
  for (const link of document.querySelectorAll("a[data-filter]")) link.href = `#${link.dataset.filter}`;

  form.hidden = false;
  form.addEventListener("input", () => { apply(); keep(); });
  form.addEventListener("reset", () => setTimeout(() => { apply(); keep(); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    event.preventDefault();
    form.elements.text.focus();
  });
  const unfold = document.querySelector(".unfold");
  unfold.hidden = false;
  unfold.addEventListener("click", () => {
    for (const { fold } of bodies) fold.setAttribute("aria-expanded", "true");
    apply();
  });
  apply();
  follow();
})();
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      done = document.execCommand("copy");
    }
    const status = document.querySelector("[role=status]");
    status.textContent = button.textContent = done ? "copied" : "press Ctrl-C";
    setTimeout(() => { button.textContent = "copy"; status.textContent = ""; }, 2000);
  });
}
