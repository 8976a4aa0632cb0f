"use strict";
(() => {
  const find = (id, where = document) => where.getElementById(id);
  const form = find("find"), list = find("list"), every = 1000 * document.body.dataset.every;
  const url = new URL(location.href);
  let state = url.searchParams.get("state") || "", timer = 0, failures = 0, running = false, again = false;
  document.documentElement.classList.add("js");

  // --- search and filter: all rows are here, so no request is needed --------------------------
  const words = () => (form ? form.elements.q.value : "").toLowerCase().split(/\s+/).filter(Boolean);
  function filter() {
    if (!form) return;
    const asked = words();
    let any = false;
    for (const section of list.children) {
      let shown = false;
      const wanted = !state || section.id === "in-" + state;
      for (const row of section.lastElementChild.children) {
        row.hidden = !(wanted && asked.every((word) => row.dataset.t.includes(word)));
        shown = shown || !row.hidden;
      }
      section.hidden = !shown;
      any = any || shown;
    }
    find("none").hidden = any;
    for (const chip of find("chips").querySelectorAll("a"))
      chip.dataset.state === state ? chip.setAttribute("aria-current", "true") : chip.removeAttribute("aria-current");
  }
  function remember() {
    const asked = new URLSearchParams();
    if (form.elements.q.value.trim()) asked.set("q", form.elements.q.value.trim());
    if (state) asked.set("state", state);
    history.replaceState(null, "", asked.size ? "?" + asked : location.pathname);
  }
  function search(text, by) {
    form.elements.q.value = text;
    state = by;
    filter();
    remember();
  }

  // --- refresh: what has changed is replaced, and nothing else ---------------------------------
  function same(old, fresh) {
    fresh.hidden = old.hidden;
    const [was, is] = [old.firstElementChild, fresh.firstElementChild];
    if (was && is && was.tagName === "DETAILS") is.open = was.open;
    return old.isEqualNode(fresh);
  }
  function place(fresh) {
    const old = find(fresh.id);
    if (!old) return fresh;
    if (same(old, fresh)) return old;
    const active = document.activeElement;
    const within = old.contains(active) ? active.id || active.getAttribute("href") : null;
    old.replaceWith(fresh);
    if (within !== null) {
      const next = find(within) || [...fresh.querySelectorAll("a")].find((a) => a.getAttribute("href") === within);
      (next || fresh.querySelector("summary")).focus({preventScroll: true});
    }
    return fresh;
  }
  function rows(old, fresh) {
    const wanted = [...fresh.children].map((row) => place(document.adoptNode(row)));
    wanted.forEach((row, n) => { if (old.children[n] !== row) old.insertBefore(row, old.children[n] || null); });
    return new Set(wanted);
  }
  function swap(fresh) {
    for (const id of ["facts", "answer", "banners", "chips"]) {
      const [old, next] = [find(id), find(id, fresh)];
      if (!old || !next) continue;
      for (const chip of next.querySelectorAll("[data-state]")) {
        chip.removeAttribute("aria-current");
        if (chip.dataset.state === state) chip.setAttribute("aria-current", "true");
      }
      if (old.isEqualNode(next)) continue;
      const active = old.contains(document.activeElement) ? document.activeElement.dataset.state : undefined;
      old.replaceWith(document.adoptNode(next));
      if (active !== undefined) next.querySelector(`[data-state="${active}"]`).focus({preventScroll: true});
    }
    document.title = fresh.title;
    const icon = document.querySelector("link[rel=icon]"), its = fresh.querySelector("link[rel=icon]");
    if (icon.getAttribute("href") !== its.getAttribute("href")) icon.setAttribute("href", its.getAttribute("href"));
    const time = document.querySelector("footer time");
    time.replaceWith(document.adoptNode(fresh.querySelector("footer time")));
    if (form) {
      form.toggleAttribute("data-lazy", find("find", fresh).hasAttribute("data-lazy"));
      const kept = new Set();
      for (const section of list.children) {
        const its = find(section.id, fresh);
        if (!section.firstElementChild.isEqualNode(its.firstElementChild))
          section.firstElementChild.replaceWith(document.adoptNode(its.firstElementChild));
        for (const row of rows(section.lastElementChild, its.lastElementChild)) kept.add(row);
      }
      for (const row of list.querySelectorAll("li[id]")) if (!kept.has(row)) row.remove();
      filter();
    }
  }
  const isReady = (fresh) => fresh.querySelector("meta[name=generator]") && find("answer", fresh);
  const isOther = (fresh) =>
    fresh.querySelector("meta[name=generator]").content !== document.querySelector("meta[name=generator]").content ||
    !find("find", fresh) !== !form;
  async function refresh() {
    if (running) { again = true; return; }
    running = true;
    clearTimeout(timer);
    try {
      const asked = new URLSearchParams();
      if (form && form.hasAttribute("data-lazy"))
        for (const open of [...list.querySelectorAll("details[open]")].slice(0, 50)) asked.append("open", open.parentElement.id.slice(4));
      const answer = await fetch(location.pathname + (asked.size ? "?" + asked : ""), {cache: "no-store", signal: AbortSignal.timeout(10000)});
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok || !isReady(fresh)) throw new Error("HTTP " + answer.status);
      if (isOther(fresh)) { location.reload(); return; }
      swap(fresh);
      failures = 0;
    } catch (error) {
      failures += 1;
      console.warn("not refreshed: " + error);
    }
    const stale = find("stale");
    stale.hidden = failures < 2;
    document.body.classList.toggle("stale", failures >= 2);
    if (failures >= 2) {
      const text = "The bridge does not answer. What is shown is of " + document.querySelector("footer time").textContent + ".";
      if (stale.textContent !== text) stale.textContent = text;
    }
    running = false;
    if (again) { again = false; refresh(); return; }
    timer = setTimeout(next, every * Math.min(6, 1 + failures));
  }
  const next = () => { if (document.visibilityState === "visible") refresh(); };
  document.addEventListener("visibilitychange", next);

  if (form) {
    form.addEventListener("submit", (event) => { event.preventDefault(); remember(); });
    form.elements.q.addEventListener("input", () => { filter(); remember(); });
    document.addEventListener("click", (event) => {
      const link = event.target.closest("[data-state], [data-q], #none a");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      if (link.dataset.q !== undefined) search(link.dataset.q, "");
      else if (link.dataset.state !== undefined) search(form.elements.q.value, link.dataset.state);
      else search("", "");
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !event.ctrlKey && !event.metaKey && document.activeElement !== form.elements.q) {
        event.preventDefault();
        form.elements.q.focus();
      } else if (event.key === "Escape" && document.activeElement === form.elements.q) search("", state);
    });
    list.addEventListener("toggle", (event) => {
      if (event.target.open && event.target.querySelector(".later")) refresh();
    }, true);
  }
  // A page that was asked for with a query has some rows only: the others come at once.
  if (url.search) refresh();
  else timer = setTimeout(next, every);
})();
