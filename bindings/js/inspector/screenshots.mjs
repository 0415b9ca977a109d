// Takes pictures of the inspector, for people to look at: its main states, in light and dark,
// on a phone, a tablet and a desktop. They are left in build/screenshots.
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { findChromium, launchChromium } from "../dist-test/chromium.js";
import { buildPage } from "./build.mjs";
import { pageServer } from "./serve.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, "../build/screenshots");
const captured = (area, id) =>
  JSON.parse(readFileSync(join(here, `../../../testvectors/${area}.json`), "utf8")).vectors.find(
    (vector) => vector.id === id,
  ).params;
const task = captured("envelopes", "inspect-captured-background").header;
const instance = captured("instances", "instance-verify-captured-only-2");
const token = [{ alg: "RS256" }, { exp: 1_700_000_000, iss: "https://issuer.example" }]
  .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
  .concat("c2ln")
  .join(".");

/** Each begins where the one before it has ended. */
const states = {
  empty: () => undefined,
  accepted: async (page) => {
    await page.fill(
      "#public-key",
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu",
    );
    await page.fill("#now", "1795533440");
    await page.fill("#assertion", task);
    await page.click("#bytes-parts .part >> text=task_id");
    await page.click("#link-make");
  },
  "too-old": (page) => page.fill("#now", "1795533800"),
  refused: (page) =>
    page.fill(
      "#assertion",
      `curl -H 'Authorization: ${task.slice(0, 90)}\n${task.slice(90)}==' https://chatgpt.com`,
    ),
  instance: async (page) => {
    await page.fill("#public-key", instance.public_key);
    await page.fill("#now", String(instance.now));
    await page.fill("#assertion", instance.header);
  },
  bearer: (page) => page.fill("#assertion", `Authorization: Bearer ${token}`),
  gallery: (page) => page.click("#tab-gallery"),
  exhibit: async (page) => {
    await page.click("[data-vector=inspect-escaped-value]");
    await page.locator("#form-findings li").first().waitFor();
  },
  keys: async (page) => {
    await page.click("#tab-keys");
    await page.click("#generate");
  },
  make: async (page) => {
    await page.click("#key-to-make");
    await page.fill("#runtime-id", "agent-1");
    await page.fill("#task-id", "task-1");
    await page.click("[type=submit]");
  },
  vectors: async (page) => {
    await page.click("#tab-vectors");
    await page.locator("[role=option]").first().click();
    await page.click("#vector-run");
  },
};

const { path, reason } = findChromium();
if (!path) {
  console.error(`inspector: ${reason}`);
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
const server = pageServer(await buildPage());
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const browser = await launchChromium(path);
try {
  for (const [width, height] of [
    [360, 740],
    [768, 1024],
    [1440, 900],
  ]) {
    const isPhone = width < 500;
    const page = await browser.newPage({ viewport: { width, height }, isMobile: isPhone, hasTouch: isPhone });
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.locator("#module-state", { hasText: "ready" }).waitFor();
    for (const [name, show] of Object.entries(states)) {
      await show(page);
      await page.evaluate(() => globalThis.scrollTo(0, 0));
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
    }
    await page.close();
  }
  console.log(`inspector: pictures are in ${folder}`);
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}
