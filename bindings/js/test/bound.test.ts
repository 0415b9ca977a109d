import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runInNewContext } from "node:vm";

import { AgentAssertError } from "agentassert";

import { base } from "./backend.js";
import { core, setUp } from "./set-up.js";

const hasCode = (code: string) => (error: unknown) => {
  assert.ok(error instanceof AgentAssertError);
  assert.equal(error.code, code);
  return true;
};

describe("taken off their objects work", () => {
  test("the core's functions", () => {
    const { generateKey, parseKey, assert: build, inspect, verify, call, forget } = core;
    const { privateKey, publicKey } = generateKey();
    assert.equal(parseKey(privateKey).publicKey, publicKey);
    const header = build({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1" });
    assert.equal(inspect(header).form, "task");
    assert.equal(verify({ publicKey, header }).envelope.taskId, "task-1");
    assert.equal(call("thread.file", { threadId: "a" }).name.length, 64);
    const { assertInstance, verifyInstance, exchange } = core;
    const value = assertInstance({ privateKey, runtimeAgentInstance: "instance-1" });
    assert.equal(verifyInstance({ publicKey, header: value }).instance.runtimeAgentInstance, "instance-1");
    assert.ok(exchange(new Uint8Array([0xa0])).length > 0);
    forget();
    assert.equal(parseKey(privateKey).publicKey, publicKey);
  });

  test("a manager's functions", async () => {
    const { authorization, headers, bearer, recover, forget, prewarm, thread, appsMCPServer, fetch, close } =
      setUp().manager;
    await prewarm();
    const a = await authorization("models");
    assert.equal(a.mode, "agent-assertion");
    assert.deepEqual(await headers("models"), a.headers());
    assert.equal((await bearer()).mode, "bearer");
    assert.notEqual((await recover(a)).taskId, a.taskId);
    await thread("a").prewarm();
    await forget("a");
    assert.match((await appsMCPServer()).url, /\/wham\/apps$/);
    assert.equal((await fetch(`${base}/codex/models`)).status, 200);
    await close();
    await assert.rejects(authorization("models"), hasCode("closed"));
  });

  test("a thread's functions", async () => {
    const { authorization, headers, prewarm, fetch } = setUp().manager.thread("a");
    await prewarm();
    const a = await authorization();
    assert.equal(a.reason, "thread-task");
    assert.deepEqual(await headers(), a.headers());
    assert.equal((await fetch(`${base}/codex/responses`, { method: "POST", body: "{}" })).status, 200);
  });
});

describe("a thread's fetch", () => {
  const cases: [name: string, path: string, tasks: number, scheme: string][] = [
    ["a thread's surface", "/codex/responses", 1, "thread"],
    ["what is below a thread's surface", "/codex/responses/compact", 1, "thread"],
    ["a file", "/files/f-1/uploaded", 1, "thread"],
    ["the models", "/codex/models", 1, "background"],
    ["a bootstrap call", "/authenticate_app_v2", 0, "bearer"],
  ];
  for (const [name, path, tasks, scheme] of cases) {
    test(`authorizes ${name}`, async () => {
      const { backend, manager } = setUp();
      const thread = manager.thread("a");
      await thread.fetch(base + path);
      assert.equal(backend.tasks.length, tasks);
      const { authorization } = backend.seen.at(-1) ?? assert.fail();
      const want =
        scheme === "bearer"
          ? await manager.bearer()
          : scheme === "thread"
            ? await thread.authorization()
            : await manager.authorization("models");
      assert.equal(authorization, want.header);
    });
  }

  test("leaves calls to elsewhere alone", async () => {
    const { backend, manager } = setUp();
    await manager.thread("a").fetch("https://elsewhere.example/codex/responses", { headers: { A: "b" } });
    assert.deepEqual(
      backend.seen.map(({ authorization }) => authorization),
      [""],
    );
  });

  test("can be told the surface", async () => {
    const { backend, manager } = setUp();
    const thread = manager.thread("a");
    await thread.fetch(`${base}/elsewhere`, {}, { surface: "safety-monitor" });
    assert.equal(backend.seen.at(-1)?.authorization, (await thread.authorization()).header);
  });

  test("passes streams on as they come", async () => {
    const { backend, manager } = setUp();
    let push!: (text: string) => void;
    let end!: () => void;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        push = (text) => {
          controller.enqueue(new TextEncoder().encode(text));
        };
        end = () => {
          controller.close();
        };
      },
    });
    backend.intercept = (_, path) =>
      path === "/codex/responses" ? new Response(body, { headers: { A: "b" } }) : undefined;
    const response = await manager.thread("a").fetch(`${base}/codex/responses`);
    assert.equal(response.headers.get("A"), "b");
    const reader = (response.body ?? assert.fail()).getReader();
    for (const text of ["one", "two"]) {
      push(text);
      assert.equal(new TextDecoder().decode((await reader.read()).value), text);
    }
    end();
    assert.equal((await reader.read()).done, true);
  });
});

test("a manager's fetch without the thread that it needs says what to use, also where a library hides that", async () => {
  const { manager, warned } = setUp();
  for (let i = 0; i < 2; i++) {
    await assert.rejects(manager.fetch(`${base}/codex/responses`), (error: AgentAssertError) => {
      assert.match(error.message, /use manager\.thread\(id\)\.fetch/);
      return hasCode("thread_surface")(error);
    });
  }
  assert.equal(warned.length, 1);
  assert.match(warned[0] ?? "", /^agentassert: .*manager\.thread\(id\)\.fetch/);
});

describe("what fetch takes of other realms and libraries", () => {
  /** Like the Request of a library. */
  const foreign = (more: object = {}): Request =>
    ({
      url: `${base}/codex/models`,
      method: "POST",
      headers: new Map([["x-a", "b"]]),
      body: null,
      redirect: "follow",
      signal: null,
      ...more,
    }) as unknown as Request;

  const inputs: [string, () => string | URL | Request][] = [
    ["a URL of another realm", () => ({ href: `${base}/codex/models` }) as unknown as URL],
    [
      "an object that is a URL as a string",
      () => ({ toString: () => `${base}/codex/models` }) as unknown as URL,
    ],
    ["a library's Request", () => foreign()],
    [
      "a Request of a class of its own",
      () => new (class MyRequest extends Request {})(`${base}/codex/models`, { method: "POST" }),
    ],
  ];
  for (const [name, input] of inputs) {
    test(name, async () => {
      const { backend, manager } = setUp();
      assert.equal((await manager.fetch(input())).status, 200);
      assert.match(backend.seen.at(-1)?.authorization ?? "", /^AgentAssertion /);
    });
  }

  test("a library's Request is sent with what it has", async () => {
    const { backend, manager } = setUp();
    const seen: Headers[] = [];
    backend.intercept = ({ headers }) => void seen.push(headers);
    await manager.fetch(foreign({ body: new Blob(["text"]).stream() }));
    const { method, body } = backend.seen.at(-1) ?? assert.fail();
    assert.deepEqual([method, body, seen.at(-1)?.get("x-a")], ["POST", "text", "b"]);
  });

  test("a library's Request without its body's stream is sent with the body", async () => {
    const { backend, manager } = setUp();
    const arrayBuffer = () => Promise.resolve(new TextEncoder().encode("text").buffer);
    await manager.fetch(foreign({ body: undefined, arrayBuffer }));
    assert.equal(backend.seen.at(-1)?.body, "text");
  });

  test("bodies of another realm are sent again after a 401", async () => {
    const { backend, manager } = setUp();
    const { taskId } = await manager.authorization("models");
    backend.revoked.add(taskId);
    const body = runInNewContext("new Uint8Array([116, 101, 120, 116]).buffer") as ArrayBuffer;
    assert.ok(!(body instanceof ArrayBuffer));
    const response = await manager.fetch(`${base}/codex/models`, {
      method: "POST",
      body,
    });
    assert.equal(response.status, 200);
    assert.equal(backend.seen.at(-1)?.body, "text");
  });

  test("what platforms add to the options passes through", async () => {
    const inits: Record<string, unknown>[] = [];
    const { backend, manager } = setUp({
      fetch: (input, init) => {
        inits.push(init as Record<string, unknown>);
        return backend.fetch(input, init && ({ ...init, dispatcher: undefined } as RequestInit));
      },
    });
    const more = {
      cf: { a: 1 },
      next: { revalidate: 1 },
      agent: {},
      dispatcher: {},
      keepalive: true,
      priority: "high",
    };
    for (const input of [
      `${base}/codex/models`,
      new Request(`${base}/codex/models`, { method: "POST", body: "text" }),
    ]) {
      await manager.fetch(input, more as RequestInit);
      const init = inits.at(-1) ?? assert.fail();
      assert.deepEqual(Object.fromEntries(Object.keys(more).map((name) => [name, init[name]])), more);
    }
    assert.equal(backend.seen.at(-1)?.body, "text");
    assert.match(backend.seen.at(-1)?.authorization ?? "", /^AgentAssertion /);
  });

  test("a key or a message of another realm is taken by the core", () => {
    const entropy = runInNewContext("new Uint8Array(32)") as Uint8Array;
    assert.equal(core.generateKey(entropy).publicKey, core.generateKey(new Uint8Array(32)).publicKey);
    const params = runInNewContext('({ threadId: "a" })') as { threadId: string };
    assert.equal(core.call("thread.file", params).name.length, 64);
  });
});
