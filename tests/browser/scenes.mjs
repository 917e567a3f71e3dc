// What an operator meets, and what the page must then say: is it ready; if not why, who acts, what next; how fresh is that?

const OPERATOR = "operator-0123456789";

export const scenes = {
  // The legacy tables are empty, and nobody has compared yet.
  async empty({ open, verdict, see, region, fact, accessible }) {
    await open("");
    await verdict("Unknown");
    await see("No verdict has been made yet");
    await see("Who acts: operator", region("If not, why, and who acts?"));
    await see("crossfade verify --once", region("If not, why, and who acts?"));
    await see("never", fact("How fresh is that?", "Verdict made"));
    await see("done", fact("How fresh is that?", "Backfill"));
    await see("5 of 5 answer", fact("How fresh is that?", "Services"));
    await accessible("empty");
  },
  // It was compared: "ready" over nothing is said to be that.
  async hollow({ verdict, see, region }) {
    await verdict("Ready");
    await see("No row is there to compare", region("The verdict"));
  },
  async ready({ page, open, verdict, see, region, fact, loaded, accessible }) {
    await open("");
    await verdict("Ready");
    await see("Old and new agree on 2 targets. Reads may move; this holds", region("The verdict"));
    await see("Nothing stands against it.", region("If not, why, and who acts?"));
    await see("mappings complete", region("Criteria"));
    await see(/^until /, fact("How fresh is that?", "It holds"));
    await accessible("overview");
    for (const place of ["targets/people", "exceptions", "maps", "audit"]) {
      await open(place);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await loaded();
      await accessible(place);
    }
    // The lag is drawn, and said.
    await open("targets/people");
    await page.getByRole("img", { name: "Lag over time" }).waitFor();
    await see(/^From .* highest/, region("Lag"));
    await see("every scope compared", fact("State", "Coverage"));
  },
  // Nothing renews the verdict while somebody looks.
  async stale({ open, verdict, see, region, fact, looking, accessible }) {
    await open("");
    await verdict("Ready");
    looking();
    await verdict("Unknown");
    await see(/The last verdict expired/, region("The verdict"));
    await see("verification", region("If not, why, and who acts?"));
    await see("Who acts: operator", region("If not, why, and who acts?"));
    await see("what it answered says nothing about now", region("Criteria"));
    await see("no longer: it expired at", fact("How fresh is that?", "It holds"));
    await accessible("stale");
  },
  // The verifier goes while somebody looks: an old answer is no answer.
  async dies({ open, verdict, see, looking, accessible }) {
    await open("");
    await verdict("Ready");
    looking();
    await verdict("Unknown");
    await see("what you see is old");
    await accessible("dies");
  },

  // The new side is being filled.
  async backfilling({ page, open, verdict, see, region, fact, accessible }) {
    await open("");
    await verdict("Unknown");
    await see("the new side is still being filled", region("The verdict"));
    await see(/is not filled yet, [\d,]+ of about [\d,]+ scopes are done/, region("If not, why, and who acts?"));
    await see("Who acts: nobody: it goes on by itself", region("If not, why, and who acts?"));
    await see(/^runs on 1 target, .* left/, fact("How fresh is that?", "Backfill"));
    const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "people" }) });
    await row.getByRole("progressbar", { name: "Backfill of people" }).waitFor();
    await row.getByText(/^\d+ %, .* left$/).waitFor();
    await accessible("backfilling");
    await open("targets/people");
    await see("backfilling", fact("State", "Phase"));
    await see(/^\d+ %: [\d,]+ of about [\d,]+ scanned, [\d,]+ changed, [\d,]+ rows\/s$/, fact("State", "Backfill"));
    await see(/\d (ms|s|min|h)/, fact("State", "ETA"));
    await see("Who acts: nobody: it goes on by itself", region("What stands against it"));
    await see("No step up to dual write", region("Flag"));
    await accessible("a target that is being filled");
  },
  async held({ open, see, region, fact }) {
    await open("");
    await see("the backfill is held", region("The verdict"));
    await see("Who acts: operator", region("If not, why, and who acts?"));
    await see("crossfade resume", region("If not, why, and who acts?"));
    await see("held, 1 target not done", fact("How fresh is that?", "Backfill"));
    await open("targets/people");
    await see("held", fact("State", "ETA"));
  },
  async filled({ open, see, fact }) {
    await open("targets/people");
    await see(/^done: 4,000 scanned, 4,000 changed$/, fact("State", "Backfill"));
  },

  // One row blocks: whoever opens the page finds out which, why, and what to do; an operator does it by keyboard.
  async blocked({ page, open, verdict, see, signIn, region, accessible }) {
    await open("");
    await see("This verifier asks for a token.");
    await signIn("wrong-0123456789");
    await see("The verifier does not accept this token");
    await accessible("a wrong token");
    await signIn(OPERATOR);
    await verdict("Not ready");
    const why = region("If not, why, and who acts?");
    await see("1 scopes are parked", why);
    await see("Who acts: operator", why);
    await accessible("blocked");
    await why.getByRole("link", { name: "See the parked scopes" }).press("Enter");
    await page.getByRole("cell", { name: "duplicate" }).first().waitFor();
    await page.getByRole("checkbox").last().check();
    await accessible("exceptions");
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
  // A flag goes up by one step, by keyboard, with a reason; who did it and why stays.
  async flags({ page, open, see, region, allowed, accessible }) {
    await open("targets/people");
    await allowed("Step up to dual write").press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.getByText("The verifier checks its verdict once more").waitFor();
    await accessible("the question for a reason");
    await dialog.getByRole("button", { name: "Step up to dual write" }).click();
    await see("Say why: the reason is required.", dialog);
    await dialog.getByRole("textbox").fill("CHG-1234, first week");
    await dialog.getByRole("textbox").press("Tab");
    await dialog.getByRole("button", { name: "Step up to dual write" }).press("Enter");
    await page.getByRole("status").getByText("The flag of people is dual write now.").waitFor();
    await see(/^Since .* by olga$/, region("Flag"));
    await allowed("Step up to shadow read").waitFor();
    const entry = region("Flag's history").getByRole("row").filter({ hasText: "CHG-1234, first week" });
    await entry.getByText("legacy → dual write").waitFor();
    await entry.getByText("olga").waitFor();
    await accessible("a flag that was moved");
  },
  // Somebody else writes into a target: which row and where in the binlog, and no step until a pass has looked.
  async direct({ open, verdict, see, region, allowed, refused, accessible }) {
    await open("");
    await verdict("Unknown");
    const why = region("If not, why, and who acts?");
    await see("1 transactions of others wrote into targets since", why);
    await see("Who acts: operator", why);
    await why.getByRole("link", { name: "See the findings of users" }).click();
    const finding = region("Findings").getByRole("row").filter({ hasText: "direct write" });
    await finding.getByText("confirmed").waitFor();
    await finding.getByText(/^\d+-\d+-\d+$/).waitFor();
    await see("No step up to dual write: the verdict is unknown", region("Flag"));
    await refused("Step up to dual write").waitFor();
    await accessible("a direct write");
    // Of the others nothing is said by it.
    await open("targets/people");
    await allowed("Step up to shadow read").waitFor();
  },
  // A difference that comes back: which row, both digests, who acts, and no step up while it stands.
  async mismatch({ open, verdict, see, region, fact, allowed, refused, accessible }) {
    await open("");
    await verdict("Not ready");
    await see("Reads must stay where they are.", region("The verdict"));
    const why = region("If not, why, and who acts?");
    await see("1 scopes differ and stay different", why);
    await see("find who writes these columns", why);
    await see("Who acts: operator", why);
    await accessible("a mismatch");
    await why.getByRole("link", { name: "See the findings of people" }).click();
    const finding = region("Findings").getByRole("row").filter({ hasText: "confirmed" });
    await finding.getByRole("rowheader", { name: "2" }).waitFor();
    if ((await finding.locator("code", { hasText: /^[0-9a-f]{12}…$/ }).count()) !== 2) throw new Error("two digests are wanted");
    await see("1 that stay, of 1 found", fact("State", "Differences"));
    await see("No step up to shadow read: the verdict is not ready", region("Flag"));
    await refused("Step up to shadow read").waitFor();
    await allowed("Step down to legacy").waitFor();
    await accessible("a target that differs");
  },

  // The reader ends while somebody looks: what was committed since is not proved to be applied.
  async orphaned({ page, open, verdict, see, region, fact, looking, accessible }) {
    await open("");
    await verdict("Ready");
    looking();
    await verdict("Unknown");
    await see("cdc-reader is missing or behind", region("The verdict"));
    const why = region("If not, why, and who acts?");
    await see(/cdc-reader on .* does not answer; it was last seen/, why);
    await see("Who acts: operator", why);
    await see("crossfade service cdc-reader", why);
    await see("cdc-reader of 5 does not answer", fact("How fresh is that?", "Services"));
    await see("cdc-reader", fact("How fresh is that?", "Fence waits for"));
    await see(/^\d\d s$|min$/, fact("How fresh is that?", "Lag"));
    await region("Services").getByRole("row").filter({ hasText: "cdc-reader" }).getByText("Does not answer").waitFor();
    await accessible("no reader");
  },
  async rejoined({ verdict, see, region, fact }) {
    await verdict("Ready");
    await see("nothing", fact("How fresh is that?", "Fence waits for"));
    await see("Gone, replaced", region("Services"));
  },

  // The report is a file: it loads nothing, and what people wrote stays text.
  async report({ page, accessible }, address) {
    await page.goto(address);
    await page.getByRole("heading", { level: 1, name: "Cutover report" }).waitFor();
    await page.getByRole("img", { name: "Rows wanted and present" }).waitFor();
    await page.getByRole("cell", { name: "<img src=x onerror=alert(1)> week one" }).waitFor();
    await page.getByRole("columnheader", { name: "Signature" }).waitFor();
    if (await page.locator("img, script").count()) throw new Error("a reason became an element");
    await accessible("report");
  },

  // For the pictures in the documentation.
  async enter({ open, signIn, verdict }) {
    await open("");
    await signIn(OPERATOR);
    await verdict("Unknown");
  },
  async step({ page, open, allowed }, target, to, because) {
    await open(`targets/${target}`);
    await allowed(`Step up to ${to}`).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill(because);
    await dialog.getByRole("button", { name: `Step up to ${to}` }).click();
    await page.getByRole("status").getByText(`The flag of ${target} is ${to} now.`).waitFor();
  },
  async reads({ open, see }, text) {
    await open("");
    await see(text);
  },
  async shoot({ page, open, verdict, loaded }, place, word, scheme, height, path) {
    await open("");
    await verdict(word);
    await open(place);
    await loaded();
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width: 1280, height: Number(height) });
    await page.mouse.move(0, 0);
    await page.screenshot({ path });
  },
};
