// Moves samples, paths, curves and table of a run together, from snapshot to snapshot. What comes
// from the run is set as text, never as markup. The choices are in the address, to keep and send.
const COLORS = [["#0072b2", "#fff"], ["#d55e00", "#000"], ["#009e73", "#000"], ["#cc79a7", "#000"], ["#e69f00", "#000"], ["#56b4e9", "#000"], ["#767676", "#fff"]];
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
let shown = {};  // what the last choice has put on the page, to be moved
let due = false, timer = null;

const view = () => data.views[state.view];
const readout = () => view().readouts[state.by];
const number = (part, row, m, s) => readout()[part]?.[(row * measures.length + m) * steps.length + s] ?? NaN;
const counts = (row, m, s) => readout().name === "accuracy" || !(number("unsure", row, m, s) > 0.5);
const has = (m) => rows.some((_, row) => steps.some((_, s) => !Number.isNaN(number("value", row, m, s))));
const reading = () => view().readings.find((one) => one.name === (/^(oracle|place)/.test(readout().name) ? "oracle" : "probe"));
const imagesAt = (s) => data.shown.findLastIndex((place) => place <= s);  // their row of the sheet
const combosOn = () => [...combos.keys()].filter((c) => state.on.has(c));
const color = (i) => COLORS[i % COLORS.length];
const count = (n) => n.toLocaleString("en");
const named = (split) => split === "train" ? "training" : split.replace("_", "-");
const promptOf = (c, k) => data.prompts[c][k] ?? data.prompts[c][0];

function make(name, about = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(about)) key in element ? element[key] = value : element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(parent, name, about, text = "") {
  const element = document.createElementNS(parent.namespaceURI, name);
  for (const [key, value] of Object.entries(about)) element.setAttribute(key, value);
  element.textContent = text;
  parent.append(element);
  return element;
}

function badge(c) {
  const [fill, text] = color(c), element = make("span", {className: "badge"}, String(c + 1));
  element.style.cssText = `background:${fill};color:${text}`;
  return element;
}

// What a choice changes: all elements; what the slider moves is kept in `shown`

function lay() {
  shown = {tiles: [], points: [], dots: [], cells: []};
  laySamples();
  if (concepts.length > 1) laySpace();
  layTime();
  layTable();
  $("chosen").textContent = `(${state.on.size} of ${combos.length})`;
  $("reader").textContent = reading().name;
  $("explorer").dataset.view = state.view;
  mark();
  move();
}

function laySamples() {
  $("rows").replaceChildren(...combosOn().map((c) => {
    const tiles = Array.from({length: data.images}, (_, k) => {
      const tile = make("button", {type: "button", className: "tile", onclick: () => pick(c, k)});
      tile.setAttribute("aria-label", `image ${k + 1} of ${promptOf(c, k)}`);
      put(tile, c, k);
      shown.tiles.push({tile, c, k});
      return tile;
    });
    const split = make("small", {}, named(combos[c].split));
    const own = data.prompts[c].length > 1 ? combos[c].name : promptOf(c, 0);
    return make("div", {className: "group"}, make("p", {}, badge(c), own, split), make("div", {className: "tiles"}, ...tiles));
  }));
}

function layTable() {
  const told = measures.map((_, m) => m).filter(has);
  const head = make("tr", {}, ...["asked for", ...told.map((m) => measures[m]), "unsure"].map((text) => make("th", {scope: "col"}, text)));
  const body = [...splits.keys(), ...combosOn().map((c) => splits.length + c)].map((row) => {
    const name = make("span", {className: "who"}, ...row < splits.length ? [`all ${named(rows[row])}`] : [badge(row - splits.length), rows[row]]);
    const cells = told.map((m) => {
      const value = document.createTextNode(""), interval = make("small");
      shown.cells.push({row, m, value, interval});
      return make("td", {}, value, interval);
    });
    const unsure = make("td");
    shown.cells.push({row, m: told[0], unsure});
    return make("tr", {className: row === state.of ? "of" : ""}, make("th", {scope: "row"}, name), ...cells, unsure);
  });
  $("now").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

// What the slider changes

function move() {
  const s = state.at, step = `step ${count(steps[s])}`, said = `${step} · ${count(data.seen[s])} images seen`;
  $("at").value = s;
  $("at").setAttribute("aria-valuetext", said);
  $("when").textContent = said;
  $("now-title").textContent = `At ${step}: ${readout().title}`;
  const one = reading(), up = `${-imagesAt(s) * side}px`;
  for (const {tile, c, k} of shown.tiles) {
    const verdict = judge(one, c, k);
    tile.style.backgroundPositionY = up;
    if (tile.dataset.is === verdict) continue;  // writing what is there would cost as much
    tile.dataset.is = verdict;
    tile.hidden = state.sure && verdict === "?";
  }
  for (const {all, counting, trail, line, ends, mark} of shown.points) {
    trail.setAttribute("d", line.slice(0, ends[s]));
    mark.setAttribute("transform", all[s] ? `translate(${all[s].join(" ")})` : "translate(-99 -99)");
    mark.setAttribute("class", counting[s] ? "" : "faint");
  }
  shown.cursor.setAttribute("x1", atStep(s));
  shown.cursor.setAttribute("x2", atStep(s));
  for (const {m, y, dot} of shown.dots) {
    const value = number("value", state.of, m, s);
    dot.setAttribute("cx", atStep(s));
    dot.setAttribute("cy", Number.isNaN(value) ? -99 : y(value));
  }
  for (const cell of shown.cells) fill(cell, s);
  tell();
}

function put(tile, c, k, times = 1) {  // the image of the sheet that it shows
  tile.style.backgroundPosition = `${-(c * data.images + k) * side * times}px ${-imagesAt(state.at) * side * times}px`;
}

function fill({row, m, value, interval, unsure}, s) {
  const digits = (part) => number(part, row, m, s).toFixed(3);
  if (unsure) return void (unsure.textContent = Number.isNaN(number("unsure", row, m, s)) ? "–" : digits("unsure"));
  const there = !Number.isNaN(number("value", row, m, s));
  value.data = !there ? "–" : counts(row, m, s) ? digits("value") : `(${digits("value")})`;
  interval.textContent = there ? `${digits("low")}–${digits("high")}` : "";
}

const askedAt = (c, k, i) => (c * data.images + k) * concepts.length + i;
const readAt = (c, k, i) => imagesAt(state.at) * combos.length * data.images * concepts.length + askedAt(c, k, i);

function judge(one, c, k) {
  const at = readAt(c, k, 0), asked = askedAt(c, k, 0);
  let verdict = "";
  for (const i of concepts.keys()) {
    const read = one.read?.[at + i] ?? NaN;
    if (Number.isNaN(read)) return "?";
    if (read !== data.asked[asked + i]) verdict = "✕";
  }
  return verdict;
}

function says(one, c, k, i) {  // what an instrument reads of a concept, with its certainty
  const part = (name) => one[name]?.[readAt(c, k, i)] ?? NaN, told = [data.words[part("read")] ?? "unsure"];
  const asked = data.words[data.asked[askedAt(c, k, i)]];
  const tell = (name, text, digits) => { if (!Number.isNaN(part(name))) told.push(`${text} ${part(name).toFixed(digits)}`); };
  if (told[0] !== "unsure") tell("largest", "p =", 2);
  if (told[0] !== asked) tell("p", "p(asked) =", 2);
  tell("number", "measured", 3);
  tell("askedNumber", "asked", 3);
  return told.join(", ");
}

function tell() {  // of the picked image
  if (!state.picked) return $("seen").replaceChildren();
  const {c, k} = state.picked, s = state.at, readers = view().readings;
  const image = make("span", {className: "tile"}), of = data.shown[imagesAt(s)];
  image.setAttribute("role", "img");
  image.setAttribute("aria-label", `image ${k + 1}, enlarged`);
  put(image, c, k, 3);
  const head = make("tr", {}, ...["", "asked", ...readers.map((one) => one.name)].map((text) => make("th", {scope: "col"}, text)));
  const body = concepts.map((concept, i) => make("tr", {}, make("th", {scope: "row"}, concept), make("td", {}, data.words[data.asked[askedAt(c, k, i)]] ?? "–"), ...readers.map((one) => make("td", {}, says(one, c, k, i)))));
  const near = 2 * (imagesAt(s) * combos.length * data.images + c * data.images + k), [first, second] = [0, 1].map((i) => view().copies?.[near + i] ?? NaN);
  const copied = Number.isNaN(first) ? "" : `Nearest training image: ${first.toFixed(1)} grey levels away; the second: ${second.toFixed(1)}.`;
  const about = `${combos[c].name}, ${named(combos[c].split)}: image ${k + 1} at step ${count(steps[of])}`;
  $("seen").replaceChildren(image, make("div", {}, make("p", {}, make("b", {}, promptOf(c, k))), make("p", {}, about), make("div", {className: "scroll"}, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body))), make("p", {className: "quiet"}, copied)));
}

// What people do

function soon() {
  if (!due) requestAnimationFrame(() => { due = false; move(); });
  due = true;
}

function go(s) {
  state.at = Math.max(0, Math.min(steps.length - 1, s));
  soon();
}

function pick(c, k) {
  const again = state.picked?.c === c && state.picked?.k === k;
  state.picked = again ? null : {c, k};
  mark();
  move();
}

function mark() {
  for (const {tile, c, k} of shown.tiles) tile.setAttribute("aria-pressed", state.picked?.c === c && state.picked?.k === k);
}

function stop() {
  clearInterval(timer);
  timer = null;
  $("play").textContent = calm ? "Next" : "Play";
}

function play() {
  if (timer) return stop();
  const from = state.at === steps.length - 1 ? -1 : state.at;
  go(from + 1);
  if (calm) return;
  $("play").textContent = "Pause";
  timer = setInterval(() => { state.at === steps.length - 1 ? stop() : go(state.at + 1); }, Math.max(60, Math.min(500, 12000 / steps.length)));
}

const CHOICES = ["view", "by", "x", "y", "of"];

function keep() {
  const now = new URLSearchParams([["run", state.run], ["at", state.at], ...CHOICES.map((id) => [id, state[id]]), ["on", [...state.on].join(" ")], ["sure", Number(state.sure)]]);
  history.replaceState(null, "", `#${now}`);
}

function restore() {
  const then = new URLSearchParams(location.hash.slice(1)), run = Number(then.get("run") ?? 0);
  if (run !== state.run && run in runs) {
    state.run = run;
    adopt(runs[run]);
  }
  const most = {at: steps.length, view: data.views.length, by: view().readouts.length, x: concepts.length, y: concepts.length, of: rows.length};
  for (const [id, end] of Object.entries(most)) {
    const value = Number(then.get(id) ?? NaN);
    if (Number.isInteger(value) && value >= 0 && value < end) state[id] = value;
  }
  if (then.has("on")) state.on = new Set(then.get("on").split(" ").filter(Boolean).map(Number).filter((c) => c in combos));
  state.sure = then.get("sure") === "1";
  mirror();
}

function mirror() {  // what is chosen, in the fields to choose it
  for (const id of ["run", ...CHOICES]) $(id).value = state[id];
  $("sure").checked = state.sure;
  for (const box of $("which").querySelectorAll("input")) box.checked = state.on.has(Number(box.value));
}

function options(id, texts, few = 2) {
  $(id).replaceChildren(...texts.map((text, i) => make("option", {value: i}, text)));
  $(id).parentElement.hidden = texts.length < few;
}

function choose() {
  for (const id of CHOICES) state[id] = Number($(id).value);
  state.sure = $("sure").checked;
  state.on = new Set([...$("which").querySelectorAll("input:checked")].map((box) => Number(box.value)));
  keep();
  lay();
}

function chooseAll(split) {
  for (const box of $("which").querySelectorAll("input")) box.checked = !split || combos[box.value].split === split;
  choose();
}

function reveal() {
  $("explorer").hidden = false;
  lay();
}

$("at").addEventListener("input", () => { stop(); go(Number($("at").value)); });
$("at").addEventListener("change", keep);
$("play").addEventListener("click", play);
$("run").addEventListener("change", () => { state.run = Number($("run").value); adopt(runs[state.run]); keep(); lay(); });
for (const id of [...CHOICES, "sure", "which"]) $(id).addEventListener("change", choose);
for (const button of document.querySelectorAll("[data-all]")) button.addEventListener("click", () => chooseAll(button.dataset.all));
for (const kind of ["pointerdown", "pointermove"]) $("time").addEventListener(kind, goAlong);
$("space").addEventListener("click", goOnPath);
addEventListener("hashchange", () => { if (data) { restore(); lay(); } });
stop();
if (runs.length) {
  adopt(runs[0]);
  restore();
  reveal();
}
