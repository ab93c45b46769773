"use strict";
// Draws paths through concept space and curves over training, and says where in them one points.
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2"];
const SPACE = {left: 48, right: 348, top: 10, bottom: 290};
const TIME = {left: 36, right: 402, top: 10, bottom: 250};

function range() {  // of the readout: [0, 1], or as far beyond as obedience goes
  let [low, high] = [0, 1];
  for (const v of readout().value ?? []) [low, high] = [Math.min(low, v) || low, Math.max(high, v) || high];
  return [Math.max(-0.5, Math.floor(low * 4) / 4), Math.min(1.5, Math.ceil(high * 4) / 4)];
}

function along(box, low, high, upward) {
  const [from, to] = upward ? [box.bottom - 8, box.top + 8] : [box.left + 8, box.right - 8];
  return (v) => from + (to - from) * (Math.max(low, Math.min(high, v)) - low) / (high - low);
}

function atStep(s) {  // logarithmic from the first step after 0 on, which stands left of it
  const first = steps.find((step) => step > 0) ?? 1, last = Math.max(steps.at(-1), first + 1);
  const start = steps[0] === 0 ? 0.14 : 0;
  const place = steps[s] === 0 ? 0 : start + (1 - start) * Math.log(steps[s] / first) / Math.log(last / first);
  return TIME.left + 8 + (TIME.right - TIME.left - 16) * place;
}

function frame(svg, box, ticksX, ticksY, x, y, nameX, nameY) {
  svg.replaceChildren();
  draw(svg, "rect", {class: "axis", x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top});
  for (const [at, text] of ticksX) {
    draw(svg, "line", {class: "axis", x1: x(at), x2: x(at), y1: box.top, y2: box.bottom});
    draw(svg, "text", {x: x(at), y: box.bottom + 16, "text-anchor": "middle"}, text);
  }
  for (const [at, text] of ticksY) {
    draw(svg, "line", {class: "axis", x1: box.left, x2: box.right, y1: y(at), y2: y(at)});
    draw(svg, "text", {x: box.left - 5, y: y(at) + 4, "text-anchor": "end"}, text);
  }
  draw(svg, "text", {x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle"}, nameX);
  const middle = (box.top + box.bottom) / 2;
  if (nameY) draw(svg, "text", {x: 0, y: 0, "text-anchor": "middle", transform: `translate(12 ${middle}) rotate(-90)`}, nameY);
}

function pieces(points) {  // a line through the points that are there, broken between; and its ends
  let line = "", pen = "M";
  const ends = points.map((point) => {
    if (point) line += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    pen = point ? "L" : "M";
    return line.length;
  });
  return {line, ends};
}

function laySpace() {
  const svg = $("space"), [low, high] = range();
  const x = along(SPACE, low, high), y = along(SPACE, low, high, true);
  const ticks = [0, 0.5, 1].map((v) => [v, String(v)]);
  frame(svg, SPACE, ticks, ticks, x, y, `${concepts[state.x]} as asked`, `${concepts[state.y]} as asked`);
  for (const c of combosOn()) {
    const row = splits.length + c, [fill, text] = color(c);
    const all = steps.map((_, s) => {
      const place = [number("value", row, state.x, s), number("value", row, state.y, s)];
      return place.some(Number.isNaN) ? null : [x(place[0]), y(place[1])];
    });
    const counting = all.map((place, s) => counts(row, state.x, s) && counts(row, state.y, s) ? place : null);
    draw(svg, "path", {d: pieces(all.filter(Boolean)).line, fill: "none", stroke: fill, "stroke-opacity": 0.35, "stroke-linejoin": "bevel"});
    shown.points.push({c, all, counting, ...pieces(counting), fill, text});
  }
  $("moving").replaceChildren();
  for (const point of shown.points) point.trail = draw($("moving"), "path", {fill: "none", stroke: point.fill, "stroke-width": 2.5, "stroke-linejoin": "bevel"});
  for (const point of shown.points) {
    point.mark = draw($("moving"), "g", {});
    draw(point.mark, "circle", {r: 9, fill: point.fill, stroke: "var(--page)"});
    draw(point.mark, "text", {class: "badge-text", style: `fill:${point.text}`}, String(point.c + 1));
  }
}

function stepTicks() {  // snapshots whose labels do not touch, the last one among them
  const ticks = [];
  for (const s of [...steps.keys()].reverse()) if (!ticks.length || atStep(ticks.at(-1)) - atStep(s) > 46) ticks.push(s);
  return ticks.map((s) => [s, count(steps[s])]);
}

function layTime() {
  const svg = $("time"), [low, high] = range(), y = along(TIME, low, high, true);
  frame(svg, TIME, stepTicks(), [0, 0.5, 1].map((v) => [v, String(v)]), atStep, y, "training step", "");
  const told = measures.map((_, m) => m).filter(has), line = (part, m) => steps.map((_, s) => Number.isNaN(number(part, state.of, m, s)) ? null : [atStep(s), y(number(part, state.of, m, s))]);
  const unsure = steps.map((_, s) => Math.max(...told.map((m) => number("unsure", state.of, m, s) || 0)));
  const ceiling = along(TIME, low, high, true), ground = ceiling(0);
  draw(svg, "path", {class: "unsure", d: `M${atStep(0)} ${ground}${unsure.map((v, s) => `L${atStep(s)} ${ceiling(v)}`).join("")}L${atStep(steps.length - 1)} ${ground}Z`});
  $("legend").replaceChildren();
  for (const m of told) {
    const look = {fill: "none", stroke: measures[m] === "joint" ? "var(--text)" : color(m)[0], "stroke-dasharray": DASHES[m % DASHES.length]};
    const keep = (points) => points.map((point, s) => counts(state.of, m, s) ? point : null);
    const [value, under, over] = ["value", "low", "high"].map((part) => keep(line(part, m)));
    draw(svg, "path", {d: band(under, over), fill: look.stroke, "fill-opacity": 0.15});
    draw(svg, "path", {d: pieces(line("value", m).filter(Boolean)).line, ...look, "stroke-opacity": 0.35});
    draw(svg, "path", {d: pieces(value).line, ...look, "stroke-width": 2});
    shown.dots.push({m, y, dot: draw(svg, "circle", {r: 4, fill: look.stroke, stroke: "var(--page)"})});
    const key = make("span", {className: "key"}), sample = document.createElementNS(svg.namespaceURI, "svg");
    sample.setAttribute("viewBox", "0 0 32 10");
    draw(sample, "path", {d: "M0 5H32", ...look, "stroke-width": 2});
    key.append(sample, ` ${measures[m]}`);
    $("legend").append(key);
  }
  shown.cursor = draw(svg, "line", {class: "cursor", y1: TIME.top, y2: TIME.bottom});
  $("time-title").textContent = `Over training, ${state.of < splits.length ? named(rows[state.of]) : rows[state.of]}`;
}

function band(under, over) {  // the area between, over each run of points that are there
  let area = "", from = 0;
  for (let s = 0; s <= under.length; s++) {
    if (under[s]) continue;
    const there = [...under.slice(from, s), ...over.slice(from, s).reverse()].filter(Boolean);
    if (there.length) area += `M${there.map((point) => point.map((v) => v.toFixed(1)).join(" ")).join("L")}Z`;
    from = s + 1;
  }
  return area;
}

const nearest = (away) => away.indexOf(Math.min(...away));

function pointed(event, svg) {  // where, in the units of its view box
  const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

function goAlong(event) {
  if (event.type === "pointermove" && !event.buttons) return;
  const [x] = pointed(event, $("time"));
  stop();
  go(nearest(steps.map((_, s) => Math.abs(atStep(s) - x))));
}

function goOnPath(event) {
  const [x, y] = pointed(event, $("space"));
  const away = shown.points.map(({all}) => all.map((place) => place ? Math.hypot(place[0] - x, place[1] - y) : Infinity));
  if (!away.length) return;
  const i = nearest(away.map((own) => Math.min(...own)));
  state.picked = {c: shown.points[i].c, k: state.picked?.k ?? 0};
  mark();
  stop();
  go(nearest(away[i]));
}
