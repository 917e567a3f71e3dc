// Pieces that all pages use: numbers, times, answers, tables, notes, and the question for a reason.

import { h, patch } from "./dom.js";
import { isLost, serverNow } from "./store.js";

/** @typedef {import("./dom.js").Child} Child */

const NUMBER = new Intl.NumberFormat("en");
/** @param {number|null|undefined} n */
export const number = (n) => (typeof n === "number" ? NUMBER.format(n) : "–");

/** @param {number} n @param {string} one @param {string} [many] */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** @param {number|null|undefined} s seconds @returns {string} */
export function duration(s) {
  if (typeof s !== "number" || !Number.isFinite(s)) return "–";
  if (s < 9.95) return s > 0 && s < 0.1 ? `${Math.max(1, Math.round(s * 1000))} ms` : `${s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes >= 600 && minutes < 48 * 60) return `${Math.round(minutes / 60)} h`;
  if (minutes < 600) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

/** Seconds as an age, without a fraction that would flicker. @param {number|null|undefined} s */
export const age = (s) => (typeof s === "number" ? (s < 1 ? "now" : `${duration(s < 60 ? Math.round(s) : s).replace(".0", "")} ago`) : "never");

const pad = (n) => String(n).padStart(2, "0");
/** @param {number|string} at */
export function clock(at) {
  const d = new Date(at);
  return Number.isNaN(d.getTime()) ? "–" : `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

const full = (d) => `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(d.getTime())}`;

/** A moment, as text relative to the verifier's clock. @param {string|null|undefined} iso @param {string} [none] */
export function time(iso, none = "–") {
  const at = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(at)) return none;
  const seconds = (serverNow() - at) / 1000;
  const text = seconds < -1 ? `in ${duration(-seconds)}` : age(seconds);
  return h("time", { datetime: iso, title: full(new Date(at)) }, text);
}

/** The same with the hour beside it. @param {string|null|undefined} iso @param {string} [none] */
export function moment(iso, none = "–") {
  const at = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(at)) return none;
  const far = Math.abs(serverNow() - at) > 86_400_000;
  return [h("span", { class: "num" }, far ? full(new Date(at)) : clock(at)), " ", h("span", { class: "soft" }, "(", time(iso), ")")];
}

/** Text in which `backticks` mark what is typed. @param {string|null|undefined} text @returns {Child[]} */
export const prose = (text) =>
  String(text ?? "").split("`").map((part, i) => (i % 2 ? h("code", null, part) : part));

/** @param {string|null|undefined} value */
export const code = (value, none = "–") => (value ? h("code", { class: "break" }, value) : h("span", { class: "soft" }, none));

/** A digest: its beginning, and the whole on demand. @param {string|null|undefined} hex @param {string} [none] */
export const digest = (hex, none = "none") =>
  hex ? h("code", { title: hex }, hex.length > 12 ? `${hex.slice(0, 12)}…` : hex) : h("span", { class: "soft" }, none);

// ---- answers ----

export const WORDS = { ready: "Ready", not_ready: "Not ready", unknown: "Unknown", deferred: "Deferred" };

// Each answer has a shape of its own, so that colour is never all.
const SHAPES = {
  ready: [h("circle", { cx: 8, cy: 8, r: 7, class: "fill" }), h("path", { d: "M4.6 8.3l2.3 2.3 4.5-4.9", class: "mark" })],
  not_ready: [h("path", { d: "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z", class: "fill" }), h("path", { d: "M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2", class: "mark" })],
  unknown: [h("circle", { cx: 8, cy: 8, r: 6.8, class: "ring" }), h("path", { d: "M6 6.2c0-2.6 4.1-2.5 4.1-.1 0 1.5-2 1.6-2 3.1M8.1 11.6v.1", class: "ring" })],
  deferred: [h("rect", { x: 1, y: 1, width: 14, height: 14, rx: 3, class: "fill" }), h("path", { d: "M5.8 5v6M10.2 5v6", class: "mark" })],
};

/** @param {string} answer */
export const icon = (answer) =>
  h("svg", { class: `icon ${answer in SHAPES ? answer : "unknown"}`, viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", focusable: "false" }, SHAPES[answer] ?? SHAPES.unknown);

/** @param {string} answer @param {string} [text] */
export const badge = (answer, text) =>
  h("span", { class: `badge ${answer in WORDS ? answer : "unknown"}` }, icon(answer), h("span", null, text ?? WORDS[answer] ?? "Unknown"));

/** @param {boolean} good @param {string} text */
export const yes = (good, text) => badge(good ? "ready" : "not_ready", text);

export const tag = (text, kind = "") => h("span", { class: `tag ${kind}` }, text);

// ---- notes ----

/** @param {"bad"|"warn"|"calm"} kind @param {...Child} content */
export const note = (kind, ...content) =>
  h("p", { class: `note ${kind}` }, icon(kind === "bad" ? "not_ready" : kind === "warn" ? "unknown" : "deferred"), h("span", null, ...content));

/** @param {any} error @param {boolean} [always] also when the banner says already that nothing answers */
export const failure = (error, always = false) =>
  error && (always || error.status !== 0 || !isLost()) && note("bad", error.message, error.nextStep ? [" Next: ", prose(error.nextStep)] : null, error.code ? [" (", h("code", null, error.code), ")"] : null);

export const empty = (text) => h("p", { class: "empty" }, prose(text));

/** @param {string} title @param {{id: string, class?: string, aside?: Child}} options @param {...Child} content */
export const section = (title, options, ...content) =>
  h("section", { key: options.id, class: `panel ${options.class ?? ""}`, "aria-labelledby": options.id },
    h("div", { class: "head" }, h("h2", { id: options.id }, title), options.aside), ...content);

/** Names and values. @param {[string, Child][]} pairs */
export const facts = (pairs, kind = "") =>
  h("dl", { class: `facts ${kind}` }, pairs.map(([name, value]) => h("div", { key: name }, h("dt", null, name), h("dd", null, value))));

/** A backfill's bar. @param {string} target @param {any} b */
export function bar(target, b) {
  const known = b.state === "done" || b.estimate > 0;
  const part = b.state === "done" ? 1 : known ? Math.min(0.99, b.scanned / b.estimate) : 0;
  const percent = Math.floor(part * 100);
  return {
    percent: known ? `${percent} %` : "size not known",
    node: h("progress", { max: 100, value: known ? percent : null, "aria-label": `Backfill of ${target}` }),
  };
}

// ---- tables ----

/**
 * A table with caption and scopes; on a narrow screen each row becomes a card.
 * @param {{caption: Child, columns: {id: string, name: Child, class?: string, cell: (row: any) => Child, sort?: (row: any) => any}[],
 *   rows: any[], key: (row: any) => string|number, rowClass?: (row: any) => string, head?: string,
 *   sorted?: {id: string, dir: number}, onsort?: (id: string) => void}} t `head` is the column that names its row
 */
export function table(t) {
  const head = t.head ?? t.columns[0].id;
  return h("div", { class: "scroll" }, h("table", { role: "table", class: t.columns.length > 7 ? "many" : null },
    h("caption", null, t.caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, t.columns.map((c) => {
      const on = t.sorted?.id === c.id;
      return h("th", {
        key: c.id, scope: "col", role: "columnheader", class: c.class,
        "aria-sort": on ? (t.sorted?.dir === 1 ? "ascending" : "descending") : null,
      }, t.onsort && c.sort
        ? h("button", { type: "button", class: "sort", on: { click: () => t.onsort?.(c.id) } },
          c.name, h("span", { class: "arrow", "aria-hidden": "true" }, on ? (t.sorted?.dir === 1 ? "▲" : "▼") : "↕"))
        : c.name);
    }))),
    h("tbody", { role: "rowgroup" }, t.rows.map((row) =>
      h("tr", { key: t.key(row), role: "row", class: t.rowClass?.(row) ?? null }, t.columns.map((c) => {
        const props = { key: c.id, class: c.class, "data-label": typeof c.name === "string" ? c.name : null };
        return c.id === head
          ? h("th", { ...props, scope: "row", role: "rowheader" }, c.cell(row))
          : h("td", { ...props, role: "cell" }, h("span", { class: "v" }, c.cell(row)));
      })))),
  ));
}

/** @param {any[]} rows @param {(row: any) => any} by @param {number} dir */
export const order = (rows, by, dir) => rows
  .map((row, i) => ({ row, i, at: by(row) }))
  .sort((a, b) => {
    if (a.at === b.at) return a.i - b.i;
    if (a.at === null || a.at === undefined) return 1;
    if (b.at === null || b.at === undefined) return -1;
    return (typeof a.at === "string" ? a.at.localeCompare(b.at, "en", { numeric: true }) : a.at - b.at) * dir || a.i - b.i;
  })
  .map(({ row }) => row);

// ---- saying and asking ----

/** Says something to those who do not see the page. @param {string} text */
export function announce(text) {
  const live = document.getElementById("live");
  if (live && live.textContent !== text) live.textContent = text;
}

/**
 * Asks for a reason, then runs `act` with it; stays open and says why when that fails.
 * @param {{title: string, text: Child, confirm: string, act: (because: string) => Promise<void>}} q
 */
export function ask(q) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "ask-title");
  let because = "";
  let missing = false;
  let busy = false;
  /** @type {any} */
  let error = null;
  const close = () => dialog.close();
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    missing = because.trim() === "";
    error = null;
    busy = !missing;
    show();
    if (missing) return void dialog.querySelector("textarea")?.focus();
    try {
      await q.act(because.trim());
      close();
    } catch (problem) {
      error = problem;
      busy = false;
      show();
    }
  };
  const show = () => patch(dialog, [
    h("form", { novalidate: true, on: { submit } },
      h("h2", { id: "ask-title" }, q.title),
      h("p", null, q.text),
      h("label", { for: "ask-because" }, "Reason (required; it stays in the audit)"),
      h("textarea", {
        id: "ask-because", rows: 3, maxlength: 1000, required: true, autofocus: true,
        "aria-invalid": missing ? "true" : null, "aria-describedby": missing ? "ask-missing" : null,
        on: { input: (event) => { because = event.target.value; } },
      }),
      missing && h("p", { id: "ask-missing", class: "missing", role: "alert" }, "Say why: the reason is required."),
      error && h("div", { role: "alert" }, failure(error, true)),
      h("div", { class: "row end" },
        h("button", { key: "no", type: "button", on: { click: close } }, "Cancel"),
        h("button", { key: "yes", type: "submit", class: "main", "aria-disabled": busy ? "true" : null }, q.confirm))),
  ]);
  show();
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (document.activeElement === document.body) document.querySelector("h1")?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}
