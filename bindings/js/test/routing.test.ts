// Where a turn's calls to responses go: to the origin of the account's workspace.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";

import {
  AgentAssert,
  AgentAssertError,
  Manager,
  type Credentials,
  type InstanceConfig,
  type ManagerOptions,
} from "agentassert";

import { isSupportedOrigin } from "../dist/internals.js";
import { apiKey, Backend, base, Clock, credentials, registrar, token } from "./backend.js";
import { notingStore } from "./noting-store.js";

const core = await AgentAssert.load();

const responses = `${base}/codex/responses`;
const elsewhere = "https://eu.chatgpt.com";
const routed = `${elsewhere}/backend-api/codex/responses`;

const dual: InstanceConfig = {
  headerMode: "dual_header",
  installationId: "aa88e197-a6dc-457d-a525-2192aadf9048",
  harness: "codex",
  role: "orchestrator",
};

/** Every form of what calls carry. */
const forms: Record<string, Partial<ManagerOptions>> = {
  biscuit: {},
  "auth-api": { profile: "auth-api", authApiUrl: `${registrar}/api/accounts` },
  dual: { profile: "instances", instance: dual, authApiUrl: registrar },
  only: { profile: "instances", instance: { ...dual, headerMode: "assertion_only" }, authApiUrl: registrar },
  bearer: { agentIdentity: false },
  "bearer of auth-api": { profile: "auth-api", agentIdentity: false },
};

const entry = (origin: string, override = "us_cr", id = "acct-1") => ({
  id,
  workspace_backend_origin: origin,
  account_routing_override: override,
});

const hasCode = (code: string) => (error: unknown) => {
  assert.ok(error instanceof AgentAssertError, `not this package's: ${inspect(error)}`);
  assert.equal(error.code, code);
  return true;
};

/** A turn that has failed because of this. */
const failedFor = (code: string) => (error: unknown) => {
  hasCode("thread_failed")(error);
  return hasCode(code)((error as AgentAssertError).cause);
};

/** A manager that asks where its calls go, with a backend, a store and a clock of its own. */
function setUp(options: Partial<ManagerOptions> = {}, accounts: object[] = [entry(elsewhere)]) {
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  backend.accounts = accounts;
  backend.intercept = ({ url, headers }) => {
    if (url.startsWith(`${registrar}/api/accounts/`)) {
      return Response.json(
        url.endsWith("/task/register") ? { task_id: "task-1" } : { agent_runtime_id: "agent-1" },
      );
    }
    // It does not know the key of an identity that was registered there.
    const isTask = /^AgentAssertion [^1]/.test(headers.get("Authorization") ?? "");
    return isTask && options.profile === "auth-api" ? Response.json({}) : undefined;
  };
  const { store, slots } = notingStore();
  const manager = new Manager({
    core,
    baseUrl: base,
    store,
    credentials,
    agentIdentity: true,
    workspaceRouting: true,
    allowHttp: true,
    fetch: backend.fetch,
    now: clock.now,
    ...options,
  });
  const asked = () => backend.count("/wham/accounts/check");
  return { clock, backend, slots, manager, asked };
}

describe("calls to responses go where the workspace is kept", () => {
  for (const [name, options] of Object.entries(forms)) {
    test(`${name}: with the same path and query, and what they carry`, async () => {
      const { backend, clock, slots, manager, asked } = setUp(options);
      const thread = manager.thread("thread-1");
      for (const url of [`${responses}?a=b#c`, responses]) {
        const init = { method: "POST", body: "{}", headers: { "X-Own": "1" } };
        assert.equal((await manager.fetch(url, init, { thread })).status, 200);
      }
      const calls = backend.seen.filter(({ url }) => url.startsWith(elsewhere));
      assert.deepEqual(
        calls.map(({ method, url, override, body }) => [method, url, override, body]),
        [
          ["POST", `${routed}?a=b`, "us_cr", "{}"],
          ["POST", routed, "us_cr", "{}"],
        ],
      );
      for (const { authorization, assertion, accountId } of calls) {
        assert.equal(accountId, "acct-1");
        const bearer = ["dual", "bearer", "bearer of auth-api"].includes(name);
        assert.equal(authorization === `Bearer ${token}`, bearer);
        assert.equal(authorization.startsWith("AgentAssertion "), !bearer);
        assert.equal(assertion !== "", name === "dual");
      }
      for (const path of ["/files", "/codex/models"]) {
        assert.equal((await manager.fetch(base + path, {}, { thread })).status, 200);
        const { url, override } = backend.seen.at(-1) ?? assert.fail();
        assert.deepEqual([url, override], [base + path, ""]);
      }
      assert.equal(asked(), 1);
      assert.ok(!slots.has("workspace"), "in no store");

      clock.milliseconds += 299_000;
      await manager.fetch(responses, {}, { thread });
      assert.equal(asked(), 1);
      clock.milliseconds += 1000;
      await manager.fetch(responses, {}, { thread });
      assert.equal(asked(), 2, "after five minutes");
    });

    test(`${name}: one question for many calls and threads`, async () => {
      const { backend, manager, asked } = setUp(options);
      const calls = Array.from({ length: 50 }, (_, i) =>
        manager.fetch(responses, {}, { thread: manager.thread(`thread-${i % 10}`) }),
      );
      for (const response of await Promise.all(calls)) {
        assert.equal(response.status, 200);
      }
      assert.equal(asked(), 1);
      assert.equal(backend.seen.filter(({ url }) => url === routed).length, 50);
    });
  }

  test("the question carries what the call does", async () => {
    for (const [name, options] of Object.entries(forms)) {
      const { backend, manager } = setUp({ ...options, credentials: { ...credentials, fedramp: true } });
      await manager.thread("thread-1").authorization();
      const question = backend.seen.find(({ path }) => path === "/wham/accounts/check") ?? assert.fail();
      assert.equal(question.method, "GET");
      assert.deepEqual([question.accountId, question.fedramp], ["acct-1", "true"]);
      assert.equal(question.authorization === `Bearer ${token}`, name !== "only", name);
      assert.equal(question.assertion !== "", name === "dual", name);
    }
  });

  test("the assertion of the question is not the call's", async () => {
    const { backend, manager } = setUp(forms["dual"]);
    await manager.fetch(responses, {}, { thread: manager.thread("a") });
    assert.equal(backend.used.size, 2);
  });

  test("where there is no constraint, to the base URL", async () => {
    const { backend, manager, asked } = setUp({}, [entry("NO_CONSTRAINT", "NO_CONSTRAINT")]);
    const thread = manager.thread("a");
    const { responsesOrigin, accountRoutingOverride } = await thread.authorization();
    assert.deepEqual([responsesOrigin, accountRoutingOverride], ["", ""]);
    const headers = { "X-OpenAI-Account-Routing-Override": "eu" };
    await manager.fetch(responses, { headers }, { thread });
    const { url, override } = backend.seen.at(-1) ?? assert.fail();
    assert.deepEqual([url, override], [responses, ""]);
    assert.equal(asked(), 1);
  });

  test("with an override alone, to the base URL with it", async () => {
    const { backend, manager } = setUp({}, [entry("NO_CONSTRAINT", "us")]);
    const thread = manager.thread("a");
    assert.equal((await thread.headers())["X-OpenAI-Account-Routing-Override"], "us");
    await manager.fetch(responses, {}, { thread });
    const { url, override } = backend.seen.at(-1) ?? assert.fail();
    assert.deepEqual([url, override], [responses, "us"]);
  });

  test("of the account that is forced", async () => {
    const accounts = [entry("https://us.chatgpt.com"), entry(elsewhere, "us", "acct-2")];
    const { manager } = setUp({ forcedWorkspaceIds: ["acct-2"] }, accounts);
    assert.equal((await manager.thread("a").authorization()).responsesOrigin, elsewhere);
  });

  test("a host that is trusted, with its port", async () => {
    const origin = "https://workspace.example:8443";
    const { backend, manager } = setUp({ trustedHosts: ["workspace.example"] }, [entry(origin)]);
    await manager.fetch(responses, {}, { thread: manager.thread("a") });
    assert.equal(backend.seen.at(-1)?.url, `${origin}/backend-api/codex/responses`);
  });

  test("a request is sent there with its body, and without the other server's name", async () => {
    const { backend, manager } = setUp();
    const hosts: (string | null)[] = [];
    const { intercept } = backend;
    backend.intercept = (request, path) => {
      hosts.push(request.headers.get("Host"));
      return intercept?.(request, path);
    };
    const request = new Request(`${responses}?a=b`, { method: "POST", body: "text" });
    const headers = { Host: new URL(base).host, "Content-Type": "text/own" };
    const response = await manager.fetch(request, { headers }, { thread: manager.thread("a") });
    assert.equal(response.status, 200);
    const { method, url, body } = backend.seen.at(-1) ?? assert.fail();
    assert.deepEqual([method, url, body], ["POST", `${routed}?a=b`, "text"]);
    assert.equal(hosts.at(-1), null);
  });

  test("what is rejected is sent there once more", async () => {
    for (const [name, revoke] of [
      ["biscuit", "task-1"],
      ["dual", "instance-1"],
      ["only", "instance-1"],
    ] as const) {
      const { backend, manager, asked } = setUp(forms[name]);
      const thread = manager.thread("a");
      const { taskId } = await thread.authorization();
      backend.revoked.add(name === "biscuit" ? taskId : revoke);
      const response = await manager.fetch(responses, { method: "POST", body: "{}" }, { thread });
      assert.equal(response.status, 200, name);
      const calls = backend.seen.filter(({ url }) => url === routed);
      assert.deepEqual(
        calls.map(({ body, override }) => [body, override]),
        [
          ["{}", "us_cr"],
          ["{}", "us_cr"],
        ],
      );
      assert.equal(asked(), 1, name);
    }
  });
});

describe("no turn", () => {
  const cases: [name: string, accounts: object[], code: string][] = [
    ["to another host", [entry("https://elsewhere.example")], "unsupported_origin"],
    ["without https", [entry("http://chatgpt.com")], "invalid_response"],
    ["to an origin with a path", [entry("https://chatgpt.com/a")], "invalid_response"],
    ["with an override that nobody knows", [entry(elsewhere, "eu")], "invalid_response"],
    ["without an origin", [{ id: "acct-1", account_routing_override: "us" }], "invalid_response"],
    ["for an account that is not there", [entry(elsewhere, "us", "acct-2")], "unknown_workspace"],
    ["for an account that is there twice", [entry(elsewhere), entry(elsewhere)], "unknown_workspace"],
  ];
  for (const [name, accounts, code] of cases) {
    test(name, async () => {
      for (const options of Object.values(forms)) {
        const { backend, manager } = setUp(options, accounts);
        const thread = manager.thread("a");
        await assert.rejects(thread.authorization(), failedFor(code));
        await assert.rejects(manager.fetch(responses, {}, { thread }), failedFor(code));
        assert.ok(!backend.seen.some(({ path, url }) => path === "/codex/responses" || url === routed));
        assert.ok((await thread.authorization("file-upload")).mode !== "none", "others are sent");
      }
    });
  }

  test("while the backend does not say; the next one asks again", async () => {
    const { backend, clock, manager, asked } = setUp();
    backend.intercept = (_, path) =>
      path === "/wham/accounts/check" ? new Response("", { status: 503 }) : undefined;
    const thread = manager.thread("a");
    await assert.rejects(thread.authorization(), failedFor("http_status"));
    backend.intercept = undefined;
    clock.milliseconds += 1000;
    assert.equal((await thread.authorization()).responsesOrigin, elsewhere);
    assert.equal(asked(), 2);
  });

  for (const [name, redirect] of Object.entries({
    "a redirect": () => Response.redirect("https://elsewhere.example/", 307),
    "a redirect back": () => Response.redirect(responses, 302),
    "a redirect that a browser does not show": () =>
      Object.defineProperty(new Response(null), "type", { value: "opaqueredirect" }),
  })) {
    test(`follows ${name}`, async () => {
      for (const mode of ["follow", "manual", "error"] as const) {
        const { backend, manager } = setUp();
        let canceled = 0;
        backend.intercept = ({ url }) => {
          if (url !== routed) {
            return undefined;
          }
          const { status, headers, type } = redirect();
          const cancel = () => {
            canceled++;
          };
          const body = new ReadableStream({ cancel });
          const shown = new Response(body, { status, headers });
          return type === "opaqueredirect" ? redirect() : shown;
        };
        const init = { method: "POST", body: "{}", redirect: mode };
        await assert.rejects(
          manager.fetch(responses, init, { thread: manager.thread("a") }),
          hasCode("redirected"),
        );
        assert.equal(backend.seen.filter(({ url }) => url === routed).length, 1);
        assert.equal(backend.seen.at(-1)?.url, routed);
        assert.equal(canceled, name.endsWith("show") ? 0 : 1, "its body is not left open");
      }
    });
  }
});

describe("nobody is asked", () => {
  const cases: [name: string, options: Partial<ManagerOptions>][] = [
    ["unless that is configured", { workspaceRouting: false }],
    ["for an API key", { ...forms["dual"], credentials: { kind: "api-key", accessToken: apiKey } }],
    ["for nobody", { credentials: { kind: "none" } satisfies Credentials }],
  ];
  for (const [name, options] of cases) {
    test(name, async () => {
      const { manager, asked } = setUp(options);
      const { responsesOrigin } = await manager.thread("a").authorization();
      assert.deepEqual([responsesOrigin, asked()], ["", 0]);
    });
  }

  test("for other surfaces", async () => {
    const { manager, asked } = setUp();
    await manager.authorization("models");
    await manager.bearer();
    await manager.thread("a").authorization("file-upload");
    assert.equal(asked(), 0);
  });
});

test("each manager asks for itself, and forgets it when it is closed", async () => {
  const first = setUp();
  await first.manager.thread("a").authorization();
  await first.manager.close();
  await assert.rejects(first.manager.thread("a").authorization(), hasCode("closed"));
  const second = setUp();
  await second.manager.thread("a").authorization();
  assert.deepEqual([first.asked(), second.asked()], [1, 1]);
});

test("the origins that are supported are the core's", () => {
  const cases: [origin: string, want: boolean][] = [
    ["https://chatgpt.com", true],
    ["https://eu.chatgpt.com", true],
    ["https://chatgpt-staging.com:8443", true],
    ["https://EU.ChatGPT.com", true],
    ["https://workspace.example", true],
    ["https://[::1]", true],
    ["https://[::1]:8443", true],
    ["http://chatgpt.com", false],
    ["https://chatgpt.com/", false],
    ["https://chatgpt.com?", false],
    ["https://chatgpt.com#", false],
    ["https://user@chatgpt.com", false],
    ["https://chatgpt.com\\@elsewhere.example", false],
    ["https://elsewhere.example", false],
    ["https://elsewhere.example#.chatgpt.com", false],
    ["https://chatgpt.com.elsewhere.example", false],
    ["https://notchatgpt.com", false],
    ["https://chatgpt.com:0", false],
    ["https://chatgpt.com:65536", false],
    [" https://chatgpt.com", false],
    ["https://chatgpt.com\n", false],
    ["HTTPS://chatgpt.com", false],
    ["//chatgpt.com", false],
    ["https://", false],
    ["", false],
  ];
  for (const [origin, want] of cases) {
    assert.equal(isSupportedOrigin(origin, ["workspace.example", "::1"]), want, origin);
  }
});
