// Why not, and who acts: the reasons of the whole and of each target, and what the page itself sees.

import { h } from "./dom.js";
import { elapsed, silent, store, unfilled, unproved, verdict, whoActs } from "./store.js";
import { age, count, duration, icon, number, prose } from "./ui.js";

/** @typedef {import("./dom.js").VNode} VNode */

/** A target's page. @param {string} target */
export const link = (target) => `#/targets/${encodeURIComponent(target)}`;

/** All reasons: the overall ones, then those of each target, the definite ones first. */
export function reasons(doc) {
  const weight = (t) => (t.verdict === "not_ready" ? 0 : 1);
  const sound = doc.targets.filter((t) => !t.deferred).sort((a, b) => weight(a) - weight(b));
  const same = (a, b) => a.criterion === b.criterion && a.detail === b.detail;
  const says = (t, r) => (t.reasons ?? []).some((own) => same(own, r));
  // What every target says is said once, of the whole; what some say, of these.
  const overall = (doc.verdict.reasons ?? []).filter((r) => !sound.some((t) => says(t, r)) || sound.every((t) => says(t, r)));
  const own = sound.flatMap((t) => (t.reasons ?? []).filter((r) => !overall.some((o) => same(o, r))).map((r) => ({ ...r, target: t.target })));
  const whole = filling(unfilled(), overall).map((r) => ({ ...r, target: null }));
  return [...whole, ...missing(), ...own];
}

/** The reasons of one target. @param {any} t */
export const reasonsOf = (t) =>
  filling(unfilled().filter((u) => u.target === t.target), t.reasons ?? []).map((r) => ({ ...r, target: t.target }));

/** Before the first verdict it is the backfill that is waited for, not a comparison. @param {any[]} open @param {any[]} reasons */
const filling = (open, reasons) => (open.length === 0 || verdict().why !== "never" ? reasons
  : [backfillReason(open), ...reasons.filter((r) => r.criterion !== "verification")]);

/** The services that are missed, or waited for. */
function missing() {
  if (verdict().why === "lost") return [];
  const gone = new Map(silent().map((s) => [s.name, s]));
  return unproved().map((name) => {
    const s = gone.get(name);
    return {
      target: null, criterion: "freshness", answer: "unknown", who: "operator",
      detail: s ? `${absence(s)}. What was committed since is not proved to be applied` : `the proof has waited for ${name} for ${duration(store.doc.fence.lag_seconds + elapsed())}`,
      next_step: s ? `start it again: \`crossfade service ${s.name}\`, or \`crossfade up\`; its last lines say why it ended` : "see what it says, and whether its database and broker answer",
    };
  });
}

/** How long an instance has been away. @param {any} s */
export function absence(s) {
  const place = s.instance ? ` on ${s.instance}` : "";
  if (typeof s.seen_seconds_ago !== "number") return `${s.name}${place} has never answered`;
  const since = age(s.seen_seconds_ago + elapsed());
  return s.state === "stopped" ? `${s.name}${place} was stopped, ${since}` : `${s.name}${place} does not answer; it was last seen ${since}`;
}

/** The first backfill of these targets, while it is under way. @param {any[]} open */
function backfillReason(open) {
  const sum = (of) => open.reduce((n, t) => n + (of(t.backfill) ?? 0), 0);
  const estimate = sum((b) => b.estimate);
  const pending = open.filter((t) => t.backfill.state === "pending").length;
  const part = estimate > 0 ? `, ${number(sum((b) => b.scanned))} of about ${number(estimate)} scopes are done` : "";
  const left = store.doc.held ? "; it is held" : pending > 0 && pending < open.length ? `; ${count(pending, "target")} wait their turn` : "";
  return {
    criterion: "backfill", answer: "unknown", detail: `${count(open.length, "target")} ${open.length === 1 ? "is" : "are"} not filled yet${part}${left}`,
    next_step: store.doc.held ? "`crossfade resume`" : "wait: its bar shows how far it is",
  };
}

/** Where one sees more of a reason: name and address. @param {any} r */
function place(r) {
  const of = r.target ? `target=${encodeURIComponent(r.target)}` : "";
  if (r.criterion === "no open exceptions") return ["See the parked scopes", `#/exceptions?${of ? `${of}&` : ""}kind=parked`];
  if (r.criterion === "id maps") return ["See the maps", "#/maps"];
  return r.target && ["rows equal", "no direct writes"].includes(r.criterion) ? [`See the findings of ${r.target}`, link(r.target)] : null;
}

/** @param {any[]} list @returns {VNode[]} */
export function reasonList(list) {
  return list.map((r, i) => {
    const more = place(r);
    const next = r.criterion === "backfill" && store.doc?.held ? "`crossfade resume`" : r.next_step;
    return h("li", { key: `${r.target ?? ""}/${r.criterion}/${i}`, class: "reason" },
      h("p", { class: "detail" }, icon(r.answer), h("span", null, h("strong", null, r.criterion), ": ", prose(r.detail))),
      h("p", { class: "next" },
        h("span", { class: "who" }, h("span", { class: "soft" }, "Who acts: "), r.who || whoActs(r.criterion)),
        next ? h("span", null, h("span", { class: "soft" }, "Next: "), prose(next)) : null,
        more && location.hash !== more[1] && h("a", { href: more[1] }, more[0])));
  });
}
