// For environments that have a process of their own, with standard output: runs the scenario with what the
// driver has put in the environment's variables, and prints the results for it.
import { scenario } from "./scenario.mjs";

/** What a line with results begins with. */
export const mark = "matrix-report ";

/** Runs the scenario with a package, as it was loaded, and prints the results. */
export async function report(agentassert, options = {}) {
  const {
    AGENTASSERT_BASE_URL: baseUrl,
    AGENTASSERT_AUTH_JSON: authJson,
    AGENTASSERT_STORE_OPTIONS: storeOptions = "{}",
  } = process.env;
  const results = await scenario(agentassert, {
    baseUrl,
    authJson,
    storeOptions: JSON.parse(storeOptions),
    ...options,
  });
  console.log(mark + JSON.stringify({ version: version(), results }));
}

function version() {
  const { Bun, Deno } = globalThis;
  return Bun?.version ?? Deno?.version.deno ?? process.versions.node;
}
