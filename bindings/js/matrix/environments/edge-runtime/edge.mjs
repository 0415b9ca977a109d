// Runs the bundle in edge-runtime: a realm of its own in Node, as Next's edge functions have it.
import { readFile } from "node:fs/promises";

import { EdgeRuntime } from "edge-runtime";

import { mark } from "./report.mjs";

const bytes = await readFile("node_modules/agentassert/dist/agentassert.wasm");
// Compiled out here, as Next does it, the module is no WebAssembly.Module of the realm inside.
const source = process.argv[2] === "bytes" ? bytes : await WebAssembly.compile(bytes);
const runtime = new EdgeRuntime({
  initialCode: await readFile("bundle.js", "utf8"),
  extend: (context) => Object.assign(context, { baseUrl: process.env.AGENTASSERT_BASE_URL, source }),
});
console.log(mark + JSON.stringify({ results: await runtime.evaluate("results") }));
