// What could not be computed: reports and parked scopes, with redrive and waive.

import { h } from "./dom.js";
import { api, poll } from "./net.js";
import { changed, isLost, mayAct, store } from "./store.js";
import { announce, ask, code, count, empty, failure, note, number, prose, section, table, tag, time } from "./ui.js";

const LIMIT = 100;

const REASONS = [
  ["missing_parent", "The legacy row points to a row that is not there: an orphan."],
  ["does_not_fit", "The value does not fit the new column."],
  ["no_match", "The plan's expression has no value for this row."],
  ["several", "More than one row would stand where one is wanted."],
  ["parameter_missing", "A row that the plan's parameters name is gone. Bring it back, or change the plan."],
  ["busy", "The application holds the row. It is tried again by itself."],
  ["id_missing", "The parent has no UUID yet. It is tried again by itself."],
  ["duplicate", "Another row of the target has the value of a unique key. It is tried again by itself; if it stays, two scopes want the same value."],
  ["row_error", "The database refused the row: read the detail, mend the data or the plan, then redrive."],
];

/**
 * @param {{rows: any[], caption: import("./dom.js").Child, own?: boolean, chosen?: Set<number>}} t
 *   `own`: of one target only; `chosen`: the ids that are ticked, when they can be
 */
export function exceptionTable(t) {
  if (t.rows.length === 0) return empty("None.");
  const { chosen } = t;
  const ticked = chosen ? t.rows.filter((e) => chosen.has(e.id)).length : 0;
  const toggle = (ids, on) => {
    for (const id of ids) on ? chosen?.add(id) : chosen?.delete(id);
    changed();
  };
  return table({
    caption: t.caption,
    rows: t.rows,
    key: (e) => e.id,
    head: "scope",
    rowClass: (e) => (chosen?.has(e.id) ? "chosen" : ""),
    columns: [
      chosen && {
        id: "tick", class: "tick",
        name: h("input", {
          type: "checkbox", "aria-label": "Choose all on this page", checked: ticked === t.rows.length,
          indeterminate: ticked > 0 && ticked < t.rows.length, on: { change: (e) => toggle(t.rows.map((r) => r.id), e.target.checked) },
        }),
        cell: (e) => h("input", {
          type: "checkbox", checked: chosen.has(e.id), "aria-label": `Choose ${e.target}, scope ${e.scope}`,
          on: { change: (event) => toggle([e.id], event.target.checked) },
        }),
      },
      { id: "id", name: "Id", class: "right", cell: (e) => h("span", { class: "num" }, e.id) },
      !t.own && { id: "target", name: "Target", class: "full", cell: (e) => h("a", { href: `#/targets/${encodeURIComponent(e.target)}` }, e.target) },
      { id: "scope", name: "Scope", cell: (e) => code(e.scope) },
      { id: "kind", name: "Kind", cell: (e) => (e.kind === "parked" ? tag("parked", e.waived_by ? "" : "bad") : tag(e.kind)) },
      { id: "column", name: "Column", class: "full", cell: (e) => code(e.column) },
      { id: "reason", name: "Reason", class: "full", cell: (e) => code(e.reason) },
      { id: "missing", name: "Missing", class: "full", cell: (e) => (e.missing_entity ? code(`${e.missing_entity} ${e.missing_id ?? ""}`) : code(null)) },
      { id: "detail", name: "Detail", class: "wide", cell: (e) => e.detail ?? h("span", { class: "soft" }, "–") },
      { id: "since", name: "Since", class: "full", cell: (e) => time(e.since) },
      { id: "waived", name: "Waived", class: "full", cell: (e) => (e.waived_by ? [h("strong", null, e.waived_by), e.waived_because ? `: ${e.waived_because}` : ""] : h("span", { class: "soft" }, "no")) },
    ].filter(Boolean),
  });
}

/** @param {URLSearchParams} query */
export function page(query) {
  const chosen = new Set();
  let now = query;
  let outcome = "";
  /** @type {any} */
  let problem = null;
  let busy = false;
  const asked = poll(async () => {
    const params = new URLSearchParams({ limit: String(LIMIT) });
    for (const name of ["target", "kind", "after"]) if (now.get(name)) params.set(name, now.get(name));
    const data = await api(`/api/v1/exceptions?${params}`);
    const there = new Set(data.exceptions.map((e) => e.id));
    for (const id of chosen) if (!there.has(id)) chosen.delete(id);
    return data;
  }, 10);
  const go = (changes) => {
    const next = new URLSearchParams(now);
    next.delete("after");
    for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
    location.hash = address(next);
  };
  const done = (text) => {
    outcome = text;
    problem = null;
    chosen.clear();
    announce(text);
    changed();
    return asked.refresh();
  };
  const redrive = async (ids) => {
    if (busy) return;
    busy = true;
    try {
      const { redriven } = await api("/api/v1/exceptions/redrive", { ids });
      await done(`${count(redriven, "scope")} marked again. An exception goes away once its scope has been applied.`);
    } catch (error) {
      problem = error;
      announce(`Not done: ${error.message}`);
    }
    busy = false;
    changed();
  };
  const waive = (ids) => ask({
    title: `Waive ${count(ids.length, "parked scope")}`,
    text: "They keep their rows as they are, and no longer stand against the next verdict. Your name and the reason are kept.",
    confirm: "Waive",
    act: async (because) => {
      const { waived } = await api("/api/v1/exceptions/waive", { ids, because });
      await done(`${count(waived, "scope")} waived.`);
    },
  });
  return {
    title: () => "Exceptions",
    start: asked.start,
    stop: asked.stop,
    /** The filter or the page changed. @param {URLSearchParams} next */
    turn(next) {
      if (String(next) === String(now)) return;
      now = next;
      chosen.clear();
      outcome = "";
      problem = null;
      asked.data = null;
      asked.refresh();
    },
    view: () => view({ now, asked, chosen, go, redrive, waive, outcome, problem, busy }),
  };
}

const address = (query) => (String(query) ? `#/exceptions?${query}` : "#/exceptions");

function view({ now, asked, chosen, go, redrive, waive, outcome, problem, busy }) {
  const rows = asked.data?.exceptions ?? [];
  const target = now.get("target") ?? "";
  const kind = now.get("kind") ?? "";
  const names = new Set([...(store.doc?.targets ?? []).map((t) => t.target), ...(target ? [target] : [])]);
  const ids = rows.filter((e) => chosen.has(e.id)).map((e) => e.id);
  const parked = rows.filter((e) => chosen.has(e.id) && e.kind === "parked" && !e.waived_by).map((e) => e.id);
  const act = mayAct();
  const still = isLost() || busy;
  const from = new URLSearchParams(now);
  from.delete("after");
  const next = new URLSearchParams(now);
  if (asked.data?.next != null) next.set("after", asked.data.next);
  return [
    h("h1", { key: "h1", tabindex: -1 }, "Exceptions"),
    h("p", { key: "intro", class: "intro" }, h("strong", null, "Reports"), " explain a NULL or a missing row; they close by themselves and do not stand against the verdict. ",
      h("strong", null, "Parked"), " scopes keep their rows and do stand against it, until they come through or are waived."),
    section("List", { id: "list", aside: h("span", { class: "filter" },
      h("label", { for: "by-target" }, "Target"),
      h("select", { id: "by-target", value: target, on: { change: (e) => go({ target: e.target.value }) } },
        h("option", { key: "", value: "" }, "all"), [...names].map((n) => h("option", { key: `t/${n}`, value: n }, n))),
      h("label", { for: "by-kind" }, "Kind"),
      h("select", { id: "by-kind", value: kind, on: { change: (e) => go({ kind: e.target.value }) } },
        h("option", { value: "" }, "all"), h("option", { value: "parked" }, "parked"), h("option", { value: "report" }, "report"))) },
      failure(asked.error),
      failure(problem),
      outcome && note("calm", outcome),
      act ? h("div", { key: "acts", class: "row" },
        h("button", { key: "redrive", type: "button", disabled: still || ids.length === 0, on: { click: () => redrive(ids) } }, `Redrive${ids.length ? ` ${number(ids.length)}` : ""}`),
        h("button", { key: "waive", type: "button", disabled: still || parked.length === 0, on: { click: () => waive(parked) } }, `Waive${parked.length ? ` ${number(parked.length)} parked` : "…"}`),
        h("span", { class: "soft" }, ids.length === 0 ? "Choose rows first." : parked.length < ids.length ? "Only parked scopes can be waived." : ""))
        : h("p", { key: "acts", class: "soft" }, "You can look, not act. Sign in with a token that may act to redrive or waive."),
      !asked.data ? !asked.error && empty("Loading…")
        : exceptionTable({
          rows, chosen: act ? chosen : undefined,
          caption: `${count(rows.length, "exception")} on this page${target ? `, of ${target}` : ""}${kind ? `, ${kind} only` : ""}`,
        }),
      h("nav", { key: "pages", class: "row", "aria-label": "Pages of exceptions" },
        now.get("after") && h("a", { key: "first", href: address(from) }, "First page"),
        asked.data?.next != null && h("a", { key: "next", href: address(next) }, "Next page"))),
    h("details", { key: "legend", class: "panel legend" }, h("summary", null, "What the reasons mean"),
      h("dl", { class: "facts words" }, REASONS.map(([name, text]) => h("div", { key: name }, h("dt", null, h("code", null, name)), h("dd", null, prose(text)))))),
  ];
}
