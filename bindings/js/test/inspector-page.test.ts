// What the inspector's page does with what is pasted, in Chromium: tokens and keys, parts
// that light each other up, the gallery, the clock, reports and links; and what axe says.
import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import { after, afterEach, before, describe, test } from "node:test";

import type { Browser, BrowserContextOptions, Page } from "playwright-core";

import { findChromium, launchChromium } from "./chromium.js";
import { buildPage, listen, pageServer } from "./inspector.js";
import { vectors } from "./vectors.js";

const { path: chromium, reason } = findChromium();
const repository = new URL("../../../", import.meta.url);

function headerOf(id: string): string {
  const vector = [...vectors("envelopes"), ...vectors("instances")].find((other) => other.id === id);
  return (vector?.params as { header: string }).header;
}

const task = {
  header: headerOf("inspect-captured-background"),
  publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu",
  unix: 1_795_533_368,
};
const instance = {
  value: headerOf("instance-inspect-captured-only-2").replace("AgentAssertion ", ""),
  publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKGq5Fx7RNdBKa2VNJJbt8cx0f2Bnly96KeC/rWndKbo",
  unix: 1_795_725_523,
};

/** A token that nobody has signed, and that expired long ago. */
const token = [
  { alg: "RS256", typ: "JWT" },
  { exp: 1_700_000_000, "https://api.openai.com/auth": { chatgpt_account_id: "acct-1" } },
]
  .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
  .concat("c2lnbmF0dXJlLW9mLW5vYm9keQ")
  .join(".");

const authJSON = readFileSync(new URL("testvectors/captures/enabled.auth.json", repository), "utf8");
const { agent_identity: identity } = JSON.parse(authJSON) as {
  agent_identity: { agent_private_key: string; agent_runtime_id: string };
};

interface AxeResults {
  violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[];
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

describe("the inspector's page", { skip: reason ?? false, timeout: 600_000 }, () => {
  let server: Server;
  let url = "";
  let browser: Browser;
  let complaints: string[] = [];

  before(async () => {
    server = pageServer(await buildPage());
    ({ url } = await listen(server));
    browser = await launchChromium(chromium ?? "");
  });

  after(async () => {
    await browser.close();
    server.close();
    server.closeAllConnections();
  });

  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    assert.deepEqual(complaints.splice(0), []);
    complaints = [];
  });

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

  const text = async (page: Page, selector: string) =>
    ((await page.locator(selector).textContent()) ?? "").trim();

  /** Everything that the page shows or says, without what is in its fields. */
  const said = (page: Page) =>
    page.evaluate(() => {
      const labels = [...document.querySelectorAll("main *, header *")].flatMap((element) =>
        [...element.attributes].map(({ value }) => value),
      );
      return `${document.querySelector("main")?.textContent ?? ""} ${labels.join(" ")}`;
    });

  const masking = (page: Page) =>
    page
      .locator("#assertion")
      .evaluate((field) => getComputedStyle(field).getPropertyValue("-webkit-text-security"));

  async function inspectTask(page: Page, now = task.unix): Promise<void> {
    await page.fill("#public-key", task.publicKey);
    await page.fill("#now", String(now));
    await page.fill("#assertion", task.header);
  }

  test("a bearer token: that the agent fell back, why it may have, and that it is a secret", async () => {
    const page = await open();
    for (const pasted of [
      `Bearer ${token}`,
      `curl -H 'authorization: Bearer ${token}' https://chatgpt.com/backend-api/codex/models`,
      token,
    ]) {
      await page.fill("#assertion", pasted);
      assert.equal(await text(page, "#verdict-title"), "The user’s bearer token: the agent fell back");
      assert.match(
        await text(page, "#verdict-text"),
        /nothing damaged.*Whoever has it is the user.*expired/s,
      );
      assert.equal(await page.getAttribute("#verdict", "data-tone"), "odd");
      assert.ok(await page.locator("#inspect-answer").isHidden());
      assert.equal(await masking(page), "disc");
      const all = await said(page);
      assert.ok(!all.includes(token.slice(-20)) && !all.includes("eyJhbGci"), "the token is shown");
    }
    const listed = await page.locator(".reasons dt").allTextContents();
    assert.ok(listed.includes("feature-off") && listed.includes("registration-failed"));
    assert.ok((await text(page, "#other-answer")).includes("acct-1"));
    assert.match(await text(page, "#inspect-status"), /^The user’s bearer token/);
    await page.fill("#assertion", task.header);
    assert.ok(await page.locator("#other-answer").isHidden());
    assert.equal(await masking(page), "none");
    await page.fill("#assertion", "");
    assert.ok(await page.locator("#verdict").isHidden());
  });

  test("other secrets, each for what it is", async () => {
    const page = await open();
    for (const [pasted, title] of [
      ["Authorization: Bearer sk-proj-0123456789abcdef", "An API key: no assertion was sent"],
      ["X-OpenAI-Authorization: Ep8BCjUKCAAAAA", "A biscuit: it authorizes one registration"],
      [
        '{"auth_mode":"apikey","OPENAI_API_KEY":"sk-proj-0123456789abcdef"}',
        "An auth.json: signed in with an API key",
      ],
      ['{"tokens":null}', "An auth.json: nobody is signed in"],
      ['{"tokens":{"id_token":1},"tokens":2}', "An auth.json that no client reads"],
    ] as const) {
      await page.fill("#assertion", pasted);
      assert.equal(await text(page, "#verdict-title"), title);
      assert.equal(await masking(page), "disc");
      assert.ok(!(await said(page)).includes("0123456789"), title);
    }
  });

  test("an auth.json: who is signed in, and the agent's public key", async () => {
    const page = await open();
    await page.fill("#assertion", authJSON);
    assert.equal(await text(page, "#verdict-title"), "An auth.json: signed in with a ChatGPT account");
    const answer = await text(page, "#other-answer");
    assert.ok(answer.includes("acct-1") && answer.includes(identity.agent_runtime_id));
    const all = await said(page);
    assert.ok(!all.includes(identity.agent_private_key) && !all.includes("eyJhbGci"));
    await page.click("#use-public-key");
    assert.match(await page.inputValue("#public-key"), /^ssh-ed25519 [A-Za-z0-9+/]{68}$/);
    assert.equal(await page.inputValue("#assertion"), "");
  });

  test("keys move to where they belong", async () => {
    const page = await open();
    await page.fill("#assertion", `${task.publicKey} me@host`);
    await page.click("#move-public-key");
    assert.equal(await page.inputValue("#assertion"), "");
    assert.equal(await text(page, "#public-key-note"), "Left out: “me@host” after it.");
    await page.fill("#assertion", identity.agent_private_key);
    assert.equal(await text(page, "#verdict-title"), "A private key, and not an assertion");
    await page.click("#move-private-key");
    assert.equal(await page.inputValue("#assertion"), "");
    assert.match(await text(page, "#own-public-key"), /^ssh-ed25519 /);
    assert.equal(await page.evaluate(() => document.activeElement?.id), "private-key");
  });

  test("keys in the forms that others have, read and written", async () => {
    const page = await open();
    // What Node makes of the key in the capture, with OpenSSL.
    const der = Buffer.from(identity.agent_private_key, "base64");
    const seed = der.subarray(16, 48);
    const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
    const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
    const publicHalf = createPublicKey(key);
    await page.click("#tab-keys");
    await page.fill("#private-key", identity.agent_private_key);
    const publicKey = await text(page, "#own-public-key");
    assert.ok(await page.locator("#upgrade-card").isHidden());
    const jwk = key.export({ format: "jwk" });
    for (const form of [
      key.export({ format: "pem", type: "pkcs8" }).toString(),
      JSON.stringify(jwk),
      seed.toString("hex"),
      seed.toString("base64url"),
    ]) {
      await page.fill("#private-key", form);
      assert.equal(await text(page, "#own-public-key"), publicKey, form);
      assert.ok(await page.locator("#upgrade-card").isVisible());
    }
    await page.click("#upgrade");
    assert.equal(await page.inputValue("#private-key"), identity.agent_private_key);

    const pem = publicHalf.export({ format: "pem", type: "spki" }).toString();
    const spki = publicHalf.export({ format: "der", type: "spki" });
    const read = (half: string) =>
      page.selectOption("#export-form", half).then(() => page.inputValue("#exported"));
    assert.equal((await read("public pem")).trim(), pem.trim());
    assert.deepEqual(JSON.parse(await read("public jwk")), publicHalf.export({ format: "jwk" }));
    assert.equal(await read("public spki"), spki.toString("base64"));
    assert.equal(await read("public raw"), spki.subarray(-32).toString("hex"));
    const isMasked = () => page.locator("#exported").evaluate((box) => box.classList.contains("masked"));
    assert.equal(await isMasked(), false);
    assert.deepEqual(JSON.parse(await read("private jwk")), jwk);
    assert.equal(await isMasked(), true);
    await page.click("#exported-reveal");
    assert.equal(await isMasked(), false);
    assert.equal(await read("private raw"), seed.toString("hex"));
    assert.equal(await isMasked(), true, "another form is masked again");
    assert.equal(await read("private pkcs8-v1"), pkcs8.toString("base64"));
    await page.click("#keys-clear");
    assert.equal(await page.inputValue("#exported"), "");

    // The public half, where signatures are checked.
    await page.click("#tab-inspect");
    await inspectTask(page);
    const [, base64 = ""] = task.publicKey.split(" ");
    const raw = Buffer.from(base64, "base64").subarray(-32);
    const taskKey = createPublicKey({
      key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") },
      format: "jwk",
    });
    for (const form of [
      taskKey.export({ format: "pem", type: "spki" }).toString(),
      JSON.stringify(taskKey.export({ format: "jwk" })),
      raw.toString("hex"),
      raw.toString("base64"),
      base64,
    ]) {
      await page.fill("#public-key", form);
      assert.equal(await text(page, "#verdict-title"), "Accepted", form);
      assert.equal(
        await text(page, "#public-key-note"),
        `In the form that goes over the wire: ${task.publicKey}`,
      );
    }
    await page.fill("#public-key", identity.agent_private_key);
    assert.equal(await text(page, "#verdict-title"), "Signature not checked");
    assert.match(await text(page, "#public-key-error"), /private key/);
    assert.ok(await page.locator("#public-key.masked").isVisible());
  });

  test("what stands beside an assertion is remarked upon, and no token is repeated", async () => {
    const page = await open();
    await page.fill("#public-key", instance.publicKey);
    await page.fill("#now", String(instance.unix));
    await page.fill(
      "#assertion",
      `curl -H 'Authorization: Bearer ${token}' -H 'X-OpenAI-Agent-Assertion: ${instance.value}' https://chatgpt.com`,
    );
    assert.equal(await text(page, "#verdict-title"), "Accepted");
    assert.match(await text(page, "#verdict-text"), /mode dual_header/);
    assert.match(await text(page, "#instance-mode"), /^Mode dual_header/);
    assert.match(await text(page, "#assertion-note"), /^Left out: “curl -H 'Authorization: Bearer…/);
    assert.ok(!(await said(page)).includes(token.slice(-20)));
    for (const [pasted, remark] of [
      [`X-OpenAI-Agent-Assertion: ${task.header}`, /belongs in Authorization/],
      [`X-OpenAI-Agent-Assertion: AgentAssertion ${instance.value}`, /stands without the scheme/],
      [`Authorization: ${instance.value}`, /the scheme stands before it/],
    ] as const) {
      await page.fill("#assertion", pasted);
      assert.match(await text(page, "#verdict-text"), remark);
    }
    assert.match(await text(page, "#instance-mode"), /^Mode dual_header/);
    await page.fill("#assertion", `AgentAssertion ${instance.value}`);
    assert.match(await text(page, "#instance-mode"), /^Mode assertion_only/);
  });

  test("parts light each other up: by pointer, by keyboard, and by a finger", async () => {
    const page = await open();
    await inspectTask(page);
    const lit = () =>
      page
        .locator("#inspect-answer .lit")
        .evaluateAll((all) => [...new Set(all.map((element) => element.closest("section")?.id))]);
    assert.deepEqual(await lit(), []);
    // From the fields to the bytes, and back.
    await page.hover("#claim-task_id");
    assert.deepEqual(await lit(), ["envelope-card", "bytes-card"]);
    const characters = (await page.locator("#bytes-header .run.lit").allTextContents()).join("");
    assert.equal(characters, task.header.slice(196, 221));
    assert.match(await text(page, "#bytes-detail"), /Characters 196 to 220 of the header/);
    assert.match(await text(page, "#bytes-detail"), /^task_id .*bytes 136 to 153 of the Envelope/);
    await page.locator("#bytes-header .run[data-parts^=timestamp]").hover();
    assert.ok(await page.locator("#claim-timestamp.lit").isVisible());
    assert.equal(await page.locator("#claim-task_id.lit").count(), 0);
    await page.hover("h1");
    assert.deepEqual(await lit(), []);
    // By keyboard: the buttons, and the arrow keys in the header.
    await page.focus("#bytes-parts .part:nth-child(2)");
    assert.ok(await page.locator("#claim-agent_runtime_id.lit").isVisible());
    await page.focus("#bytes-header .run[tabindex='0']");
    await page.keyboard.press("End");
    assert.ok(await page.locator("#claim-timestamp.lit").isVisible());
    await page.keyboard.press("Enter");
    await page.focus("h1 + p, #assertion");
    assert.ok(await page.locator("#claim-timestamp.lit").isVisible(), "chosen, it stays lit");
    assert.equal(await page.locator("#bytes-parts [aria-pressed=true]").textContent(), "timestamp");
    const underline = await page
      .locator("#claim-timestamp.lit")
      .evaluate((cell) => getComputedStyle(cell.previousElementSibling ?? cell).textDecorationLine);
    assert.equal(underline, "underline", "not by its colour alone");
    // The signature, in the envelope and decoded.
    await page.hover("#claim-signature");
    assert.equal(await page.locator("#bytes-sections div.run.lit").count(), 2);
    // The other form has three sections.
    await page.fill("#assertion", instance.value);
    assert.deepEqual(
      (await page.locator("#bytes-sections h4").allTextContents()).map((title) => title.replace(/ \d.*/, "")),
      ["JWS header", "Payload", "Signature"],
    );

    const phone = await open({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await inspectTask(phone);
    await phone.locator("#claim-task_id").tap();
    assert.equal(await phone.locator("#bytes-parts [aria-pressed=true]").textContent(), "task_id");
    await phone.locator("#claim-task_id").tap();
    assert.equal(await phone.locator("#bytes-parts [aria-pressed=true]").count(), 0);
  });

  test("the gallery: each exhibit is refused, or not canonical, and says why", async () => {
    const page = await open();
    await page.click("#tab-gallery");
    await page.locator("#gallery button").first().waitFor();
    const seen = await page.evaluate(async () => {
      const read = (id: string) => document.getElementById(id)?.textContent ?? "";
      const result: [string, string, number, string][] = [];
      for (const button of document.querySelectorAll<HTMLButtonElement>("#gallery button")) {
        document.getElementById("tab-gallery")?.click();
        button.click();
        while (document.getElementById("panel-inspect")?.hidden) {
          await new Promise((resolve) => setTimeout(resolve));
        }
        const tone = document.getElementById("verdict")?.dataset["tone"] ?? "";
        const findings = document.querySelectorAll("#form-findings li").length;
        const said = `${read("verdict-explanation")} ${read("verdict-text")}`;
        result.push([button.dataset["vector"] ?? "", tone, findings, said]);
      }
      return result;
    });
    assert.ok(seen.length > 50);
    await page.click("#tab-vectors");
    await page.locator("[role=option]").first().waitFor(); // which the gallery has not unpacked
    const errors = new Map(
      [...vectors("envelopes"), ...vectors("instances")].map(({ id, error }) => [id, error?.code]),
    );
    for (const [id, tone, findings, explanation] of seen) {
      const code = errors.get(id);
      assert.ok(findings > 0 || explanation.trim() !== "", id);
      if (code === undefined) {
        assert.match(explanation, /Not canonical: \S/, id);
      } else {
        assert.ok(explanation.startsWith(`${code}: `), `${id}: ${explanation}`);
        assert.equal(tone, code === "invalid_public_key" ? "odd" : "bad", id);
      }
    }
  });

  test("the clock is dragged along the axis, and moved with keys", async () => {
    const page = await open();
    await inspectTask(page, task.unix + 12);
    const slider = page.locator("#clock-slider");
    const values = () =>
      slider.evaluate((element) =>
        ["aria-valuemin", "aria-valuemax", "aria-valuenow", "aria-valuetext"].map((name) =>
          element.getAttribute(name),
        ),
      );
    assert.deepEqual(await values(), ["-600", "600", "12", "12 s after the timestamp: in time"]);
    await slider.focus();
    for (const [key, now] of [
      ["ArrowRight", 13],
      ["ArrowDown", 12],
      ["PageUp", 42],
      ["PageDown", 12],
      ["Home", -600],
      ["ArrowLeft", -600],
      ["End", 600],
    ] as const) {
      await page.keyboard.press(key);
      assert.equal((await values())[2], String(now), key);
    }
    assert.equal(await text(page, "#verdict-title"), "Refused: too old");
    assert.equal((await values())[3], "10 min after the timestamp: too late");
    assert.equal(await page.inputValue("#now"), "2026-11-24T15:26:08Z");
    const box = await page.locator("#timeline").boundingBox();
    assert.ok(box);
    await slider.scrollIntoViewIfNeeded();
    const { x, y, width } = (await page.locator("#timeline").boundingBox()) ?? box;
    await page.mouse.move(x + width, y + 20);
    await page.mouse.down();
    await page.mouse.move(x + width / 2, y + 60, { steps: 4 });
    assert.equal(await text(page, "#verdict-title"), "Accepted");
    await page.mouse.move(x + width / 8, y + 20, { steps: 4 });
    assert.equal(await text(page, "#verdict-title"), "Refused: from the future");
    await page.mouse.move(x - 500, y + 20);
    await page.mouse.up();
    assert.equal((await values())[2], "-600");
    await page.mouse.move(x + width / 2, y + 20);
    assert.equal((await values())[2], "-600", "let go, it stays");
    // The band is as wide as the skew.
    await page.fill("#skew", "0");
    assert.deepEqual((await values()).slice(0, 2), ["-10", "10"]);
    await page.fill("#now", "1");
    assert.match(await text(page, "#time-age"), /in the future$/);
    assert.equal((await values())[2], "-10");
    await page.click("#clock-live");
    assert.equal(await page.inputValue("#now"), "");
    assert.match(await text(page, "#now-hint"), /live$/);
  });

  test("a bug report has no header, and is made when asked for", async () => {
    const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
    await inspectTask(page, task.unix + 432);
    assert.ok(await page.locator("#report").isHidden());
    await page.click("#report-make");
    await page.locator("#report-make", { hasText: "Copied" }).waitFor();
    const report = await page.inputValue("#report-text");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), report);
    assert.match(report, /^## Refused: too old\n/);
    for (const part of ["timestamp_skew", "agent-rt-2", "Module, SHA-256: `", "agentassert: `0.", "ABI: `"]) {
      assert.ok(report.includes(part), part);
    }
    assert.ok(!report.includes(task.header.slice(20, 60)));
    await page.fill("#assertion", `${task.header}x`);
    assert.ok(await page.locator("#report").isHidden(), "it is of another assertion");
  });

  test("a link is text, made when asked for; who opens it sees the same", async () => {
    const page = await open();
    await inspectTask(page, task.unix + 12);
    await page.fill("#skew", "60");
    assert.equal(await page.inputValue("#link-text"), "");
    await page.click("#link-make");
    const link = await page.inputValue("#link-text");
    assert.ok(link.startsWith(`${url}#inspect=`));
    assert.equal(page.url(), url, "the address is as it was");
    assert.match(
      await text(page, "#link-says"),
      /the assertion, whole.*public key.*until 2026-11-24T15:17:08Z/s,
    );

    const other = await open({}, link);
    assert.equal(await text(other, "#verdict-title"), "Accepted");
    assert.equal(await other.inputValue("#assertion"), task.header);
    assert.equal(await other.inputValue("#skew"), "60");
    const bad = Buffer.from(JSON.stringify({ header: `Bearer ${token}` })).toString("base64url");
    await other.goto(`${url}#inspect=${bad}`);
    await other.locator("#link-refused", { hasText: "The link was not used" }).waitFor();
    assert.equal(await other.inputValue("#assertion"), task.header);

    await page.fill("#assertion", `AgentAssertion ${token}`);
    await page.click("#link-make");
    assert.match(await text(page, "#link-problem"), /^No link: there is a token/);
    assert.ok(await page.locator("#link").isHidden());
    assert.equal(await page.inputValue("#link-text"), "");
  });

  test("programs in each language", async () => {
    const page = await open();
    await inspectTask(page);
    for (const [language, part] of [
      ["Go", "core.VerifyAssertion("],
      ["JavaScript", "core.verify({"],
      ["Python", "core.verify("],
      ["C", "agentassert_verify(core"],
      ["Command line", "agentassert verify --public-key 'ssh-ed25519 "],
    ] as const) {
      await page.selectOption("#program-language", language);
      const program = await text(page, "#program-text");
      assert.ok(program.includes(part) && program.includes(task.header), program);
    }
    await page.fill("#assertion", `${task.header}é`);
    assert.ok(await page.locator("#programs-card").isHidden());
  });

  test("makes what each profile has", async () => {
    const page = await open();
    await page.click("#tab-keys");
    for (const profile of ["auth-api", "instances", "biscuit"]) {
      await page.selectOption("#key-profile", profile);
      await page.click("#generate");
      assert.equal((await page.inputValue("#private-key")).length, 112);
    }
    await page.click("#key-to-make");
    await page.selectOption("#make-of", "instance-only");
    await page.fill("#instance-name", "rai-1");
    await page.click("[type=submit]");
    assert.match(await text(page, "#made-header"), /^AgentAssertion 1\.eyJ/);
    assert.equal(await text(page, "#make-title"), "Authorization");
    await page.click("#inspect-it");
    assert.equal(await text(page, "#verdict-title"), "Accepted");
    assert.match(await text(page, "#instance-mode"), /^Mode assertion_only/);
  });

  test("on a phone the verdict is what one sees after pasting, and a finger hits what it should", async () => {
    const page = await open({
      viewport: { width: 360, height: 740 },
      isMobile: true,
      hasTouch: true,
      permissions: ["clipboard-read", "clipboard-write"],
    });
    await page.evaluate((header) => navigator.clipboard.writeText(header), task.header);
    await page.focus("#assertion");
    await page.keyboard.press("Control+V");
    await page.locator("#verdict").waitFor();
    await page.waitForFunction(() => {
      const { top, bottom } = document.querySelector("#verdict")?.getBoundingClientRect() ?? {
        top: -1,
        bottom: 0,
      };
      return top >= 0 && bottom <= innerHeight;
    });
    const first = await page.evaluate(() => {
      const top = (id: string) => document.getElementById(id)?.getBoundingClientRect().top ?? NaN;
      return top("verdict") < top("assertion") && top("assertion") < top("envelope-card");
    });
    assert.ok(first);
    const small = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("button, select, input, textarea, [role=slider]")]
        .filter((element) => element.checkVisibility())
        .map(
          (element) =>
            ({ element, ...element.getBoundingClientRect().toJSON() }) as DOMRect & { element: Element },
        )
        .filter(({ width, height }) => width < 44 || height < 36)
        .map(({ element, width, height }) => `${element.id || element.textContent}: ${width} × ${height}`),
    );
    assert.deepEqual(small, []);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  });

  test("where colours are the reader's own, what is lit and where the clock is can be seen", async () => {
    const page = await open({ forcedColors: "active" });
    await inspectTask(page);
    await page.hover("#claim-task_id");
    const outline = await page
      .locator("#claim-task_id")
      .evaluate((cell) => getComputedStyle(cell).outlineStyle);
    assert.equal(outline, "solid");
    const [chosen, other] = await page
      .locator("[role=tab]")
      .evaluateAll((tabs) => tabs.map((tab) => getComputedStyle(tab).borderBottomColor));
    assert.notEqual(chosen, other, "which tab is chosen");
    const borders = await page.evaluate(() =>
      [".timeline-allowed", ".verdict"].map(
        (selector) => getComputedStyle(document.querySelector(selector) ?? document.body).borderTopStyle,
      ),
    );
    assert.deepEqual(borders, ["solid", "solid"]);
  });

  test("axe finds nothing, in light and dark", async () => {
    const page = await open();
    await page.evaluate(axe);
    const states: [name: string, show: () => Promise<unknown>][] = [
      ["empty", () => page.click("#inspect-clear")],
      ["bearer", () => page.fill("#assertion", `Bearer ${token}`)],
      ["auth.json", () => page.fill("#assertion", authJSON)],
      [
        "refused",
        () => page.fill("#assertion", `AgentAssertion ${Buffer.from('{"a": 1}').toString("base64url")}=`),
      ],
      [
        "accepted",
        async () => {
          await inspectTask(page);
          await page.click("#bytes-parts .part >> text=task_id");
          await page.click("#report-make");
          await page.click("#link-make");
        },
      ],
      ["instance", () => page.fill("#assertion", instance.value)],
      ["gallery", () => page.click("#tab-gallery")],
      [
        "keys",
        async () => {
          await page.click("#tab-keys");
          await page.click("#generate");
        },
      ],
      [
        "make",
        async () => {
          await page.click("#key-to-make");
          await page.fill("#runtime-id", "a:b");
          await page.click("[type=submit]");
        },
      ],
      [
        "vectors",
        async () => {
          await page.click("#tab-vectors");
          await page.locator("[role=option]").first().click();
          await page.click("#vector-run");
        },
      ],
    ];
    for (const [name, show] of states) {
      await show();
      for (const colorScheme of ["dark", "light"] as const) {
        await page.emulateMedia({ colorScheme });
        const { violations } = await page.evaluate(async () => {
          const { axe } = globalThis as unknown as { axe: { run: (options: object) => Promise<AxeResults> } };
          return axe.run({ resultTypes: ["violations"] });
        });
        const found = violations.map(
          ({ id, help, nodes }) =>
            `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ""}`).join("; ")}`,
        );
        assert.deepEqual(found, [], `${name}, ${colorScheme}`);
      }
    }
    complaints = complaints.filter((complaint) => !/axe/i.test(complaint));
  });
});
