import { createRequire } from "node:module";

import { build } from "esbuild";

async function run(box, form) {
  await build({
    entryPoints: [box.file("inside.mjs")],
    outfile: box.file("bundle.js"),
    bundle: true,
    format: "iife",
    conditions: ["worker"],
    logLevel: "error",
  });
  const { results } = await box.run(process.execPath, ["edge.mjs", form]);
  return { version: createRequire(box.file("edge.mjs"))("edge-runtime/package.json").version, results };
}

export default {
  title: "edge-runtime",
  ways: [
    { how: "bytes for `load`", run: (box) => run(box, "bytes") },
    { how: "a compiled module for `load`", run: (box) => run(box, "module") },
  ],
};
