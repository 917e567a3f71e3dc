// Drives the console in a real browser: `node drive.mjs PACKAGES CHROMIUM URL SCENE [SCREENSHOT]`.
// Prints "ok", or fails with what it saw instead. Elements are found as a person finds them: by role and name.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [packages, chromium, url, scene, shot] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { chromium: driver } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const OPERATOR = "operator-0123456789";
const LIMIT = 15_000;

const browser = await driver.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({
  viewport: { width: 1280, height: 900 },
  colorScheme: scene.endsWith("dark") ? "dark" : "light",
});
page.setDefaultTimeout(LIMIT);
const troubles = [];
page.on("pageerror", (e) => troubles.push(`page error: ${e.message}`));
page.on("console", (m) => {
  // The browser itself says so of every answer with an error status.
  if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) troubles.push(`console: ${m.text()}`);
});
page.on("request", (r) => {
  if (!r.url().startsWith(url) && !r.url().startsWith("data:")) troubles.push(`a request to ${r.url()}`);
});

const answer = page.getByRole("region", { name: "The verdict" });
const see = (text) => page.getByText(text).first().waitFor();
const verdict = (word) => answer.getByText(word, { exact: true }).waitFor();
const open = (hash) => page.goto(`${url}/#/${hash}`);

async function accessible(where) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  for (const v of violations) troubles.push(`${where}: ${v.id}: ${v.help} (${v.nodes.map((n) => n.target).join("; ")})`);
}

async function signIn(token) {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).last().click();
}

const scenes = {
  // Nobody has looked yet.
  async unknown() {
    await open("");
    await verdict("Unknown");
    await see("No verdict has been made yet");
    await accessible("unknown");
  },
  async ready() {
    await open("");
    await verdict("Ready");
    await see("mappings complete");
    await accessible("overview");
    for (const place of ["targets/people", "exceptions", "maps", "audit"]) {
      await open(place);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await accessible(place);
    }
  },
  // One row blocks: whoever opens the page finds out which, why, and what to do; an operator does it by keyboard.
  async blocked() {
    await open("");
    await see("This verifier asks for a token.");
    await signIn("wrong-0123456789");
    await see("The verifier does not accept this token");
    await signIn(OPERATOR);
    await verdict("Not ready");
    await see("1 scopes are parked");
    await accessible("blocked");
    await open("exceptions?kind=parked");
    await page.getByRole("cell", { name: "duplicate" }).first().waitFor();
    await page.getByRole("checkbox").last().check();
    await page.getByRole("button", { name: /^Waive 1 parked/ }).press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill("<img src=x onerror=alert(1)> twins");
    await dialog.getByRole("button", { name: "Waive" }).click();
    await see("1 scope waived.");
    await open("audit");
    // Text with markup stays text.
    await see("<img src=x onerror=alert(1)> twins");
    await see("The hash chain is intact");
    if (await page.locator("img").count()) throw new Error("a reason became an element");
  },
  // The report is a file: it loads nothing, and what people wrote stays text.
  async report() {
    await page.goto(url);
    await page.getByRole("heading", { level: 1, name: "Cutover report" }).waitFor();
    await page.getByRole("img", { name: "Rows wanted and present" }).waitFor();
    await page.getByRole("cell", { name: "<img src=x onerror=alert(1)> week one" }).waitFor();
    await page.getByRole("columnheader", { name: "Signature" }).waitFor();
    if (await page.locator("img, script").count()) throw new Error("a reason became an element");
    await accessible("report");
  },
  // The verifier goes while somebody looks: an old answer is no answer.
  async dies() {
    await open("");
    await verdict("Ready");
    process.stdout.write("looking\n");
    await verdict("Unknown");
    await see("what you see is old");
  },
};
scenes["ready-dark"] = scenes.ready;
scenes["report-dark"] = scenes.report;

try {
  await scenes[scene]();
  if (shot) {
    await open("");
    await answer.waitFor();
    await page.waitForTimeout(500);
    await page.screenshot({ path: shot, fullPage: true });
  }
  if (troubles.length) throw new Error(troubles.join("\n"));
  process.stdout.write("ok\n");
} catch (error) {
  process.stderr.write(`${scene}: ${error.message}\n${await page.locator("body").innerText().catch(() => "")}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
