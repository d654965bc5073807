"use strict";
// The page is complete without this: it adds sorting, copy buttons, and a button that opens all parts.
for (const command of document.querySelectorAll("pre.command")) {
  const button = document.createElement("button");
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.querySelector("code").textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(command.querySelector("code"));
    }
  });
  command.append(button);
}

const key = (row, column) => {
  const cell = row.cells[column];
  const data = cell?.querySelector("data");
  return data ? Number.parseFloat(data.value) : (cell?.textContent.trim() ?? "");
};
const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  for (const [column, header] of headers.entries()) {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const up = header.getAttribute("aria-sort") !== "ascending";
      for (const other of headers) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => (up ? 1 : -1) * compare(key(a, column), key(b, column)));
      table.tBodies[0].append(...rows);
    });
  }
}

const parts = document.querySelectorAll("main > details.chapter");
if (parts.length) {
  const button = document.createElement("button");
  const isAllOpen = () => [...parts].every((part) => part.open);
  const name = () => (button.textContent = isAllOpen() ? "Close all parts" : "Open all parts, also for printing");
  button.className = "all";
  button.addEventListener("click", () => {
    const open = !isAllOpen();
    for (const part of parts) part.open = open;
  });
  for (const part of parts) part.addEventListener("toggle", name);
  name();
  parts[0].before(button);
}
