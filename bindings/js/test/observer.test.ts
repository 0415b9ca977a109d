import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, test, type TestContext } from "node:test";

import { AgentAssert, codeOf, Manager, memoryStore, type ManagerOptions, type Observer } from "agentassert";

import { Backend, base, Clock, credentials, token } from "./backend.js";

const core = await AgentAssert.load();

function setUp(options: Partial<ManagerOptions> = {}) {
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  const manager = new Manager({
    ...{ core, baseUrl: base, store: memoryStore(), credentials, agentIdentity: true, allowHttp: true },
    ...{ fetch: backend.fetch, now: clock.now },
    ...options,
  });
  return { clock, backend, manager };
}

/** An observer that writes down what it is told, as one line each. */
function noting(lines: string[], name = ""): Observer {
  const say = (line: string) => {
    lines.push(name + line);
  };
  return {
    decided: (a, surface) => {
      say(`decided ${a.mode} ${a.reason} for ${surface}`);
    },
    reused: (a, surface) => {
      say(`reused ${a.reason} for ${surface}`);
    },
    registering: ({ surface, threadId, recovery }) => {
      say(`registering for ${surface} "${threadId}" recovery ${recovery}`);
      return {
        context: `${name}context`,
        done: (a, error) => {
          say(`registered ${a ? `${a.mode} ${codeOf(a.cause)}` : `nothing ${codeOf(error)}`}`);
        },
      };
    },
    waited: (context) => {
      say(`waited for ${String(context)}`);
    },
    request: ({ method, url }, context) => {
      say(`request ${method} ${url.replace(base, "")} in ${String(context)}`);
      return {
        done: (status, failure) => {
          say(`answered ${status ?? `${failure?.kind ?? ""}: ${failure?.error.message ?? ""}`}`);
        },
      };
    },
  };
}

const registered = (prefix: string) => [
  `request GET /authenticate_app_v2 in ${prefix}context`,
  "answered 200",
];

test("an observer is told what a manager does, in its order", async () => {
  const lines: string[] = [];
  const { clock, backend, manager } = setUp({ observer: noting(lines) });
  const first = await manager.authorization("models");
  await manager.authorization("apps");
  assert.deepEqual(lines.splice(0), [
    'registering for models "" recovery false',
    ...registered(""),
    "request POST /v1/agent/register in context",
    "answered 200",
    ...registered(""),
    "request POST /v1/agent/agent-1/task/register in context",
    "answered 200",
    "registered agent-assertion internal",
    "decided agent-assertion background-task for models",
    "reused background-task for apps",
  ]);

  clock.milliseconds += 1000;
  await manager.authorization("models");
  await manager.bearer();
  assert.deepEqual(lines.splice(0), [
    "decided agent-assertion background-task for models",
    "decided bearer bearer-only-surface for bootstrap",
  ]);

  backend.revoked.add(first.taskId);
  await manager.recover(first);
  assert.equal(lines.splice(0)[0], 'registering for models "" recovery true');

  backend.intercept = () => new Response("{}", { status: 403 });
  await assert.rejects(manager.thread("thread-1").authorization());
  assert.deepEqual(lines.splice(0), [
    'registering for responses "thread-1" recovery false',
    "request GET /authenticate_app_v2 in context",
    "answered 403",
    "registered none http_status",
    "decided none registration-failed for responses",
  ]);

  backend.intercept = () => {
    throw new TypeError("quotes " + token);
  };
  await assert.rejects(manager.thread("thread-1").authorization());
  assert.equal(
    lines[2],
    "answered connect: the request failed; its error is not shown, because it may quote the request or the answer",
  );
});

test("several are told the same, each with the context that is its own", async () => {
  const lines: string[] = [];
  const { manager } = setUp({ observer: [noting(lines, "a "), {}, noting(lines, "b ")] });
  await manager.authorization("models");
  assert.deepEqual(lines.slice(0, 6), [
    'a registering for models "" recovery false',
    'b registering for models "" recovery false',
    "a request GET /authenticate_app_v2 in a context",
    "b request GET /authenticate_app_v2 in b context",
    "a answered 200",
    "b answered 200",
  ]);
});

test("who waits for another call's registration is told of, in the context of the call", async () => {
  const calls = new AsyncLocalStorage<string>();
  const told: string[] = [];
  const { manager } = setUp({
    observer: {
      registering: () => {
        told.push(`registering in ${calls.getStore() ?? ""}`);
        return { context: "registration" };
      },
      waited: (context) => {
        told.push(`${calls.getStore() ?? ""} waited for ${String(context)}`);
      },
    },
  });
  const call = (name: string, options = {}) =>
    calls.run(name, () => manager.authorization("models", options));
  const patience = new AbortController();
  const gone = assert.rejects(call("impatient", { signal: patience.signal }));
  const rest = Promise.all([call("second"), call("third")]);
  patience.abort();
  await Promise.all([gone, rest]);
  assert.deepEqual(told, [
    "registering in impatient",
    "second waited for registration",
    "third waited for registration",
  ]);
  told.length = 0;
  await Promise.all([call("fourth"), call("fifth")]);
  assert.deepEqual(told, [], "nothing was registered");
});

test("a request is sent within what the observers have of contexts, and once", async () => {
  const context = new AsyncLocalStorage<string>();
  const within: (string | undefined)[] = [];
  const nested = (name: string): Observer => ({
    request: () => ({
      within: (send) => context.run(`${context.getStore() ?? ""}${name}`, () => [send(), send()]),
    }),
  });
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  const { manager } = setUp({
    observer: [nested("a"), { request: () => ({}) }, nested("b"), { request: () => ({ within: () => 0 }) }],
    now: clock.now,
    fetch: (input, init) => {
      within.push(context.getStore());
      return backend.fetch(input, init);
    },
  });
  await manager.authorization("models");
  assert.deepEqual(within, ["ab", "ab", "ab", "ab"]);
});

describe("no observer can break a call, and that one has failed is told once", () => {
  const broken = (): never => {
    throw new Error("broken");
  };
  const late = () => Promise.reject(new Error("broken")) as unknown as undefined;
  const cases: Record<string, Observer> = {
    decided: { decided: broken },
    reused: { reused: broken },
    registering: { registering: broken },
    waited: { waited: broken },
    request: { request: broken },
    "the end of a registration": { registering: () => ({ done: broken }) },
    "the end of a request": { request: () => ({ done: broken }) },
    "a request's context": { request: () => ({ within: broken }) },
    "promises that are rejected": { decided: late, registering: late, request: late, waited: late },
    "a getter": Object.defineProperty({}, "decided", { get: broken }),
  };
  for (const [name, observer] of Object.entries(cases)) {
    test(name, async (t: TestContext) => {
      const warn = t.mock.method(console, "warn", () => undefined);
      const lines: string[] = [];
      const { backend, manager } = setUp({ observer: [observer, noting(lines)] });
      await Promise.all([manager.authorization("models"), manager.authorization("models")]);
      const { mode } = await manager.authorization("models");
      assert.equal(mode, "agent-assertion");
      assert.equal(backend.seen.length, 4);
      assert.equal(lines.length, 13, "the other one was told all");
      assert.equal(warn.mock.callCount(), 1);
      assert.match(String(warn.mock.calls[0]?.arguments[0]), /an observer has failed/);
    });
  }
});

test("an observer can be of a class", async () => {
  class Counting implements Observer {
    decisions = 0;
    decided() {
      this.decisions++;
    }
  }
  const observer = new Counting();
  const { manager } = setUp({ observer });
  await manager.bearer();
  assert.equal(observer.decisions, 1);
});

test("what is no observer is refused", () => {
  for (const observer of [null, "log", [null], () => undefined]) {
    assert.throws(
      () => setUp({ observer: observer as unknown as Observer }),
      (error) => codeOf(error) === "invalid_manager_config" && String(error).includes("observer"),
    );
  }
});
