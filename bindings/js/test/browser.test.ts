// This package in a real browser: loaded as it arrives, with IndexedDB and Web
// Locks, and a page that is closed at the wrong moment.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { AgentAssert } from "agentassert";
import { build } from "esbuild";
import type { Browser, BrowserContext, Page as Tab } from "playwright-core";

import { Backend } from "./backend.js";
import type { Page } from "./browser-page.js";
import { findChromium, launchChromium } from "./chromium.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const chromium = findChromium();

declare const page: Page;

describe("in Chromium", { skip: chromium.reason ?? false }, () => {
  let browser: Browser;
  let context: BrowserContext;
  let server: Server;
  let origin: string;
  let backend: Backend;
  let script: Uint8Array;
  const module = readFileSync(here("../dist/agentassert.wasm"));
  let wasmType = "application/wasm";

  before(async () => {
    const bundle = await build({
      entryPoints: [here("browser-page.js")],
      bundle: true,
      format: "esm",
      platform: "browser",
      write: false,
      logLevel: "silent",
    });
    script = bundle.outputFiles[0]?.contents ?? new Uint8Array();
    server = createServer((request, response) => {
      answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    backend = new Backend(await AgentAssert.load(), Date.now, `${origin}/backend-api`);
    browser = await launchChromium(chromium.path ?? "");
    context = await browser.newContext();
  });
  after(async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    if (path === "/") {
      response.writeHead(200, {
        "Content-Type": "text/html",
        "Content-Security-Policy":
          "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' https://eu.chatgpt.com",
      });
      response.end('<!doctype html><title>test</title><script type="module" src="page.js"></script>');
    } else if (path === "/page.js") {
      response.writeHead(200, { "Content-Type": "text/javascript" }).end(script);
    } else if (path === "/agentassert.wasm") {
      response.writeHead(200, { "Content-Type": wasmType }).end(module);
    } else {
      const chunks: Buffer[] = [];
      for await (const chunk of request) {
        chunks.push(chunk as Buffer);
      }
      const { method = "GET" } = request;
      const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [
        name,
        String(value),
      ]);
      const body = method === "GET" || method === "HEAD" ? null : Buffer.concat(chunks);
      const answered = await backend.fetch(origin + path, { method, headers, body });
      response.writeHead(answered.status, Object.fromEntries(answered.headers));
      response.end(Buffer.from(await answered.arrayBuffer()));
    }
  }

  async function openTab(): Promise<Tab> {
    const tab = await context.newPage();
    await tab.goto(origin);
    await tab.waitForFunction(() => "page" in globalThis);
    return tab;
  }

  /** The task that a background call in a tab carries, and why. */
  const ask = (tab: Tab, name: string) =>
    tab.evaluate(async (name) => {
      const manager = await page.open(name);
      const { mode, reason, taskId, cause } = await manager.authorization("models");
      await manager.close();
      return { mode, reason, taskId, cause: cause?.code };
    }, name);

  for (const type of ["application/wasm", "application/octet-stream"]) {
    test(`the core, from a server that says ${type}`, async () => {
      wasmType = type;
      const tab = await openTab();
      const envelope = await tab.evaluate(async () => {
        const core = await page.agentassert.AgentAssert.load();
        const { privateKey, publicKey } = core.generateKey();
        const now = 1_764_000_000;
        const header = core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "\ufefftask", now });
        return core.verify({ publicKey, header, now }).envelope;
      });
      assert.equal(envelope.taskId, "\ufefftask");
      await tab.close();
    });
  }

  test("a fresh instance takes over from one that trapped", async () => {
    const tab = await openTab();
    const codes = await tab.evaluate(async () => {
      const core = await page.agentassert.AgentAssert.load();
      // What writes the request into the guest.
      const broken = {
        configurable: true,
        value: () => {
          throw new RangeError("a trap");
        },
      };
      Object.defineProperty(Uint8Array.prototype, "set", broken);
      let code = "";
      try {
        core.exchange(new Uint8Array([0xa0]));
      } catch (error) {
        code = page.agentassert.codeOf(error);
      } finally {
        delete (Uint8Array.prototype as { set?: unknown }).set;
      }
      return [code, core.generateKey().publicKey.slice(0, 11)];
    });
    assert.deepEqual(codes, ["sandbox_failed", "ssh-ed25519"]);
    await tab.close();
  });

  test("there are no files", async () => {
    const tab = await openTab();
    const code = await tab.evaluate(() => {
      try {
        page.agentassert.fileStore("auth.json");
        return "";
      } catch (error) {
        return page.agentassert.codeOf(error);
      }
    });
    assert.equal(code, "invalid_manager_config");
    await tab.close();
  });

  test("one identity for all tabs, kept when they are gone", async () => {
    const before = backend.identities.length;
    const tabs = await Promise.all([openTab(), openTab(), openTab()]);
    const answers = await Promise.all(tabs.map((tab) => ask(tab, "shared")));
    assert.deepEqual(new Set(answers.map(({ reason }) => reason)), new Set(["background-task"]));
    assert.equal(new Set(answers.map(({ taskId }) => taskId)).size, 1);
    await Promise.all(tabs.map((tab) => tab.close()));
    const tab = await openTab();
    assert.equal((await ask(tab, "shared")).taskId, answers[0]?.taskId);
    assert.equal(backend.identities.length, before + 1);
    await tab.close();
  });

  test("calls are authorized, and a rejected task replaced", async () => {
    const tab = await openTab();
    const call = () =>
      tab.evaluate(async () => {
        const manager = await page.open("calls");
        const response = await manager.fetch(`${manager.baseUrl}/codex/models`);
        await manager.close();
        return (await response.json()) as { scheme: string; task: string };
      });
    const first = await call();
    assert.equal(first.scheme, "agent-assertion");
    backend.revoked.add(first.task);
    const second = await call();
    assert.equal(second.scheme, "agent-assertion");
    assert.notEqual(second.task, first.task);
    await tab.close();
  });

  test("a redirect is not followed, for nobody says where to", async () => {
    const tab = await openTab();
    backend.intercept = (_, path) =>
      path === "/codex/models"
        ? new Response("", { status: 302, headers: { Location: "/elsewhere" } })
        : undefined;
    const code = await tab.evaluate(async () => {
      const manager = await page.open("redirect");
      return manager.fetch(`${manager.baseUrl}/codex/models`).then(
        () => "",
        (error: unknown) => page.agentassert.codeOf(error),
      );
    });
    backend.intercept = undefined;
    assert.equal(code, "redirect_refused");
    await tab.close();
  });

  test("calls go to the workspace's origin, and follow no redirect from there", async () => {
    const tab = await openTab();
    const seen: string[] = [];
    const elsewhere = "https://eu.chatgpt.com";
    await tab.route(`${elsewhere}/**`, (route) => {
      const request = route.request();
      seen.push(`${request.method()} ${request.url()} ${request.postData() ?? ""}`);
      return route.fulfill({
        status: request.url().endsWith("?redirect") ? 302 : 200,
        headers: { "Access-Control-Allow-Origin": "*", Location: `${elsewhere}/redirected` },
      });
    });
    backend.accounts = [
      { id: "acct-1", workspace_backend_origin: elsewhere, account_routing_override: "us" },
    ];
    const outcomes = await tab.evaluate(async () => {
      const manager = await page.open("routed", { workspaceRouting: true });
      const url = `${manager.baseUrl}/codex/responses`;
      const outcome = (input: string | Request, init: RequestInit) =>
        manager.fetch(input, init, { thread: manager.thread("a") }).then(
          ({ status }) => String(status),
          (error: unknown) =>
            error instanceof page.agentassert.AgentAssertError ? error.code : String(error),
        );
      const init = { method: "POST", body: "text" };
      return [
        await outcome(`${url}?a=b`, init),
        await outcome(new Request(url, init), {}),
        await outcome(`${url}?redirect`, init),
      ];
    });
    assert.deepEqual(outcomes, ["200", "200", "redirected"]);
    const at = `${elsewhere}/backend-api/codex/responses`;
    assert.deepEqual(seen, [`POST ${at}?a=b text`, `POST ${at} text`, `POST ${at}?redirect text`]);
    await tab.close();
  });

  test("a tab that is closed in mid-registration leaves no trace", async () => {
    const doomed = await openTab();
    const registering = new Promise<void>((resolve) => {
      backend.intercept = (_, path) => {
        if (path !== "/v1/agent/register") {
          return undefined;
        }
        resolve();
        return new Promise<never>(() => undefined);
      };
    });
    await doomed.evaluate(() => {
      void page.open("doomed").then((manager) => manager.authorization("models"));
    });
    await registering;
    const waiting = await openTab();
    const answer = ask(waiting, "doomed"); // which waits for the lock
    await doomed.close();
    backend.intercept = undefined;
    const { reason } = await answer;
    assert.equal(reason, "background-task");
    await waiting.close();
  });

  test("a swap replaces what it is expected to, and nothing else", async () => {
    const tab = await openTab();
    const outcome = await tab.evaluate(async () => {
      const { AgentAssert, codeOf, indexedDBStore } = page.agentassert;
      const context = { core: await AgentAssert.load(), signal: new AbortController().signal };
      const store = indexedDBStore("swaps");
      const [a, b] = [Uint8Array.of(1), Uint8Array.of(2)];
      const swap = (expected?: Uint8Array, record?: Uint8Array) =>
        store.swap("identity", expected, record, context).then(
          () => "",
          (error: unknown) => codeOf(error),
        );
      const codes = [await swap(b, a), await swap(undefined, a), await swap(undefined, b), await swap(a, b)];
      const stored = await store.load("identity", context);
      codes.push(await swap(b, undefined));
      return [...codes, stored?.[0], (await store.load("identity", context)) === undefined];
    });
    assert.deepEqual(outcome, ["record_changed", "", "record_changed", "", "", 2, true]);
    await tab.close();
  });

  test("a database that is somebody else's", async () => {
    const tab = await openTab();
    const answer = await tab.evaluate(async () => {
      await new Promise((resolve) => {
        const request = indexedDB.open("taken", 7);
        request.onsuccess = () => {
          request.result.close();
          resolve(undefined);
        };
      });
      const manager = await page.open("taken");
      const { mode, cause } = await manager.authorization("models");
      return [mode, cause?.code, cause?.cause instanceof page.agentassert.AgentAssertError];
    });
    assert.deepEqual(answer, ["bearer", "store_failed", true]);
    await tab.close();
  });

  test("a page whose policy forbids WebAssembly", async () => {
    const tab = await context.newPage();
    await tab.route(origin, (route) =>
      route.fulfill({
        contentType: "text/html",
        headers: { "Content-Security-Policy": "script-src 'self'" },
        body: '<!doctype html><title>test</title><script type="module" src="page.js"></script>',
      }),
    );
    await tab.goto(origin);
    await tab.waitForFunction(() => "page" in globalThis);
    const code = await tab.evaluate(() =>
      page.agentassert.AgentAssert.load().then(
        () => "",
        (error: unknown) => page.agentassert.codeOf(error),
      ),
    );
    assert.equal(code, "invalid_module");
    await tab.close();
  });
});
