// Takes up the data of a run, or more of it, and offers what can be chosen of it.
const $ = (id) => document.getElementById(id);
const runs = [...document.querySelectorAll(".explored")].map((element) => ({...JSON.parse(element.textContent), name: element.dataset.name}));
let data, concepts, steps, combos, splits, measures, rows, side;  // of the run that is shown
const PARTS = ["value", "low", "high", "unsure"];
const state = {run: 0, at: 0, view: 0, by: 0, x: 0, y: 0, of: 0, sure: false, on: new Set(), picked: null};

function unpack(packed) {
  if (!packed || !packed.data) return packed && packed.length ? packed : null;
  const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  return Float32Array.from(new Int16Array(bytes.buffer), (n) => n === -32768 ? NaN : n * packed.unit);
}

function unpackAll(next) {  // once: what is unpacked stays
  for (const view of next.views) {
    for (const readout of view.readouts) for (const part of PARTS) readout[part] = unpack(readout[part]);
    for (const read of view.readings) for (const part of ["read", "p", "largest", "number", "askedNumber"]) read[part] = unpack(read[part]);
    view.copies = unpack(view.copies);
  }
  next.asked = unpack(next.asked);
}

function adopt(next) {  // another run, or more of this one: choices stay where they fit
  const before = data, by = before && readout().name, step = steps?.[state.at];
  const isLast = !before || state.at === steps.length - 1;
  unpackAll(next);
  data = next;
  ({concepts, steps, combinations: combos, splits} = data);
  measures = [...concepts, "joint"];
  rows = [...splits, ...combos.map((combo) => combo.name)];  // as the numbers have them
  side = data.px * Math.max(1, Math.round(48 / data.px));  // of a tile on the page, in px
  const names = (one) => JSON.stringify([one.concepts, one.splits, one.combinations]);
  if (!before || names(before) !== names(data)) begin();
  state.at = isLast ? steps.length - 1 : Math.max(0, steps.findLastIndex((own) => own <= step));
  state.view = Math.min(state.view, data.views.length - 1);
  const wanted = [by, "softmax"].map((name) => view().readouts.findIndex((one) => one.name === name));
  state.by = wanted.find((i) => i >= 0) ?? 0;
  if (state.picked?.k >= data.images) state.picked.k = 0;
  offer();
}

function begin() {  // the first choices in a world
  const all = [...combos.keys()];
  const held = all.filter((c) => combos[c].split !== "train");
  state.on = new Set(all.length <= 8 ? all : held.length ? held.slice(0, 8) : all.slice(0, 6));
  [state.x, state.y] = [0, Math.min(1, concepts.length - 1)];
  state.of = Math.max(0, splits.indexOf("held_out"));
  state.picked = {c: Math.max(0, combos.findIndex((combo) => combo.split !== "train")), k: 0};
}

function offer() {  // what can be chosen of the run
  options("run", runs.map((one) => one.name));
  options("view", data.views.map((one) => one.name));
  options("by", view().readouts.map((one) => one.title));
  options("x", concepts);
  options("y", concepts);
  options("of", [...splits.map((split) => `all ${named(split)}`), ...combos.map((combo) => combo.name)]);
  $("which").replaceChildren($("which").firstElementChild, ...combos.map((combo, c) => make("label", {}, make("input", {type: "checkbox", value: c}), badge(c), combo.name)));
  $("space-figure").hidden = concepts.length < 2;
  $("at").max = steps.length - 1;
  $("notes").textContent = data.notes.map((note) => ` ${note}`).join("");
  for (const [name, value] of [["--tile", `${side}px`], ["--large", `${3 * side}px`], ["--columns", combos.length * data.images], ["--rows", data.shown.length]]) $("explorer").style.setProperty(name, value);
  $("explorer").dataset.run = state.run;
  mirror();
}
