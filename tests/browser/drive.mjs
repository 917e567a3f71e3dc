// Drives the console in a real browser: `node drive.mjs PACKAGES CHROMIUM URL`, then scenes on stdin, one a line: a JSON array
// of name and arguments. Answers each with a JSON string: "ok", or what it saw instead; "looking" when a scene waits for
// something to happen.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { scenes } from "./scenes.mjs";

const [packages, chromium, url] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { chromium: driver } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const LIMIT = 20_000;
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 400, height: 800 };

const browser = await driver.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: WIDE, colorScheme: "light" });
page.setDefaultTimeout(LIMIT);
let troubles = [];
page.on("pageerror", (e) => troubles.push(`page error: ${e.message}`));
page.on("console", (m) => {
  // The browser itself says so of every answer with an error status.
  if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) troubles.push(`console: ${m.text()}`);
});
page.on("request", (r) => {
  if (!r.url().startsWith(url) && !r.url().startsWith("data:")) troubles.push(`a request to ${r.url()}`);
});

const answer = (text) => process.stdout.write(`${JSON.stringify(text)}\n`);

/** What a scene works with. Elements are found as a person finds them: by role and name. */
const tools = {
  page,
  open: (hash) => page.goto(`${url}/#/${hash}`),
  see: (text, where = page) => where.getByText(text).first().waitFor(),
  region: (name) => page.getByRole("region", { name, exact: true }),
  verdict: (word) => tools.region("The verdict").getByText(word, { exact: true }).waitFor(),
  /** The line of a fact, such as "Backfill". */
  fact: (where, name) => tools.region(where).locator("div", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }),
  allowed: (name) => page.getByRole("button", { name, exact: true, disabled: false }),
  refused: (name) => page.getByRole("button", { name, exact: true, disabled: true }),
  loaded: () => page.getByText("Loading…").first().waitFor({ state: "detached" }),
  looking: () => answer("looking"),
  /** No violation in either scheme, and nothing that one must scroll sideways for on a narrow screen. */
  async accessible(where) {
    if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
    // What a scheme changes is its colours.
    for (const [colorScheme, rules] of [["dark", { runOnly: ["color-contrast"] }], ["light", {}]]) {
      await page.emulateMedia({ colorScheme });
      const { violations } = await page.evaluate((options) => globalThis.axe.run(options), rules);
      for (const v of violations) troubles.push(`${where}, ${colorScheme}: ${v.id}: ${v.help} (${v.nodes.map((n) => n.target).join("; ")})`);
    }
    await page.setViewportSize(NARROW);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > NARROW.width) troubles.push(`${where}: ${width} pixels wide on a screen of ${NARROW.width}`);
    await page.setViewportSize(WIDE);
  },
  async signIn(token) {
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).last().click();
  },
};

async function play([name, ...rest]) {
  troubles = [];
  try {
    await scenes[name](tools, ...rest);
    if (troubles.length) throw new Error(troubles.join("\n"));
    return "ok";
  } catch (error) {
    return `${name}: ${error.message}\n${await page.locator("body").innerText().catch(() => "")}`;
  }
}

for await (const line of createInterface({ input: process.stdin })) answer(await play(JSON.parse(line)));
await browser.close();
