// The overview: can we cut over; if not, why, and who acts; how fresh is that? Then the criteria, targets, maps and services.

import { h } from "./dom.js";
import { answerOf, changed, elapsed, isLost, isReplaced, isSilent, serverNow, silent, store, unfilled, unproved, verdict } from "./store.js";
import { absence, link, reasonList, reasons } from "./reasons.js";
import { age, badge, bar, clock, code, count, duration, empty, facts, icon, moment, number, order, prose, section, table, tag, WORDS, yes } from "./ui.js";

const MOST = 12;
/** With so few reasons there is room for them below the answer. */
const FEW = 2;
let all = false;
let filter = "";
let sorted = { id: "target", dir: 1 };

export const page = () => ({ title: () => "Can we cut over?", view });

function view() {
  const doc = store.doc;
  return [
    h("h1", { key: "h1", tabindex: -1, class: "question" }, "Can we cut over?"),
    h("div", { key: "top", class: `top ${doc && reasons(doc).length > FEW ? "" : "few"}` }, answer(), doc && why(), doc && fresh()),
    doc && criteria(doc),
    doc && targets(doc),
    doc && h("div", { key: "pair", class: "pair" }, maps(doc), services(doc)),
  ];
}

// ---- the answer ----

/** The verdict in one plain sentence. @returns {import("./dom.js").Child} */
export function sentence() {
  const { why: reason, answer: is, left } = verdict();
  const doc = store.doc;
  const v = doc?.verdict;
  if (reason === "first") return "Waiting for the verifier's first answer.";
  if (reason === "lost") {
    return v && v.made_at
      ? `No answer from the verifier. Its last one was “${WORDS[v.verdict] ?? "Unknown"}”, at ${clock(store.heardAt)}; it says nothing about now.`
      : "No answer from the verifier.";
  }
  if (reason === "never" && unfilled().length > 0) {
    return prose(doc.held ? "No verdict has been made yet, and the backfill is held: `crossfade resume` lets it go on."
      : "No verdict has been made yet: the new side is still being filled. The verifier compares once that is done.");
  }
  if (reason === "never") return prose("No verdict has been made yet. The service makes one with its first full pass; `crossfade verify --once` makes one now.");
  if (reason === "expired") {
    return prose(`The last verdict expired${left === null ? "" : ` ${age(-left)}`}, and nothing was compared since: it says nothing about now. \`crossfade verify --once\` makes a new one.`);
  }
  if (reason === "unproved") {
    const names = unproved();
    return `The last pass said “Ready”, but ${names.join(" and ")} ${names.length === 1 ? "is" : "are"} missing or behind: what was committed since is not proved to be applied.`;
  }
  const late = doc.targets.filter((t) => t.deferred).length;
  const sound = doc.targets.length - late;
  const open = (v.criteria ?? []).filter((c) => c.answer !== "ready" && c.answer !== "deferred").map((c) => c.name);
  if (is === "ready" && doc.targets.every((t) => !t.wanted_rows && !t.present_rows)) {
    return "No row is there to compare: the legacy tables are empty, and so is the new side. Check that this is the right database.";
  }
  if (is === "ready") {
    return `Old and new agree on ${count(sound, "target")}. Reads may move; this holds ${duration(left)} more.` +
      (late ? ` ${count(late, "deferred target")} left out.` : "") +
      (open.length ? ` Not answered yet: ${open.join(", ")}.` : "");
  }
  const n = reasons(doc).length;
  return is === "not_ready"
    ? `Reads must stay where they are. ${n ? `${count(n, "reason")} below.` : ""}`
    : `The last pass could not prove it either way. ${n ? `${count(n, "reason")} below.` : ""}`;
}

function answer() {
  const { answer: is, why: reason } = verdict();
  return h("section", { key: "answer", class: `answer ${is}`, "aria-label": "The verdict" },
    h("p", { class: "word" }, icon(is), h("strong", null, WORDS[is])),
    h("p", { class: "says" }, sentence()),
    reason !== "first" && store.doc?.targets.length > 0 && tally(store.doc));
}

function tally(doc) {
  const n = { not_ready: 0, unknown: 0, ready: 0, deferred: 0 };
  for (const t of doc.targets) n[answerOf(t)]++;
  return h("p", { class: "tally" }, Object.entries(n).filter(([, many]) => many > 0)
    .map(([is, many]) => badge(is, `${number(many)} ${WORDS[is].toLowerCase()}`)));
}

// ---- why ----

function why() {
  const list = reasons(store.doc);
  const is = verdict();
  const seen = all ? list : list.slice(0, MOST);
  const groups = new Map();
  for (const r of seen) groups.set(r.target, [...(groups.get(r.target) ?? []), r]);
  const nothing = is.answer === "ready" ? "Nothing stands against it."
    : is.why === "never" ? "Nothing has been compared yet."
      : is.why === "lost" ? "No reasons stood against it at the last answer."
        : is.why === "expired" ? "The verdict has expired, and no other reason is known." : "No reasons were given.";
  return section("If not, why, and who acts?", { id: "why", aside: is.why === "lost" && list.length > 0 && h("span", { class: "tag old" }, "old") },
    list.length === 0 ? empty(nothing) : h("div", { class: "groups" }, [...groups].map(([target, rs]) =>
      h("div", { key: target ?? "", class: "group" },
        h("h3", null, target === null ? "Overall" : h("a", { href: link(target) }, target)),
        h("ul", { class: "reasons" }, reasonList(rs))))),
    list.length > MOST && h("button", {
      key: "all", type: "button", "aria-expanded": String(all), on: { click: () => { all = !all; changed(); } },
    }, all ? `Show the first ${MOST}` : `Show all ${number(list.length)}`));
}

// ---- how fresh ----

/** What makes the answer doubtful, whoever is to blame. @returns {import("./dom.js").Child[]} */
function warnings() {
  const doc = store.doc;
  const list = silent().map((s) => [`${absence(s)}.`]);
  if (doc.fence?.waits_for && !silent().some((s) => s.name === doc.fence.waits_for)) {
    list.push(["The fence waits for ", h("strong", null, doc.fence.waits_for), ": what was committed since is not proved to be applied."]);
  }
  if (doc.held) list.push(prose("The backfill is held. `crossfade resume` lets it go on."));
  return list;
}

function fresh() {
  const doc = store.doc;
  const v = doc.verdict;
  const { left } = verdict();
  const lost = isLost();
  const alarms = warnings();
  const since = elapsed();
  const names = new Set((doc.services ?? []).map((s) => s.name));
  const many = names.size;
  const dead = [...new Set(silent().map((s) => s.name))];
  const until = left === null ? null : new Date(serverNow() + left * 1000).toISOString();
  return section("How fresh is that?", { id: "fresh", aside: lost && h("span", { class: "tag old" }, "old") },
    alarms.length > 0 && h("ul", { class: "alarms" }, alarms.map((a, i) => h("li", { key: i }, icon("not_ready"), h("span", null, a)))),
    facts([
      ["This page", lost ? `old: last answer at ${store.heardAt ? clock(store.heardAt) : "–"}` : since > 2 ? `answered ${duration(since)} ago` : "live"],
      ["Verdict made", v.made_at ? moment(v.made_at) : "never"],
      ["It holds", left === null ? "–" : [left > 0 ? "until " : "no longer: it expired at ", moment(until)]],
      ["Verdict's position (GTID)", code(v.position)],
      ["Applied (GTID)", code(doc.fence?.applied, "nothing proved yet")],
      ["Lag", typeof doc.fence?.lag_seconds === "number" ? h("span", { class: "num" }, duration(doc.fence.lag_seconds)) : "nothing proved yet"],
      ["Fence waits for", doc.fence?.waits_for ? h("strong", null, doc.fence.waits_for) : "nothing"],
      ["Services", many === 0 ? "none seen" : dead.length ? [h("strong", null, dead.join(", ")), ` of ${many} ${dead.length === 1 ? "does" : "do"} not answer`] : `${many} of ${many} answer`],
      ["Backfill", backfills(doc)],
    ]));
}

function backfills(doc) {
  const open = doc.targets.filter((t) => t.backfill && t.backfill.state !== "done");
  if (doc.held) return open.length ? `held, ${count(open.length, "target")} not done` : "held";
  if (open.length === 0) return doc.targets.some((t) => t.backfill) ? "done" : "none ordered";
  const running = open.filter((t) => t.backfill.state === "running");
  const etas = running.map((t) => t.backfill.eta_seconds).filter((s) => typeof s === "number");
  const eta = etas.length > 0 && etas.length === running.length ? `, ${duration(Math.max(...etas))} left` : "";
  const waiting = open.length > running.length ? `; ${count(open.length - running.length, "target")} wait their turn` : "";
  return running.length > 0 ? `runs on ${count(running.length, "target")}${eta}${waiting}` : `${count(open.length, "target")} wait their turn`;
}

// ---- criteria ----

function criteria(doc) {
  return section("Criteria", { id: "criteria" }, (doc.verdict.criteria ?? []).length === 0 ? empty(verdict().why === "expired" ? "The verdict has expired: what it answered says nothing about now." : "No criteria were answered yet.") : table({
    caption: "What must hold before reads may move",
    rows: doc.verdict.criteria,
    key: (c) => c.name,
    columns: [
      { id: "name", name: "Criterion", cell: (c) => c.name },
      { id: "answer", name: "Answer", class: "full", cell: (c) => badge(["said", "unproved"].includes(verdict().why) || c.answer === "deferred" ? c.answer : "unknown") },
      { id: "evidence", name: "Evidence", class: "wide", cell: (c) => prose(c.evidence || "–") },
      { id: "who", name: "Who acts", class: "full", cell: (c) => (c.who === "nobody" ? h("span", { class: "soft" }, "nobody") : c.who) },
      { id: "next", name: "Next step", class: "wide", cell: (c) => (c.next_step ? prose(c.next_step) : h("span", { class: "soft" }, "–")) },
    ],
  }));
}

// ---- targets ----

const PHASES = ["deferred", "waiting", "backfilling", "syncing", "ready"];
const RISKS = ["low", "medium", "high"];
const ORDER = ["not_ready", "unknown", "ready", "deferred"];
const STEPS = ["legacy", "dual_write", "shadow_read", "new_read"];
/** @param {string|null|undefined} state */
export const flagName = (state) => (state ? state.replaceAll("_", " ") : "–");

/** The phase, with the backfill while there is one. */
export function phase(t) {
  const b = t.backfill;
  if (!b || b.state === "done") return t.phase;
  const { percent, node } = bar(t.target, b);
  const eta = store.doc?.held ? "held" : typeof b.eta_seconds === "number" ? (b.eta_seconds < 1 ? "under 1 s left" : `${duration(b.eta_seconds)} left`) : b.state === "pending" ? "waits its turn" : "no ETA yet";
  return h("span", { class: "backfill" }, h("span", null, t.phase, " ", node), h("small", { class: "num soft" }, `${percent}, ${eta}`));
}

const some = (n, kind) => (n > 0 ? h("span", { class: `num ${kind}` }, number(n)) : h("span", { class: "num soft" }, number(n)));

function differences(t) {
  const rest = [t.unstable > 0 && count(t.unstable, "unstable", "unstable"), t.strangers > 0 && count(t.strangers, "stranger")].filter(Boolean);
  return [some(t.confirmed, "bad"), rest.length > 0 && h("small", { class: "warn" }, ` ${rest.join(", ")}`)];
}

/** @param {any} t */
export function rowsOf(t) {
  if (typeof t.wanted_rows !== "number") return h("span", { class: "soft" }, "–");
  const same = t.wanted_rows === t.present_rows;
  return [h("span", { class: "num" }, number(t.wanted_rows)), " ",
    h("span", { class: "num" }, h("span", { class: same ? "soft" : "warn" }, same ? "=" : "≠"), ` ${number(t.present_rows)}`)];
}

export const targetBadge = (t) => (t.deferred ? [badge("deferred"), " ", h("small", { class: "soft num" }, `until ${t.deferred.review_by}`)] : badge(answerOf(t)));

const COLUMNS = [
  { id: "target", name: "Target", sort: (t) => t.target, cell: (t) => h("a", { href: link(t.target) }, t.target) },
  { id: "kind", name: "Kind", sort: (t) => t.kind, cell: (t) => t.kind },
  { id: "risk", name: "Risk", sort: (t) => RISKS.indexOf(t.risk), cell: (t) => (t.risk === "high" ? tag("high", "strong") : t.risk) },
  { id: "phase", name: "Phase", class: "full", sort: (t) => PHASES.indexOf(t.phase), cell: phase },
  { id: "rows", name: "Rows wanted / present", class: "right full", sort: (t) => t.wanted_rows, cell: rowsOf },
  { id: "differences", name: "Differences", class: "right", sort: (t) => t.confirmed * 1e6 + t.unstable + t.strangers, cell: differences },
  { id: "parked", name: "Parked", class: "right", sort: (t) => t.parked, cell: (t) => [some(t.parked, "bad"), t.waived > 0 && h("small", { class: "soft" }, ` +${number(t.waived)} waived`)] },
  { id: "reports", name: "Reports", class: "right", sort: (t) => t.reports, cell: (t) => some(t.reports, "") },
  { id: "flag", name: "Flag", class: "tight", sort: (t) => STEPS.indexOf(t.flag?.state), cell: (t) => flagName(t.flag?.state) },
  { id: "verdict", name: "Verdict", class: "full", sort: (t) => ORDER.indexOf(answerOf(t)), cell: targetBadge },
];

function targets(doc) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (t) => [t.target, t.kind, t.risk, t.phase, flagName(t.flag?.state), WORDS[answerOf(t)]].join(" ").toLowerCase();
  const found = doc.targets.filter((t) => words.every((w) => text(t).includes(w)));
  const by = COLUMNS.find((c) => c.id === sorted.id) ?? COLUMNS[0];
  const search = h("span", { class: "filter" },
    h("label", { for: "filter" }, "Filter"),
    h("input", { id: "filter", type: "search", autocomplete: "off", spellcheck: "false", value: filter, placeholder: "name, kind, phase, verdict", on: { input: (e) => { filter = e.target.value; changed(); } } }),
    h("span", { class: "soft num" }, `${number(found.length)} of ${number(doc.targets.length)}`));
  return section("Targets", { id: "targets", aside: doc.targets.length > 0 && search },
    doc.targets.length === 0 ? empty("No targets yet. They appear when `crossfade migrate` has taken over a plan.")
      : found.length === 0 ? empty("No target matches the filter.")
        : table({
          caption: "One line for each table or set of columns that is moved",
          rows: order(found, by.sort, sorted.dir),
          key: (t) => t.target,
          rowClass: (t) => (t.deferred ? "dim" : ""),
          columns: COLUMNS,
          sorted,
          onsort: (id) => { sorted = { id, dir: sorted.id === id ? -sorted.dir : 1 }; changed(); },
        }));
}

// ---- maps and services ----

export function maps(doc) {
  const list = doc.id_maps ?? [];
  return section("Id maps", { id: "maps" }, list.length === 0 ? empty("No id maps: no entity of the plan gets UUIDs, or no verdict that holds has counted them.") : table({
    caption: "Legacy ids and their UUIDs",
    rows: list,
    key: (m) => m.entity,
    columns: [
      { id: "entity", name: "Entity", cell: (m) => m.entity },
      { id: "entries", name: "Entries", class: "right", cell: (m) => h("span", { class: "num" }, number(m.entries)) },
      { id: "bijection", name: "One to one", cell: (m) => (isLost() ? badge("unknown") : yes(m.bijection, m.bijection ? "Yes" : "No")) },
      { id: "uncovered", name: "Rows without a UUID", class: "right full", cell: (m) => some(m.uncovered, "bad") },
    ],
  }));
}

function services(doc) {
  const list = doc.services ?? [];
  return section("Services", { id: "services" }, list.length === 0 ? empty("No service has been seen. `crossfade up` starts all of them.") : table({
    caption: "When each one was last seen",
    rows: list,
    key: (s) => `${s.name}/${s.instance}`,
    columns: [
      { id: "name", name: "Service", cell: (s) => s.name },
      { id: "instance", name: "Instance", class: "full", cell: (s) => code(s.instance) },
      { id: "state", name: "State", class: "full", cell: (s) => (isLost() ? badge("unknown") : isSilent(s) ? (isReplaced(s) ? badge("deferred", "Gone, replaced") : badge("not_ready", s.state === "stopped" ? "Stopped" : "Does not answer")) : badge(s.state === "running" ? "ready" : "unknown", s.state)) },
      { id: "seen", name: "Last seen", class: "right", cell: (s) => h("span", { class: "num" }, typeof s.seen_seconds_ago === "number" ? age(s.seen_seconds_ago + elapsed()) : "never") },
    ],
  }));
}
