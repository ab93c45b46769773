"use strict";
// Sorts and filters the runs. What is shown is in the address, so that a view can be kept and sent.
const table = document.getElementById("runs");
const rows = [...table.tBodies[0].rows];
const heads = [...table.tHead.rows[0].cells];
const find = document.getElementById("find");
const state = document.getElementById("state");
const count = document.getElementById("count");
const texts = rows.map((row) => row.textContent.toLowerCase());
let by = -1, down = false;

function order(a, b) {
  const [x, y] = [a, b].map((row) => row.cells[by].dataset.v ?? row.cells[by].textContent.trim());
  if (x === "" || y === "") return (x === "") - (y === "");  // what is unknown comes last
  const [m, n] = [Number(x), Number(y)];
  const sign = Number.isNaN(m) || Number.isNaN(n) ? x.localeCompare(y, "en", {numeric: true}) : m - n;
  return down ? -sign : sign;
}

function show() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  rows.forEach((row, i) => {
    const fits = words.every((word) => texts[i].includes(word));
    row.hidden = !(fits && (state.value === "" || row.dataset.state === state.value));
    shown += !row.hidden;
  });
  count.textContent = `${shown} of ${rows.length} runs`;
  heads.forEach((head, i) => head.setAttribute("aria-sort", i !== by ? "none" : down ? "descending" : "ascending"));
  table.tBodies[0].append(...(by < 0 ? rows : [...rows].sort(order)));
}

function keep() {
  const view = new URLSearchParams();
  if (find.value) view.set("find", find.value);
  if (state.value) view.set("state", state.value);
  if (by >= 0) view.set("by", by);
  if (down) view.set("down", 1);
  history.replaceState(null, "", `#${view}`);
  show();
}

function restore() {
  const view = new URLSearchParams(location.hash.slice(1));
  find.value = view.get("find") ?? "";
  state.value = view.get("state") ?? "";
  if (state.selectedIndex < 0) state.value = "";
  by = view.has("by") && heads[view.get("by")]?.querySelector("button") ? Number(view.get("by")) : -1;
  down = view.has("down");
  show();
}

heads.forEach((head, i) => head.querySelector("button")?.addEventListener("click", () => {
  down = by === i && !down;
  by = i;
  keep();
}));
find.addEventListener("input", keep);
state.addEventListener("change", keep);
addEventListener("hashchange", restore);
document.getElementById("controls").hidden = false;
restore();
