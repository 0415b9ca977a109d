// Finds a Chromium for tests, and starts it. Nothing is downloaded.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

import { chromium, type Browser } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const others = [
  "/usr/bin/chromium",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Where Chromium is, or why the tests that need one are skipped. */
export type Found = { path: string; reason?: undefined } | { path?: undefined; reason: string };

/** Looks for Chromium: at AGENTASSERT_CHROMIUM if that is set, else where systems have it. */
export function findChromium(): Found {
  const named = process.env["AGENTASSERT_CHROMIUM"];
  if (named) {
    return isExecutable(named)
      ? { path: named }
      : { reason: `AGENTASSERT_CHROMIUM is ${named}, which cannot be run` };
  }
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = [...folders.flatMap((folder) => names.map((name) => join(folder, name))), ...others];
  const path = candidates.find(isExecutable);
  return path
    ? { path }
    : { reason: "there is no Chromium: install it, or set AGENTASSERT_CHROMIUM to its path" };
}

/** Starts Chromium, without what it does in the network by itself. */
export function launchChromium(path: string): Promise<Browser> {
  return chromium.launch({
    executablePath: path,
    chromiumSandbox: process.getuid?.() !== 0, // which refuses to run for root
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
