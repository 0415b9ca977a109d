// undici, beyond what ../libraries.test.ts has.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, test } from "node:test";

import { AgentAssertError } from "agentassert";
import { authorization } from "agentassert/undici";
import * as undici8 from "undici";
import * as undici7 from "undici-7";

import { sendBy } from "../undici.ts";
import { Server } from "./server.ts";

const path = "/codex/models";

type Dispatcher = undici8.Dispatcher;
type RequestOptions = undici8.Dispatcher.RequestOptions;

for (const { Agent, Client, fetch, request, version } of [
  { ...undici8, version: 8 },
  { ...(undici7 as unknown as typeof undici8), version: 7 },
]) {
  describe(`undici ${version}`, { timeout: 60_000 }, () => {
    let server: Server;
    let url: string;
    let agent: Dispatcher;

    beforeEach(async () => {
      server = await Server.start();
      url = server.manager.baseUrl + path;
      agent = new Agent().compose(authorization(server.manager, { thread: server.thread }));
    });
    afterEach(async () => {
      await server.close();
    });

    const headers: [string, RequestOptions["headers"]][] = [
      ["an object", { "X-Own": "1", Authorization: "Bearer own" }],
      ["an object with lists", { "X-Own": ["1"], Authorization: "Bearer own" }],
      ["a flat list", ["X-Own", "1", "Authorization", "Bearer own"]],
      [
        "pairs",
        new Map([
          ["X-Own", "1"],
          ["Authorization", "Bearer own"],
        ]),
      ],
      ["none", null],
    ];
    for (const [name, own] of headers) {
      test(`header fields that are ${name} go along, without an Authorization`, async () => {
        let seen: string | null | undefined;
        server.routes.set(path, (call) => {
          seen = call.headers.get("X-Own");
          return new Response("{}");
        });
        const { statusCode, body } = await request(url, { dispatcher: agent, headers: own });
        await body.dump();
        assert.deepEqual([statusCode, seen], [200, own === null ? null : "1"]);
        assert.deepEqual(server.tasks(path), ["task-1"]);
      });
    }

    test("undici's own fetch", async () => {
      const response = await fetch(url, { dispatcher: agent });
      assert.deepEqual(await response.json(), { scheme: "agent-assertion", task: "task-1" });
    });

    const elsewhere: [string, (at: Server) => [string, object]][] = [
      ["outside of the base URL", ({ outside }) => [outside, {}]],
      [
        "that a server could take for one upwards",
        ({ manager }) => [`${manager.baseUrl}/..%2felsewhere`, {}],
      ],
      [
        "with another server's Host",
        ({ manager }) => [manager.baseUrl + path, { headers: { Host: "example.org" } }],
      ],
    ];
    for (const [name, of] of elsewhere) {
      test(`a call ${name} carries nothing`, async () => {
        const [to, options] = of(server);
        const { body } = await request(to, { dispatcher: agent, ...options });
        await body.dump();
        assert.deepEqual(
          server.backend.seen.map(({ authorization, accountId }) => [authorization, accountId]),
          [["", ""]],
        );
      });
    }

    const unknown = version < 8 && "undici 7 does not say where a client's calls go";
    test("a client goes to one server, whatever its calls say", { skip: unknown }, async () => {
      const { origin, pathname } = new URL(url);
      for (const at of [origin, origin.replace("127.0.0.1", "localhost")]) {
        const client = new Client(at).compose(authorization(server.manager));
        const { body } = await client.request({ origin, path: pathname, method: "GET" });
        await body.dump();
      }
      assert.deepEqual(server.tasks(path), ["task-1", ""]);
    });

    const bodies: [string, () => RequestOptions["body"], boolean][] = [
      ["text", () => "text", true],
      ["bytes", () => Buffer.from("text"), true],
      ["none", () => null, true],
      ["a stream", () => Readable.from(["text"]), false],
    ];
    for (const [name, body, isReplayed] of bodies) {
      test(`after a 401 to a call whose body is ${name}`, async () => {
        await server.manager.prewarm();
        server.backend.revoked.add("task-1");
        const answer = await request(url, { dispatcher: agent, method: "POST", body: body() });
        assert.equal(answer.statusCode, isReplayed ? 200 : 401);
        const said = isReplayed
          ? { scheme: "agent-assertion", task: "task-2" }
          : { error: { code: "task_expired" } };
        assert.deepEqual(await answer.body.json(), said);
        assert.deepEqual(server.tasks(path), isReplayed ? ["task-1", "task-2"] : ["task-1"]);
        assert.deepEqual(server.backend.tasks, ["task-1", "task-2"]);
        assert.equal(
          new Set(server.backend.seen.filter((seen) => seen.path === path).map((seen) => seen.body)).size,
          1,
        );
      });
    }

    test("a second 401 goes to the caller, and so does one that is too long to be held back", async () => {
      server.backend.revoked.add("task-1").add("task-2");
      const twice = await request(url, { dispatcher: agent });
      assert.deepEqual(
        [twice.statusCode, await twice.body.json()],
        [401, { error: { code: "task_expired" } }],
      );
      const text = "x".repeat(200_000);
      server.backend.revoked.clear();
      server.routes.set(path, () => new Response(text, { status: 401 }));
      const long = await request(url, { dispatcher: agent });
      assert.equal(long.statusCode, 401);
      assert.equal(await long.body.text(), text);
      assert.equal(server.tasks(path).length, 3);
    });

    test("what cannot be authorized fails with our error, and is not sent", async () => {
      const { manager } = server;
      const another = await Server.start();
      const calls: [string, Promise<unknown>, string][] = [
        [
          "a turn of no thread",
          request(`${manager.baseUrl}/codex/responses`, {
            dispatcher: new Agent().compose(authorization(manager)),
            method: "POST",
          }),
          "thread_surface",
        ],
        [
          "a turn of another manager's thread",
          request(`${manager.baseUrl}/codex/responses`, {
            dispatcher: new Agent().compose(authorization(manager, { thread: another.thread })),
          }),
          "thread_surface",
        ],
        ["without an origin", dispatched(authorization(manager)), "invalid_request"],
        [
          "with what is no header field",
          request(url, { dispatcher: agent, headers: { "X-Own": "\u0100" } }),
          "invalid_request",
        ],
      ];
      for (const [name, call, code] of calls) {
        await assert.rejects(call, hasCode(code), name);
      }
      assert.deepEqual([server.tasks("/codex/responses"), server.tasks(path)], [[], []]);
      await another.close();
    });

    test("what is no manager, and options that it has not, are refused", () => {
      assert.throws(() => authorization({} as never), hasCode("invalid_request"));
      assert.throws(
        () => authorization(server.manager, { Thread: server.thread } as never),
        hasCode("invalid_request"),
      );
    });
  });
}

const hasCode = (code: string) => (error: unknown) =>
  error instanceof AgentAssertError && error.code === code;

/** Dispatches a call that does not say where to. */
function dispatched(interceptor: undici8.Dispatcher.DispatcherComposeInterceptor): Promise<unknown> {
  return new Promise((resolve, reject) => {
    interceptor(() => true)(
      { path: "/", method: "GET" },
      {
        onResponseEnd: resolve,
        onResponseError: (_, error) => {
          reject(error);
        },
      },
    );
  });
}

test("an agent sends what manager.fetch does, and the registrations", async () => {
  const server = await Server.start();
  const before = undici8.getGlobalDispatcher();
  const own = sendBy({ pipelining: 1 });
  try {
    const sent: string[] = [];
    undici8.setGlobalDispatcher(
      own.compose((dispatch) => (call, handler) => {
        sent.push(call.path);
        return dispatch(call, handler);
      }),
    );
    const response = await server.manager.fetch(server.manager.baseUrl + path);
    assert.deepEqual(await response.json(), { scheme: "agent-assertion", task: "task-1" });
    assert.deepEqual(
      sent,
      server.backend.seen.map((seen) => new URL(seen.url).pathname),
    );
  } finally {
    undici8.setGlobalDispatcher(before);
    await own.close();
    await server.close();
  }
});
