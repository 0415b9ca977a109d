import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { inspect } from "node:util";

import {
  AgentAssert,
  AgentAssertError,
  Manager,
  codeOf,
  memoryStore,
  type Credentials,
  type ManagerOptions,
  type Store,
  type SurfaceName,
} from "agentassert";

import { Overlay } from "../dist/internals.js";
import { Backend, base, Clock, credentials, envelopeOf, token } from "./backend.js";

const core = await AgentAssert.load();

/** A manager with a backend, a store and a clock of its own. */
function setUp(options: Partial<ManagerOptions> = {}) {
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  const store = options.store ?? memoryStore();
  const open = (more: Partial<ManagerOptions> = {}) =>
    new Manager({
      core,
      baseUrl: base,
      store,
      credentials,
      agentIdentity: true,
      allowHttp: true,
      fetch: backend.fetch,
      now: clock.now,
      ...options,
      ...more,
    });
  return { clock, backend, store, open, manager: open() };
}

/** A store in which one method is another. */
function storeWith(
  method: "load" | "save" | "delete" | "swap" | "lock" | "probe",
  replacement: unknown,
): Store {
  return { ...memoryStore(), [method]: replacement };
}

const hasCode = (code: string) => (error: unknown) => {
  assert.ok(error instanceof AgentAssertError, `not this package's: ${inspect(error)}`);
  assert.equal(error.code, code);
  return true;
};

/** Something that never settles. */
const never = () => new Promise<never>(() => undefined);

describe("who gets what", () => {
  const cases: {
    name: string;
    options?: Partial<ManagerOptions>;
    surface?: SurfaceName;
    want: [mode: string, reason: string];
  }[] = [
    { name: "a background surface", want: ["agent-assertion", "background-task"] },
    { name: "a bearer-only surface", surface: "bootstrap", want: ["bearer", "bearer-only-surface"] },
    { name: "the gate off", options: { agentIdentity: false }, want: ["bearer", "feature-off"] },
    {
      name: "an unsupported host",
      options: { baseUrl: "http://example.org/v1" },
      want: ["bearer", "unsupported-host"],
    },
    {
      name: "a trusted host",
      options: { trustedHosts: ["agent.chatgpt.com"] },
      want: ["agent-assertion", "background-task"],
    },
    {
      name: "an API key",
      options: { credentials: { kind: "api-key" } },
      want: ["none", "no-chatgpt-credentials"],
    },
    {
      name: "no account",
      options: { credentials: { kind: "chatgpt", accessToken: token } },
      want: ["bearer", "no-account-id"],
    },
    {
      name: "credentials with empty members",
      options: { credentials: { ...credentials, userId: "", fedramp: false } },
      want: ["agent-assertion", "background-task"],
    },
    {
      name: "credentials by a function",
      options: { credentials: () => Promise.resolve(credentials) },
      want: ["agent-assertion", "background-task"],
    },
  ];
  for (const { name, options, surface = "analytics", want } of cases) {
    test(name, async () => {
      const { manager } = setUp(options);
      const a = await manager.authorization(surface);
      assert.deepEqual([a.mode, a.reason], want);
    });
  }
});

test("an identity and a task are registered once, kept, and used by the next manager", async () => {
  const { backend, manager, open } = setUp();
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => manager.authorization(i % 2 === 0 ? "analytics" : "models")),
  );
  assert.equal(new Set(answers.map((a) => a.header)).size, 1);
  assert.deepEqual(
    backend.seen.map(({ method, path }) => `${method} ${path}`),
    [
      "GET /authenticate_app_v2",
      "POST /v1/agent/register",
      "GET /authenticate_app_v2",
      "POST /v1/agent/agent-1/task/register",
    ],
  );
  const again = await open().authorization("apps");
  assert.equal(again.taskId, "task-1");
  assert.equal(backend.seen.length, 4);
});

test("a header is used again within its second, and no longer", async () => {
  const { clock, manager } = setUp();
  const first = await manager.authorization("analytics");
  clock.milliseconds += 999;
  assert.equal(await manager.authorization("models"), first);
  clock.milliseconds += 1;
  const second = await manager.authorization("analytics");
  assert.notEqual(second.header, first.header);
  assert.equal(second.validUntil, first.validUntil + 1);
  clock.milliseconds -= 1000; // a clock that is set back
  assert.equal((await manager.authorization("analytics")).header, first.header);
});

test("what a call carries", async () => {
  const { backend, manager } = setUp();
  const response = await manager.fetch(`${base}/codex/analytics-events/events`, {
    method: "POST",
    body: "{}",
  });
  assert.deepEqual(await response.json(), { scheme: "agent-assertion", task: "task-1" });
  assert.equal(backend.seen.at(-1)?.accountId, "acct-1");
  assert.deepEqual(Object.keys(await manager.headers("models")), ["Authorization", "ChatGPT-Account-ID"]);
  const mcp = await manager.appsMCPServer();
  assert.equal(mcp.url, `${base}/wham/apps`);
  assert.equal(mcp.headers["Authorization"], `Bearer ${token}`);
  assert.equal((await manager.appsMCPServer("Bearer other")).headers["Authorization"], "Bearer other");
});

describe("threads", () => {
  test("have tasks of their own, which are kept", async () => {
    const { manager, open } = setUp();
    const a = await manager.thread("a").authorization();
    const b = await manager.thread("b").authorization();
    const background = await manager.authorization("analytics");
    assert.equal(new Set([a.taskId, b.taskId, background.taskId]).size, 3);
    assert.equal((await open().thread("a").authorization()).taskId, a.taskId);
  });

  test("fail for a turn, and try again with the next", async () => {
    const { backend, manager } = setUp();
    const thread = manager.thread("a");
    backend.intercept = () => new Response("", { status: 503 });
    await assert.rejects(thread.authorization(), (error) => {
      hasCode("thread_failed")(error);
      assert.equal(codeOf((error as Error).cause), "http_status");
      return true;
    });
    backend.intercept = undefined;
    await assert.rejects(thread.authorization(), hasCode("thread_failed")); // the same second
    assert.equal((await manager.thread("a").authorization()).mode, "agent-assertion");
  });

  const wrong: [string, (m: Manager) => Promise<unknown>, string][] = [
    ["a thread's surface without a thread", (m) => m.authorization("responses"), "thread_surface"],
    ["a background surface of a thread", (m) => m.thread("a").authorization("apps"), "thread_surface"],
    ["an id with a control character", (m) => m.thread("a\n").authorization(), "invalid_thread_id"],
    ["an empty id", (m) => m.thread("").authorization(), "thread_surface"],
    ["a call without its thread", (m) => m.fetch(`${base}/codex/responses`), "thread_surface"],
    [
      "a thread of another manager",
      (m) => m.fetch(`${base}/codex/responses`, {}, { thread: setUp().manager.thread("a") }),
      "thread_surface",
    ],
    ["a surface that there is not", (m) => m.authorization("nothing" as SurfaceName), "unknown_surface"],
  ];
  for (const [name, ask, code] of wrong) {
    test(name, async () => {
      await assert.rejects(ask(setUp().manager), hasCode(code));
    });
  }
});

describe("recovery", () => {
  test("of many calls that are rejected with one task, one registers", async () => {
    const { backend, manager } = setUp();
    await manager.prewarm();
    backend.revoked.add("task-1");
    const calls = Array.from({ length: 20 }, () => manager.fetch(`${base}/codex/models`));
    for (const response of await Promise.all(calls)) {
      assert.deepEqual(await response.json(), { scheme: "agent-assertion", task: "task-2" });
    }
    assert.deepEqual([backend.identities.length, backend.tasks.length], [1, 2]);
  });

  test("a second 401 is the caller's", async () => {
    const { backend, manager } = setUp();
    backend.intercept = (_, path) =>
      path === "/codex/models" ? new Response("", { status: 401 }) : undefined;
    const response = await manager.fetch(`${base}/codex/models`);
    assert.equal(response.status, 401);
    assert.equal(backend.count("/codex/models"), 2);
  });

  test("a 401 to a bearer token touches no task", async () => {
    const { backend, manager } = setUp({ agentIdentity: false });
    backend.intercept = () => new Response("", { status: 401 });
    assert.equal((await manager.fetch(`${base}/codex/models`)).status, 401);
    assert.equal(backend.seen.length, 1);
  });

  test("the authorization of another manager is left alone", async () => {
    const { backend, manager, open } = setUp();
    const a = await manager.authorization("models");
    assert.equal(await open().recover(a), a);
    assert.equal(backend.tasks.length, 1);
  });

  /** Answers calls, and no registration, with 401 while revoked has their task. */
  const rejecting = (headers: Record<string, string>, body: BodyInit) => {
    const all = setUp();
    const rejected: string[] = [];
    all.backend.intercept = (request, path) => {
      const header = request.headers.get("Authorization") ?? "";
      if (path !== "/codex/models" || !header.startsWith("AgentAssertion ") || rejected.length > 0) {
        return undefined;
      }
      rejected.push(envelopeOf(core, header).agentRuntimeId);
      return new Response(body, { status: 401, headers });
    };
    return { ...all, rejected };
  };

  test("of an agent that the backend does not know, whose identity is set aside", async () => {
    const { manager, backend, store } = rejecting({}, JSON.stringify({ error: { code: "unknown_agent" } }));
    const response = await manager.fetch(`${base}/codex/models`);
    assert.equal(response.status, 200);
    assert.deepEqual(backend.identities, ["agent-1", "agent-2"]);
    const a = await manager.authorization("models");
    assert.deepEqual([a.agentRuntimeId, a.notice?.code], ["agent-2", "identity_set_aside"]);
    const aside = await store.load("set-aside", { core, signal: new AbortController().signal });
    assert.match(new TextDecoder().decode(aside), /agent-1/);
  });

  test("a clock that is off costs no task, and is named", async () => {
    const { manager, backend, clock } = rejecting(
      { Date: new Date(new Clock().milliseconds + 3_600_000).toUTCString() },
      JSON.stringify({ error: { code: "task_expired" } }),
    );
    const stream: RequestInit & { duplex: "half" } = {
      method: "POST",
      body: new Blob(["text"]).stream(),
      duplex: "half",
    };
    const response = await manager.fetch(`${base}/codex/models`, stream);
    assert.equal(response.status, 401);
    assert.deepEqual(await response.json(), { error: { code: "task_expired" } }, "the body is the caller's");
    assert.equal(backend.tasks.length, 1);
    clock.milliseconds += 1000;
    assert.equal((await manager.authorization("models")).taskId, "task-1");
  });

  test("what the answer says is what recover is told", async () => {
    const { manager } = setUp();
    const a = await manager.authorization("models");
    const date = new Date(new Clock().milliseconds - 3_600_000).toUTCString();
    const response = new Response("no JSON", { status: 401, headers: { Date: date } });
    const { cause, mode } = await manager.recover(a, { response });
    assert.deepEqual([mode, cause?.code], ["bearer", "clock_skew"]);
    assert.match(cause?.message ?? "", /1 h ahead/);
    assert.equal(await response.text(), "no JSON");
  });

  const refusals: [string, () => Response][] = [
    [
      "is used up",
      () => {
        const response = new Response("{}", { status: 401 });
        void response.text();
        return response;
      },
    ],
    ["is empty", () => new Response(null, { status: 401 })],
    ["has no code", () => Response.json({ error: "what is wrong" }, { status: 401 })],
    ["has the code of a task", () => Response.json({ detail: { code: "task_not_found" } }, { status: 401 })],
    ["has a code that is no text", () => Response.json({ error: { code: 5 } }, { status: 401 })],
    [
      "has a code that is too long",
      () => Response.json({ error: { code: "x".repeat(5000) } }, { status: 401 }),
    ],
    [
      "does not end",
      () =>
        new Response(
          new ReadableStream({
            pull: (c) => {
              c.enqueue(new Uint8Array(16 << 10));
            },
          }),
          { status: 401 },
        ),
    ],
    [
      "breaks off",
      () =>
        new Response(
          new ReadableStream({
            pull: (c) => {
              c.error(new Error("reset"));
            },
          }),
          { status: 401 },
        ),
    ],
  ];
  for (const [name, response] of refusals) {
    test(`a refusal whose body ${name}`, async () => {
      const { manager } = setUp();
      const a = await manager.authorization("models");
      assert.equal((await manager.recover(a, { response: response() })).taskId, "task-2");
    });
  }

  for (const body of [
    { error: { code: "account_deactivated" } },
    { detail: { code: "account_deactivated" } },
    { code: "account_deactivated" },
    { error: "account_deactivated" },
  ]) {
    test(`another reason, said as ${JSON.stringify(body)}, replaces nothing`, async () => {
      const { backend, manager } = setUp();
      const a = await manager.authorization("models");
      backend.intercept = (_, path) =>
        path === "/codex/models" ? Response.json(body, { status: 401 }) : undefined;
      const response = await manager.fetch(`${base}/codex/models`);
      assert.deepEqual([response.status, await response.json()], [401, body]);
      assert.equal(backend.count("/codex/models"), 1);
      assert.equal((await manager.authorization("models")).header, a.header);
      const { mode, reason, cause } = await manager.recover(a, {
        response: Response.json(body, { status: 401 }),
      });
      assert.deepEqual([mode, reason, cause?.code], ["none", "assertion-rejected", "assertion_rejected"]);
      assert.match(cause?.message ?? "", /account_deactivated/);
      assert.equal(backend.tasks.length, 1);
    });
  }

  test("a task that cannot be replaced stays, and is no loop", async () => {
    const { backend, manager, clock, open } = setUp();
    const { taskId } = await manager.authorization("models");
    backend.intercept = (_, path) =>
      path === "/authenticate_app_v2" ? new Response("", { status: 503 }) : undefined;
    assert.equal((await manager.recover(await manager.authorization("models"))).cause?.code, "http_status");
    for (let i = 0; i < 3; i++) {
      clock.milliseconds += 1000;
      const { mode, cause } = await manager.authorization("models");
      assert.deepEqual([mode, cause?.code], ["bearer", "backing_off"]);
      assert.equal((await open().authorization("models")).taskId, taskId, "it is still stored");
    }
    assert.equal(backend.count("/authenticate_app_v2"), 3, "two before, and one that failed");
  });

  test("pauses and capabilities", async () => {
    const { backend, manager } = setUp({ pauses: { first: 0, most: 0 }, capabilities: ["a", "b"] });
    const a = await manager.authorization("models");
    const registered = backend.seen.find(({ path }) => path === "/v1/agent/register");
    assert.match(registered?.body ?? "", /"capabilities":\["a","b"\]/);
    backend.intercept = (_, path) =>
      path === "/authenticate_app_v2" ? new Response("", { status: 503 }) : undefined;
    for (let i = 0; i < 2; i++) {
      assert.deepEqual((await manager.recover(a)).cause?.code, "http_status");
    }
    assert.equal(backend.count("/authenticate_app_v2"), 4, "there is no pause");
    const { manager: other } = setUp({ pauses: { first: 2, most: 1 } });
    await assert.rejects(other.authorization("models"), { code: "invalid_config" });
  });

  const bodies: [string, () => RequestInit & { duplex?: "half" }, boolean][] = [
    ["text", () => ({ body: "text" }), true],
    ["bytes", () => ({ body: new Uint8Array([1, 2]) }), true],
    ["a form", () => ({ body: new URLSearchParams({ a: "b" }) }), true],
    ["none", () => ({}), true],
    ["a stream", () => ({ body: new Blob(["text"]).stream(), duplex: "half" }), false],
  ];
  for (const [name, init, replayed] of bodies) {
    test(`a body that is ${name}`, async () => {
      const { backend, manager } = setUp();
      await manager.prewarm();
      backend.revoked.add("task-1");
      const response = await manager.fetch(`${base}/codex/analytics-events`, { method: "POST", ...init() });
      assert.equal(response.status, replayed ? 200 : 401);
      const sent = backend.seen.filter(({ path }) => path === "/codex/analytics-events");
      assert.equal(new Set(sent.map(({ body }) => body)).size, 1);
      assert.equal(sent.length, replayed ? 2 : 1);
      assert.equal((await manager.authorization("models")).taskId, "task-2");
    });
  }

  const megabytes = (count: number) => new Uint8Array(count << 20);
  const requests: [string, () => RequestInit & { duplex?: "half" }, boolean][] = [
    ...bodies.filter(([name]) => name !== "a stream"),
    ["a stream that ends", () => ({ body: new Blob(["text"]).stream(), duplex: "half" }), true],
    ["of 16 MiB", () => ({ body: megabytes(16) }), true],
    ["larger", () => ({ body: megabytes(17) }), false],
  ];
  for (const [name, init, replayed] of requests) {
    test(`a Request whose body is ${name}`, async () => {
      const { backend, manager } = setUp();
      await manager.prewarm();
      backend.revoked.add("task-1");
      const url = `${base}/codex/analytics-events`;
      const request = new Request(url, { method: "POST", headers: { "Content-Type": "a/b" }, ...init() });
      assert.equal((await manager.fetch(request)).status, replayed ? 200 : 401);
      const sent = backend.seen.filter(({ path }) => path === "/codex/analytics-events");
      assert.equal(sent.length, replayed ? 2 : 1);
      assert.equal(new Set(sent.map(({ body, contentType }) => body + contentType)).size, 1);
      assert.equal((await manager.fetch(new Request(`${base}/codex/models`))).status, 200);
    });
  }

  test("a Request whose body goes on after the answer is sent once, and read no further", async () => {
    const { backend, open } = setUp();
    const manager = open({
      fetch: async (input, init) => {
        if (!(input instanceof Request)) {
          return backend.fetch(input, init);
        }
        void input.body?.cancel(); // as who has its answer does
        return new Response("{}", { status: 401 });
      },
    });
    await new Promise<void>((resolve, reject) => {
      const body = new ReadableStream({
        cancel: () => {
          resolve();
        },
      });
      const init = { method: "POST", body, duplex: "half" } as const;
      manager.fetch(new Request(`${base}/codex/analytics-events`, init)).then(({ status }) => {
        assert.equal(status, 401);
      }, reject);
    });
  });
});

test("the surface of a call is that of its path, and a call that carries nothing has none", () => {
  const { surfaceOf } = setUp().manager;
  const urls: [string | URL, string | undefined][] = [
    [`${base}/codex/responses`, "responses"],
    [`${base}/codex/responses/compact?a=b`, "responses"],
    [new URL(`${base}/codex/models`), "models"],
    [`${base}/something/new`, "background"],
    [`${base}x/codex/models`, undefined],
    [`${base}/..%2fcodex/models`, undefined],
    ["http://example.org/backend-api/codex/models", undefined],
    ["/codex/models", undefined],
    ["", undefined],
  ];
  for (const [url, surface] of urls) {
    assert.equal(surfaceOf(url), surface, String(url));
  }
});

describe("where an authorization goes", () => {
  const elsewhere = [
    "http://agent.chatgpt.com/other",
    "http://agent.chatgpt.com/backend-apix/models",
    "http://agent.chatgpt.com:8080/backend-api/codex/models",
    "https://agent.chatgpt.com/backend-api/codex/models",
    "http://example.org/backend-api/codex/models",
    "http://agent.chatgpt.com/backend-api/../other",
  ];
  for (const url of elsewhere) {
    test(`not to ${url}`, async () => {
      const { backend, manager } = setUp();
      await manager.fetch(url, {}, { surface: "models" });
      assert.deepEqual(
        backend.seen.map((s) => [s.authorization, s.accountId]),
        [["", ""]],
      );
    });
  }

  /** Answers /codex/models with a redirect. */
  const redirecting = (status: number, to: string) => {
    const all = setUp();
    all.backend.intercept = (_, path) =>
      path === "/codex/models" ? new Response("", { status, headers: { Location: to } }) : undefined;
    return all;
  };

  test("with a redirect within the backend, to the new place", async () => {
    const { backend, manager } = redirecting(302, "/backend-api/wham/tasks");
    assert.deepEqual(await (await manager.fetch(`${base}/codex/models`)).json(), {
      scheme: "agent-assertion",
      task: "task-1",
    });
    assert.equal(backend.seen.at(-1)?.path, "/wham/tasks");
  });

  for (const to of [
    "http://example.org/",
    "https://agent.chatgpt.com/backend-api/codex/tasks",
    "/elsewhere",
  ]) {
    test(`not with a redirect to ${to}`, async () => {
      const { backend, manager } = redirecting(307, to);
      const own = { Authorization: "Basic own", Cookie: "c=1", "X-Own": "kept" };
      const response = await manager.fetch(`${base}/codex/models`, {
        method: "POST",
        body: "text",
        headers: own,
      });
      assert.equal(response.status, 200);
      const last = backend.seen.at(-1);
      assert.ok(last);
      assert.equal(last.accountId, "");
      assert.equal(last.authorization, to.startsWith("/") ? "Basic own" : "");
      assert.deepEqual([last.method, last.body], ["POST", "text"]);
    });
  }

  /** Answers requests to some URLs with a redirect. */
  const leading = (places: Record<string, string>, options: Partial<ManagerOptions> = {}) => {
    const all = setUp(options);
    all.backend.intercept = ({ url }) => {
      const to = places[url];
      return to === undefined ? undefined : new Response("", { status: 307, headers: { Location: to } });
    };
    return all;
  };
  const outside = "http://example.org/away";

  const detours: [string, Record<string, string>][] = [
    ["another site", { [`${base}/codex/models`]: outside, [outside]: `${base}/wham/tasks` }],
    [
      "another path of the same site",
      {
        [`${base}/codex/models`]: "/elsewhere",
        "http://agent.chatgpt.com/elsewhere": `${base}/wham/tasks`,
      },
    ],
    [
      "another site, and on by itself",
      {
        [`${base}/codex/models`]: outside,
        [outside]: `${base}/wham/apps`,
        [`${base}/wham/apps`]: `${base}/wham/tasks`,
      },
    ],
  ];
  for (const [name, places] of detours) {
    test(`not with a redirect that comes back from ${name}`, async () => {
      const { backend, manager } = leading(places);
      const response = await manager.fetch(`${base}/codex/models`, { method: "POST", body: "text" });
      assert.equal(response.status, 200);
      const calls = backend.seen.slice(-1 - Object.keys(places).length);
      assert.deepEqual([calls[0]?.path, calls.at(-1)?.path], ["/codex/models", "/wham/tasks"]);
      assert.match(calls[0]?.authorization ?? "", /^AgentAssertion /);
      for (const { url, authorization, accountId } of calls.slice(1)) {
        assert.deepEqual([authorization, accountId], ["", ""], url);
      }
    });
  }

  test("not with a call that begins elsewhere and is led inside by the platform's own fetch", async (t) => {
    const seen: [string, string][] = [];
    const server = createServer((request, response) => {
      seen.push([request.url ?? "", request.headers.authorization ?? ""]);
      response.writeHead(request.url === "/away" ? 307 : 200, { Location: "/backend-api/codex/models" });
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const manager = new Manager({
      core,
      baseUrl: `${origin}/backend-api`,
      store: memoryStore(),
      credentials,
    });
    assert.equal((await manager.fetch(`${origin}/backend-api/codex/models`)).status, 200);
    assert.equal((await manager.fetch(`${origin}/away`, { method: "POST", body: "text" })).status, 200);
    assert.deepEqual(seen, [
      ["/backend-api/codex/models", `Bearer ${token}`],
      ["/away", ""],
      ["/backend-api/codex/models", ""],
    ]);
  });

  const hosts: [header: string, authorized: boolean][] = [
    ["agent.chatgpt.com", true],
    ["Agent.ChatGPT.com:80", true],
    ["evil.example", false],
    ["agent.chatgpt.com:81", false],
    ["agent.chatgpt.com, evil.example", false],
  ];
  for (const [host, authorized] of hosts) {
    test(`${authorized ? "to" : "not to"} the backend with the Host ${host}`, async () => {
      const { backend, manager } = leading({ [`${base}/codex/models`]: `${base}/wham/tasks` });
      // As on the server's side, where a Request keeps what it is given.
      const calls: [string, RequestInit][] = [
        [`${base}/codex/models`, { headers: { Host: host } }],
        [`${base}/wham/tasks`, { headers: [["hOST", host]] }],
      ];
      for (const [url, init] of calls) {
        await manager.fetch(url, init);
        const last = backend.seen.at(-1);
        assert.equal(last?.path, "/wham/tasks");
        assert.equal(last.authorization.startsWith("AgentAssertion "), authorized);
        assert.equal(last.accountId, authorized ? "acct-1" : "");
      }
    });
  }

  describe("with an API key the caller's own stays", () => {
    const own = {
      Authorization: "Bearer sk-own",
      "ChatGPT-Account-ID": "forged",
      "X-OpenAI-Fedramp": "true",
    };
    const kinds: [Credentials, string][] = [
      [{ kind: "api-key" }, "Bearer sk-own"],
      [{ kind: "none" }, ""],
      [{ kind: "other" }, ""],
      [{ kind: "chatgpt", accessToken: token }, `Bearer ${token}`],
    ];
    for (const [who, want] of kinds) {
      test(`${who.kind}: ${want || "none"}`, async () => {
        const { backend, manager } = setUp({ credentials: who });
        await manager.fetch(`${base}/codex/models`, { headers: own });
        const last = backend.seen.at(-1);
        assert.deepEqual([last?.authorization, last?.accountId], [want, ""]);
        const headers = new Headers(own);
        (await manager.authorization("models")).setHeaders(headers);
        assert.deepEqual(
          [headers.get("Authorization") ?? "", headers.has("X-OpenAI-Fedramp")],
          [want, false],
        );
      });
    }

    test("but goes to no other site", async () => {
      const { backend, manager } = leading(
        { [`${base}/codex/models`]: outside },
        { credentials: { kind: "api-key" } },
      );
      await manager.fetch(`${base}/codex/models`, { headers: own });
      assert.deepEqual(
        backend.seen.map(({ authorization }) => authorization),
        ["Bearer sk-own", ""],
      );
    });
  });

  describe("whatever the module says", () => {
    /** A core whose answers to some methods are others. */
    const lying = async (answers: Record<string, unknown>) => {
      const liar = await AgentAssert.load();
      const { call } = liar;
      return Object.assign(liar, {
        call: ((method: "surface.lookup", params: { surface: string }) =>
          answers[method] ?? call(method, params)) as typeof call,
      });
    };
    const inside = { inside: true, surface: "models", scope: "background" };

    test("not outside of the base URL", async () => {
      const { backend, manager } = setUp({ core: await lying({ "surface.locate": inside }) });
      for (const url of ["http://example.org/backend-api/x", `${base}/%2e%2e%2fx`, `${base}x`]) {
        await manager.fetch(url);
        assert.deepEqual([backend.seen.at(-1)?.url, backend.seen.at(-1)?.authorization], [url, ""]);
      }
    });

    test("a call is on the surface of its path", async () => {
      for (const surface of ["bootstrap", "responses", "admin", ["models"]]) {
        const place = { inside: false, surface, scope: "bearer-only" };
        const { backend, manager } = setUp({
          core: await lying({ "surface.locate": place, "surface.lookup": place }),
        });
        assert.equal((await manager.authorization("models")).mode, "agent-assertion");
        await manager.fetch(`${base}/codex/models`);
        assert.match(backend.seen.at(-1)?.authorization ?? "", /^AgentAssertion /);
      }
    });

    test("the apps' server is where it is", async () => {
      for (const path of ["/../../evil", ".evil.example/", "@evil.example/"]) {
        const { manager } = setUp({
          core: await lying({ "surface.lookup": { surface: "mcp", scope: "background", path } }),
        });
        assert.equal((await manager.appsMCPServer()).url, `${base}/wham/apps`);
      }
    });

    test("not to a base URL of another server", async () => {
      const liar = await lying({
        "base_url.normalize": {
          baseUrl: "http://127.0.0.1:1/backend-api",
          host: "127.0.0.1",
          supported: true,
        },
      });
      assert.throws(() => setUp({ core: liar }), hasCode("policy_violation"));
    });
  });

  test("a POST becomes a GET where the standard says so", async () => {
    const { backend, manager } = redirecting(303, "/backend-api/wham/tasks");
    await manager.fetch(`${base}/codex/models`, { method: "POST", body: "text" });
    assert.deepEqual([backend.seen.at(-1)?.method, backend.seen.at(-1)?.body], ["GET", ""]);
  });

  test("a redirect that nobody wants followed", async () => {
    const { manager } = redirecting(302, "/backend-api/wham/tasks");
    assert.equal((await manager.fetch(`${base}/codex/models`, { redirect: "manual" })).status, 302);
    await assert.rejects(
      manager.fetch(`${base}/codex/models`, { redirect: "error" }),
      hasCode("redirect_refused"),
    );
  });

  const refused: [string, number, string, RequestInit & { duplex?: "half" }][] = [
    ["a circle", 302, "/backend-api/codex/models", {}],
    ["to no URL", 302, "http://", {}],
    ["to no URL of the web", 302, "data:,text", {}],
    [
      "a body that cannot be sent again",
      307,
      "/backend-api/wham/tasks",
      { method: "POST", body: new Blob(["text"]).stream(), duplex: "half" },
    ],
  ];
  for (const [name, status, to, init] of refused) {
    test(`a redirect that is refused: ${name}`, async () => {
      const { manager } = redirecting(status, to);
      await assert.rejects(manager.fetch(`${base}/codex/models`, init), hasCode("redirect_refused"));
    });
  }
});

describe("a backend that fails", () => {
  const faults: [string, () => Response | Promise<Response>, string][] = [
    ["rejects", () => Promise.reject(new TypeError("fetch failed")), "request_failed"],
    [
      "has a certificate that nobody trusts",
      () => Promise.reject(new TypeError("fetch failed", { cause: { code: "DEPTH_ZERO_SELF_SIGNED_CERT" } })),
      "request_failed",
    ],
    [
      "throws at once",
      () => {
        throw new Error("no");
      },
      "request_failed",
    ],
    ["answers with nothing", () => undefined as unknown as Response, ""],
    ["answers with what is no response", () => "text" as unknown as Response, "request_failed"],
    ["refuses", () => new Response("no", { status: 403 }), "http_status"],
    ["leads elsewhere", () => Response.redirect("http://example.org/", 302), "http_status"],
    ["sends garbage", () => new Response(new Uint8Array([255, 254, 0])), "invalid_response"],
    ["sends without end", () => new Response(endless()), "request_failed"],
    [
      "breaks off",
      () =>
        new Response(
          new ReadableStream({
            pull: (c) => {
              c.error(new Error("reset"));
            },
          }),
        ),
      "request_failed",
    ],
  ];
  /** A body of zeroes that does not end. */
  function endless(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(16 << 10));
      },
    });
  }
  for (const [name, answer, code] of faults) {
    test(name, async () => {
      const { backend, clock, manager } = setUp();
      backend.intercept = answer;
      const a = await manager.authorization("models");
      if (code === "") {
        assert.equal(a.mode, "agent-assertion");
        return;
      }
      assert.deepEqual([a.mode, a.reason, a.cause?.code], ["bearer", "registration-failed", code]);
      assert.ok(a.retryAt && a.retryAt > clock.milliseconds / 1000);
      // The failure is remembered: the next call does not ask.
      const requests = backend.seen.length;
      clock.milliseconds += 1000;
      assert.equal((await manager.authorization("models")).cause?.code, "backing_off");
      assert.equal(backend.seen.length, requests);
    });
  }

  test("never answers", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { backend, manager } = setUp();
    const asked = new Promise<void>((resolve) => {
      backend.intercept = () => {
        resolve();
        return never();
      };
    });
    const answer = manager.authorization("models");
    await asked;
    t.mock.timers.tick(15_000);
    assert.equal((await answer).cause?.code, "request_failed");
    assert.match(inspect((await answer).cause?.cause), /in time/);
  });

  test("never answers a caller that stops waiting", async () => {
    const { backend, manager } = setUp();
    const caller = new AbortController();
    backend.intercept = () => {
      caller.abort();
      return never();
    };
    const other = manager.authorization("models"); // waits for the same registration
    await assert.rejects(manager.authorization("models", { signal: caller.signal }), hasCode("canceled"));
    await assert.rejects(
      manager.fetch(`${base}/codex/models`, { signal: AbortSignal.abort() }),
      hasCode("canceled"),
    );
    await manager.close();
    assert.deepEqual([(await other).mode, (await other).cause?.code], ["bearer", "request_failed"]);
    await assert.rejects(manager.authorization("models"), hasCode("closed"));
  });

  test("sends the credential back in an error", async () => {
    const { backend, manager } = setUp();
    backend.intercept = () => Promise.reject(new Error("bad", { cause: new Error(`HTTP/1.1 400 ${token}`) }));
    const { cause } = await manager.authorization("models");
    assert.equal(cause?.code, "request_failed");
    assert.doesNotMatch(inspect(cause, { depth: 10, showHidden: true }), new RegExp(token));
  });
});

describe("a store that fails", () => {
  const throws = () => {
    throw new Error("the disk is gone");
  };
  const faults: [string, Store, string][] = [
    ["load throws", storeWith("load", throws), "store_failed"],
    ["load rejects", storeWith("load", () => Promise.reject(new Error("no"))), "store_failed"],
    ["load returns text", storeWith("load", () => Promise.resolve("{}")), "store_failed"],
    ["load returns no bytes", storeWith("load", () => Promise.resolve(new Uint8Array())), "store_failed"],
    ["lock throws", storeWith("lock", throws), "store_failed"],
    ["probe rejects", storeWith("probe", () => Promise.reject(new Error("full"))), "store_failed"],
    ["swap rejects", storeWith("swap", () => Promise.reject(new Error("full"))), "store_failed"],
  ];
  for (const [name, store, code] of faults) {
    test(name, async () => {
      const { manager } = setUp({ store });
      const a = await manager.authorization("models");
      assert.deepEqual([a.mode, a.cause?.code], ["bearer", code]);
      assert.ok(a.cause?.cause, "the host's own words are lost");
    });
  }

  test("a detached buffer", async () => {
    const record = new TextEncoder().encode("{}");
    structuredClone(record.buffer, { transfer: [record.buffer] });
    const { manager } = setUp({ store: storeWith("load", () => Promise.resolve(record)) });
    assert.equal((await manager.authorization("models")).cause?.code, "store_failed");
  });

  test("never settles", async () => {
    const { manager } = setUp({ store: storeWith("load", never) });
    const waiting = manager.authorization("models");
    await manager.close();
    assert.equal((await waiting).mode, "bearer");
  });

  test("gets its lock back when the manager is closed, even late", async () => {
    let give!: (unlock: () => void) => void;
    let asked!: () => void;
    const wanted = new Promise<void>((resolve) => (asked = resolve));
    const lock = () =>
      new Promise<() => void>((resolve) => {
        give = resolve;
        asked();
      });
    const { manager } = setUp({ store: storeWith("lock", lock) });
    const waiting = manager.authorization("models");
    await wanted;
    await manager.close();
    await waiting;
    await new Promise<void>((resolve) => {
      give(resolve);
    });
  });

  test("a failure that cannot be saved is remembered all the same", async () => {
    const memory = memoryStore();
    const store = { ...memory, save: () => Promise.reject(new Error("full")) };
    const { backend, clock, manager } = setUp({ store });
    backend.intercept = () => new Response("", { status: 500 });
    assert.equal((await manager.authorization("models")).cause?.code, "http_status");
    clock.milliseconds += 1000;
    assert.equal((await manager.authorization("models")).cause?.code, "backing_off");
  });
});

describe("a store that is read-only", () => {
  const readOnly = () => Promise.reject(new AgentAssertError("store_read_only", "mounted read-only"));

  /** A store that holds what another manager has registered, and takes no more. */
  async function frozen() {
    const all = setUp();
    const memory = memoryStore();
    const first = all.open({ store: memory });
    await first.prewarm();
    await first.thread("kept").prewarm();
    const store = {
      ...memory,
      save: readOnly,
      swap: readOnly,
      delete: readOnly,
      lock: readOnly,
      probe: readOnly,
    };
    return { ...all, memory, store, manager: all.open({ store }) };
  }

  test("serves what it holds, and the rest is kept in memory", async () => {
    const { manager, backend, clock } = await frozen();
    assert.equal((await manager.authorization("models")).taskId, "task-1");
    assert.equal((await manager.thread("kept").authorization()).taskId, "task-2");
    for (let i = 0; i < 3; i++) {
      clock.milliseconds += 1000;
      assert.equal((await manager.thread("new").authorization()).taskId, "task-3");
    }
    backend.revoked.add("task-1");
    assert.deepEqual(await (await manager.fetch(`${base}/codex/models`)).json(), {
      scheme: "agent-assertion",
      task: "task-4",
    });
    clock.milliseconds += 1000;
    assert.equal((await manager.authorization("models")).taskId, "task-4");
    assert.deepEqual([backend.identities.length, backend.tasks.length], [1, 4]);
  });

  test("what somebody else has put there since counts", async () => {
    const { manager, memory, clock, backend } = await frozen();
    const { signal } = new AbortController();
    await manager.thread("new").authorization();
    const task = await memory.load("thread/kept", { core, signal });
    assert.ok(task);
    await memory.save("thread/new", task, { core, signal });
    clock.milliseconds += 1000;
    assert.equal((await manager.thread("new").authorization()).taskId, "task-2");
    assert.equal(backend.tasks.length, 3);
  });

  test("registers nothing where it holds nothing", async () => {
    const store = { ...memoryStore(), save: readOnly, swap: readOnly, probe: readOnly };
    const { manager, backend } = setUp({ store });
    const a = await manager.authorization("models");
    assert.deepEqual([a.mode, a.cause?.code], ["bearer", "store_read_only"]);
    assert.equal(backend.seen.length, 0);
  });

  test("keeps so many threads and no more", async () => {
    const store = new Overlay({ ...memoryStore(), save: readOnly }, 2);
    const context = { core, signal: new AbortController().signal };
    for (const slot of ["backend", "thread/1", "thread/2", "thread/1", "thread/3"]) {
      await assert.rejects(
        store.write(slot, undefined, Uint8Array.of(1), context),
        hasCode("store_read_only"),
      );
    }
    const kept = async (slot: string) => (await store.load(slot, context)).record !== undefined;
    for (const [slot, want] of Object.entries({
      backend: true,
      "thread/1": true,
      "thread/2": false,
      "thread/3": true,
    })) {
      assert.equal(await kept(slot), want, slot);
    }
  });
});

test("a conversation that is over is forgotten", async () => {
  const { manager, store, clock } = setUp();
  await manager.thread("a").prewarm();
  await manager.forget("a");
  assert.equal(await store.load("thread/a", { core, signal: new AbortController().signal }), undefined);
  clock.milliseconds += 1000;
  assert.equal((await manager.thread("a").authorization()).taskId, "task-2");
  const failing = setUp({ store: storeWith("delete", () => Promise.reject(new Error("no"))) }).manager;
  await assert.rejects(failing.forget("a"), hasCode("store_failed"));
});

test("an access token that has expired is a notice", async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const accessToken = `${part({ alg: "none" })}.${part({ exp: 1_763_996_400 })}.c2ln`;
  const { manager } = setUp({ credentials: { ...credentials, accessToken } });
  const { mode, cause, notice } = await manager.bearer();
  assert.deepEqual([mode, cause, notice?.code], ["bearer", undefined, "access_token_expired"]);
});

test("why nobody is signed in is the cause", async () => {
  const problem = { code: "api_key_sign_in", message: "sign in with a ChatGPT account" };
  const { manager } = setUp({ credentials: { kind: "api-key", problem } });
  const { mode, cause } = await manager.authorization("models");
  assert.deepEqual([mode, cause?.code], ["none", "api_key_sign_in"]);
  // Such a turn goes out as it is.
  assert.equal((await manager.thread("a").authorization()).mode, "none");
});

describe("bad options", () => {
  const good = { core, baseUrl: base, store: memoryStore(), credentials, allowHttp: true };
  const cases: [string, unknown, string][] = [
    ["no core", { ...good, core: undefined }, "invalid_manager_config"],
    ["no store", { ...good, store: undefined }, "invalid_manager_config"],
    ["a store without swap", { ...good, store: storeWith("swap", undefined) }, "invalid_manager_config"],
    ["no credentials", { ...good, credentials: undefined }, "invalid_manager_config"],
    ["no base URL", { ...good, baseUrl: undefined }, "invalid_manager_config"],
    ["a base URL that is none", { ...good, baseUrl: "chatgpt.com" }, "invalid_base_url"],
    ["no encryption", { ...good, allowHttp: undefined }, "insecure_base_url"],
    ["no encryption, and yes that is no true", { ...good, allowHttp: "yes" }, "invalid_manager_config"],
    [
      "no encryption to where agents register",
      { ...good, baseUrl: "https://chatgpt.com", authApiUrl: "http://auth.example", allowHttp: false },
      "insecure_base_url",
    ],
    ["an ABOM of another form", { ...good, abom: { agentVersion: 1 } }, "invalid_manager_config"],
    ["a profile that there is not", { ...good, profile: "authapi" }, "invalid_manager_config"],
    ["credentials that are no credentials", { ...good, credentials: { kind: 5 } }, "invalid_manager_config"],
    ["a trusted host with a port", { ...good, trustedHosts: ["a:1"] }, "invalid_trusted_host"],
  ];
  for (const [name, options, code] of cases) {
    test(name, () => {
      assert.throws(() => new Manager(options as ManagerOptions), hasCode(code));
    });
  }

  test("what to do about no encryption is said", () => {
    assert.throws(() => new Manager({ ...good, allowHttp: false }), /allowHttp/);
    for (const baseUrl of [
      "http://localhost:1/x",
      "http://127.0.0.1",
      "http://[::1]:8080",
      "https://a.example",
    ]) {
      assert.ok(new Manager({ ...good, allowHttp: false, baseUrl, authApiUrl: baseUrl }));
    }
  });

  const late: [string, Partial<ManagerOptions>, string][] = [
    ["credentials that are none", { credentials: () => ({ kind: 5 }) as never }, "credentials_failed"],
    [
      "credentials that cannot be had",
      { credentials: () => Promise.reject(new Error("no")) },
      "credentials_failed",
    ],
    ["a clock that is none", { now: () => NaN }, "invalid_manager_config"],
    ["a clock of seconds", { now: () => 1_764_000_000 }, "invalid_manager_config"],
  ];
  for (const [name, options, code] of late) {
    test(name, async () => {
      await assert.rejects(setUp(options).manager.authorization("models"), hasCode(code));
    });
  }

  const entropy: [string, () => Uint8Array][] = [
    [
      "entropy that cannot be had",
      () => {
        throw new Error("no");
      },
    ],
    ["too little entropy", () => new Uint8Array(1)],
  ];
  for (const [name, getRandomValues] of entropy) {
    test(name, async () => {
      const { backend, manager } = setUp({ getRandomValues });
      assert.equal((await manager.authorization("models")).mode, "bearer");
      assert.equal(backend.identities.length, 0);
    });
  }
});

test("nothing that is printed shows a secret", async () => {
  const { manager, store } = setUp();
  const a = await manager.authorization("models");
  const record = await store.load("identity", { core, signal: new AbortController().signal });
  const key = (JSON.parse(new TextDecoder().decode(record)) as { agent_private_key: string })
    .agent_private_key;
  const bearer = await manager.bearer();
  const printed = [a, bearer, manager, manager.thread("a")]
    .flatMap((o) => [inspect(o, { depth: 10, showHidden: true }), JSON.stringify(o), o as unknown as string])
    .join("\n");
  for (const secret of [a.header, token, key]) {
    assert.ok(!printed.includes(secret.slice(-40)), printed);
  }
});

test("the later profile, and an identity that arrived as a JWT", async () => {
  const { backend, open } = setUp();
  const requests: string[] = [];
  backend.intercept = (request) => {
    requests.push(request.url);
    return request.url.endsWith("/task/register") ? Response.json({ task_id: "task-9" }) : undefined;
  };
  const { privateKey } = core.generateKey();
  const claims = {
    iss: "https://chatgpt.com/codex-backend/agent-identity",
    aud: "codex-app-server",
    iat: 1_763_999_000,
    exp: 1_764_009_000,
    agent_runtime_id: "agent-jwt",
    agent_private_key: privateKey,
    account_id: "acct-1",
    chatgpt_user_id: "user-1",
    plan_type: "pro",
    chatgpt_account_is_fedramp: true,
  };
  const jwtIdentity = core.call("identity_jwt.read", {
    claims: new TextEncoder().encode(JSON.stringify(claims)),
    now: 1_764_000_000,
  });
  const manager = open({
    jwtIdentity,
    profile: "auth-api",
    authApiUrl: "http://auth.example.org/api/accounts",
  });
  const a = await manager.authorization("models");
  assert.deepEqual([a.agentRuntimeId, a.taskId, a.fedramp], ["agent-jwt", "task-9", true]);
  assert.deepEqual(requests, ["http://auth.example.org/api/accounts/v1/agent/agent-jwt/task/register"]);
  assert.equal(a.headers()["X-OpenAI-Fedramp"], "true");
});

test("await using closes a manager, and using has a core forget", async () => {
  const { manager } = setUp();
  {
    await using used = manager;
    await used.authorization("models");
  }
  await assert.rejects(manager.authorization("models"), hasCode("closed"));
  const own = await AgentAssert.load();
  const forget = own.forget;
  let forgotten = 0;
  const counting = () => {
    forgotten++;
    forget();
  };
  Object.defineProperty(own, "forget", { value: counting });
  {
    using used = own;
    used.generateKey();
  }
  assert.equal(forgotten, 1);
});
