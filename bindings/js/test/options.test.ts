import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { AgentAssert, AgentAssertError, Manager, fileStore, memoryStore } from "agentassert";

import { nearest } from "../dist/internals.js";
import { Backend, base, Clock, credentials, token } from "./backend.js";

const core = await AgentAssert.load();
const { privateKey, publicKey } = core.generateKey();
const now = 1_764_000_000;
const header = core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now });

const good = { core, baseUrl: base, store: memoryStore(), credentials, agentIdentity: true, allowHttp: true };

function open(more: object = {}): Manager {
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  return new Manager({ ...good, fetch: backend.fetch, now: clock.now, ...more });
}

const manager = open();

/** What a class gives its objects is none of their own. */
class Claims {
  get privateKey() {
    return privateKey;
  }
}

const claims = { privateKey, agentRuntimeId: "agent-1", taskId: "task-1" };
const throws = () => {
  throw new Error(token);
};

type Case = [call: string, run: () => unknown, code: string, message: RegExp];

/** Each says what to do, in the words of whoever has called. */
const cases: Case[] = [
  [
    "a misspelt option",
    () => open({ agentIdentiy: true }),
    "invalid_manager_config",
    /^agentIdentiy is none of the manager's options; did you mean agentIdentity\?$/,
  ],
  [
    "one that is in another case",
    () => open({ baseURL: base }),
    "invalid_manager_config",
    /baseURL .* did you mean baseUrl\?/,
  ],
  [
    "one in another language's form",
    () => open({ agent_identity: true }),
    "invalid_manager_config",
    /did you mean agentIdentity\?/,
  ],
  [
    "an option that there is not",
    () => open({ colour: "red" }),
    "invalid_manager_config",
    /^colour is none of the manager's options, which are core, baseUrl/,
  ],
  [
    "a misspelt option, before what it leaves missing",
    () => new Manager({ ...good, baseUrl: undefined, baseUlr: base } as never),
    "invalid_manager_config",
    /did you mean baseUrl/,
  ],
  ["no options", () => new Manager(undefined as never), "invalid_manager_config", /options are missing/],
  [
    "a string for options",
    () => new Manager(token as never),
    "invalid_manager_config",
    /are a string, not an object/,
  ],
  [
    "an array for options",
    () => new Manager([] as never),
    "invalid_manager_config",
    /are an array, not an object/,
  ],
  [
    "a getter that throws",
    () => new Manager(Object.defineProperty({ ...good }, "strict", { get: throws, enumerable: true })),
    "invalid_manager_config",
    /cannot be read/,
  ],
  [
    "a core that was not awaited",
    () => open({ core: AgentAssert.load() }),
    "invalid_manager_config",
    /core is a promise, to be awaited,.* AgentAssert\.load/,
  ],
  ["no core", () => open({ core: undefined }), "invalid_manager_config", /core is missing/],
  [
    "no store",
    () => open({ store: undefined }),
    "invalid_manager_config",
    /store is missing.*fileStore, indexedDBStore or memoryStore/,
  ],
  [
    "a gate that is no boolean",
    () => open({ agentIdentity: "true" }),
    "invalid_manager_config",
    /agentIdentity is a string, not true or false/,
  ],
  [
    "a profile that is misspelt",
    () => open({ profile: "instance" }),
    "invalid_manager_config",
    /did you mean "instances"\?/,
  ],
  [
    "hosts in one string",
    () => open({ trustedHosts: "a,b" }),
    "invalid_manager_config",
    /trustedHosts is a string, not an array of strings/,
  ],
  [
    "a member of an option",
    () => open({ pauses: { first: 0, mots: 0 } }),
    "invalid_manager_config",
    /mots .* did you mean most/,
  ],
  [
    "half an instance",
    () => open({ profile: "instances", instance: { headerMode: "dual_header" } }),
    "invalid_manager_config",
    /installationId is missing/,
  ],
  [
    "a header mode with a hyphen",
    () => open({ instance: { headerMode: "dual-header" } }),
    "invalid_manager_config",
    /did you mean "dual_header"|is missing/,
  ],
  [
    "credentials without their kind",
    () => open({ credentials: { accessToken: token } }),
    "invalid_manager_config",
    /kind is missing/,
  ],
  [
    "a misspelt credential",
    () => open({ credentials: { ...credentials, accesToken: token } }),
    "invalid_manager_config",
    /did you mean accessToken/,
  ],
  [
    "credentials from a function that are none",
    () => open({ credentials: () => ({ kind: "chatgpt", accessToken: 5 }) }).authorization("models"),
    "credentials_failed",
    /accessToken is a number/,
  ],
  [
    "a clock of seconds",
    () => open({ now: () => now }).authorization("models"),
    "invalid_manager_config",
    /seems to return seconds/,
  ],
  [
    "a clock that throws",
    () => {
      const clock = () => {
        throw new RangeError("no time");
      };
      return open({ now: clock }).authorization("models");
    },
    "internal",
    /the function now of the manager's options threw/,
  ],

  ["no claims", () => core.assert(undefined as never), "invalid_request", /the claims are missing/],
  [
    "no key",
    () => core.assert({ ...claims, privateKey: undefined } as never),
    "invalid_request",
    /^privateKey is missing/,
  ],
  [
    "a class's key",
    () => core.assert(Object.assign(new Claims(), { agentRuntimeId: "a", taskId: "t" })),
    "invalid_request",
    /^privateKey is missing/,
  ],
  [
    "no task",
    () => core.assert({ privateKey, agentRuntimeId: "agent-1" } as never),
    "invalid_request",
    /^taskId is missing/,
  ],
  [
    "a misspelt claim",
    () => core.assert({ privateKey, agentRuntimeID: "agent-1", taskId: "t" } as never),
    "invalid_request",
    /agentRuntimeID .* did you mean agentRuntimeId/,
  ],
  [
    "a claim in the ABI's form",
    () => core.assert({ ...claims, task_id: "t" } as never),
    "invalid_request",
    /did you mean taskId/,
  ],
  [
    "a time as text",
    () => core.assert({ ...claims, now: "1764000000" as never }),
    "invalid_request",
    /^now is a string, not a number/,
  ],
  [
    "a date",
    () => core.assert({ ...claims, now: new Date() as never }),
    "invalid_request",
    /^now is a Date, not a number; .*getTime\(\) \/ 1000/,
  ],
  [
    "milliseconds",
    () => core.assert({ ...claims, now: Date.now() }),
    "invalid_time",
    /looks like milliseconds.*Math\.floor\(Date\.now\(\) \/ 1000\)/,
  ],
  [
    "a fraction of a second",
    () => core.assert({ ...claims, now: Date.now() / 1000 }),
    "invalid_request",
    /not a whole number of seconds/,
  ],
  ["no number", () => core.assert({ ...claims, now: NaN }), "invalid_request", /now is NaN/],
  [
    "milliseconds for an instance",
    () => core.assertInstance({ privateKey, runtimeAgentInstance: "i", now: Date.now() }),
    "invalid_time",
    /milliseconds/,
  ],
  [
    "a header that is not there",
    () => core.verify({ publicKey, header: new Headers().get("Authorization") as never }),
    "invalid_request",
    /^header is null, not a string/,
  ],
  ["no public key", () => core.verify({ header } as never), "invalid_request", /^publicKey is missing/],
  [
    "a misspelt skew",
    () => core.verify({ publicKey, header, now, skw: 1 } as never),
    "invalid_request",
    /did you mean skew/,
  ],
  [
    "a skew as text",
    () => core.verify({ publicKey, header, now, skew: "300" as never }),
    "invalid_request",
    /skew is a string, not a number/,
  ],
  ["nothing to verify", () => core.verifyInstance({} as never), "invalid_request", /publicKey is missing/],
  ["nothing to inspect", () => core.inspect(undefined as never), "invalid_request", /the header is missing/],
  [
    "nothing to parse",
    () => core.parseKey(5 as never),
    "invalid_request",
    /the private key is a number, not a string/,
  ],
  [
    "entropy as text",
    () => core.generateKey("seed" as never),
    "invalid_request",
    /the entropy is a string, not a Uint8Array/,
  ],
  ["a request that is none", () => core.exchange("x" as never), "invalid_request", /the request is a string/],
  [
    "params that hold themselves",
    () => {
      const p: Record<string, unknown> = {};
      p["p"] = p;
      return core.call("key.parse", p as never);
    },
    "invalid_request",
    /hold themselves/,
  ],
  [
    "params whose getter throws",
    () =>
      core.call("key.parse", {
        get privateKey(): string {
          return throws();
        },
      }),
    "invalid_request",
    /getter throws/,
  ],
  [
    "a format of an exported key",
    () => core.exportKey({ privateKey } as never),
    "invalid_request",
    /format is missing/,
  ],

  [
    "no surface",
    () => manager.authorization(undefined as never),
    "unknown_surface",
    /the protocol has apps, connectors/,
  ],
  [
    "a misspelt surface",
    () => manager.authorization("model" as never),
    "unknown_surface",
    /did you mean models\?/,
  ],
  [
    "a misspelt signal",
    () => manager.authorization("models", { singal: new AbortController().signal } as never),
    "invalid_request",
    /singal .* did you mean signal/,
  ],
  [
    "a controller for its signal",
    () => manager.authorization("models", { signal: new AbortController() as never }),
    "invalid_request",
    /signal is an object, not an AbortSignal/,
  ],
  ["null for options", () => manager.bearer(null as never), "invalid_request", /the options are null/],
  [
    "a signal in the place of options",
    () => manager.prewarm(5 as never),
    "invalid_request",
    /the options are a number/,
  ],
  [
    "nothing to recover",
    () => manager.recover(undefined as never),
    "invalid_request",
    /rejected authorization is missing/,
  ],
  [
    "a response that is none",
    async () => manager.recover(await manager.authorization("models"), { response: {} as never }),
    "invalid_request",
    /response is an object, not a Response/,
  ],
  [
    "no thread to forget",
    () => manager.forget(undefined as never),
    "invalid_request",
    /thread's id is missing/,
  ],
  [
    "no id of a thread",
    () => manager.thread(undefined as never),
    "invalid_request",
    /thread's id is missing/,
  ],
  [
    "a number as a thread's id",
    () => manager.thread(5 as never),
    "invalid_request",
    /thread's id is a number/,
  ],
  [
    "a thread's options",
    () => manager.thread("a").authorization("responses", { signl: 1 } as never),
    "invalid_request",
    /did you mean signal/,
  ],
  [
    "options in the place of Authorization",
    () => manager.appsMCPServer({} as never),
    "invalid_request",
    /explicit Authorization is an object, not a string/,
  ],

  ["no URL", () => manager.fetch(undefined as never), "invalid_request", /the call's URL is missing/],
  ["a URL that is none", () => manager.fetch("codex/models"), "invalid_request", /not absolute/],
  [
    "a symbol as a URL",
    () => manager.fetch(Object.create(null) as never),
    "invalid_request",
    /an object, not a string, a URL or a Request/,
  ],
  [
    "fetch's options as text",
    () => manager.fetch(base, "POST" as never),
    "invalid_request",
    /the call's options are a string/,
  ],
  [
    "a method that is none",
    () => manager.fetch(base, { method: "NO WAY" }),
    "invalid_request",
    /the call's method is none that fetch takes/,
  ],
  [
    "a method that is no text",
    () => manager.fetch(base, { method: 5 as never }),
    "invalid_request",
    /the call's method is a number/,
  ],
  [
    "headers that are none",
    () => manager.fetch(base, { headers: { "a b": token } }),
    "invalid_request",
    /the call's headers are none/,
  ],
  [
    "a signal that is none",
    () => manager.fetch(base, { signal: {} as never }),
    "invalid_request",
    /the call's signal is an object/,
  ],
  ["a body of a GET", () => manager.fetch(base, { body: "text" }), "invalid_request", /GET has no body/],
  [
    "a cache that is none",
    () => manager.fetch(base, { cache: "never" as never }),
    "invalid_request",
    /the call's cache is none/,
  ],
  [
    "the thread among fetch's options",
    () => manager.fetch(base, {}, { tread: manager.thread("a") } as never),
    "invalid_request",
    /did you mean thread/,
  ],
  [
    "a thread that is none",
    () => manager.fetch(base, {}, { thread: "a" as never }),
    "invalid_request",
    /thread is a string, not a Thread/,
  ],
  [
    "a fetch that returns nothing",
    () => open({ fetch: () => Promise.resolve(undefined) }).fetch("https://elsewhere.example/"),
    "request_failed",
    /no response/,
  ],

  ["no path", () => fileStore(undefined as never), "invalid_manager_config", /path is missing/],
  ["an empty path", () => fileStore(""), "invalid_manager_config", /path is an empty string/],
  [
    "a misspelt store's option",
    () => fileStore("a", { lok: "process" } as never),
    "invalid_manager_config",
    /did you mean lock\?/,
  ],
  [
    "a misspelt lock",
    () => fileStore("a", { lock: "proces" as never }),
    "invalid_manager_config",
    /did you mean "process"\?/,
  ],
  [
    "a time-out as text",
    () => fileStore("a", { lockTimeout: "1" as never }),
    "invalid_manager_config",
    /lockTimeout is a string, not a time in milliseconds/,
  ],
  [
    "memory that holds no records",
    () => memoryStore({ identity: "text" as never }),
    "invalid_manager_config",
    /identity is a string, not a Uint8Array/,
  ],
];

describe("what is wrong is said first", () => {
  for (const [name, run, code, message] of cases) {
    test(name, async () => {
      await assert.rejects(
        () => Promise.resolve().then(run),
        (error: unknown) => {
          assert.ok(error instanceof AgentAssertError, String(error));
          assert.match(error.message, message);
          assert.equal(error.code, code);
          assert.ok(![token, privateKey].some((secret) => error.message.includes(secret)));
          return true;
        },
      );
    });
  }
});

describe("what is not wrong", () => {
  test("claims can be spread from more than they need", () => {
    const key = core.generateKey();
    assert.ok(core.assert({ ...key, agentRuntimeId: "agent-1", taskId: "task-1" }));
  });

  test("options can be undefined", () => {
    assert.ok(open({ profile: undefined, strict: undefined, abom: undefined, pauses: undefined }));
  });

  test("the time is now by default", () => {
    const before = Math.floor(Date.now() / 1000);
    const { envelope } = core.verify({ publicKey, header: core.assert(claims), skew: 60 });
    const { instance } = core.verifyInstance({
      publicKey,
      header: core.assertInstance({ privateKey, runtimeAgentInstance: "instance-1" }),
      skew: 60,
    });
    const after = Math.floor(Date.now() / 1000);
    for (const seconds of [Date.parse(envelope.timestamp) / 1000, instance.iat]) {
      assert.ok(before <= seconds && seconds <= after);
    }
    assert.throws(() => core.verify({ publicKey, header }), { code: "timestamp_skew" });
  });

  test("the last second that there is", () => {
    assert.ok(core.assert({ ...claims, now: 253_402_300_799 }));
    assert.throws(() => core.assert({ ...claims, now: 253_402_300_800 }), { code: "invalid_time" });
  });
});

describe("the nearest name", () => {
  const names = ["agentIdentity", "core", "fetch", "now", "warn"];
  const near: [string, string | undefined][] = [
    ["agentIdentiy", "agentIdentity"],
    ["AgentIdentity", "agentIdentity"],
    ["agent-identity", "agentIdentity"],
    ["agentIdnetity", "agentIdentity"],
    ["fecth", "fetch"],
    ["ftech_", "fetch"],
    ["cor", "core"],
    ["onw", "now"],
    ["no", "now"],
    ["wrong", undefined],
    ["x", undefined],
    ["", undefined],
    ["a".repeat(100_000), undefined],
  ];
  for (const [name, want] of near) {
    test(`of ${name.slice(0, 20)}`, () => {
      assert.equal(nearest(name, names), want);
    });
  }
});
