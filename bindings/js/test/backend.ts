// A backend for tests that answers fetch without a network. The real one is the
// Go authority, which the demo's test uses.
import assert from "node:assert/strict";

import type { AgentAssert, Credentials, Envelope } from "agentassert";

export const base = "http://agent.chatgpt.com/backend-api";
/** Below it runtime agent instances are registered. */
export const registrar = "http://auth.example.org";
export const token = "secret-access-token";
export const apiKey = "sk-secret-api-key";
export const credentials: Credentials = {
  kind: "chatgpt",
  accessToken: token,
  accountId: "acct-1",
  userId: "user-1",
};

/** A request that reached the backend. */
export interface Seen {
  method: string;
  url: string;
  path: string;
  authorization: string;
  assertion: string;
  accountId: string;
  fedramp: string;
  override: string;
  contentType: string;
  body: string;
}

/** What to do with a request in place of answering it. */
export type Intercept = (request: Request, path: string) => Response | Promise<Response> | undefined;

export class Backend {
  readonly seen: Seen[] = [];
  readonly identities: string[] = [];
  readonly tasks: string[] = [];
  /** The ids of runtime agent instances; and of the assertions of them that were accepted. */
  readonly instances: string[] = [];
  readonly used = new Set<string>();
  /** The bodies of their registrations, and the idempotency keys. */
  readonly registrations: { body: string; idempotencyKey: string }[] = [];
  /** Tasks, and instances, whose assertions are answered with 401. */
  readonly revoked = new Set<string>();
  intercept: Intercept | undefined;
  /** What it answers to who asks where the calls of accounts go. */
  accounts: object[] = [];
  readonly #core: AgentAssert;
  readonly #keys = new Map<string, string>();
  readonly #now: () => number;

  readonly #base: string;

  constructor(core: AgentAssert, now: () => number = Date.now, at: string = base) {
    this.#base = at;
    this.#core = core;
    this.#now = () => Math.floor(now() / 1000);
  }

  readonly fetch = async (input: string | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const path = request.url.startsWith(this.#base) ? request.url.slice(this.#base.length) : "";
    const headers = request.headers;
    this.seen.push({
      method: request.method,
      url: request.url,
      path,
      authorization: headers.get("Authorization") ?? "",
      assertion: headers.get("X-OpenAI-Agent-Assertion") ?? "",
      accountId: headers.get("ChatGPT-Account-ID") ?? "",
      fedramp: headers.get("X-OpenAI-Fedramp") ?? "",
      override: headers.get("X-OpenAI-Account-Routing-Override") ?? "",
      contentType: headers.get("Content-Type") ?? "",
      body: await request.clone().text(),
    });
    return (await this.intercept?.(request, path)) ?? this.#answer(request, path);
  };

  /** How many requests went to a path, by its end. */
  count(suffix: string): number {
    return this.seen.filter(({ path }) => path.endsWith(suffix)).length;
  }

  async #answer(request: Request, path: string): Promise<Response> {
    const now = this.#now();
    if (request.url === `${registrar}/agent/register`) {
      return this.#registerInstance(request);
    }
    if (path === "/authenticate_app_v2") {
      assert.equal(request.headers.get("Authorization"), `Bearer ${token}`);
      return new Response("{}", { headers: { "x-openai-authorization": `biscuit-${this.seen.length}` } });
    }
    if (path === "/v1/agent/register") {
      const { agent_public_key: key } = (await request.json()) as { agent_public_key: string };
      const id = `agent-${this.identities.length + 1}`;
      this.identities.push(id);
      this.#keys.set(id, key);
      return Response.json({ agent_runtime_id: id });
    }
    const registration = /^\/v1\/agent\/([^/]+)\/task\/register$/.exec(path);
    if (registration?.[1]) {
      const agentRuntimeId = registration[1];
      const publicKey = this.#keys.get(agentRuntimeId) ?? "";
      const { signature, timestamp } = (await request.json()) as { signature: string; timestamp: string };
      this.#core.call("registration.verify", {
        publicKey,
        agentRuntimeId,
        signature,
        timestamp,
        now,
        skew: 300,
      });
      const taskId = `task-${this.tasks.length + 1}`;
      this.tasks.push(taskId);
      const entropy = crypto.getRandomValues(new Uint8Array(32));
      const { encryptedTaskId } = this.#core.call("task_id.seal", { publicKey, entropy, taskId });
      return Response.json({ encrypted_task_id: encryptedTaskId });
    }
    const answer = this.#answerCall(request, now);
    return path === "/wham/accounts/check" && answer.ok ? Response.json({ accounts: this.accounts }) : answer;
  }

  /** Answers a call by what it carries, at whichever origin. */
  #answerCall(request: Request, now: number): Response {
    const header = request.headers.get("Authorization") ?? "";
    const beside = request.headers.get("X-OpenAI-Agent-Assertion");
    if (beside !== null || header.startsWith("AgentAssertion 1.")) {
      return this.#answerInstance(header, beside ?? header);
    }
    if (header.startsWith("AgentAssertion ")) {
      const envelope = envelopeOf(this.#core, header);
      const publicKey = this.#keys.get(envelope.agentRuntimeId) ?? "";
      this.#core.verify({ publicKey, header, now });
      if (this.revoked.has(envelope.taskId)) {
        return Response.json({ error: { code: "task_expired" } }, { status: 401 });
      }
      return Response.json({ scheme: "agent-assertion", task: envelope.taskId });
    }
    return Response.json({ scheme: header === `Bearer ${token}` ? "bearer" : "none" });
  }

  async #registerInstance(request: Request): Promise<Response> {
    assert.equal(request.headers.get("Authorization"), null);
    const body = await request.text();
    this.registrations.push({ body, idempotencyKey: request.headers.get("Idempotency-Key") ?? "" });
    const id = `instance-${this.instances.length + 1}`;
    this.instances.push(id);
    this.#keys.set(id, (JSON.parse(body) as { public_key: string }).public_key);
    return Response.json({ runtime_agent_instance_id: id });
  }

  /** Accepts each assertion once. */
  #answerInstance(authorization: string, assertion: string): Response {
    const inspection = this.#core.inspect(assertion);
    assert.ok(inspection.form === "instance");
    const { runtimeAgentInstance: id } = inspection.instance;
    const publicKey = this.#keys.get(id) ?? "";
    const { canonical, instance } = this.#core.verifyInstance({
      publicKey,
      header: assertion,
      now: this.#now(),
    });
    assert.ok(canonical);
    if (this.revoked.has(id) || this.used.has(instance.id)) {
      return Response.json({ error: { code: "runtime_instance_revoked" } }, { status: 401 });
    }
    this.used.add(instance.id);
    const scheme =
      { [`Bearer ${token}`]: "bearer", [`Bearer ${apiKey}`]: "api-key" }[authorization] ?? "none";
    return Response.json({ scheme: authorization === assertion ? "agent-assertion" : scheme, instance: id });
  }
}

/** Returns the envelope of a task's assertion. */
export function envelopeOf(core: AgentAssert, header: string): Envelope {
  const inspection = core.inspect(header);
  assert.ok(inspection.form === "task");
  return inspection.envelope;
}

/** A clock that stands still until it is set forward. */
export class Clock {
  /** Unix milliseconds. */
  milliseconds = 1_764_000_000_000;
  readonly now = (): number => this.milliseconds;
}
