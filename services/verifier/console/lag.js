// The lag over time, as a drawing and as a table.

import { h } from "./dom.js";
import { clock, duration, table } from "./ui.js";

const HEIGHT = 160;
const LEFT = 52;
const BOTTOM = 22;
const TOP = 10;
const RIGHT = 14;

/** The next of 1, 2, 4 times a power of ten: their halves are short to write, too. @param {number} n */
function round(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 0.01)));
  return power * ([1, 2, 4, 10].find((f) => f * power >= n * 0.999) ?? 10);
}

const middle = (sorted) => sorted[Math.floor(sorted.length / 2)];

/** @param {{at: string, seconds: number|null}[]} raw */
export function lag(raw) {
  const points = raw.map((p) => ({ at: Date.parse(p.at), s: p.seconds })).filter((p) => !Number.isNaN(p.at));
  const known = points.filter((p) => typeof p.s === "number");
  if (known.length < 2) return h("p", { class: "empty" }, "Not enough points yet.");
  const [first, last] = [points[0].at, points[points.length - 1].at];
  const sorted = known.map((p) => p.s).sort((a, b) => a - b);
  const highest = sorted[sorted.length - 1];
  const now = known[known.length - 1].s;
  const said = `From ${clock(first)} to ${clock(last)}: now ${duration(now)}, median ${duration(middle(sorted))}, highest ${duration(highest)}.`;
  return h("figure", { class: "lag" },
    h("figcaption", { id: "lag-says" }, said),
    draw(points, first, last, round(highest)),
    h("details", null, h("summary", null, "The same as a table"), values(points, first, last)));
}

function draw(points, first, last, top) {
  const width = Math.max(280, Math.min(1660, document.documentElement.clientWidth - 56));
  const x = (at) => LEFT + ((at - first) / Math.max(1, last - first)) * (width - LEFT - RIGHT);
  const y = (s) => HEIGHT - BOTTOM - (s / top) * (HEIGHT - BOTTOM - TOP);
  const gaps = points.slice(1).map((p, i) => p.at - points[i].at).sort((a, b) => a - b);
  const far = Math.max(5000, middle(gaps) * 5);
  // A new stroke begins wherever nothing was measured: a line there would be invented.
  let line = "";
  let area = "";
  let before = null;
  const shut = () => { if (before) area += `L${x(before.at).toFixed(1)} ${y(0)}Z`; };
  for (const p of points) {
    if (typeof p.s !== "number") { shut(); before = null; continue; }
    const joined = before !== null && p.at - before.at <= far;
    const at = `${x(p.at).toFixed(1)} ${y(p.s).toFixed(1)}`;
    if (!joined) { shut(); area += `M${x(p.at).toFixed(1)} ${y(0)}`; }
    line += `${joined ? "L" : "M"}${at}`;
    area += `L${at}`;
    before = p;
  }
  shut();
  const times = width > 600 ? [0, 0.25, 0.5, 0.75, 1] : [0, 0.5, 1];
  return h("svg", { class: "plot", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": "lag-title", "aria-describedby": "lag-says" },
    h("title", { id: "lag-title" }, "Lag over time"),
    [0, 0.5, 1].map((part) => h("g", { key: `y${part}` },
      h("path", { class: "grid", d: `M${LEFT} ${y(top * part).toFixed(1)}H${width - RIGHT}` }),
      h("text", { x: LEFT - 8, y: y(top * part) + 4, "text-anchor": "end" }, part === 0 ? "0" : duration(top * part)))),
    times.map((part) => h("text", {
      key: `x${part}`, x: x(first + (last - first) * part), y: HEIGHT - 5,
      "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle",
    }, clock(first + (last - first) * part))),
    h("path", { key: "area", class: "area", d: area }),
    h("path", { key: "line", class: "line", d: line }));
}

function values(points, first, last) {
  const parts = Math.min(20, points.length);
  const step = (last - first) / parts || 1;
  const rows = Array.from({ length: parts }, (_, i) => ({ from: first + i * step, to: first + (i + 1) * step, all: /** @type {number[]} */ ([]) }));
  for (const p of points) {
    if (typeof p.s === "number") rows[Math.min(parts - 1, Math.floor((p.at - first) / step))].all.push(p.s);
  }
  for (const row of rows) row.all.sort((a, b) => a - b);
  const cell = (of) => (row) => h("span", { class: "num" }, row.all.length ? duration(of(row.all)) : "no proof");
  return table({
    caption: "Lag, in equal parts of the time shown",
    rows,
    key: (row) => row.from,
    columns: [
      { id: "from", name: "From", cell: (row) => h("span", { class: "num" }, clock(row.from)) },
      { id: "to", name: "To", cell: (row) => h("span", { class: "num" }, clock(row.to)) },
      { id: "low", name: "Lowest", class: "right", cell: cell((all) => all[0]) },
      { id: "mid", name: "Median", class: "right", cell: cell(middle) },
      { id: "high", name: "Highest", class: "right", cell: cell((all) => all[all.length - 1]) },
    ],
  });
}
