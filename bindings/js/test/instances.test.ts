// The profiles of later clients: who asserts in auth-api, and runtime agent instances.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { inspect } from "node:util";

import {
  AgentAssert,
  AgentAssertError,
  Manager,
  memoryStore,
  type Authorization,
  type Credentials,
  type InstanceClaims,
  type InstanceConfig,
  type ManagerOptions,
  type Reason,
  type SurfaceName,
} from "agentassert";

import { anotherAssertion, type Host, Memory, Overlay, runFlow } from "../dist/internals.js";
import { apiKey, Backend, base, Clock, credentials, registrar, token } from "./backend.js";
import { notingStore } from "./noting-store.js";

const core = await AgentAssert.load();

const dual: InstanceConfig = {
  headerMode: "dual_header",
  installationId: "aa88e197-a6dc-457d-a525-2192aadf9048",
  harness: "codex",
  role: "orchestrator",
};
const only: InstanceConfig = { ...dual, headerMode: "assertion_only" };
const withKey: Credentials = { kind: "api-key", accessToken: apiKey };

const hasCode = (code: string) => (error: unknown) => {
  assert.ok(error instanceof AgentAssertError, `not this package's: ${inspect(error)}`);
  assert.equal(error.code, code);
  return true;
};

/** A manager with a backend, a store and a clock of its own. */
function setUp(options: Partial<ManagerOptions> = {}) {
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  const { store, slots } = notingStore();
  const open = (more: Partial<ManagerOptions> = {}) =>
    new Manager({
      core,
      baseUrl: base,
      store,
      credentials,
      agentIdentity: true,
      profile: "instances",
      instance: dual,
      authApiUrl: registrar,
      abom: { agentVersion: "0.171.0", agentHarnessId: "codex-cli", runningLocation: "cli-linux" },
      allowHttp: true,
      fetch: backend.fetch,
      now: clock.now,
      ...options,
      ...more,
    });
  return { clock, backend, slots, open, manager: open() };
}

/** What an authorization's assertion says. */
function claimsOf({ mode, header, agentAssertion }: Authorization): InstanceClaims {
  const inspection = core.inspect(mode === "dual-header" ? agentAssertion : header);
  assert.ok(inspection.form === "instance" && inspection.canonical);
  return inspection.instance;
}

describe("a runtime agent instance", () => {
  test("is asserted beside the user's token", async () => {
    const { manager, slots, clock } = setUp();
    const a = await manager.authorization("models");
    assert.deepEqual([a.mode, a.reason, a.header], ["dual-header", "runtime-instance", `Bearer ${token}`]);
    assert.deepEqual([a.agentRuntimeId, a.taskId, a.runtimeAgentInstance], ["", "", "instance-1"]);
    const { runtimeAgentInstance, iat } = claimsOf(a);
    assert.deepEqual([runtimeAgentInstance, iat], ["instance-1", clock.milliseconds / 1000]);
    assert.deepEqual(a.headers(), {
      Authorization: `Bearer ${token}`,
      "X-OpenAI-Agent-Assertion": a.agentAssertion,
      "ChatGPT-Account-ID": "acct-1",
    });
    const response = await manager.fetch(`${base}/codex/models`);
    assert.deepEqual(await response.json(), { scheme: "bearer", instance: "instance-1" });
    assert.ok(![...slots].some((slot) => ["identity", "instance"].includes(slot)), "nothing is stored");
  });

  test("is asserted in place of it", async () => {
    const { backend, manager } = setUp({ instance: only });
    const a = await manager.authorization("models");
    assert.deepEqual([a.mode, a.reason, a.agentAssertion], ["agent-assertion", "runtime-instance", ""]);
    assert.equal(claimsOf(a).runtimeAgentInstance, "instance-1");
    const headers = new Headers({ Authorization: "Bearer other", "X-OpenAI-Agent-Assertion": "1.old" });
    a.setHeaders(headers);
    assert.deepEqual(
      [headers.get("Authorization"), headers.get("X-OpenAI-Agent-Assertion")],
      [a.header, null],
    );
    const response = await manager.fetch(`${base}/codex/models`);
    assert.deepEqual(await response.json(), { scheme: "agent-assertion", instance: "instance-1" });
    assert.equal(backend.seen.at(-1)?.assertion, "");
  });

  test("is registered with the token in the body, and nowhere else", async () => {
    const { backend, manager } = setUp();
    await manager.prewarm();
    assert.deepEqual(
      backend.seen.map(({ method, url, authorization }) => [method, url, authorization]),
      [["POST", `${registrar}/agent/register`, ""]],
    );
    const [{ body, idempotencyKey } = assert.fail()] = backend.registrations;
    const key = (JSON.parse(body) as { public_key: string }).public_key;
    assert.equal(
      body,
      `{"actor_auth":{"type":"oauth","credential":"${token}"},` +
        `"agent_host_auth":{"type":"installation_id","installation_id":"${dual.installationId}"},` +
        `"public_key":"${key}","metadata":{"harness":"codex","harness_version":"0.171.0","role":"orchestrator"}}`,
    );
    assert.match(idempotencyKey, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  for (const [name, instance] of Object.entries({ dual, only })) {
    test(`has an assertion of its own for every call: ${name}`, async () => {
      const { backend, clock, manager } = setUp({ instance });
      const ids: string[] = [];
      for (let i = 0; i < 3; i++) {
        const calls = await Promise.all([
          manager.authorization("models"),
          manager.authorization("apps"),
          manager.thread("a").authorization(),
          manager.bearer().then((bearer) => {
            assert.deepEqual([bearer.mode, bearer.agentAssertion], ["bearer", ""]);
            return manager.authorization("models");
          }),
        ]);
        ids.push(...calls.map((a) => claimsOf(a).id));
        clock.milliseconds += i * 1000; // the same second once, and then others
      }
      const thread = manager.thread("a");
      ids.push(claimsOf(await thread.authorization()).id, claimsOf(await thread.authorization()).id);
      assert.equal(new Set(ids).size, 14);
      assert.equal(backend.registrations.length, 1);
    });

    test(`is registered once, however many calls there are: ${name}`, async () => {
      const { backend, manager } = setUp({ instance });
      const calls = Array.from({ length: 50 }, (_, i) =>
        i % 5 === 0 ? manager.thread(`thread-${i}`).authorization() : manager.authorization("models"),
      );
      const answers = await Promise.all(calls);
      assert.equal(new Set(answers.map((a) => claimsOf(a).id)).size, 50);
      assert.deepEqual(new Set(answers.map((a) => a.runtimeAgentInstance)), new Set(["instance-1"]));
      assert.equal(backend.registrations.length, 1);
    });

    test(`is replaced once, however many calls are rejected: ${name}`, async () => {
      const { backend, manager } = setUp({ instance });
      await manager.prewarm();
      backend.revoked.add("instance-1");
      const calls = Array.from({ length: 50 }, () => manager.fetch(`${base}/codex/models`));
      for (const response of await Promise.all(calls)) {
        assert.equal(((await response.json()) as { instance: string }).instance, "instance-2");
      }
      assert.equal(backend.registrations.length, 2);
      assert.equal(backend.used.size, 50);
      const keys = backend.registrations.map(({ idempotencyKey }) => idempotencyKey);
      assert.equal(new Set(keys).size, 2);
    });
  }

  test("is not replaced at once when it has just replaced another", async () => {
    const { backend, clock, manager } = setUp({ instance: only });
    const first = await manager.authorization("models");
    backend.revoked.add("instance-1").add("instance-2");
    const second = await manager.recover(first);
    assert.equal(second.runtimeAgentInstance, "instance-2");
    const third = await manager.recover(second);
    assert.deepEqual([third.mode, third.cause?.code], ["bearer", "instance_rejected"]);
    assert.equal(backend.registrations.length, 2);
    clock.milliseconds += 61_000;
    assert.equal((await manager.recover(second)).runtimeAgentInstance, "instance-3");
  });

  test("is each manager's own, and ends with it", async () => {
    const { backend, manager, open } = setUp();
    assert.equal((await manager.authorization("models")).runtimeAgentInstance, "instance-1");
    assert.equal((await open().authorization("models")).runtimeAgentInstance, "instance-2");
    await manager.close();
    await assert.rejects(manager.authorization("models"), hasCode("closed"));
    assert.equal(backend.registrations.length, 2);
  });

  test("is another one for another user", async () => {
    let given = credentials;
    const { clock, manager } = setUp({ credentials: () => given });
    assert.equal((await manager.authorization("models")).runtimeAgentInstance, "instance-1");
    given = { ...credentials, userId: "user-2" };
    assert.equal((await manager.authorization("models")).runtimeAgentInstance, "instance-1", "in one second");
    clock.milliseconds += 1000;
    assert.equal((await manager.authorization("models")).runtimeAgentInstance, "instance-2");
  });

  test("that cannot be had ends a turn, and a background call carries the token", async () => {
    const { backend, manager } = setUp({ instance: only });
    backend.intercept = ({ url }) =>
      url.startsWith(registrar) ? new Response("{}", { status: 403 }) : undefined;
    await assert.rejects(manager.thread("a").authorization(), hasCode("thread_failed"));
    const a = await manager.authorization("models");
    assert.deepEqual([a.mode, a.reason, a.header], ["bearer", "registration-failed", `Bearer ${token}`]);
    backend.intercept = undefined;
    assert.equal((await manager.thread("b").authorization()).mode, "agent-assertion");
  });

  test("needs entropy, and no bearer token stands in for it", async () => {
    let drawn = 0;
    const { manager } = setUp({
      getRandomValues: (array) => {
        if (++drawn > 2) {
          throw new Error("none left");
        }
        return crypto.getRandomValues(array);
      },
    });
    await assert.rejects(manager.authorization("models"), hasCode("no_entropy")); // registered it is
    await assert.rejects(manager.authorization("models"), hasCode("no_entropy"));
    await assert.rejects(
      setUp({ getRandomValues: () => new Uint8Array(3) }).manager.authorization("models"),
      hasCode("no_entropy"),
    );
  });

  test("needs to be told what it is", async () => {
    const without = { instance: undefined } as unknown as Partial<ManagerOptions>;
    await assert.rejects(setUp(without).manager.authorization("models"), hasCode("invalid_config"));
    await assert.rejects(
      setUp({ instance: { ...dual, role: "" } }).manager.authorization("models"),
      hasCode("invalid_config"),
    );
    assert.throws(() => setUp({ profile: "other" as "instances" }), hasCode("invalid_manager_config"));
  });

  test("shows no secret when it is printed", async () => {
    for (const instance of [dual, only]) {
      const { manager } = setUp({ instance });
      const a = await manager.authorization("models");
      const printed = inspect([a, manager], { depth: 10, showHidden: true }) + JSON.stringify([a, manager]);
      const [, , , signature = ""] = (a.agentAssertion || a.header).split(".");
      assert.equal(signature.length, 86);
      assert.ok(!printed.includes(signature) && !printed.includes(token), printed);
    }
  });
});

describe("with an API key", () => {
  test("the program sends it, and the assertion goes beside", async () => {
    const { backend, manager } = setUp({ credentials: withKey });
    const a = await manager.authorization("models");
    assert.deepEqual([a.mode, a.header, a.accountId], ["dual-header", "", ""]);
    const response = await manager.fetch(`${base}/codex/models`, {
      headers: { Authorization: `Bearer ${apiKey}` },
    });
    assert.deepEqual(await response.json(), { scheme: "api-key", instance: "instance-1" });
    const [{ body } = assert.fail()] = backend.registrations;
    assert.ok(body.startsWith(`{"actor_auth":{"type":"platform_api_key","credential":"${apiKey}"},`));
  });

  test("the assertion takes its place", async () => {
    const { manager } = setUp({ credentials: withKey, instance: only });
    const response = await manager.fetch(`${base}/codex/models`, {
      headers: { Authorization: `Bearer ${apiKey}` },
    });
    assert.deepEqual(await response.json(), { scheme: "agent-assertion", instance: "instance-1" });
  });

  test("a registration that fails leaves the program's own, on a background call", async () => {
    const { backend, manager } = setUp({ credentials: withKey });
    backend.intercept = ({ url }) =>
      url.startsWith(registrar) ? new Response("{}", { status: 403 }) : undefined;
    const own = { headers: { Authorization: `Bearer ${apiKey}`, "X-OpenAI-Agent-Assertion": "1.old" } };
    assert.equal((await manager.fetch(`${base}/codex/models`, own)).status, 200);
    const { authorization, assertion } = backend.seen.at(-1) ?? assert.fail();
    assert.deepEqual([authorization, assertion], [`Bearer ${apiKey}`, ""]);
    const { mode, reason, cause } = await manager.authorization("models");
    assert.deepEqual([mode, reason, cause?.code], ["none", "registration-failed", "http_status"]);
    await assert.rejects(manager.thread("a").authorization(), hasCode("thread_failed"));
  });
});

describe("the profile auth-api", () => {
  /** A manager whose identity and task are registered there. */
  const later = (options: Partial<ManagerOptions> = {}) => {
    const all = setUp({ profile: "auth-api", authApiUrl: `${registrar}/api/accounts`, ...options });
    const registered: string[] = [];
    all.backend.intercept = ({ url }) => {
      if (!url.startsWith(registrar)) {
        return undefined;
      }
      registered.push(url.slice(registrar.length));
      return Response.json(
        url.endsWith("/task/register") ? { task_id: "task-1" } : { agent_runtime_id: "a" },
      );
    };
    return { ...all, registered };
  };

  test("has calls to responses assert, with one task, and no others", async () => {
    const { manager, registered } = later();
    const said = async (surface: SurfaceName) => {
      const a = await manager.authorization(surface);
      return [a.mode, a.reason];
    };
    assert.deepEqual(await said("models"), ["bearer", "bearer-surface"]);
    assert.deepEqual(await said("mcp"), ["bearer", "bearer-surface"]);
    assert.equal(registered.length, 0);
    const [a, b] = [manager.thread("a"), manager.thread("b")];
    for (const thread of [a, b]) {
      const { mode, reason, taskId } = await thread.authorization();
      assert.deepEqual([mode, reason, taskId], ["agent-assertion", "identity-task", "task-1"]);
      const upload = await thread.authorization("file-upload"); // in the same second
      assert.deepEqual([upload.mode, upload.reason], ["bearer", "bearer-surface"]);
      assert.equal((await thread.authorization()).mode, "agent-assertion");
    }
    assert.deepEqual(registered, [
      "/api/accounts/v1/agent/register",
      "/api/accounts/v1/agent/a/task/register",
    ]);
  });

  test("has all calls assert where that is wanted", async () => {
    const { manager, registered } = later({ allSurfaces: true });
    const a = await manager.authorization("models");
    assert.deepEqual([a.mode, a.reason, a.taskId], ["agent-assertion", "all-surfaces", "task-1"]);
    const upload = await manager.thread("a").authorization("file-upload");
    assert.deepEqual([upload.reason, upload.taskId], ["all-surfaces", "task-1"]);
    assert.equal(registered.length, 2);
  });

  test("has a turn fall back where the auth API has no time, and not where it refuses", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const waits: number[] = [];
    const real = globalThis.setTimeout;
    t.mock.method(globalThis, "setTimeout", ((work: () => void, length?: number) => {
      if (length !== undefined && length < 1000) {
        waits.push(length);
        queueMicrotask(work);
      }
      return real(() => undefined, 0);
    }) as typeof setTimeout);
    for (const [status, want] of [
      [503, ["bearer", "registration-unavailable"]],
      [403, "thread_failed"],
    ] as const) {
      const { backend, manager } = later();
      backend.intercept = () => new Response("{}", { status });
      const answer = manager.thread("a").authorization();
      if (typeof want === "string") {
        await assert.rejects(answer, hasCode(want));
      } else {
        const { mode, reason } = await answer;
        assert.deepEqual([mode, reason], want);
      }
    }
    assert.deepEqual(waits, [100, 200]);
  });
});

describe("workspaces that are forced", () => {
  for (const [ids, want] of [
    [["acct-1"], ["bearer", "feature-off", "acct-1"]],
    [["acct-2"], ["bearer", "feature-off", "acct-2"]],
    [
      ["acct-2", "acct-1"],
      ["bearer", "feature-off", "acct-1"],
    ],
    [
      ["acct-2", "acct-3"],
      ["none", "workspace-not-allowed", "acct-1"],
    ],
    [[], ["bearer", "feature-off", "acct-1"]],
  ] as const) {
    test(ids.join(" or ") || "none", async () => {
      const { manager } = setUp({ agentIdentity: false, forcedWorkspaceIds: [...ids] });
      const { mode, reason, accountId } = await manager.authorization("models");
      assert.deepEqual([mode, reason, accountId], want);
    });
  }
});

test("the core's calls", () => {
  const { privateKey, publicKey } = core.generateKey(undefined, "instances");
  const now = 1_764_000_000;
  const claims = { privateKey, runtimeAgentInstance: "instance-1", now };
  const header = core.assertInstance(claims);
  const { ok, instance, canonical } = core.verifyInstance({ publicKey, header, now: now + 300 });
  assert.deepEqual([ok, canonical, instance.runtimeAgentInstance], [true, true, "instance-1"]);
  assert.notEqual(core.assertInstance(claims), header, "each has an id of its own");
  const entropy = new Uint8Array(16);
  assert.equal(core.assertInstance({ ...claims, entropy }), core.assertInstance({ ...claims, entropy }));
  assert.equal(core.inspect(`AgentAssertion ${header}`).form, "instance");
  assert.throws(() => core.verify({ publicKey, header, now }), hasCode("invalid_assertion"));
  assert.throws(() => core.verifyInstance({ publicKey, header, now: now + 301 }), hasCode("timestamp_skew"));
  assert.throws(
    () => core.assertInstance({ ...claims, entropy: new Uint8Array(8) }),
    hasCode("invalid_entropy"),
  );
  const task = core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now });
  assert.throws(() => core.verifyInstance({ publicKey, header: task, now }), hasCode("invalid_assertion"));
});

test("keys are made as clients of a profile make them", () => {
  const entropy = new Uint8Array(64).fill(1);
  const seed = createHash("sha512").update("codex-agent-identity-ed25519-v1").update(entropy).digest();
  assert.deepEqual(core.generateKey(entropy, "auth-api"), core.generateKey(seed.subarray(0, 32)));
  assert.throws(() => core.generateKey(entropy), hasCode("invalid_entropy"));
  assert.match(core.generateKey(undefined, "auth-api").publicKey, /^ssh-ed25519 /);
});

describe("a module that makes another answer than the last one", () => {
  const config = {
    baseUrl: base,
    agentIdentity: true,
    abom: { agentVersion: "0", agentHarnessId: "x", runningLocation: "x" },
    profile: "instances" as const,
    authApiUrl: registrar,
  };
  const now = 1_764_000_000;
  const { privateKey } = core.generateKey();

  /** A host whose module answers these effects in turn. */
  function hostWith(instance: InstanceConfig, effects: ((entropy: Uint8Array) => unknown)[]) {
    let [next, entropy] = [0, new Uint8Array()];
    const call = (_: string, { event }: { event: { entropy?: Uint8Array<ArrayBuffer> } }) => {
      entropy = event.entropy ?? entropy;
      return { state: new Uint8Array([1]), effect: effects[next++]?.(entropy) };
    };
    const host: Host & { signal: AbortSignal } = {
      core: { call } as unknown as AgentAssert,
      store: new Overlay(memoryStore()),
      memory: new Memory(),
      config: { ...config, instance },
      fetch: () => Promise.reject(new Error("nothing is sent")),
      now: () => now,
      random: (size) => crypto.getRandomValues(new Uint8Array(size)),
      signal: new AbortController().signal,
    };
    return host;
  }

  /** The answer with an assertion of an instance. */
  function done(instance: InstanceConfig, entropy: Uint8Array, id = "instance-1"): object {
    const value = core.assertInstance({ privateKey, runtimeAgentInstance: id, entropy, now });
    const isDual = instance.headerMode === "dual_header";
    return {
      mode: isDual ? "dual-header" : "agent-assertion",
      reason: "runtime-instance" satisfies Reason,
      accountId: "acct-1",
      runtimeAgentInstance: id,
      validUntil: now,
      header: isDual ? `Bearer ${token}` : `AgentAssertion ${value}`,
      ...(isDual && { agentAssertion: value }),
    };
  }

  const answered = (authorization: object) => ({ type: "done", authorization });
  const call = { surface: "apps", thread: undefined, key: "background", kept: { answer: undefined } };

  for (const [name, instance] of Object.entries({ dual, only })) {
    const cases: [string, (entropy: Uint8Array) => unknown, string][] = [
      ["the same again", (e) => answered(done(instance, e)), ""],
      ["of the entropy before", () => answered(done(instance, new Uint8Array(16))), "policy_violation"],
      ["of another instance", (e) => answered(done(instance, e, "instance-2")), "policy_violation"],
      [
        "of another second",
        (e) => answered({ ...done(instance, e), validUntil: now + 1 }),
        "policy_violation",
      ],
      [
        "with another's token",
        (e) => answered({ ...done(instance, e), header: "Bearer other" }),
        "policy_violation",
      ],
      [
        "the user's token alone",
        () =>
          answered({
            mode: "bearer",
            reason: "registration-failed",
            accountId: "acct-1",
            validUntil: now,
            header: `Bearer ${token}`,
          }),
        "policy_violation",
      ],
      ["with a task", (e) => answered({ ...done(instance, e), taskId: "task-1" }), "policy_violation"],
      ["none", () => ({ type: "done" }), "policy_violation"],
      ["an effect", () => ({ type: "load", slot: "instance" }), "sandbox_failed"],
    ];
    for (const [what, effect, code] of cases) {
      test(`${name}: ${what}`, async () => {
        const host = hostWith(instance, [(e) => answered(done(instance, e)), effect]);
        const answer = await runFlow(host, { ...call, rejected: undefined }, credentials);
        const ask = () => anotherAssertion(host, answer);
        if (code === "") {
          assert.notEqual(claimsOf(ask()).id, claimsOf(answer.authorization).id);
        } else {
          assert.throws(ask, hasCode(code));
        }
      });
    }
  }
});
