// What this package lets its module do: the vectors for hosts, and that no flow and no
// operation on files of the vectors is refused anything.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";

import {
  AgentAssert,
  AgentAssertError,
  type Credentials,
  type FileEffect,
  type FileEvent,
  type FlowEffect,
  type FlowEvent,
} from "agentassert";

import {
  checkedBaseURL,
  FilePolicy,
  FlowPolicy,
  presentable,
  scopeOf,
  scopes,
  surfaceOf,
} from "../dist/internals.js";
import { envelopeOf } from "./backend.js";
import { ask, hostVectors, messageOf, policyAfter } from "./hosts.js";
import { vectors } from "./vectors.js";

const core = await AgentAssert.load();

/** Runs something that may be refused, and returns the error's code, or "". It throws nothing else, and shows nothing that a module has sent. */
function refused(work: () => unknown): string {
  try {
    work();
    return "";
  } catch (error) {
    assert.ok(error instanceof AgentAssertError, `not this package's: ${inspect(error)}`);
    assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /secret-/);
    return error.code;
  }
}

describe("the vectors for hosts", () => {
  for (const vector of hostVectors()) {
    test(vector.id, () => {
      const code = refused(() => {
        ask(vector.params);
      });
      assert.equal(code, vector.error?.code ?? "", vector.comment);
    });
  }
});

test("every flow of the vectors passes, whole", () => {
  let [effects, answers, others] = [0, 0, 0];
  for (const { id, steps = [] } of vectors("flows")) {
    let policy: FlowPolicy | undefined;
    let last: FlowEffect | undefined;
    for (const [i, step] of steps.entries()) {
      if (!step.effect) {
        continue;
      }
      const event = messageOf<FlowEvent & { now: number }>(step.event);
      if (event.type === "start") {
        const { surface, credentials, threadId, entropy } = event;
        const { baseUrl } = core.call("base_url.normalize", { url: event.config.baseUrl });
        const config = { ...event.config, baseUrl: checkedBaseURL(event.config.baseUrl, baseUrl) };
        policy = new FlowPolicy({ config, surface, threadId, entropy, credentials });
      } else if (last) {
        policy?.answered(last, event);
      }
      const message = messageOf<FlowEffect>(step.effect);
      if (event.type === "again") {
        const { authorization } = message as Extract<FlowEffect, { type: "done" }>;
        const code = refused(() =>
          policy?.again(authorization, event.entropy ?? new Uint8Array(), event.now),
        );
        assert.equal(code, "", `${id}, step ${i}: ${inspect(message)}`);
        others++;
        continue;
      }
      const code = refused(() => {
        last = policy?.effect(message, event.now);
      });
      assert.equal(code, "", `${id}, step ${i}: ${inspect(message)}`);
      if (message.type === "done") {
        answers++;
      } else {
        effects++;
        assert.deepEqual(last, message, `${id}, step ${i}: it is carried out as it was asked for`);
      }
    }
  }
  assert.ok(
    effects > 4000 && answers > 700 && others > 5,
    `${effects} effects, ${answers} answers and ${others} others; are all of them read?`,
  );
});

test("every operation on files of the vectors passes, whole", () => {
  let [effects, results] = [0, 0];
  for (const { id, steps = [] } of vectors("files")) {
    let policy: FilePolicy | undefined;
    let last: FileEffect | undefined;
    for (const [i, step] of steps.entries()) {
      if (!step.effect) {
        continue;
      }
      const event = messageOf<FileEvent & { now: number }>(step.event);
      if (event.type === "start") {
        policy = new FilePolicy(event);
      } else if (last) {
        policy?.answered(last, event);
      }
      const message = messageOf<FileEffect>(step.effect);
      const code = refused(() => {
        last = policy?.effect(message, event.now);
      });
      assert.equal(code, "", `${id}, step ${i}: ${inspect(message, { depth: 5 })}`);
      if (message.type === "done") {
        results++;
      } else {
        effects++;
        assert.deepEqual(last, message, `${id}, step ${i}: it is carried out as it was asked for`);
      }
    }
  }
  assert.ok(
    effects > 2400 && results > 200,
    `${effects} effects and ${results} results; are all of them read?`,
  );
});

test("the table of surfaces is the core's", () => {
  for (const [surface, scope] of scopes) {
    assert.equal(core.call("surface.lookup", { surface: surface }).scope, scope, surface);
  }
  let count = 0;
  for (const { id, method, params, ok } of vectors("surfaces")) {
    const { surface, scope } = (ok ?? {}) as { surface?: string; scope?: string };
    assert.equal(surface && scopeOf(surface), surface && scope, id);
    const { path } = params as { path?: string };
    if (method === "surface.match" && path !== undefined && ok) {
      assert.equal(surfaceOf(path.replace(/\?.*/s, "")), surface, id);
      count++;
    }
  }
  assert.ok(count > 100, `${count} paths; are all of them read?`);
});

test("every base URL of the vectors is what the configured one stands for", () => {
  let count = 0;
  for (const { id, params, ok } of vectors("base-urls")) {
    const { url } = params as { url?: string };
    const { base_url: base } = (ok ?? {}) as { base_url?: string };
    if (url !== undefined && base !== undefined) {
      assert.equal(
        refused(() => checkedBaseURL(url, base)),
        "",
        `${id}: ${url}, ${base}`,
      );
      count++;
    }
  }
  assert.ok(count > 30, `${count} URLs; are all of them read?`);
});

test("the credentials that the core reads in a document are those that are in it", () => {
  let count = 0;
  for (const { id, method, params, ok } of vectors("credentials")) {
    if (method === "credentials.read" && ok !== undefined) {
      const { document } = messageOf<{ document: Uint8Array }>(params);
      const policy = new FilePolicy({ operation: "credentials" });
      const read = policy.effect({ type: "read", name: "target" }, 0);
      const stat = { id: "1:1", size: document.length, modified: 0n, mode: 0o600, links: 1 };
      policy.answered(read, { type: "done", stat, content: document });
      const done = { type: "done", result: { credentials: messageOf<Credentials>(ok) } };
      assert.equal(
        refused(() => policy.effect(done, 0)),
        "",
        id,
      );
      count++;
    }
  }
  assert.ok(count > 20, `${count} documents; are all of them read?`);
});

test("text is shown as the host in Go shows it", () => {
  const cases: [text: string, want: string][] = [
    ["", ""],
    ["the store failed", "the store failed"],
    ["a\u001b[2J\u0007b", "a\ufffd[2J\ufffdb"],
    ["a\nb\u2028", "a\ufffdb\u2028"],
    ["\u202egpj.exe", "\ufffdgpj.exe"],
    ["a\u0085\u007fb", "a\ufffd\ufffdb"],
    ["a\ud800b", "a\ufffdb"],
    ["é".repeat(2048), "é".repeat(2048)],
    ["é".repeat(2048) + "x", "é".repeat(2048) + "…"],
    ["x" + "é".repeat(2048), "x" + "é".repeat(2047) + "…"],
    ["🙂".repeat(1025), "🙂".repeat(1024) + "…"],
  ];
  for (const [text, want] of cases) {
    assert.equal(presentable(text), want);
  }
});

const base = "https://chatgpt.com/backend-api";
const background = {
  config: {
    baseUrl: base,
    agentIdentity: true,
    abom: { agentVersion: "0", agentHarnessId: "x", runningLocation: "x" },
  },
  surface: "apps",
  threadId: undefined,
  credentials: { kind: "chatgpt", accessToken: "token", accountId: "acct-1" } satisfies Credentials,
};

test("the largest record is let pass, and none beyond it", () => {
  for (const [size, want] of [
    [512 << 10, ""],
    [(512 << 10) + 1, "policy_violation"],
  ] as const) {
    const record = new Uint8Array(size);
    const effects: FlowEffect[] = [
      { type: "save", slot: "backoff", record },
      { type: "swap", slot: "identity", record },
      { type: "swap", slot: "identity", record: new Uint8Array(1), expected: record },
    ];
    for (const effect of effects) {
      assert.equal(
        refused(() => new FlowPolicy(background).effect(effect, 0)),
        want,
        effect.type,
      );
    }
  }
});

test("an answer's assertion is its canonical form, and nothing else", () => {
  const { privateKey } = core.generateKey();
  const now = 1_764_000_000;
  const check = (agentRuntimeId: string, taskId: string, header: string) =>
    refused(() => {
      const answer = {
        mode: "agent-assertion",
        reason: "background-task",
        accountId: "acct-1",
        validUntil: now,
      };
      const authorization = { ...answer, header, agentRuntimeId, taskId };
      new FlowPolicy(background).effect({ type: "done", authorization }, now);
    });
  const encode = (envelope: object) =>
    `AgentAssertion ${Buffer.from(JSON.stringify(envelope)).toString("base64url")}`;
  for (const id of ["agent-1", "é", "🙂", '"\\<&>\u2028', "\ufeff", "x".repeat(4096), "__proto__"]) {
    const header = core.assert({ privateKey, agentRuntimeId: id, taskId: `${id.slice(0, 4000)}:1`, now });
    assert.equal(check(id, `${id.slice(0, 4000)}:1`, header), "", id);
  }
  const {
    agentRuntimeId: agent_runtime_id,
    taskId: task_id,
    timestamp,
    signature,
  } = envelopeOf(core, core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now }));
  assert.equal(check("agent-1", "task-1", encode({ agent_runtime_id, signature, task_id, timestamp })), "");
  const refusals: Record<string, [string, string, object]> = {
    "no signature": ["agent-1", "task-1", { agent_runtime_id, task_id, timestamp }],
    "another order": ["agent-1", "task-1", { signature, agent_runtime_id, task_id, timestamp }],
    "a key in it": [
      "agent-1",
      "task-1",
      { agent_runtime_id, signature, task_id, timestamp, key: "secret-key" },
    ],
    "a longer signature": [
      "agent-1",
      "task-1",
      { agent_runtime_id, signature: `AAAA${signature}`, task_id, timestamp },
    ],
    "another time": [
      "agent-1",
      "task-1",
      { agent_runtime_id, signature, task_id, timestamp: "2025-11-24T16:00:01Z" },
    ],
    "a colon": ["a:b", "task-1", { agent_runtime_id: "a:b", signature, task_id, timestamp }],
    "a control character": ["agent-1", "\n", { agent_runtime_id, signature, task_id: "\n", timestamp }],
    "no agent": ["", "task-1", { agent_runtime_id: "", signature, task_id, timestamp }],
    "a long task": [
      "agent-1",
      "é".repeat(2049),
      { agent_runtime_id, signature, task_id: "é".repeat(2049), timestamp },
    ],
  };
  for (const [name, [agent, task, envelope]] of Object.entries(refusals)) {
    assert.equal(check(agent, task, encode(envelope)), "policy_violation", name);
  }
  for (const header of [
    "AgentAssertion A",
    "AgentAssertion AAAAA",
    "AgentAssertion ",
    "AgentAssertion AAAA",
  ]) {
    assert.equal(check("agent-1", "task-1", header), "policy_violation", header);
  }
});

test("the registration of an instance has the body that is this call's, or is none", () => {
  const instance = { headerMode: "dual_header", installationId: "i", harness: "h", role: "r" } as const;
  const config = { ...background.config, profile: "instances" as const, instance };
  const register = (text: string) =>
    refused(() => {
      const policy = new FlowPolicy({ ...background, config, entropy: new Uint8Array(16) });
      policy.effect({ type: "lock", slot: "instance" }, 0);
      const headers = [
        { name: "content-type", value: "application/json" },
        { name: "idempotency-key", value: "00000000-0000-4000-8000-000000000000" },
      ];
      const request = {
        type: "http",
        method: "POST",
        url: "https://auth.openai.com/agent/register",
        headers,
      };
      const body = text === "" ? {} : { body: new TextEncoder().encode(text) };
      policy.effect({ ...request, ...body, timeoutMs: 1000, sizeLimit: 1000 }, 0);
    });
  const { publicKey } = core.generateKey();
  const body = (key: string) =>
    `{"actor_auth":{"type":"oauth","credential":"token"},` +
    `"agent_host_auth":{"type":"installation_id","installation_id":"i"},"public_key":"${key}",` +
    `"metadata":{"harness":"h","harness_version":"0","role":"r"}}`;
  assert.equal(register(body(publicKey)), "");
  const others = ["", "null", "{}", "[", ` ${body(publicKey)}`, body("secret-key"), body(`${publicKey} a`)];
  for (const other of others) {
    assert.equal(register(other), "policy_violation", other);
  }
});

test("an operation on files has an end", () => {
  const policy = new FilePolicy({ operation: "credentials" });
  for (let i = 0; i < 1000; i++) {
    policy.effect({ type: "read", name: "target" }, 0);
  }
  assert.equal(
    refused(() => policy.effect({ type: "read", name: "target" }, 0)),
    "policy_violation",
  );
});

/** The same numbers in every run (mulberry32). */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Returns a message with some of it changed, to what a module could send. */
function mutated<T>(message: T, next: (below: number) => number, others: unknown[]): T {
  const odd: unknown[] = [
    ...[
      "",
      "identity",
      "secret-text",
      "target",
      "../x",
      "thread/thread-2",
      "Bearer secret-token",
      "\0",
      "\ud800",
    ],
    ...[
      0,
      -1,
      1,
      1e9,
      2 ** 53,
      NaN,
      0.5,
      2n ** 62n,
      true,
      false,
      null,
      undefined,
      [],
      {},
      [[]],
      ["secret-a"],
    ],
    ...[
      new Uint8Array(),
      new TextEncoder().encode('{"tokens":{"access_token":"evil"}}'),
      new Date(0),
      { toString: 1 },
    ],
  ];
  const change = (value: unknown): unknown => {
    const kind = next(8);
    if (kind === 0) {
      return odd[next(odd.length)];
    }
    if (kind === 1) {
      return others[next(others.length)];
    }
    if (typeof value === "string" && value.length > 0) {
      const at = next(value.length);
      return value.slice(0, at) + String.fromCharCode(33 + next(90)) + value.slice(at + next(3));
    }
    if (typeof value === "number") {
      return value + next(3) - 1;
    }
    if (value instanceof Uint8Array) {
      const bytes = value.slice(0, 1 + next(value.length || 1));
      bytes[next(bytes.length || 1)] = next(256);
      return bytes;
    }
    if (Array.isArray(value) && value.length > 0) {
      const at = next(value.length);
      return value.map((element, i) => (i === at ? change(element) : element) as unknown);
    }
    if (typeof value === "object" && value !== null) {
      const names = Object.keys(value);
      const name = names[next(names.length || 1)] ?? "type";
      return { ...value, [name]: change((value as Record<string, unknown>)[name]) };
    }
    return odd[next(odd.length)];
  };
  return change(message) as T;
}

/** All values in a message. */
function valuesOf(message: unknown): unknown[] {
  const isInner = typeof message === "object" && message !== null && !(message instanceof Uint8Array);
  return [message, ...(isInner ? Object.values(message).flatMap(valuesOf) : [])];
}

test("whatever a module asks for, what passes is a flow's", () => {
  const all = hostVectors().map(({ params }) => params);
  const others = all.flatMap(({ effect }) => valuesOf(effect));
  const next = random(1);
  let passed = 0;
  for (let i = 0; i < 20_000; i++) {
    const params = all[next(all.length)] ?? assert.fail();
    const { config, threadId, credentials, now } = params;
    const policy = policyAfter(params);
    const effect = mutated(params.effect, next, others);
    let taken: FlowEffect | undefined;
    assert.match(
      refused(() => (taken = policy.effect(effect, now))),
      /^(policy_violation)?$/,
    );
    if (!taken) {
      continue;
    }
    passed++;
    const bearer = `Bearer ${credentials.accessToken ?? ""}`;
    if (taken.type === "done") {
      const { header = "", agentAssertion = "", validUntil } = taken.authorization;
      assert.ok(header === "" || header === bearer || /^AgentAssertion [\w.-]+$/.test(header), header);
      assert.match(agentAssertion, /^(1(\.[\w-]+){3})?$/);
      assert.equal(validUntil, now);
      const { responsesOrigin = "", accountRoutingOverride = "" } = taken.authorization;
      assert.match(responsesOrigin, /^(https:\/\/([a-z0-9-]+\.)*(chatgpt\.com|openai\.com))?$/i);
      assert.match(accountRoutingOverride, /^(us|us_cr)?$/);
      assert.ok(config.workspaceRouting === true || responsesOrigin + accountRoutingOverride === "");
      continue;
    }
    assert.ok(config.agentIdentity || config.workspaceRouting === true);
    if ("slot" in taken) {
      const slots = ["identity", "backoff", "backend", "set-aside", "instance", `thread/${threadId ?? ""}`];
      slots.push(...(config.workspaceRouting ? ["workspace"] : []));
      assert.ok(slots.includes(taken.slot), taken.slot);
    }
    if (taken.type === "http") {
      // Those that are found out belong to a base URL, as the vectors of flows have it.
      const authAPI = config.authApiUrl ?? "https://auth.";
      assert.ok(
        [config.baseUrl, authAPI].some((base) =>
          new URL(taken?.type === "http" ? taken.url : "").href.startsWith(base),
        ),
      );
      // An instance asserts itself where the workspace's calls are asked for.
      const isInstance = config.profile === "instances" && taken.url.endsWith("/wham/accounts/check");
      const mayCarry = (value: string) =>
        value === bearer || (isInstance && /^AgentAssertion 1(\.[\w-]+){3}$/.test(value));
      assert.ok(taken.headers.every(({ name, value }) => name !== "authorization" || mayCarry(value)));
      assert.ok(
        taken.timeoutMs <= 30_000 && taken.sizeLimit <= 65_536 && (taken.body?.length ?? 0) <= 81_920,
      );
    }
  }
  assert.ok(passed > 200, `${passed} have passed`);
});

test("whatever a module does to files, the user's tokens stay what they were", () => {
  const all = vectors("files").filter(({ steps }) => steps);
  const others = all.flatMap(({ steps = [] }) =>
    steps.slice(0, 20).flatMap(({ effect }) => valuesOf(messageOf(effect))),
  );
  const names =
    /^(target|previous|home|journal|client-lock|target-lock|leftovers(\/[^/]+)?|record\/[a-z-]+|threads?(\/[0-9]{4}-[0-9]{2}(\/[^/]+)?)?)$/;
  const textOf = (content: Uint8Array | undefined) => new TextDecoder().decode(content ?? new Uint8Array());
  const tokensOf = (content: Uint8Array | undefined) => /"tokens":\s*\{[^}]*\}/.exec(textOf(content))?.[0];
  const next = random(2);
  let passed = 0;
  for (let i = 0; i < 20_000; i++) {
    const { id, steps = [] } = all[next(all.length)] ?? assert.fail();
    const start = messageOf<FileEvent & { type: "start"; now: number }>(steps[0]?.event);
    const policy = new FilePolicy(start);
    const at = next(Math.min(steps.length, 40));
    const documents: string[] = ["{}\n", ...[start.record, start.expected].map(textOf)];
    let last: FileEffect | undefined;
    for (const [j, step] of steps.slice(0, at + 1).entries()) {
      if (!step.effect) {
        continue; // refused, and the state before it is still good
      }
      const event = messageOf<FileEvent & { now: number }>(step.event);
      if (last) {
        policy.answered(last, event);
      }
      if (event.type === "done" && event.content) {
        const { old = "", new: written = "" } = textOf(event.content).startsWith('{"old":')
          ? (JSON.parse(textOf(event.content)) as { old: unknown; new: unknown })
          : {};
        documents.push(
          textOf(event.content),
          ...[old, written].map((text) => Buffer.from(String(text), "base64").toString()),
        );
      }
      const wanted = messageOf<FileEffect>(step.effect);
      if (j < at) {
        last = policy.effect(wanted, event.now);
        continue;
      }
      let taken: FileEffect | undefined;
      const effect = mutated(wanted, next, others);
      assert.match(
        refused(() => (taken = policy.effect(effect, event.now))),
        /^(policy_violation)?$/,
      );
      if (!taken) {
        continue;
      }
      passed++;
      if ("name" in taken) {
        assert.match(taken.name, names, id);
      }
      if ((taken.type === "create" || taken.type === "write") && taken.name === "target") {
        const tokens = tokensOf(taken.content);
        assert.ok(
          tokens === undefined || documents.some((document) => document.includes(tokens)),
          `${id}: ${textOf(taken.content)}`,
        );
      }
      if (taken.type === "remove" || taken.type === "move") {
        assert.notEqual(taken.name, "target");
      }
    }
  }
  assert.ok(passed > 500, `${passed} have passed`);
});
