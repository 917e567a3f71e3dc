// The smaller pages: id maps, the audit, signing in, and an address that leads nowhere.

import { h } from "./dom.js";
import { api, poll, setToken, token } from "./net.js";
import { changed, store } from "./store.js";
import { flagName, maps } from "./overview.js";
import { link } from "./reasons.js";
import { badge, count, digest, empty, failure, moment, note, number, section, table } from "./ui.js";

export const mapsPage = () => ({
  title: () => "Id maps",
  view: () => [
    h("h1", { key: "h1", tabindex: -1 }, "Id maps"),
    h("p", { key: "intro", class: "intro" },
      "Each legacy id of an entity has one UUID, for ever. A map is right if legacy ids and UUIDs are equally many (one to one) and every row has one. An entry is never changed."),
    store.doc ? maps(store.doc) : empty("Loading…"),
  ],
});

// ---- audit ----

const AT_ONCE = 20;

export function auditPage() {
  /** @type {Map<number, any>} */
  const entries = new Map();
  let chain = "";
  let last = 0;
  let more = false;
  const asked = poll(async () => {
    let unread = true;
    // The answer has no "next": one asks from the last entry on until nothing new comes.
    for (let i = 0; i < AT_ONCE && unread; i++) {
      const data = await api(`/api/v1/audit?after=${last}`);
      chain = data.chain;
      const before = entries.size;
      for (const e of data.entries) {
        entries.set(e.id, e);
        last = Math.max(last, e.id);
      }
      unread = entries.size > before;
    }
    more = unread;
    return true;
  }, 10);
  return {
    title: () => "Audit",
    start: asked.start,
    stop: asked.stop,
    view: () => [
      h("h1", { key: "h1", tabindex: -1 }, "Audit"),
      h("p", { key: "intro", class: "intro" }, "Who changed a flag, redrove or waived, when and why. Each entry's digest covers the entry before it, so a later change of an entry breaks the chain."),
      asked.error && h("div", { key: "error" }, failure(asked.error)),
      asked.data && h("div", { key: "chain" }, chainNote(chain)),
      section("Entries", { id: "entries", aside: asked.data && h("span", { class: "soft num" }, count(entries.size, "entry", "entries")) },
        !asked.data ? !asked.error && empty("Loading…") : list([...entries.values()].sort((a, b) => b.id - a.id), brokenAt(chain)),
        more && asked.data && h("button", { key: "more", type: "button", on: { click: () => { more = false; changed(); asked.refresh(); } } }, "Load more")),
    ],
  };
}

/** @param {string} chain */
const brokenAt = (chain) => Number(/^broken at (\d+)/.exec(chain)?.[1] ?? NaN);

const chainNote = (chain) => (chain === "intact"
  ? h("p", { class: "chain" }, badge("ready", "The hash chain is intact"))
  : /^broken/.test(chain)
    ? note("bad", h("strong", null, `The hash chain is ${chain}. `), "This entry, or one before it, was changed or removed after it was written. Find out who can write to the control schema.")
    : note("warn", `Nothing is known about the hash chain: ${chain || "no answer"}.`));

function list(rows, broken) {
  if (rows.length === 0) return empty("Nothing has been done yet.");
  return table({
    caption: "Newest first",
    rows,
    key: (e) => e.id,
    rowClass: (e) => (e.id === broken ? "broken" : ""),
    columns: [
      { id: "id", name: "Entry", class: "right", cell: (e) => h("span", { class: "num" }, number(e.id)) },
      { id: "at", name: "When", class: "full", cell: (e) => moment(e.at) },
      { id: "who", name: "Who", cell: (e) => e.who },
      { id: "what", name: "What", cell: (e) => e.what },
      { id: "target", name: "Target", class: "full", cell: (e) => (e.target ? h("a", { href: link(e.target) }, e.target) : "–") },
      { id: "change", name: "Change", class: "full", cell: (e) => (e.from || e.to ? `${flagName(e.from)} → ${flagName(e.to)}` : "–") },
      { id: "because", name: "Reason", class: "wide", cell: (e) => e.because ?? "–" },
      { id: "verdict", name: "Verdict's digest", class: "full", cell: (e) => digest(e.verdict_digest) },
      { id: "digest", name: "Digest", class: "full", cell: (e) => digest(e.digest) },
    ],
  });
}

// ---- signing in ----

export function signIn() {
  const submit = (event) => {
    event.preventDefault();
    const value = new FormData(event.target).get("token")?.toString().trim();
    if (value) setToken(value);
  };
  const wrong = store.auth === "wrong";
  return [
    h("h1", { key: "h1", tabindex: -1 }, "Sign in"),
    h("form", { key: "form", class: "panel signin", on: { submit } },
      wrong ? h("div", { id: "wrong", role: "alert" }, note("bad", "The verifier does not accept this token. It may be mistyped, expired or revoked."))
        : h("p", { id: "wrong" }, store.auth === "needed" ? "This verifier asks for a token." : "Another token may see or do more."),
      h("label", { for: "token" }, "Token"),
      h("input", { id: "token", name: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-describedby": "wrong", "aria-invalid": wrong ? "true" : null }),
      h("p", { class: "soft" }, "It is kept in this tab only, until you close it."),
      h("div", { class: "row" },
        h("button", { key: "in", type: "submit", class: "main" }, "Sign in"),
        store.auth === "asked" && h("button", { key: "no", type: "button", on: { click: () => { store.auth = null; changed(); } } }, "Cancel"),
        store.auth === "asked" && token() && h("button", { key: "out", type: "button", on: { click: () => setToken(null) } }, "Forget the token"))),
  ];
}

export const nowhere = () => ({
  title: () => "No such page",
  view: () => [
    h("h1", { key: "h1", tabindex: -1 }, "No such page"),
    h("p", null, "Nothing is at this address. ", h("a", { href: "#/" }, "Go to the overview.")),
  ],
});
