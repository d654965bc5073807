// The organiser's page: who has answered how much, everybody's link, deletion on request.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const token = location.hash.slice(1);
  let shown = 0;
  let chosen = null;

  async function ask(method, path, content) {
    const response = await fetch(path, {
      method, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: content === undefined ? undefined : JSON.stringify(content),
    });
    if (!response.ok) throw new Error((await response.text()).slice(0, 300));
    return response.json();
  }

  function cell(row, text, tag = "td") {
    const element = document.createElement(tag);
    element.textContent = text;
    row.append(element);
    return element;
  }

  function line(rater) {
    const row = document.createElement("tr");
    const name = cell(row, rater.number, "th");
    name.scope = "row";
    cell(row, `${rater.answers} of ${rater.of}`);
    cell(row, rater.state);
    const link = cell(row, "");
    if (rater.state !== "withdrawn") {
      const copy = document.createElement("input"); // selected by a click: the clipboard is closed to plain HTTP
      copy.value = rater.link;
      copy.readOnly = true;
      copy.setAttribute("aria-label", `Link of rater ${rater.number}`);
      copy.addEventListener("focus", () => copy.select());
      link.append(copy);
    }
    const last = cell(row, "");
    if (rater.answers) {
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "quiet";
      remove.textContent = "Delete";
      remove.setAttribute("aria-label", `Delete the answers of rater ${rater.number}`);
      remove.addEventListener("click", () => {
        chosen = rater.number;
        byId("sure").showModal();
      });
      last.append(remove);
    }
    return row;
  }

  async function refresh(always = false) {
    try {
      const status = await ask("GET", `/api/admin/status?links=${shown}`);
      shown = status.raters.length;
      byId("summary").textContent = `${status.finished} of ${status.planned} raters have finished; under way: ${status.going}.`;
      // While somebody is at a link or a button of the table, it stays as it is.
      if (always || !byId("raters").contains(document.activeElement)) byId("raters").replaceChildren(...status.raters.map(line));
      byId("try").href = status.preview;
      for (const id of ["table", "more", "preview", "preview-note"]) byId(id).hidden = false;
    } catch (error) {
      byId("summary").textContent = error.message || "The server does not answer.";
    }
  }

  byId("more").addEventListener("click", () => {
    shown += 10;
    refresh(true);
  });
  byId("no").addEventListener("click", () => byId("sure").close());
  byId("yes").addEventListener("click", async () => {
    byId("sure").close();
    await ask("POST", "/api/admin/withdraw", { number: chosen });
    refresh(true);
  });
  refresh();
  setInterval(() => refresh(), 5000);
})();
