import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { AgentAssertError, Manager, memoryStore, type ManagerOptions, type Store } from "agentassert";

import { Backend, base } from "./backend.js";
import { setUp } from "./set-up.js";

const never = () => new Promise<never>(() => undefined);

/** What the platform calls an aborted call's error, and what is known of ours. */
function isAbort(reason: unknown, name = "AbortError") {
  return (error: unknown) => {
    assert.ok(error instanceof AgentAssertError);
    assert.deepEqual([error.name, error.code], [name, "canceled"]);
    assert.equal(error.cause, reason);
    return true;
  };
}

/** The reasons that programs give, and the name of the error that follows. */
const reasons: [name: string, reason: unknown, errorName: string][] = [
  ["the platform's", undefined, "AbortError"],
  ["an error", new Error("enough"), "AbortError"],
  ["a time-out", new DOMException("too late", "TimeoutError"), "TimeoutError"],
  ["no error at all", "enough", "AbortError"],
  ["null", null, "AbortError"],
  ["an error of this package", new AgentAssertError("closed", "enough"), "AbortError"],
];

type Ask = (manager: Manager, signal: AbortSignal) => Promise<unknown>;

describe("who has stopped waiting before the call gets an AbortError", () => {
  const asks: [string, Ask][] = [
    ["authorization", (m, signal) => m.authorization("models", { signal })],
    ["bearer", (m, signal) => m.bearer({ signal })],
    ["headers", (m, signal) => m.headers("models", { signal })],
    ["prewarm", (m, signal) => m.prewarm({ signal })],
    ["forget", (m, signal) => m.forget("a", { signal })],
    ["appsMCPServer", (m, signal) => m.appsMCPServer(undefined, { signal })],
    ["recover", async (m, signal) => m.recover(await m.authorization("models"), { signal })],
    ["a thread's authorization", (m, signal) => m.thread("a").authorization("responses", { signal })],
    ["a thread's headers", (m, signal) => m.thread("a").headers("responses", { signal })],
    ["a thread's prewarm", (m, signal) => m.thread("a").prewarm({ signal })],
    ["fetch", (m, signal) => m.fetch(`${base}/codex/models`, { signal })],
    ["fetch of a Request", (m, signal) => m.fetch(new Request(`${base}/codex/models`, { signal }))],
    ["fetch of what is elsewhere", (m, signal) => m.fetch("https://elsewhere.example/", { signal })],
    ["a thread's fetch", (m, signal) => m.thread("a").fetch(`${base}/codex/responses`, { signal })],
  ];
  for (const [name, ask] of asks) {
    test(name, async () => {
      const { manager } = setUp();
      await manager.authorization("models"); // there is an answer to be had
      const aborted = new AbortController();
      aborted.abort();
      await assert.rejects(ask(manager, aborted.signal), (error: AgentAssertError) => {
        // A Request has a signal of its own, whose reason is the same.
        return isAbort(aborted.signal.reason)(error);
      });
    });
  }
  for (const [name, reason, errorName] of reasons) {
    test(`with ${name} as its reason`, async () => {
      const { manager } = setUp();
      const signal = AbortSignal.abort(reason);
      await assert.rejects(manager.authorization("models", { signal }), isAbort(signal.reason, errorName));
      await assert.rejects(
        manager.fetch(`${base}/codex/models`, { signal }),
        isAbort(signal.reason, errorName),
      );
    });
  }
});

describe("in every phase of fetch", () => {
  /** Each stops at one point, and calls the function there. */
  const phases: [
    string,
    (stop: () => void) => Partial<ManagerOptions>,
    (backend: Backend, stop: () => void) => void,
  ][] = [
    [
      "the credentials",
      (stop) => ({
        credentials: () => {
          stop();
          return never();
        },
      }),
      () => undefined,
    ],
    [
      "the store",
      (stop) => ({
        store: {
          ...memoryStore(),
          load: () => {
            stop();
            return never();
          },
        } satisfies Store,
      }),
      () => undefined,
    ],
    [
      "the registration",
      () => ({}),
      (backend, stop) => {
        backend.intercept = (_, path) => {
          if (path === "/v1/agent/register") {
            stop();
            return never();
          }
          return undefined;
        };
      },
    ],
    [
      "the call itself",
      () => ({}),
      (backend, stop) => {
        backend.intercept = (_, path) => {
          if (path === "/codex/models") {
            stop();
            return never();
          }
          return undefined;
        };
      },
    ],
    [
      "the recovery",
      () => ({}),
      (backend, stop) => {
        let isRejected = false;
        backend.intercept = (_, path) => {
          if (path === "/codex/models") {
            isRejected = true;
            return new Response("{}", { status: 401 });
          }
          if (isRejected) {
            stop();
            return never();
          }
          return undefined;
        };
      },
    ],
    [
      "the body of a refusal",
      () => ({}),
      (backend, stop) => {
        backend.intercept = (_, path) => {
          if (path !== "/codex/models") {
            return undefined;
          }
          const body = new ReadableStream({
            pull: () => {
              stop();
              return never();
            },
          });
          return new Response(body, { status: 401 });
        };
      },
    ],
    [
      "what a redirect leads to",
      () => ({}),
      (backend, stop) => {
        backend.intercept = (_, path) => {
          if (path === "/codex/models") {
            return new Response(null, { status: 307, headers: { Location: `${base}/codex/models/2` } });
          }
          if (path === "/codex/models/2") {
            stop();
            return never();
          }
          return undefined;
        };
      },
    ],
  ];
  for (const [name, options, prepare] of phases) {
    test(name, async () => {
      const reason = new Error("enough");
      const controller = new AbortController();
      const stop = () => {
        controller.abort(reason);
      };
      const { backend, manager } = setUp(options(stop));
      prepare(backend, stop);
      const { signal } = controller;
      await assert.rejects(manager.fetch(`${base}/codex/models`, { signal }), isAbort(reason));
    });
  }

  test("elsewhere", async () => {
    const controller = new AbortController();
    const { manager } = setUp({
      fetch: () => {
        controller.abort();
        return Promise.reject(new Error("a library's own error"));
      },
    });
    const { signal } = controller;
    await assert.rejects(manager.fetch("https://elsewhere.example/", { signal }), isAbort(signal.reason));
  });
});

test("an error of the platform's that comes of no abort stays what it is", async () => {
  const failed = new TypeError("fetch failed");
  const { manager } = setUp({ fetch: () => Promise.reject(failed) });
  await assert.rejects(manager.fetch("https://elsewhere.example/"), (error) => error === failed);
});

test("a polyfill's signal does", async () => {
  const { manager } = setUp();
  const listeners = new Set<() => void>();
  const signal = {
    aborted: false,
    addEventListener: (_: string, listener: () => void) => listeners.add(listener),
    removeEventListener: (_: string, listener: () => void) => listeners.delete(listener),
  };
  assert.equal((await manager.authorization("models", { signal: signal as never })).mode, "agent-assertion");
  assert.equal(listeners.size, 0, "it is left alone afterwards");
  signal.aborted = true;
  await assert.rejects(manager.authorization("models", { signal: signal as never }), {
    name: "AbortError",
    code: "canceled",
  });
});

test("a call without a signal of its request's goes on when that is aborted", async () => {
  const { manager } = setUp();
  const request = new Request("https://elsewhere.example/", { signal: AbortSignal.abort() });
  const response = await manager.fetch(`${base}/codex/models`, { signal: null });
  assert.equal(response.status, 200);
  await assert.rejects(manager.fetch(request), { name: "AbortError" });
});
