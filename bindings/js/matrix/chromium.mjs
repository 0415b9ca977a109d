// Runs the scenario in a page of Chromium.
import { findChromium, launchChromium } from "../dist-test/chromium.js";

import { Missing } from "./environment.mjs";

/** Opens a page, which leaves its results in globalThis.results. */
export async function runPage(url) {
  const { path, reason } = findChromium();
  if (!path) {
    throw new Missing(reason);
  }
  const browser = await launchChromium(path);
  try {
    const tab = await browser.newPage();
    const errors = [];
    tab.on("pageerror", (error) => errors.push(error.message));
    await tab.goto(url);
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

/** Opens a page in an environment's folder, which the backend serves, by its path there. */
export async function runPageOf(box, path) {
  box.backend.folders.set(box.name, box.folder);
  return runPage(`${box.backend.origin}/${box.name}/${path}`);
}
