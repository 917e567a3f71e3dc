// Talks to the verifier: the token, single requests, and the stream of overviews.

import { changed, elapsed, forget, store, take } from "./store.js";

const KEY = "crossfade-token";
const SLOWEST = 10;

/** The stream's connection. @type {AbortController|null} */
let current = null;

export const token = () => sessionStorage.getItem(KEY);

/** @param {string|null} value */
export function setToken(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  store.auth = null;
  forget();
  changed();
  restart();
  for (const it of running) {
    Object.assign(it, { data: null, error: null });
    it.refresh();
  }
}

export class ApiError extends Error {
  /** @param {number} status @param {string} message @param {string} [nextStep] @param {string} [code] */
  constructor(status, message, nextStep, code) {
    super(message);
    this.status = status;
    this.nextStep = nextStep;
    this.code = code;
  }
}

/** @param {string} path @param {RequestInit & {accept?: string}} init @returns {Promise<Response>} */
async function request(path, init = {}) {
  const used = token();
  const headers = new Headers(init.headers);
  headers.set("Accept", init.accept ?? "application/json");
  if (used) headers.set("Authorization", `Bearer ${used}`);
  let answer;
  try {
    answer = await fetch(path, { ...init, headers, cache: "no-store", redirect: "error" });
  } catch (error) {
    if (error?.name === "AbortError") throw new ApiError(0, "The verifier did not answer in time.");
    throw new ApiError(0, "The verifier cannot be reached.", "Check that it runs, and the network between.");
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && used === token()) {
    sessionStorage.removeItem(KEY);
    store.auth = used ? "wrong" : "needed";
    forget();
    current?.abort();
    changed();
  }
  const said = (await answer.json().catch(() => null))?.error;
  throw new ApiError(
    answer.status, said?.message ?? `The verifier answered with HTTP status ${answer.status}.`, said?.next_step, said?.code,
  );
}

/** One request for JSON. @param {string} path @param {any} [body] posts it @param {number} [timeout] seconds @returns {Promise<any>} */
export async function api(path, body, timeout = 15) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeout * 1000);
  try {
    const init = body === undefined ? {} : {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    };
    const answer = await request(path, { ...init, signal: abort.signal });
    return await answer.json();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, abort.signal.aborted ? "The verifier did not answer in time." : "The verifier's answer is not JSON.");
  } finally {
    clearTimeout(timer);
  }
}

// ---- the stream ----

let wake = () => {};

/** Ends the connection or the wait for the next one; a new one begins at once. */
export function restart() {
  current?.abort();
  wake();
}

const pause = (seconds) => new Promise((resolve) => {
  const timer = setTimeout(resolve, seconds * 1000);
  wake = () => { clearTimeout(timer); resolve(undefined); };
});

/** Follows the stream for as long as the page lives. */
export async function follow() {
  let wait = 1;
  for (;;) {
    if (store.auth === "needed" || store.auth === "wrong") {
      await pause(3600);
      continue;
    }
    const used = token();
    try {
      await stream(() => { wait = 1; });
      throw new ApiError(0, "The verifier ended the connection.");
    } catch (error) {
      if (store.auth === "needed" || store.auth === "wrong") continue;
      if (used !== token()) { wait = 1; continue; }
      if (store.connection !== "lost") store.since = Date.now();
      store.connection = "lost";
      store.problem = { message: error.message, nextStep: error.nextStep };
    }
    store.retryAt = Date.now() + wait * 1000;
    changed();
    await pause(wait);
    store.retryAt = null;
    wait = Math.min(SLOWEST, wait * 2);
  }
}

/** One connection, until it ends. @param {() => void} works called when a document has come through it */
async function stream(works) {
  const abort = new AbortController();
  current = abort;
  let heard = Date.now();
  // Keep-alive comes at least every 15 s or so; a connection that says nothing for 30 s is dead, whatever the network says.
  const watch = setInterval(() => { if (Date.now() - heard > 30_000) abort.abort(); }, 2000);
  const opening = setTimeout(() => abort.abort(), SLOWEST * 1000);
  try {
    const answer = await request("/api/v1/events", { accept: "text/event-stream", signal: abort.signal });
    clearTimeout(opening);
    if (!answer.body || !answer.headers.get("content-type")?.startsWith("text/event-stream")) {
      throw new ApiError(0, "What answers is not the verifier's stream of events.");
    }
    take(await api("/api/v1/overview", undefined, 5), true);
    opened();
    const reader = answer.body.getReader();
    const parse = parser((name, data) => {
      if (name !== "overview") return;
      take(JSON.parse(data));
      opened();
      works();
    });
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard = Date.now();
      parse(decoder.decode(value, { stream: true }));
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (abort.signal.aborted) throw new ApiError(0, "The verifier stopped answering.");
    throw new ApiError(0, error instanceof TypeError ? "The connection to the verifier broke." : error.message);
  } finally {
    clearTimeout(opening);
    clearInterval(watch);
    abort.abort();
  }
}

function opened() {
  if (store.connection === "open") return;
  store.connection = "open";
  store.problem = null;
  changed();
}

/** Server-sent events, piece by piece. @param {(name: string, data: string) => void} emit @returns {(text: string) => void} */
export function parser(emit) {
  let rest = "";
  let name = "message";
  /** @type {string[]} */
  let data = [];
  return (text) => {
    rest += text;
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    if (rest.length > 32_000_000) throw new Error("The verifier's answer does not end.");
    for (const line of lines) {
      if (line === "") {
        if (data.length) emit(name, data.join("\n"));
        name = "message";
        data = [];
      } else if (line.startsWith("event:")) name = line.slice(6).trim();
      else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
  };
}

let asking = false;
let askedAt = 0;

/** The stream is silent when nothing changed. So that silence is never taken for freshness, the overview is asked for then. */
export async function probe() {
  if (asking || store.connection !== "open" || elapsed() < 5 || Date.now() - askedAt < 4000) return;
  asking = true;
  askedAt = Date.now();
  try {
    take(await api("/api/v1/overview", undefined, 4));
  } catch {
    // Its age says it.
  } finally {
    asking = false;
  }
}

/** What the open page asks for. @type {Set<any>} */
const running = new Set();

/**
 * Asks for something again and again while its page is open.
 * @param {() => Promise<any>} ask @param {number} every seconds
 */
export function poll(ask, every) {
  let timer;
  let round = 0;
  const it = {
    /** @type {any} */ data: null,
    /** @type {ApiError|null} */ error: null,
    at: 0,
    async refresh() {
      const mine = ++round;
      clearTimeout(timer);
      if (!store.auth && store.connection !== "lost" && !(document.hidden && it.data)) {
        try {
          const data = await ask();
          if (mine !== round) return;
          Object.assign(it, { data, error: null, at: Date.now() });
        } catch (error) {
          if (mine !== round) return;
          it.error = error;
        }
        changed();
      }
      if (running.has(it) && mine === round) timer = setTimeout(it.refresh, every * 1000);
    },
    start() { running.add(it); it.refresh(); },
    stop() { running.delete(it); round++; clearTimeout(timer); },
  };
  return it;
}
