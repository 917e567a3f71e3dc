// The frame: routes, header, banner, the live region, and the loop that draws.

import { h, patch } from "./dom.js";
import { follow, probe, restart, token } from "./net.js";
import { changed, forget, isLost, store, subscribe, verdict } from "./store.js";
import { announce, badge, clock, number, prose, WORDS } from "./ui.js";
import { page as overview, sentence } from "./overview.js";
import { page as target } from "./target.js";
import { page as exceptions } from "./exceptions.js";
import { auditPage, mapsPage, nowhere, signIn } from "./pages.js";

const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @typedef {{title: () => string, view: () => any, start?: () => void, stop?: () => void, turn?: (query: URLSearchParams) => void}} Page */

/** The page that is open, by its address without the query. @type {{key: string, page: Page}} */
let open = { key: "", page: nowhere() };

/** @param {string} key @param {URLSearchParams} query @returns {Page} */
function make(key, query) {
  if (key === "/" || key === "") return overview();
  if (key === "/exceptions") return exceptions(query);
  if (key === "/maps") return mapsPage();
  if (key === "/audit") return auditPage();
  if (key.startsWith("/targets/")) {
    try {
      return target(decodeURIComponent(key.slice("/targets/".length)));
    } catch {
      return nowhere();
    }
  }
  return nowhere();
}

function route() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  const key = path || "/";
  const params = new URLSearchParams(query);
  if (key === open.key) {
    open.page.turn?.(params);
  } else {
    open.page.stop?.();
    open = { key, page: make(key, params) };
    open.page.start?.();
    if (store.auth === "asked") store.auth = null;
  }
  draw();
}

let drawn = "";

/** Another page has come: the reader's place is its title, or the field that asks. @param {string} key */
function arrive(key) {
  const before = drawn;
  drawn = key;
  if (!before || before === key) return;
  window.scrollTo(0, 0);
  /** @type {HTMLElement|null} */ (at("main").querySelector("#token") ?? at("main").querySelector("h1"))?.focus({ preventScroll: true });
}

// ---- drawing ----

const NAV = [["#/", "Overview"], ["#/exceptions", "Exceptions"], ["#/maps", "Id maps"], ["#/audit", "Audit"]];

function header() {
  const is = verdict().answer;
  const doc = store.doc;
  const parked = (doc?.targets ?? []).reduce((sum, t) => sum + (t.parked ?? 0), 0);
  const here = `#${open.key}`;
  const link = store.auth === "needed" || store.auth === "wrong" ? "" : isLost() ? "off" : store.connection === "open" ? "on" : "";
  return [
    h("p", { class: "brand" }, h("strong", null, "Crossfade"), doc?.source && h("span", { class: "soft" }, ` ${doc.source}`)),
    h("nav", { "aria-label": "Pages" }, h("ul", null, NAV.map(([href, name]) => h("li", { key: href },
      h("a", { href, "aria-current": here === href ? "page" : null }, name,
        href === "#/exceptions" && parked > 0 && h("span", { class: "tag bad" }, number(parked), h("span", { class: "label" }, " parked"))))))),
    h("div", { class: "who" },
      open.key !== "/" && h("a", { key: "verdict", href: "#/", class: "plain" }, badge(is, WORDS[is])),
      h("span", { key: "live", class: `link ${link}` }, { off: "not connected", on: "live", "": store.auth ? "signed out" : "connecting" }[link]),
      !store.auth && h("button", { key: "sign", type: "button", class: "small", on: { click: () => { store.auth = "asked"; changed(); } } }, token() ? "Token" : "Sign in")),
  ];
}

function banner() {
  if (!isLost() || store.auth === "needed" || store.auth === "wrong") return [];
  const since = store.doc ? store.heardAt : store.since;
  const wait = store.retryAt ? Math.ceil((store.retryAt - Date.now()) / 1000) : 0;
  return [h("section", { key: "lost", class: "banner", "aria-label": "Connection" },
    h("p", null, h("strong", null, `No answer from the verifier since ${clock(since)}${store.doc ? "; what you see is old." : "."}`), " ",
      store.problem ? [store.problem.message, " ", prose(store.problem.nextStep ?? "")] : ""),
    h("p", { class: "row" }, h("span", { class: "num" }, wait > 0 ? `Next attempt in ${wait} s.` : "Trying again…"),
      h("button", { type: "button", on: { click: restart } }, "Try now")))];
}

let spoken = "";

/** Says the verdict aloud, but only when it is another one. */
function speak() {
  if (store.auth || verdict().why === "first") return;
  const { answer, why } = verdict();
  const now = `${answer}/${why}`;
  if (now === spoken) return;
  spoken = now;
  announce(`Verdict: ${WORDS[answer]}. ${[sentence()].flat().map((part) => (typeof part === "string" ? part : part?.children?.[0]?.text ?? "")).join("")}`);
}

function draw() {
  const asking = Boolean(store.auth);
  const is = verdict().answer;
  const title = asking ? "Sign in" : open.key === "/" ? "" : open.page.title();
  const wanted = [asking ? "" : WORDS[is], title, `Crossfade ${store.doc?.source ?? ""}`.trim()].filter(Boolean).join(" · ");
  if (document.title !== wanted) document.title = wanted;
  patch(at("header"), header());
  patch(at("banner"), banner());
  patch(at("main"), [asking
    ? h("div", { key: "sign in", class: "page" }, signIn())
    : h("div", { key: open.key, class: `page ${isLost() ? "old" : ""}` }, open.page.view())]);
  arrive(asking ? "sign in" : open.key);
  speak();
}

let due = false;
/** Draws once, however many things changed. */
function soon() {
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    draw();
  });
}

// ---- start ----

subscribe(soon);
at("main").replaceChildren();
at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  at("main").focus();
});
addEventListener("hashchange", route);
addEventListener("resize", soon);
addEventListener("online", restart);
document.addEventListener("visibilitychange", () => { if (!document.hidden) { probe(); soon(); } });
setInterval(() => { probe(); soon(); }, 1000);
forget();
route();
follow();
