// The official OpenFeature SDK for servers, with the OFREP provider: `node server.mjs PACKAGES URL TOKEN KEY=DEFAULT…`.
// Evaluates each flag with its default, and prints what came, as JSON, one line a flag.

import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, url, token, ...asked] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { OpenFeature } = require("@openfeature/server-sdk");
const { OFREPProvider } = require("@openfeature/ofrep-provider");

const headers = token ? { Authorization: `Bearer ${token}` } : {};
// The provider knows no time-out: a server that accepts and says nothing would hold the evaluation for minutes.
const fetchImplementation = (request) => fetch(request, { signal: AbortSignal.timeout(2000) });
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: url, headers, fetchImplementation }));
const client = OpenFeature.getClient();
// The SDK writes each failed evaluation to stderr.
client.setLogger({ error() {}, warn() {}, info() {}, debug() {} });

for (const flag of asked) {
  const [key, fallback] = flag.split("=");
  const context = { targetingKey: "somebody" };
  const found =
    fallback === "true" || fallback === "false"
      ? await client.getBooleanDetails(key, fallback === "true", context)
      : await client.getStringDetails(key, fallback, context);
  const { value, reason, variant, errorCode } = found;
  console.log(JSON.stringify({ key, value, reason, variant, errorCode }));
}
