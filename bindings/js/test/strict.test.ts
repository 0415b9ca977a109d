import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { AgentAssertError, memoryStore, type ManagerOptions, type SurfaceName } from "agentassert";

import { Backend, base, credentials, token } from "./backend.js";
import { setUp } from "./set-up.js";

/** A backend that registers nobody. */
const refuses = (backend: Backend) => {
  backend.intercept = (_, path) =>
    path === "/v1/agent/register" ? new Response("{}", { status: 503 }) : undefined;
};

/** A store that cannot be read, and says what a person can do about it. */
const failing = {
  ...memoryStore(),
  load: () => Promise.reject(new AgentAssertError("store_failed", "the disk is gone; plug it in")),
};

const signedOut = { kind: "none" } as const;
const withoutAccount = { kind: "chatgpt", accessToken: token } as const;
const elsewhere = "https://other.example/backend-api";

describe("a strict manager", () => {
  const cases: {
    name: string;
    options?: Partial<ManagerOptions>;
    surface?: SurfaceName;
    isRefused?: boolean;
    want: string;
    cause?: string;
  }[] = [
    { name: "asserts", want: "agent-assertion" },
    { name: "asserts in a turn", surface: "responses", want: "agent-assertion" },
    { name: "sends the token with a bootstrap call", surface: "bootstrap", want: "bearer" },
    { name: "does so, too, where agents are refused", surface: "bootstrap", isRefused: true, want: "bearer" },
    { name: "fails where agents are refused", isRefused: true, want: "no_assertion", cause: "http_status" },
    {
      name: "fails in a turn where agents are refused",
      surface: "responses",
      isRefused: true,
      want: "no_assertion",
      cause: "http_status",
    },
    { name: "fails where nobody is signed in", options: { credentials: signedOut }, want: "no_assertion" },
    {
      name: "sends nothing with a bootstrap call of nobody",
      options: { credentials: signedOut },
      surface: "bootstrap",
      want: "none",
    },
    { name: "fails without an account", options: { credentials: withoutAccount }, want: "no_assertion" },
    { name: "fails at an unsupported backend", options: { baseUrl: elsewhere }, want: "no_assertion" },
    {
      name: "sends the token where the profile says so",
      options: { profile: "auth-api" },
      surface: "models",
      want: "bearer",
    },
    {
      name: "fails with a store that does",
      options: { store: failing },
      want: "no_assertion",
      cause: "store_failed",
    },
  ];
  for (const { name, options, surface = "models", isRefused, want, cause } of cases) {
    test(name, async () => {
      const { backend, manager, warned } = setUp({ strict: true, ...options });
      if (isRefused) {
        refuses(backend);
      }
      const thread = manager.thread("a");
      const ask = () => (surface === "responses" ? thread.authorization() : manager.authorization(surface));
      for (let i = 0; i < 2; i++) {
        // the second has the answer of this second
        if (want === "no_assertion") {
          await assert.rejects(ask(), (error: AgentAssertError) => {
            assert.equal(error.code, want);
            assert.equal((error.cause as AgentAssertError | undefined)?.code, cause);
            return true;
          });
        } else {
          assert.equal((await ask()).mode, want);
        }
      }
      assert.deepEqual(warned, [], "nothing falls back");
      const { surfaces } = await manager.status();
      const row = surfaces.find((row) => row.surface === surface) ?? assert.fail();
      if (!row.registers) {
        const has = [row.fallsBack, row.mode, row.cause?.code === "no_assertion"];
        assert.deepEqual(has, want === "no_assertion" ? [true, "none", true] : [false, want, false]);
      }
    });
  }

  test("sends nothing without an assertion, and shows a 401 where it cannot recover", async () => {
    const { clock, backend, manager } = setUp({ strict: true, pauses: { first: 0, most: 0 } });
    refuses(backend);
    await assert.rejects(manager.fetch(`${base}/codex/models`), { code: "no_assertion" });
    assert.equal(backend.count("/codex/models"), 0);

    backend.intercept = undefined;
    clock.milliseconds += 60_000;
    const { taskId } = await manager.authorization("models");
    backend.revoked.add(taskId);
    backend.intercept = (_, path) =>
      path.endsWith("/register") ? new Response("{}", { status: 503 }) : undefined;
    assert.equal((await manager.fetch(`${base}/codex/models`)).status, 401);
    assert.equal(backend.count("/codex/models"), 1);
  });

  test("needs the feature gate", () => {
    for (const agentIdentity of [false, undefined]) {
      assert.throws(() => setUp({ strict: true, agentIdentity } as Partial<ManagerOptions>), {
        code: "invalid_manager_config",
        message: /agentIdentity/,
      });
    }
  });
});

describe("a fall-back is told", () => {
  const cases: [reason: string, options: Partial<ManagerOptions>, isRefused: boolean, says: RegExp][] = [
    ["registration-failed", {}, true, /the server .*503|503/],
    ["store-failed", { store: failing }, false, /the disk is gone; plug it in/],
    ["unsupported-host", { baseUrl: elsewhere }, false, /trustedHosts/],
    ["no-account-id", { credentials: withoutAccount }, false, /forcedWorkspaceIds/],
  ];
  for (const [reason, options, isRefused, says] of cases) {
    test(`once, with its reason: ${reason}`, async () => {
      const { clock, backend, manager, warned } = setUp(options);
      if (isRefused) {
        refuses(backend);
      }
      for (let i = 0; i < 3; i++) {
        assert.equal((await manager.authorization("models")).reason, reason);
        clock.milliseconds += 1000;
      }
      assert.equal(warned.length, 1);
      const [message = ""] = warned;
      assert.ok(message.startsWith("agentassert: "));
      assert.ok(message.includes(`(${reason})`));
      assert.match(message, says);
      assert.match(message, /strict/);
      assert.ok(!message.includes(token));
    });
  }

  test("each reason for itself", async () => {
    const all: string[] = [];
    let known: ManagerOptions["credentials"] = withoutAccount;
    const { clock, backend, manager } = setUp({
      credentials: () => known as typeof withoutAccount,
      warn: (message) => all.push(message),
    });
    await manager.authorization("models");
    refuses(backend);
    known = credentials;
    clock.milliseconds += 1000;
    await manager.authorization("models");
    assert.equal(all.length, 2);
  });

  const warnings = (t: TestContext) => t.mock.method(console, "warn", () => undefined).mock;

  test("on the console by default", async (t) => {
    const warned = warnings(t);
    await setUp({ credentials: withoutAccount, warn: undefined } as never).manager.authorization("models");
    assert.equal(warned.callCount(), 1);
    assert.match(String(warned.calls[0]?.arguments[0]), /^agentassert: .*no-account-id/);
  });

  const silent: [string, Partial<ManagerOptions>][] = [
    ["where that is turned off", { warn: false, credentials: withoutAccount }],
    ["where an observer is told", { warn: undefined, observer: {}, credentials: withoutAccount } as never],
    ["of what is meant to carry the token", { warn: undefined, agentIdentity: false } as never],
    ["of what asserts", { warn: undefined } as never],
    ["of somebody with an API key", { warn: undefined, credentials: { kind: "api-key" } } as never],
  ];
  for (const [name, options] of silent) {
    test(`nobody is ${name}`, async (t) => {
      const warned = warnings(t);
      await setUp(options).manager.authorization("models");
      assert.equal(warned.callCount(), 0);
    });
  }

  test("by a function that throws, and the call goes on", async () => {
    const warn = () => {
      throw new Error("no");
    };
    const { manager } = setUp({ credentials: withoutAccount, warn });
    assert.equal((await manager.authorization("models")).mode, "bearer");
  });
});
