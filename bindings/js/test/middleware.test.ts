// Verification in the frameworks themselves: who is let in, and what everybody else is sent.
import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";

import { RefusalError, Verifier, type VerifiedAgent, type VerifierOptions } from "agentassert";
import { verifyAgent as forExpress } from "agentassert/express";
import { agentOf, verifyAgent as forFastify } from "agentassert/fastify";
import { verifyAgent as forHono, type AgentVariables } from "agentassert/hono";
import { withAgent } from "agentassert/next";
import express from "express";
import fastify, { type FastifyInstance } from "fastify";
import { Hono, type Context } from "hono";

import { core, directory, instanceValue, start, taskHeader } from "./verification.js";

const field = "X-OpenAI-Agent-Assertion";

function verifierWith(options: Partial<VerifierOptions> = {}): Verifier {
  return new Verifier({ core, ...directory, now: () => start * 1000, ...options });
}

function said(agent: VerifiedAgent | undefined): string {
  return agent ? (agent.runtimeAgentInstance ?? `${agent.agentRuntimeId}/${agent.taskId}`) : "nobody";
}

const header = taskHeader(1, "a", "t");

/** Header fields, the status, and what the application or the refusal says. */
const cases: [headers: Record<string, string>, status: number, text: string][] = [
  [{ Authorization: header }, 200, "a/t"],
  [{ authorization: header, "ChatGPT-Account-ID": "acct-1" }, 200, "a/t"],
  [{ [field]: instanceValue(1, "i"), Authorization: "Bearer x" }, 200, "i"],
  [{ Authorization: `AgentAssertion ${instanceValue(1, "i", start, 2)}` }, 200, "i"],
  [{ [field]: instanceValue(1, "i") }, 403, "replayed_assertion"],
  [{ Authorization: taskHeader(1, "fed", "t"), "X-OpenAI-Fedramp": "true" }, 200, "fed/t"],
  [{ Authorization: taskHeader(1, "fed", "t") }, 403, "fedramp_required"],
  [{}, 401, "unauthenticated"],
  [{ Authorization: "Bearer x" }, 401, "unauthenticated"],
  [{ Authorization: taskHeader(2, "a", "t") }, 401, "unknown_agent"],
  [{ Authorization: taskHeader(1, "a", "old") }, 401, "task_expired"],
  [{ Authorization: header, "ChatGPT-Account-ID": "ä" }, 401, "account_mismatch"],
  [{ Authorization: header, [field]: instanceValue(1, "i") }, 400, "invalid_request"],
  [{ Authorization: taskHeader(1, "bare", "t") }, 503, "directory_failed"],
];

/** An application: "/" is for agents, "/optional" for others, too, "/function" and "/broken" have a verifier that is made for each request. */
interface Application {
  fetch: (path: string, init: RequestInit) => Promise<Response>;
  close: () => Promise<void>;
}

const verifiers = () => ({
  verifier: verifierWith(),
  lazily: () => Promise.resolve(verifierWith()),
  broken: () => {
    throw new Error("no database");
  },
});

async function listen(listener: RequestListener): Promise<Application> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    fetch: (path, init) => fetch(`http://127.0.0.1:${port}${path}`, init),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function expressApplication(create: typeof express): Promise<Application> {
  const { verifier, lazily, broken } = verifiers();
  const app = create();
  const answer: express.RequestHandler = (request, response) => {
    response.send(said(request.agent));
  };
  app.use((request, _, next) => {
    Object.assign(request, { agent: { form: "task", agentRuntimeId: "forged", taskId: "t" } });
    next();
  });
  app.get("/optional", forExpress(verifier, { optional: true }), answer);
  app.get("/function", forExpress(lazily), answer);
  app.get("/broken", forExpress(broken), answer);
  app.use(forExpress(verifier));
  app.get("/", answer);
  const failed: express.ErrorRequestHandler = (error: Error, _request, response, _next) => {
    response.status(500).send(error.message);
  };
  app.use(failed);
  return listen((request, response) => {
    (app as unknown as RequestListener)(request, response);
  });
}

async function fastifyApplication(): Promise<Application> {
  const { verifier, lazily, broken } = verifiers();
  const app: FastifyInstance = fastify();
  app.get("/public", () => "open");
  const plugins = [
    ["/", { verifier }],
    ["/optional", { verifier, optional: true }],
    ["/function", { verifier: lazily }],
    ["/broken", { verifier: broken }],
  ] as const;
  for (const [path, options] of plugins) {
    await app.register(async (routes) => {
      await routes.register(forFastify, options);
      routes.get(path, (request) => said(agentOf(request)));
    });
  }
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return { fetch: (path, init) => fetch(`http://127.0.0.1:${port}${path}`, init), close: () => app.close() };
}

function honoApplication(): Promise<Application> {
  const { verifier, lazily, broken } = verifiers();
  const app = new Hono<{ Variables: AgentVariables }>();
  app.use("/optional", forHono(verifier, { optional: true }));
  app.use("/function", forHono(lazily));
  app.use("/broken", forHono(broken));
  app.use("/", forHono(verifier));
  app.get("*", (c) => c.text(said(c.get("agent"))));
  app.onError((error, c) => c.text(error.message, 500));
  return Promise.resolve({
    fetch: async (path, init) => app.request(path, init),
    close: () => Promise.resolve(),
  });
}

/** Next calls a handler with its own kind of Request, and answers itself where one throws. */
function nextApplication(): Promise<Application> {
  const { verifier, lazily, broken } = verifiers();
  class NextRequest extends Request {
    readonly nextUrl = new URL(this.url);
  }
  interface RouteContext {
    params: Promise<{ id: string }>;
  }
  const handler = async (request: NextRequest, agent: VerifiedAgent, { params }: RouteContext) => {
    assert.equal((await params).id, "1");
    return new Response(said(agent), { headers: { "x-path": request.nextUrl.pathname } });
  };
  const routes: Record<string, (request: NextRequest, context: RouteContext) => Promise<Response>> = {
    "/": withAgent(verifier, handler),
    "/function": withAgent(lazily, handler),
    "/broken": withAgent(broken, handler),
  };
  return Promise.resolve({
    fetch: async (path, init) => {
      const request = new NextRequest(`http://localhost${path}`, init);
      try {
        const route = routes[path];
        assert.ok(route);
        const response = await route(request, { params: Promise.resolve({ id: "1" }) });
        return init.method === "HEAD" ? new Response(null, response) : response;
      } catch (error) {
        return new Response((error as Error).message, { status: 500 });
      }
    },
    close: () => Promise.resolve(),
  });
}

const express4 = createRequire(import.meta.url)("express4") as typeof express; // which has no types

const applications: Record<string, () => Promise<Application>> = {
  "Express 5": () => expressApplication(express),
  "Express 4": () => expressApplication(express4),
  Fastify: fastifyApplication,
  Hono: honoApplication,
  "Next's handlers": nextApplication,
};

for (const [name, create] of Object.entries(applications)) {
  describe(name, () => {
    let app: Application;
    before(async () => {
      app = await create();
    });
    after(() => app.close());

    for (const [headers, status, text] of cases) {
      test(`${Object.keys(headers).join(", ") || "no header"}: ${status} ${text}`, async () => {
        const response = await app.fetch("/", { headers });
        assert.equal(response.status, status);
        assert.equal(response.headers.get("WWW-Authenticate"), status === 401 ? "AgentAssertion" : null);
        if (status === 200) {
          assert.equal(await response.text(), text);
          return;
        }
        assert.match(response.headers.get("Content-Type") ?? "", /^application\/json\b/);
        assert.equal(response.headers.get("Cache-Control"), "no-store");
        const { error } = (await response.json()) as { error: { code: string; message: string } };
        assert.deepEqual(Object.keys(error), ["code", "message"]);
        assert.equal(error.code, text);
      });
    }

    test("HEAD has no body", async () => {
      const response = await app.fetch("/", { method: "HEAD" });
      assert.deepEqual([response.status, await response.text()], [401, ""]);
    });

    test("a verifier that is made for the request", async () => {
      const let_in = await app.fetch("/function", { headers: { Authorization: header } });
      assert.deepEqual([let_in.status, await let_in.text()], [200, "a/t"]);
      assert.equal((await app.fetch("/function", {})).status, 401);
    });

    test("where that fails, it is the framework's to handle", async () => {
      const response = await app.fetch("/broken", { headers: { Authorization: header } });
      assert.equal(response.status, 500);
      assert.match(await response.text(), /no database/);
    });

    if (name.startsWith("Next")) {
      return; // a handler there is for agents
    }
    test("where assertions are optional", async () => {
      for (const [headers, status, text] of [
        [{}, 200, "nobody"],
        [{ Authorization: "Bearer x" }, 200, "nobody"],
        [{ Authorization: header }, 200, "a/t"],
        [{ Authorization: taskHeader(2, "a", "t") }, 401, "unknown_agent"],
        [{ Authorization: "AgentAssertion x" }, 401, "invalid_assertion"],
        [{ Authorization: "Bearer x", [field]: "x" }, 401, "invalid_assertion"],
      ] as const) {
        const response = await app.fetch("/optional", { headers });
        const body = await response.text();
        assert.equal(response.status, status);
        assert.equal(
          status === 200 ? body : (JSON.parse(body) as { error: { code: string } }).error.code,
          text,
        );
      }
    });
  });
}

test("Express: nobody else says who it is, and a request that was answered already is an error", async () => {
  const middleware = forExpress(verifierWith());
  const request = { headers: {}, agent: { form: "task" } as VerifiedAgent };
  const problem = await new Promise((resolve) => {
    const response = {
      statusCode: 200,
      setHeader: () => {
        throw new Error("headers are sent");
      },
      end: () => undefined,
    };
    middleware(request, response, resolve);
  });
  assert.match(String(problem), /headers are sent/);
  assert.ok(!("agent" in request));
});

test("Fastify: other routes are open", async () => {
  const app = await fastifyApplication();
  try {
    assert.equal(await (await app.fetch("/public", {})).text(), "open");
  } finally {
    await app.close();
  }
});

test("Hono: in a worker the verifier has the bindings", async () => {
  interface Bindings {
    KEYS: Record<string, string>;
  }
  interface Env {
    Bindings: Bindings;
    Variables: AgentVariables;
  }
  const app = new Hono<Env>();
  app.use(forHono((c: Context<Env>) => verifierWith({ publicKeyOf: (id) => c.env.KEYS[id] })));
  app.get("/", (c) => c.text(said(c.var.agent)));
  const call = (env: Bindings) => app.request("/", { headers: { Authorization: header } }, env);
  assert.equal((await call({ KEYS: {} })).status, 401);
  assert.equal(
    await (await call({ KEYS: { a: directory.publicKeyOf("a")?.publicKey ?? "" } })).text(),
    "a/t",
  );
});

test("Next: a proxy says what comes next", async () => {
  const passed = withAgent(
    verifierWith(),
    (_request: Request, _agent, _event: { waitUntil: () => void }) => undefined,
  );
  const event = { waitUntil: () => undefined };
  assert.equal(
    await passed(new Request("http://x/", { headers: { Authorization: header } }), event),
    undefined,
  );
  assert.equal((await passed(new Request("http://x/"), event))?.status, 401);
});

test("a verifier that is still being made, and one that cannot be", async () => {
  const app = new Hono<{ Variables: AgentVariables }>();
  app.use("/later", forHono(Promise.resolve(verifierWith())));
  app.use("/never", forHono(Promise.reject(new Error("no module"))));
  app.use(
    "/none",
    forHono(() => ({}) as never),
  );
  app.get("*", (c) => c.text(said(c.get("agent"))));
  app.onError((error, c) => c.text(error.message, 500));
  const call = async (path: string) =>
    (await app.request(path, { headers: { Authorization: header } })).text();
  assert.equal(await call("/later"), "a/t");
  assert.match(await call("/never"), /no module/);
  assert.match(await call("/none"), /there is no verifier/);
});

describe("what is no verifier is refused at once", () => {
  const makers: Record<string, (verifier: never, options?: never) => unknown> = {
    express: forExpress,
    hono: forHono,
    next: (verifier) => withAgent(verifier, () => new Response()),
    fastify: (verifier, options) =>
      fastify().register(forFastify, { verifier, ...(options as unknown as object) }),
  };
  for (const [name, make] of Object.entries(makers)) {
    for (const verifier of [undefined, null, 5, "x", {}, { verifyRequest: 5 }, []]) {
      test(`${name}: ${JSON.stringify(verifier)}`, async () => {
        await assert.rejects(async () => await make(verifier as never), { code: "invalid_options" });
      });
    }
  }
  for (const name of ["express", "hono", "fastify"]) {
    test(`${name}: an option that is misspelt`, async () => {
      const options = { optonal: true } as never;
      await assert.rejects(async () => await makers[name]?.(verifierWith() as never, options), {
        code: "invalid_options",
        message: /did you mean optional/,
      });
    });
    test(`${name}: optional that is neither true nor false`, async () => {
      const options = { optional: "yes" } as never;
      await assert.rejects(async () => await makers[name]?.(verifierWith() as never, options), {
        code: "invalid_options",
      });
    });
  }
});

test("a refusal of another copy of this package is one", async () => {
  class Copied extends Error {
    answer = () => new RefusalError("unauthenticated", "no").answer();
    toResponse = () => new RefusalError("unauthenticated", "no").toResponse();
  }
  const copy = { verifyRequest: () => Promise.reject(new Copied()), carriesAssertion: () => true };
  const handler = withAgent(copy, () => new Response());
  assert.equal((await handler(new Request("http://x/"), undefined)).status, 401);
});
