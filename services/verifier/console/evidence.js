// What a target's verdict stands on: when each part was compared, and what dual writes came to.

import { h } from "./dom.js";
import { code, count, duration, empty, moment, number, section, table } from "./ui.js";

/** @param {any} d what the API says of the target, or nothing yet */
export function evidence(d) {
  return [
    section("Coverage", { id: "coverage" }, d ? coverage(d.coverage ?? []) : empty("Loading…")),
    (d?.dual_writes ?? []).length > 0 && section("Dual writes", { id: "dual-writes" }, dualWrites(d.dual_writes)),
  ];
}

function coverage(parts) {
  if (parts.length === 0) return empty("No part of it was compared yet.");
  const ages = parts.map((p) => p.age_seconds);
  const oldest = Math.max(...ages);
  return h("div", null,
    h("p", { class: "soft" }, `${count(parts.length, "part")}: the one that was compared longest ago ${duration(oldest)} ago, the newest ${duration(Math.min(...ages))} ago.`),
    h("details", null, h("summary", null, "Part by part"), table({
      caption: "Key ranges, and when all of their rows were compared last",
      rows: parts,
      key: (p) => p.low ?? "",
      columns: [
        { id: "low", name: "Behind", cell: (p) => (p.low === null ? "the beginning" : code(p.low)) },
        { id: "high", name: "Up to", cell: (p) => (p.high === null ? "the end" : code(p.high)) },
        { id: "rows", name: "Rows", class: "right", cell: (p) => h("span", { class: "num" }, number(p.rows)) },
        { id: "age", name: "Age", class: "right", cell: (p) => duration(p.age_seconds) },
        { id: "seen", name: "Compared", class: "full", cell: (p) => moment(p.seen_at) },
      ],
    })));
}

function dualWrites(hours) {
  const num = (of) => (r) => h("span", { class: `num${of === "different" && r[of] > 0 ? " bad" : ""}` }, number(r[of]));
  return table({
    caption: "Rows that the writer compared in mode compare, by hour. Missing ones were filled in; different ones were left as the application wrote them",
    rows: hours,
    key: (r) => r.hour,
    columns: [
      { id: "hour", name: "Hour", cell: (r) => moment(r.hour) },
      { id: "equal", name: "Equal", class: "right", cell: num("equal") },
      { id: "filled", name: "Missing", class: "right", cell: num("filled") },
      { id: "different", name: "Different", class: "right", cell: num("different") },
    ],
  });
}
