import { copyFileSync } from "node:fs";

import { build } from "esbuild";

import { findChromium, launchChromium } from "../../../dist-test/chromium.js";
import { Missing } from "../../environment.mjs";

async function run(box, page) {
  const { path, reason } = findChromium();
  if (!path) {
    throw new Missing(reason);
  }
  box.backend.folders.set("chromium", box.folder);
  const browser = await launchChromium(path);
  try {
    const tab = await browser.newPage();
    const errors = [];
    tab.on("pageerror", (error) => errors.push(error.message));
    await tab.goto(`${box.backend.origin}/chromium/${page}`);
    await tab
      .waitForFunction(() => "results" in globalThis)
      .catch((error) => {
        throw new Error(`the page does not run: ${errors.join("; ")}`, { cause: error });
      });
    return { version: browser.version(), results: await tab.evaluate(() => globalThis.results) };
  } finally {
    await browser.close();
  }
}

async function inWorker(box) {
  await build({
    entryPoints: [box.file("worker.mjs")],
    outfile: box.file("bundle.mjs"),
    bundle: true,
    format: "esm",
    logLevel: "error",
  });
  copyFileSync(box.file("node_modules/agentassert/dist/agentassert.wasm"), box.file("agentassert.wasm"));
  return run(box, "worker.html");
}

export default {
  title: "Chromium",
  ways: [
    { how: "a page with an import map", run: (box) => run(box, "page.html") },
    { how: "a module worker, by esbuild", run: inWorker },
  ],
};
