// The inspector, in Chromium: everything that it does, and that it can send nothing.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";

import type { Browser, BrowserContextOptions, Page } from "playwright-core";

import { findChromium, launchChromium } from "./chromium.js";
import { buildPage, listen, pageServer, type Page as Built } from "./inspector.js";
import { areas, vectors } from "./vectors.js";

const { path: chromium, reason } = findChromium();
const root = new URL("../", import.meta.url);
const wasm = readFileSync(new URL("../../wasm/agentassert.wasm", root));

/** That of the reference client's run, and its key's public half. */
const captured = {
  header: headerOf("inspect-captured-background"),
  publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu",
  signed: "agent-rt-2:task-4:2026-11-24T15:16:08Z",
  unix: 1_795_533_368,
};

/** The same of the client's runtime agent instance, without a bearer token. */
const instance = {
  header: headerOf("instance-inspect-captured-only-2"),
  publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKGq5Fx7RNdBKa2VNJJbt8cx0f2Bnly96KeC/rWndKbo",
  unix: 1_795_725_523,
};

function headerOf(id: string): string {
  const vector = [...vectors("envelopes"), ...vectors("instances")].find((other) => other.id === id);
  return (vector?.params as { header: string }).header;
}

/** Returns the header with this envelope. */
function header(envelope: string): string {
  return `AgentAssertion ${Buffer.from(envelope).toString("base64url")}`;
}

describe("the inspector", { skip: reason ?? false, timeout: 600_000 }, () => {
  let built: Built;
  const servers: Server[] = [];
  let url = "";
  let requests: string[] = [];
  let browser: Browser;
  /** What went wrong in the pages of a test. */
  let complaints: string[] = [];
  /** That several tests use, one after the other. */
  let shared: Page | undefined;

  before(async () => {
    built = await buildPage();
    ({ url, requests } = await serve(built));
    browser = await launchChromium(chromium ?? "");
  });

  after(async () => {
    await browser.close();
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  });

  afterEach(async () => {
    const others = browser.contexts().filter((context) => context !== shared?.context());
    await Promise.all(others.map((context) => context.close()));
    assert.deepEqual(complaints.splice(0), []);
  });

  function serve(page: Built): ReturnType<typeof listen> {
    const server = pageServer(page);
    servers.push(server);
    return listen(server);
  }

  /** Opens the page in a context of its own, and waits until it is ready. */
  async function open(options: BrowserContextOptions = {}, address = url): Promise<Page> {
    const context = await browser.newContext({ timezoneId: "UTC", ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(address);
    await page.locator("#module-state", { hasText: "ready" }).waitFor();
    return page;
  }

  const text = async (page: Page, selector: string) => (await page.locator(selector).textContent())?.trim();

  /** Opens the list of vectors, and waits for it. */
  async function openVectors(page: Page): Promise<void> {
    await page.click("#tab-vectors");
    await page.locator("[role=option]").first().waitFor();
  }

  test("is painted at once, soon ready, and says which module it has", async (t) => {
    const page = await open();
    const at = await page.evaluate(() => ({
      painted: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
      loaded: (performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming).loadEventEnd,
      ready: performance.getEntriesByName("ready")[0]?.startTime ?? NaN,
    }));
    t.diagnostic(
      `painted after ${at.painted.toFixed()} ms, ready ${(at.ready - at.loaded).toFixed()} ms after load (budget: 100)`,
    );
    assert.ok(at.ready - at.loaded < 2000, "far over the budget, however slow the machine");
    await page.locator("#module-hash", { hasNotText: "…" }).waitFor();
    assert.equal(await text(page, "#module-hash"), createHash("sha256").update(wasm).digest("hex"));
    assert.equal(await text(page, "#module-hash-by"), "");
    assert.equal(await text(page, "#module-size"), `${wasm.length.toLocaleString("en")} bytes`);
    assert.equal(await text(page, "#module-imports"), "0");
  });

  test("says that a hash is the build’s where the browser computes none", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.addInitScript(() => {
      Object.defineProperty(crypto, "subtle", { value: undefined });
    });
    await page.goto(url);
    await page.locator("#module-hash-by", { hasText: "(of the build)" }).waitFor();
    assert.equal(await text(page, "#module-hash"), createHash("sha256").update(wasm).digest("hex"));
  });

  test("says so when the module is damaged", async () => {
    const html = built.html.replace(/(id="module"[^>]*>)[^<]{1000}/, "$1");
    const { url: address } = await serve({ ...built, html });
    const page = await browser.newPage();
    await page.goto(address);
    await page.locator("#module-failure", { hasText: "invalid_module" }).waitFor();
    assert.equal(await text(page, "#module-state"), "failed");
    await page.click("#tab-keys");
    await page.click("#generate"); // does nothing, and breaks nothing
    assert.equal(await page.inputValue("#private-key"), "");
  });

  test("says so when something fails that never should", async () => {
    const page = await open();
    await page.evaluate(() => {
      crypto.getRandomValues = () => {
        throw new Error("no randomness");
      };
    });
    await page.click("#tab-keys");
    await page.click("#generate");
    await page.locator("#module-failure", { hasText: "internal: no randomness" }).waitFor();
    assert.deepEqual(complaints.splice(0), ["no randomness"]);
  });

  describe("inspects", () => {
    after(() => shared?.context().close());

    async function inspect(assertion: string, publicKey = "", now = String(captured.unix)): Promise<Page> {
      const page = (shared ??= await open());
      await page.click("#inspect-clear");
      await page.fill("#assertion", assertion);
      await page.fill("#public-key", publicKey);
      await page.fill("#now", now);
      return page;
    }

    test("what verifies", async () => {
      const page = await inspect(captured.header, captured.publicKey, "2026-11-24T15:16:20Z");
      assert.equal(await text(page, "#verdict-title"), "Accepted");
      assert.equal(
        await text(page, "#verdict-text"),
        "The signature verifies, and it is 12 s old: within the default 5 min.",
      );
      assert.equal(await text(page, "#claim-agent_runtime_id"), "agent-rt-2");
      assert.equal(await text(page, "#claim-task_id"), "task-4");
      assert.equal(await text(page, "#claim-timestamp"), "2026-11-24T15:16:08Z");
      assert.match((await text(page, "#claim-signature")) ?? "", /^NJhI8C5b.*==$/);
      assert.equal(await text(page, "#signed-text"), captured.signed);
      assert.match((await text(page, "#signed-note")) ?? "", /^Exactly these 38 bytes/);
      assert.match((await text(page, "#form-summary")) ?? "", /^Canonical/);
      assert.equal(await page.locator("#form-findings li").count(), 0);
      assert.ok(
        await page
          .locator("#form-envelope, #form-canonical, #form-difference, #form-repair")
          .evaluateAll((all) => all.every((element) => (element as HTMLElement).hidden)),
      );
      assert.equal(await text(page, "#time-age"), "12 s old");
      assert.equal(await text(page, "#time-until"), "2026-11-24T15:21:08Z, in 4 min 48 s");
      assert.equal(await text(page, "#time-unix"), "1795533368");
      assert.equal(await text(page, "#time-local"), "Tuesday, 24 November 2026 at 15:16:08 UTC");
      assert.match((await text(page, "#inspect-status")) ?? "", /^Accepted\. /);
    });

    test("what is too old, or from the future", async () => {
      const page = await inspect(captured.header, captured.publicKey, String(captured.unix + 432));
      assert.equal(await text(page, "#verdict-title"), "Refused: too old");
      assert.equal(
        await text(page, "#verdict-text"),
        "The signature verifies; a verifier needs a skew of at least 7 min 12 s now (default 5 min: refused).",
      );
      assert.match(
        (await text(page, "#verdict-explanation")) ?? "",
        /^timestamp_skew: the timestamp is too old/,
      );
      assert.equal(await text(page, "#time-until"), "2026-11-24T15:21:08Z, 2 min 12 s ago");
      await page.fill("#skew", "432");
      assert.equal(await text(page, "#verdict-title"), "Accepted");
      assert.equal(await text(page, "#skew-hint"), "7 min 12 s");
      await page.fill("#skew", "431");
      assert.match(
        (await text(page, "#verdict-text")) ?? "",
        /7 min 12 s now \(allowed 7 min 11 s: refused\)/,
      );
      await page.fill("#now", "2026-11-24T16:00:00+01:00");
      assert.equal(await text(page, "#verdict-title"), "Refused: from the future");
      assert.equal(await text(page, "#time-age"), "16 min 8 s in the future");
      assert.equal(await text(page, "#time-until-label"), "In time from");
    });

    test("what another key signed", async () => {
      const other = captured.publicKey.replace(/AAAAI.*/, "AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea");
      // Its clock is wrong, too, and that is not what it is told.
      const page = await inspect(captured.header, other, "0");
      assert.equal(await text(page, "#verdict-title"), "Refused: bad signature");
      const said = (await text(page, "#verdict-explanation")) ?? "";
      assert.match(said, /^bad_signature: the signature was not made by this key/);
      assert.match(said, /What to do\./);
    });

    test("without a key", async () => {
      const page = await inspect(captured.header);
      assert.equal(await text(page, "#verdict-title"), "Signature not checked");
      await page.fill("#now", String(captured.unix + 301));
      assert.equal(await text(page, "#verdict-title"), "Signature not checked, and not in time");
      assert.match(
        (await text(page, "#verdict-text")) ?? "",
        /A verifier needs a skew of at least 5 min 1 s now/,
      );
    });

    test("with what is no key, no clock, no skew", async () => {
      const page = await inspect(captured.header, "ssh-rsa AAAA");
      assert.match((await text(page, "#public-key-error")) ?? "", /RSA|Ed25519/);
      assert.match((await text(page, "#verdict-explanation")) ?? "", /^invalid_public_key/);
      assert.equal(await page.getAttribute("#public-key", "aria-invalid"), "true");
      await page.fill("#public-key", captured.publicKey + " me@host");
      assert.equal(await text(page, "#public-key-error"), "");
      assert.equal(await text(page, "#public-key-note"), "Left out: “me@host” after it.");
      assert.equal(await text(page, "#verdict-title"), "Accepted");
      for (const [field, value, problem] of [
        ["#now", "yesterday", /^Not a time: /],
        ["#now", "1795533368000", /milliseconds/],
        ["#skew", "5m", /^A number of seconds/],
      ] as const) {
        const before = await page.inputValue(field);
        await page.fill(field, value);
        assert.match((await text(page, `${field}-error`)) ?? "", problem);
        assert.equal(await text(page, "#verdict-title"), "Not checked");
        await page.fill(field, before);
        assert.equal(await text(page, `${field}-error`), "");
      }
      await page.fill("#skew", "-1");
      assert.match((await text(page, "#verdict-explanation")) ?? "", /^invalid_skew: /);
      await page.fill("#skew", "300");
      await page.fill("#now", "253402300800");
      assert.match((await text(page, "#verdict-explanation")) ?? "", /^invalid_time: /);
    });

    test("a line of curl, and says what was left out", async () => {
      const page = await inspect(`curl -H 'Authorization: ${captured.header}' https://x.example/`);
      assert.equal(
        await text(page, "#assertion-note"),
        "Left out: “curl -H 'Authorization:” before it, “' https://x.example/” after it.",
      );
      assert.equal(await text(page, "#claim-task_id"), "task-4");
      assert.match((await text(page, "#form-summary")) ?? "", /^Canonical/);
    });

    test("what is not canonical, byte by byte", async () => {
      const signature =
        "NJhI8C5btqWXOghhCArXPXIoYzqpWkdoeP94PHRzMvs8vozhVrxDWSMYoHrkNxJhacb+S7KWsPBRELERDHLCAw==";
      const page = await inspect(
        header(
          `{"agent_runtime_id": "agent-rt-2","task_id":"task\\u002d4","signature":"${signature}","timestamp":"2026-11-24T15:16:08Z"}`,
        ),
        captured.publicKey,
      );
      assert.equal(await text(page, "#verdict-title"), "Accepted");
      assert.match((await text(page, "#form-summary")) ?? "", /^Not canonical/);
      assert.deepEqual(
        (await page.locator("#form-findings li").allTextContents()).map((finding) => finding.slice(0, 22)),
        ["The members are in ano", "1 byte of white space ", "1 escape sequence that"],
      );
      assert.deepEqual(await page.locator("#form-sent mark").allTextContents(), [
        " ",
        '"task_id"',
        "\\u002d",
      ]);
      assert.equal(
        await text(page, "#form-difference-title"),
        "The first bytes that differ, from byte 20 on",
      );
      assert.match((await text(page, "#form-bytes-sent")) ?? "", /^20 22 61/);
      assert.match((await text(page, "#form-bytes-core")) ?? "", /^22 61 67/);
      await page.click("#repair");
      assert.equal(await page.inputValue("#assertion"), captured.header);
      assert.match((await text(page, "#form-summary")) ?? "", /^Canonical/);
    });

    test("the assertion of a runtime agent instance, in each of its headers", async () => {
      const value = instance.header.replace("AgentAssertion ", "");
      for (const pasted of [
        value,
        instance.header,
        `X-OpenAI-Agent-Assertion: ${value}`,
        `Authorization: AgentAssertion ${value}`,
      ]) {
        const page = await inspect(pasted, instance.publicKey, String(instance.unix + 12));
        assert.equal(await text(page, "#verdict-title"), "Accepted");
        assert.match((await text(page, "#verdict-text")) ?? "", /it is 12 s old: .* It is for one request, /);
        assert.ok(await page.locator("#instance-card").isVisible());
        assert.ok(await page.locator("#envelope-card").isHidden());
        assert.equal(
          await text(page, "#instance-header"),
          '{"alg":"EdDSA","typ":"openai-agent-assertion+jws"}',
        );
        assert.equal(await text(page, "#instance-version"), "1");
        assert.equal(await text(page, "#instance-runtime_agent_instance"), "rai-1");
        assert.equal(await text(page, "#instance-iat"), "17957255232026-11-26T20:38:43Z");
        assert.match((await text(page, "#instance-id")) ?? "", /^[0-9a-f-]{36}$/);
        assert.match((await text(page, "#instance-signature")) ?? "", /^[\w-]{86}$/);
        assert.equal(await text(page, "#time-unix"), String(instance.unix));
        assert.equal(await text(page, "#signed-text"), value.slice(2, value.lastIndexOf(".")));
        assert.match((await text(page, "#form-summary")) ?? "", /^Canonical/);
      }
      const page = await inspect(value, instance.publicKey, String(instance.unix + 432));
      assert.equal(await text(page, "#verdict-title"), "Refused: too old");
      await page.fill("#now", String(instance.unix));
      await page.fill("#public-key", captured.publicKey);
      assert.equal(await text(page, "#verdict-title"), "Refused: bad signature");
      assert.match((await text(page, "#inspect-status")) ?? "", /what the payload says/);
      await page.fill("#assertion", captured.header);
      assert.ok(await page.locator("#instance-card").isHidden());
      assert.ok(await page.locator("#envelope-card").isVisible());
    });

    test("one that is not canonical, and what it should have been", async () => {
      const [, head = "", payload = "", signature = ""] = instance.header.split(".");
      const spaced = Buffer.from(payload, "base64url").toString().replace(":1,", ": 1,");
      const sent = `agentassertion 1.${head}.${Buffer.from(spaced).toString("base64url")}.${signature}`;
      const page = await inspect(sent, "", String(instance.unix));
      assert.equal(await text(page, "#verdict-title"), "Signature not checked");
      assert.match((await text(page, "#form-summary")) ?? "", /^Not canonical/);
      assert.equal(await text(page, "#form-sent-title"), "The payload as sent");
      assert.deepEqual(await page.locator("#form-sent mark").allTextContents(), [" "]);
      await page.click("#repair");
      assert.equal(await page.inputValue("#assertion"), instance.header);
      await page.fill("#assertion", `1.${head}.${payload}`);
      assert.equal(await text(page, "#verdict-title"), "Refused: not an assertion");
      assert.match((await text(page, "#form-findings li.fatal")) ?? "", /Here are 2\.$/);
      assert.equal(await text(page, "#instance-signature"), "not readable");
      assert.ok(await page.locator("#instance-partial").isVisible());
    });

    test("what is no assertion, as far as it goes", async () => {
      const damaged = `${captured.header.slice(0, 80)}\n${captured.header.slice(80)}==`;
      const page = await inspect(damaged, captured.publicKey);
      assert.equal(await text(page, "#verdict-title"), "Refused: not an assertion");
      assert.match(
        (await text(page, "#verdict-explanation")) ?? "",
        /^invalid_assertion: the assertion is not base64url/,
      );
      assert.deepEqual(
        (await page.locator("#form-findings li.fatal").allTextContents()).map((finding) =>
          finding.slice(0, 24),
        ),
        ["1 character of white spa", "It is padded: 2 × “=” at"],
      );
      assert.ok(await page.locator("#envelope-partial").isVisible());
      assert.equal(await text(page, "#claim-task_id"), "task-4");
      await page.click("#repair");
      assert.equal(await text(page, "#verdict-title"), "Accepted");
      for (const other of ["x", "AgentAssertion", header("[]"), header('{"task_id":"t')]) {
        await page.fill("#assertion", other);
        assert.equal(await text(page, "#verdict-title"), "Refused: not an assertion");
        assert.ok((await page.locator("#form-findings li.fatal").count()) > 0, other);
      }
    });

    test("characters that cannot be seen", async () => {
      const id = "t\u202e\u200bsk ";
      const page = await inspect(
        header(`{"agent_runtime_id":"а","signature":"x","task_id":"${id}","timestamp":"2026"}`),
      );
      const labels = await page
        .locator("#claim-task_id .chip")
        .evaluateAll((all) =>
          all.map((chip) => [chip.getAttribute("data-label"), chip.getAttribute("title")]),
        );
      assert.deepEqual(labels, [
        ["U+202E", "U+202E right-to-left override"],
        ["U+200B", "U+200B zero width space"],
        ["␣", "U+0020 space"],
      ]);
      assert.equal(await page.locator("#claim-task_id .mono").textContent(), id); // as it is copied
      assert.equal(await text(page, "#claim-agent_runtime_id .value-note"), "Not only ASCII: а U+0430.");
    });

    test("the age, second by second", async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      // Its clock goes by itself until it is paused, for as long as the machine takes to load it.
      await page.clock.install({ time: captured.unix * 1000 });
      await page.goto(url);
      await page.locator("#module-state", { hasText: "ready" }).waitFor();
      await page.clock.pauseAt((captured.unix + 298) * 1000 + 100);
      await page.fill("#assertion", captured.header);
      await page.fill("#public-key", captured.publicKey);
      const seen: (string | undefined)[] = [];
      for (let i = 0; i < 4; i++) {
        seen.push(await text(page, "#time-age"), await text(page, "#verdict-title"));
        await page.clock.runFor(1000);
      }
      const spoken = await text(page, "#inspect-status");
      await page.clock.runFor(1000);
      assert.deepEqual(seen, [
        ...["4 min 58 s old", "Accepted", "4 min 59 s old", "Accepted"],
        ...["5 min old", "Accepted", "5 min 1 s old", "Refused: too old"],
      ]);
      assert.equal(await text(page, "#inspect-status"), spoken); // not read aloud each second
      assert.equal(await text(page, "#now-hint"), "2026-11-24T15:21:11Z, live");
    });

    test("anything, of any size", async () => {
      const page = await inspect("");
      for (const [envelope, finding] of [
        [`{${'"":0,'.repeat(13_000)}`, "twice"],
        [`{${" \t".repeat(32_000)}}`, "missing"],
        ["[".repeat(65_000), "nested"],
        [`{"task_id":"${"\\u0061\u200b ".repeat(7000)}"}`, "longer than 87,398 bytes"],
        [`{"task_id":"${"\u200b ".repeat(16_000)}"}`, "task id is 64,000 bytes"],
        ["\u0000\u0001\uffff".repeat(13_000), "not JSON"],
      ] as const) {
        await page.fill("#assertion", header(envelope));
        assert.equal(await text(page, "#verdict-title"), "Refused: not an assertion");
        assert.ok((await text(page, "#form-findings"))?.includes(finding), finding);
        assert.ok((await page.locator("#inspect-answer *").count()) < 6000, finding);
      }
    });

    test("an example, and forgets it", async () => {
      const page = await inspect("");
      assert.ok(await page.locator("#inspect-empty").isVisible());
      await page.click("#example");
      assert.equal(await text(page, "#verdict-title"), "Accepted");
      await page.click("#inspect-clear");
      assert.ok(await page.locator("#inspect-empty").isVisible());
      assert.equal(await page.inputValue("#assertion"), "");
      assert.equal(await page.inputValue("#public-key"), "");
    });
  });

  test("makes a key, an assertion of it, and inspects that, by keyboard", async () => {
    const page = await open();
    const focus = () => page.evaluate(() => document.activeElement?.id);
    /** Presses Tab until an element has the focus. */
    const tabTo = async (id: string) => {
      for (let i = 0; (await focus()) !== id; i++) {
        assert.ok(i < 12, `Tab does not lead to ${id}`);
        await page.keyboard.press("Tab");
      }
    };
    await page.focus("#tab-inspect");
    await page.keyboard.press("ArrowRight");
    assert.equal(await focus(), "tab-keys");
    assert.ok(await page.locator("#panel-keys").isVisible());
    assert.ok(await page.locator("#panel-inspect").isHidden());
    await tabTo("generate");
    await page.keyboard.press("Space");
    const privateKey = await page.inputValue("#private-key");
    assert.match(privateKey, /^[A-Za-z0-9+/]{110}[A-Za-z0-9+/=]{2}$/);
    assert.match((await text(page, "#own-public-key")) ?? "", /^ssh-ed25519 /);
    assert.match((await text(page, "#keys-status")) ?? "", /is good/);
    await tabTo("key-to-make");
    await page.keyboard.press("Enter");
    assert.equal(await focus(), "runtime-id");
    assert.equal(await page.inputValue("#make-key"), privateKey);
    await page.keyboard.type("agent-7");
    await page.keyboard.press("Tab");
    await page.keyboard.type("task:7");
    await page.keyboard.press("Tab");
    await page.keyboard.type("2026-11-24T15:16:08Z");
    await page.keyboard.press("Enter");
    assert.match((await text(page, "#made-header")) ?? "", /^AgentAssertion [\w-]+$/);
    assert.equal(await text(page, "#made-text"), "agent-7:task:7:2026-11-24T15:16:08Z");
    await tabTo("inspect-it");
    await page.keyboard.press("Enter");
    assert.equal(await focus(), "assertion");
    assert.equal(await page.getAttribute("#tab-inspect", "aria-selected"), "true");
    assert.equal(await text(page, "#claim-task_id"), "task:7");
    await tabTo("now");
    await page.keyboard.type(String(captured.unix));
    assert.equal(await text(page, "#verdict-title"), "Accepted");
    // The tabs' other keys.
    await page.focus("#tab-inspect");
    for (const [key, tab] of [
      ["End", "tab-vectors"],
      ["ArrowRight", "tab-inspect"],
      ["ArrowLeft", "tab-vectors"],
      ["Home", "tab-inspect"],
    ] as const) {
      await page.keyboard.press(key);
      assert.equal(await focus(), tab);
    }
  });

  test("makes the assertion of a runtime agent instance, another one each time", async () => {
    const page = await open();
    await page.click("#tab-make");
    await page.selectOption("#make-of", "instance");
    assert.ok(await page.locator("#runtime-id").isHidden());
    await page.click("#tab-keys");
    await page.click("#generate");
    await page.click("#key-to-make");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "instance-name");
    await page.keyboard.press("Enter");
    assert.ok((await text(page, "#make-failure"))?.includes("invalid_agent_runtime_id"));
    assert.notEqual(await text(page, "#instance-name-error"), "");
    await page.fill("#instance-name", "instance-7");
    await page.click("[type=submit]");
    const first = (await text(page, "#made-header")) ?? "";
    assert.match(first, /^1(\.[\w-]+){3}$/);
    assert.equal(await text(page, "#make-title"), "X-OpenAI-Agent-Assertion");
    assert.equal(await text(page, "#made-text"), first.slice(2, first.lastIndexOf(".")));
    assert.match((await text(page, "#made-hint")) ?? "", /^It is for one request/);
    await page.click("[type=submit]");
    assert.notEqual(await text(page, "#made-header"), first);
    await page.click("#inspect-it");
    assert.equal(await text(page, "#verdict-title"), "Accepted");
    assert.equal(await text(page, "#instance-runtime_agent_instance"), "instance-7");
    await page.click("#tab-make");
    await page.selectOption("#make-of", "task");
    assert.ok(await page.locator("#instance-name").isHidden());
    assert.ok(await page.locator("#make-answer").isHidden());
  });

  test("reads private keys in each form, and shows them only when asked", async () => {
    const page = await open();
    await page.click("#tab-keys");
    const masking = () =>
      page
        .locator("#private-key")
        .evaluate((key) => getComputedStyle(key).getPropertyValue("-webkit-text-security"));
    const version1 = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
    await page.fill("#private-key", `-----BEGIN PRIVATE KEY-----\n${version1}\n-----END PRIVATE KEY-----\n`);
    assert.equal(
      await text(page, "#own-public-key"),
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
    );
    assert.equal(await masking(), "disc");
    await page.click("[data-reveal=private-key]");
    assert.equal(await masking(), "none");
    assert.equal(await page.getAttribute("[data-reveal=private-key]", "aria-pressed"), "true");
    await page.click("[data-reveal=private-key]");
    assert.equal(await masking(), "disc");
    await page.click("#upgrade");
    assert.equal((await page.inputValue("#private-key")).length, 112);
    assert.ok(await page.locator("#upgrade-card").isHidden());
    await page.click("#key-to-inspect");
    assert.match(await page.inputValue("#public-key"), /B1Ea$/);
    await page.click("#tab-keys");
    await page.fill("#private-key", version1.slice(1));
    assert.match(
      (await text(page, "#keys-failure")) ?? "",
      /invalid_private_key: the private key is neither PKCS#8 .* nor a seed/,
    );
    assert.match((await text(page, "#private-key-error")) ?? "", /neither PKCS#8/);
    await page.click("#keys-clear");
    assert.equal(await page.inputValue("#private-key"), "");
    assert.ok(await page.locator("#keys-empty").isVisible());
  });

  test("says why there is no assertion, at the field", async () => {
    const page = await open();
    await page.click("#tab-make");
    await page.click("#take-key");
    assert.match((await text(page, "#make-key-error")) ?? "", /no key pair yet/);
    await page.click("#tab-keys");
    await page.click("#generate");
    await page.click("#tab-make");
    await page.click("#take-key");
    const cases = [
      ["runtime-id", "", "invalid_agent_runtime_id"],
      ["runtime-id", "a:b", "invalid_agent_runtime_id"],
      ["task-id", "", "invalid_task_id"],
      ["make-time", "253402300800", "invalid_time"],
      ["make-key", "x", "invalid_private_key"],
    ] as const;
    for (const [id, value, code] of cases) {
      await page.fill("#runtime-id", "a");
      await page.fill("#task-id", "t");
      await page.fill("#make-time", "");
      await page.fill(`#${id}`, value);
      await page.click("[type=submit]");
      assert.ok((await text(page, "#make-failure"))?.includes(code), code);
      assert.notEqual(await text(page, `#${id}-error`), "");
      assert.equal(await page.evaluate(() => document.activeElement?.id), id);
    }
    await page.fill("#make-time", "soon");
    await page.click("[type=submit]");
    assert.match((await text(page, "#make-time-error")) ?? "", /^Not a time/);
  });

  test("copies, or selects where there is no clipboard", async () => {
    const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
    await page.click("#example");
    await page.click("[data-copy=signed-text]");
    await page.locator("[data-copy=signed-text]", { hasText: "Copied" }).waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^agent-1:task-1:\d{4}-.*Z$/);

    await page.evaluate(() => {
      Object.defineProperty(navigator, "clipboard", { value: undefined });
    });
    await page.click("#tab-keys");
    await page.click("#generate");
    await page.click("[data-copy=own-public-key]");
    await page.locator("[data-copy=own-public-key]", { hasText: "Selected" }).waitFor();
    const selected = await page.evaluate(() => getSelection()?.toString());
    assert.equal(selected, await text(page, "#own-public-key"));
    await page.click("[data-copy=private-key]");
    await page.locator("[data-copy=private-key]", { hasText: "Selected" }).waitFor();
    const range = await page
      .locator("#private-key")
      .evaluate((key: HTMLTextAreaElement) => [
        key.selectionStart,
        key.selectionEnd,
        key.classList.contains("masked"),
      ]);
    assert.deepEqual(range, [0, 112, false]);
  });

  describe("runs vectors", () => {
    const total = areas.reduce((sum, area) => sum + vectors(area).length, 0);

    /** Opens the list of all. */
    async function openAll(): Promise<Page> {
      const page = (shared ??= await open());
      await page.click("#tab-vectors");
      await page.selectOption("#area", "");
      await page.fill("#search", "");
      await page.locator("#vector-count", { hasText: `${total.toLocaleString("en")} vectors` }).waitFor();
      return page;
    }

    before(() => {
      shared = undefined;
    });
    after(() => shared?.context().close());

    test("one, found by keyboard", async () => {
      const page = await openAll();
      await page.focus("#search");
      await page.keyboard.type("envelopes captured inspect REAL");
      await page.locator("#vector-count", { hasText: "2 of" }).waitFor();
      await page.keyboard.press("ArrowDown");
      assert.equal(await page.evaluate(() => document.activeElement?.id), "vector-list");
      await page.keyboard.press("ArrowDown");
      assert.equal(
        await page.getAttribute("#vector-list", "aria-activedescendant"),
        "vector-inspect-captured-thread",
      );
      assert.equal(await text(page, "#vector-id"), "inspect-captured-thread");
      assert.equal(await text(page, "#vector-comment"), "the real client's, on a thread's call");
      assert.match(
        (await text(page, "#vector-body")) ?? "",
        /captures\/enabled\.jsonl, line 13.*assertion\.inspect/,
      );
      await page.keyboard.press("Enter");
      assert.equal(await text(page, "#vector-result h3"), "Passed");
      assert.match((await text(page, "#vector-body")) ?? "", /Result, as expected/);
      assert.equal(await page.locator("[role=option][aria-selected=true] .state.passed").count(), 1);
      await page.fill("#search", "no such vector");
      await page.locator("#vector-count", { hasText: "None of them matches." }).waitFor();
    });

    test("with an expected error, and what it means", async () => {
      const page = await openAll();
      await page.fill("#search", "envelopes verify-skew-300-clock-behind-refused");
      await page.locator("#vector-count", { hasText: "1 of" }).waitFor();
      await page.dblclick("[role=option]");
      assert.equal(await text(page, "#vector-result h3"), "Passed");
      assert.match(
        (await text(page, "#vector-body .expected")) ?? "",
        /^Error, as expectedtimestamp_skew: .*What to do/,
      );
    });

    test("the list grows as one walks down", async () => {
      const page = await openAll();
      await page.selectOption("#area", "envelopes");
      const size = vectors("envelopes").length;
      await page.locator("#vector-count", { hasText: `${size} vectors` }).waitFor();
      assert.ok((await page.locator("[role=option]").count()) < size);
      await page.focus("#vector-list");
      await page.keyboard.press("End");
      assert.equal(await page.locator("[role=option]").count(), size);
      assert.equal(
        await page.locator("[role=option][aria-selected=true]").getAttribute("aria-posinset"),
        String(size),
      );
      await page.keyboard.press("PageUp");
      await page.keyboard.press("ArrowUp");
      assert.equal(
        await page.locator("[role=option][aria-selected=true]").getAttribute("aria-posinset"),
        String(size - 9),
      );
      await page.keyboard.press("Home");
      assert.equal(await text(page, "#vector-id"), "inspect-captured-background");
    });

    test("a flow, step by step", async () => {
      const page = await openAll();
      await page.fill("#search", "captured-enabled");
      await page.locator("#vector-count", { hasText: "1 of" }).waitFor();
      await page.click("[role=option]");
      const steps = page.locator("#vector-body details");
      const length = vectors("flows").find(({ id }) => id === "captured-enabled")?.steps?.length ?? 0;
      assert.equal(await steps.count(), length);
      assert.match(
        (await steps.nth(0).locator("summary").textContent()) ?? "",
        /^1start: models→ load: identity$/,
      );
      for (let i = 0; i < length; i++) {
        assert.ok(await page.locator("#vector-step").isEnabled());
        await page.click("#vector-step");
        assert.equal(await page.locator("#vector-body details .state.passed").count(), i + 1);
        assert.equal(await steps.nth(i).getAttribute("open"), "");
        assert.match(
          (await steps.nth(i).textContent()) ?? "",
          /Event.*"now": 1795533368.*Effect, as expected/s,
        );
      }
      assert.ok(await page.locator("#vector-step").isDisabled());
      assert.equal(await text(page, "#vector-result h3"), `Passed, all ${length} steps`);
      await page.click("#vector-run"); // from the start
      assert.equal(await page.locator("#vector-body details .state.passed").count(), length);
    });

    test("all of them, while the page goes on answering", async (t) => {
      const page = await openAll();
      await page.evaluate(() => {
        const told = new Set<string>();
        const progress = document.getElementById("run-text");
        new MutationObserver(() => told.add(progress?.textContent ?? "")).observe(progress as Node, {
          childList: true,
        });
        Object.assign(globalThis, { told });
      });
      await page.click("#run-all");
      await page.locator("#run-result p").waitFor({ timeout: 60_000 });
      const result = (await text(page, "#run-result")) ?? "";
      t.diagnostic(result);
      assert.ok(result.startsWith(`✓ ${total.toLocaleString("en")} vectors passed, in `), result);
      const told = await page.evaluate(() => (globalThis as never as { told: Set<string> }).told.size);
      assert.ok(told > 5, `it told of its progress ${told} times`);
      assert.equal(
        await page.locator("[role=option] .state.passed").count(),
        await page.locator("[role=option]").count(),
      );
    });

    test("until they are stopped", async () => {
      const page = await open();
      await openVectors(page);
      await page.evaluate(() => {
        const bar = document.querySelector("progress");
        new MutationObserver(() => document.getElementById("run-stop")?.click()).observe(bar as Node, {
          attributes: true,
        });
      });
      await page.click("#run-all");
      await page.locator("#run-result", { hasText: "Stopped" }).waitFor();
      assert.ok(await page.locator("#run-all").isEnabled());
    });

    test("that fail, and says where", async () => {
      const file = (list: object[]) => JSON.stringify({ version: 1, area: "x", vectors: list });
      const empty = Object.fromEntries(areas.map((area) => [area, file([])]));
      const { html, policy } = await buildPage({
        vectors: {
          ...empty,
          surfaces: file([
            {
              id: "wrong",
              comment: "not what it is",
              source: "made up",
              method: "surface.match",
              params: { path: "/authenticate_app_v2" },
              ok: { surface: "bootstrap", scope: "thread" },
            },
          ]),
          flows: file(
            vectors("flows")
              .filter(({ id }) => id === "captured-gate-off")
              .map((vector) => ({ ...vector, steps: [{ ...vector.steps?.[0], effect: { type: "lock" } }] })),
          ),
        },
      });
      const { url: address } = await serve({ html, policy });
      const page = await open({}, address);
      await openVectors(page);
      await page.click("#run-all");
      await page.locator("#run-result p").waitFor();
      assert.match((await text(page, "#run-result")) ?? "", /^✕ 2 vectors of 2 failed\./);
      await page.click("#run-result button >> text=wrong: differs at ok.scope");
      assert.equal(await text(page, "#vector-result h3"), "Differs at ok.scope");
      assert.deepEqual(await page.locator("#vector-result pre").allTextContents(), [
        '"bearer-only"',
        '"thread"',
      ]);
      await page.click("#run-result button >> text=captured-gate-off");
      assert.match((await text(page, "#vector-result h3")) ?? "", /^Differs at steps\[0\]\.effect\./);
      assert.equal(await page.locator("#vector-body details[open] .state.failed").count(), 1);
    });
  });

  test("makes one request, for itself, whatever one does with it, and keeps nothing", async () => {
    const before = requests.length;
    const page = await open();
    const seen: string[] = [];
    page.on("request", (request) => seen.push(request.url()));
    await useAll(page);
    await page.click("#promise-link");
    assert.equal(new URL(page.url()).hash, "#how");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "how");
    const kept = await page.evaluate(async () => ({
      local: localStorage.length,
      session: sessionStorage.length,
      cookie: document.cookie,
      databases: (await indexedDB.databases()).length,
      caches: (await caches.keys()).length,
      history: history.length,
      resources: performance.getEntriesByType("resource").length,
    }));
    assert.deepEqual(kept, {
      local: 0,
      session: 0,
      cookie: "",
      databases: 0,
      caches: 0,
      history: kept.history,
      resources: 0,
    });
    assert.deepEqual(seen, []);
    assert.deepEqual(requests.slice(before), ["GET /"]);
  });

  test("can send nothing, not even to where it came from", async () => {
    const before = requests.length;
    const page = await open();
    // Which directive has to refuse what. Names are paths, so that a violation tells them.
    const directives: Record<string, string> = {
      fetch: "connect-src",
      "no-cors": "connect-src",
      xhr: "connect-src",
      beacon: "connect-src",
      websocket: "connect-src",
      events: "connect-src",
      img: "img-src",
      script: "script-src-elem",
      css: "style-src-elem",
      prefetch: "default-src",
      frame: "frame-src",
      object: "object-src",
      video: "media-src",
      font: "font-src",
      worker: "worker-src",
      "service-worker": "worker-src",
      module: "script-src-elem",
      form: "form-action",
      base: "base-uri",
      "inline-script": "script-src-elem",
      "inline-handler": "script-src-attr",
      "inline-style": "style-src-elem",
      eval: "script-src",
    };
    const attempts = page.evaluate(async (directives) => {
      const at = (path: string) => new URL(path, document.baseURI).href;
      const add = <K extends keyof HTMLElementTagNameMap>(tag: K, set: Partial<HTMLElementTagNameMap[K]>) =>
        document.body.appendChild(Object.assign(document.createElement(tag), set));
      const tries: Record<string, () => unknown> = {
        fetch: () => fetch(at("fetch")),
        "no-cors": () => fetch(at("no-cors"), { mode: "no-cors", method: "POST", body: "x" }),
        xhr: () => {
          const request = new XMLHttpRequest();
          request.open("GET", at("xhr"));
          request.send();
        },
        beacon: () => navigator.sendBeacon(at("beacon"), "x"),
        websocket: () => new WebSocket(at("websocket").replace("http", "ws")),
        events: () => new EventSource(at("events")),
        img: () => add("img", { src: at("img") }),
        script: () => add("script", { src: at("script") }),
        css: () => add("link", { rel: "stylesheet", href: at("css") }),
        prefetch: () => add("link", { rel: "prefetch", href: at("prefetch") }),
        frame: () => add("iframe", { src: at("frame") }),
        object: () => add("object", { data: at("object") }),
        video: () => add("video", { src: at("video") }),
        font: () => new FontFace("x", `url(${at("font")})`).load(),
        worker: () => new Worker(at("worker")),
        "service-worker": () => navigator.serviceWorker.register(at("service-worker")),
        module: () => import(at("module")) as Promise<unknown>,
        form: () => {
          const form = add("form", { action: at("form"), method: "post" });
          form.requestSubmit(form.appendChild(Object.assign(document.createElement("button"), {})));
        },
        base: () => add("base", { href: "http://127.0.0.1/base" }),
        "inline-script": () => add("script", { textContent: "globalThis.ran = true" }),
        "inline-handler": () => {
          document.body.setAttribute("onclick", "globalThis.ran = true");
        },
        "inline-style": () => add("style", { textContent: "body { color: red }" }),
        // From here, where the test's own code is allowed more, it would run.
        eval: () => setTimeout(() => (0, eval)("globalThis.ran = true") as unknown),
      };
      const refused = new Set<string>();
      await new Promise<void>((resolve) => {
        document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
          for (const [name, directive] of Object.entries(directives)) {
            const what = name.startsWith("inline") ? "inline" : name;
            if (effectiveDirective === directive && blockedURI.endsWith(what)) {
              refused.add(name);
            }
          }
          if (refused.size === Object.keys(directives).length) {
            resolve();
          }
        });
        // The page's own handler stops every form from being sent. This is about the policy.
        document.addEventListener(
          "submit",
          (event) => {
            event.stopPropagation();
          },
          { capture: true },
        );
        for (const attempt of Object.values(tries)) {
          try {
            Promise.resolve(attempt()).catch(() => undefined);
          } catch {
            // refused, and a violation will say by what
          }
        }
        setTimeout(resolve, 5000);
      });
      return { refused: [...refused].sort(), ran: "ran" in globalThis };
    }, directives);
    const { refused, ran } = await attempts;
    assert.deepEqual(refused, Object.keys(directives).sort());
    assert.equal(ran, false);
    assert.deepEqual(requests.slice(before), ["GET /"]);
    assert.ok(complaints.length > 0);
    complaints = []; // that was the point
  });

  test("works from a file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "inspector-"));
    try {
      const file = join(folder, "saved page.html");
      writeFileSync(file, built.html);
      const before = requests.length;
      const page = await open({ offline: true }, pathToFileURL(file).href);
      await page.click("#example");
      assert.equal(await text(page, "#verdict-title"), "Accepted");
      await openVectors(page);
      assert.match((await text(page, "#module-hash")) ?? "", /^[0-9a-f]{64}$/);
      assert.equal(requests.length, before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  // Every panel, with content.

  const panels: Record<string, (page: Page) => Promise<void>> = {
    "inspect-empty": async (page) => {
      await page.click("#tab-inspect");
      await page.click("#inspect-clear");
    },
    "inspect-accepted": async (page) => {
      await page.fill("#assertion", captured.header);
      await page.fill("#public-key", captured.publicKey);
      await page.fill("#now", String(captured.unix + 72));
    },
    "inspect-too-old": async (page) => {
      await page.fill("#now", String(captured.unix + 432));
    },
    "inspect-not-canonical": async (page) => {
      await page.fill(
        "#assertion",
        `curl -H 'Authorization: ${header('{"agent_runtime_id": "agent-rt-2", "task_id":"t\u200bask\\u002d4 ","signature":"NJhI8C5btqWXOghhCArXPXIoYzqpWkdoeP94PHRzMvs8vozhVrxDWSMYoHrkNxJhacb+S7KWsPBRELERDHLCAw==","timestamp":"2026-11-24T15:16:08Z"}')}' https://chatgpt.com/backend-api/models`,
      );
    },
    "inspect-instance": async (page) => {
      await page.fill("#assertion", instance.header);
      await page.fill("#public-key", instance.publicKey);
      await page.fill("#now", String(instance.unix));
    },
    "inspect-refused": async (page) => {
      await page.fill("#assertion", `${captured.header.slice(0, 90)}\n${captured.header.slice(90)}==`);
    },
    "inspect-longest": async (page) => {
      await page.fill("#assertion", headerOf("inspect-task-id-4096-bytes-of-quotes"));
      await page.fill("#public-key", "ssh-ed25519 AAAA");
      await page.fill("#now", "tomorrow, at about noon");
    },
    keys: async (page) => {
      await page.click("#tab-keys");
      await page.fill("#private-key", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g");
    },
    "keys-refused": async (page) => {
      await page.fill("#private-key", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v");
    },
    "make-instance": async (page) => {
      await page.click("#tab-make");
      await page.selectOption("#make-of", "instance");
      await page.fill("#make-key", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g");
      await page.fill("#instance-name", "instance-1");
      await page.click("[type=submit]");
    },
    "make-refused": async (page) => {
      await page.selectOption("#make-of", "task");
      await page.fill("#make-key", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g");
      await page.fill("#runtime-id", "agent:1");
      await page.fill("#task-id", "task-1");
      await page.fill("#make-time", "2026-11-24T15:16:08Z");
      await page.click("[type=submit]");
    },
    make: async (page) => {
      await page.fill("#runtime-id", "agent-1");
      await page.click("[type=submit]");
    },
    "vectors-empty": async (page) => {
      await openVectors(page);
    },
    "vectors-call": async (page) => {
      await page.fill("#search", "envelopes verify-skew-300-clock-behind-refused");
      await page.locator("#vector-count", { hasText: "1 of" }).waitFor();
      await page.dblclick("[role=option]");
    },
    "vectors-flow": async (page) => {
      await page.selectOption("#area", "surfaces");
      await page.click("#run-all");
      await page.locator("#run-result p").waitFor();
      await page.selectOption("#area", "flows");
      await page.fill("#search", "captured");
      await page
        .locator("#vector-count", { hasText: `of ${vectors("flows").length.toLocaleString("en")}` })
        .waitFor();
      await page.locator("[role=option]").first().click();
      await page.click("#vector-run");
      await page.locator("#vector-body summary").nth(6).click();
    },
  };

  /** Shows every panel, one after the other. */
  async function useAll(page: Page, look?: (name: string) => Promise<void>): Promise<void> {
    for (const [name, show] of Object.entries(panels)) {
      await show(page);
      await look?.(name);
    }
  }

  describe("in each panel", () => {
    before(() => {
      shared = undefined;
    });
    after(() => shared?.context().close());

    /** Looks at what is shown in both themes. */
    async function lookAt(page: Page, name: string, width: number): Promise<void> {
      for (const colorScheme of ["dark", "light"] as const) {
        await page.emulateMedia({ colorScheme });
        const found = await page.evaluate(looksWrong);
        assert.deepEqual(found, [], `${name}, ${colorScheme}, ${width} pixels wide`);
      }
    }

    test("on a desktop: contrast, names, headings, references", async () => {
      const page = (shared = await open());
      const session = await page.context().newCDPSession(page);
      await session.send("Accessibility.enable");
      await useAll(page, async (name) => {
        await lookAt(page, name, 1280);
        assert.deepEqual(await page.evaluate(structureProblems), [], name);
        const { nodes } = await session.send("Accessibility.getFullAXTree");
        const controls =
          /^(button|textbox|searchbox|combobox|listbox|option|tab|tablist|tabpanel|link|progressbar|DisclosureTriangle|image|img|heading)$/;
        const nameless = nodes.filter(
          (node) =>
            !node.ignored &&
            controls.test(String(node.role?.value)) &&
            !String(node.name?.value ?? "").trim(),
        );
        assert.deepEqual(nameless, [], `${name}: without an accessible name`);
      });
    });

    test("on a phone: contrast, and nothing that is wider than it", async () => {
      const page = await open({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
      await useAll(page, async (name) => {
        await page.setViewportSize({ width: 320, height: 740 });
        assert.deepEqual(await page.evaluate(looksWrong), [], `${name}, 320 pixels wide`);
        await page.setViewportSize({ width: 360, height: 740 });
        await lookAt(page, name, 360);
      });
    });

    test("has a tab order that is the order of what one sees, and a focus that one sees", async () => {
      const page = (shared ??= await open());
      await page.click("#tab-inspect");
      await page.fill("#assertion", captured.header);
      for (const tab of ["tab-inspect", "tab-keys", "tab-make", "tab-gallery", "tab-vectors"]) {
        await page.click(`#${tab}`);
        const expected = await page.evaluate(() => {
          const focusable = "a[href], button, input, textarea, select, summary, [tabindex='0']";
          // What scrolls can be reached, too, or its end could not be read.
          const scrolls = (element: HTMLElement) =>
            element.scrollHeight > element.clientHeight &&
            /auto|scroll/.test(getComputedStyle(element).overflowY) &&
            !element.querySelector(focusable);
          return [...document.querySelectorAll<HTMLElement>("body *")]
            .filter((element) => element.checkVisibility() && !element.matches(":disabled, [tabindex='-1']"))
            .filter((element) => element.matches(focusable) || scrolls(element))
            .map((element) => element.id || element.textContent.trim().slice(0, 30));
        });
        await page.evaluate(() => {
          (document.activeElement as HTMLElement).blur();
        });
        await page.mouse.click(1, 1); // where Tab begins: at the top
        const order: string[] = [];
        for (const _ of expected) {
          await page.keyboard.press("Tab");
          const { name, outline } = await page.evaluate(() => {
            const element = document.activeElement as HTMLElement;
            const { outlineStyle, outlineWidth } = getComputedStyle(element);
            return {
              name: element.id || element.textContent.trim().slice(0, 30),
              outline: `${outlineStyle} ${outlineWidth}`,
            };
          });
          order.push(name);
          assert.equal(outline, "solid 2px", name);
        }
        assert.deepEqual(order, expected, tab);
      }
    });

    test("moves nothing for those who want no motion", async () => {
      const page = (shared ??= await open());
      await page.emulateMedia({ reducedMotion: "reduce" });
      const moving = await page.evaluate(
        () =>
          [...document.querySelectorAll("*")].filter((element) => {
            const { transitionDuration, animationName } = getComputedStyle(element);
            return transitionDuration !== "0s" || animationName !== "none";
          }).length,
      );
      assert.equal(moving, 0);
    });
  });
});

/** Runs in the page. Lists what is wider than it, and text that has not the contrast of WCAG AA. */
function looksWrong(): string[] {
  const found: string[] = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) {
    for (const element of document.querySelectorAll("body *")) {
      if (element.getBoundingClientRect().right > width + 1) {
        found.push(`too wide: ${element.tagName} ${element.id} ${element.className}`);
      }
    }
    found.push(`the page scrolls sideways, by ${document.documentElement.scrollWidth - width} pixels`);
  }
  type Color = [number, number, number, number];
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const cache = new Map<string, Color>();
  const parse = (color: string): Color => {
    let known = cache.get(color);
    if (!known && canvas) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r = 0, g = 0, b = 0, a = 0] = canvas.getImageData(0, 0, 1, 1).data;
      known = [r, g, b, a / 255];
      cache.set(color, known);
    }
    return known ?? [0, 0, 0, 0];
  };
  const over = (top: Color, below: Color): Color => {
    const mix = (i: 0 | 1 | 2) => top[i] * top[3] + below[i] * (1 - top[3]);
    return [mix(0), mix(1), mix(2), 1];
  };
  const background = (element: Element | null): Color => {
    if (!element) {
      return [255, 255, 255, 1];
    }
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, background(element.parentElement));
  };
  const luminance = ([r, g, b]: Color) => {
    const [R = 0, G = 0, B = 0] = [r, g, b].map((c) =>
      c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const contrast = (a: Color, b: Color) => {
    const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const require = (element: Element, pseudo: string | undefined, least: number, property: string) => {
    const style = getComputedStyle(element, pseudo);
    const below =
      pseudo === "::after" ? over(parse(style.backgroundColor), background(element)) : background(element);
    const ratio = contrast(over(parse(style.getPropertyValue(property)), below), below);
    if (ratio < least) {
      found.push(
        `${ratio.toFixed(2)}: ${property} of ${element.tagName} ${element.id} ${element.className} ${pseudo ?? ""}`,
      );
    }
  };
  for (const element of document.querySelectorAll("body *")) {
    const isText = [...element.childNodes].some(
      (node) => node.nodeType === 3 && node.textContent?.trim() !== "",
    );
    if (!element.checkVisibility() || element.matches("script, option, :disabled, .visually-hidden")) {
      continue;
    }
    if (element.matches(".chip")) {
      require(element, "::after", 4.5, "color");
    } else if (isText || element.matches("textarea, input, select")) {
      require(element, undefined, 4.5, "color");
    }
    if (element.matches("textarea, input")) {
      require(element, "::placeholder", 4.5, "color");
    }
    if (element.matches("textarea, input, select, button:not([role=tab])")) {
      // What shows where a control is needs 3 to 1, against what is around it.
      const around = background(element.parentElement);
      const style = getComputedStyle(element);
      const best = Math.max(
        contrast(parse(style.borderTopColor), around),
        contrast(parse(style.backgroundColor), around),
      );
      if (best < 3) {
        found.push(`${best.toFixed(2)}: border of ${element.tagName} ${element.id}`);
      }
    }
  }
  return found;
}

/** Runs in the page. Lists headings that skip a level, ids that are there twice, and references to nothing. */
function structureProblems(): string[] {
  const found: string[] = [];
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    if (heading.checkVisibility()) {
      const own = Number(heading.tagName.slice(1));
      if (own > level + 1) {
        found.push(`h${own} after h${level}: ${heading.textContent}`);
      }
      level = own;
    }
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  found.push(...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `twice: ${id}`));
  for (const attribute of [
    "for",
    "aria-labelledby",
    "aria-describedby",
    "aria-controls",
    "aria-activedescendant",
  ]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of (element.getAttribute(attribute) ?? "").split(/\s+/)) {
        if (!document.getElementById(id)) {
          found.push(`${attribute} to nothing: ${id}`);
        }
      }
    }
  }
  return found;
}
