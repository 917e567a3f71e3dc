// What the console knows, how old that is, and what may be said on its strength.

export const OLD_AFTER = 10;

/**
 * @typedef {"ready"|"not_ready"|"unknown"|"deferred"} Answer
 * @typedef {{criterion: string, answer: Answer, detail: string, next_step: string}} Reason
 */

export const store = {
  /** The last overview document. @type {any} */
  doc: null,
  /** When it came, in this browser's milliseconds. */
  heardAt: 0,
  /** @type {"connecting"|"open"|"lost"} */
  connection: "connecting",
  /** When the connection was first tried or lost. */
  since: Date.now(),
  /** Why it was lost. @type {{message: string, nextStep?: string}|null} */
  problem: null,
  /** When the next attempt is made. @type {number|null} */
  retryAt: null,
  /** Whether a token is asked for, and why. @type {null|"needed"|"wrong"|"asked"} */
  auth: null,
};

let onChange = () => {};
/** @param {() => void} f */
export const subscribe = (f) => { onChange = f; };
/** Says that something is to be shown anew. */
export const changed = () => onChange();

/** Seconds since the last document came. */
export const elapsed = () => (store.doc ? Math.max(0, (Date.now() - store.heardAt) / 1000) : 0);

/** The verifier's clock, in milliseconds. */
export const serverNow = () => {
  const at = store.doc ? Date.parse(store.doc.now) : NaN;
  return Number.isNaN(at) ? Date.now() : at + (Date.now() - store.heardAt);
};

/** What is shown is old: nothing may be concluded from it. */
export const isOld = () => !store.doc || store.connection !== "open" || elapsed() > OLD_AFTER;

/** The connection is lost or hangs, which is more than "not there yet". */
export const isLost = () =>
  store.connection === "lost" || (store.doc ? isOld() : Date.now() - store.since > OLD_AFTER * 1000);

/** @param {any} document @param {boolean} [force] takes it even if it is older than what is shown */
export function take(document, force = false) {
  if (!document?.verdict || !Array.isArray(document.targets)) throw new Error("The verifier's answer is not an overview.");
  if (document.schema_version !== 1) {
    throw new Error(`The verifier's answer has version ${document.schema_version}, this page reads version 1. Reload the page.`);
  }
  if (!force && store.doc && Date.parse(document.now) < Date.parse(store.doc.now) && elapsed() < OLD_AFTER) return;
  store.doc = document;
  store.heardAt = Date.now();
  changed();
}

/** Forgets everything, for instance because the token was not accepted. */
export function forget() {
  store.doc = null;
  store.since = Date.now();
  store.connection = "connecting";
  store.problem = null;
}

const KNOWN = new Set(["ready", "not_ready", "unknown"]);

/**
 * The verdict that may be shown now. Never more than was answered, and "unknown" once that is old or has expired.
 * @returns {{answer: Answer, why: "first"|"lost"|"never"|"expired"|"unproved"|"said", left: number|null}}
 */
export function verdict() {
  const doc = store.doc;
  if (!doc) return { answer: "unknown", why: isLost() ? "lost" : "first", left: null };
  const v = doc.verdict;
  const left = typeof v.expires_in_seconds === "number" ? v.expires_in_seconds - elapsed() : null;
  if (isOld()) return { answer: "unknown", why: "lost", left };
  if (!v.made_at) return { answer: "unknown", why: "never", left };
  if (left === null || left <= 0) return { answer: "unknown", why: "expired", left };
  if (v.verdict === "ready" && unproved().length > 0) return { answer: "unknown", why: "unproved", left };
  return { answer: KNOWN.has(v.verdict) ? v.verdict : "unknown", why: "said", left };
}

/** The answer of a target that may be shown now. @param {any} target @returns {Answer} */
export function answerOf(target) {
  if (target.deferred) return "deferred";
  const overall = verdict();
  if (!KNOWN.has(target.verdict)) return "unknown";
  if (overall.why === "unproved" && target.verdict === "not_ready") return "not_ready";
  return overall.why === "said" ? target.verdict : "unknown";
}

/** Has an instance ended, or not been seen for more than ten seconds? */
export const isSilent = (s) => s.state === "stopped" || typeof s.seen_seconds_ago !== "number" || s.seen_seconds_ago > OLD_AFTER;

/** Does another instance of the same service answer? */
export const isReplaced = (s) => (store.doc?.services ?? []).some((other) => other.name === s.name && !isSilent(other));

/** Instances of services of which none answers. @returns {any[]} */
export const silent = () => (store.doc?.services ?? []).filter((s) => isSilent(s) && !isReplaced(s));

/** Services without which nothing new is proved: none of their instances answers, or the fence waits for them for long. @returns {string[]} */
export function unproved() {
  const names = new Set(silent().map((s) => s.name));
  const fence = store.doc?.fence;
  if (fence?.waits_for && !(typeof fence.lag_seconds === "number" && fence.lag_seconds <= OLD_AFTER)) names.add(fence.waits_for);
  return [...names];
}

/** First backfills that are not done; a repetition stands against nothing. @returns {any[]} */
export const unfilled = () =>
  (store.doc?.targets ?? []).filter((t) => t.backfill && t.backfill.state !== "done" && t.backfill.reason !== "again");

/** May this caller act? */
export const mayAct = () => Boolean(store.doc?.can_act);

/** Reasons name what was checked, criteria what it is for. */
const CRITERION = {
  "rows equal": "samples and hashes", coverage: "samples and hashes", backfill: "samples and hashes",
  "no extra rows": "counts", "no open exceptions": "explained exceptions", "id maps": "mappings complete",
};

/** Who acts on a reason: whoever acts on its criterion, else the operator. @param {string} reason @returns {string} */
export const whoActs = (reason) => {
  if (reason === "backfill" && !store.doc?.held) return "nobody: it goes on by itself";
  const all = store.doc?.verdict.criteria ?? [];
  const who = (all.find((c) => c.name === reason) ?? all.find((c) => c.name === CRITERION[reason]))?.who;
  return who && who !== "nobody" ? who : "operator";
};
