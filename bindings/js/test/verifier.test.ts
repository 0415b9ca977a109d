// Who is let in by a verifier, and what others are told. The tables are those of the
// verifiers in the other languages.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { format, inspect } from "node:util";

import {
  AgentAssertError,
  memoryReplays,
  RefusalError,
  Verifier,
  type Decision,
  type RequestLike,
  type Use,
  type VerifiedAgent,
  type VerifierOptions,
} from "agentassert";

import { core, directory, instanceValue, publicKey, start, taskHeader } from "./verification.js";
import { vectors } from "./vectors.js";

const field = "X-OpenAI-Agent-Assertion";
const account = "ChatGPT-Account-ID";
const fedrampMark = ["X-OpenAI-Fedramp", "true"] as const;

type Pairs = (readonly [string, string])[];

/** The forms in which servers have header fields. The first two say what stands twice. */
const forms: Record<string, (pairs: Pairs) => RequestLike> = {
  pairs: (pairs) => ({ headers: pairs }),
  "lists by name": (pairs) => {
    const headers: Record<string, string[]> = {};
    for (const [name, value] of pairs) {
      (headers[name] ??= []).push(value);
    }
    return { headers };
  },
};

function verifierWith(options: Partial<VerifierOptions> = {}): Verifier {
  return new Verifier({ core, ...directory, now: () => start * 1000 + 900, ...options });
}

async function decide(
  verifier: Verifier,
  request: RequestLike,
): Promise<{ agent?: VerifiedAgent; refusal?: RefusalError }> {
  try {
    return { agent: await verifier.verifyRequest(request) };
  } catch (refusal) {
    assert.ok(refusal instanceof RefusalError, inspect(refusal));
    assert.ok(refusal instanceof AgentAssertError);
    return { refusal };
  }
}

/** The code of the true reason, or "" for who was let in. */
async function reason(verifier: Verifier, request: RequestLike): Promise<string> {
  return (await decide(verifier, request)).refusal?.reason ?? "";
}

const authorization = (header: string, ...more: Pairs): Pairs => [["Authorization", header], ...more];
const by = (agent: string, task: string, after = 0, seed = 1): Pairs =>
  authorization(taskHeader(seed, agent, task, start + after));
const encoded = (text: string) => `AgentAssertion ${Buffer.from(text).toString("base64url")}`;

const header = taskHeader(1, "a", "t");
const value = instanceValue(1, "a");

const taskCases: [
  name: string,
  pairs: Pairs,
  options: Partial<VerifierOptions>,
  status: number,
  code: string,
][] = [
  ["good", authorization(header), {}, 200, ""],
  ["good, with its account", authorization(header, [account, "acct-1"]), {}, 200, ""],
  [
    "good, names in other case",
    [
      ["aUTHORIZATION", header],
      [account.toUpperCase(), "acct-1"],
    ],
    {},
    200,
    "",
  ],
  [
    "good, scheme in other case",
    authorization(header.replace("AgentAssertion", "agentassertion")),
    {},
    200,
    "",
  ],
  ["agent without an account, which names one", [...by("free", "t"), [account, "x"]], {}, 200, ""],
  ["FedRAMP", [...by("fed", "t"), fedrampMark], {}, 200, ""],
  ["not FedRAMP, but says so", authorization(header, fedrampMark), {}, 200, ""],
  ["FedRAMP, but does not say so", by("fed", "t"), {}, 403, "fedramp_required"],
  ["FedRAMP, and says no", [...by("fed", "t"), [fedrampMark[0], "false"]], {}, 403, "fedramp_required"],
  ["FedRAMP, and says it twice", [...by("fed", "t"), fedrampMark, fedrampMark], {}, 400, "invalid_request"],
  ["FedRAMP, with an unknown task", by("fed", "x"), {}, 401, "unknown_task"],
  ["no authorization", [], {}, 401, "unauthenticated"],
  ["an empty one", authorization(""), {}, 401, "unauthenticated"],
  ["bearer", authorization("Bearer x"), {}, 401, "unauthenticated"],
  ["other scheme with the same start", authorization(header.replace(" ", "2 ")), {}, 401, "unauthenticated"],
  ["two authorizations", authorization(header, ["authorization", "Bearer x"]), {}, 400, "invalid_request"],
  ["the same one twice", authorization(header, ["Authorization", header]), {}, 400, "invalid_request"],
  ["two in one header", authorization(`${header}, Bearer x`), {}, 401, "invalid_assertion"],
  [
    "two accounts",
    authorization(header, [account, "acct-1"], [account, "acct-2"]),
    {},
    400,
    "invalid_request",
  ],
  ["the scheme alone", authorization("AgentAssertion"), {}, 401, "invalid_assertion"],
  ["no base64", authorization("AgentAssertion !"), {}, 401, "invalid_assertion"],
  ["no Unicode", authorization("AgentAssertion \udcff"), {}, 401, "invalid_assertion"],
  ["too long", authorization(`AgentAssertion ${"a".repeat(1 << 20)}`), {}, 401, "invalid_assertion"],
  ["padding", authorization(`${encoded("{}")}=`), {}, 401, "invalid_assertion"],
  ["no envelope", authorization(encoded("{}")), {}, 401, "invalid_assertion"],
  ["cut short", authorization(header.slice(0, -4)), {}, 401, "invalid_assertion"],
  ["another key", by("a", "t", 0, 2), {}, 401, "unknown_agent"],
  ["another key, too old", by("a", "t", -3600, 2), {}, 401, "unknown_agent"],
  ["another key, unknown task", by("a", "x", 0, 2), {}, 401, "unknown_agent"],
  ["unknown agent", by("x", "t"), {}, 401, "unknown_agent"],
  ["unknown task", by("a", "x"), {}, 401, "unknown_task"],
  ["another agent's task", by("a2", "t"), {}, 401, "unknown_task"],
  ["status that there is not", by("a", "odd"), {}, 401, "unknown_task"],
  ["expired task", by("a", "old"), {}, 401, "task_expired"],
  ["any task, where nobody is asked", by("a", "x"), { taskOf: undefined }, 200, ""],
  ["other account", authorization(header, [account, "acct-2"]), {}, 401, "account_mismatch"],
  ["oldest", by("a", "t", -300), {}, 200, ""],
  ["newest", by("a", "t", 300), {}, 200, ""],
  ["too old", by("a", "t", -301), {}, 401, "timestamp_skew"],
  ["too new", by("a", "t", 301), {}, 401, "timestamp_skew"],
  ["too old, unknown task", by("a", "x", -3600), {}, 401, "timestamp_skew"],
  ["oldest of a second", by("a", "t", -1), { skew: 1 }, 200, ""],
  ["too old for a second", by("a", "t", -2), { skew: 1 }, 401, "timestamp_skew"],
  ["no skew at all", by("a", "t"), { skew: 0 }, 200, ""],
  ["a second too old for that", by("a", "t", -1), { skew: 0 }, 401, "timestamp_skew"],
  ["oldest of all", by("a", "t", -900), { skew: 900 }, 200, ""],
  ["directory has no key", by("bare", "t"), {}, 503, "directory_failed"],
  ["directory has what is no key", by("damaged", "t"), {}, 503, "directory_failed"],
  ["directory has an account that is no text", by("odd", "t"), {}, 503, "directory_failed"],
] as never;

describe("tasks", () => {
  for (const [name, pairs, options, status, code] of taskCases) {
    for (const [form, request] of Object.entries(forms)) {
      test(`${name}, as ${form}`, async () => {
        const decisions: Decision[] = [];
        const verifier = verifierWith({ ...options, decided: (decision) => void decisions.push(decision) });
        const { agent, refusal } = await decide(verifier, request(pairs));
        assert.deepEqual([refusal?.status ?? 200, refusal?.code ?? ""], [status, code]);
        const [decision] = decisions;
        assert.ok(decision && decisions.length === 1);
        assert.equal(decision.agent, agent);
        assert.equal(decision.error, refusal);
        assert.equal(decision.time, start + 0.9);
        if (agent) {
          const id = agent.agentRuntimeId ?? "";
          const known = directory.publicKeyOf(id);
          assert.equal(agent.form, "task");
          assert.equal(agent.accountId, known?.accountId ?? "");
          assert.equal(agent.fedramp, known?.fedramp ?? false);
          assert.ok(Math.abs(agent.timestamp - start) <= 900);
          assert.deepEqual(decision.claimed, {
            agentRuntimeId: id,
            taskId: agent.taskId,
            runtimeAgentInstance: "",
          });
        }
      });
    }
  }

  test("the result has what was signed, and what is known of who has signed it", async () => {
    assert.deepEqual(
      { ...(await verifierWith().verifyRequest({ headers: by("a", "t", -7) as never })) },
      {
        form: "task",
        agentRuntimeId: "a",
        taskId: "t",
        timestamp: start - 7,
        accountId: "acct-1",
        fedramp: false,
      },
    );
  });

  test("a key alone is enough of an answer, at once or later, and the clock is the system's", async () => {
    const now = Math.floor(Date.now() / 1000);
    for (const publicKeyOf of [() => publicKey(1), () => Promise.resolve(publicKey(1))]) {
      const { verifyRequest } = new Verifier({ core, publicKeyOf }); // off its object
      const { agentRuntimeId, accountId } = await verifyRequest({
        headers: { authorization: taskHeader(1, "any", "t", now) },
      });
      assert.deepEqual([agentRuntimeId, accountId], ["any", ""]);
    }
  });
});

const beside = (instance: string, seed = 1, at = start): Pairs => [
  [field, instanceValue(seed, instance, at)],
];
const task = {
  form: "task",
  agentRuntimeId: "a",
  taskId: "t",
  timestamp: start,
  accountId: "acct-1",
  fedramp: false,
};
const instance = {
  form: "instance",
  runtimeAgentInstance: "a",
  timestamp: start,
  accountId: "acct-1",
  fedramp: false,
  beside: false,
};
const besideToken = { ...instance, beside: true };
const fed = { ...besideToken, runtimeAgentInstance: "fed", accountId: "", fedramp: true };

// Each form is verified by the answers for its own, in the header field that it may stand in, and the
// result says which it was. The agent and the instance "a" have the same id, and the same key.
const formCases: [name: string, pairs: Pairs, wanted: object | string, why?: string][] = [
  ["task", authorization(header), task],
  ["instance", authorization(`AgentAssertion ${value}`), instance],
  ["instance, scheme in lower case", authorization(`agentassertion  ${value}`), instance],
  ["beside a token", authorization("Bearer x", [field, value]), besideToken],
  ["beside nothing", [[field, value]], besideToken],
  [
    "account",
    [
      [field, value],
      [account, "acct-1"],
    ],
    besideToken,
  ],
  [
    "other account",
    [
      [field, value],
      [account, "acct-2"],
    ],
    "account_mismatch",
  ],
  ["FedRAMP", [...beside("fed"), fedrampMark], fed],
  ["FedRAMP without its mark", beside("fed"), "fedramp_required"],
  ["two assertions", authorization(header, [field, value]), "invalid_request"],
  ["the same twice", authorization(`AgentAssertion ${value}`, [field, value]), "invalid_request"],
  [
    "field twice",
    [
      [field, value],
      [field, value],
    ],
    "invalid_request",
  ],
  ["task in the other field", [[field, header.replace("AgentAssertion ", "")]], "invalid_assertion"],
  ["task with its scheme there", [[field, header]], "invalid_assertion"],
  ["scheme in the other field", [[field, `AgentAssertion ${value}`]], "invalid_assertion"],
  ["a bearer token there", [[field, "Bearer x"]], "invalid_assertion"],
  ["instance as a bearer token", authorization(`Bearer ${value}`), "unauthenticated"],
  ["agent as an instance", beside("agent-alone"), "unknown_agent"],
  ["instance as an agent", by("alone", "t"), "unknown_agent"],
  ["unknown", beside("z"), "unknown_agent"],
  ["another key", beside("a", 2), "unknown_agent", "invalid_signature"],
  ["revoked", beside("revoked"), "runtime_instance_revoked"],
  ["revoked, another key", beside("revoked", 2), "unknown_agent", "invalid_signature"],
  ["other spelling", beside("A"), "unknown_agent", "other_spelling"],
  ["no directory", beside("broken"), "directory_failed"],
  ["no key", beside("keyless"), "directory_failed"],
  ["skew", beside("a", 1, start - 360), "timestamp_skew"],
];

describe("forms", () => {
  for (const [name, pairs, wanted, why] of formCases) {
    test(name, async () => {
      const { agent, refusal } = await decide(verifierWith(), { headers: pairs });
      if (typeof wanted === "string") {
        assert.deepEqual([refusal?.code, refusal?.reason], [wanted, why ?? wanted]);
      } else {
        assert.deepEqual({ ...agent }, wanted);
      }
    });
  }

  test("without answers about instances none is let in", async () => {
    const verifier = new Verifier({ core, publicKeyOf: directory.publicKeyOf, now: () => start * 1000 });
    assert.equal(await reason(verifier, { headers: { [field]: value } }), "unauthenticated");
  });
});

describe("spellings", () => {
  // A database that takes two spellings for the same text, and one with another agent's task.
  const collated: Partial<VerifierOptions> = {
    publicKeyOf: (id) => directory.publicKeyOf(id.toLowerCase().trim()),
    taskOf: (id, task) => directory.taskOf(id, task.toLowerCase().trim()),
  };
  const stolen: Partial<VerifierOptions> = {
    taskOf: (_, taskId) => ({ taskId, agentRuntimeId: "someone-else" }),
  };
  for (const [options, agent, task, code, why] of [
    [collated, "a", "t", "", ""],
    [collated, "A", "t", "unknown_agent", "other_spelling"],
    [collated, "a ", "t", "unknown_agent", "other_spelling"],
    [collated, "a", "T", "unknown_task", "other_spelling"],
    [collated, "a", "old ", "unknown_task", "other_spelling"],
    [stolen, "a", "t", "unknown_task", "other_spelling"],
    [collated, "a", "x", "unknown_task", "unknown_task"],
  ] as const) {
    test(JSON.stringify([agent, task, why]), async () => {
      const { refusal } = await decide(verifierWith(options), { headers: by(agent, task) });
      assert.deepEqual([refusal?.code ?? "", refusal?.reason ?? ""], [code, why]);
    });
  }

  test("unknown agents and bad signatures look alike", async () => {
    for (const [task, named, after] of [
      ["t", "acct-1", 0],
      ["t", "acct-2", 0],
      ["x", "acct-1", 0],
      ["t", "acct-1", -3600],
      ["t", "acct-1", 3600],
    ] as const) {
      const told = new Set<string>();
      const reasons: string[] = [];
      for (const [seed, agent] of [
        [2, "b"],
        [2, "a"],
        [1, "A"],
      ] as const) {
        const pairs: Pairs = [...by(agent, task, after, seed), [account, named]];
        const { refusal } = await decide(verifierWith(collated), { headers: pairs });
        told.add(JSON.stringify(refusal?.answer()));
        reasons.push(refusal?.reason ?? "");
      }
      assert.equal(told.size, 1);
      assert.deepEqual(reasons, ["unknown_agent", "invalid_signature", "other_spelling"]);
    }
  });
});

describe("what fails lets nobody in", () => {
  const broken = new Error("the database at 10.0.0.1 is away");
  const throwing = () => {
    throw broken;
  };
  const request = { headers: { authorization: header } };
  const cases: [name: string, options: Partial<VerifierOptions>, status: number, code: string][] = [
    ["keys, at once", { publicKeyOf: throwing }, 503, "directory_failed"],
    ["keys, later", { publicKeyOf: () => Promise.reject(broken) }, 503, "directory_failed"],
    ["tasks", { taskOf: () => Promise.reject(broken) }, 503, "directory_failed"],
    ["replays", { replays: { replayed: throwing } }, 503, "replay_check_failed"],
    ["replays, later", { replays: { replayed: () => Promise.reject(broken) } }, 503, "replay_check_failed"],
    ["the clock", { now: throwing }, 500, "internal"],
    ["the hook", { decided: throwing }, 500, "internal"],
    ["the hook, later", { decided: () => Promise.reject(broken) }, 500, "internal"],
    ["the core", { core: { call: throwing, forget: () => undefined } }, 500, "internal"],
  ];
  for (const [name, options, status, code] of cases) {
    test(name, async () => {
      const { refusal } = await decide(verifierWith(options), request);
      assert.deepEqual([refusal?.status, refusal?.code, refusal?.cause], [status, code, broken]);
      assert.ok(!`${refusal?.message}${refusal?.answer().body}`.includes("10.0.0.1"));
    });
  }

  for (const answer of [5, true, {}, [], "", { publicKey: 5 }, { publicKey: "" }]) {
    test(`a key that is ${inspect(answer)}`, async () => {
      const { refusal } = await decide(verifierWith({ publicKeyOf: () => answer as never }), request);
      assert.equal(refusal?.code, "directory_failed");
    });
  }

  for (const answer of [undefined, null, "no", 1, {}]) {
    test(`replays that answer ${inspect(answer)}`, async () => {
      const replays = { replayed: () => answer as never };
      assert.equal(await reason(verifierWith({ replays }), request), "replay_check_failed");
    });
  }

  for (const now of [253_402_300_800_000, -62_135_596_801_000, NaN, Infinity, "0", undefined]) {
    test(`a clock at ${now}`, async () => {
      const { refusal } = await decide(verifierWith({ now: () => now as number }), request);
      assert.deepEqual([refusal?.status, refusal?.code], [500, "internal"]);
    });
  }

  for (const answer of [
    undefined,
    {},
    { form: "task" },
    { form: "task", envelope: { agentRuntimeId: 5, taskId: "t", timestamp: "" } },
    { form: "instance", instance: {} },
  ]) {
    test(`a core that answers ${inspect(answer)}`, async () => {
      const nonsense = { call: () => answer as never, forget: () => undefined };
      const { refusal } = await decide(verifierWith({ core: nonsense }), request);
      assert.deepEqual([refusal?.status, refusal?.code], [500, "internal"]);
    });
  }
});

describe("options", () => {
  for (const [name, options, told] of [
    ["no core", { core: undefined }, /core is missing/],
    ["a core that is none", { core: {} }, /core is an object, not what AgentAssert/],
    ["a core that is still being loaded", { core: Promise.resolve(core) }, /awaited/],
    ["no keys", { publicKeyOf: undefined }, /publicKeyOf is missing/],
    ["nothing that there is", { colour: 5 }, /colour is none of/],
    ["keys that are no function", { publicKeyOf: new Map() }, /publicKeyOf/],
    ["instances that are no function", { publicKeyOfInstance: {} }, /publicKeyOfInstance/],
    ["tasks that are no function", { taskOf: {} }, /taskOf/],
    ["a hook that is none", { decided: 5 }, /decided/],
    ["a clock that is none", { now: start }, /now/],
    ["replays that are none", { replays: {} }, /replayed/],
    ["misspelt", { publicKeyFor: () => undefined }, /publicKeyFor.*did you mean publicKeyOf/],
    ["negative", { skew: -1 }, /0 to 900/],
    ["no integer", { skew: 1.5 }, /0 to 900/],
    ["no number", { skew: "5" }, /0 to 900/],
    ["too much", { skew: 901 }, /0 to 900/],
  ] as const) {
    test(name, () => {
      assert.throws(
        () => verifierWith(options as object),
        (error: unknown) =>
          error instanceof AgentAssertError && error.code === "invalid_options" && told.test(error.message),
      );
    });
  }
  for (const options of [undefined, null, 5, "x", []]) {
    test(`that are ${inspect(options)}`, () => {
      assert.throws(() => new Verifier(options as never), { code: "invalid_options" });
    });
  }
  for (const options of [{ reuse: -1 }, { maxTotal: -1 }, { maxPerAccount: NaN }, { reuse: "5" }]) {
    test(`of memoryReplays: ${inspect(options)}`, () => {
      assert.throws(() => memoryReplays(options as object), { code: "invalid_options" });
    });
  }
});

describe("requests", () => {
  const verifier = verifierWith();
  for (const request of [
    undefined,
    null,
    5,
    "GET /",
    () => undefined,
    {},
    [],
    { headers: null },
    { headers: "x" },
  ]) {
    test(`${inspect(request)} is none`, async () => {
      const { refusal } = await decide(verifier, request as never);
      assert.deepEqual([refusal?.status, refusal?.code], [400, "invalid_request"]);
      assert.match(refusal?.message ?? "", /no request/);
      assert.equal(verifier.carriesAssertion(request as never), true);
    });
  }

  test("the platform's", async () => {
    const headers = { Authorization: header, [account]: "acct-1" };
    assert.deepEqual({ ...(await verifier.verifyRequest(new Request("http://x/", { headers }))) }, task);
    assert.deepEqual(
      { ...(await verifier.verifyRequest({ headers: new Map(Object.entries(headers)) })) },
      task,
    );
    const twice = new Headers(headers);
    twice.append("Authorization", "Bearer x");
    assert.equal(await reason(verifier, { headers: twice }), "invalid_assertion"); // it joins them
  });

  for (const [name, given, wanted] of [
    ["names that differ in case", { authorization: header, Authorization: header }, "invalid_request"],
    ["a list of one", { authorization: [header] }, ""],
    ["an empty list", { authorization: [] }, "unauthenticated"],
    ["undefined", { authorization: header, [account]: undefined }, ""],
    ["null", { authorization: null }, "unauthenticated"],
    ["a number", { authorization: 5 }, "invalid_request"],
    ["an object", { authorization: {} }, "invalid_request"],
    ["a list of a number", { authorization: [5] }, "invalid_request"],
    ["a list of lists", { authorization: [[header]] }, "invalid_request"],
    ["what it inherits", Object.create({ authorization: header }) as object, "unauthenticated"],
  ] as const) {
    test(`headers with ${name}`, async () => {
      assert.equal(await reason(verifier, { headers: given as never }), wanted);
    });
  }

  test("what throws when it is read", async () => {
    const request = {
      get headers(): never {
        throw new Error("no");
      },
    };
    assert.equal(await reason(verifier, request), "internal");
    assert.equal(verifier.carriesAssertion(request), true);
  });

  test("a server's in Node, which joins or drops what stands twice", async () => {
    const said: string[] = [];
    const server = createServer((request, response) => {
      void decide(verifier, request).then(({ refusal }) => {
        said.push(`${refusal?.code ?? ""} ${verifier.carriesAssertion(request)}`);
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const send = (...lines: string[]) =>
      new Promise<void>((resolve, reject) => {
        const text = ["GET / HTTP/1.1", "Host: x", "Connection: close", ...lines, "", ""].join("\r\n");
        const socket = connect((server.address() as AddressInfo).port, "127.0.0.1", () => socket.end(text));
        socket.on("close", resolve).on("error", reject).resume();
      });
    try {
      await send(`Authorization: ${header}`);
      await send(`Authorization: ${header}`, "authorization: Bearer x");
      await send("Authorization: Bearer x", `authorization: ${header}`);
      await send(`Authorization: ${header}`, `${account}: acct-1`, `${account}: acct-1`);
      await send("Authorization: Bearer x");
      await send("Authorization: AgentAssertion \xff\xfe");
    } finally {
      server.close();
    }
    assert.deepEqual(said, [
      " true",
      "invalid_request true",
      "invalid_request true",
      "invalid_request true",
      "unauthenticated false",
      "invalid_assertion true",
    ]);
  });

  test("which carry an assertion, good or bad", () => {
    for (const [headers, carries] of [
      [{}, false],
      [{ authorization: "Bearer x" }, false],
      [{ authorization: "AgentAssertions x" }, false],
      [{ authorization: "" }, false],
      [{ authorization: "agentassertion x" }, true],
      [{ authorization: "AgentAssertion" }, true],
      [{ authorization: "Bearer x", [field]: "?" }, true],
      [{ authorization: ["Bearer x", "Bearer y"] }, true],
    ] as const) {
      assert.equal(verifier.carriesAssertion({ headers }), carries, inspect(headers));
    }
  });
});

test("what is printed of a decision shows no assertion", async () => {
  const decisions: Decision[] = [];
  const verifier = verifierWith({ decided: (decision) => void decisions.push(decision) });
  for (const seed of [1, 2]) {
    const sent = taskHeader(seed, "a", "t");
    const { agent, refusal } = await decide(verifier, { headers: { authorization: sent } });
    const credential = sent.replace("AgentAssertion ", "");
    const { signature } = JSON.parse(Buffer.from(credential, "base64url").toString()) as {
      signature: string;
    };
    for (const shown of [decisions.at(-1), agent, refusal, verifier]) {
      const text =
        inspect(shown, { depth: 10, showHidden: true }) +
        format("%s %O", shown, shown) +
        JSON.stringify(shown);
      assert.ok(!text.includes(credential) && !text.includes(signature));
    }
  }
});

describe("refusals", () => {
  test("say what the client is sent", async () => {
    const cause = new Error("of the database");
    for (const [refusal, status] of [
      [new RefusalError("unauthenticated", "no"), 401],
      [new RefusalError("directory_failed", "later", cause), 503],
    ] as const) {
      const response = refusal.toResponse();
      assert.equal(response.status, status);
      assert.equal(response.headers.get("WWW-Authenticate"), status === 401 ? "AgentAssertion" : null);
      assert.equal(response.headers.get("Content-Type"), "application/json");
      assert.equal(response.headers.get("Cache-Control"), "no-store");
      assert.deepEqual(await response.json(), { error: { code: refusal.code, message: refusal.message } });
    }
  });

  test("have the innermost refusal's reason", () => {
    const inner = new RefusalError("other_spelling", "spelled otherwise");
    const around = new RefusalError("unknown_agent", "no such agent", new Error("away", { cause: inner }));
    assert.equal(around.reason, "other_spelling");
    assert.equal(new RefusalError("unknown_agent", "", new Error("away")).reason, "unknown_agent");
  });
});

/** The same assertion in an envelope of another form. */
function respelled(header: string): string {
  const text = Buffer.from(header.replace("AgentAssertion ", ""), "base64url").toString();
  return encoded(
    JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text) as object).reverse()), null, 1),
  );
}

describe("replays", () => {
  test("are asked last, and told which assertion it is", async () => {
    const uses: Use[] = [];
    let answer = false;
    const verifier = verifierWith({
      skew: 60,
      now: () => start * 1000,
      taskOf: (agentRuntimeId, taskId) => (taskId === "x" ? undefined : { taskId, agentRuntimeId }),
      replays: {
        replayed: (use) => {
          uses.push(use);
          return Promise.resolve(answer);
        },
      },
    });
    const verify = (header: string, fedramp = "true") =>
      reason(verifier, { headers: { authorization: header, "x-openai-fedramp": fedramp } });
    const good = taskHeader(1, "fed", "t", start - 1);
    assert.equal(await verify(taskHeader(2, "fed", "t")), "invalid_signature");
    assert.equal(await verify(taskHeader(1, "fed", "t", start - 3600)), "timestamp_skew");
    assert.equal(await verify(taskHeader(1, "fed", "x")), "unknown_task");
    assert.equal(await verify(good, "false"), "fedramp_required");
    assert.equal(uses.length, 0);

    for (const header of [
      good,
      respelled(good),
      taskHeader(1, "fed", "u", start - 1),
      taskHeader(1, "fed", "t"),
    ]) {
      assert.equal(await verify(header), "");
    }
    const [first, again, ...others] = uses;
    assert.ok(first && again);
    assert.deepEqual(first, {
      // sha256sum of "fed:t:2026-11-24T15:16:07Z"
      digest: "692a495f7aec1b6b41d5a4891431721ec7999266573244ce09cd2aea5987fce7",
      agentRuntimeId: "fed",
      taskId: "t",
      runtimeAgentInstance: "",
      accountId: "acct-1",
      once: false,
      time: start,
      expires: start + 60,
    });
    assert.equal(again.digest, first.digest);
    assert.equal(new Set(uses.map(({ digest }) => digest)).size, others.length + 1);
    answer = true;
    assert.equal(await verify(good), "replayed_assertion");
  });

  test("a task's assertion can be used again by default", async () => {
    const verifier = verifierWith();
    for (let i = 0; i < 3; i++) {
      assert.equal(await reason(verifier, { headers: { authorization: header } }), "");
    }
  });

  describe("an instance's assertion is for one request", () => {
    for (const [name, replays] of [
      ["by default", undefined],
      ["where tasks' can be used again", memoryReplays({ reuse: 3600 })],
    ] as const) {
      test(name, async () => {
        let now = start;
        const verifier = verifierWith({ now: () => now * 1000, ...(replays && { replays }) });
        const verify = (value: string) => reason(verifier, { headers: { [field]: value } });
        const said = await Promise.all(Array.from({ length: 40 }, () => verify(value)));
        assert.deepEqual(said.sort(), ["", ...Array<string>(39).fill("replayed_assertion")]);
        assert.equal(await verify(instanceValue(1, "a", start + 1)), "replayed_assertion");
        assert.equal(await verify(instanceValue(1, "a", start, 2)), "");
        assert.equal(await verify(instanceValue(1, "b")), "");
        now = start + 300;
        assert.equal(await verify(value), "replayed_assertion");
        now = start + 301;
        assert.equal(await verify(value), "timestamp_skew");
      });
    }
  });

  test("where no more can be remembered what is new is refused", async () => {
    const verifier = verifierWith({ replays: memoryReplays({ maxTotal: 2 }) });
    const said = [];
    for (const n of [1, 2, 3]) {
      said.push(await reason(verifier, { headers: { [field]: instanceValue(1, "a", start, n) } }));
    }
    assert.deepEqual(said, ["", "", "capacity_exceeded"]);
  });

  test("in memory are bounded, and forgotten", () => {
    const replays = memoryReplays({ reuse: 2, maxTotal: 3, maxPerAccount: 2 });
    const replayed = (n: number, time: number, expires: number, accountId = "acct-1", once = false) =>
      replays.replayed({
        digest: String(n),
        agentRuntimeId: "agent",
        taskId: "task",
        runtimeAgentInstance: "",
        accountId,
        once,
        time,
        expires,
      });
    assert.equal(replayed(1, 100, 200), false);
    assert.equal(replayed(1, 102, 200), false);
    assert.equal(replayed(1, 50, 200), false); // a clock that was set back
    assert.equal(replayed(1, 102.5, 200), true);
    assert.equal(replayed(1, 100, 200, "acct-1", true), true);
    assert.equal(replayed(2, 100, 210), false);
    assert.throws(() => replayed(3, 100, 200), { code: "quota_exceeded", status: 429 });
    assert.equal(replayed(3, 100, 200, ""), false);
    assert.throws(() => replayed(4, 100, 200, "acct-2"), { code: "capacity_exceeded", status: 503 });
    assert.equal(replays.size, 3);
    assert.equal(replayed(1, 259, 200), true);
    // Each is forgotten a minute after it has expired, and makes room.
    assert.equal(replayed(1, 260, 400), false);
    assert.equal(replays.size, 2);
    assert.equal(replayed(5, 270, 400), false);
  });
});

describe("vectors", () => {
  interface Verification {
    public_key: string;
    header: string;
    now: number;
    skew: number;
  }
  /** What a client is told where the core has another word for it. */
  const told: Record<string, string> = {
    bad_signature: "unknown_agent",
    invalid_public_key: "directory_failed",
    invalid_agent_runtime_id: "invalid_assertion",
    invalid_task_id: "invalid_assertion",
    invalid_time: "internal", // of the clock
  };
  for (const [area, method] of [
    ["envelopes", "assertion.verify"],
    ["instances", "instance.verify"],
  ] as const) {
    test(`of ${method}`, async () => {
      let checked = 0;
      for (const { id, method: called, params, ok, error } of vectors(area)) {
        const { public_key, header, now, skew } = (params ?? {}) as unknown as Partial<Verification>;
        const isFit =
          called === method &&
          typeof public_key === "string" &&
          typeof header === "string" &&
          Number(skew) >= 0;
        if (!isFit || Number(skew) > 900 || Number(now) < -62_135_596_800) {
          continue;
        }
        const verifier = new Verifier({
          core,
          publicKeyOf: () => public_key,
          publicKeyOfInstance: () => public_key,
          now: () => Number(now) * 1000,
          skew: Number(skew),
        });
        const isBeside = method === "instance.verify" && !/^agentassertion/i.test(header);
        const pairs: Pairs = [[isBeside ? field : "authorization", header]];
        const { agent, refusal } = await decide(verifier, { headers: pairs });
        const code = (error as { code?: string } | undefined)?.code;
        if (agent && agent.form !== (method === "instance.verify" ? "instance" : "task")) {
          assert.ok(error, id); // each method refuses the other's form, and a verifier has both
        } else if (ok) {
          assert.ok(agent, `${id}: ${refusal?.code}`);
        } else {
          assert.equal(refusal?.code, told[code ?? ""] ?? code, id);
        }
        checked++;
      }
      assert.ok(checked > 50, `${checked} vectors`);
    });
  }
});

test("whatever stands in the headers, what is thrown is a refusal", async () => {
  const verifier = verifierWith();
  // Not random: a run that fails can be run again.
  let state = 0x9e3779b9;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % n;
  };
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const names = [
    "authorization",
    "Authorization",
    field,
    field.toLowerCase(),
    account,
    "x-openai-fedramp",
    "cookie",
  ];
  const pieces = [
    "AgentAssertion ",
    "1.",
    ".",
    "=",
    " ",
    ",",
    "\0",
    "\ud800",
    "é",
    "{}",
    "Bearer ",
    header,
    value,
    "true",
  ];
  const mutated = (text: string) => {
    const at = below(text.length + 1);
    return pick([
      text.slice(0, at),
      text.slice(at),
      text.slice(0, at) + pick(pieces) + text.slice(at),
      text.slice(0, at) + String.fromCharCode(below(0x300)) + text.slice(at + 1),
    ]);
  };
  const values: (() => unknown)[] = [
    () => mutated(header),
    () => mutated(value),
    () => mutated(mutated(`AgentAssertion ${value}`)),
    () => pick(pieces) + pick(pieces) + pick(pieces),
    () =>
      pick([undefined, null, 5, {}, [], [header], [header, header], Symbol.iterator, 5n, true, () => header]),
  ];
  const shapes: ((name: string, value: unknown, more: unknown) => unknown)[] = [
    (name, value, more) => ({ headers: { [name]: value, [pick(names)]: more } }),
    (name, value, more) => ({
      headers: [
        [name, value],
        [pick(names), more],
      ],
    }),
    (name, value) => ({ headers: new Map([[name, value]]), rawHeaders: [name, value, name, value] }),
    (name, value) => ({ headers: { [name]: value }, rawHeaders: value }),
    (_, value) => ({ headers: [value] }),
    (_, value) => ({ headers: value }),
    (_, value) => value,
  ];
  const seen = new Set<string>();
  for (let i = 0; i < 3000; i++) {
    const request = pick(shapes)(pick(names), pick(values)(), pick(values)());
    const { refusal } = await decide(verifier, request as RequestLike);
    verifier.carriesAssertion(request as RequestLike);
    seen.add(refusal?.code ?? "");
    assert.ok(!refusal || refusal.answer().body.length < 1000);
  }
  for (const code of ["", "invalid_request", "unauthenticated", "invalid_assertion", "unknown_agent"]) {
    assert.ok(seen.has(code), `none ended with ${code}: ${[...seen].join(" ")}`);
  }
});
