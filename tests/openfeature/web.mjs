// The official OpenFeature SDK for browsers, whose provider polls all flags at once: `node web.mjs PACKAGES URL TOKEN KEY`.
// Prints the flag's value now and whenever it changes, and once how the polls were answered; ends when its input does.

import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, url, token, key] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { OpenFeature, ProviderEvents } = require("@openfeature/web-sdk");
const { OFREPWebProvider } = require("@openfeature/ofrep-web-provider");

const say = (word, rest) => console.log(JSON.stringify({ word, ...rest }));
const polls = { full: 0, unchanged: 0, wrong: 0 };
const fetchImplementation = async (request) => {
  const response = await fetch(request);
  const kind = response.status === 200 ? "full" : response.status === 304 ? "unchanged" : "wrong";
  polls[kind] += 1;
  if (kind === "unchanged") {
    if (!request.headers.get("If-None-Match")) polls.wrong += 1;
    if (polls.unchanged === 3) say("polled", polls);
  }
  return response;
};

const provider = new OFREPWebProvider({
  baseUrl: url,
  headers: [["Authorization", `Bearer ${token}`]],
  pollInterval: 100,
  // A flag that was kept would outlive the server: there is to be the default instead.
  cacheMode: "disabled",
  fetchImplementation,
});
const client = OpenFeature.getClient();
client.setLogger({ error() {}, warn() {}, info() {}, debug() {} });
const tell = () => {
  const { value, reason, variant } = client.getStringDetails(key, "legacy");
  say("flag", { value, reason, variant });
};
client.addHandler(ProviderEvents.ConfigurationChanged, tell);
client.addHandler(ProviderEvents.Stale, () => say("stale"));
client.addHandler(ProviderEvents.Error, () => say("error"));

await OpenFeature.setProviderAndWait(provider, { targetingKey: "somebody" });
tell();
process.stdin.on("end", () => process.exit(0)).resume();
