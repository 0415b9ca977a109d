// Each library through its example, against a server that verifies every assertion.
import assert, { type AssertPredicate } from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { AgentAssertError } from "agentassert";
import { APIUserAbortError } from "openai";
import { request } from "undici";

import * as aiSDK from "../ai-sdk.ts";
import * as axios from "../axios.ts";
import * as got from "../got.ts";
import * as ky from "../ky.ts";
import * as openAI from "../openai.ts";
import * as undici from "../undici.ts";
import { answer, events } from "./events.ts";
import { Pieces, Server } from "./server.ts";

/** What a library does in its own terms. */
interface Library {
  name: string;
  /** Sends a turn, and returns the answer. */
  ask: (server: Server, signal?: AbortSignal) => Promise<unknown>;
  /** Sends a turn, and yields the answer as it arrives. */
  stream: (server: Server) => AsyncIterable<string | Uint8Array>;
  /** Gets what is at another URL. */
  elsewhere: (server: Server, url: string) => Promise<unknown>;
  /** What it throws when the caller has aborted. */
  aborted: AssertPredicate;
}

const path = "/codex/responses";
const turn = { input: "Hello" };

const undiciTurn = ({ manager, thread }: Server, signal?: AbortSignal) =>
  request(manager.baseUrl + path, {
    method: "POST",
    body: JSON.stringify(turn),
    dispatcher: undici.dispatcher(manager, thread),
    signal,
  });

const libraries: Library[] = [
  {
    name: "openai",
    ask: ({ manager, thread }, signal) => openAI.ask(openAI.openAI(manager, thread), "Hello", signal),
    stream: ({ manager, thread }) => openAI.stream(openAI.openAI(manager, thread), "Hello"),
    elsewhere: ({ manager, thread }, url) => openAI.openAI(manager, thread).get(url),
    aborted: APIUserAbortError,
  },
  {
    name: "ai, with @ai-sdk/openai",
    ask: ({ manager, thread }, signal) => aiSDK.ask(aiSDK.provider(manager, thread), "Hello", signal),
    stream: ({ manager, thread }) => aiSDK.stream(aiSDK.provider(manager, thread), "Hello"),
    elsewhere: ({ thread }, url) => thread.fetch(url), // the SDK calls none itself
    aborted: { name: "AbortError" },
  },
  {
    name: "axios",
    ask: ({ manager, thread }, signal) => axios.instance(manager, thread).post(path, turn, { signal }),
    stream: async function* ({ manager, thread }) {
      const as = { responseType: "stream" } as const;
      const answer = await axios.instance(manager, thread).post<ReadableStream<Uint8Array>>(path, turn, as);
      yield* answer.data;
    },
    elsewhere: ({ manager, thread }, url) => axios.instance(manager, thread).get(url),
    aborted: { name: "CanceledError", code: "ERR_CANCELED" },
  },
  {
    name: "ky",
    ask: ({ manager, thread }, signal) =>
      ky.instance(manager, thread).post(path, { json: turn, signal }).json(),
    stream: async function* ({ manager, thread }) {
      const { body } = await ky.instance(manager, thread).post(path, { json: turn });
      yield* body ?? [];
    },
    elsewhere: ({ manager, thread }, url) => ky.instance(manager, thread).get(new URL(url)),
    aborted: { name: "AbortError" },
  },
  {
    name: "got",
    ask: ({ manager, thread }, signal) =>
      got.instance(manager, thread).post(path.slice(1), { json: turn, signal }).json(),
    stream: ({ manager, thread }) => got.instance(manager, thread).stream.post(path.slice(1), { json: turn }),
    elsewhere: ({ manager, thread }, url) => got.instance(manager, thread)(new URL(url), { prefixUrl: "" }),
    aborted: { name: "AbortError", code: "ERR_ABORTED" },
  },
  {
    name: "undici",
    ask: async (server, signal) => {
      const { statusCode, body } = await undiciTurn(server, signal);
      assert.equal(statusCode, 200);
      return body.json();
    },
    stream: async function* (server) {
      yield* (await undiciTurn(server)).body as AsyncIterable<Uint8Array>;
    },
    elsewhere: async ({ manager, thread }, url) =>
      (await request(url, { dispatcher: undici.dispatcher(manager, thread) })).body.dump(),
    aborted: { name: "AbortError" },
  },
];

/** The codes of our errors, among those that led to one. */
function codesOf(error: unknown): string[] {
  const codes = error instanceof AgentAssertError ? [error.code] : [];
  return error instanceof Error ? [...codes, ...codesOf(error.cause)] : codes;
}

for (const library of libraries) {
  describe(library.name, { timeout: 60_000 }, () => {
    let server: Server;

    beforeEach(async () => {
      server = await Server.start();
      server.routes.set(path, () => Response.json(answer("Hello, too")));
    });
    afterEach(async () => {
      await server.close();
    });

    test("turns carry the thread's assertions, and nothing carries the user's token", async () => {
      await library.ask(server);
      await library.ask(server);
      assert.deepEqual(server.tasks(path), ["task-1", "task-1"]);
      assert.deepEqual(server.bearers, []);
    });

    test("an answer arrives in pieces", async () => {
      const pieces = new Pieces(...events("one", "two"));
      const headers = { "Content-Type": "text/event-stream" };
      server.routes.set(path, () => new Response(pieces.body, { headers }));
      let text = "";
      for await (const piece of library.stream(server)) {
        text += typeof piece === "string" ? piece : Buffer.from(piece).toString();
        pieces.arrived(); // without which no other comes
      }
      assert.match(text, /one[^]*two/);
    });

    test("a call whose task is rejected is sent once more, with another", async () => {
      const { backend } = server;
      await library.ask(server);
      backend.revoked.add("task-1");
      await library.ask(server);
      assert.deepEqual(server.tasks(path), ["task-1", "task-1", "task-2"]);
      const [, rejected, accepted] = backend.seen.filter((seen) => seen.path === path);
      assert.equal(accepted?.body, rejected?.body);
      assert.deepEqual(backend.tasks, ["task-1", "task-2"]);
      assert.deepEqual(server.bearers, []);
    });

    test("who aborts gets the library's own error", async () => {
      const caller = new AbortController();
      server.routes.set(path, () => {
        caller.abort();
        return new Promise<never>(() => undefined);
      });
      await assert.rejects(library.ask(server, caller.signal), library.aborted);
    });

    test("where no task can be had, our error is the library's, or its cause", async () => {
      server.backend.intercept = (_, at) =>
        at.endsWith("/task/register") ? Promise.resolve(new Response("{}", { status: 500 })) : undefined;
      await assert.rejects(library.ask(server), (error) => codesOf(error).includes("thread_failed"));
      assert.deepEqual(server.tasks(path), []);
    });

    for (const [name, tasks] of [
      ["a task", []],
      ["another task, after a 401,", ["task-1"]],
    ] as const) {
      test(`who aborts while ${name} is registered gets it, too`, async () => {
        for (const task of tasks) {
          await library.ask(server);
          server.backend.revoked.add(task);
        }
        const caller = new AbortController();
        server.backend.intercept = (_, at) => {
          if (at.endsWith("/task/register")) {
            caller.abort();
          }
          return undefined;
        };
        await assert.rejects(library.ask(server, caller.signal), library.aborted);
        assert.deepEqual(new Set(server.tasks(path)), new Set(tasks));
      });
    }

    test("a call to another URL carries nothing", async () => {
      await library.ask(server);
      const before = server.backend.seen.length;
      await library.elsewhere(server, server.outside);
      const [call, ...others] = server.backend.seen.slice(before);
      assert.equal(call?.url, server.outside);
      assert.doesNotMatch(call.authorization, /AgentAssertion|secret/);
      assert.equal(call.accountId, "");
      assert.deepEqual(others, []);
    });
  });
}
