"use strict";
// Tables sorted by a click on a heading, or by Enter or Space where it has the focus.
(() => {
  // Words that stand once for several rows stand in each of them, so that rows can part.
  const filled = (rows) => {
    let above = [];
    for (const row of rows) {
      const cells = [...row.cells];
      if (!cells[0].textContent) {
        const same = cells.findIndex((cell) => cell.textContent);
        cells.slice(0, same).forEach((cell, place) => { cell.textContent = above[place]; });
      }
      above = cells.map((cell) => cell.textContent);
    }
  };

  const number = (text) => Number.parseFloat(text.replaceAll("\u2212", "-").replace(/^< /, "").replace(/^\+/, ""));

  // Numbers before words, and what is missing last in either direction.
  const compared = (one, other, sign) => {
    const [left, right] = [number(one), number(other)];
    const [bare, bareOther] = [one === "\u2013" || one === "", other === "\u2013" || other === ""];
    if (bare || bareOther) return Number(bare) - Number(bareOther);
    if (!Number.isNaN(left) && !Number.isNaN(right)) return sign * (left - right);
    return sign * one.localeCompare(other);
  };

  const sort = (table, place, button) => {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    filled(rows);
    const heading = button.parentElement;
    const numeric = heading.classList.contains("number");
    const was = heading.getAttribute("aria-sort");
    const descends = was === null ? numeric : was === "ascending";
    const text = (row) => row.cells[place].textContent;
    // Rows of one style stay together, unless the styles themselves are sorted.
    const parted = table.classList.contains("parted") && place > 0;
    const parts = [...new Set(rows.map((row) => row.cells[0].textContent))];
    const part = (row) => (parted ? parts.indexOf(row.cells[0].textContent) : 0);
    rows.sort((one, other) => part(one) - part(other) || compared(text(one), text(other), descends ? -1 : 1));
    rows.forEach((row, at) => row.classList.toggle("first", parted && at > 0 && part(row) !== part(rows[at - 1])));
    body.append(...rows);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descends ? "descending" : "ascending");
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((heading, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sort(table, place, button));
      heading.replaceChildren(button);
    });
  }
})();
