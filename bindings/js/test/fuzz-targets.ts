// What of this package can be called, with arguments that are right.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import {
  AgentAssert,
  AgentAssertError,
  codeOf,
  fileStore,
  indexedDBStore,
  Manager,
  memoryReplays,
  memoryStore,
  RefusalError,
  Verifier,
} from "agentassert";
import { verifyAgent as verifyAgentExpress } from "agentassert/express";
import { agentOf, verifyAgent as verifyAgentFastify } from "agentassert/fastify";
import { verifyAgent as verifyAgentHono } from "agentassert/hono";
import { verifyIdentityJWT } from "agentassert/jwt";
import { keyringCredentials, keyringStore } from "agentassert/keyring";
import type { KeyringCredentialsOptions, KeyringStoreOptions } from "agentassert/keyring";
import { withAgent } from "agentassert/next";
import { openTelemetryObserver, type OpenTelemetryOptions } from "agentassert/opentelemetry";
import type { ManagerOptions, MemoryReplaysOptions, StoreContext, VerifierOptions } from "agentassert";
import type { VerifyAgentOptions } from "agentassert/fastify";
import type { IdentityJWTOptions } from "agentassert/jwt";
import { authorization as interceptor } from "agentassert/undici";

import { apiKey, Backend, base, credentials, registrar, token } from "./backend.js";

/** One call of the public API. */
export interface Target {
  name: string;
  /** Makes arguments that are right. */
  valid: () => unknown[];
  call: (...args: unknown[]) => unknown;
  /** Whether it passes on what the platform's fetch throws. */
  fetches?: boolean;
  /** Whether it is a store's, which rejects with the reason of the signal in its context. */
  isStores?: boolean;
}

type Callable = (...args: unknown[]) => unknown;

/** What must be in no error. */
export const secrets = [token, apiKey];

/** Returns a target for each function, constructor and method of every entry. Files are in a folder. */
export async function targets(folder: string): Promise<Target[]> {
  const core = await AgentAssert.load();
  const backend = new Backend(core);
  const { privateKey, publicKey } = core.generateKey();
  secrets.push(privateKey);
  const now = Math.floor(Date.now() / 1000);
  const header = core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now });
  const instanceHeader = core.assertInstance({ privateKey, runtimeAgentInstance: "instance-1", now });
  const options = (): ManagerOptions => ({
    core,
    baseUrl: base,
    store: memoryStore(),
    credentials: { ...credentials },
    agentIdentity: true,
    trustedHosts: ["agent.chatgpt.com"],
    allowHttp: true,
    fetch: backend.fetch,
    now: Date.now,
    getRandomValues: (array) => crypto.getRandomValues(array),
    observer: { decided: () => undefined },
    pauses: { first: 0, most: 0 },
  });
  const manager = new Manager(options());
  const thread = manager.thread("thread-1");
  const authorization = await manager.authorization("models");
  const signal = new AbortController().signal;
  const context: StoreContext = { core, signal };
  const publicKeyOf = () => publicKey;
  const verifier = new Verifier({ core, publicKeyOf });
  const request = () => new Request(base, { headers: { Authorization: header } });
  const record = new TextEncoder().encode("{}");

  /** The functions of an object, with arguments for each. */
  const methodsOf = (
    name: string,
    object: object,
    args: Record<string, () => unknown[]>,
    more: Partial<Target> = {},
  ): Target[] =>
    callablesOf(object).map((key) => {
      const valid = args[key];
      if (!valid) {
        throw new Error(`${name}.${key} is not fuzzed: say what arguments it takes`);
      }
      const method = (object as Record<string, Callable>)[key]?.bind(object);
      return {
        name: `${name}.${key}`,
        valid,
        call: (...given) => method?.(...given),
        ...(key === "fetch" && { fetches: true }),
        ...more,
      };
    });

  const wait = () => ({ signal });
  const storeMethods = {
    load: () => ["identity", context],
    save: () => ["identity", record, context],
    delete: () => ["identity", context],
    swap: () => ["identity", undefined, record, context],
    lock: () => ["identity", context],
    probe: () => ["identity", context],
    credentials: () => [context],
  };
  /** A lock is given back, or the next call waits for it. */
  const unlocked = (store: object): Target[] =>
    methodsOf("store", store, storeMethods, { isStores: true }).map((target) =>
      target.name.endsWith(".lock")
        ? {
            ...target,
            call: async (...given) => {
              const unlock = (await target.call(...given)) as () => unknown;
              await unlock();
            },
          }
        : target,
    );

  const functions: Record<string, Target[]> = {
    AgentAssert: [
      { name: "AgentAssert.load", valid: () => [], call: (source) => AgentAssert.load(source as never) },
      ...methodsOf("core", core, {
        generateKey: () => [new Uint8Array(32), "biscuit"],
        parseKey: () => [privateKey],
        importKey: () => [privateKey],
        importPublicKey: () => [publicKey],
        exportKey: () => [{ privateKey, format: "jwk" }],
        assert: () => [{ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now }],
        assertInstance: () => [
          { privateKey, runtimeAgentInstance: "instance-1", now, entropy: new Uint8Array(16) },
        ],
        inspect: () => [header],
        verify: () => [{ publicKey, header, now, skew: 300 }],
        verifyInstance: () => [{ publicKey, header: instanceHeader, now, skew: 300 }],
        call: () => ["base_url.normalize", { url: base, trustedHosts: ["example.org"] }],
        exchange: () => [new Uint8Array([0xa0])],
        forget: () => [],
      }),
    ],
    AgentAssertError: [
      {
        name: "new AgentAssertError",
        valid: () => ["internal", "a message", { cause: new Error("a cause") }],
        call: (...args) => new AgentAssertError(...(args as ["", ""])),
      },
    ],
    Manager: [
      {
        name: "new Manager",
        valid: () => [options()],
        call: async (given) => {
          const made = new Manager(given as ManagerOptions);
          try {
            await made.authorization("models");
            await made.bearer();
            await made.forget("thread-1");
            await made.thread("thread-1").authorization();
          } finally {
            await made.close();
          }
        },
      },
      {
        name: "new Manager, instances",
        valid: () => [
          {
            ...options(),
            profile: "instances",
            authApiUrl: registrar,
            instance: { headerMode: "dual_header", installationId: "i", harness: "h", role: "r" },
          },
        ],
        call: async (given) => {
          const made = new Manager(given as ManagerOptions);
          try {
            await made.authorization("models");
          } finally {
            await made.close();
          }
        },
      },
      ...methodsOf("manager", manager, {
        authorization: () => ["models", wait()],
        bearer: () => [wait()],
        prewarm: () => [wait()],
        headers: () => ["models", wait()],
        thread: () => ["thread-1"],
        recover: () => [authorization, { ...wait(), response: new Response("{}", { status: 401 }) }],
        forget: () => ["thread-1", wait()],
        fetch: () => [`${base}/codex/responses`, { method: "POST", body: "{}", signal }, { thread }],
        status: () => ["thread-1"],
        authorizationOf: () => ["responses", thread, wait()],
        surfaceOf: () => [`${base}/codex/models`],
        appsMCPServer: () => ["Bearer explicit", wait()],
        close: () => [],
      }).filter(({ name }) => name !== "manager.close"), // the others need it; new Manager closes its own
      ...methodsOf("thread", thread, {
        authorization: () => ["responses", wait()],
        prewarm: () => [wait()],
        headers: () => ["responses", wait()],
        fetch: () => [`${base}/codex/responses`, { method: "POST", body: "{}", signal }, {}],
        isOf: () => [undefined],
      }),
      ...methodsOf("authorization", authorization, {
        headers: () => [],
        setHeaders: () => [new Headers()],
        toString: () => [],
        toJSON: () => [],
      }),
      {
        name: "a thread's id",
        valid: () => ["thread-1"],
        call: (id) => manager.thread(id as string).authorization(),
      },
    ],
    RefusalError: [
      {
        name: "new RefusalError",
        valid: () => ["unauthenticated", "a message", new Error("a cause")],
        call: (...args) => {
          const refusal = new RefusalError(...(args as ["unauthenticated", ""]));
          return [refusal.reason, refusal.answer()];
        },
      },
    ],
    Verifier: [
      {
        name: "new Verifier",
        valid: () => [{ core, publicKeyOf, publicKeyOfInstance: publicKeyOf, skew: 300, now: Date.now }],
        call: async (given) => {
          const made = new Verifier(given as VerifierOptions);
          await made.verifyRequest(request());
          await made.verifyRequest({ headers: { "X-OpenAI-Agent-Assertion": instanceHeader } });
        },
      },
      ...methodsOf("verifier", verifier, {
        verifyRequest: () => [{ headers: { authorization: header }, rawHeaders: ["Authorization", header] }],
        carriesAssertion: () => [request()],
      }),
    ],
    memoryReplays: [
      {
        name: "memoryReplays",
        valid: () => [{ reuse: 1, maxTotal: 10, maxPerAccount: 5 }],
        call: (given) => memoryReplays(given as MemoryReplaysOptions),
      },
      ...methodsOf("memoryReplays()", memoryReplays(), {
        replayed: () => [
          {
            digest: "00",
            agentRuntimeId: "agent-1",
            taskId: "task-1",
            runtimeAgentInstance: "",
            accountId: "",
            once: true,
            time: now,
            expires: now + 300,
          },
        ],
      }),
    ],
    "express: verifyAgent": [
      {
        name: "express: verifyAgent",
        valid: () => [verifier, { optional: false }],
        call: (...args) => verifyAgentExpress(...(args as [Verifier])),
      },
    ],
    "fastify: verifyAgent": [
      {
        name: "fastify: verifyAgent",
        valid: () => [{ verifier, optional: false }],
        call: (given) => {
          const app = { decorateRequest: () => undefined, addHook: () => undefined };
          return verifyAgentFastify(app, given as VerifyAgentOptions);
        },
      },
    ],
    "fastify: agentOf": [
      { name: "fastify: agentOf", valid: () => [request()], call: (given) => agentOf(given as never) },
    ],
    "hono: verifyAgent": [
      {
        name: "hono: verifyAgent",
        valid: () => [verifier, { optional: false }],
        call: (...args) => verifyAgentHono(...(args as [Verifier])),
      },
    ],
    "next: withAgent": [
      {
        name: "next: withAgent",
        valid: () => [verifier, () => new Response(), { optional: false }],
        call: (...args) => withAgent(...(args as [Verifier, () => Response])),
      },
    ],
    "jwt: verifyIdentityJWT": [
      {
        name: "jwt: verifyIdentityJWT",
        valid: () => [
          "a.b.c",
          { core, baseUrl: base, fetch: backend.fetch, now: Date.now, allowHttp: true, signal },
        ],
        call: (...args) => verifyIdentityJWT(...(args as [string, IdentityJWTOptions])),
      },
    ],
    "opentelemetry: openTelemetryObserver": [
      {
        name: "opentelemetry: openTelemetryObserver",
        valid: () => [{}],
        call: (given) => openTelemetryObserver(given as OpenTelemetryOptions),
      },
    ],
    "undici: authorization": [
      {
        name: "undici: authorization",
        valid: () => [manager, { thread, surface: "responses" }],
        call: (...args) => interceptor(...(args as [Manager])),
      },
    ],
    // Of an account that is none, so that nobody's keyring is asked.
    "keyring: keyringStore": [
      {
        name: "keyring: keyringStore",
        valid: () => [{ account: "", lockFolder: folder, lock: "process", timeout: 1000, signal }],
        call: (given) => keyringStore(given as KeyringStoreOptions),
      },
    ],
    "keyring: keyringCredentials": [
      {
        name: "keyring: keyringCredentials",
        valid: () => [{ core, home: join(folder, "none"), timeout: 1000 }],
        call: (given) => keyringCredentials(given as KeyringCredentialsOptions),
      },
    ],
    codeOf: [{ name: "codeOf", valid: () => [new Error("any")], call: (e) => codeOf(e) }],
    memoryStore: [
      { name: "memoryStore", valid: () => [{ identity: record }], call: (c) => memoryStore(c as never) },
      ...unlocked(memoryStore()).map((target) => ({ ...target, name: `memoryStore().${target.name}` })),
    ],
    indexedDBStore: [
      {
        name: "indexedDBStore",
        valid: () => ["database"],
        call: (...args) => indexedDBStore(...(args as [string])),
      },
    ],
    fileStore: [
      {
        name: "fileStore",
        valid: () => ["auth.json", { lockTimeout: 1000, lock: "process", identity: "auth.json" }],
        call: (...args) => fileStore(...(args as [string])),
      },
      ...unlocked(fileStore(join(folder, "auth.json"), { lock: "process", lockTimeout: 1000 })).map(
        (target) => ({ ...target, name: `fileStore().${target.name}` }),
      ),
    ],
  };
  await checkComplete(Object.keys(functions));
  return Object.values(functions).flat();
}

/** Fails where an entry of this package has a function that is not among those names. */
async function checkComplete(names: string[]): Promise<void> {
  const manifest = new URL("../package.json", import.meta.url);
  const { exports } = JSON.parse(readFileSync(manifest, "utf8")) as { exports: Record<string, unknown> };
  for (const entry of Object.keys(exports).filter((entry) => !/\.(wasm|json)$/.test(entry))) {
    const specifier = `agentassert${entry.slice(1)}`;
    const found = (await import(specifier)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(found)) {
      const full = [".", "./inline"].includes(entry) ? name : `${entry.slice(2)}: ${name}`;
      if (typeof value === "function" && !names.includes(full)) {
        throw new Error(`not fuzzed: ${full}`);
      }
    }
  }
}

/** Returns the names of an object's functions, its classes' among them. */
function callablesOf(object: object): string[] {
  const names = new Set<string>();
  for (let at = object; at !== Object.prototype; at = Object.getPrototypeOf(at) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function" && name !== "constructor") {
        names.add(name);
      }
    }
  }
  return [...names];
}
