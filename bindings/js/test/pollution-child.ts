// Uses this package in a process in which somebody writes to Object.prototype: one name
// after the other, with hostile values, and each time from the beginning. It prints, by
// name and value, what became different, as JSON.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  AgentAssert,
  AgentAssertError,
  fileStore,
  Manager,
  memoryReplays,
  memoryStore,
  RefusalError,
  Verifier,
  type Credentials,
} from "agentassert";

import { decodeMessage, encodeMessage, exchange, indexedDBStore, own } from "../dist/internals.js";
import { hostile, initNames } from "./pollution.js";

const core = await AgentAssert.load();
const { privateKey, publicKey } = core.generateKey(new Uint8Array(32).fill(7));
const base = "https://chatgpt.com/backend-api";
const eu = "https://eu.chatgpt.com";
const credentials: Credentials = { kind: "chatgpt", accessToken: "token-1", accountId: "acct-1" };
const record = new TextEncoder().encode(
  JSON.stringify({
    workspace_id: "acct-1",
    agent_runtime_id: "agent-1",
    agent_private_key: privateKey,
    background_task_id: "task-1",
  }),
);
const now = () => 1_764_000_000_000;
/** What code of the hostile values was run. */
let ran: string[] = [];

/** A response that nothing on Object.prototype changes. */
function respond(status: number, body = "", headers: [string, string][] = []): Response {
  const init = { status, statusText: "", headers };
  return new Response(body, Object.assign(Object.create(null) as ResponseInit, init));
}

/** What is found in an object under the names of a RequestInit, there or by its prototype. */
function look(init: object): unknown {
  return initNames.map((name) => {
    const value = (init as Record<string, unknown>)[name];
    if (value instanceof Headers) {
      return [...value];
    }
    return value instanceof AbortSignal ? `signal ${String(value.aborted)}` : value;
  });
}

/** Uses everything that needs no files. Returns what was sent, and what came of it. */
async function use(): Promise<unknown[]> {
  const seen: unknown[] = [];
  const fetch = (input: string | Request, init: RequestInit = {}): Promise<Response> => {
    const url = typeof input === "string" ? input : input.url;
    seen.push([url, look(init)]);
    switch (url) {
      case `${base}/wham/tasks`:
        return Promise.resolve(respond(307, "", [["Location", `${base}/codex/models`]]));
      case `${base}/hazelnuts`:
        return Promise.resolve(respond(401, "{}"));
      case `${base}/authenticate_app_v2`:
        return Promise.resolve(respond(200, "{}", [["x-openai-authorization", "biscuit"]]));
    }
    if (url === `${base}/wham/accounts/check`) {
      const entry = { id: "acct-1", workspace_backend_origin: eu, account_routing_override: "us" };
      return Promise.resolve(respond(200, JSON.stringify(own({ accounts: [own(entry)] }))));
    }
    if (url === `${eu}/backend-api/codex/responses?redirect`) {
      return Promise.resolve(respond(307, "", [["Location", `${base}/codex/models`]]));
    }
    if (url === "https://auth.openai.com/agent/register") {
      return Promise.resolve(respond(200, '{"runtime_agent_instance_id":"instance-1"}'));
    }
    return url.includes("/task/register")
      ? Promise.resolve(respond(503, "{}"))
      : Promise.resolve(respond(200, "text"));
  };
  const getRandomValues = (array: Uint8Array) => array.fill(7);
  const options = { core, baseUrl: base, fetch, now, getRandomValues };
  const open = (gate: object) =>
    new Manager({ ...options, ...gate, store: memoryStore({ identity: record }), credentials });
  const manager = open({ agentIdentity: true });

  const say = ({ mode, reason, header, accountId, cause, notice }: Awaited<ReturnType<Manager["bearer"]>>) =>
    seen.push([mode, reason, header, accountId, cause?.code, notice?.code]);
  say(await manager.authorization("models"));
  say(await manager.authorization("models"));
  say(await manager.bearer());
  say(await open({}).authorization("models")); // without the gate
  const [a] = [await manager.authorization("models")];
  say(await manager.recover(a));
  const thread = manager.thread("thread-1");
  seen.push(await outcome(() => thread.authorization()));
  seen.push(await manager.appsMCPServer());
  await manager.forget("thread-1");

  for (const path of ["/codex/models", "/wham/tasks", "/hazelnuts"]) {
    const response = await manager.fetch(base + path, { method: "POST", body: "text" });
    seen.push([response.status, response.body === null]);
  }
  seen.push((await manager.fetch(`${base}/codex/models`)).status);
  seen.push((await manager.fetch("https://example.org/x")).status);
  seen.push(await outcome(() => manager.fetch(`${base}/codex/responses`)));
  seen.push(await outcome(() => manager.fetch("/relative")));
  const effect = { type: "http", method: "GET", url: "https://x.example", headers: [] } as const;
  const limits = { timeoutMs: 1000, sizeLimit: 100 };
  const never = new AbortController().signal;
  const sent = await exchange(fetch, Object.assign(Object.create(null), effect, limits) as never, never);
  seen.push([sent.event.type, Object.hasOwn(sent, "error"), sent.error?.code]);
  const failing = () => Promise.reject(new Error("fetch failed"));
  const failed = await exchange(failing, Object.assign(Object.create(null), effect, limits) as never, never);
  seen.push([failed.event, failed.error?.message]);
  await manager.close();

  const instance = { headerMode: "dual_header", installationId: "id-1", harness: "h", role: "r" } as const;
  const later = { profile: "instances", instance, authApiUrl: "https://auth.openai.com" } as const;
  const instances = open({ agentIdentity: true, ...later });
  for (const a of [await instances.authorization("models"), await instances.authorization("apps")]) {
    say(a);
    seen.push(a.headers());
  }
  await instances.close();

  // Without the gate a thread's call carries the token, and goes where its workspace is.
  const routed = open({ workspaceRouting: true });
  for (const path of ["/codex/responses", "/codex/responses?redirect", "/files"]) {
    const call = () =>
      routed.fetch(base + path, { method: "POST", body: "text" }, { thread: routed.thread("a") });
    seen.push(await outcome(async () => (await call()).status));
  }
  const { responsesOrigin, accountRoutingOverride } = await routed.thread("b").authorization();
  seen.push([responsesOrigin, accountRoutingOverride]);
  await routed.close();
  const unrouted = open({});
  seen.push((await unrouted.thread("a").authorization()).responsesOrigin);
  await unrouted.close();

  for (const bad of [
    { core, store: memoryStore(), credentials },
    { core, baseUrl: base, credentials },
    { core, baseUrl: base, store: memoryStore() },
    { core, baseUrl: "http://example.org", store: memoryStore(), credentials },
    { core, baseUrl: base, authApiUrl: "http://example.org", store: memoryStore(), credentials },
  ]) {
    seen.push(await outcome(() => Promise.resolve(new Manager(bad as never))));
  }
  seen.push(await outcome(() => Promise.resolve(fileStore("auth.json"))));

  const claims = { privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now: 1_764_000_000 };
  const header = core.assert(claims);
  seen.push(header, core.inspect(header), core.verify({ publicKey, header, now: 1_764_000_300 }));
  const ofInstance = { privateKey, runtimeAgentInstance: "instance-1", now: 1_764_000_000 };
  const value = core.assertInstance({ ...ofInstance, entropy: new Uint8Array(16) });
  seen.push(value, core.verifyInstance({ publicKey, header: value, now: 1_764_000_000 }));
  const verifying = { core, now, publicKeyOf: () => publicKey };
  const agents = new Verifier({
    ...verifying,
    publicKeyOf: () => ({ publicKey }),
    publicKeyOfInstance: () => ({ publicKey }),
    taskOf: (agentRuntimeId, taskId) => ({ agentRuntimeId, taskId }),
    replays: memoryReplays({}),
  });
  for (const request of [
    { headers: { authorization: header } },
    { headers: [["authorization", header]] },
    { headers: { "x-openai-agent-assertion": value } },
    { headers: {} },
    {},
  ]) {
    for (const verifier of [new Verifier(verifying), agents]) {
      seen.push(verifier.carriesAssertion(request as never));
      const verify = async () => seen.push(await verifier.verifyRequest(request as never));
      seen.push(await outcome(verify));
    }
  }
  const refusal = new RefusalError("unknown_task", "message");
  const told = refusal.toResponse();
  seen.push(refusal.reason, refusal.answer(), told.status, [...told.headers], await told.text());
  seen.push(await outcome(() => Promise.resolve(new Verifier({ core } as never))));
  for (const name of Object.keys(claims)) {
    const lacking = Object.fromEntries(Object.entries(claims).filter(([other]) => other !== name));
    seen.push(await outcome(() => Promise.resolve(core.assert(lacking as typeof claims))));
  }
  seen.push(Array.from(encodeMessage({ a: 1, b: [true, new Uint8Array([1])], __proto__: null })).join());
  seen.push(decodeMessage(encodeMessage({ a: { b: 2 ** 40 } })));
  seen.push(Object.hasOwn(new AgentAssertError("code", "message", {}), "cause"));
  return seen;
}

/** What a browser is asked for by its store. */
async function useBrowser(): Promise<unknown[]> {
  const seen: unknown[] = [];
  const asked = (options: object) => {
    const { steal, ifAvailable, mode, durability } = options as Record<string, unknown>;
    seen.push([steal, ifAvailable, mode, durability]);
  };
  const database = {
    transaction: (_table: string, _access: string, options: object) => {
      asked(options);
      const transaction: { oncomplete?: () => void; objectStore: unknown } = {
        objectStore: () => ({ get: () => ({ result: undefined }) }),
      };
      queueMicrotask(() => transaction.oncomplete?.());
      return transaction;
    },
    close: () => undefined,
  };
  const globals = {
    indexedDB: {
      open: () => {
        const request: { onsuccess?: () => void; result: unknown } = { result: database };
        queueMicrotask(() => request.onsuccess?.());
        return request;
      },
    },
    navigator: {
      locks: {
        request: async (_name: string, options: object, held: () => Promise<void>) => {
          asked(options);
          await held();
        },
      },
    },
  };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  const store = indexedDBStore();
  const context = { core, signal: new AbortController().signal };
  await store.load("identity", context);
  await (
    await store.lock("identity", context)
  )();
  return seen;
}

/** What is to be removed. */
const folders: string[] = [];

/** Uses the store of files, with the programs that it runs. */
async function useFiles(): Promise<unknown[]> {
  const folder = mkdtempSync(join(tmpdir(), "agentassert-"));
  folders.push(folder);
  const path = join(folder, "auth.json");
  writeFileSync(path, JSON.stringify({ tokens: { access_token: "token-1", account_id: "acct-1" } }), {
    mode: 0o600,
  });
  const store = fileStore(path);
  const context = { core, signal: new AbortController().signal };
  const text = (bytes?: Uint8Array) => new TextDecoder().decode(bytes);
  const seen: unknown[] = [await store.credentials?.(context)];
  const unlock = await store.lock("identity", context);
  seen.push(await outcome(() => fileStore(path, { lockTimeout: 20 }).lock("identity", context)));
  await store.swap("identity", undefined, record, context);
  await unlock();
  seen.push(text(await store.load("identity", context)));
  await store.save("thread/1", record, context);
  seen.push(
    text(await store.load("thread/1", context)),
    await outcome(() => store.load("thread/2", context)),
  );
  const missing = fileStore(join(folder, "none.json"));
  seen.push((await missing.credentials?.(context))?.problem?.code);
  return seen;
}

async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return typeof (await work());
  } catch (error) {
    return error instanceof AgentAssertError
      ? [error.code, error.message.replaceAll(/agentassert-\w+/g, "")]
      : String(error);
  }
}

/** What work comes to, as text in which nothing is inherited. */
async function trace(work: () => Promise<unknown[]>): Promise<string[]> {
  try {
    return (await work()).map((value) => JSON.stringify(value));
  } catch (error) {
    return [`threw ${String(error)} ${(error as Error).stack ?? ""}`];
  }
}

const found: unknown[] = [];
const parts: Record<string, () => Promise<unknown[]>> = { calls: use, files: useFiles, browser: useBrowser };
const part = process.argv[2] ?? "calls";
const work = parts[part];
if (!work) {
  throw new Error(`there is no part ${part}`);
}
const want = await trace(work);
for (const written of hostile(part, (what) => ran.push(what))) {
  ran = [];
  for (const [name, value] of written) {
    Object.defineProperty(Object.prototype, name, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  let got: string[];
  try {
    got = await trace(work);
  } finally {
    for (const [name] of written) {
      Reflect.deleteProperty(Object.prototype, name);
    }
  }
  const i = want.findIndex((line, i) => got[i] !== line);
  if (i >= 0 || ran.length > 0) {
    found.push({
      written: written.map(([name, value]) => `${name}: ${String(value)}`),
      got: got[i],
      want: want[i],
      ran,
    });
  }
}
for (const folder of folders) {
  rmSync(folder, { recursive: true });
}
process.stdout.write(JSON.stringify({ lines: want.length, found }));
