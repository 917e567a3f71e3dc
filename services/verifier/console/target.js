// One target: where it stands, what stands against it, its lag, findings, exceptions, and its flag.

import { h } from "./dom.js";
import { exceptionTable } from "./exceptions.js";
import { api, poll } from "./net.js";
import { changed, elapsed, isLost, mayAct, store } from "./store.js";
import { flagName, phase, rowsOf, targetBadge } from "./overview.js";
import { reasonList, reasonsOf } from "./reasons.js";
import { evidence } from "./evidence.js";
import { lag } from "./lag.js";
import { announce, ask, bar, code, digest, duration, empty, facts, failure, moment, note, number, prose, section, table, tag, time, age } from "./ui.js";

const STEPS = ["legacy", "dual_write", "shadow_read", "new_read"];
const MEANS = {
  legacy: "reads and writes go to the legacy side",
  dual_write: "the application writes both sides",
  shadow_read: "reads are tried on the new side and compared",
  new_read: "reads come from the new side",
};

/** @param {string} name */
export function page(name) {
  const path = `/api/v1/targets/${encodeURIComponent(name)}`;
  const asked = poll(() => api(path), 5);
  return {
    title: () => name,
    start: asked.start,
    stop: asked.stop,
    view: () => view(name, asked),
  };
}

function view(name, asked) {
  const live = store.doc?.targets.find((t) => t.target === name);
  const t = live ?? asked.data?.target;
  const top = [
    h("p", { key: "up", class: "up" }, h("a", { href: "#/" }, "Overview"), " / Targets"),
    h("h1", { key: "h1", tabindex: -1 }, name),
  ];
  if (!t) return [...top, h("div", { key: "wait" }, asked.error ? failure(asked.error) : empty("Loading…"))];
  const d = asked.data;
  const against = reasonsOf(t);
  return [
    ...top,
    asked.error && h("div", { key: "error" }, failure(asked.error), d && note("warn", "Findings, exceptions and history are from ", time(new Date(asked.at).toISOString()), ".")),
    t.deferred && h("div", { key: "deferred" }, note("calm", `Deferred until ${t.deferred.review_by}: `, prose(t.deferred.reason), ". It is not compared, and it is left out of the verdict.")),
    h("div", { key: "grid", class: "top two" }, state(t), flag(t, asked)),
    against.length > 0 && section("What stands against it", { id: "why" }, h("ul", { class: "reasons flat" }, reasonList(against))),
    section("Lag", { id: "lag" }, d ? lag(d.lag ?? []) : empty("Loading…")),
    ...evidence(d),
    section("Findings", { id: "findings" }, d ? findings(d.findings ?? []) : empty("Loading…")),
    section("Flag's history", { id: "history" }, d ? history(d.history ?? []) : empty("Loading…")),
    section("Exceptions", { id: "exceptions", aside: h("a", { href: `#/exceptions?target=${encodeURIComponent(name)}` }, "All of them") },
      d ? exceptionTable({ rows: newest(d.exceptions ?? []), caption: `The newest open ones, ${MOST} at most: parked scopes, and reports that explain a NULL or a missing row`, own: true }) : empty("Loading…")),
  ];
}

/** Rows of a table on this page. */
const MOST = 10;

/** What blocks comes first. @param {any[]} exceptions */
const newest = (exceptions) => {
  const parked = exceptions.filter((e) => e.kind === "parked");
  return [...parked, ...exceptions.filter((e) => e.kind !== "parked")].slice(0, MOST);
};

function state(t) {
  const b = t.backfill;
  const compared = typeof t.confirmed === "number";
  const { percent, node } = b ? bar(t.target, b) : { percent: "", node: null };
  return section("State", { id: "state", aside: targetBadge(t) }, facts([
    ["Kind", t.kind === "columns" ? "columns beside the legacy ones" : t.kind === "shadow" ? "shadow table" : t.kind],
    ["Risk", t.risk === "high" ? tag("high", "strong") : t.risk],
    ["Phase", b && b.state !== "done" ? t.phase : phase(t)],
    ["Backfill", b ? h("span", { class: "backfill" }, node, h("small", { class: "num soft" }, b.state === "done"
      ? `done: ${number(b.scanned)} scanned, ${number(b.changed)} changed`
      : `${percent}: ${number(b.scanned)} of about ${number(b.estimate)} scanned, ${number(b.changed)} changed${store.doc?.held ? "" : `, ${number(Math.round(b.rows_per_second ?? 0))} rows/s`}`)) : "none ordered"],
    ["ETA", !b || b.state === "done" ? "–" : store.doc?.held ? "held" : typeof b.eta_seconds === "number" ? duration(b.eta_seconds) : "not known yet"],
    ["Coverage", t.deferred ? "not compared" : typeof t.age_seconds === "number" ? `every scope compared ${age(t.age_seconds + elapsed())}` : "not compared yet"],
    ["Rows wanted / present", rowsOf(t)],
    ["Differences", compared ? [h("span", { class: t.confirmed > 0 ? "bad num" : "num" }, number(t.confirmed)), ` that stay, of ${number(t.found)} found`] : "–"],
    ["Unstable, strangers", compared ? `${number(t.unstable)}, ${number(t.strangers)}` : "–"],
    ["Parked, waived", [h("span", { class: t.parked > 0 ? "bad num" : "num" }, number(t.parked)), `, ${number(t.waived ?? 0)}`]],
    ["Reports", number(t.reports)],
    ["Writer", t.mode === "compare" ? tag("only compares", "strong") : t.mode === "off" ? tag("off", "strong") : t.mode === "write" ? "writes" : "no lanes yet"],
  ]));
}

// ---- the flag ----

function flag(t, asked) {
  const f = t.flag;
  if (!f) return section("Flag", { id: "flag" }, empty("This target has no flag."));
  const at = STEPS.indexOf(f.state);
  const down = at > 0 ? STEPS[at - 1] : null;
  const old = isLost();
  const up = old ? null : f.allowed_up;
  const next = at >= 0 ? STEPS[at + 1] : undefined;
  const blocked = old ? "No step while the verifier does not answer."
    : up ? null : next ? `No step up to ${flagName(next)}: ${f.blocked_because ?? "the verdict does not allow it"}.` : "This is the last step.";
  return section("Flag", { id: "flag" },
    h("ol", { class: "steps" }, STEPS.map((s, i) => h("li", { key: s, class: i < at ? "past" : i === at ? "here" : "", "aria-current": i === at ? "step" : null },
      h("strong", null, flagName(s)), " ", h("span", { class: "soft" }, MEANS[s]), i === at && h("span", { class: "tag strong" }, "now")))),
    h("p", { class: "soft" }, f.since ? ["Since ", moment(f.since), f.by ? ` by ${f.by}` : ""] : "Never changed."),
    mayAct()
      ? h("div", { class: "row" },
        h("button", { key: "up", type: "button", class: "main", disabled: !up || old, "aria-describedby": blocked ? "blocked" : null, on: { click: () => step(t, up, asked, true) } },
          up || next ? `Step up to ${flagName(up ?? next)}` : "Step up"),
        h("button", { key: "down", type: "button", disabled: !down || old, on: { click: () => step(t, down, asked, false) } },
          down ? `Step down to ${flagName(down)}` : "Step down"))
      : h("p", { class: "soft" }, "You can look, not act. Sign in with a token that may act to change it."),
    blocked && h("p", { id: "blocked", class: "blocked" }, prose(blocked)));
}

function step(t, to, asked, isUp) {
  if (!to) return;
  ask({
    title: `${t.target}: ${flagName(t.flag.state)} → ${flagName(to)}`,
    text: isUp ? `Then ${MEANS[to]}. The verifier checks its verdict once more before it agrees.` : `Then ${MEANS[to]}.`,
    confirm: isUp ? `Step up to ${flagName(to)}` : `Step down to ${flagName(to)}`,
    act: async (because) => {
      const { flag: now } = await api(`/api/v1/flags/${encodeURIComponent(t.target)}`, { to, because });
      const shown = store.doc?.targets.find((x) => x.target === t.target);
      // The rest of it comes with the next overview.
      const rest = { allowed_up: null, blocked_because: "the verifier's next answer is awaited", since: new Date().toISOString() };
      if (shown && now) shown.flag = { ...rest, ...now };
      announce(`The flag of ${t.target} is ${flagName(now?.state ?? to)} now.`);
      changed();
      asked.refresh();
    },
  });
}

// ---- findings and history ----

function findings(list) {
  if (list.length === 0) return empty("No findings: no difference outlived its proofs, and nobody else wrote into this target.");
  const open = list.filter((f) => !f.closed_at);
  const seen = [...open, ...list.filter((f) => f.closed_at)].slice(0, Math.max(MOST, open.length));
  return table({
    caption: `${number(open.length)} open, then the newest that were closed. A difference outlived two proofs; wanted and present are digests of the row on both sides. A direct write is somebody else's, with its place in the binlog`,
    rows: seen,
    key: (f) => f.id,
    head: "scope",
    columns: [
      { id: "id", name: "Id", class: "right", cell: (f) => h("span", { class: "num" }, f.id) },
      { id: "scope", name: "Scope", cell: (f) => code(f.scope) },
      { id: "kind", name: "Kind", cell: (f) => (f.read ? `${flagName(f.kind)}: ${f.read}` : flagName(f.kind)) },
      { id: "cause", name: "Cause", cell: (f) => (f.cause ? flagName(f.cause) : "–") },
      { id: "state", name: "State", cell: (f) => (f.state === "confirmed" ? tag("confirmed", "bad") : tag(f.state)) },
      { id: "wanted", name: "Wanted", class: "full", cell: (f) => digest(f.wanted, "–") },
      { id: "present", name: "Present", class: "full", cell: (f) => digest(f.present, "–") },
      { id: "position", name: "Position (GTID)", class: "full", cell: (f) => code(f.position) },
      { id: "seen", name: "Seen", class: "full", cell: (f) => moment(f.seen_at) },
      { id: "closed", name: "Closed", class: "full", cell: (f) => moment(f.closed_at, "open") },
    ],
  });
}

function history(list) {
  if (list.length === 0) return empty("The flag was never changed.");
  return table({
    caption: "Newest first, from the audit",
    rows: [...list].sort((a, b) => b.id - a.id),
    key: (e) => e.id,
    columns: [
      { id: "at", name: "When", cell: (e) => moment(e.at) },
      { id: "who", name: "Who", cell: (e) => e.who },
      { id: "change", name: "Change", class: "full", cell: (e) => `${flagName(e.from)} → ${flagName(e.to)}` },
      { id: "because", name: "Reason", class: "wide", cell: (e) => e.because ?? "–" },
      { id: "verdict", name: "Verdict's digest", class: "full", cell: (e) => digest(e.verdict_digest) },
    ],
  });
}
