import { copyFileSync } from "node:fs";

import { build } from "esbuild";

import { runPageOf } from "../../chromium.mjs";

async function inWorker(box) {
  await build({
    entryPoints: [box.file("worker.mjs")],
    outfile: box.file("bundle.mjs"),
    bundle: true,
    format: "esm",
    logLevel: "error",
  });
  copyFileSync(box.file("node_modules/agentassert/dist/agentassert.wasm"), box.file("agentassert.wasm"));
  return runPageOf(box, "worker.html");
}

export default {
  title: "Chromium",
  ways: [
    { how: "a page with an import map", run: (box) => runPageOf(box, "page.html") },
    { how: "a module worker, by esbuild", run: inWorker },
  ],
};
